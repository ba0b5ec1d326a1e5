//! Receives messages: one receiver polls the queue, others join while it is deep.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Queue;
use super::ack::Done;
use super::in_flight::{Added, Receipt, Received};
use super::requests::take_entries;
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, QueueMessage, Receive};
use crate::error::Result;

/// Messages that one request can bring.
const MESSAGES: u32 = 10;

/// Receivers at a time.
const RECEIVERS: usize = 8;

/// Longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Time between two requests that brought nothing, where the queue does not hold them open.
const BETWEEN: Duration = Duration::from_secs(1);

/// How long an answer may take beyond the long poll.
const ANSWER: Duration = Duration::from_secs(10);

/// Processed messages that wait for their deletion, from which on no more are received while deletions fail.
const MAX_UNDELETED: usize = 5_000;

/// How long the first request may delay the opening of a source.
const FIRST: Duration = Duration::from_secs(5);

/// Pauses between receives in an outage. Some messages are received even then: their bucket may be another one.
const FIRST_OUTAGE_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_OUTAGE_PAUSE: Duration = Duration::from_secs(60);

/// What all receivers share.
#[derive(Clone)]
struct Receiver {
    queue: Arc<Queue>,
    /// One permit for each message being processed.
    permits: Arc<Semaphore>,
    /// Takes each message with its number in flight.
    messages: mpsc::UnboundedSender<(u64, Received)>,
    done: mpsc::UnboundedSender<Done>,
    /// Notified when an answer was full: the queue has more.
    deep: Arc<Notify>,
}

/// Starts receivers in `tasks`, after a first request that the queue must not refuse for good.
pub(super) async fn start(
    queue: &Arc<Queue>,
    permits: Arc<Semaphore>,
    messages: mpsc::UnboundedSender<(u64, Received)>,
    done: mpsc::UnboundedSender<Done>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let receiver = Receiver {
        queue: Arc::clone(queue),
        permits,
        messages,
        done,
        deep: Arc::new(Notify::new()),
    };
    // The request goes on if it takes longer: its messages must not be lost.
    let first = receiver.clone();
    let mut closing = queue.closing.subscribe();
    let mut first = tokio::spawn(async move {
        tokio::select! {
            // An error means that the queue is gone.
            _ = closing.wait_for(|closing| *closing) => Ok(0),
            received = first.receive_once(0) => received,
        }
    });
    if let Ok(Ok(Err(failure))) = timeout(FIRST, &mut first).await
        && !failure.is_transient()
    {
        return Err(queue
            .clients
            .queue_refused(&queue.url, "sqs:ReceiveMessage", &failure));
    }
    for _ in 1..RECEIVERS {
        tasks.spawn(until_closing(
            queue.closing.subscribe(),
            receiver.clone().help(),
        ));
    }
    tasks.spawn(until_closing(queue.closing.subscribe(), receiver.poll()));
    Ok(())
}

/// Runs a receiver until the source closes. That ends a request that waits at the queue, which would otherwise receive
/// what is returned to it.
async fn until_closing(mut closing: watch::Receiver<bool>, receiver: impl Future<Output = ()>) {
    tokio::select! {
        // An error means that the queue is gone.
        _ = closing.wait_for(|closing| *closing) => {}
        () = receiver => {}
    }
}

impl Receiver {
    /// Polls the queue for as long as the runtime lives.
    async fn poll(self) {
        loop {
            let requested = Instant::now();
            if self.receive(self.queue.rules.wait_seconds).await == 0 {
                sleep_until(requested + BETWEEN).await;
            }
        }
    }

    /// Receives whenever the queue is deep, until it is empty.
    async fn help(self) {
        loop {
            self.deep.notified().await;
            while self.receive(0).await > 0 {}
        }
    }

    /// The number of usable messages received. Outages and errors are waited out.
    async fn receive(&self, wait_seconds: i32) -> usize {
        self.wait_out_outage().await;
        let queue = &self.queue;
        let mut backoff = Backoff::new(Duration::from_millis(250), LONGEST_PAUSE);
        loop {
            match self.receive_once(wait_seconds).await {
                Ok(count) => {
                    queue.receives.succeeded(queue);
                    return count;
                }
                Err(failure) => queue.receives.failed(queue, failure.is_denied(), &failure),
            }
            sleep(backoff.pause()).await;
        }
    }

