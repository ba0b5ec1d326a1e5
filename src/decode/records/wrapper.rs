//! Wrappers and envelopes around records, and how to distinguish a record from other objects.

use crate::json::text::{string_len, unescaped, unescaped_is};
use crate::json::{Tape, Value, ValueType, scalar_len};
use crate::timestamp;

/// An array in which records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrayKind {
    /// Without a wrapper.
    Bare,
    /// `{"Records":[…]}`: every object is a record.
    Records,
    /// Of objects that have records as strings.
    Strings,
}

impl ArrayKind {
    /// The array that is the value of a wrapper's key.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        match key {
            b"Records" => Some(ArrayKind::Records),
            b"logEvents" | b"Events" => Some(ArrayKind::Strings),
            _ => None,
        }
    }
}

/// How AWS starts a record. In a string, the quotes would be escaped.
pub(super) const RECORD_START: &[u8] = b"{\"eventVersion\"";

/// Whether an object starts with an array of records.
pub(super) enum WrapperStart {
    /// It does; `offset` is that after the `[`. `certain` is whether no record starts like this.
    Array { offset: usize, certain: bool },
    /// It does not.
    No,
    /// The text ends too early to decide.
    Incomplete,
}

/// Recognizes the wrapper that AWS writes, `{"Records":[`, without scanning it whole.
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
    WrapperStart::Array {
        offset: at,
        certain: false,
    }
}

/// Whether the first key of an object is that of the wrapper that AWS writes.
pub(super) fn starts_with_records_key(object: &[u8]) -> bool {
    let inside = object.get(1..).unwrap_or_default().trim_ascii_start();
    inside.starts_with(b"\"Records\"")
}

/// Recognizes an object whose array has records as strings, without scanning it whole: a CloudWatch Logs envelope whose
/// `messageType` comes before its `logEvents`, as AWS writes it, or the output of `lookup-events`. [`classify`] recognizes
/// the others.
pub(super) fn envelope_start(text: &[u8]) -> WrapperStart {
    /// Bytes that are searched: the keys before the array have short values.
    const SEARCHED: usize = 64 << 10;
    // What most lines start with.
    if text.starts_with(RECORD_START) {
        return WrapperStart::No;
    }
    let searched = &text[..text.len().min(SEARCHED)];
    match array_of_strings(searched) {
        Some(start) => start,
        None if text.len() < SEARCHED => WrapperStart::Incomplete,
        None => WrapperStart::No,
    }
}

/// See [`envelope_start`]; `None` if the text ends too early.
fn array_of_strings(text: &[u8]) -> Option<WrapperStart> {
    let mut at = 1;
    let mut is_data_message = false;
    loop {
        at = skip_space(text, at);
        if *text.get(at)? != b'"' {
            return Some(WrapperStart::No);
        }
        let len = string_len(&text[at..])?;
        let key = &text[at + 1..at + len - 1];
        at = skip_space(text, at + len);
        if *text.get(at)? != b':' {
            return Some(WrapperStart::No);
        }
        at = skip_space(text, at + 1);
        let first = *text.get(at)?;
        let end = match key {
            b"messageType" if first == b'"' => {
                let end = at + string_len(&text[at..])?;
                is_data_message = &text[at..end] == b"\"DATA_MESSAGE\"";
                end
            }
            b"logEvents" | b"Events" if first == b'[' => {
                return Some(match is_data_message || key == b"Events" {
                    true => WrapperStart::Array {
                        offset: at + 1,
                        certain: is_data_message,
                    },
                    false => WrapperStart::No,
                });
            }
            b"owner"
            | b"logGroup"
            | b"logStream"
            | b"subscriptionFilters"
            | b"policyLevel"
            | b"NextToken" => at + value_len(&text[at..])?,
            _ => return Some(WrapperStart::No),
        };
        at = skip_space(text, end);
        if *text.get(at)? != b',' {
            return Some(WrapperStart::No);
        }
        at += 1;
    }
}

fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    text.len() - rest.trim_ascii_start().len()
}

/// Length of the value that `text` starts with; `None` if the text ends too early.
fn value_len(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0);
    loop {
        at += match *text.get(at)? {
            b'"' => string_len(&text[at..])?,
            b'{' | b'[' => {
                depth += 1;
                1
            }
            b'}' | b']' => {
                depth -= 1;
                1
            }
            _ if depth > 0 => 1,
            // At least one byte, or a separator in a value's place would be read forever.
            _ => scalar_len(&text[at..]).max(1),
        };
        if depth <= 0 {
            return Some(at);
        }
    }
}

