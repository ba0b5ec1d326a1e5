//! What the proxy does to a request, and to which.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde_json::{Value, json};

use super::message::Message;

/// Makes another body of a reply's.
pub type Rewrite = fn(&str) -> String;

/// What happens to a request instead of its plain reply.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It waits first, then passes.
    Delay(Duration),
    /// This status and error code come back, and the server never hears of it.
    Refuse(u16, &'static str),
    /// Every entry of a batch is refused with this code.
    RefuseEntries(&'static str),
    /// As AWS refuses at another region's endpoint: the reply names the right one.
    OtherRegion(&'static str),
    /// The connection is reset before any reply.
    Reset,
    /// Nothing comes back for so long, then the connection ends.
    Silence(Duration),
    /// The head and so many bytes of the body come, then nothing for so long, then the connection ends.
    StallAfter(usize, Duration),
    /// So many bytes of the body come, one after each pause.
    Drip(Duration),
    /// The connection ends after so many bytes of the body, which the head promises whole.
    CutAfter(usize),
    /// The head promises so many bytes more than there are, or fewer.
    Length(isize),
    /// The bits of the body's byte at this place are flipped.
    Flip(usize),
    /// The body is rewritten, with a length that fits.
    Rewrite(Rewrite),
}

/// A fault for some requests.
#[derive(Clone, Debug)]
pub struct Rule {
    operation: &'static str,
    part: String,
    passed: usize,
    left: usize,
    fault: Fault,
}

impl Rule {
    /// For every request of this operation, named as the service's API does, e.g. `GetObject`; `""`: of all.
    pub fn every(operation: &'static str, fault: Fault) -> Rule {
        Rule {
            operation,
            part: String::new(),
            passed: 0,
            left: usize::MAX,
            fault,
        }
    }

    /// Only where the request's decoded path and query have `part`: a bucket, a key, a prefix, some of it.
    pub fn of(mut self, part: impl Into<String>) -> Rule {
        self.part = part.into();
        self
    }

    /// Only so many times.
    pub fn times(mut self, count: usize) -> Rule {
        self.left = count;
        self
    }

    /// Only after so many have passed.
    pub fn after(mut self, count: usize) -> Rule {
        self.passed = count;
        self
    }

    /// The fault, if this request is one for it. Counts the request.
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

/// An error as S3 or SQS words it, whichever `request` is for.
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

/// A reply to a batch of which nothing was done.
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

/// For [`Fault::Rewrite`] of `ReceiveMessage`: all messages were first received long ago, so that the plugin may give them up.
pub fn first_received_long_ago(reply: &str) -> String {
    let mut reply: Value = serde_json::from_str(reply).expect("JSON");
    let messages = reply["Messages"].as_array_mut();
    for message in messages.into_iter().flatten() {
        message["Attributes"]["ApproximateFirstReceiveTimestamp"] = json!("1000");
    }
    reply.to_string()
}
