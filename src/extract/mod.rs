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
mod event;
pub mod event_filter;
pub mod field_usage;
mod precompute;
mod usage_counter;
mod value;

use std::ffi::c_char;
use std::sync::Arc;

pub use argument::Argument;
pub use value::{ExtractedField, ExtractedValue};

use arena::ARENA_BYTES;
use argument::ArgumentCache;
use event::SelectedEvent;
use field_usage::FieldUsage;
use usage_counter::UsageCounter;

use crate::batch::Batch;
use crate::fields::{self, FIELDS};

/// Extracts fields from the selected event.
#[derive(Debug)]
pub struct Extractor {
    event: SelectedEvent,
    usage: UsageCounter,
    /// Values of the fields without an argument, by the number of the field.
    extracted: Box<[ExtractedField]>,
    with_argument: ArgumentCache,
    summary: Vec<u8>,
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
            event: SelectedEvent::default(),
            usage: UsageCounter::new(usage),
            extracted: FIELDS.iter().map(|_| ExtractedField::new()).collect(),
            with_argument: ArgumentCache::default(),
            summary: Vec::new(),
        }
    }

    /// Selects event `number` of `batch`.
    pub fn select_live(&mut self, batch: Arc<Batch>, number: usize) {
        self.usage.end_batch(&mut self.with_argument);
        self.usage.count_event();
        self.event.select_live(batch, number);
    }

    /// Selects the event at this address if it is in the batch of the selected one. Tries the next event first.
    #[inline]
    pub fn select_neighbor(&mut self, address: *const u8) -> bool {
        let selected = self.event.select_neighbor(address);
        if selected {
            self.usage.count_event();
        }
        selected
    }

    /// Selects a detached event with this payload.
    pub fn select_detached(&mut self, payload: &[u8]) {
        self.event.select_detached(payload);
    }

    /// Whether a detached event with this payload is selected.
    pub fn is_detached(&self, payload: &[u8]) -> bool {
        self.event.is_detached(payload)
    }

    /// Selects no event: no field has a value.
    pub fn select_none(&mut self) {
        self.event.select_none();
    }

    /// Starts a call: values of the last one may be dropped, those of this one stay until the next.
    #[inline]
    pub fn start_call(&mut self) {
        // The arena still has the texts of dropped values, and the host may extract from one event forever.
        if self.with_argument.start_call() {
            self.event.drop_texts();
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
            return self.extract_with(field, argument, located);
        }
        let cached = self.extracted.get(field)?;
        if self.event.has(cached, located) {
            return self.extracted.get(field);
        }
        self.extract_first(field, located)
    }

    fn extract_first(&mut self, field: usize, located: bool) -> Option<&ExtractedField> {
        self.usage.count_field(field);
        let extracted = self.extracted.get_mut(field)?;
        if !self.event.take_precomputed(field, located, extracted) {
            let extractor = FIELDS.get(field)?.extractor;
            self.event.read_record(extractor, None, extracted);
        }
        Some(extracted)
    }

    fn extract_with(
        &mut self,
        field: usize,
        argument: Argument<'_>,
        located: bool,
    ) -> Option<&ExtractedField> {
        let entry = self
            .with_argument
            .entry(field, argument, self.usage.usage())?;
        if self.event.has(&entry.extracted, located) {
            return Some(&entry.extracted);
        }
        entry.events += 1;
        let extracted = &mut entry.extracted;
        let precomputed = entry
            .number
            .is_some_and(|number| self.event.take_precomputed(number, located, extracted));
        if !precomputed {
            let extractor = FIELDS.get(field)?.extractor;
            self.event
                .read_record(extractor, Some(&entry.argument), extracted);
        }
        Some(extracted)
    }

    /// The selected event in one line, as hosts print it. The text stays until the next call of this method.
    pub fn summary(&mut self) -> Option<*const c_char> {
        let view = &mut self.event.view()?;
        if self.summary.capacity() > ARENA_BYTES {
            self.summary = Vec::new();
        }
        self.summary.clear();
        fields::summary(view, &mut self.summary);
        self.summary.push(0);
        Some(self.summary.as_ptr().cast())
    }
}

#[cfg(test)]
mod tests;
