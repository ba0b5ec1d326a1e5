//! Values of a batch's events that were worked out before anybody asks.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::sync::Arc;

use crate::demand::Wanted;
use crate::field::{self, FIELDS, Kind, Shown, View};
use crate::tape::{Tape, Value};

/// The event has no value for the field.
const NOTHING: u32 = u32::MAX;

/// The value was not worked out.
const UNKNOWN: u32 = u32::MAX - 1;

/// Longest record whose values are worked out ahead, in bytes: the values of a huge one would take
/// its memory many times over.
const LONGEST: usize = 64 << 10;

/// The values of all events, each a text with a NUL behind it or the bytes of a number.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    wanted: Arc<Wanted>,
    values: Vec<u8>,
    /// Where in `values` each wanted field's value starts, event by event.
    places: Vec<u32>,
}

/// What is known of a field of an event.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// It has to be looked for.
    Unknown,
    /// There is no value.
    Nothing,
    /// A text, valid as long as the batch is neither cleared nor dropped.
    Text(*const c_char),
    /// A number.
    Number(u64),
}

impl Ahead {
    /// Chooses the fields, before the first event.
    pub(super) fn want(&mut self, wanted: Arc<Wanted>) {
        self.wanted = wanted;
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.places.clear();
    }

    /// Whether no field is wanted.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.fields().len() == 0
    }

    /// Adds the next event.
    pub(super) fn push(&mut self, view: &mut View<'_>) {
        let Ahead {
            wanted,
            values,
            places,
        } = self;
        if view.tape.text().len() > LONGEST {
            places.extend(wanted.fields().map(|_| UNKNOWN));
            return;
        }
        places.extend(wanted.fields().map(|field| {
            let start = values.len() as u32;
            match field::show(FIELDS[field].rule, view, values) {
                Shown::Nothing => return NOTHING,
                Shown::Value(value) => match field::plain_text(view.tape, value) {
                    Some(_) => push_terminated(view.tape, value, values),
                    None if field::append_text(view.tape, value, values) => values.push(0),
                    None => return NOTHING,
                },
                Shown::Text => values.push(0),
                Shown::Truth(truth) => values.extend_from_slice(truth.to_bytes_with_nul()),
                Shown::Number(number) => values.extend_from_slice(&number.to_ne_bytes()),
            }
            start
        }));
    }

    /// What is known of a field of the event with this number.
    #[inline]
    pub(super) fn value(&self, event: usize, field: usize) -> Known {
        let wanted = self.wanted.fields().len();
        let place = self.wanted.place(field);
        let place = place.and_then(|place| self.places.get(event * wanted + place));
        let start = match place {
            None | Some(&UNKNOWN) => return Known::Unknown,
            Some(&NOTHING) => return Known::Nothing,
            Some(&start) => start as usize,
        };
        let value = self.values.get(start..).unwrap_or_default();
        match FIELDS[field].kind {
            Kind::String => Known::Text(value.as_ptr().cast()),
            Kind::Uint64 => match value.first_chunk() {
                Some(number) => Known::Number(u64::from_ne_bytes(*number)),
                None => Known::Unknown,
            },
        }
    }

    /// Bytes that are in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.values.len() + self.places.len() * size_of::<u32>()
    }

    /// Bytes of memory held.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.values.capacity() + self.places.capacity() * size_of::<u32>()
    }
}

/// Appends the inside of a string with a NUL in its closing quote's place.
#[inline]
fn push_terminated(tape: Tape<'_>, string: Value, out: &mut Vec<u8>) {
    /// Most texts are shorter. A copy of a fixed length is one instruction or two, any other a call.
    const SHORT: usize = 32;
    let text = &tape.raw(string)[1..];
    let end = out.len() + text.len();
    let more = tape.text().get(tape.start(string) + 1..);
    match more.and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(more) if text.len() <= SHORT => {
            out.extend_from_slice(more);
            out.truncate(end);
        }
        _ => out.extend_from_slice(text),
    }
    if let Some(last) = out.last_mut() {
        *last = 0;
    }
}