/// The array of records among the own keys of an object that does not balance: offset after its `[`.
pub(super) fn array_inside(text: &[u8]) -> Option<(usize, ArrayKind)> {
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
                if depth == 1
                    && let Some(kind) = ArrayKind::of_key(&text[at + 1..at + len - 1])
                    && let Some(rest) = text[at + len..].trim_ascii_start().strip_prefix(b":")
                {
                    let array = rest.trim_ascii_start().strip_prefix(b"[")?;
                    return Some((text.len() - array.len(), kind));
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

/// What an object is, by its own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    /// A record, whatever else it has.
    Record,
    /// A wrapper; offset of the `[` of its array.
    Wrapper(ArrayKind, usize),
    /// A wrapper with another value than an array; whether that is null.
    NoArray { null: bool },
    /// An EventBridge envelope, with what should be the record.
    Detail(TextPlace),
    /// An object with a record as a string, such as a log event of CloudWatch Logs.
    Text(TextPlace),
    /// CloudWatch Logs' probe of a destination, without any log.
    ControlMessage,
    /// An envelope of CloudWatch Logs whose log events are not where they should be.
    DamagedEnvelope,
    /// None of these.
    Other,
}

/// A string or an object that may be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextPlace {
    /// Offset and length of the object, or of the text between the quotes.
    pub(super) start: usize,
    pub(super) len: usize,
    /// Time in nanoseconds since 1970 that the object around it gives.
    pub(super) time: Option<u64>,
}

/// Classifies an object.
#[inline]
pub(super) fn classify(tape: Tape<'_>) -> ObjectKind {
    // The first key of AWS's records is one of theirs.
    let first = tape.members(Value::ROOT).next();
    match first.is_some_and(|(key, _)| is_record_key(key)) {
        true => ObjectKind::Record,
        false => classify_by_all_keys(tape),
    }
}

#[inline(never)]
fn classify_by_all_keys(tape: Tape<'_>) -> ObjectKind {
    let mut values = [None; WrapperKey::ALL.len()];
    for (key, value) in tape.members(Value::ROOT) {
        if is_record_key(key) {
            return ObjectKind::Record;
        }
        if let Some(known) = WrapperKey::of(key) {
            values[known as usize].get_or_insert(value);
        }
    }
    let value = |key: WrapperKey| values[key as usize];
    let of_type = |key, expected| value(key).filter(|&value| tape.value_type(value) == expected);
    let string = |key| tape.string(value(key)?);
    if let Some(records) = value(WrapperKey::Records) {
        return match tape.value_type(records) {
            ValueType::Array => ObjectKind::Wrapper(ArrayKind::Records, tape.start(records)),
            _ => ObjectKind::NoArray {
                null: tape.is_null(records),
            },
        };
    }
    if let Some(log_events) = of_type(WrapperKey::LogEvents, ValueType::Array) {
        let message_type = string(WrapperKey::MessageType);
        return match message_type.is_some_and(|text| unescaped_is(text, b"CONTROL_MESSAGE")) {
            true => ObjectKind::ControlMessage,
            false => ObjectKind::Wrapper(ArrayKind::Strings, tape.start(log_events)),
        };
    }
    if string(WrapperKey::MessageType).is_some_and(|text| unescaped_is(text, b"DATA_MESSAGE")) {
        return ObjectKind::DamagedEnvelope;
    }
    if let Some(events) = of_type(WrapperKey::Events, ValueType::Array) {
        return ObjectKind::Wrapper(ArrayKind::Strings, tape.start(events));
    }
    if value(WrapperKey::DetailType).is_some()
        && let Some(detail) = of_type(WrapperKey::Detail, ValueType::Object)
    {
        return ObjectKind::Detail(TextPlace {
            start: tape.start(detail),
            len: tape.raw(detail).len(),
            time: value(WrapperKey::Time).and_then(|time| time_of(tape.raw(time), SECOND)),
        });
    }
    let texts = [
        (WrapperKey::CloudTrailEvent, WrapperKey::EventTime, SECOND),
        (WrapperKey::Message, WrapperKey::Timestamp, SECOND / 1000),
    ];
    for (text, time, unit) in texts {
        if let Some(text) = of_type(text, ValueType::String) {
            return ObjectKind::Text(TextPlace {
                start: tape.start(text) + 1,
                len: tape.raw(text).len().saturating_sub(2),
                time: value(time).and_then(|time| time_of(tape.raw(time), unit)),
            });
        }
    }
    ObjectKind::Other
}