    /// Pauses while downloads fail as a whole. What is received then would only have to wait.
    async fn wait_out_outage(&self) {
        while self.queue.deletions.is_outage()
            && self.queue.in_flight.count_processed() >= MAX_UNDELETED
        {
            sleep(BETWEEN).await;
        }
        let breakers = self.queue.clients.breakers();
        if !breakers.is_outage() {
            return;
        }
        let pause = {
            let mut pauses = self.queue.outage_pauses();
            pauses.pause()
        };
        tokio::select! {
            () = breakers.success() => self.queue.outage_pauses().reset(),
            () = sleep(pause) => {}
        }
    }

    /// One request, for as many messages as may be processed.
    async fn receive_once(&self, wait_seconds: i32) -> std::result::Result<usize, AwsError> {
        let queue = &self.queue;
        let rules = &queue.rules;
        queue.waiting.room().await;
        // The semaphore is never closed.
        let mut permits = Arc::clone(&self.permits)
            .acquire_many_owned(MESSAGES)
            .await
            .ok();
        let visibility = rules.visibility.as_secs() as i32;
        let receive = Receive {
            messages: MESSAGES,
            wait_seconds,
            visibility: rules.own_visibility.then_some(visibility),
        };
        let request = queue.clients.receive_messages(&queue.url, receive);
        let limit = Duration::from_secs(wait_seconds.unsigned_abs().into()) + ANSWER;
        let received = match timeout(limit, request).await {
            Ok(reply) => reply.map_err(|error| queue.failed(&error))?,
            Err(_) => {
                queue.metrics.errors_queue.add(1);
                return Err(queue.unanswered(limit));
            }
        };
        queue.report_malformed(&received);
        let malformed = received.malformed.len() + received.more_malformed;
        let count = received.messages.len() + malformed;
        queue.metrics.messages_received.add(count as u64);
        let deleted = rules.delete && rules.delete_on_receipt;
        let mut receipts = Vec::new();
        for message in received.messages {
            let permit = permits.as_mut().and_then(|permits| permits.split(1));
            let mut message = self.received(message, permit);
            message.deleted = deleted;
            receipts.push(Receipt {
                id: message.id.clone(),
                handle: message.receipt.clone(),
            });
            self.add(message);
        }
        let usable = receipts.len();
        while deleted && !receipts.is_empty() {
            let (queue, entries) = (Arc::clone(queue), take_entries(&mut receipts));
            tokio::spawn(async move { queue.delete_on_receipt(entries).await });
        }
        if count == MESSAGES as usize {
            self.deep.notify_one();
        }
        Ok(usable)
    }

    /// Adds a message to those in flight, and has it processed unless it is there already.
    fn add(&self, mut message: Received) {
        let queue = &self.queue;
        // Without a receiver the source is closed.
        match queue.in_flight.add(&mut message, queue.rules.delete) {
            Added::New(number) => {
                let _ = self.messages.send((number, message));
            }
            Added::InWork { lapsed: true } => queue.lapsed(&message.id, "it was received again"),
            Added::InWork { lapsed: false } => {}
            Added::Processed(number) => {
                let _ = self.done.send(Done::ReceivedAgain(number));
            }
        }
    }

    /// A message of an answer.
    fn received(&self, message: QueueMessage, permit: Option<OwnedSemaphorePermit>) -> Received {
        let first = message
            .first_received
            .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        Received {
            id: message.id,
            receipt: message.receipt,
            waiting: Some(self.queue.waiting.add(message.body.len())),
            body: message.body,
            receives: message
                .receives
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
            first_received: first,
            deleted: false,
            permit,
        }
    }
}

/// The pauses between receives in an outage.
pub(super) fn outage_pauses() -> Backoff {
    Backoff::new(FIRST_OUTAGE_PAUSE, LONGEST_OUTAGE_PAUSE)
}
