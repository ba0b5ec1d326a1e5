//! A message names the objects that its sender wrote, in every form and envelope, and whatever
//! else it says, nothing that no bucket and no key can be. The first line is a bucket, the others
//! are keys.
#![no_main]

use cloudtrail::testing::{Notification, parse_notification};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let found = named(parse_notification(text));
    assert!(found.iter().all(|(bucket, key)| can_be(bucket, key)));
    let mut lines = text.split('\n');
    let bucket = lines.next().unwrap_or_default();
    let mut expected: Vec<(String, String)> = Vec::new();
    for key in lines.clone().filter(|key| can_be(bucket, key)) {
        let object = (bucket.to_owned(), key.to_owned());
        if !expected.contains(&object) {
            expected.push(object);
        }
    }
    let keys: Vec<_> = lines.collect();
    let s3 = |key: &&str| json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": encoded(key)}}});
    agree(json!({"s3Bucket": bucket, "s3ObjectKey": keys}), &expected);
    agree(
        json!({"Records": keys.iter().map(s3).collect::<Vec<_>>()}),
        &expected,
    );
    if let Some(key) = keys.first() {
        let detail = json!({"bucket": {"name": bucket}, "object": {"key": key}});
        let one = expected.first().filter(|(_, other)| other == key);
        agree(
            json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail}),
            one.map_or(&[], std::slice::from_ref),
        );
    }
});

/// The message as it is and in envelopes names these objects.
fn agree(message: Value, expected: &[(String, String)]) {
    let mut body = message.to_string();
    for envelopes in 0..=3 {
        assert_eq!(
            named(parse_notification(&body)),
            expected,
            "{envelopes} envelopes: {body}"
        );
        body = json!({"Type": "Notification", "Message": body}).to_string();
    }
}

fn named(notification: Notification) -> Vec<(String, String)> {
    match notification {
        Notification::Objects(parsed) => {
            let objects = parsed.objects.into_iter();
            objects.map(|it| (it.bucket, it.key)).collect()
        }
        Notification::Ignored | Notification::Unknown(_) => Vec::new(),
    }
}

fn can_be(bucket: &str, key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (3..=255).contains(&bucket.len())
        && bucket.chars().all(plain)
        && !bucket.starts_with(['.', '-', '_'])
        && (1..=1024).contains(&key.len())
}

/// As S3 writes keys in its events.
fn encoded(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}