/// Own keys of wrappers and envelopes.
#[derive(Clone, Copy)]
enum WrapperKey {
    Records,
    LogEvents,
    MessageType,
    Events,
    Detail,
    DetailType,
    Time,
    CloudTrailEvent,
    EventTime,
    Message,
    Timestamp,
}

impl WrapperKey {
    const ALL: [(&'static [u8], WrapperKey); 11] = [
        (b"Records", WrapperKey::Records),
        (b"logEvents", WrapperKey::LogEvents),
        (b"messageType", WrapperKey::MessageType),
        (b"Events", WrapperKey::Events),
        (b"detail", WrapperKey::Detail),
        (b"detail-type", WrapperKey::DetailType),
        (b"time", WrapperKey::Time),
        (b"CloudTrailEvent", WrapperKey::CloudTrailEvent),
        (b"EventTime", WrapperKey::EventTime),
        (b"message", WrapperKey::Message),
        (b"timestamp", WrapperKey::Timestamp),
    ];

    /// The key between its quotes, however it is escaped.
    fn of(key: &[u8]) -> Option<WrapperKey> {
        let unescaped_key;
        let key = match key.contains(&b'\\') {
            true => {
                unescaped_key = unescaped(key);
                &unescaped_key[..]
            }
            false => key,
        };
        let known = WrapperKey::ALL.iter().find(|(name, _)| *name == key);
        known.map(|(_, known)| *known)
    }
}

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A time in nanoseconds since 1970: a timestamp in a string, or a number of units of `unit` nanoseconds.
fn time_of(raw: &[u8], unit: u64) -> Option<u64> {
    let text = raw
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    let text = text.unwrap_or(raw);
    if let Some(time) = timestamp::parse(text) {
        return Some(time);
    }
    let dot = memchr::memchr(b'.', text).unwrap_or(text.len());
    let (whole, fraction) = text.split_at(dot);
    let whole = std::str::from_utf8(whole).ok()?;
    let mut time = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut digit_unit = unit;
    for &digit in fraction.get(1..).unwrap_or_default() {
        digit_unit /= 10;
        let digit = char::from(digit).to_digit(10)?;
        time = time.checked_add(u64::from(digit) * digit_unit)?;
    }
    Some(time)
}

/// Whether an object is a CloudTrail record and not one of the objects inside records.
pub(super) fn looks_like_record(tape: Tape<'_>) -> bool {
    tape.members(Value::ROOT).any(|(key, _)| is_record_key(key))
}

fn is_record_key(key: &[u8]) -> bool {
    let names = [&b"eventVersion"[..], b"eventTime", b"timeWindow"];
    names.iter().any(|name| unescaped_is(key, name))
}

/// Whether an object names a call of the AWS API, as a record without a time does.
pub(super) fn names_a_call(tape: Tape<'_>) -> bool {
    let mut members = tape.members(Value::ROOT);
    members.any(|(key, _)| unescaped_is(key, b"eventName") || unescaped_is(key, b"eventSource"))
}

/// Whether an object has some key of a record that objects of other kinds do not have. Outside of a list of records, an
/// object without any is not a record.
pub(super) fn has_record_key(tape: Tape<'_>) -> bool {
    const NAMES: [&[u8]; 18] = [
        b"eventVersion",
        b"eventTime",
        b"timeWindow",
        b"eventID",
        b"eventName",
        b"eventSource",
        b"eventType",
        b"eventCategory",
        b"userIdentity",
        b"awsRegion",
        b"sourceIPAddress",
        b"userAgent",
        b"requestParameters",
        b"responseElements",
        b"requestID",
        b"recipientAccountId",
        b"insightDetails",
        // CloudTrail's digest files, which are skipped as such.
        b"digestS3Object",
    ];
    let mut members = tape.members(Value::ROOT);
    members.any(|(key, _)| NAMES.iter().any(|name| unescaped_is(key, name)))
}
