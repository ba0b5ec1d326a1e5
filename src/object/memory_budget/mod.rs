//! Bounds the memory of objects and batches that wait.
//!
//! `tokio::sync::Semaphore` cannot do this: it counts at most `u32::MAX` permits a request, has no blocking form outside
//! of a runtime, and lets no request bypass its queue or its limit.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The job number of requests outside of the output order. Such a job is never the head.
pub const UNORDERED: u64 = u64::MAX;

/// FIFO-fair semaphore over bytes.
///
/// The head job (the one the host reads from) and those before it bypass the queue and the limit: holding them back for
/// later jobs would deadlock. One request larger than the capacity is admitted when nothing else is inside. So the bytes
/// inside are at most the capacity, or one larger request, plus those of the head job.
#[derive(Debug)]
pub struct MemoryBudget {
    capacity: u64,
    state: Mutex<BudgetState>,
}

#[derive(Debug, Default)]
struct BudgetState {
    in_use: u64,
    head: u64,
    closed: bool,
    /// In the order of arrival, which is that of their ids.
    waiters: VecDeque<Waiter>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    job: u64,
    bytes: u64,
    waker: Waker,
}

/// Bytes of a [`MemoryBudget`] that are in use; dropping it releases them and wakes the next waiters in order.
#[derive(Debug)]
pub struct MemoryPermit {
    budget: Arc<MemoryBudget>,
    /// Changes only under the budget's lock, which orders all accesses that matter; an atomic because permits are shared
    /// between threads. Relaxed: the value publishes no other data.
    bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        MemoryBudget {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Waits until `bytes` of `job` fit. `None`: the budget is closed. Dropping the future leaves the queue.
    pub async fn acquire(self: &Arc<Self>, job: u64, bytes: u64) -> Option<MemoryPermit> {
        let acquire = Acquire {
            budget: self,
            job,
            bytes,
            waiting: None,
        };
        acquire.await
    }

    /// As [`MemoryBudget::acquire`], blocking the thread. Shares its queue.
    pub fn acquire_blocking(self: &Arc<Self>, job: u64, bytes: u64) -> Option<MemoryPermit> {
        match self.admit(&mut self.state(), job, bytes) {
            Admission::Admitted => return Some(self.permit(bytes)),
            Admission::Closed => return None,
            Admission::MustWait => {}
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut acquire = pin!(self.acquire(job, bytes));
        loop {
            if let Poll::Ready(permit) = acquire.as_mut().poll(&mut context) {
                return permit;
            }
            // Returns at once if the waker was called since the poll, and may return for no reason.
            thread::park();
        }
    }

    /// `None`: there is no room, earlier requests wait, or the budget is closed.
    pub fn try_acquire(self: &Arc<Self>, job: u64, bytes: u64) -> Option<MemoryPermit> {
        let admitted = matches!(
            self.admit(&mut self.state(), job, bytes),
            Admission::Admitted
        );
        admitted.then(|| self.permit(bytes))
    }

    /// The host reads from `job` now: its requests and those of jobs before it no longer wait.
    pub fn set_head(&self, job: u64) {
        if job == UNORDERED || self.is_closed() {
            return;
        }
        let mut admitted = Vec::new();
        let mut guard = self.state();
        let state = &mut *guard;
        state.head = job;
        let in_use = &mut state.in_use;
        state.waiters.retain(|waiter| {
            let bypasses = waiter.job <= job;
            if bypasses {
                *in_use = in_use.saturating_add(waiter.bytes);
                admitted.push(waiter.waker.clone());
            }
            !bypasses
        });
        self.wake_next(guard);
        admitted.into_iter().for_each(Waker::wake);
    }

    /// Ends all waiting; requests get `None` from now on. Permits stay valid.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        // They find themselves still in the queue, and so not admitted.
        let wakers: Vec<_> = state.waiters.iter().map(|it| it.waker.clone()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether [`MemoryBudget::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Bytes of all permits.
    pub fn in_use(&self) -> u64 {
        self.state().in_use
    }

    /// Admits a request that need not wait.
    fn admit(&self, state: &mut BudgetState, job: u64, bytes: u64) -> Admission {
        if state.closed {
            return Admission::Closed;
        }
        let turn = state.waiters.is_empty() && self.fits(state, bytes);
        if job > state.head && !turn {
            return Admission::MustWait;
        }
        state.in_use = state.in_use.saturating_add(bytes);
        Admission::Admitted
    }

    fn fits(&self, state: &BudgetState, bytes: u64) -> bool {
        state.in_use == 0 || state.in_use.saturating_add(bytes) <= self.capacity
    }

    /// A permit for bytes that are counted as in use already.
    fn permit(self: &Arc<Self>, bytes: u64) -> MemoryPermit {
        MemoryPermit {
            budget: Arc::clone(self),
            bytes: AtomicU64::new(bytes),
        }
    }

    fn release(&self, bytes: u64) {
        let mut state = self.state();
        state.in_use = state.in_use.saturating_sub(bytes);
        self.wake_next(state);
    }

    /// Admits waiters from the front of the queue as long as they fit.
    fn wake_next<'b>(&'b self, mut state: MutexGuard<'b, BudgetState>) {
        loop {
            match state.waiters.front() {
                Some(first) if !state.closed && self.fits(&state, first.bytes) => {}
                _ => return,
            }
            let Some(first) = state.waiters.pop_front() else {
                return;
            };
            state.in_use = state.in_use.saturating_add(first.bytes);
            // Not under the lock: a waker may run code that takes it.
            drop(state);
            first.waker.wake();
            state = self.state();
        }
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        // Every change under the lock is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Result of a request.
enum Admission {
    Admitted,
    MustWait,
    Closed,
}

impl MemoryPermit {
    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Its budget.
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Grows the permit to this many bytes if there is room. Returns whether it has at least as many now. Never waits: two
    /// permits that wait for more could wait for each other.
    pub fn try_grow(&self, bytes: u64) -> bool {
        let mut state = self.budget.state();
        let current = self.bytes.load(Relaxed);
        let in_use = state.in_use.saturating_sub(current).saturating_add(bytes);
        let fits = bytes <= current || state.in_use <= current || in_use <= self.budget.capacity;
        if bytes > current && fits {
            state.in_use = in_use;
            self.bytes.store(bytes, Relaxed);
        }
        fits
    }

    /// Releases all but this many bytes.
    pub fn shrink(&self, bytes: u64) {
        let mut state = self.budget.state();
        let less = self.bytes.load(Relaxed).saturating_sub(bytes);
        if less == 0 {
            return;
        }
        self.bytes.fetch_sub(less, Relaxed);
        state.in_use = state.in_use.saturating_sub(less);
        self.budget.wake_next(state);
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.budget.release(*self.bytes.get_mut());
    }
}

/// A request that was made and not answered yet.
struct Acquire<'b> {
    budget: &'b Arc<MemoryBudget>,
    job: u64,
    bytes: u64,
    /// Id in the queue, once there. A request that has left the queue without doing so itself was admitted.
    waiting: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = Option<MemoryPermit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let budget = self.budget;
        let mut state = budget.state();
        let Some(id) = self.waiting else {
            match budget.admit(&mut state, self.job, self.bytes) {
                Admission::Admitted => return Poll::Ready(Some(budget.permit(self.bytes))),
                Admission::Closed => return Poll::Ready(None),
                Admission::MustWait => {}
            }
            let id = state.next_id;
            state.next_id += 1;
            state.waiters.push_back(Waiter {
                id,
                job: self.job,
                bytes: self.bytes,
                waker: context.waker().clone(),
            });
            self.waiting = Some(id);
            return Poll::Pending;
        };
        match state.waiters.binary_search_by_key(&id, |it| it.id) {
            Err(_) => {
                drop(state);
                self.waiting = None;
                Poll::Ready(Some(budget.permit(self.bytes)))
            }
            Ok(at) if state.closed => {
                state.waiters.remove(at);
                drop(state);
                self.waiting = None;
                Poll::Ready(None)
            }
            Ok(at) => {
                state.waiters[at].waker.clone_from(context.waker());
                Poll::Pending
            }
        }
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(id) = self.waiting else {
            return;
        };
        let mut state = self.budget.state();
        match state.waiters.binary_search_by_key(&id, |it| it.id) {
            Ok(at) => {
                state.waiters.remove(at);
            }
            // Admitted, but not polled since.
            Err(_) => state.in_use = state.in_use.saturating_sub(self.bytes),
        }
        // Later waiters may fit without it.
        self.budget.wake_next(state);
    }
}

/// Wakes a thread that parks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests;
