//! A batch: one owner of everything that its events need, from the decoder to the host and back.
//!
//! Events stand one behind the other in one buffer, their records' tapes in another. A batch is
//! built by one thread, then only read (by field extraction) and, in the events' headers, written
//! by the host. When the host asks for the next one it is cleared and built again.
#![forbid(unsafe_code)]

mod ahead;

use std::sync::Arc;

use ahead::Ahead;
pub use ahead::Known;
#[cfg(test)]
pub(crate) use ahead::tests as test_support;

use crate::delivery::Ticket;
use crate::demand::Wanted;
use crate::event;
use crate::field::View;
use crate::slots::{RecordSlots, Slot, Slots};
use crate::tape::{Tape, TapeSpan, Tapes};
use crate::text;
use crate::timestamp;

/// Memory that a cleared batch may keep; what one huge record needed is given back.
const KEEP_BYTES: usize = 8 << 20;

/// Events and what reads them; see the module's description.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each event starts. Apart from the rest, which is not looked at for every event.
    starts: Vec<usize>,
    records: Vec<Entry>,
    tapes: Tapes,
    ahead: Ahead,
    /// Scratch for working ahead. Boxed, as batches are moved from thread to thread.
    slots: Box<Slots>,
    /// Objects that end in this batch.
    pub objects: u64,
    /// Stored bytes that were read for this batch.
    pub bytes_in: u64,
    /// The latest time of an event, in nanoseconds since 1970.
    pub newest: u64,
    /// Of the objects whose last event is in this batch.
    pub tickets: Vec<Ticket>,
}

#[derive(Debug)]
struct Entry {
    payload_len: usize,
    tape: TapeSpan,
    slots: RecordSlots,
}

/// One record of a batch: its tape and where its outermost keys are.
#[derive(Clone, Copy, Debug)]
pub struct Record<'b> {
    /// The tape over the event's payload.
    pub tape: Tape<'b>,
    /// The record's own keys.
    pub slots: &'b RecordSlots,
}

/// What decides whether a record becomes an event.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Deliver `AwsCloudTrailInsight` records.
    pub insights: bool,
    /// The time in the log file's name, in nanoseconds since 1970.
    pub file_time: Option<u64>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is an event of the batch.
    Event,
    /// An insight, and those are not wanted.
    Insight,
    /// The contents of a digest file.
    Digest,
    /// Nothing tells its time.
    NoTime,
}

impl Batch {
    /// Makes an event of the record with this text, whose tape is the last one in
    /// [`Batch::tapes`], or leaves it out.
    pub fn push(&mut self, text: &[u8], span: TapeSpan, admission: Admission) -> Admitted {
        let tape = self.tapes.tape(span, text);
        let slots = RecordSlots::of(tape);
        let timestamp = match admit(tape, &slots, admission) {
            Ok(timestamp) => timestamp,
            Err(refused) => {
                self.tapes.discard(span);
                return refused;
            }
        };
        self.newest = self.newest.max(timestamp);
        if !self.ahead.is_idle() {
            self.slots.reset(&slots);
            self.ahead.push(&mut View {
                tape,
                slots: &mut self.slots,
            });
        }
        self.starts
            .push(event::push(&mut self.bytes, timestamp, text));
        self.records.push(Entry {
            payload_len: text.len(),
            tape: span,
            slots,
        });
        Admitted::Event
    }

    /// Where tapes of records to come are written.
    pub fn tapes(&mut self) -> &mut Tapes {
        &mut self.tapes
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all events.
    pub fn event_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that are in use, tapes and all.
    pub fn memory(&self) -> u64 {
        let records = self.records.len() * (size_of::<Entry>() + size_of::<usize>());
        let values = self.ahead.used_bytes();
        (self.bytes.len() + self.tapes.used_bytes() + records + values) as u64
    }

    /// Bytes of memory held, in use or not.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.tapes.capacity_bytes() + self.ahead.capacity_bytes()
    }

    /// The addresses of all events, in order. The host may write to the events behind them as
    /// long as the batch is not cleared or dropped.
    pub fn addresses(&mut self) -> impl Iterator<Item = *mut u8> {
        let start = self.bytes.as_mut_ptr();
        self.starts
            .iter()
            .map(move |&event| start.wrapping_add(event))
    }

