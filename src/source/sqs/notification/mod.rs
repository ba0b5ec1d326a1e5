//! Parses the body of a queue message into the objects that it names. Knows no queue, no network and no log;
//! a named object may be a digest, or no log at all.
//!
//! The format is recognized from the body itself: CloudTrail's own notification, an S3 event, each bare or in an
//! SNS envelope, or an EventBridge event. Anyone who may send to the queue writes it, so nothing in it is
//! trusted beyond what a bucket name or a key can be. Nothing is dropped silently either: a part that
//! cannot be used is a problem in the result.
#![forbid(unsafe_code)]

mod objects;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Deserializer, Value};

use self::objects::{Objects, text, version_id};

/// What the body of a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It names at least one object, or one that cannot be used.
    Objects(Parsed),
    /// It is known and names nothing to read: a test message of S3 or CloudTrail, or S3's news of an object
    /// that was removed, restored or tagged.
    Ignored,
    /// It is no notification of an object. The text says for logs what it is instead; there are few such texts.
    Unknown(&'static str),
}

/// The parts of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The objects to read, each once, in the order of the message.
    pub objects: Vec<ObjectRef>,
    /// The parts that cannot be used, each with the reason and an excerpt for logs; bounded.
    pub problems: Vec<String>,
}

impl Parsed {
    /// The problems in one line: the first, and how many more there are.
    pub fn reason(&self) -> String {
        let Some((first, more)) = self.problems.split_first() else {
            return String::new();
        };
        match more.len() {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        }
    }
}

/// An object that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Name of its bucket: 3 to 255 letters, digits, dots, dashes and underscores.
    pub bucket: String,
    /// Its decoded key: 1 to 1024 bytes.
    pub key: String,
    /// Its size in bytes, if the message has it; not to be relied on.
    pub size: Option<u64>,
    /// The version that was created, if the bucket has versions; not to be relied on.
    pub version: Option<String>,
}

/// Maximum body size that is parsed, in bytes; SQS carries at most 1 MiB.
const LONGEST_BODY: usize = 4 << 20;

/// Maximum number of nested SNS envelopes, as where one topic feeds another through a queue.
const MOST_ENVELOPES: usize = 3;

/// What CloudTrail sends when a topic is set up for a trail.
const VALIDATION: &str = "CloudTrail validation message.";

/// CloudTrail records where a notification is expected.
const RECORDS: &str = "CloudTrail records in the message itself, which are not supported";

/// Starts of the names of S3 events after which there is nothing new to read.
const IGNORED_EVENTS: [&str; 4] = [
    "ObjectRemoved:",
    "LifecycleExpiration:",
    "ObjectRestore:",
    "ObjectTagging:",
];

/// The same events as EventBridge calls them.
const IGNORED_DETAIL_TYPES: [&str; 6] = [
    "Object Deleted",
    "Object Restore Initiated",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Tags Added",
    "Object Tags Deleted",
];

/// Parses `body`, the body of an SQS message.
pub fn parse(body: &str) -> Notification {
    if body.len() > LONGEST_BODY {
        return Notification::Unknown("a body longer than a message can be");
    }
    let mut message = match read(body) {
        Ok(message) => message,
        Err(result) => return result,
    };
    for _ in 0..MOST_ENVELOPES {
        match text(&message, "Type") {
            Some("Notification") => {}
            Some("SubscriptionConfirmation") => {
                return Notification::Unknown(
                    "an SNS subscription that waits to be confirmed at its SubscribeURL",
                );
            }
            _ => return unwrapped(&message),
        }
        let Some(inner) = text(&message, "Message") else {
            return Notification::Unknown("an SNS notification without a message");
        };
        message = match read(inner) {
            Ok(message) => message,
            Err(result) => return result,
        };
    }
    match text(&message, "Type") {
        Some("Notification") => Notification::Unknown("too many SNS envelopes inside each other"),
        _ => unwrapped(&message),
    }
}

/// The JSON value of `body`, or the result if it is none.
fn read(body: &str) -> Result<Value, Notification> {
    // serde_json bounds the nesting.
    serde_json::from_str(body).map_err(|_| {
        if body.trim() == VALIDATION {
            return Notification::Ignored;
        }
        // A log may have one record a line.
        match Deserializer::from_str(body).into_iter::<Value>().next() {
            Some(Ok(first)) if is_record(&first) => Notification::Unknown(RECORDS),
            _ => Notification::Unknown("text that is not JSON"),
        }
    })
}

