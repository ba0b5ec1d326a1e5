//! An SQS queue of notifications.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bucket::Bucket;

/// The queue. Filling it starts a new generation; a receiver that waits since an earlier generation gets no messages.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    generation: u64,
    /// Name and content of the bucket that the messages refer to.
    bucket: Option<(&'static str, Arc<Bucket>)>,
    /// Number of the next message.
    next: usize,
    messages: usize,
    /// The messages are EventBridge records.
    records: bool,
    /// Numbers of the messages that were received and not deleted.
    in_flight: HashSet<usize>,
    seen: Seen,
}

/// Counts of requests since the queue was filled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// `ReceiveMessage` requests.
    pub receives: u64,
    /// All requests.
    pub requests: u64,
    /// Messages deleted, each once.
    pub deleted: usize,
    /// Maximum number of messages that were received and not deleted.
    pub max_in_flight: usize,
    /// Time of the last deletion.
    pub last_deleted: Option<Instant>,
}

impl Queue {
    /// Replaces the content with `messages` messages, each of which names an object of `bucket`.
    pub fn fill(&self, name: &'static str, bucket: Arc<Bucket>, messages: usize) {
        let mut state = self.state();
        *state = State {
            generation: state.generation + 1,
            bucket: Some((name, bucket)),
            messages,
            ..State::default()
        };
        self.changed.notify_all();
    }

    /// Empties the queue, for [`Queue::push_record`].
    pub fn empty(&self) {
        let mut state = self.state();
        *state = State {
            generation: state.generation + 1,
            records: true,
            ..State::default()
        };
        self.changed.notify_all();
    }

    /// Adds a message with an EventBridge record.
    pub fn push_record(&self) {
        self.state().messages += 1;
        self.changed.notify_all();
    }

    /// The counts so far.
    pub fn seen(&self) -> Seen {
        self.state().seen
    }

    /// The response to an SQS action; `None` if the action is unknown.
    pub fn respond(&self, action: &str, request: &Value, url: &str) -> Option<Value> {
        self.state().seen.requests += 1;
        Some(match action {
            "GetQueueUrl" => {
                let name = request["QueueName"].as_str().unwrap_or_default();
                json!({"QueueUrl": format!("{url}/111122223333/{name}")})
            }
            "GetQueueAttributes" => json!({"Attributes": {"VisibilityTimeout": "30"}}),
            "ReceiveMessage" => self.receive(request),
            "DeleteMessageBatch" => self.delete(request),
            "ChangeMessageVisibilityBatch" => all_successful(request),
            _ => return None,
        })
    }

    fn receive(&self, request: &Value) -> Value {
        let max = request["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
        let wait = Duration::from_secs(request["WaitTimeSeconds"].as_u64().unwrap_or(0));
        let mut state = self.state();
        state.seen.receives += 1;
        let generation = state.generation;
        let empty =
            |state: &mut State| state.generation == generation && state.next == state.messages;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, wait, empty)
            .unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let first = state.next;
        let end = match state.generation == generation {
            true => state.messages.min(first + max),
            false => first,
        };
        let body = |number| match &state.bucket {
            Some((name, bucket)) => notification(number, name, bucket),
            None => record(number),
        };
        if state.bucket.is_none() && !state.records {
            return json!({});
        }
        let messages: Vec<Value> = (first..end)
            .map(|number| message(number, &body(number)))
            .collect();
        state.in_flight.extend(first..end);
        state.next = end;
        state.seen.max_in_flight = state.seen.max_in_flight.max(state.in_flight.len());
        json!({"Messages": messages})
    }

    fn delete(&self, request: &Value) -> Value {
        let mut state = self.state();
        for entry in request["Entries"].as_array().into_iter().flatten() {
            let number = entry["ReceiptHandle"]
                .as_str()
                .and_then(|receipt| receipt.parse().ok());
            if number.is_some_and(|number| state.in_flight.remove(&number)) {
                state.seen.deleted += 1;
                state.seen.last_deleted = Some(Instant::now());
            }
        }
        all_successful(request)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CloudTrail's notification, delivered by SNS.
fn notification(number: usize, bucket_name: &str, bucket: &Bucket) -> String {
    let inner = json!({"s3Bucket": bucket_name, "s3ObjectKey": [bucket.key(number)]});
    json!({
        "Type": "Notification",
        "MessageId": format!("00000000-0000-4000-8000-{number:012x}"),
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:trail",
        "Message": inner.to_string(),
        "Timestamp": "2026-01-14T12:00:00.000Z",
        "SignatureVersion": "1",
    })
    .to_string()
}

/// An event of EventBridge with a record.
fn record(number: usize) -> String {
    let time = "2026-01-14T12:00:00Z";
    json!({
        "version": "0", "id": number.to_string(), "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
        "account": "111122223333", "time": time, "region": "us-east-1", "resources": [],
        "detail": {
            "eventVersion": "1.11", "eventTime": time, "eventID": number.to_string(), "eventType": "AwsApiCall",
            "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy", "awsRegion": "us-east-1",
            "sourceIPAddress": "192.0.2.1", "userAgent": "aws-cli/2.31 md/Botocore#1.40 ua/2.1 os/linux",
            "userIdentity": {
                "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/admin/alice",
                "accountId": "111122223333",
                "sessionContext": {"attributes": {"mfaAuthenticated": "true", "creationDate": time}},
            },
            "requestParameters": {"bucketName": "example", "bucketPolicy": {"Statement": ["x".repeat(500)]}},
        },
    })
    .to_string()
}

fn message(number: usize, body: &str) -> Value {
    json!({
        "MessageId": format!("10000000-0000-4000-8000-{number:012x}"),
        "ReceiptHandle": number.to_string(),
        "Body": body,
        "Attributes": {"ApproximateReceiveCount": "1"},
    })
}

fn all_successful(request: &Value) -> Value {
    let entries = request["Entries"].as_array().into_iter().flatten();
    let ids: Vec<Value> = entries.map(|entry| json!({"Id": entry["Id"]})).collect();
    json!({"Successful": ids, "Failed": []})
}
