//! The messages in flight: received, hidden from other consumers by their visibility timeout, and not yet settled.

#![forbid(unsafe_code)]

mod entry;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use self::entry::DueNow;
pub(super) use self::entry::{Entry, Receipt, Received};
use crate::metrics::Metrics;

/// Processed messages that are kept: until they are deleted, or, with `sqsDelete: false`, until their visibility timeout
/// expires.
const MAX_PROCESSED: usize = 10_000;

/// Objects of a message that are in work at the same time.
pub(super) const OBJECTS: usize = 100;

/// Bytes of a message's body that a parked message may have for nothing, and further ones for each unit of weight.
const FREE_BYTES: usize = 4096;
const WEIGHT_BYTES: usize = 512;

/// What a parked message counts for, so that few large messages take no more memory than many small ones.
pub(super) fn weight(body: usize, objects: usize) -> usize {
    objects.clamp(1, OBJECTS) + body.saturating_sub(FREE_BYTES) / WEIGHT_BYTES
}

/// All messages in flight, by a number of their own.
#[derive(Debug)]
pub(super) struct InFlight {
    table: Mutex<InFlightTable>,
    visibility: Duration,
    max_parked: usize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct InFlightTable {
    next: u64,
    entries: HashMap<u64, Entry>,
    by_id: HashMap<String, u64>,
    /// Messages that wait for a retry, oldest first, and what they weigh in all.
    parked: BTreeSet<u64>,
    parked_weight: usize,
    /// Messages that were processed, oldest first.
    processed: BTreeSet<u64>,
}

/// What [`InFlight::add`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The message is to be processed, under this number.
    New(u64),
    /// The message is being processed already, since an earlier receive, whose visibility timeout has expired. The new
    /// receipt handle replaces the old one.
    InWork {
        /// Whether that it expired is news.
        lapsed: bool,
    },
    /// The message with this number was processed already, and is to be deleted by its new receipt handle.
    Processed(u64),
}

