//! The batches that the host uses, shared by the instances, which replace them, and by extraction, which reads them.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::Batch;

/// The batches whose events the host uses, one for each open instance.
#[derive(Default)]
pub(super) struct LiveBatches {
    /// Changes with every change of `batches`, so that extraction need not lock to learn of one. Release and Acquire: a
    /// thread that reads the new number sees the change. Batches are read under the lock; without it, extraction uses only
    /// the batch that it owns a reference to.
    epoch: AtomicU64,
    batches: Mutex<Vec<Arc<Batch>>>,
}

impl LiveBatches {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, batch: &Arc<Batch>) {
        self.lock().push(Arc::clone(batch));
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(super) fn remove(&self, batch: &Arc<Batch>) {
        self.lock().retain(|live| !Arc::ptr_eq(live, batch));
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The batch with an event at this address, and the event's number.
    pub(super) fn find(&self, address: *const u8) -> Option<(Arc<Batch>, usize)> {
        self.lock().iter().find_map(|batch| {
            let number = batch.find(address, 0)?;
            Some((Arc::clone(batch), number))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Batch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
