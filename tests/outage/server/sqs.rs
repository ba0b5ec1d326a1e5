//! The JSON protocol of SQS for all queues.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::fault::ServerFault;
use super::http::Answer;
use super::md5;
use super::queue::{Queue, QueueMessage, QueueSettings, Refusal, VisibilityChange};
use super::random::Random;

/// The account that owns every queue.
pub const ACCOUNT: &str = "111122223333";

/// All queues.
#[derive(Debug)]
pub struct Queues {
    /// `http://address`, the base of queue URLs.
    pub base: String,
    queues: BTreeMap<String, Queue>,
    random: Random,
    /// Every requested change of visibility, in order.
    pub visibility_changes: Vec<VisibilityChange>,
    /// MessageIds in the order of their deletion.
    pub deletions: Vec<String>,
}

/// What to do with a request.
pub enum Outcome {
    Answer(Answer),
    /// A receive without messages: try again at this time at the latest.
    Wait(Instant),
}

impl Queues {
    pub fn new(base: String) -> Queues {
        Queues {
            base,
            queues: BTreeMap::new(),
            random: Random::seeded(11),
            visibility_changes: Vec::new(),
            deletions: Vec::new(),
        }
    }

    /// Creates a queue that hides messages for `visibility`; a name in `.fifo` makes a FIFO queue.
    pub fn create(&mut self, name: &str, visibility: Duration) {
        let settings = QueueSettings {
            visibility,
            redrive: None,
            fifo: name.ends_with(".fifo"),
        };
        self.queues.insert(name.to_owned(), Queue::new(settings));
    }

    /// Gives a queue a dead-letter queue, `<name>-dead`, for messages that were received `most` times.
    pub fn redrive(&mut self, name: &str, most: u32) {
        let dead = format!("{name}-dead");
        self.create(&dead, Duration::from_secs(30));
        self.queue(name).settings.redrive = Some((most, dead));
    }

    /// Sends a message and returns its MessageId.
    pub fn send(&mut self, queue: &str, body: impl Into<String>) -> String {
        self.send_as(queue, body, |_| {})
    }

    /// As [`Queues::send`], with the message changed first, e.g. its group or receives.
    pub fn send_as(
        &mut self,
        queue: &str,
        body: impl Into<String>,
        change: impl FnOnce(&mut QueueMessage),
    ) -> String {
        let digits = self.random.hex(32);
        let parts = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        let id = parts.join("-");
        let mut message = QueueMessage::new(id.clone(), body.into());
        change(&mut message);
        self.queue(queue).messages.push(message);
        id
    }

    /// Every message that was ever in a queue.
    pub fn messages(&self, queue: &str) -> &[QueueMessage] {
        self.queues.get(queue).map_or(&[], |queue| &queue.messages)
    }

    /// How many messages a queue has.
    pub fn left(&self, queue: &str) -> usize {
        self.messages(queue)
            .iter()
            .filter(|message| message.is_here())
            .count()
    }

    fn queue(&mut self, name: &str) -> &mut Queue {
        self.queues
            .get_mut(name)
            .unwrap_or_else(|| panic!("no queue {name}"))
    }

    /// Handles a request. `deadline` is when a receive stops waiting.
    pub fn handle(
        &mut self,
        operation: &str,
        body: &Value,
        fault: Option<&ServerFault>,
        deadline: Instant,
    ) -> Outcome {
        let name = queue_name(body);
        if !self.queues.contains_key(&name) {
            let code = "AWS.SimpleQueueService.NonExistentQueue";
            return Outcome::Answer(
                Answer::sqs_error(
                    400,
                    "QueueDoesNotExist",
                    "The specified queue does not exist.",
                )
                .with("x-amzn-query-error", &format!("{code};Sender")),
            );
        }
        let result = match operation {
            "GetQueueUrl" => Ok(json!({"QueueUrl": format!("{}/{ACCOUNT}/{name}", self.base)})),
            "GetQueueAttributes" => Ok(self.attributes(&name, body)),
            "ReceiveMessage" => match self.receive(&name, body, fault, deadline) {
                Ok(reply) => Ok(reply),
                Err(until) => return Outcome::Wait(until),
            },
            "DeleteMessage" => self.delete(&name, body).map(|()| Value::Null),
            "ChangeMessageVisibility" => self.change_visibility(&name, body).map(|()| Value::Null),
            "DeleteMessageBatch" => {
                Ok(self.batch(body, fault, |queues, entry| queues.delete(&name, entry)))
            }
            "ChangeMessageVisibilityBatch" => Ok(self.batch(body, fault, |queues, entry| {
                queues.change_visibility(&name, entry)
            })),
            _ => Err(("InvalidAction", "This server does not know the operation.")),
        };
        Outcome::Answer(match result {
            Ok(Value::Null) => json_answer(&json!({})),
            Ok(value) => json_answer(&value),
            Err((code, message)) => Answer::sqs_error(400, code, message),
        })
    }

