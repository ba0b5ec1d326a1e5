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

/// Location of a value: four times the offset of its first byte, plus its kind. One batch has far fewer than 1 GiB of
/// values.
type Location = u32;

/// Kinds of values in a [`Location`].
const TEXT: Location = 0;
const NUMBER: Location = 1;
const LIST: Location = 2;

/// The event has no value for the field.
const NO_VALUE: Location = Location::MAX;

/// The value was not computed.
const NOT_COMPUTED: Location = Location::MAX - 1;

/// Longest record whose values are computed, in bytes: of a longer one they could take many times its memory.
const LONGEST: usize = 64 << 10;

/// Bytes of values after which the rest of a row is not computed: several fields may each have all of the record.
const ROW_BYTES: usize = 4 * LONGEST;

/// Length of a list, before its texts.
type ListLen = u32;

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
    /// Nothing: there is no way to compute the value now.
    NotComputed,
    /// Nothing: the event has no value for the field.
    Nothing,
    /// A text without NUL.
    Text,
    /// Nothing either, but the value is this number.
    Number(u64),
    /// A list, as [`ListWriter`] appends it.
    List,
}

/// Appends the texts of a list.
pub struct ListWriter<'v> {
    values: &'v mut Vec<u8>,
    start: usize,
    len: ListLen,
}

impl<'v> ListWriter<'v> {
    /// Starts a list at the end of `values`.
    pub fn new(values: &'v mut Vec<u8>) -> Self {
        let start = values.len();
        values.extend_from_slice(&ListLen::default().to_ne_bytes());
        ListWriter {
            values,
            start,
            len: 0,
        }
    }

    /// Adds the text without NUL that `append` appends, if it returns `true`; otherwise it must append nothing.
    pub fn push(&mut self, append: impl FnOnce(&mut Vec<u8>) -> bool) {
        if append(self.values) {
            self.values.push(0);
            self.len += 1;
        }
    }

    /// Ends the list. An empty one is no value.
    pub fn finish(self) -> Appended {
        if self.len == 0 {
            self.values.truncate(self.start);
            return Appended::Nothing;
        }
        let start = &mut self.values[self.start..];
        start[..size_of::<ListLen>()].copy_from_slice(&self.len.to_ne_bytes());
        Appended::List
    }
}

/// A field's precomputed value for one event.
#[derive(Clone, Copy, Debug)]
pub enum PrecomputedValue<'b> {
    /// The value was not computed.
    NotComputed,
    /// The event has no value for the field.
    None,
    /// A text that ends with a NUL, valid until the batch is cleared or dropped.
    Text(*const c_char),
    /// A number.
    Number(u64),
    /// A list of texts like [`PrecomputedValue::Text`], at least one.
    List(PrecomputedTexts<'b>),
}

/// Iterator over the texts of a list.
#[derive(Clone, Copy, Debug)]
pub struct PrecomputedTexts<'b> {
    /// The remaining texts, and other values after them.
    bytes: &'b [u8],
    remaining: ListLen,
}

impl Iterator for PrecomputedTexts<'_> {
    type Item = *const c_char;

    fn next(&mut self) -> Option<*const c_char> {
        self.remaining = self.remaining.checked_sub(1)?;
        let text = self.bytes;
        // A text without a NUL must not get out.
        let end = memchr::memchr(0, text)?;
        self.bytes = &text[end + 1..];
        Some(text.as_ptr().cast())
    }
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
        let limit = values.len() + ROW_BYTES;
        self.locations.extend(self.fields.iter().map(|field| {
            let start = 4 * values.len() as Location;
            if values.len() > limit {
                return NOT_COMPUTED;
            }
            match append(field, values) {
                Appended::NotComputed => NOT_COMPUTED,
                Appended::Nothing => NO_VALUE,
                Appended::Text => {
                    values.push(0);
                    start + TEXT
                }
                Appended::Number(number) => {
                    values.extend_from_slice(&number.to_ne_bytes());
                    start + NUMBER
                }
                Appended::List => start + LIST,
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
            computed.then_some(location as usize / 4)
        });
        self.locations.truncate(row);
        if let Some(end) = end {
            self.values.truncate(end);
        }
    }

    /// The value of a field for the event with this number.
    #[inline]
    pub(super) fn value(&self, event: usize, field: usize) -> PrecomputedValue<'_> {
        let Some(column) = self.fields.column(field) else {
            return PrecomputedValue::NotComputed;
        };
        let row = event * self.fields.len();
        let location = match self.locations.get(row + column) {
            None | Some(&NOT_COMPUTED) => return PrecomputedValue::NotComputed,
            Some(&NO_VALUE) => return PrecomputedValue::None,
            Some(&location) => location,
        };
        let value = self.values.get(location as usize / 4..).unwrap_or_default();
        match location % 4 {
            // Not even a NUL, so there must be no pointer to it.
            TEXT if value.is_empty() => PrecomputedValue::NotComputed,
            TEXT => PrecomputedValue::Text(value.as_ptr().cast()),
            NUMBER => value
                .first_chunk()
                .map_or(PrecomputedValue::NotComputed, |number| {
                    PrecomputedValue::Number(u64::from_ne_bytes(*number))
                }),
            _ => value
                .split_first_chunk()
                .map_or(PrecomputedValue::NotComputed, |(len, bytes)| {
                    PrecomputedValue::List(PrecomputedTexts {
                        bytes,
                        remaining: ListLen::from_ne_bytes(*len),
                    })
                }),
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
