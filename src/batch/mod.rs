//! A batch: one owner of everything that its events need, from the decoder to the host and back.
//!
//! One buffer has the events, another the tapes of their records. One thread builds a batch; after that, extraction
//! reads it, and the host writes to the headers of its events. When the host calls for the next batch, this one is
//! cleared and built again.
#![forbid(unsafe_code)]

mod event_filter;
mod fingerprint;
pub mod hot_fields;
mod precomputed;

use std::sync::Arc;

use event_filter::BatchFilter;
pub use event_filter::EventFilter;
use fingerprint::Fingerprints;
pub use fingerprint::{Fingerprint, FingerprintKey};
use precomputed::PrecomputedValues;
pub use precomputed::{Appended, ListWriter, Precompute, PrecomputedValue, Row};

use crate::event_layout;
use crate::json::text::{unescaped, unescaped_is};
use crate::json::{Tape, TapeBuffer, TapeSpan, Value};
use crate::key_table::{KeyTable, KnownKey, RecordIndex};
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
    filter: BatchFilter,
    fingerprints: Fingerprints,
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

/// What is done with every record; injected, so that delivery does not know fields.
#[derive(Clone, Debug)]
pub struct RecordHooks {
    /// Precomputes field values.
    pub precompute: Arc<dyn Precompute>,
    /// Drops records.
    pub filter: Option<Arc<dyn EventFilter>>,
    /// Key of the fingerprints by which duplicates are recognized; `None` if they are not.
    pub fingerprint_key: Option<FingerprintKey>,
}

/// Decides whether a record becomes an event, and with which time.
#[derive(Clone, Copy, Debug)]
pub struct EventPolicy {
    /// Deliver `AwsCloudTrailInsight` records.
    pub insights: bool,
    /// Time for records that have none: that of the container around the record, or of the log file's name, in
    /// nanoseconds since 1970.
    pub fallback_time: Option<u64>,
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
    /// Skipped: neither the record nor what is around it has a time.
    NoTime,
    /// Dropped by the filter.
    Dropped,
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
        let record = Record { tape, index };
        let keys = &mut KeyTable::default();
        if self.filter.is_active() || self.precomputed.is_active() {
            keys.reset(index);
        }
        let outcome = match skipped(tape, index, policy) {
            None if self.filter.drops(record, keys) => Err(RecordOutcome::Dropped),
            None => event_time(tape, index, policy).ok_or(RecordOutcome::NoTime),
            Some(skipped) => Err(skipped),
        };
        let timestamp = match outcome {
            Ok(timestamp) => timestamp,
            Err(outcome) => {
                self.tapes.discard(span);
                return outcome;
            }
        };
        self.newest = self.newest.max(timestamp);
        self.fingerprints.push(record);
        self.precomputed.push(record, keys);
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

    /// Number of events for the host.
    pub fn len(&self) -> usize {
        self.records.len() - self.fingerprints.duplicates()
    }

    /// Whether the batch has no event for the host.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Withholds the events whose fingerprints `is_new` rejects from the host. Returns their number.
    pub fn mark_duplicates(&mut self, is_new: impl FnMut(Fingerprint) -> bool) -> usize {
        self.fingerprints.mark(is_new)
    }

    /// Bytes of all events.
    pub fn event_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes in use, with tapes and precomputed values.
    pub fn memory(&self) -> u64 {
        let records = self.records.len() * (size_of::<EventEntry>() + size_of::<usize>());
        let values = self.precomputed.used_bytes();
        let fingerprints = self.fingerprints.used_bytes();
        (self.bytes.len() + self.tapes.used_bytes() + records + values + fingerprints) as u64
    }

    /// Bytes of memory allocated.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.tapes.capacity_bytes()
            + self.precomputed.capacity_bytes()
            + self.fingerprints.capacity_bytes()
    }

    /// The addresses of all events for the host, in order. The host may write to these events until the batch is cleared or
    /// dropped.
    pub fn addresses(&mut self) -> impl Iterator<Item = *mut u8> {
        let start = self.bytes.as_mut_ptr();
        let events = self.starts.iter().enumerate();
        events
            .filter(|(number, _)| !self.fingerprints.is_duplicate(*number))
            .map(move |(_, &event)| start.wrapping_add(event))
    }

    /// The times of all events, in nanoseconds since 1970.
    pub(crate) fn timestamps(&self) -> impl Iterator<Item = u64> {
        let events = self.starts.iter();
        events.map(|&start| event_layout::timestamp(&self.bytes, start))
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

    /// Treats each record from now on with these hooks. The batch must be empty.
    pub fn hook_with(&mut self, hooks: &RecordHooks) {
        self.filter.set(&hooks.filter);
        self.fingerprints.set_key(hooks.fingerprint_key);
        self.precompute_with(&hooks.precompute);
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
        self.fingerprints.truncate(complete);
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
        self.fingerprints.clear();
        self.records.clear();
        self.tapes.clear();
        self.ack_handles.clear();
        self.objects = 0;
        self.bytes_in = 0;
        self.newest = 0;
    }
}

/// Why the record is no event, by its kind; `None` if it is one.
fn skipped(tape: Tape<'_>, index: &RecordIndex, policy: EventPolicy) -> Option<RecordOutcome> {
    if !policy.insights
        && let Some(event_type) = string(tape, index, KnownKey::EventType)
        && unescaped_is(event_type, b"AwsCloudTrailInsight")
    {
        return Some(RecordOutcome::Insight);
    }
    let is_digest = index.value(KnownKey::DigestS3Object).is_some();
    is_digest.then_some(RecordOutcome::Digest)
}

/// The time of the record's event in nanoseconds since 1970; `None` if there is none.
fn event_time(tape: Tape<'_>, index: &RecordIndex, policy: EventPolicy) -> Option<u64> {
    string(tape, index, KnownKey::EventTime)
        .and_then(parse_time)
        .or_else(|| other_time(tape, index))
        .or(policy.fallback_time)
}

/// The time of a record without `eventTime`: the one that Logstash adds, or the end of an aggregated record's window, or
/// its start.
#[cold]
fn other_time(tape: Tape<'_>, index: &RecordIndex) -> Option<u64> {
    member_time(tape, Value::ROOT, b"@timestamp").or_else(|| {
        let window = index.value(KnownKey::TimeWindow)?;
        member_time(tape, window, b"windowEnd")
            .or_else(|| member_time(tape, window, b"windowStart"))
    })
}

/// The time in an object's member.
fn member_time(tape: Tape<'_>, object: Value, name: &[u8]) -> Option<u64> {
    let mut members = tape.members(object);
    let (_, value) = members.find(|(key, _)| unescaped_is(key, name))?;
    parse_time(tape.string(value)?)
}

/// The text between the quotes of the string that is the value of `key`.
fn string<'t>(tape: Tape<'t>, index: &RecordIndex, key: KnownKey) -> Option<&'t [u8]> {
    tape.string(index.value(key)?)
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
