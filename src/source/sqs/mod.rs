//! Follows a queue: messages in, objects out, and each message deleted when its objects are processed.
//!
//! A received message is hidden from other consumers for its visibility timeout, which is extended while its objects
//! are on their way to the host. It is deleted when the host has processed all of them. While an object cannot be had
//! for a transient reason, the message is parked: kept hidden, without counting against those being processed. What
//! fails permanently is left to the queue's redrive policy, or given up where there is none. Every list is bounded.
//!
//! In the order of a message's way: `receive` with `malformed`, `notification`, `selection`, `process` or `records`, `in_flight` with
//! `visibility`, `ack` with `requests` and `delivered`.
#![forbid(unsafe_code)]

mod ack;
mod delivered;
mod failure_report;
mod in_flight;
mod malformed;
pub(crate) mod notification;
mod process;
mod receive;
mod records;
mod requests;
mod selection;
mod visibility;
mod waiting_bodies;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::ack::Done;
use self::delivered::DeliveredObjects;
use self::failure_report::FailureReport;
use self::in_flight::InFlight;
use self::malformed::NamedMessages;
use self::process::Processor;
use self::selection::ObjectSelection;
use self::waiting_bodies::WaitingBodies;
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, Clients, ErrorCause, QueueOpening, describe};
use crate::config::{Config, SqsDeleteWhen};
use crate::error::Result;
use crate::log::quote::redacted;
use crate::log::{Log, Severity};
use crate::metrics::Metrics;
use crate::pipeline::ObjectSender;
use crate::source::fetch::{Fetcher, max_in_progress};

/// The visibility timeout where neither the configuration nor the queue has one: the default of SQS.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// Messages that may wait for retries. A standard queue allows about 120,000 in flight for all of its consumers.
const MAX_PARKED: usize = 10_000;

/// The same of a FIFO queue, whose groups wait for each of their messages.
const MAX_PARKED_FIFO: usize = 100;

/// Bodies of messages being processed, in KiB. In memory, a message of short keys takes some 20 times its body.
const EXPANSION_KIB: usize = 4096;

/// A queue that was found and can be read.
#[derive(Debug)]
pub struct Queue {
    clients: Clients,
    url: String,
    /// The URL as log lines may show it.
    shown: String,
    rules: Rules,
    selection: ObjectSelection,
    in_flight: InFlight,
    delivered: DeliveredObjects,
    /// Malformed messages that were named.
    named: NamedMessages,
    outage_pauses: Mutex<Backoff>,
    /// Bounds what the bodies of messages expand to, in KiB of body.
    expansion: Arc<Semaphore>,
    waiting: Arc<WaitingBodies>,
    receives: FailureReport,
    deletions: FailureReport,
    extensions: FailureReport,
    /// Whether the source closes, which ends the receivers.
    closing: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

/// How messages are treated.
#[derive(Clone, Copy, Debug)]
struct Rules {
    delete: bool,
    delete_on_receipt: bool,
    wait_seconds: i32,
    visibility: Duration,
    /// The visibility timeout is requested, rather than being the queue's own.
    own_visibility: bool,
    max_receives: u32,
    redrive: Redrive,
    /// Records in messages are delivered.
    records: bool,
    insights: bool,
    concurrency: usize,
}

/// What is known of the queue's redrive policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redrive {
    /// It has one: the queue moves messages that fail to its dead-letter queue.
    Policy,
    /// It has none.
    None,
    /// Its attributes cannot be read.
    Unknown,
}

/// Settles messages when the source closes.
#[derive(Clone, Debug)]
pub struct Closer(mpsc::UnboundedSender<Done>);

