//! From one message to its objects, or its records, on their way to the decode threads.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::ack::Done;
use super::delivered::ObjectKey;
use super::in_flight::{OBJECTS, Received, weight};
use super::notification::{Notification, Parsed, Parser, RecordText};
use super::records::MessageRecords;
use super::selection::Verdict;
use super::waiting_bodies::WaitingBody;
use super::{EXPANSION_KIB, Queue};
use crate::aws::ObjectId;
use crate::error::{Error, ErrorKind};
use crate::log::Escaped;
use crate::log::quote::quoted;
use crate::object::Object;
use crate::object::ack::{AckHandle, Failure, Settled, ack_handles};
use crate::object::memory_budget::UNORDERED;
use crate::pipeline::UnorderedSender;
use crate::source::fetch::{Account, Fetched, Fetcher, Waits};
use crate::source::retry_report::RetryReport;

/// Size up to which a message is believed: a download that reserves more would keep others out for a made-up object.
const MAX_BELIEVED: u64 = 1 << 20;

/// What processing a message needs.
#[derive(Clone)]
pub(super) struct Processor {
    pub(super) queue: Arc<Queue>,
    pub(super) fetcher: Fetcher,
    pub(super) feed: UnorderedSender,
    pub(super) done: mpsc::UnboundedSender<Done>,
    pub(super) records: mpsc::UnboundedSender<MessageRecords>,
}

/// An object to download.
struct NamedObject {
    key: ObjectKey,
    id: ObjectId,
    size: Option<u64>,
}

/// What a message names.
struct NamedObjects {
    objects: Vec<NamedObject>,
    /// Why the message fails even if all of these are delivered.
    reason: Option<String>,
}

/// Processes messages, each with its number in flight, in the order of their arrival.
pub(super) async fn run(
    processor: Processor,
    mut messages: mpsc::UnboundedReceiver<(u64, Received)>,
) {
    let mut parser = Parser::default();
    while let Some((number, message)) = messages.recv().await {
        let kib = (message.body.len() / 1024 + 1).min(EXPANSION_KIB) as u32;
        // The semaphore is never closed.
        let permit = Arc::clone(&processor.queue.expansion)
            .acquire_many_owned(kib)
            .await
            .ok();
        processor.start(&mut parser, number, message, permit);
    }
}

impl Processor {
    fn start(
        &self,
        parser: &mut Parser,
        number: u64,
        mut message: Received,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let queue = &self.queue;
        let mut body = std::mem::take(&mut message.body);
        let waiting = message.waiting.take();
        let len = body.len();
        let parsed = match parser.parse(&mut body) {
            Notification::Objects(parsed) => parsed,
            Notification::Ignored => Parsed::default(),
            Notification::Records(found) if queue.rules.records => {
                return self.send_records(number, message.id, body, found, waiting);
            }
            unknown => {
                let kind = match unknown {
                    Notification::Unknown(kind) => kind,
                    _ => "CloudTrail records in the message itself; sqsRecords is false",
                };
                queue.metrics.messages_unknown.add(1);
                let excerpt = quoted(&body);
                let why = format!("not a notification of a log file ({kind}): {excerpt}");
                return self.settle(number, Some(why));
            }
        };
        let named = queue.named_objects(parsed);
        if named.objects.is_empty() {
            return self.settle(number, named.reason);
        }
        let weight = weight(len, named.objects.len());
        queue.in_flight.expanded(number, weight, permit);
        let task = tokio::spawn(self.clone().download_all(number, message, named));
        queue.in_flight.set_task(number, task.abort_handle());
    }

