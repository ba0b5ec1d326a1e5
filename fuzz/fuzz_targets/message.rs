//! Parsing a message yields the objects that its sender named, in every form and envelope. Any other text yields
//! only valid bucket names and keys.
//!
//! Input: a bucket on the first line, keys on the others.
#![no_main]

use cloudtrail::testing::{Notification, parse_notification};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = objects(parse_notification(text));
    assert!(parsed.iter().all(|(bucket, key)| is_valid(bucket, key)));
    let mut lines = text.split('\n');
    let bucket = lines.next().unwrap_or_default();
    let mut expected: Vec<(String, String)> = Vec::new();
    for key in lines.clone().filter(|key| is_valid(bucket, key)) {
        let object = (bucket.to_owned(), key.to_owned());
        if !expected.contains(&object) {
            expected.push(object);
        }
    }
    let keys: Vec<_> = lines.collect();
    let s3 = |key: &&str| json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": encoded(key)}}});
    check(json!({"s3Bucket": bucket, "s3ObjectKey": keys}), &expected);
    check(
        json!({"Records": keys.iter().map(s3).collect::<Vec<_>>()}),
        &expected,
    );
    if let Some(key) = keys.first() {
        let detail = json!({"bucket": {"name": bucket}, "object": {"key": key}});
        let one = expected.first().filter(|(_, other)| other == key);
        check(
            json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}),
            one.map_or(&[], std::slice::from_ref),
        );
    }
});

/// Checks that the message yields these objects without an envelope and in up to three.
fn check(message: Value, expected: &[(String, String)]) {
    let mut body = message.to_string();
    for envelopes in 0..=3 {
        assert_eq!(
            objects(parse_notification(&body)),
            expected,
            "{envelopes} envelopes: {body}"
        );
        body = json!({"Type": "Notification", "Message": body}).to_string();
    }
}

/// The objects of a notification as pairs of bucket and key.
fn objects(notification: Notification) -> Vec<(String, String)> {
    match notification {
        Notification::Objects(parsed) => {
            let objects = parsed.objects.into_iter();
            objects.map(|it| (it.bucket, it.key)).collect()
        }
        Notification::Ignored | Notification::Unknown(_) => Vec::new(),
    }
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
