//! How much memory an object will take of which nobody says it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Stored bytes that an object counts for whose size its notification does not say, as long as
/// no larger one has come.
const TYPICAL_BYTES: u64 = 64 << 10;

/// What sizes objects have of which nobody says it: those of the largest lately.
#[derive(Clone, Debug, Default)]
pub struct SizeEstimate(Arc<AtomicU64>);

impl SizeEstimate {
    pub(super) fn expected(&self) -> u64 {
        self.0.load(Relaxed).max(TYPICAL_BYTES)
    }

    /// One large object makes small ones behind it wait for a while, not forever.
    pub(super) fn seen(&self, bytes: u64) {
        let before = self.0.load(Relaxed);
        // Another thread may say something else in between; an estimate can bear that.
        self.0.store(bytes.max(before - before / 16), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_object_is_remembered_for_a_while() {
        let sizes = SizeEstimate::default();
        assert_eq!(sizes.expected(), TYPICAL_BYTES);
        sizes.seen(10 << 20);
        assert_eq!(sizes.expected(), 10 << 20);
        sizes.seen(100);
        assert!(sizes.expected() > 9 << 20);
        for _ in 0..1000 {
            sizes.seen(100);
        }
        assert_eq!(sizes.expected(), TYPICAL_BYTES);
    }
}
