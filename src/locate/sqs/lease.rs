//! The leases on the messages that are being worked off, and their prolongation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use tokio::sync::OwnedSemaphorePermit;

use super::Queue;
use crate::log::Severity;

/// Messages whose failures are counted; with more of them, counting begins anew.
const MOST_FAILED: usize = 10_000;

/// All leases that are held.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: HashMap<u64, Lease>,
    /// How often each message failed for a lasting reason, by its ID.
    failed: HashMap<String, u32>,
}

/// The right to work off one message.
#[derive(Debug)]
pub(super) struct Lease {
    /// The message's ID, which is the same each time that it is received.
    id: String,
    /// What the queue knows it by.
    pub(super) receipt: String,
    /// How often the message was received, this time included.
    pub(super) receives: u32,
    renewed: Instant,
    lost: bool,
    /// Room for a message; free again with the lease.
    _room: Option<OwnedSemaphorePermit>,
}

impl Leases {
    /// Takes up a message that was just received.
    pub(super) fn add(
        &self,
        id: String,
        receipt: String,
        receives: u32,
        room: Option<OwnedSemaphorePermit>,
    ) -> u64 {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        let lease = Lease {
            id,
            receipt,
            receives,
            renewed: Instant::now(),
            lost: false,
            _room: room,
        };
        table.held.insert(number, lease);
        number
    }

    /// Ends a lease; `None` if it was lost, and so is another's business.
    pub(super) fn end(&self, number: u64) -> Option<Lease> {
        let lease = self.table().held.remove(&number)?;
        (!lease.lost).then_some(lease)
    }

    /// Counts a lasting failure of a message and says how many that makes, as far as they were seen here.
    pub(super) fn failed(&self, lease: &Lease) -> u32 {
        let failed = &mut self.table().failed;
        if failed.len() == MOST_FAILED && !failed.contains_key(&lease.id) {
            failed.clear();
        }
        let count = failed.entry(lease.id.clone()).or_default();
        *count += 1;
        *count
    }

    /// Forgets a message, which is deleted.
    pub(super) fn forget(&self, lease: &Lease) {
        self.table().failed.remove(&lease.id);
    }

    /// Leases that were renewed `age` ago or longer: number and receipt.
    fn older_than(&self, age: Duration) -> Vec<(u64, String)> {
        let table = self.table();
        let old = table
            .held
            .iter()
            .filter(|(_, lease)| !lease.lost && lease.renewed.elapsed() >= age);
        old.map(|(number, lease)| (*number, lease.receipt.clone()))
            .collect()
    }

    fn renewed(&self, number: u64) {
        if let Some(lease) = self.table().held.get_mut(&number) {
            lease.renewed = Instant::now();
        }
    }

    fn lost(&self, number: u64) {
        if let Some(lease) = self.table().held.get_mut(&number) {
            lease.lost = true;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prolongs leases at half their time, for as long as the runtime lives.
pub(super) async fn keep(queue: Arc<Queue>, leases: Arc<Leases>) {
    let half = queue.rules.lease / 2;
    let pause = (half / 4).clamp(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        tokio::time::sleep(pause).await;
        let old = leases.older_than(half);
        for batch in old.chunks(10) {
            prolong(&queue, &leases, batch).await;
        }
    }
}

async fn prolong(queue: &Queue, leases: &Leases, batch: &[(u64, String)]) {
    let seconds = queue.rules.lease.as_secs() as i32;
    let entries = batch.iter().filter_map(|(number, receipt)| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(number.to_string())
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .build()
            .ok()
    });
    let reply = queue
        .clients
        .sqs
        .change_message_visibility_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries.collect()))
        .send()
        .await;
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            // The next round tries again, well before the lease ends.
            let failure = queue.failed(&error);
            queue.log.trouble(
                "queue_extend",
                Severity::Warning,
                format_args!(
                    "{}: leases cannot be prolonged for now: {failure}",
                    queue.shown
                ),
            );
            return;
        }
    };
    for extended in reply.successful() {
        if let Ok(number) = extended.id().parse() {
            leases.renewed(number);
            queue.metrics.messages_extended.add(1);
        }
    }
    for failed in reply.failed() {
        let Ok(number) = failed.id().parse() else {
            continue;
        };
        if !failed.sender_fault() {
            continue;
        }
        leases.lost(number);
        queue.metrics.messages_lost.add(1);
        queue.log.trouble(
            "queue_lost",
            Severity::Warning,
            format_args!(
                "{}: the lease on a message ended before it was done with ({}); it is not deleted and will come again",
                queue.shown,
                failed.code()
            ),
        );
    }
}