/// A message whose visibility timeout is to be extended.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) number: u64,
    pub(super) receipt: Receipt,
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
    /// No messages; each is hidden for `visibility` at a time. Those that wait for retries weigh at most `max_parked` in
    /// all, see [`weight`].
    pub(super) fn new(visibility: Duration, max_parked: usize, metrics: Arc<Metrics>) -> Self {
        InFlight {
            table: Mutex::default(),
            visibility,
            max_parked,
            metrics,
        }
    }

    /// Adds a message that was just received, unless an earlier receive of it is still in flight here.
    ///
    /// A message that was processed and is not `to_delete` is processed again, as it is each time that it is received.
    pub(super) fn add(&self, message: &mut Received, to_delete: bool) -> Added {
        let mut table = self.table();
        let known = table.by_id.get(&message.id).copied();
        let processed = known.is_some_and(|number| table.processed.contains(&number));
        if let Some(number) = known.filter(|_| processed && !to_delete) {
            self.take(&mut table, number);
        } else if let Some(number) = known
            && let Some(entry) = table.entries.get_mut(&number)
        {
            let lapsed = entry.received_again(message, self.visibility);
            return match processed {
                true => Added::Processed(number),
                false => Added::InWork { lapsed },
            };
        }
        let entry = Entry::new(message, self.visibility);
        let number = table.next;
        table.next += 1;
        table.entries.insert(number, entry);
        if !message.id.is_empty() {
            table.by_id.insert(message.id.clone(), number);
        }
        self.metrics.messages_in_flight.add(1);
        Added::New(number)
    }

    /// Sets what the message counts for when it is parked, and the permit that it holds until then.
    pub(super) fn expanded(
        &self,
        number: u64,
        weight: usize,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        if let Some(entry) = self.table().entries.get_mut(&number) {
            entry.weight = weight;
            entry.expansion = permit;
        }
    }

    /// Sets the task that processes a message, which is aborted when the message is evicted, or if it was already.
    pub(super) fn set_task(&self, number: u64, task: AbortHandle) {
        match self.table().entries.get_mut(&number) {
            Some(entry) if entry.evicted => task.abort(),
            Some(entry) => entry.task = Some(task),
            None => {}
        }
    }

    /// A message's object has to be retried: the message no longer counts against those being processed. Evicts the
    /// oldest parked message if there are too many.
    pub(super) fn park(&self, number: u64) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&number) else {
            return;
        };
        entry.release_permits();
        let weight = entry.weight;
        // An evicted message may report once more before its task ends.
        let settled = entry.evicted || table.processed.contains(&number);
        if settled || !table.parked.insert(number) {
            return;
        }
        table.parked_weight += weight;
        self.metrics.messages_parked.add(1);
        while table.parked_weight > self.max_parked
            && table.parked.len() > 1
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

    /// The message was processed: it stays until it is deleted, or until its visibility timeout expires.
    pub(super) fn processed(&self, number: u64) {
        let mut table = self.table();
        self.unpark(&mut table, number);
        let Some(entry) = table.entries.get_mut(&number) else {
            return;
        };
        entry.release_permits();
        table.processed.insert(number);
        if table.processed.len() > MAX_PROCESSED
            && let Some(oldest) = table.processed.first().copied()
        {
            self.take(&mut table, oldest);
        }
    }

    /// The queue has deleted the message by this receipt handle: takes it out. A message that was received again meanwhile
    /// stays: the queue deletes it only by its new receipt handle.
    pub(super) fn deleted(&self, number: u64, handle: &str) {
        let mut table = self.table();
        if let Some(entry) = table.entries.get(&number)
            && entry.receipt == handle
        {
            self.take(&mut table, number);
        }
    }

    /// The queue has not deleted a processed message. How often that happened, or `None` if the deletion is not tried again:
    /// the message is gone, or it was `refused` and is visible again, so that its next receive deletes it.
    pub(super) fn deletion_failed(&self, number: u64, refused: bool) -> Option<u32> {
        let mut table = self.table();
        let entry = table.entries.get_mut(&number)?;
        entry.failed_deletions += 1;
        (!refused || !entry.lapsed).then_some(entry.failed_deletions)
    }

    /// How many processed messages are kept.
    pub(super) fn count_processed(&self) -> usize {
        self.table().processed.len()
    }

    /// The receipts of these messages, without those that are gone.
    pub(super) fn receipts(&self, numbers: &[u64]) -> Vec<(u64, Receipt)> {
        let table = self.table();
        let receipt = |number: &u64| Some((*number, table.entries.get(number)?.receipt()));
        numbers.iter().filter_map(receipt).collect()
    }

    /// Takes all messages out that can be returned: at close.
    pub(super) fn drain(&self, with_processed: bool) -> Vec<Entry> {
        let mut table = self.table();
        let numbers: Vec<u64> = table.entries.keys().copied().collect();
        let mut entries = Vec::new();
        for number in numbers {
            self.unpark(&mut table, number);
            let returned = with_processed || !table.processed.contains(&number);
            let entry = self.take(&mut table, number);
            entries.extend(entry.filter(|entry| returned && !entry.deleted && !entry.lapsed));
        }
        entries
    }

    /// Ids of the messages that were deleted on receipt and of which an object is still to be downloaded.
    pub(super) fn deleted_and_unread(&self) -> Vec<String> {
        let table = self.table();
        let downloads = |entry: &&Entry| {
            let task = entry.task.as_ref();
            entry.deleted && task.is_some_and(|task| !task.is_finished())
        };
        let entries = table.entries.values().filter(downloads);
        entries.map(|entry| entry.id.clone()).collect()
    }

    /// Whether no message is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.table().entries.is_empty()
    }

    /// A message's state, without taking it out.
    pub(super) fn with<T>(&self, number: u64, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.table().entries.get(&number).map(look)
    }

    /// What has to be done now: messages of which half of the visibility timeout is over, and those for which all is.
    ///
    /// Processed messages are extended too if they are `to_delete`.
    pub(super) fn due(&self, to_delete: bool) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        let mut table = self.table();
        let InFlightTable {
            entries, processed, ..
        } = &mut *table;
        let (mut expired, mut too_long) = (Vec::new(), Vec::new());
        for (&number, entry) in entries.iter_mut() {
            let processed = processed.contains(&number);
            match entry.due(now, self.visibility, processed, to_delete) {
                DueNow::Nothing => {}
                DueNow::Extend(timeout) => due.extensions.push(Extension {
                    number,
                    receipt: entry.receipt(),
                    timeout,
                }),
                DueNow::Lapsed => due.lapsed.push(entry.id.clone()),
                DueNow::Evict => too_long.push(number),
                DueNow::Forget => expired.push(number),
            }
        }
        for number in expired {
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
        let table = &mut *table;
        let Some(entry) = table.entries.get_mut(&extension.number) else {
            return ExtensionEffect::None;
        };
        entry.extending = false;
        let processed = table.processed.contains(&extension.number);
        // If the message was received again meanwhile, the answer is about an old receipt handle.
        let current = entry.receipt == extension.receipt.handle;
        match outcome {
            ExtensionOutcome::Extended if current => {
                entry.renewed = requested;
                entry.visible_at = requested + extension.timeout;
            }
            ExtensionOutcome::NotInFlight if current && !entry.lapsed => {
                entry.lapsed = true;
                if entry.return_after.is_none() && !processed {
                    return ExtensionEffect::Lapsed(entry.id.clone());
                }
            }
            ExtensionOutcome::Extended
            | ExtensionOutcome::NotInFlight
            | ExtensionOutcome::Failed => {}
        }
        let Some(pause) = entry.return_after else {
            return ExtensionEffect::None;
        };
        match self.take(table, extension.number) {
            Some(entry) => ExtensionEffect::Return(entry, pause),
            None => ExtensionEffect::None,
        }
    }

    fn evict(&self, table: &mut InFlightTable, number: u64) {
        self.unpark(table, number);
        if let Some(entry) = table.entries.get_mut(&number) {
            entry.evicted = true;
            // Its objects that wait are dropped with the task, which settles the message.
            if let Some(task) = entry.task.take() {
                task.abort();
            }
        }
    }

    fn unpark(&self, table: &mut InFlightTable, number: u64) {
        if table.parked.remove(&number) {
            self.metrics.messages_parked.sub(1);
            let weight = table.entries.get(&number).map_or(0, |entry| entry.weight);
            table.parked_weight = table.parked_weight.saturating_sub(weight);
        }
    }

    fn take(&self, table: &mut InFlightTable, number: u64) -> Option<Entry> {
        let entry = table.entries.remove(&number)?;
        table.processed.remove(&number);
        if table.by_id.get(&entry.id) == Some(&number) {
            table.by_id.remove(&entry.id);
        }
        self.metrics.messages_in_flight.sub(1);
        Some(entry)
    }

    fn table(&self) -> MutexGuard<'_, InFlightTable> {
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

#[cfg(test)]
mod tests;
