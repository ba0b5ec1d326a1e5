//! What requests to a queue and their answers hold: AWS JSON 1.0 (SQS API reference).
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::log::quote::quoted;

/// The attributes of messages that are requested.
pub(super) const ATTRIBUTES: [MessageSystemAttributeName; 2] = [
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
];

/// The most elements of an answer that are described as malformed; further ones are counted.
const MAX_DESCRIBED: usize = 10;

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
    /// What else the message should have and cannot be read: `Attributes is a list instead of an object`.
    pub(crate) unread: Option<String>,
}

/// What a receive brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceivedMessages {
    pub(crate) messages: Vec<QueueMessage>,
    pub(crate) malformed: Vec<MalformedMessage>,
    /// Further malformed elements.
    pub(crate) more_malformed: usize,
}

/// An element of an answer that has no receipt handle or no body, and so can be neither processed nor deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MalformedMessage {
    pub(crate) id: Option<String>,
    /// The member and what is wrong with it: `Body is missing`.
    pub(crate) problem: String,
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

/// The content of an answer with a status of success.
pub(super) trait QueueAnswer: fmt::Debug + Default + Send + Sized + 'static {
    /// Reads the body of an answer.
    ///
    /// # Errors
    ///
    /// What the answer is instead, such as `is empty`.
    fn read(body: &[u8]) -> Result<Self, String>;
}

/// The members of an answer to `ReceiveMessage`. `null` is a value.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMembers<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    messages: Option<&'a RawValue>,
}

/// The members of an answer to a [`BatchRequest`].
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchMembers<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    successful: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    failed: Option<&'a RawValue>,
}

/// The members of a message; `null` counts as none.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageMembers<'a> {
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    receipt_handle: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

/// A message for which a request succeeded.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SuccessfulEntry {
    id: String,
}

/// An answer to `ReceiveMessage` of sound messages only, as most are.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SoundMessages {
    messages: Vec<SoundMessage>,
}

/// A message that has all of its members.
struct SoundMessage(QueueMessage);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "PascalCase")]
enum MessageMember {
    MessageId,
    ReceiptHandle,
    Body,
    Attributes,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for SoundMessage {
    fn deserialize<D: Deserializer<'de>>(message: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = SoundMessage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SoundMessage, A::Error> {
                let mut texts: [Option<String>; 3] = Default::default();
                let mut attributes = None::<HashMap<String, Value>>;
                while let Some(member) = map.next_key()? {
                    let place = match member {
                        MessageMember::MessageId => 0,
                        MessageMember::ReceiptHandle => 1,
                        MessageMember::Body => 2,
                        MessageMember::Attributes => {
                            attributes = map.next_value()?;
                            continue;
                        }
                        MessageMember::Other => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if texts[place].replace(map.next_value()?).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                }
                let [Some(id), Some(receipt), Some(body)] = texts else {
                    return Err(A::Error::custom("a member is missing"));
                };
                if receipt.is_empty() {
                    return Err(A::Error::custom("a member is empty"));
                }
                let [receives, first_received] = ATTRIBUTES.each_ref().map(|name| {
                    match attributes.as_ref()?.get(name.as_str())? {
                        Value::String(text) => text.parse().ok(),
                        // Strings, with SQS; other servers write numbers.
                        other => other.as_u64(),
                    }
                });
                Ok(SoundMessage(QueueMessage {
                    id,
                    receipt,
                    body,
                    receives,
                    first_received,
                    unread: None,
                }))
            }
        }

        message.deserialize_map(Members)
    }
}

impl QueueAnswer for ReceivedMessages {
    fn read(body: &[u8]) -> Result<Self, String> {
        match ReceivedMessages::read_sound(body) {
            Some(messages) => Ok(messages),
            None => ReceivedMessages::read_each(body),
        }
    }
}

impl ReceivedMessages {
    /// Reads an answer if all of its messages are sound, in a third of the time.
    fn read_sound(body: &[u8]) -> Option<Self> {
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let answer = serde_json::from_slice(body).ok().filter(|_| is_object);
        let SoundMessages { messages } = answer?;
        Some(ReceivedMessages {
            messages: messages.into_iter().map(|message| message.0).collect(),
            ..ReceivedMessages::default()
        })
    }

