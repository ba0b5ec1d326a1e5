//! Names what an object that is not a record appears to be, for a log line.
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
