//! Which event the host asks about (one of ours, or somebody's copy of one), and its questions.

use std::ffi::CStr;
use std::sync::Arc;
use std::{ptr, slice};

use falco_plugin_api as api;

use super::state::Live;
use crate::batch::field_usage::FieldUsage;
use crate::event_layout::{self, PREFIX};
use crate::extract::{Answer, Argument, Extractor, Given};
use crate::fields::{Arg, FIELDS};

/// Extraction's own state.
pub(super) struct Extraction {
    /// The event whose fields were asked for last: their values stay until the next such call.
    values: Selected,
    /// The event that was shown last, if it is another one.
    shown: Selected,
    starts: Vec<u32>,
    lengths: Vec<u32>,
}

/// An event that is asked about.
struct Selected {
    extractor: Extractor,
    /// The live event that was asked about last, and what [`Live::epoch`] was.
    last: Option<(*const u8, u64)>,
}

impl Extraction {
    /// With no event yet; `demand` is told what is asked of most.
    pub(super) fn new(demand: Arc<FieldUsage>) -> Self {
        let selected = |extractor| Selected {
            extractor,
            last: None,
        };
        Extraction {
            values: selected(Extractor::new(demand)),
            shown: selected(Extractor::default()),
            starts: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// Makes `event` the one whose fields are asked for.
    ///
    /// # Safety
    /// As for [`Selected::select`].
    #[inline]
    pub(super) unsafe fn select(&mut self, live: &Live, event: *const u8) {
        // SAFETY: passed on.
        unsafe { self.values.select(live, event) };
    }

    /// The event in one line; NULL if it cannot be read. Leaves values that were extracted as they are, of whatever event.
    ///
    /// # Safety
    /// As for [`Selected::select`].
    pub(super) unsafe fn summary(
        &mut self,
        live: &Live,
        event: *const u8,
    ) -> *const std::ffi::c_char {
        // SAFETY: passed on.
        let selected = match unsafe { self.values.is_about(live, event) } {
            true => &mut self.values,
            false => {
                // SAFETY: passed on.
                unsafe { self.shown.select(live, event) };
                &mut self.shown
            }
        };
        selected.extractor.summary().unwrap_or(ptr::null())
    }

    /// Answers all `fields`. Where `offsets` are wanted: for one field a pair for each value, for
    /// several a pair for each field.
    ///
    /// # Safety
    /// Each key argument is NULL or a C string.
    #[inline]
    pub(super) unsafe fn answer(
        &mut self,
        fields: &mut [api::ss_plugin_extract_field],
        offsets: Option<&mut api::ss_plugin_extract_value_offsets>,
    ) {
        let Extraction {
            values: Selected { extractor, .. },
            starts,
            lengths,
            ..
        } = self;
        let one = fields.len() == 1;
        let located = offsets.is_some();
        if located {
            starts.clear();
            lengths.clear();
        }
        extractor.start_call();
        for field in fields {
            let number = field.field_id as usize;
            field.res_len = 0;
            let answer = match field.arg_present {
                0 => extractor.answer(number, Argument::None, located),
                // SAFETY: passed on.
                _ => unsafe { argument(field) }
                    .and_then(|argument| extractor.answer(number, argument, located)),
            };
            if let Some(answer) = answer {
                give(answer, field);
            }
            if offsets.is_some() {
                let extents = answer.map_or(&[][..], Answer::extents);
                let pairs = match (one, extents) {
                    (true, extents) => extents,
                    (false, [extent]) => slice::from_ref(extent),
                    (false, _) => &[(0, 0)],
                };
                starts.extend(pairs.iter().map(|(start, _)| start));
                lengths.extend(pairs.iter().map(|(_, length)| length));
            }
        }
        if let Some(offsets) = offsets {
            offsets.start = starts.as_mut_ptr();
            offsets.length = lengths.as_mut_ptr();
        }
    }
}

impl Selected {
    /// Makes `event` the one that is asked about.
    ///
    /// An event is ours if its address is that of one in a live batch: nobody else's memory can
    /// be there. Numbers and contents are no identity; hosts repeat and copy them.
    ///
    /// # Safety
    /// `event` is NULL or points to an event that is readable for as many bytes as its header
    /// says, during the call.
    #[inline]
    unsafe fn select(&mut self, live: &Live, event: *const u8) {
        let epoch = live.epoch();
        if self.last == Some((event, epoch)) {
            return;
        }
        // Nothing has changed, so that the batch looked at last is still live.
        let same = self.last.is_some_and(|(_, last)| last == epoch);
        if same && self.extractor.select_neighbour(event) {
            self.last = Some((event, epoch));
            return;
        }
        if let Some((batch, number)) = live.find(event) {
            self.last = Some((event, epoch));
            self.extractor.select_live(batch, number);
            return;
        }
        self.last = None;
        // SAFETY: passed on.
        match unsafe { detached_payload(event) } {
            Some(payload) => self.extractor.select_detached(payload),
            None => self.extractor.select_none(),
        }
    }

    /// Whether that is the event that is asked about already, or one with the same payload.
    ///
    /// # Safety
    /// As for [`Selected::select`].
    unsafe fn is_about(&self, live: &Live, event: *const u8) -> bool {
        if self.last == Some((event, live.epoch())) {
            return true;
        }
        // SAFETY: passed on.
        let payload = unsafe { detached_payload(event) };
        payload.is_some_and(|payload| self.extractor.is_foreign(payload))
    }
}

/// Points the host to an answer.
#[inline]
fn give(answer: &Answer, field: &mut api::ss_plugin_extract_field) {
    match answer.given() {
        Given::None => {}
        Given::Text(text) => {
            field.res.str_ = ptr::from_ref(text).cast_mut();
            field.res_len = 1;
        }
        Given::Number(number) => {
            field.res.u64_ = ptr::from_ref(number).cast_mut();
            field.res_len = 1;
        }
        Given::List(texts) => {
            field.res.str_ = texts.as_ptr().cast_mut();
            field.res_len = texts.len() as u64;
        }
    }
}

/// What stands in brackets behind the field, of the sort that the field takes.
///
/// # Safety
/// A key argument is NULL or a C string.
unsafe fn argument(field: &api::ss_plugin_extract_field) -> Option<Argument<'_>> {
    match FIELDS.get(field.field_id as usize)?.arg {
        Arg::None => Some(Argument::None),
        Arg::OptionalIndex => Some(Argument::Index(field.arg_index)),
        Arg::RequiredKey if field.arg_key.is_null() => None,
        Arg::RequiredKey => {
            // SAFETY: not NULL, as checked above, so the caller's promise holds.
            let key = unsafe { CStr::from_ptr(field.arg_key) };
            key.to_str().ok().map(Argument::Key)
        }
    }
}

/// The payload of an event that is not ours.
///
/// # Safety
/// As for [`Extraction::select`]. The slice is only good for the call.
unsafe fn detached_payload<'call>(event: *const u8) -> Option<&'call [u8]> {
    if event.is_null() {
        return None;
    }
    // The header alone first: it says how much more there is.
    let header = size_of::<api::ss_plugin_event>();
    // SAFETY: every event has a header; bytes have no alignment.
    let bytes = unsafe { slice::from_raw_parts(event, header) };
    if event_layout::total_len(bytes)? < PREFIX {
        return None;
    }
    // SAFETY: the header says that there are at least this many bytes.
    let prefix = unsafe { &*event.cast::<[u8; PREFIX]>() };
    let len = event_layout::payload_len(prefix)?;
    // SAFETY: `payload_len` only gives a length that fits in what the header says.
    Some(unsafe { slice::from_raw_parts(event.add(PREFIX), len) })
}