    /// Reads one message after the other.
    fn read_each(body: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(body);
        let is_utf8 = matches!(text, Cow::Borrowed(_));
        let text = text.trim_ascii();
        let mut received = ReceivedMessages::default();
        let Some(messages) = members::<ReceiveMembers<'_>>(text)?.messages else {
            // Without a message, SQS answers with an empty object.
            return match text[1..text.len() - 1].trim_ascii() {
                "" => Ok(received),
                _ => Err(foreign_object(text)),
            };
        };
        let each = |element: &RawValue| match QueueMessage::read(element, is_utf8) {
            Ok(message) => received.messages.push(message),
            Err(_) if received.malformed.len() == MAX_DESCRIBED => received.more_malformed += 1,
            Err(malformed) => received.malformed.push(malformed),
        };
        each_element("Messages", messages, each)?;
        Ok(received)
    }
}

impl QueueAnswer for BatchAnswer {
    /// Entries that cannot be read are left out, and so tried again.
    fn read(body: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_ascii();
        let BatchMembers { successful, failed } = members(text)?;
        if successful.is_none() && failed.is_none() {
            return Err(foreign_object(text));
        }
        let mut answer = BatchAnswer::default();
        if let Some(successful) = successful {
            each_element("Successful", successful, |entry| {
                let entry = object::<SuccessfulEntry>(entry.get());
                answer.successful.extend(entry.map(|entry| entry.id));
            })?;
        }
        if let Some(failed) = failed {
            each_element("Failed", failed, |entry| {
                answer.failed.extend(object::<FailedEntry>(entry.get()));
            })?;
        }
        Ok(answer)
    }
}

impl QueueMessage {
    /// Reads an element of `Messages`. Attributes and a MessageId that cannot be read are left out.
    fn read(element: &RawValue, is_utf8: bool) -> Result<QueueMessage, MalformedMessage> {
        let malformed = |id, problem| MalformedMessage { id, problem };
        let text = element.get();
        if !text.starts_with('{') {
            let problem = format!("the message is {} instead of an object", kind(text));
            return Err(malformed(None, problem));
        }
        let members = serde_json::from_str(text);
        let MessageMembers {
            message_id,
            receipt_handle,
            body,
            attributes,
        } = members.map_err(|error| malformed(None, format!("the message: {error}")))?;
        let (id, mut unread) = match string("MessageId", message_id, is_utf8) {
            Ok(id) => (Some(id), None),
            Err(problem) => (None, Some(problem)),
        };
        let parts = string("ReceiptHandle", receipt_handle, is_utf8).and_then(|receipt| {
            if receipt.is_empty() {
                return Err("ReceiptHandle is empty".to_owned());
            }
            Ok((receipt, string("Body", body, is_utf8)?))
        });
        let (receipt, body) = match parts {
            Ok(parts) => parts,
            Err(problem) => return Err(malformed(id, problem)),
        };
        let attributes = match attributes.map(RawValue::get) {
            None => HashMap::<String, &RawValue>::new(),
            Some(text) => object(text).unwrap_or_else(|| {
                let kind = kind(text);
                unread.get_or_insert(format!("Attributes is {kind} instead of an object"));
                HashMap::new()
            }),
        };
        let [receives, first_received] = ATTRIBUTES.each_ref().map(|name| {
            let value = attributes.get(name.as_str())?;
            value.get().trim_matches('"').parse().ok()
        });
        Ok(QueueMessage {
            id: id.unwrap_or_default(),
            receipt,
            body,
            receives,
            first_received,
            unread,
        })
    }
}

/// The members of the object that an answer consists of.
fn members<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    object(text).ok_or_else(|| "is cut off or malformed".to_owned())
}

/// Describes an object without any member of the expected answer.
fn foreign_object(text: &str) -> String {
    #[derive(Deserialize)]
    struct ErrorDocument {
        #[serde(rename = "__type")]
        kind: String,
    }
    match object::<ErrorDocument>(text) {
        Some(document) => format!("is the error document {}", quoted(&document.kind)),
        None => "is JSON without the members of one".to_owned(),
    }
}

/// Parses an object; `None` for everything else. Serde would take a list as an object's members in their order.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let is_object = text.starts_with('{');
    serde_json::from_str(text).ok().filter(|_| is_object)
}

/// Calls `each` for the elements of a list, which `null` has none of. One at a time: an answer of small elements would
/// take a multiple of its size.
fn each_element(name: &str, list: &RawValue, each: impl FnMut(&RawValue)) -> Result<(), String> {
    struct Elements<F>(F);

    impl<'de, F: FnMut(&RawValue)> Visitor<'de> for Elements<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while let Some(element) = elements.next_element()? {
                self.0(element);
            }
            Ok(())
        }
    }

    let mut list_reader = serde_json::Deserializer::from_str(list.get());
    list_reader
        .deserialize_any(Elements(each))
        .map_err(|_| format!("has {} as {name} instead of a list", kind(list.get())))
}

