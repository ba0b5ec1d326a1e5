//! The fields that rules use: their declarations, and how each is extracted from a record.
//!
//! [`FIELDS`] declares them, one row each, with an extractor that `extract` applies to a record.
//! To add a field, add a row there. If no single key of the record has the value, add a function
//! to `extractors`; if a key is new, add it to `crate::key_table`. Fields know records only, not files,
//! batches or the host.
#![forbid(unsafe_code)]

mod extractors;
mod pointer;
mod policy;
mod summary;
mod table;
mod value;
mod verbs;

pub(crate) use extractors::ec2_image_ids;
pub use pointer::Pointer;
pub(crate) use policy::{PolicyField, PolicyReader};
pub(crate) use summary::summary;
pub(crate) use table::FieldExtractor;
pub use table::{Arg, FIELDS, Field, FieldType, Property};
pub(crate) use value::{RecordView, append_text, plain_text};

use std::ffi::CStr;

use crate::json::Value;

/// A field's value for one record, before it is converted for the host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldValue {
    /// No value. Also for fields whose value depends on an argument, and those that read policies.
    None,
    /// What [`append_text`] makes of this JSON value, which may be null.
    Json(Value),
    /// The text that was appended to the output.
    Text,
    /// The text `true` or `false`.
    Bool(bool),
    /// A number, and the JSON value that it was read from, unless it was computed from several.
    Number(u64, Option<Value>),
}

/// Applies `extractor` to a record. Appends to `out` only for [`FieldValue::Text`].
#[inline]
pub(crate) fn extract(
    extractor: FieldExtractor,
    record: &mut RecordView<'_>,
    out: &mut Vec<u8>,
) -> FieldValue {
    let json = |value: Option<Value>| value.map_or(FieldValue::None, FieldValue::Json);
    match extractor {
        FieldExtractor::Key(key) => json(record.keys.value(record.tape, key)),
        FieldExtractor::Value(extract) => json(extract(record)),
        FieldExtractor::Mixed(extract) => extract(record, out),
        FieldExtractor::Text(extract) => {
            let before = out.len();
            if extract(record, out) {
                return FieldValue::Text;
            }
            out.truncate(before);
            FieldValue::None
        }
        FieldExtractor::Number(extract) => {
            extract(record).map_or(FieldValue::None, |number| FieldValue::Number(number, None))
        }
        FieldExtractor::ByteCount(key) => extractors::byte_count(record, key)
            .map_or(FieldValue::None, |(count, value)| {
                FieldValue::Number(count, Some(value))
            }),
        FieldExtractor::ImageIds | FieldExtractor::Pointer | FieldExtractor::Policy(_) => {
            FieldValue::None
        }
    }
}

/// The text of a [`FieldValue::Bool`].
pub(crate) fn bool_text(value: bool) -> &'static CStr {
    if value { c"true" } else { c"false" }
}
