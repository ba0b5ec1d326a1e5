//! Extraction: field values of one event at a time, each computed once.
//!
//! The host extracts one field per call, and the same field once for every rule that uses it. So values are cached
//! until another event is selected, and every later call is a look-up. So is the first call if the value was
//! precomputed. Other texts are copied once, with the NUL that C strings need, into an arena; the event itself belongs
//! to the host and is not changed. In steady state nothing is allocated per event.
#![forbid(unsafe_code)]

mod arena;
mod argument;
mod detached;
pub mod field_usage;
mod precompute;
mod value;

use std::ffi::c_char;
use std::sync::Arc;

pub use argument::Argument;
pub use value::{ExtractedField, ExtractedValue, OffsetRange};

use arena::{ARENA_BYTES, Arena};
use argument::{ArgumentCache, CompiledArgument};
use detached::DetachedEvent;
use field_usage::{FieldUsage, UsageCounter};
use value::CachedValues;

use crate::batch::{Batch, PrecomputedValue, Record};
use crate::event_layout::PREFIX;
use crate::fields::{
    self, FIELDS, FieldExtractor, FieldValue, PolicyField, PolicyReader, RecordView,
};
use crate::json::{Tape, Value};
use crate::key_table::KeyTable;

/// Extracts fields from the selected event.
#[derive(Debug)]
pub struct Extractor {
    selected: Selected,
    detached: DetachedEvent,
    /// Number of the selected event. Cached values with another number are stale.
    event: u64,
    usage: UsageCounter,
    keys: KeyTable,
    /// The event that `keys` is of.
    keys_event: u64,
    policies: PolicyReader,
    /// The event that `policies` has read.
    policies_event: u64,
    /// Values of the fields without an argument, by the number of the field.
    extracted: Box<[ExtractedField]>,
    with_argument: ArgumentCache,
    arena: Arena,
    scratch: Vec<u8>,
    summary: Vec<u8>,
}

#[derive(Debug)]
enum Selected {
    None,
    /// An event of a live batch, by its number.
    Live(Arc<Batch>, usize),
    Detached,
}

impl Default for Extractor {
    fn default() -> Self {
        Extractor::new(Arc::default())
    }
}

impl Extractor {
    /// An extractor that updates `usage`, with no event selected.
    pub fn new(usage: Arc<FieldUsage>) -> Self {
        Extractor {
            selected: Selected::None,
            detached: DetachedEvent::default(),
            event: 0,
            usage: UsageCounter::new(usage),
            keys: KeyTable::default(),
            keys_event: 0,
            policies: PolicyReader::default(),
            policies_event: 0,
            extracted: FIELDS.iter().map(|_| ExtractedField::new()).collect(),
            with_argument: ArgumentCache::default(),
            arena: Arena::default(),
            scratch: Vec::new(),
            summary: Vec::new(),
        }
    }

    /// Selects event `number` of `batch`.
    pub fn select_live(&mut self, batch: Arc<Batch>, number: usize) {
        self.usage.end_batch();
        self.usage.count_event();
        self.start_event(false);
        self.selected = Selected::Live(batch, number);
    }

    /// Selects the event at this address if it is in the batch of the selected one. Tries the next event first.
    #[inline]
    pub fn select_neighbor(&mut self, address: *const u8) -> bool {
        let Selected::Live(batch, current) = &mut self.selected else {
            return false;
        };
        let Some(number) = batch.find(address, *current + 1) else {
            return false;
        };
        *current = number;
        self.usage.count_event();
        self.start_event(true);
        true
    }

    /// Selects a detached event with this payload.
    pub fn select_detached(&mut self, payload: &[u8]) {
        if self.is_detached(payload) {
            return;
        }
        self.start_event(false);
        // Before the batch is dropped: the payload may be in it, if the host extracts from an event that it has returned.
        self.detached.parse(payload);
        self.selected = Selected::Detached;
    }

    /// Whether a detached event with this payload is selected.
    pub fn is_detached(&self, payload: &[u8]) -> bool {
        matches!(self.selected, Selected::Detached) && self.detached.payload() == payload
    }

    /// Selects no event: no field has a value.
    pub fn select_none(&mut self) {
        self.start_event(false);
        self.selected = Selected::None;
    }

