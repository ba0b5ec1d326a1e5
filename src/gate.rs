//! Bounds the bytes that wait for the host.
#![forbid(unsafe_code)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lets batches through as long as they fit. The job that the host waits for always gets
/// through: were it held back for batches of later jobs, nobody would ever go on.
#[derive(Debug)]
pub struct Gate {
    max: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// Bytes that are inside of a [`Gate`] for as long as this lives.
#[derive(Debug)]
pub struct Held {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Held {
    /// As many bytes as it turns out to be. Nobody waits for that: they are there already, and
    /// whoever comes next waits the longer.
    pub fn resize(&mut self, bytes: u64) {
        let mut state = self.gate.state();
        state.inside = state
            .inside
            .saturating_sub(self.bytes)
            .saturating_add(bytes);
        self.bytes = bytes;
        self.gate.changed.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.leave(self.bytes);
    }
}

#[derive(Debug, Default)]
struct State {
    inside: u64,
    /// The job that the host reads from, or will next.
    head: u64,
    closed: bool,
}

impl Gate {
    /// A gate with room for `max` bytes.
    pub fn new(max: u64) -> Self {
        Gate {
            max,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until `bytes` of `job` fit. `false`: the gate is closed.
    pub fn enter(&self, job: u64, bytes: u64) -> bool {
        let fits = |state: &mut State| {
            let fits = state.inside == 0
                || state.inside.saturating_add(bytes) <= self.max
                || job <= state.head;
            !fits && !state.closed
        };
        let mut state = self
            .changed
            .wait_while(self.state(), fits)
            .unwrap_or_else(PoisonError::into_inner);
        state.inside = state.inside.saturating_add(bytes);
        !state.closed
    }

    /// As [`Gate::enter`], with a token that leaves when it is dropped; `None`: closed.
    pub fn hold(self: &Arc<Self>, job: u64, bytes: u64) -> Option<Held> {
        self.enter(job, bytes).then(|| Held {
            gate: Arc::clone(self),
            bytes,
        })
    }

    /// The host has taken `bytes`.
    pub fn leave(&self, bytes: u64) {
        let mut state = self.state();
        state.inside = state.inside.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// The host reads from `job` now.
    pub fn admit(&self, job: u64) {
        self.state().head = job;
        self.changed.notify_all();
    }

    /// Everybody who waits, or comes later, is sent away.
    pub fn close(&self) {
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
    fn no_number_is_too_large() {
        let gate = Gate::new(100);
        assert!(gate.enter(1, 60));
        assert!(gate.enter(0, u64::MAX));
        gate.leave(u64::MAX);
        assert!(gate.enter(2, 1), "there is room again");
    }

    #[test]
    fn what_turns_out_larger_holds_up_those_who_come_next() {
        let gate = Arc::new(Gate::new(100));
        let mut held = gate.hold(1, 10).expect("room");
        held.resize(100);
        let waiting = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter(2, 1))
        };
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished(), "there is no room");
        held.resize(50);
        assert!(waiting.join().expect("no panic"));
        drop(held);
        assert!(gate.enter(3, 99), "all that was held has left");
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
