//! Field usage: which fields the host extracts from most events. Their values are then precomputed.
//!
//! Rules use the same fields of every event, and the host extracts them on its one thread. [`UsageCounter`] counts
//! there; [`FieldUsage`] is the result, which decode threads read for each new batch.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::hot_fields::{HotFields, MAX_FIELDS};
use crate::fields::{FIELDS, FieldExtractor};

const _: () = assert!(FIELDS.len() <= MAX_FIELDS);

/// The current hot fields, shared by extraction and the decode threads.
#[derive(Debug, Default)]
pub struct FieldUsage(Mutex<Arc<HotFields>>);

impl FieldUsage {
    /// A usage in which the fields that `is_hot` selects by number are hot from the start.
    pub fn with(is_hot: impl Fn(usize) -> bool) -> Self {
        FieldUsage(Mutex::new(Arc::new(select(is_hot))))
    }

    /// The current hot fields.
    pub fn hot(&self) -> Arc<HotFields> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, hot: Arc<HotFields>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hot;
    }
}

/// The fields that `is_hot` selects by number, without those that cannot be precomputed: lists, fields whose value
/// depends on an argument, and fields that read policies, which have the memory for it in the extractor.
fn select(is_hot: impl Fn(usize) -> bool) -> HotFields {
    let precomputable = |field: &usize| {
        !matches!(
            FIELDS[*field].extractor,
            FieldExtractor::ImageIds | FieldExtractor::Pointer | FieldExtractor::Policy(_)
        )
    };
    (0..FIELDS.len())
        .filter(precomputable)
        .filter(|&field| is_hot(field))
        .collect()
}

/// Counts the fields that the host extracts, batch by batch.
#[derive(Debug)]
pub(super) struct UsageCounter {
    usage: Arc<FieldUsage>,
    hot: Arc<HotFields>,
    /// Events of the batch that each field was extracted from.
    counts: [u32; FIELDS.len()],
    /// Events of the batch that any field was extracted from.
    events: u32,
}

impl UsageCounter {
    /// A counter that updates `usage`.
    pub(super) fn new(usage: Arc<FieldUsage>) -> Self {
        UsageCounter {
            hot: usage.hot(),
            usage,
            counts: [0; FIELDS.len()],
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

    /// Ends a batch: updates the hot fields and starts from zero. A field becomes hot when it was extracted from half of
    /// the events, and stays hot while it is extracted from an eighth.
    pub(super) fn end_batch(&mut self) {
        /// Fewer events are no sample.
        const SAMPLE: u32 = 16;
        if self.events < SAMPLE {
            return;
        }
        let hot = select(|field| {
            let share = match self.hot.column(field) {
                Some(_) => self.events / 8,
                None => self.events / 2,
            };
            self.counts[field] >= share
        });
        if hot != *self.hot {
            self.hot = Arc::new(hot);
            self.usage.set(Arc::clone(&self.hot));
        }
        self.counts = [0; FIELDS.len()];
        self.events = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts a batch of 100 events, with each of these fields so many times.
    fn count_batch(counter: &mut UsageCounter, counts: &[(usize, u32)]) {
        (0..100).for_each(|_| counter.count_event());
        for &(field, count) in counts {
            (0..count).for_each(|_| counter.count_field(field));
        }
        counter.end_batch();
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
        counter.end_batch();
        assert_eq!(hot(&usage), [0; 0]);
    }

    #[test]
    fn all_fields_but_lists_pointers_and_policies_can_be_hot() {
        let all = select(|_| true);
        assert_eq!(all.len(), FIELDS.len() - 6);
        assert!(
            all.iter()
                .map(|field| all.column(field))
                .eq((0..all.len()).map(Some))
        );
    }
}
