//! Faults of the proxy, and the rules that select the requests for them.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde_json::{Value, json};

use super::message::Message;

/// Returns a new body for a reply.
pub type Rewrite = fn(&str) -> String;

/// What happens to a request instead of its normal reply.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request is passed on after this time.
    Delay(Duration),
    /// The proxy replies with this status and error code; the server does not get the request.
    Refuse(u16, &'static str),
    /// Every entry of a batch is refused with this code.
    RefuseEntries(&'static str),
    /// A redirect to this region, as from another region's endpoint.
    OtherRegion(&'static str),
    /// The connection is reset before any reply.
    Reset,
    /// No byte is sent for this time, then the connection ends.
    Silence(Duration),
    /// The head and this many bytes of the body are sent, nothing for this time, then the connection ends.
    StallAfter(usize, Duration),
    /// The body is sent one byte at a time with this pause before each.
    Drip(Duration),
    /// The connection ends after this many bytes of the body; the head states the full length.
    CutAfter(usize),
    /// The stated length is larger than the body by this much (or smaller, if negative).
    Length(isize),
    /// All bits of the body's byte at this offset are flipped.
    Flip(usize),
    /// The body is rewritten, with the correct length.
    Rewrite(Rewrite),
}

/// A fault and the requests that it applies to.
#[derive(Clone, Debug)]
pub struct Rule {
    operation: &'static str,
    part: String,
    passed: usize,
    left: usize,
    fault: Fault,
}

impl Rule {
    /// Applies to every request of this operation by its API name, e.g. `GetObject`; `""` means all operations.
    pub fn every(operation: &'static str, fault: Fault) -> Rule {
        Rule {
            operation,
            part: String::new(),
            passed: 0,
            left: usize::MAX,
            fault,
        }
    }

    /// Only if the request's decoded path and query contain `part`: of a bucket, key or prefix.
    pub fn of(mut self, part: impl Into<String>) -> Rule {
        self.part = part.into();
        self
    }

    /// At most `count` times.
    pub fn times(mut self, count: usize) -> Rule {
        self.left = count;
        self
    }

    /// Not for the first `count` requests.
    pub fn after(mut self, count: usize) -> Rule {
        self.passed = count;
        self
    }

    /// The fault, if the rule applies to this request. Counts the request.
    pub fn take(&mut self, operation: &str, path: &str) -> Option<Fault> {
        if !(self.operation.is_empty() || self.operation == operation) || !path.contains(&self.part)
        {
            return None;
        }
        if self.passed > 0 {
            self.passed -= 1;
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.fault.clone())
    }
}

/// An error in the format of S3 or SQS, whichever `request` is for.
pub fn refusal(request: &Message, status: u16, code: &str) -> Message {
    let reply = Message::new(format!("HTTP/1.1 {status} Refused"))
        .with("x-amzn-requestid", "TESTREQUEST")
        .with("x-amz-request-id", "TESTREQUEST");
    if request.header("x-amz-target").is_some() {
        return reply
            .with("content-type", "application/x-amz-json-1.0")
            .with("x-amzn-query-error", &format!("{code};Sender"))
            .with_body(format!(
                r#"{{"__type":"com.amazonaws.sqs#{code}","message":"made by a test"}}"#
            ));
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>made by a test</Message><RequestId>TESTREQUEST</RequestId></Error>"
    );
    let reply = reply.with("content-type", "application/xml");
    match request.method() {
        "HEAD" => reply.with("content-length", "0"),
        _ => reply.with_body(body),
    }
}

/// A reply to a batch in which every entry failed.
pub fn refusal_of_entries(request: &Message, code: &str) -> Message {
    let batch: Value = serde_json::from_slice(&request.body).expect("JSON");
    let entries = batch["Entries"].as_array().expect("a batch").iter();
    let failed: Vec<_> = entries
        .map(|entry| json!({"Id": entry["Id"], "SenderFault": true, "Code": code}))
        .collect();
    Message::new("HTTP/1.1 200 OK".to_owned())
        .with("content-type", "application/x-amz-json-1.0")
        .with_body(json!({"Successful": [], "Failed": failed}).to_string())
}

/// [`Rewrite`] of a `ReceiveMessage` reply: all messages were first received long ago, so the plugin may give them up.
pub fn first_received_long_ago(reply: &str) -> String {
    let mut reply: Value = serde_json::from_str(reply).expect("JSON");
    let messages = reply["Messages"].as_array_mut();
    for message in messages.into_iter().flatten() {
        message["Attributes"]["ApproximateFirstReceiveTimestamp"] = json!("1000");
    }
    reply.to_string()
}
