//! What stands around records, what tells a record from other objects, and where one may start.

use crate::tape::{Kind, Tape, Value};
use crate::text;

pub(super) enum WrapperStart {
    /// The records' array starts with its `[` just before this offset.
    Array(usize),
    No,
    /// The text ends too early to tell.
    Unclear,
}

/// Does the object start with `"Records":[`? The normal case, told without reading the object.
pub(super) fn wrapper_start(text: &[u8]) -> WrapperStart {
    let mut at = 1;
    for expected in [&b"\"Records\""[..], b":", b"["] {
        while text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        if !rest.starts_with(expected) {
            return match expected.starts_with(rest) {
                true => WrapperStart::Unclear,
                false => WrapperStart::No,
            };
        }
        at += expected.len();
    }
    WrapperStart::Array(at)
}

/// Where the array of a `"Records":[` starts in an object that does not balance, if that is one
/// of the object's own keys. Looked for in the object's first part: large logs start with it.
pub(super) fn records_inside(text: &[u8]) -> Option<usize> {
    const FIRST_PART: usize = 1 << 20;
    let text = &text[..text.len().min(FIRST_PART)];
    let (mut at, mut depth) = (0, 0);
    loop {
        at += memchr::memchr3(b'"', b'{', b'}', text.get(at..)?)?;
        match text[at] {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {
                let len = string_len(&text[at..])?;
                if depth == 1 && &text[at..at + len] == b"\"Records\"" {
                    let behind = text[at + len..].trim_ascii_start();
                    if let Some(behind) = behind.strip_prefix(b":") {
                        let array = behind.trim_ascii_start().strip_prefix(b"[")?;
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

pub(super) enum Around {
    /// The object is a record itself, as far as this reader can tell.
    Nothing,
    /// A wrapper; its array starts at this offset.
    Records(usize),
    /// A wrapper without an array, and whether it says so with a null.
    NoRecords { null: bool },
    /// An EventBridge envelope; offset and length of the record.
    Detail(usize, usize),
}

/// What has a record's own keys is a record, even with a key `Records`.
pub(super) fn around_records(tape: Tape<'_>) -> Around {
    let (mut records, mut detail, mut detail_type) = (None, None, false);
    for (key, value) in tape.members(Value::ROOT) {
        match key {
            // The usual first key ends the question early.
            key if is_record_key(key) => return Around::Nothing,
            b"Records" if records.is_none() => records = Some(value),
            b"detail" if detail.is_none() => detail = Some(value),
            b"detail-type" => detail_type = true,
            _ => {}
        }
    }
    match (records, detail) {
        (Some(value), _) if tape.kind(value) == Kind::Array => Around::Records(tape.start(value)),
        (Some(value), _) => Around::NoRecords {
            null: tape.raw(value) == b"null",
        },
        (None, Some(value)) if detail_type && tape.kind(value) == Kind::Object => {
            Around::Detail(tape.start(value), tape.raw(value).len())
        }
        _ => Around::Nothing,
    }
}

/// Is this object a CloudTrail record, rather than one of the objects inside of one?
pub(super) fn looks_like_record(tape: Tape<'_>) -> bool {
    tape.members(Value::ROOT).any(|(key, _)| is_record_key(key))
}

fn is_record_key(key: &[u8]) -> bool {
    let is_one = |key: &[u8]| matches!(key, b"eventTime" | b"eventVersion" | b"timeWindow");
    if !key.contains(&b'\\') {
        return is_one(key);
    }
    let mut name = Vec::new();
    text::unescape(key, &mut name);
    is_one(&name)
}

/// Can a record start behind this text? Inside of another record's strings it mostly cannot.
/// `before` tells of what stood before the text.
pub(super) fn may_start(text: &[u8], before: bool) -> bool {
    let (last, space) = match text.iter().rposition(|byte| !byte.is_ascii_whitespace()) {
        Some(place) => (Some(text[place]), &text[place + 1..]),
        None => (None, text),
    };
    match last {
        Some(b',' | b'[' | b'}' | b']') => true,
        None if before => true,
        _ => space.contains(&b'\n'),
    }
}

/// Length of the string that `text` starts with, its quotes included.
pub(super) fn string_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}
