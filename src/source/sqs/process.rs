//! From one message to its objects on their way to the decode threads.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::ack::Done;
use super::in_flight::Received;
use super::{Queue, Redrive};
use crate::aws::{AwsError, ErrorCause, ObjectId};
use crate::error::{Error, ErrorKind};
use crate::log::quote::quoted;
use crate::log::{Escaped, Severity};
use crate::object::Object;
use crate::object::ack::{AckHandle, Failure, Settled, ack_handles};
use crate::object::memory_budget::UNORDERED;
use crate::object_key;
use crate::pipeline::UnorderedSender;
use crate::source::fetch::{Account, Fetched, Fetcher};
use crate::source::sqs::notification::{self, Notification, ObjectRef, Parsed};

/// Identifies an object among those of a message.
pub(super) type ObjectKey = u64;

/// Objects of one message that are downloaded, or wait for a retry, at the same time.
const OBJECTS: usize = 1000;

/// Size up to which a message is believed: a download that reserves more would keep others out for a made-up object.
const MAX_BELIEVED: u64 = 1 << 20;

/// What processing a message needs.
#[derive(Clone)]
pub(super) struct Processor {
    pub(super) queue: Arc<Queue>,
    pub(super) fetcher: Fetcher,
    pub(super) feed: UnorderedSender,
    pub(super) done: mpsc::UnboundedSender<Done>,
}

impl Processor {
    /// Adds a message to those in flight and starts its downloads.
    pub(super) fn start(&self, mut message: Received) {
        let number = self.queue.in_flight.add(&mut message);
        let task = tokio::spawn(self.clone().process(number, message));
        self.queue.in_flight.set_task(number, task.abort_handle());
    }

    /// Downloads what a message names, and hands it to the decode threads.
    async fn process(self, number: u64, message: Received) {
        let queue = &self.queue;
        let parsed = match notification::parse(&message.body) {
            Notification::Objects(parsed) => parsed,
            Notification::Ignored => Parsed::default(),
            Notification::Unknown(kind) => {
                queue.metrics.messages_unknown.add(1);
                queue.report(
                    &message,
                    &format!(
                        "not a notification of a log file ({kind}): {}",
                        quoted(&message.body)
                    ),
                );
                self.settle_failed(number, format!("not a notification of a log file ({kind})"));
                return;
            }
        };
        let reason = (!parsed.problems.is_empty()).then(|| parsed.reason());
        if let Some(reason) = &reason {
            queue.report(&message, reason);
        }
        let objects: Vec<(ObjectKey, ObjectRef)> = parsed
            .objects
            .into_iter()
            .filter(|object| queue.is_read(object))
            .map(|object| (queue.object_key(&object), object))
            .collect();
        if let Some(reason) = reason.as_ref().filter(|_| objects.is_empty()) {
            self.settle_failed(number, reason.clone());
            return;
        }
        let keys: Vec<ObjectKey> = objects.iter().map(|(key, _)| *key).collect();
        let done = self.done.clone();
        let ack_handles = ack_handles(objects.len(), move |mut outcome| {
            // The sound parts of a message are delivered; the others fail it.
            if let (None, Some(reason)) = (&outcome.failure, reason) {
                outcome.failure = Some(Failure::Permanent(reason));
            }
            // Without a receiver the source is closed.
            let _ = done.send(Done::Message {
                number,
                objects: keys,
                outcome,
            });
        });
        let message = Arc::new(message);
        let mut downloads = JoinSet::new();
        for ((key, object), ack) in objects.into_iter().zip(ack_handles) {
            if queue.delivered.contains(&message.id, key) {
                ack.delivered();
                continue;
            }
            if downloads.len() >= OBJECTS {
                downloads.join_next().await;
            }
            downloads.spawn(
                self.clone()
                    .download(number, Arc::clone(&message), object, ack),
            );
        }
        while downloads.join_next().await.is_some() {}
    }

    fn settle_failed(&self, number: u64, why: String) {
        // Without a receiver the source is closed.
        let _ = self.done.send(Done::Message {
            number,
            objects: Vec::new(),
            outcome: Settled {
                delivered: Vec::new(),
                failure: Some(Failure::Permanent(why)),
            },
        });
    }

