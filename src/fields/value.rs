//! JSON values to the texts that fields give to the host.

use std::borrow::Cow;

use crate::json::{Tape, Value, ValueType, text};
use crate::key_table::{KeyTable, KnownKey};

/// One record, as extractors read it.
#[derive(Debug)]
pub(crate) struct RecordView<'r> {
    /// The record's tape.
    pub(crate) tape: Tape<'r>,
    /// The values of its known keys.
    pub(crate) keys: &'r mut KeyTable,
}

impl<'r> RecordView<'r> {
    /// The value of `key`; `None` if it is missing or null.
    pub(super) fn value(&mut self, key: KnownKey) -> Option<Value> {
        let value = self.keys.value(self.tape, key)?;
        (!self.tape.is_null(value)).then_some(value)
    }

    /// The value of `key`, else that of `other`.
    pub(super) fn either(&mut self, key: KnownKey, other: KnownKey) -> Option<Value> {
        self.value(key).or_else(|| self.value(other))
    }

    /// Appends the text of the value of `key`. Returns `false` if it is missing or null.
    pub(super) fn append(&mut self, key: KnownKey, out: &mut Vec<u8>) -> bool {
        match self.keys.value(self.tape, key) {
            Some(value) => append_text(self.tape, value, out),
            None => false,
        }
    }

    /// The text of the value of `key`; `None` if it is missing or null.
    pub(super) fn text(&mut self, key: KnownKey) -> Option<Cow<'r, [u8]>> {
        let value = self.keys.value(self.tape, key)?;
        text_of(self.tape, value)
    }
}

/// Appends the text of a value: of a string the unescaped text, of a scalar the JSON text, of a
/// container the JSON text without white space between tokens.
///
/// It ends before the first NUL, as the host reads C strings. Returns `false` for null.
pub(crate) fn append_text(tape: Tape<'_>, value: Value, out: &mut Vec<u8>) -> bool {
    if let Some(plain) = plain_text(tape, value) {
        out.extend_from_slice(plain);
        return true;
    }
    let start = out.len();
    match tape.value_type(value) {
        ValueType::String => match tape.string(value) {
            Some(inside) => text::unescape(inside, out),
            None => return false,
        },
        ValueType::Scalar if tape.is_null(value) => return false,
        ValueType::Scalar => text::push_lossy(tape.raw(value), out),
        ValueType::Object | ValueType::Array => text::compact(tape.raw(value), out),
    }
    truncate_at_nul(out, start);
    true
}

/// Removes the first NUL from `start` on, and everything after it.
pub(super) fn truncate_at_nul(out: &mut Vec<u8>, start: usize) {
    if let Some(nul) = memchr::memchr(0, &out[start..]) {
        out.truncate(start + nul);
    }
}

/// The inside a string that is its own text: valid UTF-8 without an escape or a NUL. `None`
/// for any other value. Nearly every string in CloudTrail's logs is plain.
#[inline]
pub(crate) fn plain_text<'r>(tape: Tape<'r>, value: Value) -> Option<&'r [u8]> {
    let inside = tape.string(value)?;
    (tape.is_plain() || is_plain(inside)).then_some(inside)
}

#[inline]
fn is_plain(inside: &[u8]) -> bool {
    // Without an early exit the loop compiles to vector instructions.
    let (mut special, mut not_ascii) = (false, false);
    for &byte in inside {
        special |= byte == b'\\' || byte == 0;
        not_ascii |= byte >= 0x80;
    }
    !special && (!not_ascii || std::str::from_utf8(inside).is_ok())
}

/// The text of a value, as [`append_text`] makes it, borrowed if possible.
pub(super) fn text_of<'r>(tape: Tape<'r>, value: Value) -> Option<Cow<'r, [u8]>> {
    if let Some(plain) = plain_text(tape, value) {
        return Some(Cow::Borrowed(plain));
    }
    if tape.value_type(value) == ValueType::Scalar
        && let raw = tape.raw(value)
        && is_plain(raw)
    {
        return (!tape.is_null(value)).then_some(Cow::Borrowed(raw));
    }
    let mut out = Vec::new();
    append_text(tape, value, &mut out).then_some(Cow::Owned(out))
}

/// The number that a scalar or a string is; `None` for any other text and for negative numbers. Fractions, as in
/// the `2917.0` of S3's data events, are cut off; larger numbers than `u64` has become its maximum.
pub(super) fn number(tape: Tape<'_>, value: Value) -> Option<u64> {
    match tape.value_type(value) {
        ValueType::Scalar => parse_number(tape.raw(value)),
        ValueType::String => parse_number(&text_of(tape, value)?),
        ValueType::Object | ValueType::Array => None,
    }
}

fn parse_number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    // Numbers for Rust, but not for JSON: `inf`, `+1`, `.5`.
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // A float would round.
        let number = digits.parse().unwrap_or(u64::MAX);
        return (number == 0 || digits.len() == text.len()).then_some(number);
    }
    let number: f64 = text.parse().ok()?;
    // The conversion truncates and saturates.
    (number >= 0.0).then_some(number as u64)
}

/// The value of the first member of `object` with this name.
pub(super) fn member(tape: Tape<'_>, object: Value, name: &[u8]) -> Option<Value> {
    tape.members(object)
        .find(|(key, _)| text::unescaped_is(key, name))
        .map(|(_, value)| value)
}
