//! A batch: one owner of everything that its events need, from the decoder to the host and back.
//!
//! One buffer has the events, another the tapes of their records. One thread builds a batch; after that, extraction
//! reads it, and the host writes to the headers of its events. When the host calls for the next batch, this one is
//! cleared and built again.
#![forbid(unsafe_code)]

pub mod hot_fields;
mod precomputed;

use std::sync::Arc;

use precomputed::PrecomputedValues;
pub use precomputed::{Appended, ListWriter, Precompute, PrecomputedValue, Row};

use crate::event_layout;
use crate::json::text::{unescaped, unescaped_is};
use crate::json::{Tape, TapeBuffer, TapeSpan};
use crate::key_table::{KnownKey, RecordIndex};
use crate::object::ack::AckHandle;
use crate::timestamp;

/// Memory that a cleared batch may keep, in bytes. More was needed for a huge record and is freed.
const KEEP_BYTES: usize = 8 << 20;

/// Events with their records; see the module's description.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Offset of each event. Apart from the rest, which is not read for every event.
    starts: Vec<usize>,
    records: Vec<EventEntry>,
    tapes: TapeBuffer,
    precomputed: PrecomputedValues,
    /// Number of objects that end in this batch.
    pub objects: u64,
    /// Stored bytes that were read for this batch.
    pub bytes_in: u64,
    /// Latest time of an event, in nanoseconds since 1970.
    pub newest: u64,
    /// Handles of the objects whose last event is in this batch.
    pub ack_handles: Vec<AckHandle>,
}

#[derive(Debug)]
struct EventEntry {
    payload_len: usize,
    tape: TapeSpan,
    index: RecordIndex,
}

/// A record with its parsed form.
#[derive(Clone, Copy, Debug)]
pub struct Record<'b> {
    /// The tape over the record's text.
    pub tape: Tape<'b>,
    /// The values of the record's own known keys.
    pub index: &'b RecordIndex,
}

/// Decides whether a record becomes an event, and with which time.
#[derive(Clone, Copy, Debug)]
pub struct EventPolicy {
    /// Deliver `AwsCloudTrailInsight` records.
    pub insights: bool,
    /// Time for records that have none: that of the log file's name, in nanoseconds since 1970.
    pub file_time: Option<u64>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is an event of the batch.
    Event,
    /// Skipped: an insight, and the policy excludes these.
    Insight,
    /// Skipped: the content of a digest file.
    Digest,
    /// Skipped: neither the record nor the file's name has a time.
    NoTime,
}

impl Batch {
    /// Adds the record with this text, whose tape is the last one in [`Batch::tapes`], unless the policy skips it.
    pub fn push(&mut self, text: &[u8], span: TapeSpan, policy: EventPolicy) -> RecordOutcome {
        let tape = self.tapes.tape(span, text);
        let entry = EventEntry {
            payload_len: text.len(),
            tape: span,
            index: RecordIndex::of(tape),
        };
        let index = &entry.index;
        let timestamp = match event_time(tape, index, policy) {
            Ok(timestamp) => timestamp,
            Err(skipped) => {
                self.tapes.discard(span);
                return skipped;
            }
        };
        self.newest = self.newest.max(timestamp);
        self.precomputed.push(Record { tape, index });
        self.starts.push(event_layout::push(
            &mut self.bytes,
            event_layout::PLUGIN_ID,
            timestamp,
            text,
        ));
        self.records.push(entry);
        RecordOutcome::Event
    }

    /// The buffer for the tapes of the next records.
    pub fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the batch has no event.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all events.
    pub fn event_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes in use, with tapes and precomputed values.
    pub fn memory(&self) -> u64 {
        let records = self.records.len() * (size_of::<EventEntry>() + size_of::<usize>());
        let values = self.precomputed.used_bytes();
        (self.bytes.len() + self.tapes.used_bytes() + records + values) as u64
    }

