//! What the threads of a pipeline share: jobs, queued batches, memory budgets, the pool and the failure.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::channel::{Receiver, Sender, bounded};
use super::{Next, Settings};
use crate::batch::{Batch, RecordHooks};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Log, Severity};
use crate::metrics::Metrics;
use crate::object::Object;
use crate::object::memory_budget::{MemoryBudget, MemoryPermit};

/// Cleared batches that are kept for reuse.
const POOLED: usize = 64;

/// Batches of one job that wait for the host, at most.
const JOB_BATCHES: usize = 8;

#[derive(Debug)]
pub(super) struct PipelineState {
    pub(super) settings: Settings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: Arc<Log>,
    hooks: RecordHooks,
    /// Bounds stored bytes that wait for a decode thread.
    pub(super) stored: Arc<MemoryBudget>,
    /// Bounds batches that wait for the host. Separate from `stored`: batches must get through for stored bytes to become
    /// fewer.
    pub(super) decoded: Arc<MemoryBudget>,
    /// Bounds what decode threads use for large files and records.
    pub(super) large: Arc<MemoryBudget>,
    /// Relaxed where it is read: it publishes no data, and a stale read costs no more than a little work. Waiting threads
    /// are woken by channels and budgets.
    closed: AtomicBool,
    pub(super) slots: Arc<JobSlots>,
    pub(super) gathering: Gathering,
    /// Why the source ends, if not because it is complete.
    failure: Mutex<Option<Error>>,
    pool: (Sender<Batch>, Receiver<Batch>),
}

/// Objects that one decode thread decodes in order.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    /// Receives the objects once.
    pub(super) objects: Receiver<Vec<Object>>,
    pub(super) batches: Sender<Result<QueuedBatch>>,
}

/// The host's end of a job: its batches.
#[derive(Debug)]
pub(super) struct JobOutput {
    pub(super) number: u64,
    pub(super) batches: Receiver<Result<QueuedBatch>>,
    _slot: JobSlot,
}

impl JobOutput {
    /// A job's output and the sender of its batches.
    pub(super) fn new(number: u64, slot: JobSlot) -> (JobOutput, Sender<Result<QueuedBatch>>) {
        let (sender, batches) = bounded(JOB_BATCHES);
        let output = JobOutput {
            number,
            batches,
            _slot: slot,
        };
        (output, sender)
    }
}

/// Bounds the jobs in progress. A source that has to wait is woken when [`JobSlots::gap`] of them have ended, not at
/// each.
#[derive(Debug)]
pub(super) struct JobSlots {
    max: usize,
    gap: usize,
    in_progress: Mutex<usize>,
    ended: Condvar,
}

/// The place of a job in progress.
#[derive(Debug)]
pub(super) struct JobSlot(Arc<JobSlots>);

