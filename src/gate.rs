//! Bounds the bytes that wait for the host.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Lets batches through as long as they fit. The job that the host waits for always gets
/// through: were it held back for batches of later jobs, nobody would ever go on.
#[derive(Debug)]
pub struct Gate {
    max: u64,
    state: Mutex<State>,
    changed: Condvar,
    /// The same, for those who return: they are many, and wait on no threads of their own.
    changed_too: Notify,
}

/// Bytes that are inside of a [`Gate`] for as long as this lives.
#[derive(Debug)]
pub struct Held {
    gate: Arc<Gate>,
    /// Changes under the gate's lock only.
    bytes: AtomicU64,
}

impl Held {
    fn new(gate: Arc<Gate>, bytes: u64) -> Self {
        let bytes = AtomicU64::new(bytes);
        Held { gate, bytes }
    }

    /// Whether this many bytes are held, or fit and are held from now on.
    pub fn grow(&self, bytes: u64) -> bool {
        let mut state = self.gate.state();
        let held = self.bytes.load(Relaxed);
        let inside = (state.inside.saturating_sub(held)).saturating_add(bytes);
        let fits = bytes <= held || state.inside <= held || inside <= self.gate.max;
        if bytes > held && fits {
            state.inside = inside;
            self.bytes.store(bytes, Relaxed);
        }
        fits
    }

    /// Holds no more than this many bytes.
    pub fn shrink(&self, bytes: u64) {
        let mut state = self.gate.state();
        let less = self.bytes.load(Relaxed).saturating_sub(bytes);
        state.inside = state.inside.saturating_sub(less);
        self.bytes.fetch_sub(less, Relaxed);
        self.gate.notify();
    }

    /// Leaves, to come again with other needs: before all who come anew, or those who need little would pass one who
    /// needs much for ever.
    pub fn leave(self) -> Returning {
        let gate = Arc::clone(&self.gate);
        gate.state().returning += 1;
        Returning { gate }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.leave(*self.bytes.get_mut());
    }
}

/// The right to come before others; see [`Held::leave`].
#[derive(Debug)]
pub struct Returning {
    gate: Arc<Gate>,
}

impl Returning {
    /// Waits until there is room for `bytes` of `job`. `None`: the gate is closed.
    pub async fn enter(self, job: u64, bytes: u64) -> Option<Held> {
        loop {
            // What happens from here on wakes it, even before it waits.
            let changed = self.gate.changed_too.notified();
            if let Some(open) = self.try_enter(job, bytes) {
                return open.then(|| Held::new(Arc::clone(&self.gate), bytes));
            }
            changed.await;
        }
    }

    /// Whether the gate is open, if that is known or there is room.
    fn try_enter(&self, job: u64, bytes: u64) -> Option<bool> {
        let mut state = self.gate.state();
        if !self.gate.lets_pass(&state, job, bytes) {
            return None;
        }
        state.inside = state.inside.saturating_add(bytes);
        Some(!state.closed)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.gate.state().returning -= 1;
        self.gate.notify();
    }
}

#[derive(Debug, Default)]
struct State {
    inside: u64,
    /// The job that the host reads from, or will next.
    head: u64,
    /// How many wait who have been inside before.
    returning: usize,
    closed: bool,
}

impl Gate {
    /// A gate with room for `max` bytes.
    pub fn new(max: u64) -> Self {
        Gate {
            max,
            state: Mutex::default(),
            changed: Condvar::new(),
            changed_too: Notify::new(),
        }
    }

    /// Waits until `bytes` of `job` fit. `false`: the gate is closed.
    pub fn enter(&self, job: u64, bytes: u64) -> bool {
        let waits = |state: &mut State| {
            let turn = state.returning == 0 || state.closed || job <= state.head;
            !(turn && self.lets_pass(state, job, bytes))
        };
        let mut state = self
            .changed
            .wait_while(self.state(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        state.inside = state.inside.saturating_add(bytes);
        !state.closed
    }

    fn lets_pass(&self, state: &State, job: u64, bytes: u64) -> bool {
        let fits = state.inside == 0 || state.inside.saturating_add(bytes) <= self.max;
        fits || job <= state.head || state.closed
    }

    fn notify(&self) {
        self.changed.notify_all();
        self.changed_too.notify_waiters();
    }

    /// As [`Gate::enter`], with a token that leaves when it is dropped; `None`: closed.
    pub fn hold(self: &Arc<Self>, job: u64, bytes: u64) -> Option<Held> {
        self.enter(job, bytes)
            .then(|| Held::new(Arc::clone(self), bytes))
    }

    /// The host has taken `bytes`.
    pub fn leave(&self, bytes: u64) {
        let mut state = self.state();
        state.inside = state.inside.saturating_sub(bytes);
        self.notify();
    }

    /// The host reads from `job` now.
    pub fn admit(&self, job: u64) {
        self.state().head = job;
        self.notify();
    }

    /// Everybody who waits, or comes later, is sent away.
    pub fn close(&self) {
        self.state().closed = true;
        self.notify();
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
    fn what_turns_out_larger_stays_if_it_fits() {
        let gate = Arc::new(Gate::new(100));
        let held = gate.hold(1, 10).expect("room");
        assert!(held.grow(1000), "alone, anything does");
        held.shrink(40);
        let other = gate.hold(2, 10).expect("room");
        assert!(other.grow(60));
        assert!(!other.grow(61));
        assert!(other.grow(50), "it has that already");
        drop(held);
        drop(other);
        assert!(gate.enter(3, 100), "all that was held has left");
    }

    #[test]
    fn who_needs_much_is_not_passed_for_ever() {
        let gate = Arc::new(Gate::new(100));
        let first = gate.hold(1, 60).expect("room");
        let small = gate.hold(2, 10).expect("room");
        let returning = small.leave();
        assert_eq!(returning.try_enter(2, 90), None);
        let newcomer = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter(3, 20))
        };
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!newcomer.is_finished(), "there is room, but not its turn");
        drop(first);
        assert_eq!(returning.try_enter(2, 90), Some(true));
        let held = Held::new(Arc::clone(&gate), 90);
        drop(returning);
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!newcomer.is_finished(), "there is no room");
        drop(held);
        assert!(newcomer.join().expect("no panic"));
    }

    #[test]
    fn any_number_may_return() {
        let gate = Arc::new(Gate::new(100));
        let runtime = tokio::runtime::Builder::new_multi_thread().build();
        let runtime = runtime.expect("threads");
        let all: Vec<_> = (1..2000)
            .map(|job| {
                let returning = gate.hold(job, 0).expect("room").leave();
                runtime.spawn(async move { returning.enter(job, 60).await.is_some() })
            })
            .collect();
        for entered in all {
            assert!(runtime.block_on(entered).expect("no panic"));
        }
        assert!(gate.enter(1, 100), "all have left");
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
        assert!(!gate.enter(2, 0));
    }
}
