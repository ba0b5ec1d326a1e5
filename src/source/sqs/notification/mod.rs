//! Parses the body of a queue message: into the objects that it names, or to the CloudTrail records that it holds. The
//! objects are not checked: they may be digests or other files.
//!
//! The format is recognized from the body: CloudTrail's own notification, an S3 event, an EventBridge event, a record or a
//! log in any of the formats of files, each bare or in SNS envelopes. One scan writes the body's tape, and strings are borrowed from the body.
//!
//! The body is untrusted. Bucket names and keys are validated, and an unusable part becomes a problem in the result instead
//! of being dropped. Whether a body holds records is decided first, and from its outermost members alone: what a caller of
//! the AWS API can write is further inside, so no record is taken for a notification, or ignored.
#![forbid(unsafe_code)]

mod collector;
mod containers;
mod json;

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use self::collector::{Collector, MAX_LENGTH};
use self::containers::{RecordContainer, container};
use self::json::{integer, members, string, text};
use crate::json::text::unescaped_is;
use crate::json::{Scan, Scanner, Tape, TapeBuffer, TapeSpan, Value, ValueType};
use crate::{object_key, timestamp};

/// Parsed body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification<'b> {
    /// It names at least one object, valid or not.
    Objects(Parsed<'b>),
    /// It holds CloudTrail records.
    Records(RecordText),
    /// It is recognized and names nothing to read: a test message of S3 or CloudTrail, or an S3 event about an object
    /// that was removed, restored or tagged.
    Ignored,
    /// It is none of these. The text describes it for logs; there are few different texts.
    Unknown(&'static str),
}

/// Objects and problems of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed<'b> {
    /// Objects to read, in message order, without duplicates.
    pub objects: Vec<ObjectRef<'b>>,
    /// Unusable parts, each with the reason and an excerpt for logs. Bounded.
    pub problems: Vec<String>,
    /// Further unusable parts.
    pub more_problems: usize,
}

/// An object that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef<'b> {
    /// Bucket name: 3 to 255 letters, digits, dots, dashes and underscores.
    pub bucket: Cow<'b, str>,
    /// Decoded key: 1 to 1024 bytes.
    pub key: Cow<'b, str>,
    /// Size in bytes, if the message has it. Untrusted.
    pub size: Option<u64>,
    /// Version ID, if the bucket has versions. Untrusted.
    pub version: Option<Cow<'b, str>>,
}

/// Where a body holds CloudTrail records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordText {
    /// The bytes of the record or log.
    pub range: Range<usize>,
    /// It is one Insights record.
    pub is_insight: bool,
}

/// Maximum body size that is parsed, in bytes; SQS carries at most 1 MiB.
const MAX_BODY: usize = 4 << 20;

/// Maximum number of nested SNS envelopes, as where one topic feeds another through a queue.
const MAX_ENVELOPES: usize = 3;

/// Memory that a parser keeps from one body to the next, in bytes. A tape of nothing but brackets has 20 times its text.
const MAX_KEPT: usize = 1 << 20;

/// Message that CloudTrail sends when a topic is configured for a trail.
const VALIDATION: &str = "CloudTrail validation message.";

/// Name prefixes of S3 events that announce no new object.
const IGNORED_EVENTS: [&str; 4] = [
    "ObjectRemoved:",
    "LifecycleExpiration:",
    "ObjectRestore:",
    "ObjectTagging:",
];

/// EventBridge's names of the same events.
const IGNORED_DETAIL_TYPES: [&str; 6] = [
    "Object Deleted",
    "Object Restore Initiated",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Tags Added",
    "Object Tags Deleted",
];

/// Parses bodies one after the other, with one memory for their tapes.
#[derive(Debug, Default)]
pub struct Parser {
    scanner: Scanner,
    tapes: TapeBuffer,
}

/// A body's outermost value.
#[derive(Clone, Copy)]
struct Scanned {
    /// Its offset.
    start: usize,
    len: usize,
    tape: TapeSpan,
}

impl Parser {
    /// Parses the body of an SQS message, and takes its SNS envelopes away.
    pub fn parse<'b>(&'b mut self, body: &'b mut String) -> Notification<'b> {
        if body.len() > MAX_BODY {
            return Notification::Unknown("a body larger than SQS allows");
        }
        let mut envelopes = 0;
        let scanned = loop {
            let scanned = self.scan(body);
            match scanned.and_then(|scanned| self.sns_message(body, scanned)) {
                None => break scanned,
                Some(Err(kind)) => return Notification::Unknown(kind),
                Some(Ok(_)) if envelopes == MAX_ENVELOPES => {
                    return Notification::Unknown("too many nested SNS envelopes");
                }
                Some(Ok(message)) => *body = message,
            }
            envelopes += 1;
        };
        self.unwrapped(body, scanned)
    }

