//! Reads members and strings of a message through its tape. Strings without escapes are borrowed from the body.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use crate::json::text::{compact, unescaped};
use crate::json::{Tape, Value};
use crate::log::Escaped;
use crate::log::quote::{quoted, truncated};

/// Bytes of a value that an excerpt is made from; it shows fewer.
const EXCERPT_BYTES: usize = 1024;

/// The members of an object with these names, by one pass over it. Of a repeated name, the first counts.
pub(super) fn members<const N: usize>(
    tape: Tape<'_>,
    object: Value,
    names: [&str; N],
) -> [Option<Value>; N] {
    let mut found = [None; N];
    for (key, value) in tape.members(object) {
        let unescaped = match !tape.is_plain() && key.contains(&b'\\') {
            true => Cow::Owned(unescaped(key)),
            false => Cow::Borrowed(key),
        };
        let at = names.iter().position(|name| name.as_bytes() == &*unescaped);
        if let Some(place) = at.and_then(|at| found.get_mut(at)) {
            place.get_or_insert(value);
        }
    }
    found
}

/// The text of a string; `None` for other values.
pub(super) fn string<'t>(tape: Tape<'t>, value: Option<Value>) -> Option<Cow<'t, str>> {
    let inside = tape.string(value?)?;
    if inside.contains(&b'\\') {
        // Unescaping replaces whatever is not UTF-8.
        return String::from_utf8(unescaped(inside)).ok().map(Cow::Owned);
    }
    Some(String::from_utf8_lossy(inside))
}

/// A string member of an object.
pub(super) fn text<'t>(tape: Tape<'t>, object: Value, name: &str) -> Option<Cow<'t, str>> {
    let [value] = members(tape, object, [name]);
    string(tape, value)
}

/// A non-negative integer.
pub(super) fn integer(tape: Tape<'_>, value: Option<Value>) -> Option<u64> {
    std::str::from_utf8(tape.raw(value?)).ok()?.parse().ok()
}

/// The start of a value as JSON, for logs.
pub(super) fn excerpt(tape: Tape<'_>, value: Option<Value>) -> String {
    let Some(value) = value.filter(|value| !tape.is_null(*value)) else {
        return "none".to_owned();
    };
    if let Some(text) = string(tape, Some(value)) {
        return quoted(&text);
    }
    let raw = tape.raw(value);
    let mut json = Vec::new();
    compact(&raw[..raw.len().min(EXCERPT_BYTES)], &mut json);
    Escaped(truncated(&String::from_utf8_lossy(&json))).to_string()
}
