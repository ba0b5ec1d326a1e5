//! The selected event: finds its record, and stores values of the record where the host reads them.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::sync::Arc;

use super::arena::Arena;
use super::detached::DetachedEvent;
use super::value::{CachedValues, ExtractedField, OffsetRange};
use crate::batch::{Batch, PrecomputedValue, Record};
use crate::event_layout::PREFIX;
use crate::fields::{
    self, CompiledArgument, FieldExtractor, FieldValue, ListItem, PolicyField, PolicyReader,
    RecordView,
};
use crate::json::{Tape, Value};
use crate::key_table::KeyTable;

/// The event that fields are extracted from.
#[derive(Debug, Default)]
pub(super) struct SelectedEvent {
    selected: Selected,
    detached: DetachedEvent,
    /// Number of the event. Extracted values with another number are stale.
    number: u64,
    keys: KeyTable,
    /// The event that `keys` is of.
    keys_event: u64,
    policies: PolicyReader,
    /// The event that `policies` has read.
    policies_event: u64,
    arena: Arena,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
enum Selected {
    #[default]
    None,
    /// An event of a live batch, by its number.
    Live(Arc<Batch>, usize),
    Detached,
}

impl SelectedEvent {
    /// Selects event `number` of `batch`.
    pub(super) fn select_live(&mut self, batch: Arc<Batch>, number: usize) {
        self.start(false);
        self.selected = Selected::Live(batch, number);
    }

    /// Selects the event at this address if it is in the batch of the selected one. Tries the next event first.
    #[inline]
    pub(super) fn select_neighbor(&mut self, address: *const u8) -> bool {
        let Selected::Live(batch, current) = &mut self.selected else {
            return false;
        };
        let Some(number) = batch.find(address, *current + 1) else {
            return false;
        };
        *current = number;
        self.start(true);
        true
    }

    /// Selects a detached event with this payload.
    pub(super) fn select_detached(&mut self, payload: &[u8]) {
        if self.is_detached(payload) {
            return;
        }
        self.start(false);
        // Before the batch is dropped: the payload may be in it, if the host extracts from an event that it has returned.
        self.detached.parse(payload);
        self.selected = Selected::Detached;
    }

    /// Whether a detached event with this payload is selected.
    pub(super) fn is_detached(&self, payload: &[u8]) -> bool {
        matches!(self.selected, Selected::Detached) && self.detached.payload() == payload
    }

    /// Selects no event.
    pub(super) fn select_none(&mut self) {
        self.start(false);
        self.selected = Selected::None;
    }

    fn start(&mut self, same_batch: bool) {
        self.number += 1;
        if !same_batch || self.arena.is_full() {
            self.arena.reset();
        }
    }

    /// Drops all texts if there are many. Extracted values become stale.
    pub(super) fn drop_texts(&mut self) {
        if self.arena.is_full() {
            self.start(false);
        }
    }

    /// Whether `extracted` is of this event, and has offset ranges if `located`.
    #[inline]
    pub(super) fn has(&self, extracted: &ExtractedField, located: bool) -> bool {
        extracted.event == self.number && (extracted.located || !located)
    }

    /// Sets the precomputed value of a field or hot argument, by its number. Returns `false` if there is none, or the
    /// value must be `located`.
    #[inline(always)]
    pub(super) fn take_precomputed(
        &self,
        number: usize,
        located: bool,
        extracted: &mut ExtractedField,
    ) -> bool {
        let precomputed = match &self.selected {
            Selected::Live(batch, event) if !located => batch.precomputed(*event, number),
            _ => return false,
        };
        let values = match precomputed {
            PrecomputedValue::NotComputed => return false,
            PrecomputedValue::None => CachedValues::None,
            PrecomputedValue::Text(text) => CachedValues::Text(text),
            PrecomputedValue::Number(number) => CachedValues::Number(number),
            PrecomputedValue::List(texts) => {
                extracted.texts.clear();
                extracted.texts.extend(texts);
                CachedValues::List
            }
        };
        extracted.event = self.number;
        extracted.located = false;
        extracted.set(values);
        true
    }

