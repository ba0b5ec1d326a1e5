//! Settles messages whose objects are done: deleted, returned, or given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::delivered::ObjectKey;
use super::in_flight::{Entry, Receipt};
use super::requests::{Deletion, ENTRIES, take_entries};
use super::{Queue, Redrive};
use crate::log::{Escaped, Severity};
use crate::object::ack::{Failure, Settled};

/// Concurrent requests. At 30 ms each, that deletes thousands of messages a second.
const REQUESTS: usize = 16;

/// How long a message waits for others to share its request.
const BATCHING: Duration = Duration::from_millis(50);

/// Time since its first receive before which no message is given up.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);

/// Pauses between tries to delete a message, doubled from the first to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// Pause of a failed message for each time that it was received.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause of a message that failed more often than `sqsMaxReceives`.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Pause, for each receive, of a message that is returned at close or evicted: a crash loop must not spend all receives.
const RETURN_PAUSE: Duration = Duration::from_secs(60);

/// How long closing waits for receivers to end.
const RECEIVERS_END: Duration = Duration::from_millis(50);

/// Receives up to which a message returned at close is visible at once.
const RETURNED_AT_ONCE: u32 = 2;

/// A message to settle.
#[derive(Debug)]
pub(super) enum Done {
    /// All of a message's objects are settled.
    Message {
        /// Its number in flight.
        number: u64,
        /// The objects that it names, in the order of the outcome.
        objects: Vec<ObjectKey>,
        outcome: Settled,
    },
    /// A processed message was received again: its deletion failed or was too late.
    ReceivedAgain(u64),
    /// The source closes: settle what was sent before, return the rest, and say when that is done.
    Close(oneshot::Sender<()>),
}

/// What is to be requested of the queue.
#[derive(Default)]
struct Pending {
    /// Numbers of messages in flight.
    deletes: Vec<u64>,
    returns: Vec<(Receipt, Duration)>,
    /// When the first of them has waited long enough.
    deadline: Option<Instant>,
    /// Deletions that failed, and when each is tried again.
    retries: BTreeSet<(Instant, u64)>,
}

/// The messages that a request failed to delete, each with the pause before the next try.
type FailedDeletions = Vec<(u64, Duration)>;

/// Settles messages for as long as the runtime lives. Requests take ten messages each, and run concurrently.
pub(super) async fn run(queue: Arc<Queue>, mut done: mpsc::UnboundedReceiver<Done>) {
    let mut requests = JoinSet::new();
    let mut pending = Pending::default();
    loop {
        let may_request = requests.len() < REQUESTS;
        let next_deadline = pending.next_deadline();
        let deadline = next_deadline.unwrap_or_else(Instant::now);
        tokio::select! {
            next = done.recv() => match next {
                None => return,
                Some(Done::Message { number, objects, outcome }) => {
                    pending.add(queue.settle(number, &objects, outcome));
                }
                Some(Done::ReceivedAgain(number)) => pending.delete_first(number),
                Some(Done::Close(closed)) => {
                    close(&queue, &mut requests, pending).await;
                    // The caller may have stopped waiting.
                    let _ = closed.send(());
                    pending = Pending::default();
                }
            },
            Some(failed) = requests.join_next() => pending.answered(failed.unwrap_or_default()),
            () = sleep_until(deadline), if next_deadline.is_some() && may_request => {}
        }
        pending.retry_failed();
        while requests.len() < REQUESTS && pending.is_due() {
            pending.request(&queue, &mut requests);
        }
    }
}

