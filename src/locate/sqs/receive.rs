//! Takes messages from the queue: one reader waits at it, others help while it is deep.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::lease::Leases;
use super::{Message, Queue};
use crate::aws::Described;
use crate::backoff::Backoff;
use crate::error::Result;
use crate::log::Severity;

/// Messages that one request can bring.
const MESSAGES: u32 = 10;

/// Readers at a time.
const READERS: usize = 8;

/// Longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Time between two requests that nothing came of, where the queue does not keep them waiting.
const BETWEEN: Duration = Duration::from_secs(1);

/// How long the first request may keep a source from being open.
const FIRST: Duration = Duration::from_secs(5);

/// What all readers share.
#[derive(Clone)]
struct Reader {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    leases: Arc<Leases>,
    messages: mpsc::Sender<Message>,
    /// Told when a reply was full: where it came from there is more.
    deep: Arc<Notify>,
}

/// Starts the readers, after a first request that the queue must not refuse for good.
pub(super) async fn start(
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    leases: Arc<Leases>,
    messages: mpsc::Sender<Message>,
) -> Result<()> {
    let reader = Reader {
        queue,
        room,
        leases,
        messages,
        deep: Arc::new(Notify::new()),
    };
    reader.first().await?;
    for _ in 1..READERS {
        tokio::spawn(reader.clone().help());
    }
    tokio::spawn(reader.follow());
    Ok(())
}

impl Reader {
    /// Asks once without waiting: whoever opens a source shall know that it cannot be read.
    async fn first(&self) -> Result<()> {
        let Ok(mut room) = Arc::clone(&self.room).try_acquire_many_owned(MESSAGES) else {
            return Ok(());
        };
        match timeout(FIRST, self.receive(&mut room, 0)).await {
            Ok(Err(failure)) if !failure.is_transient() => {
                let queue = &self.queue;
                Err(queue
                    .clients
                    .queue_refused(&queue.url, "sqs:ReceiveMessage", &failure))
            }
            // What passes is waited out, as it is later.
            _ => Ok(()),
        }
    }

    /// Waits at the queue until the source is closed.
    async fn follow(self) {
        loop {
            let asked = Instant::now();
            match self.read(self.queue.rules.wait_seconds).await {
                None => return,
                Some(0) => sleep_until(asked + BETWEEN).await,
                Some(_) => {}
            }
        }
    }

    /// Reads along whenever the queue is deep, until it is empty.
    async fn help(self) {
        loop {
            self.deep.notified().await;
            loop {
                match self.read(0).await {
                    None => return,
                    Some(0) => break,
                    Some(_) => {}
                }
            }
        }
    }

    /// How many messages came; `None` when the source is closed. Errors are waited out.
    async fn read(&self, wait_seconds: i32) -> Option<usize> {
        // Nothing is leased that there is no room for.
        let mut room = Arc::clone(&self.room)
            .acquire_many_owned(MESSAGES)
            .await
            .ok()?;
        let mut backoff = Backoff::new(Duration::from_millis(250), LONGEST_PAUSE);
        let mut told = None;
        loop {
            let failure = match self.receive(&mut room, wait_seconds).await {
                Ok(count) => {
                    if told.is_some() {
                        self.tell(Severity::Info, "messages are received again");
                    }
                    return count;
                }
                Err(failure) => failure,
            };
            // An outage is told once and not at each try.
            if told.as_ref() != Some(&failure.code) {
                let line = format!("messages cannot be received: {failure}; it is tried again");
                self.tell(Severity::Error, &line);
                told = Some(failure.code);
            }
            sleep(backoff.pause()).await;
        }
    }

    fn tell(&self, severity: Severity, what: &str) {
        let line = format!("{}: {what}", self.queue.shown);
        self.queue.log.trouble("queue_receive", severity, line);
    }

    /// How many messages came; `None` when the source is closed.
    async fn receive(
        &self,
        room: &mut OwnedSemaphorePermit,
        wait_seconds: i32,
    ) -> std::result::Result<Option<usize>, Described> {
        let rules = &self.queue.rules;
        let reply = self
            .queue
            .clients
            .sqs
            .receive_message()
            .queue_url(&self.queue.url)
            .max_number_of_messages(MESSAGES as i32)
            .wait_time_seconds(wait_seconds)
            .set_visibility_timeout(rules.own_lease.then_some(rules.lease.as_secs() as i32))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| self.queue.failed(&error))?;
        let messages = reply.messages.unwrap_or_default();
        let count = messages.len();
        self.queue.metrics.messages_received.add(count as u64);
        // A batch without entries is an error to the queue.
        if rules.delete && rules.delete_at_once && count > 0 {
            let receipts = messages
                .iter()
                .filter_map(|message| message.receipt_handle.clone());
            self.queue.delete(&receipts.collect::<Vec<_>>()).await;
        }
        for message in messages {
            let receives = message
                .attributes()
                .and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount))
                .and_then(|count| count.parse().ok())
                .unwrap_or(1);
            let (Some(receipt), Some(body)) = (message.receipt_handle, message.body) else {
                continue;
            };
            self.queue.metrics.messages_in_flight.add(1);
            let id = message.message_id.unwrap_or_default();
            let lease = self.leases.add(id, receipt, receives, room.split(1));
            if self.messages.send(Message { lease, body }).await.is_err() {
                return Ok(None);
            }
        }
        if count == MESSAGES as usize {
            self.deep.notify_one();
        }
        Ok(Some(count))
    }
}