    /// The number of the event at this address, if it is one of ours. Tries `guess` first.
    pub fn find(&self, address: *const u8, guess: usize) -> Option<usize> {
        let offset = (address as usize).checked_sub(self.bytes.as_ptr() as usize)?;
        if self.starts.get(guess) == Some(&offset) {
            return Some(guess);
        }
        self.starts.binary_search(&offset).ok()
    }

    /// The record of the event with this number.
    pub fn record(&self, number: usize) -> Option<Record<'_>> {
        let entry = self.records.get(number)?;
        let start = self.starts.get(number)? + event::PREFIX;
        let payload = self.bytes.get(start..start + entry.payload_len)?;
        Some(Record {
            tape: self.tapes.tape(entry.tape, payload),
            slots: &entry.slots,
        })
    }

    /// What is known of a field of the event with this number, without looking at its record.
    #[inline]
    pub fn known(&self, number: usize, field: usize) -> Known {
        self.ahead.value(number, field)
    }

    /// All precomputed values.
    #[cfg(test)]
    pub(crate) fn precomputed_bytes(&self) -> &[u8] {
        self.ahead.bytes()
    }

    /// Has the fields that are `wanted` worked out for each event to come. The batch is empty.
    pub fn work_ahead(&mut self, wanted: Arc<Wanted>) {
        self.ahead.want(wanted);
    }

    /// Drops what a panic in [`Batch::push`] may have left of an event that is not whole. Whole ones stay.
    pub fn drop_unfinished(&mut self) {
        let whole = self.records.len();
        self.starts.truncate(whole);
        let end = self.starts.last().zip(self.records.last());
        let end = end.map_or(0, |(start, entry)| {
            start + event::PREFIX + entry.payload_len
        });
        self.bytes.truncate(end);
        self.ahead.truncate(whole);
        self.tapes
            .truncate(self.records.last().map(|entry| entry.tape));
        *self.slots = Slots::default();
    }

    /// Makes the batch empty; keeps its memory unless that is more than is usual.
    pub fn clear(&mut self) {
        if self.capacity_bytes() > KEEP_BYTES {
            *self = Batch::default();
            return;
        }
        self.bytes.clear();
        self.starts.clear();
        self.ahead.clear();
        self.records.clear();
        self.tapes.clear();
        self.tickets.clear();
        self.objects = 0;
        self.bytes_in = 0;
        self.newest = 0;
    }
}

/// The record's time, or why it is left out.
fn admit(tape: Tape<'_>, slots: &RecordSlots, admission: Admission) -> Result<u64, Admitted> {
    let string = |slot| tape.string(slots.value(slot)?);
    if !admission.insights
        && let Some(event_type) = string(Slot::EventType)
        && says(event_type, b"AwsCloudTrailInsight")
    {
        return Err(Admitted::Insight);
    }
    if slots.value(Slot::DigestS3Object).is_some() {
        return Err(Admitted::Digest);
    }
    string(Slot::EventTime)
        .and_then(time)
        .or_else(|| window_time(tape, slots))
        .or(admission.file_time)
        .ok_or(Admitted::NoTime)
}

/// The end, else the start, of an aggregated record's window.
fn window_time(tape: Tape<'_>, slots: &RecordSlots) -> Option<u64> {
    let window = slots.value(Slot::TimeWindow)?;
    let member = |name: &[u8]| {
        let (_, value) = tape.members(window).find(|(key, _)| says(key, name))?;
        time(tape.string(value)?)
    };
    member(b"windowEnd").or_else(|| member(b"windowStart"))
}

/// The time that the inside of a JSON string says.
fn time(inside: &[u8]) -> Option<u64> {
    if !inside.contains(&b'\\') {
        return timestamp::parse(inside);
    }
    timestamp::parse(&unescaped(inside))
}

/// Does the inside of a JSON string say `text`?
fn says(inside: &[u8], text: &[u8]) -> bool {
    inside == text || (inside.contains(&b'\\') && unescaped(inside) == text)
}

fn unescaped(inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    text::unescape(inside, &mut out);
    out
}
