//! Adaptive concurrency limit: additive increase, multiplicative decrease (AIMD), as TCP's congestion control does.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that always may run: a link or service that serves any serves two.
const MIN: usize = 2;

/// Shortest time between two decreases, so that one burst of failures counts once.
const DECREASE_INTERVAL: Duration = Duration::from_secs(1);

/// Bounds concurrent requests by what the service and the link have lately borne.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    max: usize,
    slots: Arc<Semaphore>,
    state: Mutex<LimitState>,
}

#[derive(Debug)]
struct LimitState {
    /// The limit; its whole part is the number of slots.
    limit: f64,
    /// Slots to be withdrawn as soon as they are released.
    debt: usize,
    decreased: Option<Instant>,
}

/// The right to run one request; released when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    limit: Arc<AdaptiveLimit>,
}

impl AdaptiveLimit {
    /// A limit that starts at half of `max`, so that one bucket alone does not take all of the source's downloads
    /// before it has answered.
    pub(super) fn new(max: usize) -> Self {
        let start = (max / 2).max(MIN.min(max));
        AdaptiveLimit {
            max,
            slots: Arc::new(Semaphore::new(start)),
            state: Mutex::new(LimitState {
                limit: start as f64,
                debt: 0,
                decreased: None,
            }),
        }
    }

    /// Waits for a free slot, in order of arrival.
    pub(super) async fn acquire(self: &Arc<Self>) -> Slot {
        Slot {
            // The semaphore is never closed.
            permit: Arc::clone(&self.slots).acquire_owned().await.ok(),
            limit: Arc::clone(self),
        }
    }

    /// A request succeeded: one more slot until the first decrease and below half of the maximum, else one more per
    /// round of requests.
    pub(super) fn increase(&self) {
        let mut state = self.state();
        let before = state.limit as usize;
        if before >= self.max {
            return;
        }
        state.limit += match state.decreased.is_none() || before < self.max / 2 {
            true => 1.0,
            false => 1.0 / state.limit,
        };
        let more = (state.limit as usize).min(self.max) - before;
        let repaid = more.min(state.debt);
        state.debt -= repaid;
        self.slots.add_permits(more - repaid);
    }

    /// A request was throttled, timed out or failed in the network: half of the slots, at most once a second.
    pub(super) fn decrease(&self) {
        self.decrease_at(Instant::now());
    }

    fn decrease_at(&self, now: Instant) {
        let mut state = self.state();
        let recent = |at: Instant| now.duration_since(at) < DECREASE_INTERVAL;
        if state.decreased.is_some_and(recent) {
            return;
        }
        state.decreased = Some(now);
        let before = state.limit as usize;
        state.limit = (state.limit / 2.0).max(MIN.min(self.max) as f64);
        let fewer = before - state.limit as usize;
        state.debt += fewer - self.slots.forget_permits(fewer);
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let mut state = self.limit.state();
        if state.debt > 0 {
            state.debt -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(limit: &Arc<AdaptiveLimit>) -> Vec<Slot> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut slots = Vec::new();
        while limit.slots.available_permits() > 0 {
            slots.push(runtime.block_on(limit.acquire()));
        }
        slots
    }

    #[test]
    fn successes_raise_the_limit_to_its_maximum() {
        let limit = Arc::new(AdaptiveLimit::new(32));
        assert_eq!(take_all(&limit).len(), 16);
        for _ in 0..1000 {
            limit.increase();
        }
        assert_eq!(take_all(&limit).len(), 32);
    }

    #[test]
    fn a_burst_of_failures_halves_the_limit_once() {
        let limit = Arc::new(AdaptiveLimit::new(32));
        let now = Instant::now();
        for _ in 0..10 {
            limit.decrease_at(now);
        }
        assert_eq!(take_all(&limit).len(), 8);
        for second in 1..10 {
            limit.decrease_at(now + second * DECREASE_INTERVAL);
        }
        assert_eq!(take_all(&limit).len(), MIN);
    }

    #[test]
    fn slots_in_use_are_withdrawn_when_released() {
        let limit = Arc::new(AdaptiveLimit::new(32));
        let in_use = take_all(&limit);
        limit.decrease();
        drop(in_use);
        assert_eq!(take_all(&limit).len(), 8);
    }

    #[test]
    fn recovery_repays_slots_that_are_still_in_use() {
        let limit = Arc::new(AdaptiveLimit::new(32));
        let in_use = take_all(&limit);
        limit.decrease();
        for _ in 0..1000 {
            limit.increase();
        }
        drop(in_use);
        assert_eq!(take_all(&limit).len(), 32);
    }

    #[test]
    fn a_maximum_of_one_stays_one() {
        let limit = Arc::new(AdaptiveLimit::new(1));
        limit.decrease();
        limit.increase();
        assert_eq!(take_all(&limit).len(), 1);
    }
}
