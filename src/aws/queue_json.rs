//! What requests to a queue and their answers hold: AWS JSON 1.0 (SQS API reference).
#![forbid(unsafe_code)]

use std::collections::HashMap;

use aws_sdk_sqs::types::{BatchResultErrorEntry, Message, MessageSystemAttributeName};
use serde::{Deserialize, Serialize};

/// The attributes of messages that are requested.
pub(super) const ATTRIBUTES: [MessageSystemAttributeName; 2] = [
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
];

/// A message as the queue delivers it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueMessage {
    pub(crate) id: String,
    pub(crate) receipt: String,
    pub(crate) body: String,
    /// Receives so far, this one included.
    pub(crate) receives: Option<u64>,
    /// Time of the first receive, in milliseconds since 1970.
    pub(crate) first_received: Option<u64>,
}

/// What a request about several messages brought. Entries have the place of their message in the request as their id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchAnswer {
    pub(crate) successful: Vec<String>,
    pub(crate) failed: Vec<FailedEntry>,
}

/// Why the request failed for one message.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct FailedEntry {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) message: Option<String>,
    pub(crate) sender_fault: bool,
}

/// The request `ReceiveMessage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveRequest<'a> {
    pub(super) queue_url: &'a str,
    pub(super) max_number_of_messages: u32,
    pub(super) message_system_attribute_names: [&'a str; ATTRIBUTES.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) visibility_timeout: Option<i32>,
    pub(super) wait_time_seconds: i32,
}

/// A request about several messages.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchRequest<'a> {
    pub(super) queue_url: &'a str,
    pub(super) entries: Vec<BatchEntry<'a>>,
}

/// One message of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchEntry<'a> {
    pub(super) id: String,
    pub(super) receipt_handle: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) visibility_timeout: Option<i32>,
}

impl<'a> BatchRequest<'a> {
    pub(super) fn new(
        url: &'a str,
        messages: impl Iterator<Item = (&'a str, Option<i32>)>,
    ) -> Self {
        let entries = messages.enumerate();
        let entries = entries.map(
            |(number, (receipt_handle, visibility_timeout))| BatchEntry {
                id: number.to_string(),
                receipt_handle,
                visibility_timeout,
            },
        );
        BatchRequest {
            queue_url: url,
            entries: entries.collect(),
        }
    }
}

/// The answer to `ReceiveMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveAnswer {
    pub(super) messages: Option<Vec<MessageAnswer>>,
}

/// A message of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAnswer {
    pub(super) message_id: Option<String>,
    pub(super) receipt_handle: Option<String>,
    pub(super) body: Option<String>,
    /// Strings, with SQS; other servers write numbers.
    pub(super) attributes: Option<HashMap<String, serde_json::Value>>,
}

/// The answer to a [`BatchRequest`].
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchAnswerJson {
    pub(super) successful: Option<Vec<SuccessfulEntry>>,
    pub(super) failed: Option<Vec<FailedEntry>>,
}

/// A message for which it succeeded.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SuccessfulEntry {
    pub(super) id: String,
}

impl BatchAnswer {
    /// The answer that the SDK received.
    pub(super) fn of_sdk(
        successful: impl Iterator<Item = String>,
        failed: Vec<BatchResultErrorEntry>,
    ) -> Self {
        BatchAnswer {
            successful: successful.collect(),
            failed: failed.into_iter().map(FailedEntry::from).collect(),
        }
    }

    pub(super) fn from_json(answer: BatchAnswerJson) -> Self {
        let successful = answer.successful.unwrap_or_default().into_iter();
        BatchAnswer {
            successful: successful.map(|entry| entry.id).collect(),
            failed: answer.failed.unwrap_or_default(),
        }
    }
}

impl QueueMessage {
    fn new(
        [id, receipt, body]: [Option<String>; 3],
        attribute: impl Fn(&MessageSystemAttributeName) -> Option<u64>,
    ) -> QueueMessage {
        let [receives, first_received] = ATTRIBUTES.each_ref().map(attribute);
        QueueMessage {
            id: id.unwrap_or_default(),
            receipt: receipt.unwrap_or_default(),
            body: body.unwrap_or_default(),
            receives,
            first_received,
        }
    }
}

