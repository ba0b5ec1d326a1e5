//! Precomputed values: those of hot fields, computed on the decode thread while the record is in its core's cache.
//!
//! A batch stores them and knows nothing about fields. [`Precompute`] computes them; the composition root
//! passes an implementation to the pipeline.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::fmt::Debug;
use std::sync::Arc;

use super::Record;
use super::hot_fields::HotFields;
use crate::key_table::KeyTable;

/// Location of a value: twice the offset of its first byte, plus one if it is a number.
type Location = u32;

/// The event has no value for the field.
const NO_VALUE: Location = Location::MAX;

/// The value was not computed.
const NOT_COMPUTED: Location = Location::MAX - 1;

/// Longest record whose values are computed, in bytes: of a longer one they could take many times its memory.
const LONGEST: usize = 64 << 10;

/// Computes field values of records that become events.
pub trait Precompute: Debug + Send + Sync {
    /// The fields whose values the next batch gets.
    fn hot_fields(&self) -> Arc<HotFields>;

    /// Computes the values of one record, whose key table is `keys`; see `Row::fill`.
    fn compute(&self, record: Record<'_>, keys: &mut KeyTable, row: Row<'_>);
}

/// What was appended to a batch's values for one field.
#[derive(Clone, Copy, Debug)]
pub enum Appended {
    /// Nothing: the event has no value for the field.
    Nothing,
    /// A text without NUL.
    Text,
    /// Nothing either, but the value is this number.
    Number(u64),
}

/// A field's precomputed value for one event.
#[derive(Clone, Copy, Debug)]
pub enum PrecomputedValue {
    /// The value was not computed.
    NotComputed,
    /// The event has no value for the field.
    None,
    /// A text that ends with a NUL, valid until the batch is cleared or dropped.
    Text(*const c_char),
    /// A number.
    Number(u64),
}

/// The precomputed values of a batch's events.
#[derive(Debug, Default)]
pub(super) struct PrecomputedValues {
    computer: Option<Arc<dyn Precompute>>,
    fields: Arc<HotFields>,
    /// Texts, each with a NUL at its end, and the bytes of numbers.
    values: Vec<u8>,
    /// One row for each event, one column for each field.
    locations: Vec<Location>,
}

/// The row of the next event. Dropped without a complete [`Row::fill`], it removes what was added: part of a row would
/// shift all rows after it.
pub struct Row<'a> {
    fields: &'a HotFields,
    values: &'a mut Vec<u8>,
    locations: &'a mut Vec<Location>,
    /// Lengths of `values` and `locations` without what is incomplete.
    complete: (usize, usize),
}

impl Row<'_> {
    /// Calls `append` for each field; it appends the value to the buffer that it gets.
    #[inline]
    pub fn fill(mut self, mut append: impl FnMut(usize, &mut Vec<u8>) -> Appended) {
        let values = &mut *self.values;
        self.locations.extend(self.fields.iter().map(|field| {
            let location = 2 * values.len() as Location;
            match append(field, values) {
                Appended::Nothing => NO_VALUE,
                Appended::Text => {
                    values.push(0);
                    location
                }
                Appended::Number(number) => {
                    values.extend_from_slice(&number.to_ne_bytes());
                    location + 1
                }
            }
        }));
        self.complete = (self.values.len(), self.locations.len());
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.values.truncate(self.complete.0);
        self.locations.truncate(self.complete.1);
    }
}

impl PrecomputedValues {
    /// Uses `computer` for all events from the first one on.
    pub(super) fn start(&mut self, computer: &Arc<dyn Precompute>) {
        self.fields = computer.hot_fields();
        self.computer = Some(Arc::clone(computer));
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.locations.clear();
    }

    /// Whether values are computed at all.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.computer.is_some() && !self.fields.is_empty()
    }

    /// Adds the next event: all of its values, or none if this panics.
    #[inline]
    pub(super) fn push(&mut self, record: Record<'_>, keys: &mut KeyTable) {
        let Some(computer) = self.computer.as_ref().filter(|_| !self.fields.is_empty()) else {
            return;
        };
        let row_end = self.locations.len() + self.fields.len();
        if record.tape.text().len() <= LONGEST {
            let complete = (self.values.len(), self.locations.len());
            let row = Row {
                fields: &self.fields,
                values: &mut self.values,
                locations: &mut self.locations,
                complete,
            };
            computer.compute(record, keys, row);
        }
        self.locations.resize(row_end, NOT_COMPUTED);
    }

    /// Drops all but the values of the first `events` events.
    pub(super) fn truncate(&mut self, events: usize) {
        let row = events * self.fields.len();
        let end = self.locations.iter().skip(row).find_map(|&location| {
            let computed = location != NO_VALUE && location != NOT_COMPUTED;
            computed.then_some(location as usize / 2)
        });
        self.locations.truncate(row);
        if let Some(end) = end {
            self.values.truncate(end);
        }
    }

    /// The value of a field for the event with this number.
    #[inline]
    pub(super) fn value(&self, event: usize, field: usize) -> PrecomputedValue {
        let Some(column) = self.fields.column(field) else {
            return PrecomputedValue::NotComputed;
        };
        let row = event * self.fields.len();
        let location = match self.locations.get(row + column) {
            None | Some(&NOT_COMPUTED) => return PrecomputedValue::NotComputed,
            Some(&NO_VALUE) => return PrecomputedValue::None,
            Some(&location) => location,
        };
        let value = self.values.get(location as usize / 2..).unwrap_or_default();
        match (location % 2, value.first_chunk()) {
            // Not even a NUL, so there must be no pointer to it.
            (0, _) if value.is_empty() => PrecomputedValue::NotComputed,
            (0, _) => PrecomputedValue::Text(value.as_ptr().cast()),
            (_, Some(number)) => PrecomputedValue::Number(u64::from_ne_bytes(*number)),
            (_, None) => PrecomputedValue::NotComputed,
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.values
    }

    /// Bytes in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.values.len() + self.locations.len() * size_of::<Location>()
    }

    /// Bytes of memory allocated.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.values.capacity() + self.locations.capacity() * size_of::<Location>()
    }
}