impl Closer {
    /// Waits until everything that was processed is deleted, and everything else is returned.
    pub async fn close(self) {
        let (send, closed) = oneshot::channel();
        if self.0.send(Done::Close(send)).is_ok() {
            // An error means that the task has ended: nothing left to wait for.
            let _ = closed.await;
        }
    }
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
        let (mut opening, owner) = (QueueOpening::new(), &config.sqs_owner_account);
        let url = clients.queue_url(name, owner, &mut opening).await?;
        let clients = clients.for_queue(&url)?;
        let attributes = attributes(&clients, &url, &mut opening, &log).await?;
        let configured = config.sqs_visibility_timeout();
        let (visibility, own_visibility) = match (configured, attributes.visibility) {
            (Some(seconds), _) => (Duration::from_secs(u64::from(seconds)), true),
            // Such a queue hides nothing: its messages would be received again while they are processed.
            (None, Some(Duration::ZERO)) => (DEFAULT_VISIBILITY, true),
            (None, Some(of_queue)) => (of_queue, false),
            (None, None) => (DEFAULT_VISIBILITY, true),
        };
        let max_parked = match url.ends_with(".fifo") {
            true => MAX_PARKED_FIFO,
            false => MAX_PARKED,
        };
        let downloads = clients.downloads();
        Ok(Queue {
            clients,
            shown: redacted(&url),
            url,
            rules: Rules {
                delete: config.sqs_delete,
                delete_on_receipt: config.sqs_delete_when == SqsDeleteWhen::Received,
                wait_seconds: config.sqs_wait_seconds as i32,
                visibility,
                own_visibility,
                max_receives: config.sqs_max_receives,
                redrive: attributes.redrive,
                records: config.sqs_records,
                insights: config.include_insights,
                concurrency: downloads,
            },
            selection: ObjectSelection::new(config),
            in_flight: InFlight::new(visibility, max_parked, Arc::clone(&metrics)),
            delivered: DeliveredObjects::default(),
            named: NamedMessages::default(),
            outage_pauses: Mutex::new(receive::outage_pauses()),
            expansion: Arc::new(Semaphore::new(EXPANSION_KIB)),
            waiting: Arc::default(),
            receives: FailureReport::new(
                Severity::Error,
                "messages cannot be received, retrying",
                "sqs:ReceiveMessage",
                "messages are received",
            ),
            deletions: FailureReport::new(
                Severity::Error,
                "processed messages cannot be deleted, they are kept hidden and the deletion is retried",
                "sqs:DeleteMessage",
                "messages are deleted",
            ),
            extensions: FailureReport::new(
                Severity::Warning,
                "visibility timeouts cannot be extended now",
                "sqs:ChangeMessageVisibility",
                "visibility timeouts are extended",
            ),
            closing: watch::Sender::new(false),
            metrics,
            log,
        })
    }

    /// The queue's URL as messages may show it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Starts following; the second part of the result runs on a thread of its own until the source is closed. To be
    /// called on the runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`](crate::error::ErrorKind::OpenParams) where the queue refuses for good to give messages.
    pub async fn follow(
        self,
        fetcher: Fetcher,
    ) -> Result<(Closer, impl FnOnce(ObjectSender) + Send + 'static)> {
        let queue = Arc::new(self);
        let permits = Arc::new(Semaphore::new(max_in_progress(queue.rules.concurrency)));
        // All are bounded by the permits and by what may be parked.
        let (send, messages) = mpsc::unbounded_channel();
        let (done, settled) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        receive::start(&queue, permits, send, done.clone(), &mut tasks).await?;
        tasks.spawn(ack::run(Arc::clone(&queue), settled));
        tasks.spawn(visibility::keep(Arc::clone(&queue)));
        let closer = Closer(done.clone());
        let runtime = Handle::current();
        let feed = move |feed: ObjectSender| {
            let Some(unordered) = feed.unordered() else {
                return;
            };
            let (send, records) = mpsc::unbounded_channel();
            let _entered = runtime.enter();
            tasks.spawn(records::run(
                Arc::clone(&queue),
                unordered.clone(),
                done.clone(),
                records,
            ));
            let processor = Processor {
                queue: Arc::clone(&queue),
                fetcher,
                feed: unordered,
                done,
                records: send,
            };
            tasks.spawn(process::run(processor, messages));
            // A feed that is dropped while the source is open reports a task that failed.
            runtime.block_on(supervise(&queue, tasks));
            drop(feed);
        };
        Ok((closer, feed))
    }

    /// Counts and describes a failed request.
    fn failed<E>(&self, error: &SdkError<E>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = describe(error);
        self.metrics.errors_queue.add(1);
        self.clients.check_credentials(&failure);
        if failure.is_throttle() {
            self.metrics.throttles.add(1);
        }
        failure
    }

    /// A request without an answer in `limit`. It may have waited for the credentials all the time.
    fn unanswered(&self, limit: Duration) -> AwsError {
        let pending = self.clients.credentials_pending();
        match pending.filter(|pending| *pending >= limit / 2) {
            Some(_) => {
                let message = "the credentials provider does not answer; check it, such as credential_process or the service of container credentials";
                AwsError::new(ErrorCause::Credentials, "Credentials", message)
            }
            None => {
                let message = format!("no answer within {} s", limit.as_secs_f64());
                AwsError::new(ErrorCause::Timeout, "Timeout", message)
            }
        }
    }

    fn outage_pauses(&self) -> MutexGuard<'_, Backoff> {
        self.outage_pauses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the source has closed, or one of its tasks ends, which only a fault does.
async fn supervise(queue: &Queue, mut tasks: JoinSet<()>) {
    // At close, the receivers and what they feed end, while the other tasks settle the messages.
    while let Some(Ok(())) = tasks.join_next().await
        && *queue.closing.borrow()
    {}
}

/// What a queue says of itself.
struct Attributes {
    visibility: Option<Duration>,
    redrive: Redrive,
}

async fn attributes(
    clients: &Clients,
    url: &str,
    opening: &mut QueueOpening,
    log: &Log,
) -> Result<Attributes> {
    let request = async || {
        let request = clients
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy);
        request.send().await.map_err(|error| describe(&error))
    };
    let reply = match clients.while_opening(url, opening, request).await {
        Ok(reply) => reply,
        Err(failure) if failure.is_denied() => {
            return Ok(unknown_attributes(url, "is not allowed", log));
        }
        Err(failure) => {
            return Err(clients.queue_refused(url, "sqs:GetQueueAttributes", &failure));
        }
    };
    let attributes = reply.attributes.unwrap_or_default();
    let visibility = attributes
        .get(&QueueAttributeName::VisibilityTimeout)
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    // Every queue has one: an answer without it may lack the redrive policy too.
    if visibility.is_none() {
        let problem = "is answered without VisibilityTimeout";
        return Ok(unknown_attributes(url, problem, log));
    }
    let redrive = match attributes.contains_key(&QueueAttributeName::RedrivePolicy) {
        true => Redrive::Policy,
        false => Redrive::None,
    };
    Ok(Attributes {
        visibility,
        redrive,
    })
}

/// Nothing is known of the queue, as `sqs:GetQueueAttributes` has this problem.
fn unknown_attributes(url: &str, problem: &str, log: &Log) -> Attributes {
    log.line(
        Severity::Warning,
        format_args!(
            "{}: sqs:GetQueueAttributes {problem}; a visibility timeout of {} s is used, and no message is given up, as there may be a redrive policy",
            redacted(url),
            DEFAULT_VISIBILITY.as_secs()
        ),
    );
    Attributes {
        visibility: None,
        redrive: Redrive::Unknown,
    }
}