impl JobSlots {
    fn new(jobs: usize, gap: usize) -> Self {
        JobSlots {
            max: jobs + gap,
            gap,
            in_progress: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Waits while too many jobs are in progress and the source is open.
    pub(super) fn acquire(self: &Arc<Self>, closed: impl Fn() -> bool) -> JobSlot {
        let mut in_progress = self.in_progress();
        if *in_progress >= self.max {
            let low = self.max - self.gap.max(1);
            while *in_progress > low && !closed() {
                let woken = self.ended.wait(in_progress);
                in_progress = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
        *in_progress += 1;
        JobSlot(Arc::clone(self))
    }

    fn in_progress(&self) -> MutexGuard<'_, usize> {
        self.in_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for JobSlot {
    fn drop(&mut self) {
        let slots = &self.0;
        let mut in_progress = slots.in_progress();
        *in_progress -= 1;
        if *in_progress == slots.max - slots.gap.max(1) {
            slots.ended.notify_all();
        }
    }
}

/// Lets objects that arrive one by one gather, so that decode threads are woken for some at a time.
#[derive(Debug)]
pub(super) struct Gathering {
    /// How long they gather, at most, and how many are enough.
    wait: Duration,
    enough: usize,
    state: Mutex<GatheringState>,
    gathered: Condvar,
}

#[derive(Debug, Default)]
struct GatheringState {
    /// Objects that no decode thread has taken yet.
    arrived: usize,
    /// Decode threads that wait for more of them.
    waiting: usize,
    ended: bool,
}

impl Gathering {
    fn new(wait: Duration, enough: usize) -> Self {
        Gathering {
            wait,
            enough,
            state: Mutex::default(),
            gathered: Condvar::new(),
        }
    }

    /// An object is about to be queued.
    pub(super) fn arrived(&self) {
        let mut state = self.state();
        state.arrived += 1;
        let enough = state.waiting > 0 && state.arrived == self.enough;
        drop(state);
        if enough {
            self.gathered.notify_all();
        }
    }

    /// A decode thread has taken an object.
    pub(super) fn taken(&self) {
        let mut state = self.state();
        state.arrived = state.arrived.saturating_sub(1);
    }

    /// Waits until enough objects have arrived, for a while at most.
    pub(super) fn gather(&self) {
        if self.wait.is_zero() {
            return;
        }
        let mut state = self.state();
        state.waiting += 1;
        let gathers = |state: &mut GatheringState| state.arrived < self.enough && !state.ended;
        let woken = self.gathered.wait_timeout_while(state, self.wait, gathers);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
    }

    /// Ends all waiting.
    fn end(&self) {
        self.state().ended = true;
        self.gathered.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, GatheringState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that waits for the host, with its memory permit.
#[derive(Debug)]
pub(super) struct QueuedBatch {
    batch: Batch,
    buffered: BufferedBytes,
}

/// Counts bytes in the metric of buffered bytes while it lives, so also for a batch that is dropped at close.
#[derive(Debug)]
struct BufferedBytes {
    permit: MemoryPermit,
    metrics: Arc<Metrics>,
}

impl QueuedBatch {
    pub(super) fn new(batch: Batch, permit: MemoryPermit, metrics: &Arc<Metrics>) -> Self {
        metrics.buffered_bytes.add(permit.bytes());
        let metrics = Arc::clone(metrics);
        let buffered = BufferedBytes { permit, metrics };
        QueuedBatch { batch, buffered }
    }

    /// The batch for the host; releases the permit.
    pub(super) fn into_batch(self) -> Batch {
        drop(self.buffered);
        self.batch
    }
}

impl Drop for BufferedBytes {
    fn drop(&mut self) {
        self.metrics.buffered_bytes.sub(self.permit.bytes());
    }
}

impl PipelineState {
    pub(super) fn new(
        settings: Settings,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
        hooks: RecordHooks,
    ) -> Self {
        let stored = settings.max_buffered_bytes / 4;
        PipelineState {
            settings,
            metrics,
            log,
            hooks,
            stored: Arc::new(MemoryBudget::new(stored)),
            decoded: Arc::new(MemoryBudget::new(settings.max_buffered_bytes - stored)),
            large: Arc::new(MemoryBudget::new(settings.max_buffered_bytes)),
            closed: AtomicBool::new(false),
            slots: Arc::new(JobSlots::new(settings.jobs, settings.jobs_gap)),
            gathering: Gathering::new(settings.gather, settings.gather_objects),
            failure: Mutex::default(),
            pool: bounded(POOLED),
        }
    }

    /// Whether the source is closed.
    pub(super) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Closes the source and wakes all threads that wait for memory.
    pub(super) fn close(&self) {
        // SeqCst: see `ObjectSender::queue`.
        self.closed.store(true, Ordering::SeqCst);
        // Under the lock, so that a source that is about to wait reads the flag or gets this.
        let waiting = self.slots.in_progress();
        self.slots.ended.notify_all();
        drop(waiting);
        self.gathering.end();
        for budget in [&self.stored, &self.decoded, &self.large] {
            budget.close();
        }
    }

    /// The host reads from this job now.
    pub(super) fn set_head(&self, job: u64) {
        for budget in [&self.stored, &self.decoded, &self.large] {
            budget.set_head(job);
        }
    }

    /// Ends the source with this error, unless another one came first.
    pub(super) fn fail(&self, error: Error) {
        self.lock_failure().get_or_insert(error);
    }

    /// The error that ends the source, once.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.lock_failure().take()
    }

    /// What the host gets after the last event.
    pub(super) fn end(&self) -> Result<Next> {
        self.take_failure().map_or(Ok(Next::End), Err)
    }

    fn lock_failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that a thread panicked outside of the panic barrier for each object.
    pub(super) fn report_dead_thread(&self, thread: &str) {
        self.metrics.errors_internal.add(1);
        let line = format!(
            "{thread} ended because of an internal error; the source ends with what was read before"
        );
        self.log.line(Severity::Error, &line);
        self.fail(Error::new(ErrorKind::Internal, line));
    }

    /// An empty batch.
    pub(super) fn pooled(&self) -> Batch {
        let mut batch = self.pool.1.try_recv().unwrap_or_default();
        batch.hook_with(&self.hooks);
        batch
    }

    /// Clears a batch for reuse.
    pub(super) fn recycle(&self, mut batch: Batch) {
        batch.clear();
        // A full pool has enough of them.
        let _ = self.pool.0.try_send(batch);
    }
}