    /// Starts a call: values of the last one may be dropped, those of this one stay until the next.
    #[inline]
    pub fn start_call(&mut self) {
        // The arena still has the texts of dropped values, and the host may extract from one event forever.
        if self.with_argument.start_call() && self.arena.is_full() {
            self.start_event(false);
        }
    }

    /// Extracts a field, by its number in [`FIELDS`], with offset ranges if `located`. `None` if there is no such field
    /// or it does not take the argument.
    #[inline]
    pub fn extract(
        &mut self,
        field: usize,
        argument: Argument<'_>,
        located: bool,
    ) -> Option<&ExtractedField> {
        if argument != Argument::None {
            return self.extract_with(field, argument);
        }
        let cached = self.extracted.get(field)?;
        if cached.event == self.event && (cached.located || !located) {
            return self.extracted.get(field);
        }
        self.extract_first(field, located)
    }

    /// The selected event in one line, as hosts print it. The text stays until the next call of this method.
    pub fn summary(&mut self) -> Option<*const c_char> {
        let record = record(&self.selected, &self.detached)?;
        let view = &mut view(record, &mut self.keys, &mut self.keys_event, self.event);
        if self.summary.capacity() > ARENA_BYTES {
            self.summary = Vec::new();
        }
        self.summary.clear();
        fields::summary(view, &mut self.summary);
        self.summary.push(0);
        Some(self.summary.as_ptr().cast())
    }

    fn start_event(&mut self, same_batch: bool) {
        self.event += 1;
        if !same_batch || self.arena.is_full() {
            self.arena.reset();
        }
    }

    /// Takes the precomputed value, or else reads the record.
    fn extract_first(&mut self, field: usize, located: bool) -> Option<&ExtractedField> {
        self.usage.count_field(field);
        let precomputed = match &self.selected {
            Selected::Live(batch, event) if !located => batch.precomputed(*event, field),
            _ => PrecomputedValue::NotComputed,
        };
        let values = match precomputed {
            PrecomputedValue::None => CachedValues::None,
            PrecomputedValue::Text(text) => CachedValues::Text(text),
            PrecomputedValue::Number(number) => CachedValues::Number(number),
            PrecomputedValue::NotComputed => return self.read_record(field),
        };
        let extracted = self.extracted.get_mut(field)?;
        extracted.event = self.event;
        extracted.located = false;
        extracted.set(values);
        Some(extracted)
    }

    fn read_record(&mut self, field: usize) -> Option<&ExtractedField> {
        let extracted = self.extracted.get_mut(field)?;
        extracted.event = self.event;
        extracted.located = true;
        extracted.set(CachedValues::None);
        let Some(record) = record(&self.selected, &self.detached) else {
            return Some(extracted);
        };
        let view = &mut view(record, &mut self.keys, &mut self.keys_event, self.event);
        let texts = &mut TextBuilder {
            arena: &mut self.arena,
            scratch: &mut self.scratch,
        };
        texts.scratch.clear();
        match FIELDS.get(field)?.extractor {
            FieldExtractor::ImageIds => texts.set_image_ids(view, None, extracted),
            FieldExtractor::Policy(field) => {
                if self.policies_event != self.event {
                    self.policies_event = self.event;
                    self.policies.read(view);
                }
                texts.set_policy_field(field, &self.policies, extracted);
            }
            extractor => match fields::extract(extractor, view, texts.scratch) {
                FieldValue::None => {}
                FieldValue::Json(value) => texts.set_value(record.tape, Some(value), extracted),
                FieldValue::Text => {
                    extracted.set(CachedValues::Text(texts.arena.text(texts.scratch)))
                }
                FieldValue::Bool(value) => {
                    extracted.set(CachedValues::Text(fields::bool_text(value).as_ptr()))
                }
                FieldValue::Number(number, value) => {
                    extracted.set(CachedValues::Number(number));
                    extracted.range =
                        value.map_or((0, 0), |value| offset_range(record.tape, value));
                }
            },
        }
        Some(extracted)
    }

