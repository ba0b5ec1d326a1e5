//! Follows a queue: messages in, objects out, and each message deleted when its objects are done.
//!
//! A message is leased: nobody else sees it until its lease ends. It is prolonged while its
//! objects are on their way to the host, deleted when the host has processed all of them, and
//! left to the queue's own rules where one failed. Nothing here grows with the number of messages
//! seen: a bounded number of them are held at a time.
#![forbid(unsafe_code)]

mod finish;
mod lease;
mod receive;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::aws::{Cause, Clients, Described, describe};
use crate::config::{Config, SqsDeleteWhen};
use crate::delivery::tickets;
use crate::error::Result;
use crate::fetch::{Fetcher, Wanted};
use crate::locate::notification::{self, Notification, ObjectRef};
use crate::log::{Log, Severity};
use crate::log_name;
use crate::metrics::Metrics;
use crate::pipeline::Feed;
use crate::quote::without_secrets;
use finish::Finished;
use lease::Leases;

/// How long a message is leased where neither the configuration nor the queue says.
const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// Size up to which a message is believed: downloads that hold more would keep others out for a made-up object.
const BELIEVED: u64 = 1 << 20;

/// A queue that was found and can be read.
#[derive(Debug)]
pub struct Queue {
    clients: Clients,
    url: String,
    /// The URL as log lines may show it.
    shown: String,
    rules: Rules,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

/// How messages are treated.
#[derive(Clone, Copy, Debug)]
struct Rules {
    delete: bool,
    delete_at_once: bool,
    wait_seconds: i32,
    lease: Duration,
    /// The lease is asked for, rather than being the queue's own.
    own_lease: bool,
    max_receives: u32,
    /// The queue has a dead-letter queue.
    redrive: bool,
    insights: bool,
    concurrency: usize,
}

/// A message on its way.
#[derive(Debug)]
struct Message {
    /// Number of its lease.
    lease: u64,
    body: String,
}

/// Lets the last deletions through when the source closes.
#[derive(Clone, Debug)]
pub struct Closer(mpsc::UnboundedSender<Finished>);

impl Closer {
    /// Waits until everything that was finished before is deleted.
    pub async fn flushed(self) {
        let (send, done) = oneshot::channel();
        if self.0.send(Finished::Flush(send)).is_ok() {
            // An error means that the finisher has ended: nothing left to wait for.
            let _ = done.await;
        }
    }
}

/// Messages that are held at a time, with this many downloads at a time.
fn leased(concurrency: usize) -> usize {
    (2 * concurrency).clamp(20, 1000)
}

impl Queue {
    /// Finds the queue and reads its attributes.
    pub async fn open(
        clients: Clients,
        name: &str,
        config: &Config,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
    ) -> Result<Queue> {
        let url = clients.queue_url(name, &config.sqs_owner_account).await?;
        let attributes = attributes(&clients, &url, &log).await?;
        let configured = config.sqs_visibility_timeout();
        let (lease, own_lease) = match (configured, attributes.lease) {
            (Some(seconds), _) => (Duration::from_secs(u64::from(seconds)), true),
            // Such a queue hides nothing: its messages would be had again while they are in work.
            (None, Some(Duration::ZERO)) => (DEFAULT_LEASE, true),
            (None, of_queue) => (of_queue.unwrap_or(DEFAULT_LEASE), false),
        };
        let downloads = clients.downloads();
        Ok(Queue {
            clients,
            shown: without_secrets(&url),
            url,
            rules: Rules {
                delete: config.sqs_delete,
                delete_at_once: config.sqs_delete_when == SqsDeleteWhen::Received,
                wait_seconds: config.sqs_wait_seconds as i32,
                lease,
                own_lease,
                max_receives: config.sqs_max_receives,
                redrive: attributes.redrive,
                insights: config.include_insights,
                concurrency: downloads,
            },
            metrics,
            log,
        })
    }

    /// The queue's URL as messages may show it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Starts following; the second part of the answer runs on a feeder's thread until the
    /// source is closed. To be called on the runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`](crate::error::ErrorKind::OpenParams) where the queue refuses for good to give messages.
    pub async fn follow(
        self,
        fetcher: Fetcher,
    ) -> Result<(Closer, impl FnOnce(Feed) + Send + 'static)> {
        let queue = Arc::new(self);
        let room = Arc::new(Semaphore::new(leased(queue.rules.concurrency)));
        let leases = Arc::new(Leases::default());
        let (send, messages) = mpsc::channel(leased(queue.rules.concurrency));
        let (finished, finished_taken) = mpsc::unbounded_channel();
        tokio::spawn(finish::run(
            Arc::clone(&queue),
            Arc::clone(&leases),
            finished_taken,
        ));
        tokio::spawn(lease::keep(Arc::clone(&queue), Arc::clone(&leases)));
        receive::start(Arc::clone(&queue), room, leases, send).await?;
        let closer = Closer(finished.clone());
        let feed = move |feed| queue.feed(feed, &fetcher, messages, &finished);
        Ok((closer, feed))
    }

