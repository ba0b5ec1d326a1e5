//! The messages in flight: received, hidden from other consumers by their visibility timeout, and not yet settled.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::metrics::Metrics;

/// A message's visibility can be extended to this long after its receive, and never again for that receipt handle (SQS
/// developer guide, "visibility timeout").
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// Distance kept from [`LONGEST_VISIBILITY`], for the time that requests take.
const MARGIN: Duration = Duration::from_secs(60);

/// Messages kept that are neither deleted nor returned until their visibility timeout expires (`sqsDelete: false`).
const MAX_LEFT: usize = 10_000;

/// A message as it was received.
#[derive(Debug)]
pub(super) struct Received {
    /// The message's id, the same at each receive.
    pub(super) id: String,
    /// Names this receive in requests.
    pub(super) receipt: String,
    pub(super) body: String,
    /// Receives so far, this one included.
    pub(super) receives: u32,
    pub(super) first_received: Option<SystemTime>,
    /// It was deleted as it was received (`sqsDeleteWhen: received`).
    pub(super) deleted: bool,
    /// Its permit among the messages being processed.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// All messages in flight, by a number of their own: a message that was received twice is in flight twice.
#[derive(Debug)]
pub(super) struct InFlight {
    table: Mutex<Table>,
    visibility: Duration,
    max_parked: usize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// Messages that wait for a retry, oldest first.
    parked: BTreeSet<u64>,
    /// Messages that were processed and are not to be deleted, oldest first.
    left: BTreeSet<u64>,
}

/// One message in flight.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) receipt: String,
    pub(super) receives: u32,
    pub(super) first_received: Option<SystemTime>,
    /// It was given up before its objects were settled: too many messages are parked, or it cannot be kept longer.
    pub(super) evicted: bool,
    received: Instant,
    deleted: bool,
    /// When its visibility timeout was last set.
    renewed: Instant,
    visible_at: Instant,
    /// A request that extends it is under way.
    extending: bool,
    /// Its visibility timeout expired, or the queue said so.
    lapsed: bool,
    /// To be returned with this pause as soon as no extension is under way that could undo it.
    return_after: Option<Duration>,
    task: Option<AbortHandle>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A message whose visibility timeout is to be extended.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) number: u64,
    pub(super) receipt: String,
    pub(super) timeout: Duration,
}

/// What a look at all messages found.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) extensions: Vec<Extension>,
    /// Ids of messages whose visibility timeout has expired since the last look.
    pub(super) lapsed: Vec<String>,
}

impl InFlight {
    /// No messages; each is hidden for `visibility` at a time, and at most `max_parked` wait for retries.
    pub(super) fn new(visibility: Duration, max_parked: usize, metrics: Arc<Metrics>) -> Self {
        InFlight {
            table: Mutex::default(),
            visibility,
            max_parked,
            metrics,
        }
    }

    /// Adds a message that was just received.
    pub(super) fn add(&self, message: &mut Received) -> u64 {
        let now = Instant::now();
        let entry = Entry {
            id: message.id.clone(),
            receipt: message.receipt.clone(),
            receives: message.receives,
            first_received: message.first_received,
            evicted: false,
            received: now,
            deleted: message.deleted,
            renewed: now,
            visible_at: now + self.visibility,
            extending: false,
            lapsed: false,
            return_after: None,
            task: None,
            permit: message.permit.take(),
        };
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.entries.insert(number, entry);
        self.metrics.messages_in_flight.add(1);
        number
    }

    /// Sets the task that processes a message, which is aborted when the message is evicted.
    pub(super) fn set_task(&self, number: u64, task: AbortHandle) {
        if let Some(entry) = self.table().entries.get_mut(&number) {
            entry.task = Some(task);
        }
    }

