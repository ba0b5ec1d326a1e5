//! One queue with SQS's semantics of visibility, receive counts, receipt handles, redrive and message groups.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest that a message can stay invisible after one receive, in seconds.
const LONGEST: u64 = 12 * 60 * 60;

/// The configuration of a queue.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    pub visibility: Duration,
    /// `maxReceiveCount`, and the name of the dead-letter queue.
    pub redrive: Option<(u32, String)>,
    pub fifo: bool,
}

#[derive(Debug)]
pub struct Queue {
    pub settings: QueueSettings,
    pub messages: Vec<QueueMessage>,
}

/// A message and its history; a deleted one stays in the list.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    pub id: String,
    pub body: String,
    pub group: Option<String>,
    pub sent_ms: u64,
    pub first_received_ms: Option<u64>,
    pub receives: u32,
    pub deleted: Option<Instant>,
    /// It was moved to the dead-letter queue.
    pub redriven: bool,
    visible_at: Instant,
    /// Of the last receive.
    received_at: Option<Instant>,
}

/// A requested change of visibility.
#[derive(Clone, Debug)]
pub struct VisibilityChange {
    pub at: Instant,
    pub message: String,
    pub timeout: u64,
    /// Receives of the message so far.
    pub receives: u32,
    /// The error code, if the change was refused.
    pub error: Option<&'static str>,
}

/// A refusal: code and message.
pub type Refusal = (&'static str, &'static str);

const EXPIRED: Refusal = (
    "InvalidParameterValue",
    "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
);
const UNAVAILABLE: Refusal = (
    "InvalidParameterValue",
    "Value for parameter ReceiptHandle is invalid. Reason: QueueMessage does not exist or is not available for visibility timeout change.",
);
const NOT_IN_FLIGHT: Refusal = ("MessageNotInflight", "The message is not in flight.");
const TOO_LONG: Refusal = (
    "InvalidParameterValue",
    "Value for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
);
const BAD_HANDLE: Refusal = (
    "ReceiptHandleIsInvalid",
    "The input receipt handle is invalid.",
);

impl QueueMessage {
    pub fn new(id: String, body: String) -> QueueMessage {
        QueueMessage {
            id,
            body,
            group: None,
            sent_ms: now_ms(),
            first_received_ms: None,
            receives: 0,
            deleted: None,
            redriven: false,
            visible_at: Instant::now(),
            received_at: None,
        }
    }

    /// The message is in the queue: neither deleted nor moved away.
    pub fn is_here(&self) -> bool {
        self.deleted.is_none() && !self.redriven
    }

    pub fn is_visible(&self, now: Instant) -> bool {
        self.is_here() && self.visible_at <= now
    }

    fn is_in_flight(&self, now: Instant) -> bool {
        self.is_here() && self.visible_at > now
    }

    /// The handle of the last receive.
    pub fn receipt(&self) -> String {
        format!("receipt/{}/{}", self.id, self.receives)
    }
}

impl Queue {
    pub fn new(settings: QueueSettings) -> Queue {
        Queue {
            settings,
            messages: Vec::new(),
        }
    }

    /// Receives up to `most` messages, hidden for `visibility`. The second list is for the dead-letter queue.
    ///
    /// The messages stay visible if `hide` is not set, but the receive counts.
    pub fn receive(
        &mut self,
        most: usize,
        visibility: Duration,
        hide: bool,
    ) -> (Vec<QueueMessage>, Vec<QueueMessage>) {
        let now = Instant::now();
        let in_flight = self
            .messages
            .iter()
            .filter(|message| message.is_in_flight(now));
        let closed: HashSet<String> = in_flight
            .filter_map(|message| message.group.clone())
            .collect();
        let (mut received, mut redriven) = (Vec::new(), Vec::new());
        for message in &mut self.messages {
            if received.len() == most {
                break;
            }
            if !message.is_visible(now)
                || message
                    .group
                    .as_ref()
                    .is_some_and(|group| closed.contains(group))
            {
                continue;
            }
            if let Some((limit, _)) = &self.settings.redrive
                && message.receives >= *limit
            {
                // It keeps its enqueue time; everything else is reset.
                let mut moved = QueueMessage::new(message.id.clone(), message.body.clone());
                moved.sent_ms = message.sent_ms;
                moved.group.clone_from(&message.group);
                redriven.push(moved);
                message.redriven = true;
                continue;
            }
            message.receives += 1;
            message.first_received_ms.get_or_insert_with(now_ms);
            message.received_at = Some(now);
            if hide {
                message.visible_at = now + visibility;
            }
            received.push(message.clone());
        }
        (received, redriven)
    }

    /// When the next message becomes visible, if one is hidden.
    pub fn next_visible(&self) -> Option<Instant> {
        let hidden = self.messages.iter().filter(|message| message.is_here());
        hidden.map(|message| message.visible_at).min()
    }

    /// Deletes by receipt handle. A standard queue accepts an old handle but does not delete by it.
    pub fn delete(&mut self, receipt: &str) -> Result<(), Refusal> {
        let fifo = self.settings.fifo;
        let (message, newest) = self.find(receipt)?;
        let now = Instant::now();
        if fifo && message.is_here() && (!newest || message.visible_at <= now) {
            return Err(EXPIRED);
        }
        if newest && message.is_here() {
            message.deleted = Some(now);
        }
        Ok(())
    }

    /// Sets when a message becomes visible, counted from now.
    pub fn change_visibility(
        &mut self,
        receipt: &str,
        timeout: u64,
    ) -> (Option<VisibilityChange>, Result<(), Refusal>) {
        let (message, newest) = match self.find(receipt) {
            Ok(found) => found,
            Err(refusal) => return (None, Err(refusal)),
        };
        let now = Instant::now();
        let result = match message.received_at {
            _ if !message.is_here() || !newest => Err(UNAVAILABLE),
            _ if message.visible_at <= now => Err(NOT_IN_FLIGHT),
            Some(received) if (now - received).as_secs() + timeout > LONGEST => Err(TOO_LONG),
            _ => Ok(()),
        };
        if result.is_ok() {
            message.visible_at = now + Duration::from_secs(timeout);
        }
        let change = VisibilityChange {
            at: now,
            message: message.id.clone(),
            timeout,
            receives: message.receives,
            error: result.err().map(|(code, _)| code),
        };
        (Some(change), result)
    }

    /// The message of a handle, and whether the handle is of its last receive.
    fn find(&mut self, receipt: &str) -> Result<(&mut QueueMessage, bool), Refusal> {
        let mut parts = receipt.split('/').skip(1);
        let (Some(id), Some(number)) = (parts.next(), parts.next()) else {
            return Err(BAD_HANDLE);
        };
        let mut messages = self.messages.iter_mut();
        let message = messages
            .find(|message| message.id == id)
            .ok_or(BAD_HANDLE)?;
        let newest = message.receives.to_string() == number;
        Ok((message, newest))
    }
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}
