//! Counter of the fields that the host extracts.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::argument::ArgumentCache;
use super::field_usage::{FieldUsage, NUMBERS, select};
use crate::batch::hot_fields::HotFields;

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

    /// The usage that this counter updates.
    pub(super) fn usage(&self) -> &FieldUsage {
        &self.usage
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
    use super::super::field_usage::MAX_ARGUMENTS;
    use super::*;
    use crate::extract::Argument;
    use crate::fields::FIELDS;

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

    /// Counts a batch of 100 events, each with these arguments of `ct.value`.
    fn count_keys(counter: &mut UsageCounter, cache: &mut ArgumentCache, keys: &[String]) {
        let field = FIELDS.iter().position(|field| field.name == "ct.value");
        let field = field.expect("a field");
        for _ in 0..100 {
            counter.count_event();
            for key in keys {
                let entry = cache.entry(field, Argument::Key(key), counter.usage());
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
