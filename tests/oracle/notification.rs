//! What a message holds, by a second implementation on `serde_json::Value`.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use serde_json::Value;

/// What a message holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// Bucket, key, size and version of each object, and the number of unusable parts.
    Objects(Vec<(String, String, Option<u64>, Option<String>)>, usize),
    /// The record or log; whether it is one Insights record.
    Records(Value, bool),
    Ignored,
    Unknown,
}

/// What the message with this body holds. Objects must not repeat a key.
pub fn expected(message: &Value) -> Expected {
    envelope(message, 3)
}

fn envelope(message: &Value, left: usize) -> Expected {
    if is_record(message) {
        return Expected::Records(message.clone(), is_insight(message));
    }
    match (message["Type"].as_str(), message["Message"].as_str()) {
        (Some("Notification"), Some(_)) if left == 0 => Expected::Unknown,
        (Some("Notification"), Some(inner)) => match serde_json::from_str(inner) {
            Ok(inner) => envelope(&inner, left - 1),
            Err(_) if inner.trim() == "CloudTrail validation message." => Expected::Ignored,
            Err(_) => Expected::Unknown,
        },
        (Some("Notification" | "SubscriptionConfirmation"), _) => Expected::Unknown,
        _ => unwrapped(message),
    }
}

fn unwrapped(message: &Value) -> Expected {
    let kind = message
        .get("detail-type")
        .map(|kind| kind.as_str().unwrap_or_default());
    let via_cloudtrail = kind.is_some_and(|kind| kind.ends_with(" via CloudTrail"));
    let detail = &message["detail"];
    if is_record(detail) || via_cloudtrail && detail.is_object() {
        let by_type = kind.is_some_and(|kind| kind.starts_with("AWS Insight "));
        return Expected::Records(detail.clone(), by_type || is_insight(detail));
    }
    if via_cloudtrail {
        return Expected::Unknown;
    }
    if message == "CloudTrail validation message." || message["Event"] == "s3:TestEvent" {
        return Expected::Ignored;
    }
    let mut objects = Objects::default();
    if let Some(bucket) = message.get("s3Bucket") {
        for key in message["s3ObjectKey"].as_array().into_iter().flatten() {
            objects.add(bucket, key.as_str(), &Value::Null, &Value::Null);
        }
        return objects.finish(false);
    }
    let list = message["Records"].as_array();
    let is_s3 = |value: &Value| value.get("s3").is_some() && !is_record(value);
    if let Some(list) = list.filter(|list| list.iter().any(is_s3)) {
        let mut ignored = false;
        for event in list {
            let name = event["eventName"].as_str();
            let name = name
                .filter(|_| is_s3(event))
                .map(|name| name.strip_prefix("s3:").unwrap_or(name));
            let gone = [
                "ObjectRemoved:",
                "LifecycleExpiration:",
                "ObjectRestore:",
                "ObjectTagging:",
            ];
            match name {
                Some(name) if name.starts_with("ObjectCreated:") => {
                    let object = &event["s3"]["object"];
                    let key = object["key"].as_str().map(|key| decoded(key).ok_or(()));
                    match key {
                        Some(Err(())) => objects.problems += 1,
                        key => objects.add(
                            &event["s3"]["bucket"]["name"],
                            key.and_then(Result::ok).as_deref(),
                            &object["size"],
                            &object["versionId"],
                        ),
                    }
                }
                Some(name) if gone.iter().any(|gone| name.starts_with(gone)) => ignored = true,
                _ => objects.problems += 1,
            }
        }
        return objects.finish(ignored);
    }
    if list.is_some_and(|list| list.is_empty()) {
        return Expected::Ignored;
    }
    if list
        .or(message.as_array())
        .is_some_and(|list| list.iter().any(is_record))
    {
        return Expected::Records(message.clone(), false);
    }
    match kind.filter(|_| list.is_none() && message["source"] == "aws.s3") {
        Some("Object Created") => {
            let object = &detail["object"];
            if let Some(key) = object["key"].as_str() {
                objects.add(
                    &detail["bucket"]["name"],
                    Some(key),
                    &object["size"],
                    &object["version-id"],
                );
            }
            objects.finish(false)
        }
        Some(
            "Object Deleted"
            | "Object Restore Initiated"
            | "Object Restore Completed"
            | "Object Restore Expired"
            | "Object Tags Added"
            | "Object Tags Deleted",
        ) => Expected::Ignored,
        _ => Expected::Unknown,
    }
}

fn is_record(value: &Value) -> bool {
    let has = |name: &str| value.get(name).is_some();
    let source = value["eventSource"].as_str().unwrap_or_default();
    let is_call = has("eventName")
        && (source.ends_with(".amazonaws.com")
            || !(source.is_empty() || source.contains(':') || has("s3")));
    let is_typed = value["eventType"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("Aws"));
    (has("eventTime") || has("timeWindow") || has("@timestamp")) && (is_call || is_typed)
}

fn is_insight(value: &Value) -> bool {
    value["eventType"] == "AwsCloudTrailInsight"
}

/// Decodes `+` and `%xx`; `None` if the result is not UTF-8.
fn decoded(key: &str) -> Option<String> {
    let bytes = key.as_bytes();
    let (mut text, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = key
            .get(at + 1..at + 3)
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (
            bytes[at],
            hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                text.push(byte);
                at += 2;
            }
            (b'+', _) => text.push(b' '),
            (byte, _) => text.push(byte),
        }
        at += 1;
    }
    String::from_utf8(text).ok()
}

#[derive(Default)]
struct Objects {
    objects: Vec<(String, String, Option<u64>, Option<String>)>,
    seen: HashSet<(String, String)>,
    problems: usize,
}

impl Objects {
    fn add(&mut self, bucket: &Value, key: Option<&str>, size: &Value, version: &Value) {
        let bucket = bucket.as_str().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let valid = (3..=255).contains(&bucket.len())
            && bucket.chars().all(plain)
            && !bucket.starts_with(['.', '-', '_']);
        let Some(key) = key.filter(|key| valid && (1..=1024).contains(&key.len())) else {
            self.problems += 1;
            return;
        };
        let object = (bucket.to_owned(), key.to_owned());
        if self.seen.insert(object.clone()) {
            let version = version.as_str();
            let version = version.filter(|id| *id != "null" && (1..=1024).contains(&id.len()));
            let version = version.map(str::to_owned);
            self.objects
                .push((object.0, object.1, size.as_u64(), version));
        }
    }

    fn finish(self, ignored: bool) -> Expected {
        match self.objects.is_empty() && self.problems == 0 {
            true if ignored => Expected::Ignored,
            true => Expected::Unknown,
            false => Expected::Objects(self.objects, self.problems),
        }
    }
}
