//! A message's body to the objects that it names. Knows no queue, no network and no logs: a
//! recognised object may be a digest, or no log at all.
//!
//! The body says itself what it is: CloudTrail's own notification, an event of S3, each as it
//! is or in an SNS envelope, or an EventBridge event. Whoever may write to the queue writes it, so
//! nothing in it is believed beyond what a bucket or a key can be.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use serde_json::Value;

/// What the body of a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// It names these objects, at least one and each once, in the order of the message.
    Objects(Vec<ObjectRef>),
    /// It is well known and there is nothing to read: a test of S3 or CloudTrail, or news of an
    /// object that was not created.
    Quiet,
    /// It is nothing of ours. The text says for a log what it is instead; there are few of them.
    Unknown(&'static str),
}

/// An object that a message names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Name of its bucket: 3 to 255 letters, digits, dots, dashes and underscores.
    pub bucket: String,
    /// Its key, decoded: 1 to 1024 bytes.
    pub key: String,
    /// Its size in bytes, where the message tells; not to be relied on.
    pub size: Option<u64>,
}

/// Bytes of a body that are looked at; SQS carries at most 1 MiB.
const LONGEST_BODY: usize = 4 << 20;

/// How many SNS envelopes may be around each other, as where one topic feeds another through a queue.
const MOST_ENVELOPES: usize = 3;

/// What CloudTrail sends when a topic is set up for a trail.
const VALIDATION: &str = "CloudTrail validation message.";

/// Says what `body`, the body of an SQS message, names.
pub fn recognise(body: &str) -> Notification {
    if body.len() > LONGEST_BODY {
        return Notification::Unknown("a body longer than a message can be");
    }
    let mut message = match read(body) {
        Ok(message) => message,
        Err(answer) => return answer,
    };
    for _ in 0..MOST_ENVELOPES {
        match text(&message, "Type") {
            Some("Notification") => {}
            Some("SubscriptionConfirmation") => {
                return Notification::Unknown(
                    "an SNS subscription that waits to be confirmed at its SubscribeURL",
                );
            }
            _ => return inside_envelopes(&message),
        }
        let Some(inner) = text(&message, "Message") else {
            return Notification::Unknown("an SNS notification without a message");
        };
        message = match read(inner) {
            Ok(message) => message,
            Err(answer) => return answer,
        };
    }
    match text(&message, "Type") {
        Some("Notification") => Notification::Unknown("too many SNS envelopes around each other"),
        _ => inside_envelopes(&message),
    }
}

/// The JSON value of `body`, or what it is if it is none.
fn read(body: &str) -> Result<Value, Notification> {
    // Nesting is bounded by serde_json itself.
    serde_json::from_str(body).map_err(|_| match body.trim() == VALIDATION {
        true => Notification::Quiet,
        false => Notification::Unknown("text that is not JSON"),
    })
}

fn inside_envelopes(message: &Value) -> Notification {
    if message.as_str() == Some(VALIDATION) || text(message, "Event") == Some("s3:TestEvent") {
        return Notification::Quiet;
    }
    if message.get("s3Bucket").is_some() {
        return of_cloudtrail(message);
    }
    if let Some(Value::Array(records)) = message.get("Records") {
        return of_s3(records);
    }
    if message.get("detail-type").is_some() {
        return of_eventbridge(message);
    }
    Notification::Unknown("JSON of another kind")
}

/// `s3Bucket` and the `s3ObjectKey` list, as CloudTrail publishes for the files that it has delivered.
fn of_cloudtrail(message: &Value) -> Notification {
    let mut objects = Objects::default();
    if let Some(Value::Array(keys)) = message.get("s3ObjectKey") {
        for key in keys.iter().filter_map(Value::as_str) {
            objects.add(text(message, "s3Bucket"), key.to_owned(), None);
        }
    }
    objects.or_unknown("a CloudTrail notification that names no object")
}

/// The list of an S3 event, whose keys are encoded as in a URL.
fn of_s3(records: &[Value]) -> Notification {
    let mut objects = Objects::default();
    let mut others = false;
    for record in records {
        let (Some(s3), Some(name)) = (record.get("s3"), text(record, "eventName")) else {
            continue;
        };
        // Other services that speak S3's protocol write the name in full.
        let name = name.strip_prefix("s3:").unwrap_or(name);
        if !name.starts_with("ObjectCreated:") {
            others = true;
            continue;
        }
        if let (bucket, Some((key, size))) = bucket_and_key(s3)
            && let Some(key) = url_decoded(key)
        {
            objects.add(bucket, key, size);
        }
    }
    match objects.list.is_empty() && others {
        true => Notification::Quiet,
        false => objects.or_unknown("a list of records that names no created object"),
    }
}

/// An event of S3 by way of EventBridge, whose key is plain.
fn of_eventbridge(message: &Value) -> Notification {
    if text(message, "source") != Some("aws.s3") {
        return Notification::Unknown("an EventBridge event that is not of S3");
    }
    if text(message, "detail-type") != Some("Object Created") {
        return Notification::Quiet;
    }
    let mut objects = Objects::default();
    if let Some((bucket, Some((key, size)))) = message.get("detail").map(bucket_and_key) {
        objects.add(bucket, key.to_owned(), size);
    }
    objects.or_unknown("an EventBridge event that names no object")
}

/// `bucket.name`, and `object.key` with `object.size`.
fn bucket_and_key(of: &Value) -> (Option<&str>, Option<(&str, Option<u64>)>) {
    let bucket = of.get("bucket").and_then(|bucket| text(bucket, "name"));
    let object = of.get("object").and_then(|object| {
        let size = object.get("size").and_then(Value::as_u64);
        Some((text(object, "key")?, size))
    });
    (bucket, object)
}

fn text<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

/// Undoes the encoding of a query: `+` is a space, `%` and two hexadecimal digits are a byte; another `%` stands for itself.
///
/// `None` where that is not UTF-8, which every key is.
fn url_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, left) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => (b'%', &rest[1..]),
            },
            (b'+', _) => (b' ', tail),
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = left;
    }
    String::from_utf8(decoded).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    // Each of 16 values fits.
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The objects of one message so far.
#[derive(Default)]
struct Objects {
    list: Vec<ObjectRef>,
    seen: HashSet<(String, String)>,
}

impl Objects {
    /// Takes an object, unless it is there already or there can be no such object.
    fn add(&mut self, bucket: Option<&str>, key: String, size: Option<u64>) {
        let Some(bucket) = bucket.filter(|name| is_bucket(name)) else {
            return;
        };
        if (1..=1024).contains(&key.len()) && self.seen.insert((bucket.to_owned(), key.clone())) {
            self.list.push(ObjectRef {
                bucket: bucket.to_owned(),
                key,
                size,
            });
        }
    }

    fn or_unknown(self, kind: &'static str) -> Notification {
        match self.list.is_empty() {
            true => Notification::Unknown(kind),
            false => Notification::Objects(self.list),
        }
    }
}

/// Whether a bucket can have this name, the rules of S3's early days included.
fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests;
