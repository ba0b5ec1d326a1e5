//! What becomes of messages whose objects are done: deleted, or left to the queue.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Queue;
use super::lease::{Lease, Leases};
use crate::backoff::Backoff;
use crate::delivery::Failure;
use crate::log::Severity;

/// Entries that one request may have.
const ENTRIES: usize = 10;

/// Requests under way at a time. At 30 ms each, so many delete thousands of messages a second.
const REQUESTS: usize = 16;

/// Tries to delete before the message is left to come again.
const TRIES: u32 = 5;

/// Lasting failures that are to be seen here, before a message is given up that was received often enough.
const SEEN_FAILING: u32 = 3;

/// Pause for each time that a message was received already, before it is seen again.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Something to be finished.
#[derive(Debug)]
pub(super) enum Finished {
    /// A message with all of its objects.
    Message {
        /// Number of its lease.
        lease: u64,
        /// What of it failed, if anything did.
        failure: Option<Failure>,
    },
    /// Asks to be told when everything before is finished.
    Flush(oneshot::Sender<()>),
}

impl Finished {
    /// A message that can never be worked off, and why.
    pub(super) fn rejected(lease: u64, why: String) -> Self {
        Finished::Message {
            lease,
            failure: Some(Failure::Lasting(why)),
        }
    }
}

/// Finishes messages for as long as the runtime lives.
///
/// Ten of them make a request. Fewer wait for the answers to those before, which costs them
/// nothing and the queue less; several requests are under way only where there is that much to do.
pub(super) async fn run(
    queue: Arc<Queue>,
    leases: Arc<Leases>,
    mut finished: mpsc::UnboundedReceiver<Finished>,
) {
    let mut next = Vec::new();
    let mut requests = JoinSet::new();
    loop {
        let room = ENTRIES - next.len();
        tokio::select! {
            count = finished.recv_many(&mut next, room), if room > 0 => {
                if count == 0 {
                    return;
                }
            }
            Some(_) = requests.join_next() => {}
        }
        let asked = next.iter().any(|next| matches!(next, Finished::Flush(_)));
        let full = next.len() == ENTRIES && requests.len() < REQUESTS;
        if !next.is_empty() && (full || asked || requests.is_empty()) {
            let flushed = finish(&queue, &leases, &mut next, &mut requests);
            if asked {
                while requests.join_next().await.is_some() {}
            }
            for done in flushed {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }
}

/// Sends what these messages need; who wants to be told when all is answered.
fn finish(
    queue: &Arc<Queue>,
    leases: &Leases,
    next: &mut Vec<Finished>,
    requests: &mut JoinSet<()>,
) -> Vec<oneshot::Sender<()>> {
    let (mut delete, mut back, mut flushed) = (Vec::new(), Vec::new(), Vec::new());
    for finished in next.drain(..) {
        match finished {
            Finished::Flush(done) => flushed.push(done),
            Finished::Message { lease, failure } => {
                queue.metrics.messages_in_flight.sub(1);
                let Some(lease) = leases.end(lease) else {
                    continue;
                };
                match queue.fate(leases, &lease, failure) {
                    Fate::Delete => {
                        leases.forget(&lease);
                        delete.push(lease.receipt);
                    }
                    Fate::Return(pause) => back.push((lease.receipt, pause)),
                    Fate::Leave => {}
                }
            }
        }
    }
    if !delete.is_empty() {
        let queue = Arc::clone(queue);
        requests.spawn(async move { queue.delete(&delete).await });
    }
    if !back.is_empty() {
        let queue = Arc::clone(queue);
        requests.spawn(async move { queue.give_back(&back).await });
    }
    flushed
}

/// What is to be done with a message.
enum Fate {
    Delete,
    /// Seen again after this pause.
    Return(Duration),
    /// Seen again when its lease ends.
    Leave,
}

impl Queue {
    fn fate(&self, leases: &Leases, lease: &Lease, failure: Option<Failure>) -> Fate {
        let rules = &self.rules;
        if rules.delete && rules.delete_at_once {
            // It was deleted when it came.
            return Fate::Leave;
        }
        let Some(failure) = failure else {
            return match rules.delete {
                true => Fate::Delete,
                false => Fate::Leave,
            };
        };
        let exhausted = lease.receives >= rules.max_receives && !rules.redrive;
        if let Failure::Lasting(why) = failure
            // It may have been received that often for reasons that have passed.
            && leases.failed(lease) >= rules.max_receives.min(SEEN_FAILING)
            && exhausted
            && rules.delete
        {
            // The last that is heard of it, so it is said of each.
            self.log.line(
                Severity::Error,
                format_args!(
                    "{}: a message was received {} times and failed for a lasting reason; it is deleted (sqsMaxReceives): {why}",
                    self.shown, lease.receives
                ),
            );
            return Fate::Delete;
        }
        self.metrics.messages_returned.add(1);
        // What came that often is not about to pass.
        let longest = match lease.receives > rules.max_receives {
            true => LONGEST_PAUSE,
            false => rules.lease,
        };
        Fate::Return((PAUSE * lease.receives.min(60)).min(longest))
    }

    /// Deletes messages; what cannot be deleted comes again.
    pub(super) async fn delete(&self, receipts: &[String]) {
        let mut left: Vec<String> = receipts.to_vec();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        for attempt in 1..=TRIES {
            let result = self.delete_once(&left).await;
            let cause = match result {
                Ok(failed) if failed.is_empty() => return,
                Ok(failed) => {
                    self.metrics.errors_queue.add(1);
                    left = failed;
                    "the queue refused some".to_owned()
                }
                Err(cause) => cause,
            };
            if attempt == TRIES {
                self.log.trouble(
                    "queue_delete",
                    Severity::Warning,
                    format_args!(
                        "{}: {} messages that are done with cannot be deleted ({cause}); they will come again",
                        self.shown,
                        left.len()
                    ),
                );
                return;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// The receipts of those that were refused.
    async fn delete_once(&self, receipts: &[String]) -> Result<Vec<String>, String> {
        let entries = receipts.iter().enumerate().filter_map(|(number, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .receipt_handle(receipt)
                .build()
                .ok()
        });
        let reply = self
            .clients
            .sqs
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| self.failed(&error).to_string())?;
        let deleted = reply.successful().len() as u64;
        self.metrics.messages_deleted.add(deleted);
        let failed = reply.failed().iter();
        Ok(failed
            .filter_map(|failed| receipts.get(failed.id().parse::<usize>().ok()?).cloned())
            .collect())
    }

    async fn give_back(&self, receipts: &[(String, Duration)]) {
        let entries = receipts
            .iter()
            .enumerate()
            .filter_map(|(number, (receipt, pause))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(pause.as_secs() as i32)
                    .build()
                    .ok()
            });
        let reply = self
            .clients
            .sqs
            .change_message_visibility_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        // Without it they come when their lease ends, which is only later.
        if let Err(error) = reply {
            self.failed(&error);
        }
    }
}