impl From<MessageAnswer> for QueueMessage {
    fn from(message: MessageAnswer) -> Self {
        let attributes = message.attributes.unwrap_or_default();
        let parts = [message.message_id, message.receipt_handle, message.body];
        QueueMessage::new(parts, |name| match attributes.get(name.as_str())? {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        })
    }
}

impl From<Message> for QueueMessage {
    fn from(message: Message) -> Self {
        let attributes = message.attributes.unwrap_or_default();
        let parts = [message.message_id, message.receipt_handle, message.body];
        QueueMessage::new(parts, |name| attributes.get(name)?.parse().ok())
    }
}

impl From<BatchResultErrorEntry> for FailedEntry {
    fn from(entry: BatchResultErrorEntry) -> Self {
        FailedEntry {
            id: entry.id,
            code: entry.code,
            message: entry.message,
            sender_fault: entry.sender_fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    fn json<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn messages_are_read_from_the_answer() {
        let text = r#"{"Messages":[
            {"MessageId":"m","ReceiptHandle":"r","Body":"a\"\u00e9","MD5OfBody":"0","Attributes":
                {"ApproximateReceiveCount":"3","ApproximateFirstReceiveTimestamp":"1768435199000","Other":"x"}},
            {"MessageId":"n","Body":null,"Attributes":{"ApproximateReceiveCount":"many"}},
            {"MessageId":"o","Attributes":{"ApproximateReceiveCount":4,"ApproximateFirstReceiveTimestamp":[]}}]}"#;
        let answer: ReceiveAnswer = json(text).expect("an answer");
        let messages = answer.messages.expect("messages").into_iter();
        let expected = [
            QueueMessage {
                id: "m".to_owned(),
                receipt: "r".to_owned(),
                body: "a\"é".to_owned(),
                receives: Some(3),
                first_received: Some(1_768_435_199_000),
            },
            QueueMessage {
                id: "n".to_owned(),
                ..QueueMessage::default()
            },
            QueueMessage {
                id: "o".to_owned(),
                receives: Some(4),
                ..QueueMessage::default()
            },
        ];
        let messages: Vec<_> = messages.map(QueueMessage::from).collect();
        assert_eq!(messages, expected);
        for empty in ["{}", r#"{"Messages":null}"#, r#"{"Messages":[]}"#] {
            let answer: ReceiveAnswer = json(empty).expect(empty);
            assert!(answer.messages.unwrap_or_default().is_empty());
        }
    }

    #[test]
    fn answers_that_are_none_are_left_to_the_sdk() {
        for text in [
            "",
            "<html></html>",
            "[]x",
            r#"{"Messages":{}}"#,
            r#"{"Messages":[{}]"#,
        ] {
            assert!(json::<ReceiveAnswer>(text).is_none(), "{text}");
        }
        assert!(json::<BatchAnswerJson>(r#"{"Successful":[{}]}"#).is_none());
    }

    #[test]
    fn entries_of_a_batch_are_read_from_the_answer() {
        let text = r#"{"Successful":[{"Id":"0"}],"Failed":[
            {"Id":"1","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"m"},{"Id":"2","Code":"c"}]}"#;
        let answer = BatchAnswer::from_json(json(text).expect("an answer"));
        assert_eq!(answer.successful, ["0"]);
        let failed = |id: &str, code: &str| FailedEntry {
            id: id.to_owned(),
            code: code.to_owned(),
            ..FailedEntry::default()
        };
        let first = FailedEntry {
            message: Some("m".to_owned()),
            sender_fault: true,
            ..failed("1", "ReceiptHandleIsInvalid")
        };
        assert_eq!(answer.failed, [first, failed("2", "c")]);
    }

    #[test]
    fn requests_have_only_what_is_set() {
        let receipts = [("r", None), ("s\"", Some(30))];
        let request = BatchRequest::new("http://q/1/q", receipts.into_iter());
        assert_eq!(
            serde_json::to_string(&request).expect("JSON"),
            r#"{"QueueUrl":"http://q/1/q","Entries":[{"Id":"0","ReceiptHandle":"r"},{"Id":"1","ReceiptHandle":"s\"","VisibilityTimeout":30}]}"#
        );
    }
}
