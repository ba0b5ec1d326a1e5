//! From one message to its objects on their way to the decode threads.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::ack::Done;
use super::in_flight::{Added, OBJECTS, Received, weight};
use super::{EXPANSION_KIB, Queue};
use crate::aws::{ErrorCause, ObjectId};
use crate::error::{Error, ErrorKind};
use crate::log::quote::quoted;
use crate::log::{Escaped, Severity};
use crate::object::Object;
use crate::object::ack::{AckHandle, Failure, Settled, ack_handles};
use crate::object::memory_budget::UNORDERED;
use crate::object_key;
use crate::pipeline::UnorderedSender;
use crate::source::fetch::{Account, Fetched, Fetcher, Waits};
use crate::source::sqs::notification::{self, Notification, ObjectRef, Parsed};

/// Identifies an object among those of a message.
pub(super) type ObjectKey = u64;

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
        match self.queue.in_flight.add(&mut message) {
            Added::New(number) => {
                let task = tokio::spawn(self.clone().process(number, message));
                self.queue.in_flight.set_task(number, task.abort_handle());
            }
            Added::InWork => {}
            Added::Processed(number) => {
                // Without a receiver the source is closed.
                let _ = self.done.send(Done::ReceivedAgain(number));
            }
        }
    }

    /// Downloads what a message names, and hands it to the decode threads.
    async fn process(self, number: u64, mut message: Received) {
        let queue = &self.queue;
        let body = std::mem::take(&mut message.body);
        let kib = (body.len() / 1024 + 1).min(EXPANSION_KIB) as u32;
        // The semaphore is never closed.
        let permit = Arc::clone(&queue.expansion)
            .acquire_many_owned(kib)
            .await
            .ok();
        let parsed = match notification::parse(&body) {
            Notification::Objects(parsed) => parsed,
            Notification::Ignored => Parsed::default(),
            Notification::Unknown(kind) => {
                queue.metrics.messages_unknown.add(1);
                let excerpt = quoted(&body);
                self.settle_failed(
                    number,
                    format!("not a notification of a log file ({kind}): {excerpt}"),
                );
                return;
            }
        };
        let reason = (!parsed.problems.is_empty()).then(|| parsed.reason());
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
        queue
            .in_flight
            .expanded(number, weight(body.len(), objects.len()), permit);
        drop(body);
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
        let waits = |waits: Waits<'_>| {
            queue.in_flight.park(number);
            let Waits::Retry(error) = waits else {
                return;
            };
            let of_object = !error.cause.is_outage() && error.cause != ErrorCause::NotFound;
            if of_object && !std::mem::replace(&mut reported, true) {
                queue.log.limited(
                    "object retries",
                    Severity::Warning,
                    format_args!(
                        "{}: {error}; message {} is kept and the object retried",
                        id.url(),
                        Escaped(&message.id)
                    ),
                );
            }
        };
        match self.fetcher.fetch(&id, account, waits).await {
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
                    let outcome = format!(
                        "message {}, receive {}",
                        Escaped(&message.id),
                        message.receives
                    );
                    queue
                        .log
                        .lost(&id.url(), &failed.error.to_string(), &outcome);
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
}
