//! The extracted values of one field, as the host reads them.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::slice;

/// Location of a value's JSON text: offset from the event's first byte, and length, both in bytes. Zeros for a computed
/// value, whose text the event does not contain.
pub type OffsetRange = (u32, u32);

/// A field's values for one event. Its address does not change while the extractor lives.
#[derive(Debug)]
pub struct ExtractedField {
    /// The event, by its number; that of the extractor when this was extracted.
    pub(super) event: u64,
    pub(super) values: CachedValues,
    /// Whether the offset ranges were computed too.
    pub(super) located: bool,
    /// Offset range of a single value.
    pub(super) range: OffsetRange,
    /// The texts of a list. The host gets a pointer to them.
    pub(super) texts: Vec<*const c_char>,
    /// Offset ranges of a list.
    pub(super) ranges: Vec<OffsetRange>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum CachedValues {
    None,
    Text(*const c_char),
    Number(u64),
    /// `texts` and `ranges`.
    List,
}

/// The values of an `ExtractedField`, by reference: the host gets their addresses.
#[derive(Clone, Copy, Debug)]
pub enum ExtractedValue<'a> {
    /// No value.
    None,
    /// One text.
    Text(&'a *const c_char),
    /// One number.
    Number(&'a u64),
    /// Several texts, at least one.
    List(&'a [*const c_char]),
}

impl ExtractedField {
    /// A field that was extracted from no event yet.
    pub(super) fn new() -> Self {
        ExtractedField {
            event: 0,
            values: CachedValues::None,
            located: false,
            range: (0, 0),
            texts: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Sets values that the event does not contain.
    pub(super) fn set(&mut self, values: CachedValues) {
        self.values = values;
        self.range = (0, 0);
    }

    /// The values.
    pub fn value(&self) -> ExtractedValue<'_> {
        match &self.values {
            CachedValues::None => ExtractedValue::None,
            CachedValues::Text(text) => ExtractedValue::Text(text),
            CachedValues::Number(number) => ExtractedValue::Number(number),
            CachedValues::List => ExtractedValue::List(&self.texts),
        }
    }

    /// One offset range for each value, if it was extracted with them.
    pub fn offset_ranges(&self) -> &[OffsetRange] {
        match self.values {
            CachedValues::None => &[],
            CachedValues::Text(_) | CachedValues::Number(_) => slice::from_ref(&self.range),
            CachedValues::List => &self.ranges,
        }
    }
}
