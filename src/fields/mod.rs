//! The fields that rules use: their declarations, and how each is extracted from a record.
//!
//! [`FIELDS`] declares them, one row each, with an extractor that `extract` applies to a record.
//! To add a field, add a row there. If no single key of the record has the value, add a function
//! to `extractors` or `lists`; if a key is new, add it to `crate::key_table`. Fields know records only, not
//! files, batches or the host.
#![forbid(unsafe_code)]

mod argument;
mod extractors;
mod field_extractor;
mod lists;
mod pattern;
mod pointer;
mod policy;
mod summary;
mod table;
mod value;
mod verbs;

pub(crate) use argument::CompiledArgument;
pub(crate) use field_extractor::{FieldExtractor, FieldValue, ListItem};
pub use pattern::Pattern;
pub use pointer::Pointer;
pub(crate) use policy::{PolicyField, PolicyReader};
pub(crate) use summary::summary;
pub use table::{Arg, FIELDS, Field, FieldType, Property};
pub(crate) use value::{RecordView, append_text, plain_text};

use std::ffi::CStr;

/// Applies `extractor` to a record. Appends to `out` only for [`FieldValue::Text`].
#[inline(always)] // Into the loop over a record's fields.
pub(crate) fn extract(
    extractor: FieldExtractor,
    record: &mut RecordView<'_>,
    out: &mut Vec<u8>,
) -> FieldValue {
    match extractor {
        FieldExtractor::Key(key) => record.keys.value(record.tape, key).into(),
        FieldExtractor::Value(extract) => extract(record).into(),
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
        FieldExtractor::List(_) => FieldValue::List,
        FieldExtractor::Pointer
        | FieldExtractor::PointerNumber
        | FieldExtractor::PointerList
        | FieldExtractor::Policy(_) => FieldValue::None,
    }
}

/// Applies `extractor` with an argument that was compiled for it.
pub(crate) fn extract_with(
    extractor: FieldExtractor,
    argument: &CompiledArgument,
    record: &mut RecordView<'_>,
) -> FieldValue {
    match (extractor, argument) {
        (FieldExtractor::Pointer, CompiledArgument::Pointer(pointer)) => {
            pointer.value(record).into()
        }
        (FieldExtractor::PointerNumber, CompiledArgument::Pointer(pointer)) => pointer
            .value(record)
            .and_then(|value| Some((value::number(record.tape, value)?, value)))
            .map_or(FieldValue::None, |(number, value)| {
                FieldValue::Number(number, Some(value))
            }),
        (FieldExtractor::PointerList, CompiledArgument::Pattern(_))
        | (FieldExtractor::List(_), CompiledArgument::Index(_)) => FieldValue::List,
        _ => FieldValue::None,
    }
}

/// Calls `each` with the items of a [`FieldValue::List`]. Items that are null have no value.
pub(crate) fn each_item(
    extractor: FieldExtractor,
    argument: Option<&CompiledArgument>,
    record: &mut RecordView<'_>,
    each: &mut dyn FnMut(ListItem<'_>),
) {
    match (extractor, argument) {
        (FieldExtractor::List(extract), None) => extract(record, &mut |_, item| each(item)),
        (FieldExtractor::List(extract), Some(CompiledArgument::Index(index))) => {
            extract(record, &mut |position, item| {
                if position as u64 == *index {
                    each(item);
                }
            });
        }
        (FieldExtractor::PointerList, Some(CompiledArgument::Pattern(pattern))) => {
            pattern.values(record, &mut |value| each(ListItem::Json(value)));
        }
        _ => {}
    }
}

/// The text of a [`FieldValue::Bool`].
pub(crate) fn bool_text(value: bool) -> &'static CStr {
    if value { c"true" } else { c"false" }
}