    /// Bytes of memory allocated.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.tapes.capacity_bytes() + self.precomputed.capacity_bytes()
    }

    /// The addresses of all events, in order. The host may write to these events until the batch is cleared or
    /// dropped.
    pub fn addresses(&mut self) -> impl Iterator<Item = *mut u8> {
        let start = self.bytes.as_mut_ptr();
        self.starts
            .iter()
            .map(move |&event| start.wrapping_add(event))
    }

    /// The number of the event at this address; `None` if none of this batch is there. Tries `guess` first.
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
        let start = self.starts.get(number)? + event_layout::PREFIX;
        let payload = self.bytes.get(start..start + entry.payload_len)?;
        Some(Record {
            tape: self.tapes.tape(entry.tape, payload),
            index: &entry.index,
        })
    }

    /// The precomputed value of a field for the event with this number.
    #[inline]
    pub fn precomputed(&self, number: usize, field: usize) -> PrecomputedValue<'_> {
        self.precomputed.value(number, field)
    }

    /// All precomputed values.
    #[cfg(test)]
    pub(crate) fn precomputed_bytes(&self) -> &[u8] {
        self.precomputed.bytes()
    }

    /// Precomputes values for each event from now on. The batch must be empty.
    pub fn precompute_with(&mut self, computer: &Arc<dyn Precompute>) {
        self.precomputed.start(computer);
    }

    /// Drops the incomplete event that a panic in [`Batch::push`] may have left. Complete ones stay.
    pub fn drop_incomplete(&mut self) {
        let complete = self.records.len();
        self.starts.truncate(complete);
        let end = self.starts.last().zip(self.records.last());
        let end = end.map_or(0, |(start, entry)| {
            start + event_layout::PREFIX + entry.payload_len
        });
        self.bytes.truncate(end);
        self.precomputed.truncate(complete);
        self.tapes
            .truncate(self.records.last().map(|entry| entry.tape));
    }

    /// Empties the batch. Keeps its memory unless that is more than usual.
    pub fn clear(&mut self) {
        if self.capacity_bytes() > KEEP_BYTES {
            *self = Batch::default();
            return;
        }
        self.bytes.clear();
        self.starts.clear();
        self.precomputed.clear();
        self.records.clear();
        self.tapes.clear();
        self.ack_handles.clear();
        self.objects = 0;
        self.bytes_in = 0;
        self.newest = 0;
    }
}

/// The time of the record's event in nanoseconds since 1970, or why the record is skipped.
fn event_time(
    tape: Tape<'_>,
    index: &RecordIndex,
    policy: EventPolicy,
) -> Result<u64, RecordOutcome> {
    let string = |key| tape.string(index.value(key)?);
    if !policy.insights
        && let Some(event_type) = string(KnownKey::EventType)
        && unescaped_is(event_type, b"AwsCloudTrailInsight")
    {
        return Err(RecordOutcome::Insight);
    }
    if index.value(KnownKey::DigestS3Object).is_some() {
        return Err(RecordOutcome::Digest);
    }
    string(KnownKey::EventTime)
        .and_then(parse_time)
        .or_else(|| window_time(tape, index))
        .or(policy.file_time)
        .ok_or(RecordOutcome::NoTime)
}

/// The end of an aggregated record's window, or its start if it has no end.
fn window_time(tape: Tape<'_>, index: &RecordIndex) -> Option<u64> {
    let window = index.value(KnownKey::TimeWindow)?;
    let member = |name: &[u8]| {
        let mut members = tape.members(window);
        let (_, value) = members.find(|(key, _)| unescaped_is(key, name))?;
        parse_time(tape.string(value)?)
    };
    member(b"windowEnd").or_else(|| member(b"windowStart"))
}

/// Parses the timestamp in a JSON string; `inside` is the text between its quotes.
fn parse_time(inside: &[u8]) -> Option<u64> {
    if !inside.contains(&b'\\') {
        return timestamp::parse(inside);
    }
    timestamp::parse(&unescaped(inside))
}

#[cfg(test)]
pub(crate) mod tests;
