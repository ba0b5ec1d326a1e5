//! The filter of `dropEvents`: compiled once from the configuration, applied to every record on the decode threads.
//!
//! An object of the list becomes a matcher: tests of fields that must all succeed, the cheapest and most selective first.
//! Most tests compare bytes of the record with a text; texts that must be computed go to the batch's scratch memory, so
//! nothing is allocated per event.
#![forbid(unsafe_code)]

mod compile;
mod glob;

use std::fmt::{self, Display, Formatter};
use std::io::Write;

pub use self::compile::compile;

use self::glob::Globs;
use crate::batch::{EventFilter, Record};
use crate::fields::{self, CompiledArgument, FIELDS, FieldValue, ListItem, RecordView};
use crate::json::{Tape, Value};
use crate::key_table::KeyTable;

/// Drops the events that one of its matchers matches.
#[derive(Debug)]
struct DropFilter {
    matchers: Box<[Matcher]>,
}

/// One object of `dropEvents`.
#[derive(Debug)]
struct Matcher {
    /// In the order of evaluation.
    tests: Box<[FieldTest]>,
}

/// A test of one field.
#[derive(Debug)]
struct FieldTest {
    /// The field's number.
    field: usize,
    argument: Option<CompiledArgument>,
    /// Field and argument, as configured.
    name: Box<str>,
    expected: Expected,
}

/// What a field must have.
#[derive(Debug)]
enum Expected {
    /// No value.
    NoValue,
    /// A value that matches; of a list, one of its values.
    AnyOf(Globs),
}

impl EventFilter for DropFilter {
    fn drops(&self, record: Record<'_>, keys: &mut KeyTable, scratch: &mut Vec<u8>) -> bool {
        let view = &mut RecordView {
            tape: record.tape,
            keys,
        };
        let mut matchers = self.matchers.iter();
        matchers.any(|matcher| {
            let mut tests = matcher.tests.iter();
            tests.all(|test| test.succeeds(view, scratch))
        })
    }
}

impl FieldTest {
    #[inline]
    fn succeeds(&self, view: &mut RecordView<'_>, scratch: &mut Vec<u8>) -> bool {
        match &self.expected {
            Expected::NoValue => !self.any_value(view, scratch, |_| true),
            Expected::AnyOf(globs) => self.any_value(view, scratch, |text| globs.matches(text)),
        }
    }

    /// Whether `is_match` is true for the field's value, or for one of a list's.
    #[inline]
    fn any_value(
        &self,
        view: &mut RecordView<'_>,
        scratch: &mut Vec<u8>,
        is_match: impl Fn(&[u8]) -> bool,
    ) -> bool {
        let tape = view.tape;
        scratch.clear();
        let extractor = FIELDS[self.field].extractor;
        let argument = self.argument.as_ref();
        let value = match argument {
            None => fields::extract(extractor, view, scratch),
            Some(argument) => fields::extract_with(extractor, argument, view),
        };
        match value {
            FieldValue::None => false,
            FieldValue::Json(value) => matches_json(tape, value, scratch, is_match),
            FieldValue::Text => is_match(scratch),
            FieldValue::Bool(value) => is_match(fields::bool_text(value).to_bytes()),
            FieldValue::Number(number, _) => {
                // Writing to memory does not fail.
                let _ = write!(scratch, "{number}");
                is_match(scratch)
            }
            FieldValue::List => {
                let mut found = false;
                fields::each_item(extractor, argument, view, &mut |item| {
                    found |= match item {
                        ListItem::Json(value) => matches_json(tape, value, scratch, &is_match),
                        ListItem::Text(text) => is_match(text),
                    };
                });
                found
            }
        }
    }
}

#[inline]
fn matches_json(
    tape: Tape<'_>,
    value: Value,
    scratch: &mut Vec<u8>,
    is_match: impl Fn(&[u8]) -> bool,
) -> bool {
    if let Some(plain) = fields::plain_text(tape, value) {
        return is_match(plain);
    }
    scratch.clear();
    fields::append_text(tape, value, scratch) && is_match(scratch)
}

impl Display for DropFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, matcher) in self.matchers.iter().enumerate() {
            f.write_str(if at > 0 { "; or " } else { "" })?;
            for (at, test) in matcher.tests.iter().enumerate() {
                f.write_str(if at > 0 { " and " } else { "" })?;
                match &test.expected {
                    Expected::NoValue => write!(f, "{} has no value", test.name)?,
                    Expected::AnyOf(globs) => write!(f, "{} is {globs}", test.name)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