    fn extract_with(&mut self, field: usize, argument: Argument<'_>) -> Option<&ExtractedField> {
        let entry = self.with_argument.entry(field, argument)?;
        let extracted = &mut entry.extracted;
        if extracted.event == self.event {
            return Some(extracted);
        }
        extracted.event = self.event;
        extracted.values = CachedValues::None;
        let Some(record) = record(&self.selected, &self.detached) else {
            return Some(extracted);
        };
        let view = &mut view(record, &mut self.keys, &mut self.keys_event, self.event);
        let mut texts = TextBuilder {
            arena: &mut self.arena,
            scratch: &mut self.scratch,
        };
        match &entry.argument {
            CompiledArgument::Index(index) => texts.set_image_ids(view, Some(*index), extracted),
            CompiledArgument::Key(_, pointer) => {
                let value = pointer.as_ref().and_then(|pointer| pointer.value(view));
                texts.set_value(record.tape, value, extracted);
            }
        }
        Some(extracted)
    }
}

/// The record of the selected event.
fn record<'e>(selected: &'e Selected, detached: &'e DetachedEvent) -> Option<Record<'e>> {
    match selected {
        Selected::None => None,
        Selected::Live(batch, number) => batch.record(*number),
        Selected::Detached => detached.record(),
    }
}

/// The record with its key table, which is reset if it is of another event.
fn view<'r>(
    record: Record<'r>,
    keys: &'r mut KeyTable,
    keys_event: &mut u64,
    event: u64,
) -> RecordView<'r> {
    if *keys_event != event {
        *keys_event = event;
        keys.reset(record.index);
    }
    RecordView {
        tape: record.tape,
        keys,
    }
}

/// Makes C strings of JSON values.
struct TextBuilder<'e> {
    arena: &'e mut Arena,
    scratch: &'e mut Vec<u8>,
}

impl TextBuilder<'_> {
    /// Sets the text and the offset range of `value`, unless it is missing or null.
    #[inline]
    fn set_value(&mut self, tape: Tape<'_>, value: Option<Value>, extracted: &mut ExtractedField) {
        if let Some(value) = value
            && let Some(text) = self.text(tape, value)
        {
            extracted.values = CachedValues::Text(text);
            extracted.range = offset_range(tape, value);
        }
    }

    /// The text of `value`; `None` if it is null.
    #[inline]
    fn text(&mut self, tape: Tape<'_>, value: Value) -> Option<*const c_char> {
        if fields::plain_text(tape, value).is_some() {
            // With the closing quote, which the copy has a NUL for.
            return Some(self.arena.terminated(&tape.raw(value)[1..]));
        }
        self.scratch.clear();
        fields::append_text(tape, value, self.scratch).then(|| self.arena.text(self.scratch))
    }

    /// Sets what the policies say.
    fn set_policy_field(
        &mut self,
        field: PolicyField,
        policies: &PolicyReader,
        extracted: &mut ExtractedField,
    ) {
        if field != PolicyField::Accounts {
            let flag = policies.flag(field);
            extracted.values = flag.map_or(CachedValues::None, |flag| {
                CachedValues::Text(fields::bool_text(flag).as_ptr())
            });
            return;
        }
        extracted.texts.clear();
        extracted.ranges.clear();
        for account in policies.accounts() {
            self.scratch.clear();
            self.scratch.extend_from_slice(account);
            extracted.texts.push(self.arena.text(self.scratch));
            extracted.ranges.push((0, 0));
        }
        if !extracted.texts.is_empty() {
            extracted.values = CachedValues::List;
        }
    }

    /// Sets the image IDs: all of them, or the one with this index.
    fn set_image_ids(
        &mut self,
        view: &mut RecordView<'_>,
        index: Option<u64>,
        extracted: &mut ExtractedField,
    ) {
        let tape = view.tape;
        extracted.texts.clear();
        extracted.ranges.clear();
        fields::ec2_image_ids(view, |position, id| {
            if index.is_none_or(|index| index == position as u64)
                && let Some(text) = self.text(tape, id)
            {
                extracted.texts.push(text);
                extracted.ranges.push(offset_range(tape, id));
            }
        });
        extracted.values = match extracted.texts.is_empty() {
            true => CachedValues::None,
            false => CachedValues::List,
        };
    }
}

fn offset_range(tape: Tape<'_>, value: Value) -> OffsetRange {
    let start = PREFIX + tape.start(value);
    (start as u32, tape.raw(value).len() as u32)
}

#[cfg(test)]
mod tests;