    /// Scans the object or array that `body` starts with.
    fn scan(&mut self, body: &str) -> Option<Scanned> {
        match self.tapes.capacity_bytes() > MAX_KEPT {
            true => self.tapes = TapeBuffer::default(),
            false => self.tapes.clear(),
        }
        let text = without_mark(body);
        match self.scanner.scan(text.as_bytes(), &mut self.tapes) {
            Scan::Whole { len, tape, .. } => Some(Scanned {
                start: body.len() - text.len(),
                len,
                tape,
            }),
            _ => None,
        }
    }

    fn tape<'t>(&'t self, body: &'t str, scanned: Scanned) -> Tape<'t> {
        let text = &body.as_bytes()[scanned.start..scanned.start + scanned.len];
        self.tapes.tape(scanned.tape, text)
    }

    /// The message in an SNS envelope; `None` if the body is none.
    fn sns_message(&self, body: &str, scanned: Scanned) -> Option<Result<String, &'static str>> {
        let tape = self.tape(body, scanned);
        let [kind, message] = members(tape, Value::ROOT, ["Type", "Message"]);
        let kind = string(tape, kind)?;
        let rest = &body[scanned.start + scanned.len..];
        if is_record(tape, Value::ROOT) || !rest.trim_ascii().is_empty() {
            return None;
        }
        match &*kind {
            "Notification" => Some(match string(tape, message) {
                Some(message) => Ok(message.into_owned()),
                None => Err("an SNS notification without a message"),
            }),
            "SubscriptionConfirmation" => Some(Err(
                "an SNS subscription that is not confirmed; open its SubscribeURL",
            )),
            _ => None,
        }
    }

    /// Parses a body without SNS envelopes.
    fn unwrapped<'b>(&'b mut self, body: &'b str, scanned: Option<Scanned>) -> Notification<'b> {
        let whole = RecordText {
            range: 0..body.len(),
            is_insight: false,
        };
        let Some(scanned) = scanned else {
            return match without_mark(body).trim_ascii_end() {
                text if is_validation(text) => Notification::Ignored,
                text if self.is_log(text) => Notification::Records(whole),
                text => not_a_container(text),
            };
        };
        let end = scanned.start + scanned.len;
        let text = &body[scanned.start..end];
        let tape = self.tapes.tape(scanned.tape, text.as_bytes());
        if body[end..].trim_ascii().is_empty() {
            return classify(tape, scanned.start);
        }
        // One record a line is valid as a log file.
        match classify(tape, 0) {
            Notification::Records(_) => Notification::Records(whole),
            _ => Notification::Unknown("text that is not JSON"),
        }
    }

    /// Whether a text that does not start with a whole JSON value is a log, judging by its first record: a list that is
    /// damaged or cut off, or lines that start with a time. The sound records of such a log are delivered.
    fn is_log(&mut self, text: &str) -> bool {
        if let Some((time, record)) = text.split_once([' ', '\t'])
            && timestamp::parse(time.as_bytes()).is_some()
        {
            return self.starts_with_record(record);
        }
        let object = text
            .strip_prefix('{')
            .and_then(|text| text.trim_ascii_start().strip_prefix("\"Records\""))
            .and_then(|text| text.trim_ascii_start().strip_prefix(':'))
            .map(str::trim_ascii_start);
        let Some(first) = object.unwrap_or(text).strip_prefix('[') else {
            return false;
        };
        self.starts_with_record(first)
    }

    fn starts_with_record(&mut self, text: &str) -> bool {
        self.scan(text)
            .is_some_and(|scanned| is_record(self.tape(text, scanned), Value::ROOT))
    }
}

/// `body` without white space and byte order marks in front.
fn without_mark(body: &str) -> &str {
    body.trim_start_matches(|first: char| first.is_ascii_whitespace() || first == '\u{feff}')
}