    /// Counts a request that failed, and says why it did.
    fn failed<E>(&self, error: &SdkError<E>) -> Described
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = describe(error);
        self.metrics.errors_queue.add(1);
        if failure.cause == Cause::Credentials {
            self.clients.credentials().invalidate();
        }
        if failure.is_throttle() {
            self.metrics.throttles.add(1);
        }
        failure
    }

    fn feed(
        &self,
        mut feed: Feed,
        fetcher: &Fetcher,
        mut messages: mpsc::Receiver<Message>,
        finished: &mpsc::UnboundedSender<Finished>,
    ) {
        while let Some(message) = messages.blocking_recv() {
            if !self.work_off(&mut feed, fetcher, message, finished) {
                return;
            }
        }
    }

    /// Starts the downloads of what a message names. Answers whether to go on.
    fn work_off(
        &self,
        feed: &mut Feed,
        fetcher: &Fetcher,
        message: Message,
        finished: &mpsc::UnboundedSender<Finished>,
    ) -> bool {
        let lease = message.lease;
        let objects = match notification::parse(&message.body) {
            Notification::Objects(parsed) if parsed.objects.is_empty() => {
                self.metrics.messages_unknown.add(1);
                return finished
                    .send(Finished::rejected(lease, parsed.reason()))
                    .is_ok();
            }
            Notification::Objects(parsed) => {
                for problem in &parsed.problems {
                    self.log
                        .lost(&self.shown, problem, "the rest of the message is read");
                }
                parsed.objects
            }
            Notification::Ignored => Vec::new(),
            Notification::Unknown(kind) => {
                self.metrics.messages_unknown.add(1);
                self.log.once(
                    kind,
                    Severity::Error,
                    format_args!(
                        "{}: a message is no notification of a log file ({kind}); it is left to sqsMaxReceives or the queue's redrive policy",
                        self.shown
                    ),
                );
                let why = format!("it is no notification of a log file ({kind})");
                return finished.send(Finished::rejected(lease, why)).is_ok();
            }
        };
        let is_log = |object: &ObjectRef| log_name::is_log(&object.key, self.rules.insights);
        let objects: Vec<ObjectRef> = objects.into_iter().filter(is_log).collect();
        let done = finished.clone();
        let tickets = tickets(objects.len(), move |failure| {
            // Nobody there any more: the source is closed, and the lease will end.
            let _ = done.send(Finished::Message { lease, failure });
        });
        for (object, ticket) in objects.into_iter().zip(tickets) {
            let Some(place) = feed.unordered_place() else {
                return false;
            };
            let wanted = Wanted {
                bucket: object.bucket,
                key: object.key,
                size: object.size.filter(|size| *size <= BELIEVED),
                ticket: Some(ticket),
            };
            if !fetcher.fetch(feed, place, wanted) {
                return false;
            }
        }
        true
    }
}

/// What a queue says of itself.
struct Attributes {
    lease: Option<Duration>,
    redrive: bool,
}

async fn attributes(clients: &Clients, url: &str, log: &Log) -> Result<Attributes> {
    let reply = clients
        .sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::VisibilityTimeout)
        .attribute_names(QueueAttributeName::RedrivePolicy)
        .send()
        .await;
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            let described = describe(&error);
            if !described.is_denied() {
                return Err(clients.queue_refused(url, "sqs:GetQueueAttributes", &described));
            }
            log.line(
                Severity::Warning,
                format_args!(
                    "{}: sqs:GetQueueAttributes is not allowed; a lease of {} s and no dead-letter queue are assumed",
                    without_secrets(url),
                    DEFAULT_LEASE.as_secs()
                ),
            );
            return Ok(Attributes {
                lease: None,
                redrive: false,
            });
        }
    };
    let attributes = reply.attributes.unwrap_or_default();
    let lease = attributes
        .get(&QueueAttributeName::VisibilityTimeout)
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    Ok(Attributes {
        lease,
        redrive: attributes.contains_key(&QueueAttributeName::RedrivePolicy),
    })
}
