//! Names what a text or an object without records appears to be, for a log line.
#![forbid(unsafe_code)]

use crate::json::text::unescaped;
use crate::json::{Tape, Value};

/// Keys that tell what an object is. All keys of a row must be there; the first row that fits counts.
const SHAPES: [(&[&str], &str); 16] = [
    (
        &["detail-type", "detail"],
        "an EventBridge event that is not CloudTrail's",
    ),
    (&["configurationItems"], "an AWS Config snapshot or history"),
    (&["configurationItem"], "an AWS Config notification"),
    (&["webaclId"], "a log of AWS WAF"),
    (&["query_name", "query_type"], "a log of Route 53 Resolver"),
    (&["firewall_name", "event"], "a log of Network Firewall"),
    (&["schemaType", "modelId"], "a log of Amazon Bedrock"),
    (
        &["schemaVersion", "service", "severity"],
        "a GuardDuty finding",
    ),
    (&["SchemaVersion", "ProductArn"], "a Security Hub finding"),
    (
        &["class_uid", "metadata"],
        "OCSF, as Security Lake writes it",
    ),
    (&["s3Bucket", "s3ObjectKey"], "a notification of CloudTrail"),
    (&["TopicArn", "Message"], "a notification of SNS"),
    (&["rawData", "errorCode"], "a failed delivery of Firehose"),
    (&["Statement"], "an IAM policy"),
    (&["timestamp", "message"], "a log event without a record"),
    (&["timestamp", "log"], "a log line"),
];

/// First bytes of what is no text in UTF-8; the first row that fits counts.
const STARTS: [(&[u8], &str); 11] = [
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"\x1f\x8b", "gzip data in three layers of gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
];

const UTF_16: &str = "text in UTF-16, which is not read; convert it to UTF-8";
const UTF_32: &str = "text in UTF-32, which is not read; convert it to UTF-8";

/// What a text that is not in UTF-8 appears to be, by its first bytes.
pub(super) fn of_start(text: &[u8]) -> Option<&'static str> {
    // A text in UTF-8 that starts with a bracket and has a record has no zero as its second byte.
    let bracket = |byte: u8| matches!(byte, b'{' | b'[');
    match *text {
        [first, 0, 0, 0, _, 0, 0, 0, ..] | [0, 0, 0, first, 0, 0, 0, ..] if bracket(first) => {
            return Some(UTF_32);
        }
        [first, 0, 1..=255, 0, ..] | [0, first, 0, 1..=255, ..] if bracket(first) => {
            return Some(UTF_16);
        }
        _ => {}
    }
    let row = STARTS.iter().find(|(start, _)| text.starts_with(start));
    row.map(|(_, shape)| *shape)
}

/// What an object appears to be.
pub(super) fn of_object(tape: Tape<'_>) -> String {
    /// Keys that are shown of an unknown object, and bytes of each.
    const SHOWN: usize = 3;
    const SHOWN_BYTES: usize = 40;
    let keys = || tape.members(Value::ROOT).map(|(key, _)| key);
    let has = |name: &&str| keys().any(|key| key == name.as_bytes());
    if let Some((_, shape)) = SHAPES.iter().find(|(names, _)| names.iter().all(has)) {
        return (*shape).to_owned();
    }
    let shown: Vec<_> = keys()
        .take(SHOWN)
        .map(|key| {
            let key = unescaped(&key[..key.len().min(SHOWN_BYTES)]);
            String::from_utf8_lossy(&key).escape_debug().to_string()
        })
        .collect();
    match shown.is_empty() {
        true => "an empty object".to_owned(),
        false => format!("an object with the keys {}", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf_8_is_named() {
        let text = r#"{"Records":[{"eventVersion":"1.11"}]}"#;
        let utf_16: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let wide = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            text.chars().flat_map(|char| bytes(char.into())).collect()
        };
        for (content, shape) in [
            (&little[..], UTF_16),
            (&big, UTF_16),
            (&[b"\xff\xfe", &little[..]].concat(), UTF_16),
            (&[b"\xfe\xff", &big[..]].concat(), UTF_16),
            (&wide(u32::to_le_bytes), UTF_32),
            (&wide(u32::to_be_bytes), UTF_32),
            (
                &[b"\xff\xfe\0\0", &wide(u32::to_le_bytes)[..]].concat(),
                UTF_32,
            ),
            (b"BZh91AY&SY", "bzip2 data"),
        ] {
            assert_eq!(of_start(content), Some(shape), "{}", content.escape_ascii());
        }
        for text in [
            "",
            "{",
            "[{}]",
            text,
            "{\0\0\0\0\"a\":1}",
            "\u{feff}{}",
            "PK",
        ] {
            assert_eq!(of_start(text.as_bytes()), None, "{text:?}");
        }
    }
}