    /// Hands the records in a body over to be delivered.
    fn send_records(
        &self,
        number: u64,
        id: String,
        body: String,
        found: RecordText,
        waiting: Option<WaitingBody>,
    ) {
        let queue = &self.queue;
        if found.is_insight && !queue.rules.insights {
            queue.metrics.skipped_insight.add(1);
            return self.settle(number, None);
        }
        queue.metrics.messages_records.add(1);
        let mut text = body.into_bytes();
        text.truncate(found.range.end);
        text.drain(..found.range.start);
        // Without a receiver the source is closed.
        let _ = self.records.send(MessageRecords {
            number,
            id,
            text,
            waiting,
        });
    }

    /// Settles a message without anything to deliver; it fails permanently if there is a reason.
    fn settle(&self, number: u64, why: Option<String>) {
        // Without a receiver the source is closed.
        let _ = self.done.send(Done::Message {
            number,
            objects: Vec::new(),
            outcome: Settled {
                delivered: Vec::new(),
                failure: why.map(Failure::Permanent),
            },
        });
    }

    /// Downloads what a message names, and hands it to the decode threads.
    async fn download_all(self, number: u64, message: Received, named: NamedObjects) {
        let queue = &self.queue;
        let NamedObjects { objects, reason } = named;
        let keys: Vec<ObjectKey> = objects.iter().map(|object| object.key).collect();
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
        // Most messages name one object, which needs no task of its own.
        let alone = objects.len() == 1;
        let mut downloads = JoinSet::new();
        for (object, ack) in objects.into_iter().zip(ack_handles) {
            if queue.delivered.contains(&message.id, object.key) {
                ack.delivered();
                continue;
            }
            if alone {
                return self.download(number, message, object, ack).await;
            }
            if downloads.len() >= OBJECTS {
                downloads.join_next().await;
            }
            let download = self
                .clone()
                .download(number, Arc::clone(&message), object, ack);
            downloads.spawn(download);
        }
        while downloads.join_next().await.is_some() {}
    }

    async fn download(
        self,
        number: u64,
        message: Arc<Received>,
        object: NamedObject,
        ack: AckHandle,
    ) {
        let queue = &self.queue;
        let id = object.id;
        let account = Account {
            budget: self.feed.stored_budget(),
            job: UNORDERED,
            size: object.size.filter(|size| *size <= MAX_BELIEVED),
        };
        let kept = fmt::from_fn(|f| {
            let message = Escaped(&message.id);
            write!(f, "message {message} is kept and the object retried")
        });
        let mut report = RetryReport::new(&self.fetcher, &id, kept);
        let waits = |waits: Waits<'_>| {
            queue.in_flight.park(number);
            report.waits(&waits);
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
    /// The objects of a message that are read.
    fn named_objects(&self, parsed: Parsed<'_>) -> NamedObjects {
        let mut problems = parsed.problems;
        // Also counted where other parts can be read: the message fails for these.
        if !problems.is_empty() {
            self.metrics.messages_unknown.add(1);
        }
        let mut objects = Vec::with_capacity(parsed.objects.len());
        for object in parsed.objects {
            match self.judge(&object) {
                Verdict::Read => objects.push(NamedObject {
                    key: self
                        .delivered
                        .key(&object.bucket, &object.key, object.version.as_deref()),
                    size: object.size,
                    id: ObjectId {
                        bucket: object.bucket.into_owned(),
                        key: object.key.into_owned(),
                        version: object.version.map(Cow::into_owned),
                    },
                }),
                Verdict::Skip => {}
                Verdict::Refuse(reason) => problems.push(reason),
            }
        }
        NamedObjects {
            objects,
            reason: first_of(&problems, parsed.more_problems),
        }
    }
}

/// One line for logs: the first problems, and the number of further ones.
fn first_of(problems: &[String], more: usize) -> Option<String> {
    /// As many as fit in a line that can be read.
    const SHOWN: usize = 10;
    if problems.is_empty() {
        return None;
    }
    let shown = &problems[..problems.len().min(SHOWN)];
    let line = shown.join("; ");
    Some(match problems.len() - shown.len() + more {
        0 => line,
        more => format!("{line} (and {more} more)"),
    })
}
