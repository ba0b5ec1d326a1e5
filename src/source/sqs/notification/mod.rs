//! Parses the body of a queue message into the objects that it names. The objects are not checked: they may be digests
//! or other files.
//!
//! The format is recognized from the body: CloudTrail's own notification, an S3 event, or an EventBridge event, each
//! bare or in SNS envelopes. The body is untrusted: bucket names and keys are validated, and an unusable part becomes a
//! problem in the result instead of being dropped.
#![forbid(unsafe_code)]

mod collector;

use serde_json::{Deserializer, Value};

use self::collector::{Collector, text, version_id};
use crate::object_key;

/// Parsed body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It names at least one object, valid or not.
    Objects(Parsed),
    /// It is recognized and names nothing to read: a test message of S3 or CloudTrail, or an S3 event about an object
    /// that was removed, restored or tagged.
    Ignored,
    /// It is not a notification of an object. The text describes it for logs; there are few different texts.
    Unknown(&'static str),
}

/// Objects and problems of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Objects to read, in message order, without duplicates.
    pub objects: Vec<ObjectRef>,
    /// Unusable parts, each with the reason and an excerpt for logs. Bounded.
    pub problems: Vec<String>,
}

impl Parsed {
    /// One line for logs: the first problem, and the number of further ones.
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
    /// Bucket name: 3 to 255 letters, digits, dots, dashes and underscores.
    pub bucket: String,
    /// Decoded key: 1 to 1024 bytes.
    pub key: String,
    /// Size in bytes, if the message has it. Untrusted.
    pub size: Option<u64>,
    /// Version ID, if the bucket has versions. Untrusted.
    pub version: Option<String>,
}

/// Maximum body size that is parsed, in bytes; SQS carries at most 1 MiB.
const MAX_BODY: usize = 4 << 20;

/// Maximum number of nested SNS envelopes, as where one topic feeds another through a queue.
const MAX_ENVELOPES: usize = 3;

/// Message that CloudTrail sends when a topic is configured for a trail.
const VALIDATION: &str = "CloudTrail validation message.";

/// Reason for CloudTrail records in place of a notification.
const RECORDS: &str = "CloudTrail records in the message itself, which are not supported";

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

/// Parses `body`, the body of an SQS message.
pub fn parse(body: &str) -> Notification {
    if body.len() > MAX_BODY {
        return Notification::Unknown("a body larger than SQS allows");
    }
    let mut message = match read(body) {
        Ok(message) => message,
        Err(result) => return result,
    };
    for _ in 0..MAX_ENVELOPES {
        match text(&message, "Type") {
            Some("Notification") => {}
            Some("SubscriptionConfirmation") => {
                return Notification::Unknown(
                    "an SNS subscription that is not confirmed; open its SubscribeURL",
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
        Some("Notification") => Notification::Unknown("too many nested SNS envelopes"),
        _ => unwrapped(&message),
    }
}

/// Parses `body` as JSON; the result of the message if it is none.
fn read(body: &str) -> Result<Value, Notification> {
    // serde_json limits the nesting depth.
    serde_json::from_str(body).map_err(|_| {
        if body.trim() == VALIDATION {
            return Notification::Ignored;
        }
        // One record a line is valid as a log file.
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
    // Checked before EventBridge events of S3: the record of a call to S3 is not a notification by S3.
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
    Notification::Unknown("JSON of an unknown format")
}

/// Whether `value` looks like a CloudTrail record. Events of S3 and SQS have the same members, but `aws:s3` or `aws:sqs` as
/// their source.
fn is_record(value: &Value) -> bool {
    let source = text(value, "eventSource");
    value.get("s3").is_none()
        && value.get("eventTime").is_some()
        && value.get("eventName").is_some()
        && source.is_some_and(|source| !source.starts_with("aws:"))
}

/// CloudTrail's notification of delivered files: `s3Bucket` and the list `s3ObjectKey`. Keys are not encoded.
fn cloudtrail_notification(message: &Value) -> Notification {
    const EMPTY: &str = "a CloudTrail notification that names no object";
    let Some(Value::Array(keys)) = message.get("s3ObjectKey") else {
        return Notification::Unknown(EMPTY);
    };
    let mut objects = Collector::default();
    let bucket = &message["s3Bucket"];
    for (number, key) in keys.iter().enumerate() {
        match key.as_str() {
            Some(key) => objects.add(bucket, key, None, None),
            None => objects.malformed("s3ObjectKey", number, "is not a string", key),
        }
    }
    objects.finish(EMPTY)
}

/// S3 event. Keys are URL-encoded.
fn s3_event(records: &[Value]) -> Notification {
    let mut objects = Collector::default();
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
        // Other S3-compatible services write the prefix.
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
        match object_key::url_decoded(key) {
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

/// EventBridge event of S3. The key is not encoded.
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
    let mut objects = Collector::default();
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

#[cfg(test)]
mod tests;