    /// A message's object has to be retried: the message no longer counts against those being processed. Evicts the
    /// oldest parked message if there are too many.
    pub(super) fn park(&self, number: u64) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&number) else {
            return;
        };
        drop(entry.permit.take());
        if !table.parked.insert(number) {
            return;
        }
        self.metrics.messages_parked.add(1);
        if table.parked.len() > self.max_parked
            && let Some(oldest) = table.parked.first().copied()
        {
            self.evict(&mut table, oldest);
        }
    }

    /// The message has waited long enough for one of its objects: it is returned.
    pub(super) fn give_up(&self, number: u64) {
        self.evict(&mut self.table(), number);
    }

    /// The message is settled: takes it out.
    pub(super) fn remove(&self, number: u64) -> Option<Entry> {
        let mut table = self.table();
        self.unpark(&mut table, number);
        self.take(&mut table, number)
    }

    /// The message is to be returned with this pause: takes it out, unless an extension is under way, which would hide
    /// the message again if it arrived later. Then [`InFlight::extended`] takes it out.
    pub(super) fn remove_to_return(&self, number: u64, pause: Duration) -> Option<Entry> {
        let mut table = self.table();
        self.unpark(&mut table, number);
        let entry = table.entries.get_mut(&number)?;
        if entry.extending {
            entry.return_after = Some(pause);
            return None;
        }
        self.take(&mut table, number)
    }

    /// The message was processed and is not to be deleted: it is no longer extended.
    pub(super) fn leave(&self, number: u64) {
        let mut table = self.table();
        self.unpark(&mut table, number);
        let Some(entry) = table.entries.get_mut(&number) else {
            return;
        };
        drop(entry.permit.take());
        table.left.insert(number);
        if table.left.len() > MAX_LEFT
            && let Some(oldest) = table.left.pop_first()
        {
            self.take(&mut table, oldest);
        }
    }

    /// Takes all messages out that can be returned: at close.
    pub(super) fn drain(&self) -> Vec<Entry> {
        let mut table = self.table();
        let numbers: Vec<u64> = table.entries.keys().copied().collect();
        for number in &numbers {
            self.unpark(&mut table, *number);
        }
        let entries = numbers
            .iter()
            .filter_map(|number| self.take(&mut table, *number));
        entries
            .filter(|entry| !entry.deleted && !entry.lapsed)
            .collect()
    }

    /// A message's state, without taking it out.
    pub(super) fn with<T>(&self, number: u64, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.table().entries.get(&number).map(look)
    }

    /// What has to be done now: messages of which half of the visibility timeout is over, and those for which all is.
    pub(super) fn due(&self) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        let mut table = self.table();
        let Table { entries, left, .. } = &mut *table;
        let mut too_long = Vec::new();
        let mut expired = Vec::new();
        for (&number, entry) in entries.iter_mut() {
            if entry.deleted {
                continue;
            }
            if left.contains(&number) {
                if now >= entry.visible_at {
                    expired.push(number);
                }
                continue;
            }
            if entry.lapsed {
                continue;
            }
            if now >= entry.visible_at {
                entry.lapsed = true;
                due.lapsed.push(entry.id.clone());
                continue;
            }
            if entry.extending || now.duration_since(entry.renewed) < self.visibility / 2 {
                continue;
            }
            let latest = LONGEST_VISIBILITY - MARGIN;
            let rest = latest.saturating_sub(now.duration_since(entry.received));
            if rest <= self.visibility / 2 {
                too_long.push(number);
                continue;
            }
            entry.extending = true;
            due.extensions.push(Extension {
                number,
                receipt: entry.receipt.clone(),
                timeout: self.visibility.min(rest),
            });
        }
        for number in expired {
            table.left.remove(&number);
            self.take(&mut table, number);
        }
        for number in too_long {
            self.evict(&mut table, number);
        }
        due
    }

    /// An extension that was requested at `requested` is answered. The message, if it was waiting for that to be
    /// returned, with its pause.
    pub(super) fn extended(
        &self,
        extension: &Extension,
        requested: Instant,
        outcome: ExtensionOutcome,
    ) -> ExtensionEffect {
        let mut table = self.table();
        // A message that is gone was settled in the meantime, and its extension does not matter.
        let Some(entry) = table.entries.get_mut(&extension.number) else {
            return ExtensionEffect::None;
        };
        entry.extending = false;
        match outcome {
            ExtensionOutcome::Extended => {
                entry.renewed = requested;
                entry.visible_at = requested + extension.timeout;
            }
            ExtensionOutcome::Failed => {}
            ExtensionOutcome::NotInFlight if entry.lapsed => {}
            ExtensionOutcome::NotInFlight => {
                entry.lapsed = true;
                if entry.return_after.is_none() {
                    return ExtensionEffect::Lapsed(entry.id.clone());
                }
            }
        }
        let Some(pause) = entry.return_after else {
            return ExtensionEffect::None;
        };
        match self.take(&mut table, extension.number) {
            Some(entry) => ExtensionEffect::Return(entry, pause),
            None => ExtensionEffect::None,
        }
    }

    fn evict(&self, table: &mut Table, number: u64) {
        self.unpark(table, number);
        if let Some(entry) = table.entries.get_mut(&number) {
            entry.evicted = true;
            // Its objects that wait are dropped with the task, which settles the message.
            if let Some(task) = entry.task.take() {
                task.abort();
            }
        }
    }

    fn unpark(&self, table: &mut Table, number: u64) {
        if table.parked.remove(&number) {
            self.metrics.messages_parked.sub(1);
        }
    }

    fn take(&self, table: &mut Table, number: u64) -> Option<Entry> {
        let entry = table.entries.remove(&number)?;
        table.left.remove(&number);
        self.metrics.messages_in_flight.sub(1);
        Some(entry)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the queue answered to an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtensionOutcome {
    Extended,
    /// The request failed, and can be made again.
    Failed,
    /// The message is not in flight any more.
    NotInFlight,
}

/// What follows from an answered extension.
#[derive(Debug)]
pub(super) enum ExtensionEffect {
    None,
    /// The message with this id is visible to others again.
    Lapsed(String),
    /// The message is to be returned now, with this pause.
    Return(Entry, Duration),
}

impl Entry {
    /// `pause`, as far as the queue can still hide the message.
    pub(super) fn allowed_pause(&self, pause: Duration) -> Duration {
        let rest = (LONGEST_VISIBILITY - MARGIN).saturating_sub(self.received.elapsed());
        pause.min(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIBILITY: Duration = Duration::from_secs(120);

    fn in_flight(max_parked: usize) -> InFlight {
        InFlight::new(VISIBILITY, max_parked, Arc::default())
    }

    fn add(in_flight: &InFlight, id: &str) -> u64 {
        in_flight.add(&mut Received {
            id: id.to_owned(),
            receipt: format!("receipt of {id}"),
            body: String::new(),
            receives: 1,
            first_received: None,
            deleted: id == "deleted",
            permit: None,
        })
    }

    fn age(in_flight: &InFlight, number: u64, age: Duration) {
        let mut table = in_flight.table();
        let entry = table.entries.get_mut(&number).expect("in flight");
        entry.received -= age;
        entry.renewed -= age;
        entry.visible_at -= age;
    }

    #[test]
    fn visibility_is_extended_at_half_of_its_time_by_one_request() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        assert!(in_flight.due().extensions.is_empty());
        age(&in_flight, number, VISIBILITY / 2);
        let due = in_flight.due().extensions;
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].timeout, VISIBILITY);
        assert!(in_flight.due().extensions.is_empty(), "one is under way");
        in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Failed);
        assert_eq!(in_flight.due().extensions.len(), 1, "it is tried again");
    }

    #[test]
    fn deleted_messages_are_not_extended_and_never_lapse() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "deleted");
        age(&in_flight, number, 2 * VISIBILITY);
        let due = in_flight.due();
        assert!(
            due.extensions.is_empty() && due.lapsed.is_empty(),
            "{due:?}"
        );
        assert!(in_flight.drain().is_empty());
    }

    #[test]
    fn expired_visibility_is_reported_once() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        age(&in_flight, number, VISIBILITY);
        assert_eq!(in_flight.due().lapsed, ["a"]);
        assert!(in_flight.due().lapsed.is_empty());
        assert!(
            in_flight.remove(number).is_some(),
            "it is still settled here"
        );
    }

    #[test]
    fn extension_of_a_settled_message_has_no_effect() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        age(&in_flight, number, VISIBILITY / 2);
        let due = in_flight.due().extensions;
        in_flight.remove(number);
        let effect = in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::NotInFlight);
        assert!(matches!(effect, ExtensionEffect::None), "{effect:?}");
    }

    #[test]
    fn message_is_returned_only_after_an_extension_under_way() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        age(&in_flight, number, VISIBILITY / 2);
        let due = in_flight.due().extensions;
        let pause = Duration::from_secs(5);
        assert!(in_flight.remove_to_return(number, pause).is_none());
        let effect = in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Extended);
        assert!(matches!(effect, ExtensionEffect::Return(_, after) if after == pause));
        assert!(in_flight.drain().is_empty());
    }

    #[test]
    fn visibility_never_reaches_beyond_twelve_hours() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        age(&in_flight, number, VISIBILITY / 2);
        in_flight
            .table()
            .entries
            .get_mut(&number)
            .expect("in flight")
            .received -= LONGEST_VISIBILITY - MARGIN - VISIBILITY - Duration::from_secs(10);
        let due = in_flight.due().extensions;
        assert!(due[0].timeout < VISIBILITY, "{due:?}");
        in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Failed);
        in_flight
            .table()
            .entries
            .get_mut(&number)
            .expect("in flight")
            .received -= VISIBILITY;
        assert!(in_flight.due().extensions.is_empty());
        assert_eq!(in_flight.with(number, |entry| entry.evicted), Some(true));
    }

    #[test]
    fn oldest_parked_message_is_evicted_when_the_table_is_full() {
        let in_flight = in_flight(2);
        let numbers: Vec<u64> = ["a", "b", "c"].map(|id| add(&in_flight, id)).into();
        for number in &numbers {
            in_flight.park(*number);
        }
        let evicted = |number| in_flight.with(number, |entry| entry.evicted);
        assert_eq!(
            numbers.iter().map(|n| evicted(*n)).collect::<Vec<_>>(),
            [Some(true), Some(false), Some(false)]
        );
        assert_eq!(in_flight.metrics.messages_parked.value(), 2);
    }

    #[test]
    fn gauges_return_to_zero_when_all_messages_are_taken_out() {
        let in_flight = in_flight(10);
        for id in ["a", "b", "deleted"] {
            in_flight.park(add(&in_flight, id));
        }
        in_flight.leave(add(&in_flight, "left"));
        assert_eq!(in_flight.drain().len(), 3);
        assert_eq!(in_flight.metrics.messages_in_flight.value(), 0);
        assert_eq!(in_flight.metrics.messages_parked.value(), 0);
    }

    #[test]
    fn messages_that_are_not_to_be_deleted_are_forgotten_when_visible_again() {
        let in_flight = in_flight(10);
        let number = add(&in_flight, "a");
        in_flight.leave(number);
        age(&in_flight, number, VISIBILITY / 2);
        assert!(in_flight.due().extensions.is_empty());
        age(&in_flight, number, VISIBILITY);
        assert!(in_flight.due().lapsed.is_empty());
        assert!(in_flight.drain().is_empty());
    }
}
