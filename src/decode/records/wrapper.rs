//! Wrappers and envelopes around records, and how to distinguish a record from other objects.

use crate::json::text::{string_len, unescaped_is};
use crate::json::{Tape, Value, ValueType};

/// Whether an object starts with `{"Records":[`.
pub(super) enum WrapperStart {
    /// It does; this is the offset after the `[`.
    Array(usize),
    /// It does not.
    No,
    /// The text ends too early to decide.
    Incomplete,
}

/// Recognizes the wrapper that AWS writes, without scanning it whole.
pub(super) fn wrapper_start(text: &[u8]) -> WrapperStart {
    let mut at = 1;
    for expected in [&b"\"Records\""[..], b":", b"["] {
        while text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        if !rest.starts_with(expected) {
            return match expected.starts_with(rest) {
                true => WrapperStart::Incomplete,
                false => WrapperStart::No,
            };
        }
        at += expected.len();
    }
    WrapperStart::Array(at)
}

/// Offset after the `[` of a `"Records":[` among the own keys of an object that does not balance.
pub(super) fn records_inside(text: &[u8]) -> Option<usize> {
    /// Bytes that are searched: wrappers have few keys before the array.
    const SEARCHED: usize = 1 << 20;
    let text = &text[..text.len().min(SEARCHED)];
    let (mut at, mut depth) = (0, 0);
    loop {
        at += memchr::memchr3(b'"', b'{', b'}', text.get(at..)?)?;
        match text[at] {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {
                let len = string_len(&text[at..])?;
                if depth == 1 && &text[at..at + len] == b"\"Records\"" {
                    let rest = text[at + len..].trim_ascii_start();
                    if let Some(rest) = rest.strip_prefix(b":") {
                        let array = rest.trim_ascii_start().strip_prefix(b"[")?;
                        return Some(text.len() - array.len());
                    }
                }
                at += len - 1;
            }
        }
        if depth == 0 {
            return None;
        }
        at += 1;
    }
}

/// What an object has around its records.
pub(super) enum Envelope {
    /// Nothing: it is taken for a record.
    None,
    /// A wrapper; offset of the `[` of its array.
    Array(usize),
    /// A wrapper with another value than an array; whether that is null.
    NoArray { null: bool },
    /// An EventBridge envelope; offset and length of the record.
    Detail(usize, usize),
}

/// Classifies an object. One with a record's keys is a record, even if it has a key `Records` too.
pub(super) fn envelope(tape: Tape<'_>) -> Envelope {
    let (mut records, mut detail, mut detail_type) = (None, None, false);
    for (key, value) in tape.members(Value::ROOT) {
        match key {
            // In CloudTrail's records the first key is one of them, which ends the loop.
            key if is_record_key(key) => return Envelope::None,
            b"Records" if records.is_none() => records = Some(value),
            b"detail" if detail.is_none() => detail = Some(value),
            b"detail-type" => detail_type = true,
            _ => {}
        }
    }
    match (records, detail) {
        (Some(value), _) if tape.value_type(value) == ValueType::Array => {
            Envelope::Array(tape.start(value))
        }
        (Some(value), _) => Envelope::NoArray {
            null: tape.is_null(value),
        },
        (None, Some(value)) if detail_type && tape.value_type(value) == ValueType::Object => {
            Envelope::Detail(tape.start(value), tape.raw(value).len())
        }
        _ => Envelope::None,
    }
}

/// Whether an object is a CloudTrail record and not one of the objects inside records.
pub(super) fn looks_like_record(tape: Tape<'_>) -> bool {
    tape.members(Value::ROOT).any(|(key, _)| is_record_key(key))
}

fn is_record_key(key: &[u8]) -> bool {
    let names = [&b"eventVersion"[..], b"eventTime", b"timeWindow"];
    names.iter().any(|name| unescaped_is(key, name))
}

/// Whether a record can start after `text`, judging by its last bytes. In another record's strings
/// it mostly cannot. `may_start` is the answer for an empty text.
pub(super) fn may_precede_record(text: &[u8], may_start: bool) -> bool {
    let (last, space) = match text.iter().rposition(|byte| !byte.is_ascii_whitespace()) {
        Some(at) => (Some(text[at]), &text[at + 1..]),
        None => (None, text),
    };
    match last {
        Some(b',' | b'[' | b'}' | b']') => true,
        None if may_start => true,
        _ => space.contains(&b'\n'),
    }
}
