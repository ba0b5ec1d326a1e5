//! Estimates the stored size of an object when its notification omits it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The least estimate, in bytes: more than most log files have, so that a first small object does not make all later
/// ones ask for memory twice.
const LEAST_ESTIMATE: u64 = 64 << 10;

/// Decaying maximum of recent sizes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SizeEstimate(Arc<AtomicU64>);

impl SizeEstimate {
    /// Bytes to reserve for an object of unknown size.
    pub(super) fn expected(&self) -> u64 {
        self.0.load(Relaxed).max(LEAST_ESTIMATE)
    }

    /// Updates the estimate with an object's size. One large object raises it for some dozens of objects.
    pub(super) fn seen(&self, bytes: u64) {
        let before = self.0.load(Relaxed);
        // A concurrent update may be lost: this is an estimate.
        self.0.store(bytes.max(before - before / 16), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_object_is_remembered_for_a_while() {
        let sizes = SizeEstimate::default();
        assert_eq!(sizes.expected(), LEAST_ESTIMATE);
        sizes.seen(10 << 20);
        assert_eq!(sizes.expected(), 10 << 20);
        sizes.seen(100);
        assert!(sizes.expected() > 9 << 20);
        for _ in 0..1000 {
            sizes.seen(100);
        }
        assert_eq!(sizes.expected(), LEAST_ESTIMATE);
    }
}
