//! Who is to blame where an object may not be read: the object, or a policy that shuts out all.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long ago the last read may be of what can be read now. Shorter than the first pause before a
/// message comes again.
const RECENTLY: Duration = Duration::from_secs(3);

/// When something was read last.
///
/// An object that is denied while others of its bucket are read is to blame itself. Where none is read any more, a policy
/// is, and is mended some day. A bucket from which nothing ever came is to blame itself while others are read: whoever
/// sends messages may name any.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    of_bucket: HashMap<String, Instant>,
}

impl Reads {
    /// Buckets that are remembered.
    const MOST: usize = 10_000;

    pub(super) fn read(&self, bucket: &str, now: Instant) {
        let State { last, of_bucket } = &mut *self.state();
        *last = Some(now);
        if let Some(last) = of_bucket.get_mut(bucket) {
            *last = now;
        } else if of_bucket.len() < Self::MOST {
            of_bucket.insert(bucket.to_owned(), now);
        }
    }

    /// Whether an object that the bucket denies is to blame itself.
    pub(super) fn blames_object(&self, bucket: &str, now: Instant) -> bool {
        let state = self.state();
        let last = state.of_bucket.get(bucket).or(state.last.as_ref());
        last.is_some_and(|last| now.duration_since(*last) < RECENTLY)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_while_others_are_read_is_to_blame_itself() {
        let (reads, start) = (Reads::default(), Instant::now());
        assert!(!reads.blames_object("ours", start), "nothing is read yet");
        reads.read("ours", start);
        assert!(reads.blames_object("ours", start));
        assert!(!reads.blames_object("ours", start + RECENTLY));
        reads.read("theirs", start + RECENTLY);
        assert!(!reads.blames_object("ours", start + RECENTLY));
        assert!(reads.blames_object("unheard-of", start + RECENTLY));
    }
}
