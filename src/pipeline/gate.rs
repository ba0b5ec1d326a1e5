//! Bounds the bytes that wait for the host.
#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets batches through as long as they fit. The job that the host waits for always gets
/// through: were it held back for batches of later jobs, nobody would ever go on.
#[derive(Debug)]
pub(super) struct Gate {
    max: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inside: u64,
    /// The job that the host reads from, or will next.
    head: u64,
    closed: bool,
}

impl Gate {
    pub(super) fn new(max: u64) -> Self {
        Gate {
            max,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until `bytes` of `job` fit. `false`: the gate is closed.
    pub(super) fn enter(&self, job: u64, bytes: u64) -> bool {
        let fits = |state: &mut State| {
            let fits = state.inside == 0 || state.inside + bytes <= self.max || job <= state.head;
            !fits && !state.closed
        };
        let mut state = self
            .changed
            .wait_while(self.state(), fits)
            .unwrap_or_else(PoisonError::into_inner);
        state.inside += bytes;
        !state.closed
    }

    /// The host has taken `bytes`.
    pub(super) fn leave(&self, bytes: u64) {
        let mut state = self.state();
        state.inside = state.inside.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// The host reads from `job` now.
    pub(super) fn admit(&self, job: u64) {
        self.state().head = job;
        self.changed.notify_all();
    }

    /// Everybody who waits, or comes later, is sent away.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn later_jobs_wait_while_the_host_s_own_passes() {
        let gate = Arc::new(Gate::new(100));
        assert!(gate.enter(1, 60));
        assert!(gate.enter(0, 60), "the head job is never held back");
        let waiting = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter(2, 60))
        };
        gate.leave(60);
        gate.leave(60);
        assert!(waiting.join().expect("no panic"));
    }

    #[test]
    fn one_batch_over_the_limit_passes_alone() {
        let gate = Gate::new(100);
        assert!(gate.enter(5, 1000));
    }

    #[test]
    fn closing_sends_those_who_wait_away() {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.enter(1, 1));
        let waiting = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter(2, 1))
        };
        gate.close();
        assert!(!waiting.join().expect("no panic"));
    }
}
