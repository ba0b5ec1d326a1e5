//! Parsing a message yields the objects that its sender named, in every form and envelope. Any other text yields
//! only valid bucket names and keys, and strict JSON what a second implementation finds in it.
//!
//! Input: a bucket on the first line, keys on the others; or any text.
#![no_main]

use cloudtrail::testing::{Notification, NotificationParser};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[path = "../../tests/oracle/notification.rs"]
mod oracle;

use oracle::{Expected, expected};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Expected::Objects(objects, _) = found(text) {
        assert!(
            objects
                .iter()
                .all(|(bucket, key, ..)| is_valid(bucket, key))
        );
    }
    if let Some(message) = rewritten(text) {
        let body = message.to_string();
        assert_eq!(found(&body), expected(&message), "{body}");
    }
    let mut lines = text.split('\n');
    let bucket = lines.next().unwrap_or_default();
    let keys: Vec<_> = lines.collect();
    let s3 = |key: &&str| json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": encoded(key)}}});
    check(
        json!({"s3Bucket": bucket, "s3ObjectKey": keys}),
        bucket,
        &keys,
    );
    check(
        json!({"Records": keys.iter().map(s3).collect::<Vec<_>>()}),
        bucket,
        &keys,
    );
    let first = &keys[..keys.len().min(1)];
    let detail = json!({"bucket": {"name": bucket}, "object": {"key": first.first()}});
    check(
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}),
        bucket,
        first,
    );
});

/// The message in this body, written again in every envelope, so that no key stands anywhere twice. `None` if some of it
/// is not JSON: only brackets and quotes have to balance for the parser, and the second implementation reads no such
/// text.
fn rewritten(body: &str) -> Option<Value> {
    let mut message: Value = serde_json::from_str(body).ok()?;
    if let Some(Value::String(inner)) = message.get_mut("Message")
        && inner.trim_start().starts_with(['{', '[', '"'])
    {
        *inner = rewritten(inner)?.to_string();
    }
    Some(message)
}

/// Checks that the message yields the valid ones of these objects without an envelope and in up to three.
fn check(message: Value, bucket: &str, keys: &[&str]) {
    let mut valid: Vec<(String, String)> = Vec::new();
    for key in keys.iter().filter(|key| is_valid(bucket, key)) {
        let object = (bucket.to_owned(), (*key).to_owned());
        if !valid.contains(&object) {
            valid.push(object);
        }
    }
    let mut body = message.to_string();
    for envelopes in 0..=3 {
        let objects = match found(&body) {
            Expected::Objects(objects, _) => objects,
            _ => Vec::new(),
        };
        let objects: Vec<_> = objects.into_iter().map(|it| (it.0, it.1)).collect();
        assert_eq!(objects, valid, "{envelopes} envelopes: {body}");
        body = json!({"Type": "Notification", "Message": body}).to_string();
    }
}

/// What the parser finds.
fn found(body: &str) -> Expected {
    let mut text = body.to_owned();
    let mut parser = NotificationParser::default();
    let records = match parser.parse(&mut text) {
        Notification::Records(records) => records,
        Notification::Objects(parsed) => {
            let objects = parsed.objects.into_iter().map(|object| {
                let version = object.version.map(|version| version.into_owned());
                (
                    object.bucket.into_owned(),
                    object.key.into_owned(),
                    object.size,
                    version,
                )
            });
            return Expected::Objects(objects.collect(), parsed.problems.len());
        }
        Notification::Ignored => return Expected::Ignored,
        Notification::Unknown(_) => return Expected::Unknown,
    };
    // Other text than JSON can hold records too.
    let value = serde_json::from_str(&text[records.range]).unwrap_or_default();
    Expected::Records(value, records.is_insight)
}

fn is_valid(bucket: &str, key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (3..=255).contains(&bucket.len())
        && bucket.chars().all(plain)
        && !bucket.starts_with(['.', '-', '_'])
        && (1..=1024).contains(&key.len())
}

/// Encodes a key as S3 does in its event notifications.
fn encoded(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}
