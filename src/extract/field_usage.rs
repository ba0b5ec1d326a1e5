//! Field usage: which fields the host extracts from most events. Their values are then precomputed.
//!
//! Rules use the same fields of every event, and the host extracts them on its one thread. [`UsageCounter`] counts
//! there; [`FieldUsage`] is the result, which decode threads read for each new batch.
//!
//! A field without an argument has the number of its row in [`FIELDS`]. A field with an argument gets one of the
//! [`MAX_ARGUMENTS`] numbers behind these when it is first found hot, and keeps it, since batches that were made
//! earlier refer to it. A rule set has far fewer of them; further ones are extracted on demand.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::argument::ArgumentCache;
use crate::batch::hot_fields::{HotFields, MAX_FIELDS};
use crate::fields::{Arg, CompiledArgument, FIELDS, Field, FieldExtractor};

/// Most fields with an argument that can be hot, over the life of the plugin.
pub(super) const MAX_ARGUMENTS: usize = 64;

/// Number of all numbers.
const NUMBERS: usize = FIELDS.len() + MAX_ARGUMENTS;

const _: () = assert!(NUMBERS <= MAX_FIELDS);

/// The current hot fields, shared by extraction and the decode threads.
#[derive(Debug)]
pub struct FieldUsage {
    hot: Mutex<Arc<HotFields>>,
    /// Fields with an argument that were hot, each with its argument.
    arguments: Box<[OnceLock<(usize, CompiledArgument)>]>,
}

impl Default for FieldUsage {
    fn default() -> Self {
        FieldUsage::with(|_| false)
    }
}

