//! Whether a bucket can be read, so that what it denies is this object alone.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long ago something may have been read from a bucket that can be read now. Shorter than the first pause before a
/// message comes again.
const RECENTLY: Duration = Duration::from_secs(3);

/// When something was read from each bucket.
///
/// An object that may not be read while others of its bucket may is to blame itself. Where none may, a policy is, and is
/// mended some day.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Mutex<HashMap<String, Instant>>>);

impl Reads {
    /// Buckets that are remembered.
    const MOST: usize = 10_000;

    pub(super) fn read(&self, bucket: &str, now: Instant) {
        let mut buckets = self.buckets();
        if let Some(last) = buckets.get_mut(bucket) {
            *last = now;
        } else if buckets.len() < Self::MOST {
            buckets.insert(bucket.to_owned(), now);
        }
    }

    /// Whether something was just read.
    pub(super) fn recent(&self, bucket: &str, now: Instant) -> bool {
        let buckets = self.buckets();
        let last = buckets.get(bucket);
        last.is_some_and(|last| now.duration_since(*last) < RECENTLY)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_denied_while_others_are_read_is_given_up() {
        let (reads, start) = (Reads::default(), Instant::now());
        assert!(!reads.recent("ours", start));
        reads.read("ours", start);
        assert!(reads.recent("ours", start));
        assert!(!reads.recent("theirs", start));
        assert!(!reads.recent("ours", start + RECENTLY));
    }
}
