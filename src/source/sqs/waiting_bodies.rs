//! Bodies of messages that were received and wait to be processed: how many bytes they are, and room for more.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes of waiting bodies from which on no more messages are received. A message has at most 1 MiB, and most have one
/// KiB; what an answer brings beyond this is some MiB at most.
const LIMIT: usize = 4 << 20;

/// The bodies that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingBodies {
    bytes: AtomicUsize,
    fewer: Notify,
}

/// Counts a body for as long as it lives.
#[derive(Debug)]
pub(super) struct WaitingBody {
    all: Arc<WaitingBodies>,
    bytes: usize,
}

impl WaitingBodies {
    /// Counts a body of this many bytes.
    pub(super) fn add(self: &Arc<Self>, bytes: usize) -> WaitingBody {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        WaitingBody {
            all: Arc::clone(self),
            bytes,
        }
    }

    /// Waits until there is room for more.
    pub(super) async fn room(&self) {
        loop {
            let fewer = self.fewer.notified();
            // The notification is subscribed to before this: none is missed. Relaxed: the count publishes no data.
            if self.bytes.load(Ordering::Relaxed) < LIMIT {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for WaitingBody {
    fn drop(&mut self) {
        let before = self.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if before >= LIMIT && before - self.bytes < LIMIT {
            self.all.fewer.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn room_is_waited_for_while_too_many_bytes_wait() {
        let bodies = Arc::new(WaitingBodies::default());
        let large = bodies.add(LIMIT);
        let small = bodies.add(1);
        assert!(
            timeout(Duration::from_millis(10), bodies.room())
                .await
                .is_err()
        );
        drop(small);
        assert!(
            timeout(Duration::from_millis(10), bodies.room())
                .await
                .is_err()
        );
        let waiting = Arc::clone(&bodies);
        let waiting = tokio::spawn(async move { waiting.room().await });
        tokio::task::yield_now().await;
        drop(large);
        waiting.await.expect("a task that ends");
    }
}