impl FieldUsage {
    /// A usage in which the fields without an argument that `is_hot` selects by number are hot from the start.
    pub fn with(is_hot: impl Fn(usize) -> bool) -> Self {
        let hot = select(|number| number < FIELDS.len() && is_hot(number));
        FieldUsage {
            hot: Mutex::new(Arc::new(hot)),
            arguments: (0..MAX_ARGUMENTS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The current hot fields.
    pub fn hot(&self) -> Arc<HotFields> {
        Arc::clone(&self.hot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, hot: Arc<HotFields>) {
        *self.hot.lock().unwrap_or_else(PoisonError::into_inner) = hot;
    }

    /// The field with an argument that has this number: its extractor and its argument.
    #[inline]
    pub(super) fn argument(&self, number: usize) -> Option<(FieldExtractor, &CompiledArgument)> {
        let place = number.checked_sub(FIELDS.len())?;
        let (field, argument) = self.arguments.get(place)?.get()?;
        Some((FIELDS.get(*field)?.extractor, argument))
    }

    /// The number of a field with this argument, if it has one.
    fn number(&self, field: usize, argument: &CompiledArgument) -> Option<usize> {
        let place = self.arguments.iter().position(|place| {
            let assigned = place.get();
            assigned.is_some_and(|(other, its)| *other == field && its == argument)
        })?;
        Some(FIELDS.len() + place)
    }

    /// The number of a field with this argument. `None` if it has none and all are taken.
    fn assign_number(&self, field: usize, argument: &CompiledArgument) -> Option<usize> {
        self.number(field, argument).or_else(|| {
            let mut places = self.arguments.iter();
            let place = places.position(|place| place.set((field, argument.clone())).is_ok())?;
            Some(FIELDS.len() + place)
        })
    }
}

/// The fields that `is_hot` selects by number, without those whose value depends on an argument that is missing, and
/// those that read policies: the memory for that belongs to the event of an extractor.
fn select(is_hot: impl Fn(usize) -> bool) -> HotFields {
    let has_value = |number: &usize| {
        let field = FIELDS.get(*number);
        field.is_none_or(is_precomputable)
    };
    (0..NUMBERS)
        .filter(has_value)
        .filter(|&number| is_hot(number))
        .collect()
}

fn is_precomputable(field: &Field) -> bool {
    field.arg != Arg::RequiredKey && !matches!(field.extractor, FieldExtractor::Policy(_))
}

/// Counts the fields that the host extracts, batch by batch.
#[derive(Debug)]
pub(super) struct UsageCounter {
    usage: Arc<FieldUsage>,
    hot: Arc<HotFields>,
    /// Events of the batch that each field was extracted from.
    counts: [u32; NUMBERS],
    /// Events of the batch that any field was extracted from.
    events: u32,
}

impl UsageCounter {
    /// A counter that updates `usage`.
    pub(super) fn new(usage: Arc<FieldUsage>) -> Self {
        UsageCounter {
            hot: usage.hot(),
            usage,
            counts: [0; NUMBERS],
            events: 0,
        }
    }

    /// Counts an event.
    #[inline]
    pub(super) fn count_event(&mut self) {
        self.events += 1;
    }

    /// Counts the first extraction of this field from an event.
    #[inline]
    pub(super) fn count_field(&mut self, field: usize) {
        if let Some(count) = self.counts.get_mut(field) {
            *count += 1;
        }
    }

    /// The number of a field with this argument, if it has one.
    pub(super) fn number(&self, field: usize, argument: &CompiledArgument) -> Option<usize> {
        self.usage.number(field, argument)
    }

    /// Ends a batch: updates the hot fields and starts from zero. A field becomes hot when it was extracted from half of
    /// the events, and stays hot while it is extracted from an eighth.
    pub(super) fn end_batch(&mut self, arguments: &mut ArgumentCache) {
        /// Fewer events are no sample.
        const SAMPLE: u32 = 16;
        if self.events < SAMPLE {
            return;
        }
        for entry in arguments.entries_mut() {
            if entry.number.is_none() && entry.events >= self.events / 2 {
                entry.number = self.usage.assign_number(entry.field, &entry.argument);
            }
            if let Some(number) = entry.number {
                self.counts[number] += entry.events;
            }
            entry.events = 0;
        }
        let hot = select(|number| {
            let share = match self.hot.column(number) {
                Some(_) => self.events / 8,
                None => self.events / 2,
            };
            self.counts[number] >= share
        });
        if hot != *self.hot {
            self.hot = Arc::new(hot);
            self.usage.set(Arc::clone(&self.hot));
        }
        self.counts = [0; NUMBERS];
        self.events = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Argument;

    /// Counts a batch of 100 events, with each of these fields so many times.
    fn count_batch(counter: &mut UsageCounter, counts: &[(usize, u32)]) {
        (0..100).for_each(|_| counter.count_event());
        for &(field, count) in counts {
            (0..count).for_each(|_| counter.count_field(field));
        }
        counter.end_batch(&mut ArgumentCache::default());
    }

    fn hot(usage: &FieldUsage) -> Vec<usize> {
        usage.hot().iter().collect()
    }

    #[test]
    fn field_is_hot_from_half_of_the_events_until_less_than_an_eighth() {
        let usage = Arc::new(FieldUsage::default());
        let mut counter = UsageCounter::new(Arc::clone(&usage));
        count_batch(&mut counter, &[(3, 100), (1, 50), (2, 49)]);
        assert_eq!(hot(&usage), [1, 3]);
        count_batch(&mut counter, &[(3, 12), (1, 11)]);
        assert_eq!(hot(&usage), [3]);
        assert_eq!(usage.hot().column(3), Some(0));
        assert_eq!(usage.hot().column(1), None);
    }

    #[test]
    fn few_events_change_nothing() {
        let usage = Arc::new(FieldUsage::default());
        let mut counter = UsageCounter::new(Arc::clone(&usage));
        counter.count_event();
        counter.count_field(1);
        counter.end_batch(&mut ArgumentCache::default());
        assert_eq!(hot(&usage), [0; 0]);
    }

    #[test]
    fn all_fields_but_policies_and_those_that_require_an_argument_can_be_hot() {
        let usage = FieldUsage::with(|_| true);
        let all = usage.hot();
        let expected = FIELDS.iter().enumerate();
        let expected = expected.filter(|(_, field)| is_precomputable(field));
        assert!(all.iter().eq(expected.map(|(number, _)| number)));
        assert!(
            all.iter()
                .map(|field| all.column(field))
                .eq((0..all.len()).map(Some))
        );
    }

    /// Counts a batch of 100 events, each with these arguments of `ct.value`.
    fn count_keys(counter: &mut UsageCounter, cache: &mut ArgumentCache, keys: &[String]) {
        let field = FIELDS.iter().position(|field| field.name == "ct.value");
        let field = field.expect("a field");
        for _ in 0..100 {
            counter.count_event();
            for key in keys {
                let entry = cache.entry(field, Argument::Key(key), counter);
                entry.expect("an argument of this field").events += 1;
            }
        }
        counter.end_batch(cache);
    }

    #[test]
    fn field_with_an_argument_keeps_its_number_when_it_is_hot_again() {
        let usage = Arc::new(FieldUsage::default());
        let mut counter = UsageCounter::new(Arc::clone(&usage));
        let mut cache = ArgumentCache::default();
        let keys = |keys: &[&str]| Vec::from_iter(keys.iter().map(|key| key.to_string()));
        let first = FIELDS.len();
        count_keys(&mut counter, &mut cache, &keys(&["/a", "/b"]));
        assert_eq!(hot(&usage), [first, first + 1]);
        count_keys(&mut counter, &mut cache, &keys(&["/c"]));
        assert_eq!(hot(&usage), [first + 2]);
        // Also when its entry was evicted.
        let mut cache = ArgumentCache::default();
        count_keys(&mut counter, &mut cache, &keys(&["/b"]));
        assert_eq!(hot(&usage), [first + 1]);
    }

    #[test]
    fn hot_arguments_are_limited_in_number() {
        let usage = Arc::new(FieldUsage::default());
        let mut counter = UsageCounter::new(Arc::clone(&usage));
        let keys: Vec<_> = (0..100).map(|number| format!("/{number}")).collect();
        count_keys(&mut counter, &mut ArgumentCache::default(), &keys);
        assert_eq!(hot(&usage).len(), MAX_ARGUMENTS);
    }
}