    /// Extracts a value from the record, with offset ranges.
    pub(super) fn read_record(
        &mut self,
        extractor: FieldExtractor,
        argument: Option<&CompiledArgument>,
        extracted: &mut ExtractedField,
    ) {
        extracted.event = self.number;
        extracted.located = true;
        extracted.set(CachedValues::None);
        let Some(record) = record(&self.selected, &self.detached) else {
            return;
        };
        let view = &mut view(record, &mut self.keys, &mut self.keys_event, self.number);
        let texts = &mut TextBuilder {
            arena: &mut self.arena,
            scratch: &mut self.scratch,
        };
        texts.scratch.clear();
        if let FieldExtractor::Policy(field) = extractor {
            if self.policies_event != self.number {
                self.policies_event = self.number;
                self.policies.read(view);
            }
            texts.set_policy_field(record.tape, field, &self.policies, extracted);
            return;
        }
        let value = match argument {
            None => fields::extract(extractor, view, texts.scratch),
            Some(argument) => fields::extract_with(extractor, argument, view),
        };
        match value {
            FieldValue::None => {}
            FieldValue::Json(value) => {
                if let Some(text) = texts.text(record.tape, value) {
                    extracted.values = CachedValues::Text(text);
                    extracted.range = offset_range(record.tape, value);
                }
            }
            FieldValue::Text => {
                extracted.values = CachedValues::Text(texts.arena.text(texts.scratch));
            }
            FieldValue::Bool(value) => {
                extracted.values = CachedValues::Text(fields::bool_text(value).as_ptr());
            }
            FieldValue::Number(number, value) => {
                extracted.values = CachedValues::Number(number);
                extracted.range = value.map_or((0, 0), |value| offset_range(record.tape, value));
            }
            FieldValue::List => {
                extracted.texts.clear();
                extracted.ranges.clear();
                fields::each_item(extractor, argument, view, &mut |item| {
                    texts.push(record.tape, item, extracted);
                });
                if !extracted.texts.is_empty() {
                    extracted.values = CachedValues::List;
                }
            }
        }
    }

    /// The record with its key table.
    pub(super) fn view(&mut self) -> Option<RecordView<'_>> {
        let record = record(&self.selected, &self.detached)?;
        Some(view(
            record,
            &mut self.keys,
            &mut self.keys_event,
            self.number,
        ))
    }

    #[cfg(test)]
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }
}

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

/// Makes C strings of values.
struct TextBuilder<'e> {
    arena: &'e mut Arena,
    scratch: &'e mut Vec<u8>,
}

impl TextBuilder<'_> {
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

    /// Sets what policies say.
    fn set_policy_field(
        &mut self,
        tape: Tape<'_>,
        field: PolicyField,
        policies: &PolicyReader,
        extracted: &mut ExtractedField,
    ) {
        if let Some(flag) = policies.flag(field) {
            extracted.values = CachedValues::Text(fields::bool_text(flag).as_ptr());
        }
        if field == PolicyField::Accounts {
            extracted.texts.clear();
            extracted.ranges.clear();
            for account in policies.accounts() {
                self.push(tape, ListItem::Text(account), extracted);
            }
            if !extracted.texts.is_empty() {
                extracted.values = CachedValues::List;
            }
        }
    }

    /// Adds an item of a list, unless it is null.
    fn push(&mut self, tape: Tape<'_>, item: ListItem<'_>, extracted: &mut ExtractedField) {
        let (text, range) = match item {
            ListItem::Json(value) => (self.text(tape, value), offset_range(tape, value)),
            ListItem::Text(text) => {
                self.scratch.clear();
                self.scratch.extend_from_slice(text);
                (Some(self.arena.text(self.scratch)), (0, 0))
            }
        };
        if let Some(text) = text {
            extracted.texts.push(text);
            extracted.ranges.push(range);
        }
    }
}

fn offset_range(tape: Tape<'_>, value: Value) -> OffsetRange {
    let start = PREFIX + tape.start(value);
    (start as u32, tape.raw(value).len() as u32)
}