    async fn download(
        self,
        number: u64,
        message: Arc<Received>,
        object: ObjectRef,
        ack: AckHandle,
    ) {
        let queue = &self.queue;
        let id = ObjectId {
            bucket: object.bucket,
            key: object.key,
            version: object.version,
        };
        let account = Account {
            budget: self.feed.stored_budget(),
            job: UNORDERED,
            size: object.size.filter(|size| *size <= MAX_BELIEVED),
        };
        let mut reported = false;
        let retrying = |error: &AwsError| {
            queue.in_flight.park(number);
            let of_object = !error.cause.is_outage() && error.cause != ErrorCause::NotFound;
            if of_object && !std::mem::replace(&mut reported, true) {
                queue.log.limited(
                    "object_retry",
                    Severity::Warning,
                    format_args!(
                        "{}: {error}; message {} is kept and the object retried",
                        id.url(),
                        Escaped(&message.id)
                    ),
                );
            }
        };
        match self.fetcher.fetch(&id, account, retrying).await {
            Fetched::Content(content) => {
                // A closed source drops the object, and with it the ack handle.
                let _ = self.feed.submit(vec![Object {
                    name: id.url(),
                    content,
                    ack: Some(ack),
                }]);
            }
            Fetched::Closed => {}
            Fetched::GivenUp(failed) => {
                let line = format!("{}: {}", id.url(), failed.error);
                if self.fetcher.fail_on_error {
                    self.feed.fail(Error::new(ErrorKind::Read, line));
                } else if failed.transient {
                    queue.in_flight.give_up(number);
                } else {
                    queue.log.lost(
                        &id.url(),
                        &failed.error.to_string(),
                        &queue.outcome(&message),
                    );
                    ack.failed(Failure::Permanent(line));
                }
            }
        }
    }
}

impl Queue {
    /// Whether a named object is read; one that is not is counted, and logged once for each kind.
    fn is_read(&self, object: &ObjectRef) -> bool {
        if object_key::is_log(&object.key, self.rules.insights) {
            return true;
        }
        let (kind, counter) = match &object.key {
            key if key.contains("/CloudTrail-Digest/") => {
                ("a digest file", &self.metrics.skipped_digest)
            }
            key if key.contains("/CloudTrail-Insight/") => (
                "an Insights log (includeInsights is false)",
                &self.metrics.skipped_insight,
            ),
            _ => (
                "not the name of a CloudTrail log",
                &self.metrics.skipped_not_a_log,
            ),
        };
        counter.add(1);
        self.log.once(
            kind,
            Severity::Info,
            format_args!(
                "s3://{}/{}: {kind}; skipped",
                Escaped(&object.bucket),
                Escaped(&object.key)
            ),
        );
        false
    }

    fn object_key(&self, object: &ObjectRef) -> ObjectKey {
        self.delivered
            .key(&object.bucket, &object.key, object.version.as_deref())
    }

    /// Names a message that cannot be used, or a part of it. At the first receive the line is never suppressed.
    fn report(&self, message: &Received, what: &str) {
        let name = format!("{}: message {}", self.shown, Escaped(&message.id));
        match message.receives <= 1 {
            true => self.log.lost(&name, what, &self.outcome(message)),
            false => self.log.limited(
                "message_unusable",
                Severity::Error,
                format_args!("{name}: {what}; {}", self.outcome(message)),
            ),
        }
    }

    /// What happens next to a message that failed permanently.
    fn outcome(&self, message: &Received) -> String {
        let receives = message.receives;
        match (
            self.rules.delete_on_receipt && self.rules.delete,
            self.rules.redrive,
        ) {
            (true, _) => "skipped (sqsDeleteWhen: received)".to_owned(),
            (false, Redrive::Policy) => {
                format!("left to the queue's redrive policy (receive {receives})")
            }
            (false, Redrive::None) => format!(
                "left to sqsMaxReceives (receive {receives} of {})",
                self.rules.max_receives
            ),
            (false, Redrive::Unknown) => format!("left in the queue (receive {receives})"),
        }
    }
}