/// Classifies an object or array; `start` is its offset in the body.
fn classify(tape: Tape<'_>, start: usize) -> Notification<'_> {
    let records = |value: Value, is_insight| {
        let start = start + tape.start(value);
        Notification::Records(RecordText {
            range: start..start + tape.raw(value).len(),
            is_insight,
        })
    };
    if is_record(tape, Value::ROOT) {
        return records(Value::ROOT, is_insight(tape, Value::ROOT));
    }
    let [event, bucket, keys, list, detail_type, detail, time] = members(
        tape,
        Value::ROOT,
        [
            "Event",
            "s3Bucket",
            "s3ObjectKey",
            "Records",
            "detail-type",
            "detail",
            "time",
        ],
    );
    // Checked before EventBridge events of S3: the record of a call to S3 is not a notification by S3.
    let detail_type = detail_type.map(|kind| string(tape, Some(kind)).unwrap_or_default());
    let via_cloudtrail = detail_type
        .as_ref()
        .is_some_and(|kind| kind.ends_with(" via CloudTrail"));
    match detail {
        Some(detail)
            if is_record(tape, detail)
                || via_cloudtrail && tape.value_type(detail) == ValueType::Object =>
        {
            let by_type = detail_type.is_some_and(|kind| kind.starts_with("AWS Insight "));
            let is_insight = by_type || is_insight(tape, detail);
            // A record without a time takes that of the event around it.
            return match time.is_some() && !is_record(tape, detail) {
                true => records(Value::ROOT, is_insight),
                false => records(detail, is_insight),
            };
        }
        _ if via_cloudtrail => {
            return Notification::Unknown("an EventBridge event via CloudTrail without a record");
        }
        _ => {}
    }
    if string(tape, event).as_deref() == Some("s3:TestEvent") {
        return Notification::Ignored;
    }
    if bucket.is_some() {
        return cloudtrail_notification(tape, bucket, keys);
    }
    let array = |value: &Value| tape.value_type(*value) == ValueType::Array;
    let list = list.filter(array);
    if let Some(list) = list
        && tape.elements(list).any(|event| is_s3_event(tape, event))
    {
        return s3_event(tape, list);
    }
    // An empty log.
    if list.is_some_and(|list| tape.elements(list).next().is_none()) {
        return Notification::Ignored;
    }
    let is_array = tape.value_type(Value::ROOT) == ValueType::Array;
    let elements = list.or(is_array.then_some(Value::ROOT));
    let holds_records = |value: Value| container(tape, value) == Some(RecordContainer::Records);
    if elements.is_some_and(|list| {
        let mut values = tape.elements(list);
        values.any(|value| is_record(tape, value) || is_array && holds_records(value))
    }) {
        return records(Value::ROOT, false);
    }
    match container(tape, Value::ROOT) {
        Some(RecordContainer::Records) => return records(Value::ROOT, false),
        Some(RecordContainer::Probe) => return Notification::Ignored,
        None => {}
    }
    match detail_type {
        _ if list.is_some() => {
            Notification::Unknown("a list of records that names no created object")
        }
        Some(kind) => eventbridge_event(tape, &kind, detail),
        None => Notification::Unknown("JSON of an unknown format"),
    }
}

/// Whether a value is a CloudTrail record, by members that the callers of the AWS API cannot choose. Events of S3 and SQS
/// have the same ones, but `aws:s3` or `aws:sqs` as their source.
fn is_record(tape: Tape<'_>, value: Value) -> bool {
    let [time, name, source, kind, s3, window, exported] = members(
        tape,
        value,
        [
            "eventTime",
            "eventName",
            "eventSource",
            "eventType",
            "s3",
            "timeWindow",
            "@timestamp",
        ],
    );
    let has_time = time.or(window).or(exported).is_some();
    let source = string(tape, source);
    let of_service = |source: &str| source.ends_with(".amazonaws.com");
    let is_call = name.is_some()
        && source.is_some_and(|source| {
            of_service(&source) || s3.is_none() && !source.is_empty() && !source.contains(':')
        });
    let is_typed = || string(tape, kind).is_some_and(|kind| kind.starts_with("Aws"));
    has_time && (is_call || is_typed())
}

fn is_insight(tape: Tape<'_>, record: Value) -> bool {
    text(tape, record, "eventType").as_deref() == Some("AwsCloudTrailInsight")
}

fn is_s3_event(tape: Tape<'_>, value: Value) -> bool {
    let [s3] = members(tape, value, ["s3"]);
    s3.is_some() && !is_record(tape, value)
}

fn is_validation(text: &str) -> bool {
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    text == VALIDATION
        || quoted.is_some_and(|inside| unescaped_is(inside.as_bytes(), VALIDATION.as_bytes()))
}

fn not_a_container(text: &str) -> Notification<'static> {
    Notification::Unknown(match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => "JSON of an unknown format",
        Err(_) => "text that is not JSON",
    })
}

