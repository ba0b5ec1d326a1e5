//! One message in flight, and what has to be done with it as time passes.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::source::sqs::waiting_bodies::WaitingBody;

/// A message's visibility can be extended to this long after its receive, and never again for that receipt handle (SQS
/// developer guide, "visibility timeout").
pub(super) const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// Distance kept from [`LONGEST_VISIBILITY`], for the time that requests take.
pub(super) const MARGIN: Duration = Duration::from_secs(60);

/// A message as it was received.
#[derive(Debug)]
pub(in crate::source::sqs) struct Received {
    /// The message's id, the same at each receive.
    pub(in crate::source::sqs) id: String,
    /// Names this receive in requests.
    pub(in crate::source::sqs) receipt: String,
    pub(in crate::source::sqs) body: String,
    /// Receives so far, this one included.
    pub(in crate::source::sqs) receives: u32,
    pub(in crate::source::sqs) first_received: Option<SystemTime>,
    /// It was deleted as it was received (`sqsDeleteWhen: received`).
    pub(in crate::source::sqs) deleted: bool,
    /// Its permit among the messages being processed.
    pub(in crate::source::sqs) permit: Option<OwnedSemaphorePermit>,
    /// Counts the body until it is processed.
    pub(in crate::source::sqs) waiting: Option<WaitingBody>,
}

/// Names one receive of a message in requests, and the message in log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::sqs) struct Receipt {
    /// The message's id.
    pub(in crate::source::sqs) id: String,
    /// The receipt handle.
    pub(in crate::source::sqs) handle: String,
}

/// One message in flight.
#[derive(Debug)]
pub(in crate::source::sqs) struct Entry {
    pub(in crate::source::sqs) id: String,
    pub(in crate::source::sqs) receipt: String,
    pub(in crate::source::sqs) receives: u32,
    pub(in crate::source::sqs) first_received: Option<SystemTime>,
    /// It was given up before its objects were settled: too many messages are parked, or it cannot be kept longer.
    pub(in crate::source::sqs) evicted: bool,
    pub(in crate::source::sqs) received: Instant,
    pub(in crate::source::sqs) deleted: bool,
    pub(in crate::source::sqs) failed_deletions: u32,
    /// When its visibility timeout was last set.
    pub(in crate::source::sqs) renewed: Instant,
    pub(in crate::source::sqs) visible_at: Instant,
    /// A request that extends it is under way.
    pub(in crate::source::sqs) extending: bool,
    /// Its visibility timeout expired, or the queue said so.
    pub(in crate::source::sqs) lapsed: bool,
    /// To be returned with this pause as soon as no extension is under way that could undo it.
    pub(in crate::source::sqs) return_after: Option<Duration>,
    pub(in crate::source::sqs) task: Option<AbortHandle>,
    pub(in crate::source::sqs) permit: Option<OwnedSemaphorePermit>,
    /// The permit for what its body expands to.
    pub(in crate::source::sqs) expansion: Option<OwnedSemaphorePermit>,
    pub(in crate::source::sqs) weight: usize,
}

/// What has to be done with a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::sqs) enum DueNow {
    Nothing,
    /// Its visibility timeout is to be extended by this much.
    Extend(Duration),
    /// Its visibility timeout has expired.
    Lapsed,
    /// It cannot be extended any more.
    Evict,
    /// It was processed, and needs not be remembered any more.
    Forget,
}

impl Entry {
    /// A message that was received now, and is hidden for `visibility`.
    pub(in crate::source::sqs) fn new(message: &mut Received, visibility: Duration) -> Entry {
        let now = Instant::now();
        Entry {
            id: message.id.clone(),
            receipt: message.receipt.clone(),
            receives: message.receives,
            first_received: message.first_received,
            evicted: false,
            received: now,
            deleted: message.deleted,
            failed_deletions: 0,
            renewed: now,
            visible_at: now + visibility,
            extending: false,
            lapsed: false,
            return_after: None,
            task: None,
            permit: message.permit.take(),
            expansion: None,
            weight: 1,
        }
    }

    /// The receipt of the last receive.
    pub(in crate::source::sqs) fn receipt(&self) -> Receipt {
        Receipt {
            id: self.id.clone(),
            handle: self.receipt.clone(),
        }
    }

    /// The message was received again: the new receipt handle replaces the old one. Whether that its visibility timeout has
    /// expired is news.
    pub(in crate::source::sqs) fn received_again(
        &mut self,
        message: &Received,
        visibility: Duration,
    ) -> bool {
        let now = Instant::now();
        self.receipt.clone_from(&message.receipt);
        self.receives = self.receives.max(message.receives);
        self.failed_deletions = 0;
        self.received = now;
        self.renewed = now;
        self.visible_at = now + visibility;
        !std::mem::replace(&mut self.lapsed, false)
    }

    /// What has to be done now with a message that was `processed` or not, and is `to_delete` then or not.
    pub(in crate::source::sqs) fn due(
        &mut self,
        now: Instant,
        visibility: Duration,
        processed: bool,
        to_delete: bool,
    ) -> DueNow {
        let age = now.duration_since(self.received);
        if self.deleted {
            return DueNow::Nothing;
        }
        if processed && !to_delete {
            return match now >= self.visible_at {
                true => DueNow::Forget,
                false => DueNow::Nothing,
            };
        }
        if self.lapsed {
            // A processed message is remembered for its next receive, which only deletes it.
            return match processed && age >= LONGEST_VISIBILITY {
                true => DueNow::Forget,
                false => DueNow::Nothing,
            };
        }
        if now >= self.visible_at {
            self.lapsed = true;
            return match processed {
                true => DueNow::Nothing,
                false => DueNow::Lapsed,
            };
        }
        if self.extending || now.duration_since(self.renewed) < visibility / 2 {
            return DueNow::Nothing;
        }
        let rest = (LONGEST_VISIBILITY - MARGIN).saturating_sub(age);
        if rest <= visibility / 2 {
            return match processed {
                true => DueNow::Nothing,
                false => DueNow::Evict,
            };
        }
        self.extending = true;
        DueNow::Extend(visibility.min(rest))
    }

    /// Releases what the message holds while it counts against those being processed.
    pub(in crate::source::sqs) fn release_permits(&mut self) {
        self.permit = None;
        self.expansion = None;
    }

    /// `pause`, as far as the queue can still hide the message.
    pub(in crate::source::sqs) fn allowed_pause(&self, pause: Duration) -> Duration {
        let rest = (LONGEST_VISIBILITY - MARGIN).saturating_sub(self.received.elapsed());
        pause.min(rest)
    }
}