impl Pending {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Delete(number) => self.deletes.push(number),
            Fate::Return(receipt, pause) => self.returns.push((receipt, pause)),
            Fate::Nothing => return,
        }
        self.deadline
            .get_or_insert_with(|| Instant::now() + BATCHING);
    }

    /// A processed message was received again. It is deleted at once, before others: each further receive brings it closer
    /// to the dead-letter queue.
    fn delete_first(&mut self, number: u64) {
        self.retries.retain(|(_, retried)| *retried != number);
        self.deletes.retain(|deleted| *deleted != number);
        self.deletes.insert(0, number);
        self.deadline = Some(Instant::now());
    }

    /// A request was answered.
    fn answered(&mut self, failed: FailedDeletions) {
        let now = Instant::now();
        let retries = failed
            .into_iter()
            .map(|(number, pause)| (now + pause, number));
        self.retries.extend(retries);
    }

    /// Requests again what has waited long enough.
    fn retry_failed(&mut self) {
        let now = Instant::now();
        while let Some((retry, number)) = self.retries.pop_first() {
            if retry > now {
                self.retries.insert((retry, number));
                return;
            }
            self.add(Fate::Delete(number));
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let retry = self.retries.first().map(|(retry, _)| *retry);
        [self.deadline, retry].into_iter().flatten().min()
    }

    fn is_due(&self) -> bool {
        self.deletes.len() >= ENTRIES
            || self.returns.len() >= ENTRIES
            || self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Starts one request of each kind.
    fn request(&mut self, queue: &Arc<Queue>, requests: &mut JoinSet<FailedDeletions>) {
        // Closing takes the messages away after this.
        let deletes = queue.in_flight.receipts(&take_entries(&mut self.deletes));
        if !deletes.is_empty() {
            requests.spawn(delete(Arc::clone(queue), deletes));
        }
        let returns = take_entries(&mut self.returns);
        if !returns.is_empty() {
            let queue = Arc::clone(queue);
            requests.spawn(async move {
                queue.return_messages(&returns).await;
                Vec::new()
            });
        }
        if self.deletes.is_empty() && self.returns.is_empty() {
            self.deadline = None;
        }
    }
}

/// Deletes processed messages; gives those that are to be tried again.
async fn delete(queue: Arc<Queue>, messages: Vec<(u64, Receipt)>) -> FailedDeletions {
    let (numbers, receipts): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    let deletions = queue.delete(&receipts).await;
    // One for all of a request: what failed together is requested together again.
    let spread = 0.5 + fastrand::f64() / 2.0;
    let mut failed = Vec::new();
    for ((number, receipt), deletion) in numbers.into_iter().zip(&receipts).zip(deletions) {
        if deletion == Deletion::Deleted {
            queue.in_flight.deleted(number, &receipt.handle);
            continue;
        }
        let refused = deletion == Deletion::Refused;
        if let Some(times) = queue.in_flight.deletion_failed(number, refused) {
            let pause = FIRST_RETRY * 2_u32.saturating_pow(times.min(16) - 1);
            failed.push((number, pause.min(LONGEST_RETRY).mul_f64(spread)));
        }
    }
    failed
}

/// Deletes what is processed and returns what is not, all at the same time.
async fn close(queue: &Arc<Queue>, requests: &mut JoinSet<FailedDeletions>, mut pending: Pending) {
    queue.closing.send_replace(true);
    // Until the receivers have ended.
    let _ = timeout(RECEIVERS_END, queue.closing.closed()).await;
    let retried = std::mem::take(&mut pending.retries);
    pending
        .deletes
        .extend(retried.into_iter().map(|(_, number)| number));
    while !pending.deletes.is_empty() {
        pending.request(queue, requests);
    }
    for id in queue.in_flight.deleted_and_unread() {
        queue.log.lost(
            &format!("{}: message {}", queue.shown, Escaped(&id)),
            "the source closes before all of its objects are read",
            "deleted on receipt (sqsDeleteWhen)",
        );
    }
    let returned = queue.in_flight.drain(!queue.rules.delete);
    queue.metrics.messages_returned.add(returned.len() as u64);
    pending.returns.extend(returned.into_iter().map(|entry| {
        let pause = match queue.rules.delete {
            true => entry.allowed_pause(pause_at_close(entry.receives)),
            // A reader that deletes nothing must not hide messages from other consumers.
            false => Duration::ZERO,
        };
        (entry.receipt(), pause)
    }));
    while !pending.returns.is_empty() {
        pending.request(queue, requests);
    }
    while requests.join_next().await.is_some() {}
}

fn pause_at_close(receives: u32) -> Duration {
    match receives <= RETURNED_AT_ONCE {
        true => Duration::ZERO,
        false => RETURN_PAUSE * receives.min(720),
    }
}

/// What is done with a settled message.
enum Fate {
    /// The message with this number in flight.
    Delete(u64),
    /// It is visible again after this pause.
    Return(Receipt, Duration),
    /// It is deleted already, stays hidden until its visibility timeout expires, or is returned later.
    Nothing,
}

impl Queue {
    fn settle(&self, number: u64, objects: &[ObjectKey], outcome: Settled) -> Fate {
        let rules = &self.rules;
        if rules.delete && rules.delete_on_receipt {
            if let Some(entry) = self.in_flight.remove(number) {
                self.report_deleted(&entry, outcome);
            }
            return Fate::Nothing;
        }
        let Some(failure) = outcome.failure else {
            if let Some(id) = self.in_flight.with(number, |entry| entry.id.clone()) {
                self.delivered.forget(&id);
            }
            self.in_flight.processed(number);
            return match rules.delete {
                true => Fate::Delete(number),
                false => Fate::Nothing,
            };
        };
        if let Failure::Permanent(why) = &failure {
            let given_up = self.in_flight.with(number, |entry| {
                let given_up = self.may_give_up(entry);
                self.report(entry, why, given_up);
                given_up.then(|| entry.id.clone())
            });
            if let Some(id) = given_up.flatten() {
                self.delivered.forget(&id);
                self.in_flight.processed(number);
                return Fate::Delete(number);
            }
        }
        let Some((id, pause)) = self.in_flight.with(number, |entry| {
            let pause = self.pause(entry, &failure);
            (entry.id.clone(), entry.allowed_pause(pause))
        }) else {
            return Fate::Nothing;
        };
        let delivered = objects.iter().zip(&outcome.delivered);
        let delivered = delivered.filter(|(_, delivered)| **delivered);
        self.delivered
            .remember(&id, delivered.map(|(object, _)| *object));
        self.metrics.messages_returned.add(1);
        match self.in_flight.remove_to_return(number, pause) {
            Some(entry) => Fate::Return(entry.receipt(), pause),
            None => Fate::Nothing,
        }
    }

    /// Names a message that was deleted on receipt and not delivered, unless the source closes.
    fn report_deleted(&self, entry: &Entry, outcome: Settled) {
        let why = match outcome.failure {
            Some(Failure::Permanent(why)) => why,
            Some(Failure::Transient) if entry.evicted => {
                let objects = outcome.delivered.iter();
                format!(
                    "{} of its {} objects are given up: it has waited too long, or too many messages wait",
                    objects.filter(|delivered| !**delivered).count(),
                    outcome.delivered.len()
                )
            }
            _ => return,
        };
        let name = format!("{}: message {}", self.shown, Escaped(&entry.id));
        self.log
            .lost(&name, &why, "deleted on receipt (sqsDeleteWhen)");
    }

    /// Names a message that failed permanently, and what happens to it next. The line is suppressed only at later receives.
    fn report(&self, entry: &Entry, why: &str, given_up: bool) {
        let name = format!("{}: message {}", self.shown, Escaped(&entry.id));
        let (receives, max) = (entry.receives, self.rules.max_receives);
        let outcome = match self.rules.redrive {
            _ if given_up => format!("deleted after {receives} receives (sqsMaxReceives)"),
            Redrive::Policy => format!("left to the queue's redrive policy (receive {receives})"),
            Redrive::None => format!("left to sqsMaxReceives (receive {receives} of {max})"),
            Redrive::Unknown => format!("left in the queue (receive {receives})"),
        };
        match receives <= 1 || given_up {
            true => self.log.lost(&name, why, &outcome),
            false => self.log.limited(
                "failed messages",
                Severity::Error,
                format_args!("{name}: {why}; {outcome}"),
            ),
        }
    }

    /// Whether a message that failed permanently is deleted, rather than left to the queue's redrive policy.
    fn may_give_up(&self, entry: &Entry) -> bool {
        let old_enough = entry.first_received.is_some_and(|first| {
            SystemTime::now()
                .duration_since(first)
                .is_ok_and(|age| age >= MIN_AGE)
        });
        self.rules.delete
            && self.rules.redrive == Redrive::None
            && entry.receives >= self.rules.max_receives
            && old_enough
    }

    fn pause(&self, entry: &Entry, failure: &Failure) -> Duration {
        if entry.evicted {
            self.log.limited(
                "evicted messages",
                Severity::Warning,
                format_args!(
                    "{}: message {} has waited too long, or too many messages wait: it is returned to the queue, which costs a receive",
                    self.shown,
                    Escaped(&entry.id)
                ),
            );
            return self
                .rules
                .visibility
                .max(RETURN_PAUSE * entry.receives.min(720));
        }
        let longest = match (failure, entry.receives > self.rules.max_receives) {
            (Failure::Permanent(_), true) => LONGEST_PAUSE,
            (Failure::Permanent(_), false) => self.rules.visibility,
            // Its objects were dropped, not refused: the source closes.
            (Failure::Transient, _) => return pause_at_close(entry.receives),
        };
        (PAUSE * entry.receives.min(60)).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_returned_at_close_are_visible_at_once_only_at_first() {
        let pauses = [1, 2, 3, 10].map(pause_at_close);
        assert_eq!(pauses, [0, 0, 180, 600].map(Duration::from_secs));
    }
}