    fn attributes(&mut self, name: &str, body: &Value) -> Value {
        let now = Instant::now();
        let queue = self.queue(name);
        let left = queue.messages.iter().filter(|message| message.is_here());
        let (visible, hidden): (Vec<_>, Vec<_>) = left.partition(|message| message.is_visible(now));
        let mut attributes = Map::new();
        let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value.into());
        set("QueueArn", arn(name));
        set(
            "VisibilityTimeout",
            queue.settings.visibility.as_secs().to_string(),
        );
        set("ApproximateNumberOfMessages", visible.len().to_string());
        set(
            "ApproximateNumberOfMessagesNotVisible",
            hidden.len().to_string(),
        );
        if queue.settings.fifo {
            set("FifoQueue", "true".to_owned());
        }
        if let Some((most, dead)) = &queue.settings.redrive {
            let policy = json!({"deadLetterTargetArn": arn(dead), "maxReceiveCount": most});
            set("RedrivePolicy", policy.to_string());
        }
        attributes.retain(|name, _| is_requested(body, name));
        json!({"Attributes": attributes})
    }

    /// Messages; or, if there are none before the deadline, the time of the next try.
    fn receive(
        &mut self,
        name: &str,
        body: &Value,
        fault: Option<&ServerFault>,
        deadline: Instant,
    ) -> Result<Value, Instant> {
        let handles = !matches!(fault, Some(ServerFault::NoReceiptHandles));
        let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
        let queue = self.queue(name);
        let requested = body["VisibilityTimeout"].as_u64().map(Duration::from_secs);
        let visibility = requested.unwrap_or(queue.settings.visibility);
        let (received, redriven) = queue.receive(most.clamp(1, 10), visibility, handles);
        let dead = queue
            .settings
            .redrive
            .as_ref()
            .map(|(_, dead)| dead.clone());
        let next = queue.next_visible();
        if let Some(dead) = dead.filter(|_| !redriven.is_empty()) {
            self.queue(&dead).messages.extend(redriven);
        }
        if received.is_empty() && Instant::now() < deadline {
            // Not immediately: a visible message may belong to a blocked group.
            let soon = Instant::now() + Duration::from_millis(20);
            return Err(next.map_or(deadline, |next| next.max(soon).min(deadline)));
        }
        let messages: Vec<_> = received
            .iter()
            .map(|message| shown(message, body, handles))
            .collect();
        Ok(match messages.is_empty() {
            true => json!({}),
            false => json!({"Messages": messages}),
        })
    }

    fn delete(&mut self, name: &str, entry: &Value) -> Result<(), Refusal> {
        let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
        let queue = self.queue(name);
        let before = queue
            .messages
            .iter()
            .filter(|message| message.deleted.is_some())
            .count();
        queue.delete(receipt)?;
        let after = queue
            .messages
            .iter()
            .filter(|message| message.deleted.is_some())
            .count();
        if after > before {
            let id = receipt.split('/').nth(1).unwrap_or_default().to_owned();
            self.deletions.push(id);
        }
        Ok(())
    }

    fn change_visibility(&mut self, name: &str, entry: &Value) -> Result<(), Refusal> {
        let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
        let timeout = entry["VisibilityTimeout"].as_u64().unwrap_or(u64::MAX);
        if timeout > 43_200 {
            return Err((
                "InvalidParameterValue",
                "VisibilityTimeout must be between 0 and 43200.",
            ));
        }
        let (change, result) = self.queue(name).change_visibility(receipt, timeout);
        self.visibility_changes.extend(change);
        result
    }

    fn batch(
        &mut self,
        body: &Value,
        fault: Option<&ServerFault>,
        mut each: impl FnMut(&mut Queues, &Value) -> Result<(), Refusal>,
    ) -> Value {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (place, entry) in body["Entries"].as_array().into_iter().flatten().enumerate() {
            let result = match fault {
                Some(ServerFault::RefuseEntries(code)) => Err((*code, "refused by a rule")),
                Some(ServerFault::RefuseSomeEntries(code)) if place % 2 == 0 => {
                    Err((*code, "refused by a rule"))
                }
                _ => each(self, entry),
            };
            match result {
                Ok(()) => successful.push(json!({"Id": entry["Id"]})),
                Err((code, message)) => failed.push(json!({
                    "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true,
                })),
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }
}

/// The queue that a request is about.
pub fn queue_name(body: &Value) -> String {
    let url = body["QueueUrl"]
        .as_str()
        .or(body["QueueName"].as_str())
        .unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default().to_owned()
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
}

/// SQS returns only the attributes that a request names.
fn is_requested(body: &Value, name: &str) -> bool {
    let lists = ["AttributeNames", "MessageSystemAttributeNames"].map(|list| body[list].as_array());
    let mut names = lists.into_iter().flatten().flatten();
    names.any(|requested| requested == name || requested == "All")
}

fn shown(message: &QueueMessage, request: &Value, with_handle: bool) -> Value {
    let mut attributes = json!({
        "SenderId": "AIDAEXAMPLE",
        "SentTimestamp": message.sent_ms.to_string(),
        "ApproximateReceiveCount": message.receives.to_string(),
        "ApproximateFirstReceiveTimestamp": message.first_received_ms.unwrap_or_default().to_string(),
    });
    if let Some(group) = &message.group {
        attributes["MessageGroupId"] = group.as_str().into();
    }
    if let Some(attributes) = attributes.as_object_mut() {
        attributes.retain(|name, _| is_requested(request, name));
    }
    let mut shown = json!({
        "MessageId": message.id,
        "Body": message.body,
        "MD5OfBody": md5::hex(message.body.as_bytes()),
        "Attributes": attributes,
    });
    if with_handle {
        shown["ReceiptHandle"] = message.receipt().into();
    }
    shown
}

fn json_answer(value: &Value) -> Answer {
    Answer::new(200, "OK")
        .with("content-type", "application/x-amz-json-1.0")
        .with_body(value.to_string())
}