/// CloudTrail's notification of delivered files: `s3Bucket` and the list `s3ObjectKey`. Keys are not encoded.
fn cloudtrail_notification(
    tape: Tape<'_>,
    bucket: Option<Value>,
    keys: Option<Value>,
) -> Notification<'_> {
    let mut objects = Collector::new(tape);
    for (number, key) in keys
        .into_iter()
        .flat_map(|keys| tape.elements(keys))
        .enumerate()
    {
        match string(tape, Some(key)) {
            Some(key) => objects.add(bucket, key, None, None),
            None => objects.malformed("s3ObjectKey", number, "is not a string", Some(key)),
        }
    }
    objects.finish("a CloudTrail notification that names no object")
}

/// S3 event. Keys are URL-encoded.
fn s3_event(tape: Tape<'_>, events: Value) -> Notification<'_> {
    let mut objects = Collector::new(tape);
    let mut ignored = false;
    for (number, event) in tape.elements(events).enumerate() {
        let [s3, name] = members(tape, event, ["s3", "eventName"]);
        let (Some(s3), Some(text)) = (s3, string(tape, name)) else {
            objects.malformed("Records", number, "is not an S3 event", Some(event));
            continue;
        };
        if is_record(tape, event) {
            let reason = "is a CloudTrail record among S3 events";
            objects.malformed("Records", number, reason, Some(event));
            continue;
        }
        // Other S3-compatible services write the prefix.
        let text = text.strip_prefix("s3:").unwrap_or(&text);
        if IGNORED_EVENTS.iter().any(|event| text.starts_with(event)) {
            ignored = true;
            continue;
        }
        if !text.starts_with("ObjectCreated:") {
            objects.malformed("Records", number, "is not about a created object", name);
            continue;
        }
        let [bucket, object] = members(tape, s3, ["bucket", "object"]);
        let bucket = bucket.and_then(|bucket| members(tape, bucket, ["name"])[0]);
        let [key, size, version] = match object {
            Some(object) => members(tape, object, ["key", "size", "versionId"]),
            None => [None; 3],
        };
        let Some(key) = string(tape, key) else {
            objects.malformed("Records", number, "has no key", Some(s3));
            continue;
        };
        match url_decoded(key.clone()) {
            Some(key) => objects.add(bucket, key, integer(tape, size), version_id(tape, version)),
            None => objects.unusable(bucket, &key, "the key is not UTF-8 after URL decoding"),
        }
    }
    if ignored && objects.is_empty() {
        return Notification::Ignored;
    }
    objects.finish("a list of records that names no created object")
}

/// EventBridge event of S3. The key is not encoded.
fn eventbridge_event<'b>(tape: Tape<'b>, kind: &str, detail: Option<Value>) -> Notification<'b> {
    if text(tape, Value::ROOT, "source").as_deref() != Some("aws.s3") {
        return Notification::Unknown("an EventBridge event that is not from S3");
    }
    if IGNORED_DETAIL_TYPES.contains(&kind) {
        return Notification::Ignored;
    }
    if kind != "Object Created" {
        return Notification::Unknown(
            "an EventBridge event of S3 that is not about a created object",
        );
    }
    let mut objects = Collector::new(tape);
    let [bucket, object] = match detail {
        Some(detail) => members(tape, detail, ["bucket", "object"]),
        None => [None; 2],
    };
    if let Some(object) = object {
        let [key, size, version] = members(tape, object, ["key", "size", "version-id"]);
        if let Some(key) = string(tape, key) {
            let bucket = bucket.and_then(|bucket| members(tape, bucket, ["name"])[0]);
            objects.add(bucket, key, integer(tape, size), version_id(tape, version));
        }
    }
    objects.finish("an EventBridge event that names no object")
}

fn url_decoded(key: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match key.contains(['+', '%']) {
        true => object_key::url_decoded(&key).map(Cow::Owned),
        false => Some(key),
    }
}

/// A version ID. S3 writes `null` for objects of a bucket whose versioning is suspended.
fn version_id(tape: Tape<'_>, version: Option<Value>) -> Option<Cow<'_, str>> {
    string(tape, version)
        .filter(|version| version != "null" && (1..=MAX_LENGTH).contains(&version.len()))
}

#[cfg(test)]
mod tests;
