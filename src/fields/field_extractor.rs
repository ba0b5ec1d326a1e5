//! How a field's value is found in a record: the kinds of extractors, and of what they yield.
#![forbid(unsafe_code)]

use super::policy::PolicyField;
use super::value::RecordView;
use crate::json::Value;
use crate::key_table::KnownKey;

/// Appends a field's text; returns whether there is a value.
pub(super) type TextExtractor = fn(&mut RecordView<'_>, &mut Vec<u8>) -> bool;

/// Calls a function with the items of a list and their places in it, in ascending order.
pub(super) type ListExtractor = fn(&mut RecordView<'_>, &mut dyn FnMut(usize, ListItem<'_>));

/// How a field's value is found in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldExtractor {
    /// It is the value of a key.
    Key(KnownKey),
    /// It is the value of a key, as a number of bytes.
    ByteCount(KnownKey),
    /// It is one of the record's values, chosen by a function.
    Value(fn(&mut RecordView<'_>) -> Option<Value>),
    /// It is one of the record's values in some records, and computed in others.
    Mixed(fn(&mut RecordView<'_>, &mut Vec<u8>) -> FieldValue),
    /// It is a text made of several values.
    Text(TextExtractor),
    /// It is a computed number.
    Number(fn(&mut RecordView<'_>) -> Option<u64>),
    /// It is a list, or the item at the place that the argument gives.
    List(ListExtractor),
    /// It is the value that the argument, a JSON pointer, refers to.
    Pointer,
    /// It is the same value as a number.
    PointerNumber,
    /// It is the list of values that the argument, a JSON pointer with wildcards, refers to.
    PointerList,
    /// It is what the policies in the request say, which a [`PolicyReader`](super::PolicyReader) reads.
    Policy(PolicyField),
}

/// A field's value for one record, before it is converted for the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldValue {
    /// No value. Also for fields that require an argument and get none, and for those that read policies.
    None,
    /// What [`append_text`](super::append_text) makes of this JSON value, which may be null.
    Json(Value),
    /// The text that was appended to the output.
    Text,
    /// The text `true` or `false`.
    Bool(bool),
    /// A number, and the JSON value that it was read from, unless it was computed from several.
    Number(u64, Option<Value>),
    /// What [`each_item`](super::each_item) yields, which may be nothing.
    List,
}

impl From<Option<Value>> for FieldValue {
    fn from(value: Option<Value>) -> Self {
        value.map_or(FieldValue::None, FieldValue::Json)
    }
}

/// One item of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListItem<'a> {
    /// A value of the record. Null is no item.
    Json(Value),
    /// A computed text without NUL.
    Text(&'a [u8]),
}
