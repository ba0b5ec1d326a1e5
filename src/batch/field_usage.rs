//! Which fields the host asks of most events, so that they are worked out ahead.
//!
//! Rules ask the same fields of every event, on the host's one thread. A decode thread has the
//! record at hand, in its core's cache, so it answers these questions before they are asked.
//! Extraction counts what is asked; decode threads look at what came of that with each new batch.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use crate::fields::{FIELDS, FieldExtractor};

/// Fields that are worked out ahead, shared by extraction and the decode threads.
#[derive(Debug, Default)]
pub struct FieldUsage(Mutex<Arc<HotFields>>);

impl FieldUsage {
    /// The fields that are to be worked out from now on.
    pub fn wanted(&self) -> Arc<HotFields> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All fields that can be.
    #[cfg(test)]
    pub(crate) fn all() -> FieldUsage {
        FieldUsage(Mutex::new(Arc::new(HotFields::of(|_| true))))
    }

    fn set(&self, wanted: HotFields) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(wanted);
    }
}

/// A set of fields, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotFields {
    fields: [u8; FIELDS.len()],
    /// How many of `fields` there are.
    count: usize,
    /// For each field of [`FIELDS`] its place in `fields`.
    places: [u8; FIELDS.len()],
}

/// No place.
const NONE: u8 = u8::MAX;

impl Default for HotFields {
    fn default() -> Self {
        HotFields {
            fields: [NONE; FIELDS.len()],
            count: 0,
            places: [NONE; FIELDS.len()],
        }
    }
}

impl HotFields {
    /// The numbers of the fields.
    pub fn fields(&self) -> impl Iterator<Item = usize> {
        let fields = self.fields.iter().take(self.count);
        fields.map(|&field| usize::from(field))
    }

    /// How many they are.
    #[allow(clippy::len_without_is_empty)] // Nobody asks.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Where among the fields the one with this number is.
    #[inline]
    pub fn place(&self, field: usize) -> Option<usize> {
        match self.places.get(field) {
            None | Some(&NONE) => None,
            Some(&place) => Some(usize::from(place)),
        }
    }

    /// The fields whose number `wanted` picks. Lists, and what depends on an argument, are never
    /// among them: they are looked for when they are asked for.
    pub fn of(wanted: impl Fn(usize) -> bool) -> HotFields {
        let mut all = HotFields::default();
        for (field, place) in all.places.iter_mut().enumerate() {
            let alone = !matches!(
                FIELDS[field].extractor,
                FieldExtractor::ImageIds | FieldExtractor::Pointer
            );
            if alone && wanted(field) {
                *place = all.count as u8;
                all.fields[all.count] = field as u8;
                all.count += 1;
            }
        }
        all
    }
}

/// Counts what a host asks, batch by batch.
#[derive(Debug)]
pub struct Asked {
    demand: Arc<FieldUsage>,
    wanted: Arc<HotFields>,
    counts: [u32; FIELDS.len()],
    events: u32,
}

impl Asked {
    /// Nothing yet; what comes of it is told to `demand`.
    pub fn new(demand: Arc<FieldUsage>) -> Self {
        Asked {
            wanted: demand.wanted(),
            demand,
            counts: [0; FIELDS.len()],
            events: 0,
        }
    }

    /// Another event is looked at.
    #[inline]
    pub fn event(&mut self) {
        self.events += 1;
    }

    /// It is asked for this field, for the first time.
    #[inline]
    pub fn field(&mut self, field: usize) {
        if let Some(count) = self.counts.get_mut(field) {
            *count += 1;
        }
    }

    /// A batch is done with. A field comes in when half of its events were asked for it, and goes
    /// out when fewer than an eighth were.
    pub fn batch(&mut self) {
        /// Fewer events say little.
        const ENOUGH: u32 = 16;
        if self.events < ENOUGH {
            return;
        }
        let wanted = HotFields::of(|field| {
            let share = match self.wanted.place(field) {
                Some(_) => self.events / 8,
                None => self.events / 2,
            };
            self.counts[field] >= share
        });
        if wanted != *self.wanted {
            self.demand.set(wanted);
            self.wanted = self.demand.wanted();
        }
        self.counts = [0; FIELDS.len()];
        self.events = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of 100 events that are asked for each of these fields so many times.
    fn batches(asked: &mut Asked, counts: &[(usize, u32)]) {
        (0..100).for_each(|_| asked.event());
        for &(field, count) in counts {
            (0..count).for_each(|_| asked.field(field));
        }
        asked.batch();
    }

    fn wanted(demand: &FieldUsage) -> Vec<usize> {
        demand.wanted().fields().collect()
    }

    #[test]
    fn what_half_of_the_events_are_asked_for_is_wanted_until_hardly_any_is() {
        let demand = Arc::new(FieldUsage::default());
        let mut asked = Asked::new(Arc::clone(&demand));
        batches(&mut asked, &[(3, 100), (1, 50), (2, 49)]);
        assert_eq!(wanted(&demand), [1, 3]);
        batches(&mut asked, &[(3, 12), (1, 11)]);
        assert_eq!(wanted(&demand), [3]);
        assert_eq!(demand.wanted().place(3), Some(0));
        assert_eq!(demand.wanted().place(1), None);
    }

    #[test]
    fn few_events_change_nothing() {
        let demand = Arc::new(FieldUsage::default());
        let mut asked = Asked::new(Arc::clone(&demand));
        asked.event();
        asked.field(1);
        asked.batch();
        assert_eq!(wanted(&demand), [0; 0]);
    }

    #[test]
    fn every_field_has_a_place_of_its_own() {
        assert!(FIELDS.len() < usize::from(NONE));
        let all = HotFields::of(|_| true);
        let places: Vec<_> = all.fields().map(|field| all.place(field)).collect();
        assert!(places.iter().copied().eq((0..places.len()).map(Some)));
        assert_eq!(
            places.len(),
            FIELDS.len() - 2,
            "but for the list and the pointer"
        );
    }
}