/// A member that has to be a string, or what is wrong with it. Where the answer `is_utf8` in part only, bytes that are
/// not have become replacement characters.
fn string(name: &str, value: Option<&RawValue>, is_utf8: bool) -> Result<String, String> {
    let Some(text) = value.map(RawValue::get) else {
        return Err(format!("{name} is missing"));
    };
    if !text.starts_with('"') {
        return Err(format!("{name} is {} instead of a string", kind(text)));
    }
    let decoded = serde_json::from_str(text).ok();
    decoded
        .filter(|text: &String| is_utf8 || !text.contains(char::REPLACEMENT_CHARACTER))
        .ok_or_else(|| format!("{name} has characters that are not Unicode"))
}

/// What kind of value a JSON text is.
fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// A member's value, also if it is `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(text: &[u8]) -> Result<ReceivedMessages, String> {
        ReceivedMessages::read(text)
    }

    fn batch(text: &str) -> Result<BatchAnswer, String> {
        BatchAnswer::read(text.as_bytes())
    }

    fn message(id: &str) -> QueueMessage {
        QueueMessage {
            id: id.to_owned(),
            receipt: "r".to_owned(),
            body: "b".to_owned(),
            ..QueueMessage::default()
        }
    }

    #[test]
    fn messages_are_read_from_the_answer() {
        let text = r#" {"Other":[{}],"Messages":[
            {"MessageId":"m","ReceiptHandle":"r","Body":"a\"\u00e9","MD5OfBody":"0","Attributes":
                {"ApproximateReceiveCount":"3","ApproximateFirstReceiveTimestamp":"1768435199000","Other":"x"}},
            {"MessageId":"n","ReceiptHandle":"r","Body":"b","Attributes":{"ApproximateReceiveCount":"many"}},
            {"MessageId":"o","ReceiptHandle":"r","Body":"b",
                "Attributes":{"ApproximateReceiveCount":4,"ApproximateFirstReceiveTimestamp":[]}},
            {"MessageId":"p","ReceiptHandle":"r","Body":"b","Attributes":null}]}
        "#;
        let expected = [
            QueueMessage {
                body: "a\"é".to_owned(),
                receives: Some(3),
                first_received: Some(1_768_435_199_000),
                ..message("m")
            },
            message("n"),
            QueueMessage {
                receives: Some(4),
                ..message("o")
            },
            message("p"),
        ];
        let sound = ReceivedMessages::read_sound(text.as_bytes()).expect("sound messages");
        assert_eq!(sound.messages, expected);
        assert_eq!(ReceivedMessages::read_each(text.as_bytes()), Ok(sound));
        for empty in ["{}", " {\n} ", r#"{"Messages":null}"#, r#"{"Messages":[]}"#] {
            let received = receive(empty.as_bytes()).expect(empty);
            assert_eq!(received, ReceivedMessages::default(), "{empty}");
        }
    }

    #[test]
    fn malformed_message_is_described_and_the_others_are_read() {
        for (element, id, problem) in [
            ("null", None, "the message is null instead of an object"),
            ("[]", None, "the message is a list instead of an object"),
            (
                r#"["m","r","b",null]"#,
                None,
                "the message is a list instead of an object",
            ),
            ("{}", None, "ReceiptHandle is missing"),
            (
                r#"{"MessageId":"m","Body":"b"}"#,
                Some("m"),
                "ReceiptHandle is missing",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":"","Body":"b"}"#,
                Some("m"),
                "ReceiptHandle is empty",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":true,"Body":"b"}"#,
                Some("m"),
                "ReceiptHandle is a boolean instead of a string",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":"r","Body":-5}"#,
                Some("m"),
                "Body is a number instead of a string",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":"r","Body":{"a":[]}}"#,
                Some("m"),
                "Body is an object instead of a string",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":"r","Body":null}"#,
                Some("m"),
                "Body is missing",
            ),
            (
                r#"{"MessageId":7,"ReceiptHandle":"r"}"#,
                None,
                "Body is missing",
            ),
            (
                r#"{"MessageId":"m","ReceiptHandle":"r","Body":"\ud800"}"#,
                Some("m"),
                "Body has characters that are not Unicode",
            ),
        ] {
            let sound = r#"{"MessageId":"s","ReceiptHandle":"r","Body":"b"}"#;
            let text = format!(r#"{{"Messages":[{element},{sound},{element}]}}"#);
            let received = receive(text.as_bytes()).expect(element);
            assert_eq!(received.messages, [message("s")], "{element}");
            let [first, second] = &received.malformed[..] else {
                panic!("{element}: {received:?}");
            };
            assert_eq!(first, second);
            assert_eq!(
                (first.id.as_deref(), first.problem.as_str()),
                (id, problem),
                "{element}"
            );
        }
    }

    #[test]
    fn member_that_occurs_twice_makes_a_message_malformed() {
        let text = r#"{"Messages":[{"ReceiptHandle":"r","Body":"b","Body":"c"}]}"#;
        let received = receive(text.as_bytes()).expect("an answer");
        let [malformed] = &received.malformed[..] else {
            panic!("{received:?}");
        };
        assert!(malformed.problem.contains("duplicate field `Body`"));
    }

    #[test]
    fn bytes_that_are_not_utf8_affect_their_message_only() {
        let mut text = r#"{"Messages":[{"MessageId":"s","ReceiptHandle":"r","Body":"b"},
            {"MessageId":"m","ReceiptHandle":"r","Body":"X"}]}"#
            .to_owned()
            .into_bytes();
        let place = text.iter().position(|byte| *byte == b'X').expect("an X");
        text[place] = 0xff;
        let received = receive(&text).expect("an answer");
        assert_eq!(received.messages, [message("s")]);
        assert_eq!(received.malformed[0].id.as_deref(), Some("m"));
        // Elsewhere, the character is one like others.
        let text = r#"{"Messages":[{"ReceiptHandle":"r","Body":"\ufffd"}]}"#;
        let received = receive(text.as_bytes()).expect("an answer");
        assert_eq!(received.messages.len(), 1);
    }

    #[test]
    fn attributes_and_id_that_cannot_be_read_do_not_fail_their_message() {
        for (members, unread) in [
            (
                r#""MessageId":"m","Attributes":[1]"#,
                "Attributes is a list instead of an object",
            ),
            (
                r#""MessageId":"m","Attributes":"a""#,
                "Attributes is a string instead of an object",
            ),
            (
                r#""MessageId":[]"#,
                "MessageId is a list instead of a string",
            ),
            (r#""Other":1"#, "MessageId is missing"),
        ] {
            let text = format!(r#"{{"Messages":[{{"ReceiptHandle":"r","Body":"b",{members}}}]}}"#);
            let received = receive(text.as_bytes()).expect(members);
            assert!(received.malformed.is_empty(), "{members}");
            let unreads: Vec<_> = received.messages.iter().map(|it| &it.unread).collect();
            assert_eq!(unreads, [&Some(unread.to_owned())]);
        }
    }

    #[test]
    fn only_some_malformed_messages_are_described() {
        let elements = vec!["1"; 1000].join(",");
        let received = receive(format!(r#"{{"Messages":[{elements}]}}"#).as_bytes());
        let received = received.expect("an answer");
        assert_eq!(received.malformed.len(), MAX_DESCRIBED);
        assert_eq!(received.more_malformed, 1000 - MAX_DESCRIBED);
    }

    #[test]
    fn answers_of_another_kind_are_described() {
        for (text, problem) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("<html></html>", "is cut off or malformed"),
            ("[]", "is cut off or malformed"),
            ("[null]", "is cut off or malformed"),
            ("null", "is cut off or malformed"),
            ("{}x", "is cut off or malformed"),
            (r#"{"Messages":[{}]"#, "is cut off or malformed"),
            (
                r#"{"Messages":{}}"#,
                "has an object as Messages instead of a list",
            ),
            (
                r#"{"Messages":""}"#,
                "has a string as Messages instead of a list",
            ),
            (r#"{"a":1}"#, "is JSON without the members of one"),
            (
                r#"{"__type":"com.amazonaws.sqs#Oops","message":"m"}"#,
                "is the error document \"com.amazonaws.sqs#Oops\"",
            ),
        ] {
            assert_eq!(receive(text.as_bytes()), Err(problem.to_owned()), "{text}");
        }
        for (text, problem) in [
            ("", "is empty"),
            ("{}", "is JSON without the members of one"),
            (
                r#"{"Successful":[],"Failed":1}"#,
                "has a number as Failed instead of a list",
            ),
        ] {
            assert_eq!(batch(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn entries_of_a_batch_are_read_from_the_answer() {
        let text = r#"{"Successful":[{"Id":"0"}],"Failed":[
            {"Id":"1","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"m"},{"Id":"2","Code":"c"}]}"#;
        let answer = batch(text).expect("an answer");
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
    fn malformed_entries_of_a_batch_are_left_out() {
        let text = r#"{"Successful":[null,{},{"Id":0},["0"],{"Id":"1"}],"Failed":null}"#;
        let answer = batch(text).expect("an answer");
        assert_eq!(answer.successful, ["1"]);
        let text = r#"{"Failed":[1,{"Id":[]},{"Id":"2","Code":null}]}"#;
        assert_eq!(batch(text), Ok(BatchAnswer::default()));
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