fn unwrapped(message: &Value) -> Notification {
    if message.as_str() == Some(VALIDATION) || text(message, "Event") == Some("s3:TestEvent") {
        return Notification::Ignored;
    }
    if message.get("s3Bucket").is_some() {
        return cloudtrail_notification(message);
    }
    if let Some(Value::Array(records)) = message.get("Records") {
        return s3_event(records);
    }
    // Also if an S3 event is the subject: the record of a call to S3 is not S3's own notification.
    let via_cloudtrail =
        text(message, "detail-type").is_some_and(|kind| kind.ends_with(" via CloudTrail"));
    if via_cloudtrail || message.get("detail").is_some_and(is_record) {
        return Notification::Unknown(
            "a CloudTrail record in an EventBridge event, which is not supported",
        );
    }
    if message.get("detail-type").is_some() {
        return eventbridge_event(message);
    }
    let mut records = message.as_array().into_iter().flatten();
    if is_record(message) || records.any(is_record) {
        return Notification::Unknown(RECORDS);
    }
    Notification::Unknown("JSON of another kind")
}

/// Whether `value` looks like a record of CloudTrail, which names the service that was called. Events of S3 and SQS
/// have the same members, but name `aws:s3` and `aws:sqs`.
fn is_record(value: &Value) -> bool {
    let source = text(value, "eventSource");
    value.get("s3").is_none()
        && value.get("eventTime").is_some()
        && value.get("eventName").is_some()
        && source.is_some_and(|source| !source.starts_with("aws:"))
}

/// `s3Bucket` and the `s3ObjectKey` list, as CloudTrail publishes them for delivered files. The keys are not encoded.
fn cloudtrail_notification(message: &Value) -> Notification {
    const EMPTY: &str = "a CloudTrail notification that names no object";
    let Some(Value::Array(keys)) = message.get("s3ObjectKey") else {
        return Notification::Unknown(EMPTY);
    };
    let mut objects = Objects::default();
    let bucket = &message["s3Bucket"];
    for (number, key) in keys.iter().enumerate() {
        match key.as_str() {
            Some(key) => objects.add(bucket, key, None, None),
            None => objects.malformed("s3ObjectKey", number, "is not a text", key),
        }
    }
    objects.finish(EMPTY)
}

/// The records of an S3 event, whose keys are URL-encoded.
fn s3_event(records: &[Value]) -> Notification {
    let mut objects = Objects::default();
    let mut ignored = false;
    if !records.iter().any(|record| record.get("s3").is_some()) {
        return Notification::Unknown(match records.iter().any(is_record) {
            true => RECORDS,
            false => "a list of records that names no created object",
        });
    }
    for (number, record) in records.iter().enumerate() {
        let (Some(s3), Some(name)) = (record.get("s3"), text(record, "eventName")) else {
            objects.malformed("Records", number, "is not an S3 event", record);
            continue;
        };
        // Other services that speak S3's protocol write the name in full.
        let name = name.strip_prefix("s3:").unwrap_or(name);
        if IGNORED_EVENTS.iter().any(|event| name.starts_with(event)) {
            ignored = true;
            continue;
        }
        if !name.starts_with("ObjectCreated:") {
            objects.malformed(
                "Records",
                number,
                "is not about a created object",
                &record["eventName"],
            );
            continue;
        }
        let object = &s3["object"];
        let Some(key) = text(object, "key") else {
            objects.malformed("Records", number, "has no key", s3);
            continue;
        };
        let bucket = &s3["bucket"]["name"];
        match url_decoded(key) {
            Some(key) => objects.add(
                bucket,
                &key,
                object.get("size").and_then(Value::as_u64),
                version_id(object, "versionId"),
            ),
            None => objects.unusable(bucket, key, "the key is not UTF-8 after URL decoding"),
        }
    }
    if ignored && objects.is_empty() {
        return Notification::Ignored;
    }
    objects.finish("a list of records that names no created object")
}

/// An event of S3 by way of EventBridge, whose key is not encoded.
fn eventbridge_event(message: &Value) -> Notification {
    if text(message, "source") != Some("aws.s3") {
        return Notification::Unknown("an EventBridge event that is not from S3");
    }
    match text(message, "detail-type") {
        Some("Object Created") => {}
        Some(kind) if IGNORED_DETAIL_TYPES.contains(&kind) => return Notification::Ignored,
        _ => {
            return Notification::Unknown(
                "an EventBridge event of S3 that is not about a created object",
            );
        }
    }
    let mut objects = Objects::default();
    let detail = &message["detail"];
    let object = &detail["object"];
    if let Some(key) = text(object, "key") {
        objects.add(
            &detail["bucket"]["name"],
            key,
            object.get("size").and_then(Value::as_u64),
            version_id(object, "version-id"),
        );
    }
    objects.finish("an EventBridge event that names no object")
}

/// Decodes a key as in a query: `+` is a space, `%` and two hexadecimal digits are a byte, another `%` stands for
/// itself. `None` if the result is not UTF-8.
fn url_decoded(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    percent_decode_str(&key)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

#[cfg(test)]
mod tests;
