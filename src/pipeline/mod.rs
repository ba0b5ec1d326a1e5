//! Threads and channels between the objects and the host: in order, and bounded.
//!
//! A feeder thread names the objects, decode threads turn them into batches, the host takes the
//! batches. Objects travel in jobs. Each job has a channel of its own for its batches, and the
//! host reads these channels one after the other: that keeps the order while jobs are worked on
//! side by side. Batches come back through a pool.
#![forbid(unsafe_code)]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::batch::Batch;
use crate::batch::field_usage::FieldUsage;
use crate::decode::{BatchSender, Decoder, Limits};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Log, Severity};
use crate::metrics::Metrics;
use crate::object::Object;
use crate::object::ack::Failure;
use crate::object::memory_budget::{MemoryBudget, MemoryPermit, UNORDERED};

/// Batches of one job that may wait for the host.
const JOB_BATCHES: usize = 8;

/// Cleared batches kept for use again.
const POOLED: usize = 64;

/// How the pipeline works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of decode threads, at least 1.
    pub threads: usize,
    /// Jobs that may be under way at once.
    pub jobs: usize,
    /// Bytes that may wait: a quarter as stored, the rest as batches for the host. As many again may be in work on decode
    /// threads, and what each of these takes without asking; see [`crate::decode`] for what one object takes.
    pub max_buffered_bytes: u64,
    /// An object that cannot be read ends the source, rather than being skipped.
    pub fail_on_error: bool,
    /// What decoding needs to know.
    pub limits: Limits,
}

/// What [`Pipeline::next`] has for the host.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // It is taken apart where it arrives.
pub enum Next {
    /// Events.
    Batch(Batch),
    /// Nothing yet.
    Timeout,
    /// Nothing any more.
    End,
}

/// A running source; dropping it stops and joins its threads.
#[derive(Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    jobs: Option<Receiver<JobOutput>>,
    current: Option<JobOutput>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a source puts its objects. The source runs on a thread of its own, and says that it is complete with
/// [`ObjectSender::finish`]; a feed that is dropped without it was left by a fault, which the host gets as an error.
#[derive(Debug)]
pub struct ObjectSender {
    shared: Arc<Shared>,
    work: Sender<Job>,
    order: Sender<JobOutput>,
    jobs: u64,
    finished: bool,
}

/// Takes objects whose events may be delivered in any order. Clones feed the same source.
#[derive(Clone, Debug)]
pub struct UnorderedSender {
    shared: Arc<Shared>,
    work: Sender<Job>,
    batches: Sender<Result<QueuedBatch>>,
}

/// A job's place in the order, taken before its objects are downloaded. To be completed with objects, an error, or
/// [`OutputSlot::skip`]; a place that is dropped otherwise is counted and logged as an internal error.
#[derive(Debug)]
pub struct OutputSlot {
    shared: Arc<Shared>,
    number: u64,
    objects: Option<Sender<Vec<Object>>>,
    batches: Sender<Result<QueuedBatch>>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    demand: Arc<FieldUsage>,
    /// Stored bytes that wait for a decode thread.
    stored: Arc<MemoryBudget>,
    /// Batches that wait for the host. A budget of their own: batches must get through for stored
    /// bytes to become less.
    decoded: Arc<MemoryBudget>,
    /// Bytes that decode threads take up for large files and records.
    large: Arc<MemoryBudget>,
    /// Relaxed where it is read: it publishes no data, and a late look at it costs no more than a little work. What waits
    /// is woken by channels and budgets.
    closed: AtomicBool,
    /// Why the source ends, if not because it is complete.
    failure: Mutex<Option<Error>>,
    pool: (Sender<Batch>, Receiver<Batch>),
}

/// Objects that are decoded by one thread, one after the other.
#[derive(Debug)]
struct Job {
    number: u64,
    /// Brings the objects once.
    objects: Receiver<Vec<Object>>,
    batches: Sender<Result<QueuedBatch>>,
}

/// A job's batches, as far as they are ready.
#[derive(Debug)]
struct JobOutput {
    number: u64,
    batches: Receiver<Result<QueuedBatch>>,
}

/// A batch that waits for the host, with the memory that it is counted for.
#[derive(Debug)]
struct QueuedBatch {
    batch: Batch,
    buffered: Buffered,
}

/// Counts bytes as buffered for as long as it lives: what is thrown away at close is not buffered any more either.
#[derive(Debug)]
struct Buffered {
    permit: MemoryPermit,
    metrics: Arc<Metrics>,
}

impl QueuedBatch {
    fn new(batch: Batch, permit: MemoryPermit, metrics: &Arc<Metrics>) -> Self {
        metrics.buffered_bytes.add(permit.bytes());
        let metrics = Arc::clone(metrics);
        let buffered = Buffered { permit, metrics };
        QueuedBatch { batch, buffered }
    }

    /// The batch, which the host takes over.
    fn into_batch(self) -> Batch {
        drop(self.buffered);
        self.batch
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.metrics.buffered_bytes.sub(self.permit.bytes());
    }
}

impl Pipeline {
    /// Starts the threads; `feed` runs on one of them and names the objects in order.
    pub fn start(
        settings: Settings,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
        demand: Arc<FieldUsage>,
        feed: impl FnOnce(ObjectSender) + Send + 'static,
    ) -> Result<Pipeline> {
        let stored = settings.max_buffered_bytes / 4;
        let shared = Arc::new(Shared {
            settings,
            metrics,
            log,
            demand,
            stored: Arc::new(MemoryBudget::new(stored)),
            decoded: Arc::new(MemoryBudget::new(settings.max_buffered_bytes - stored)),
            large: Arc::new(MemoryBudget::new(settings.max_buffered_bytes)),
            closed: AtomicBool::new(false),
            failure: Mutex::default(),
            pool: bounded(POOLED),
        });
        // Declared before the channels, and so dropped after them: where a thread cannot be started, those that wait for
        // work see that no more will come, before they are joined.
        let mut pipeline = Pipeline {
            shared: Arc::clone(&shared),
            jobs: None,
            current: None,
            threads: Vec::new(),
        };
        // What bounds the work is the order: a job has its place there first.
        let (work, work_taken) = unbounded();
        let (order, jobs) = bounded(settings.jobs);
        pipeline.jobs = Some(jobs);
        for number in 0..settings.threads {
            let (shared, work) = (Arc::clone(&shared), work_taken.clone());
            // The order ends with the last thread, and so after a thread has said that it failed.
            let order = order.clone();
            pipeline.spawn(format!("ct-decode-{number}"), move || {
                let decoded = catch_unwind(AssertUnwindSafe(|| decode_jobs(&shared, &work)));
                if decoded.is_err() {
                    shared.broken("a decode thread");
                }
                drop(order);
            })?;
        }
        let handle = ObjectSender {
            shared,
            work,
            order,
            jobs: 0,
            finished: false,
        };
        // A feed that is dropped by a panic reports it.
        pipeline.spawn("ct-feed".to_owned(), move || feed(handle))?;
        Ok(pipeline)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new()
            .name(name)
            .spawn(run)
            .map_err(|error| Error::new(ErrorKind::Resources, no_thread(&error)))?;
        self.threads.push(thread);
        Ok(())
    }

    /// The next batch with events, waiting for at most `wait`. What ends without events (objects,
    /// stored bytes read) is reported to `done` all the same.
    pub fn next(&mut self, wait: Duration, mut done: impl FnMut(&Batch)) -> Result<Next> {
        let deadline = Instant::now() + wait;
        loop {
            let Some(current) = &self.current else {
                let Some(jobs) = &self.jobs else {
                    return self.shared.end();
                };
                match jobs.recv_deadline(deadline) {
                    Ok(job) => {
                        self.shared.stored.set_head(job.number);
                        self.shared.decoded.set_head(job.number);
                        self.shared.large.set_head(job.number);
                        self.current = Some(job);
                    }
                    Err(RecvTimeoutError::Timeout) => return Ok(Next::Timeout),
                    Err(RecvTimeoutError::Disconnected) => return self.shared.end(),
                }
                continue;
            };
            if current.number == UNORDERED
                && let Some(error) = self.shared.failure().take()
            {
                return Err(error);
            }
            match current.batches.recv_deadline(deadline) {
                Ok(Ok(queued)) => {
                    let batch = queued.into_batch();
                    done(&batch);
                    if batch.is_empty() {
                        self.recycle(batch);
                        continue;
                    }
                    let metrics = &self.shared.metrics;
                    metrics.events.add(batch.len() as u64);
                    metrics
                        .newest_event_time
                        .raise(batch.newest / 1_000_000_000);
                    return Ok(Next::Batch(batch));
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Timeout),
                Err(RecvTimeoutError::Disconnected) => self.current = None,
            }
        }
    }

    /// Takes back a batch that nobody looks at any more, for use again.
    pub fn recycle(&self, mut batch: Batch) {
        for ticket in batch.ack_handles.drain(..) {
            ticket.delivered();
        }
        batch.clear();
        // A full pool means that there are enough.
        let _ = self.shared.pool.0.try_send(batch);
    }

    /// Tells all threads to stop, without waiting for them.
    pub fn stop(&mut self) {
        // Before the channels are emptied; see `ObjectSender::place_with`.
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.stored.close();
        self.shared.decoded.close();
        self.shared.large.close();
        // A dropped receiver ends waiting senders, but what is queued in a bounded channel lives on with it: each queued
        // job's own receiver, and so a sender that waits for room there.
        if let Some(current) = self.current.take() {
            current.batches.try_iter().for_each(drop);
        }
        if let Some(jobs) = self.jobs.take() {
            fence(Ordering::SeqCst);
            jobs.try_iter().for_each(drop);
        }
    }
}

/// Says that a thread cannot be started, and which limits may be the reason.
pub fn no_thread(error: &io::Error) -> String {
    format!(
        "a thread cannot be started: {error}; raise the limit of processes and threads (ulimit -u, TasksMax= in systemd, pids.max of the container), or lower decodeThreads"
    )
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A panic of a thread has been logged by what contains it, or is a feeder's.
            let _ = thread.join();
        }
    }
}

impl ObjectSender {
    /// Adds a job; waits while enough of them are under way. `false`: the source is closed.
    pub fn push(&mut self, objects: Vec<Object>) -> bool {
        self.place().is_some_and(|place| place.submit(objects))
    }

    /// The next job's place in the order; waits while enough of them are under way. `None`: the source is closed.
    pub fn place(&mut self) -> Option<OutputSlot> {
        if self.closed() {
            return None;
        }
        let number = self.jobs;
        self.jobs += 1;
        let (batches, taken) = bounded(JOB_BATCHES);
        let (objects, brought) = bounded(1);
        let output = JobOutput {
            number,
            batches: taken,
        };
        self.order.send(output).ok()?;
        // Either this sees that the source was closed meanwhile, and the job is given up, or `Pipeline::stop` sees
        // the job in the queue: both store first and look then, and these accesses have one total order.
        fence(Ordering::SeqCst);
        if self.closed() {
            return None;
        }
        // Jobs are taken in order, whenever their objects arrive: so a decode thread always has the job that the host
        // waits for, or one before it. Otherwise later jobs could occupy all threads, which a host that waits for an
        // earlier one never empties.
        let job = Job {
            number,
            objects: brought,
            batches: batches.clone(),
        };
        self.work.send(job).ok()?;
        Some(OutputSlot {
            shared: Arc::clone(&self.shared),
            number,
            objects: Some(objects),
            batches,
        })
    }

    /// Takes objects in any order instead. A source uses either this or [`ObjectSender::place`]. `None`: the source is closed.
    pub fn unordered(&self) -> Option<UnorderedSender> {
        let (batches, taken) = bounded(JOB_BATCHES);
        let output = JobOutput {
            number: UNORDERED,
            batches: taken,
        };
        self.order.send(output).ok()?;
        // Either this sees that the source was closed meanwhile, and the job is given up, or `Pipeline::stop` sees
        // the job in the queue: both store first and look then, and these accesses have one total order.
        fence(Ordering::SeqCst);
        if self.closed() {
            return None;
        }
        Some(UnorderedSender {
            shared: Arc::clone(&self.shared),
            work: self.work.clone(),
            batches,
        })
    }

    /// The source is complete: the host gets the end after the last event.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// Whether the source is closed.
    pub fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }
}

impl Drop for ObjectSender {
    fn drop(&mut self) {
        if !self.finished && !self.closed() {
            let line =
                "the source stopped because of an internal error; what it had not read is not read";
            self.shared.metrics.errors_internal.add(1);
            self.shared.fail(Error::new(ErrorKind::Internal, line));
        }
    }
}

impl UnorderedSender {
    /// Has the objects decoded. `false`: the source is closed.
    pub fn submit(&self, objects: Vec<Object>) -> bool {
        let (bring, brought) = bounded(1);
        let job = Job {
            number: UNORDERED,
            objects: brought,
            batches: self.batches.clone(),
        };
        bring.send(objects).is_ok() && self.work.send(job).is_ok()
    }

    /// Ends the source with this error.
    pub fn fail(&self, error: Error) {
        self.shared.fail(error);
    }

    /// Bounds the stored bytes that wait for a decode thread.
    pub fn stored_budget(&self) -> &Arc<MemoryBudget> {
        &self.shared.stored
    }
}

impl OutputSlot {
    /// The job's number in the order.
    pub fn job(&self) -> u64 {
        self.number
    }

    /// Bounds the stored bytes that wait for a decode thread.
    pub fn stored_budget(&self) -> &Arc<MemoryBudget> {
        &self.shared.stored
    }

    /// Has the objects decoded. `false`: the source is closed.
    pub fn submit(mut self, objects: Vec<Object>) -> bool {
        // The channel has room for what is sent once.
        let bring = self.objects.take();
        bring.is_some_and(|bring| bring.send(objects).is_ok())
    }

    /// Ends the source with this error when the host gets here.
    pub fn fail(mut self, error: Error) {
        // Nothing else is sent for this job, so there is room; a closed source needs no error.
        let _ = self.batches.try_send(Err(error));
        self.objects = None;
    }

    /// The job has no objects, which has been reported.
    pub fn skip(mut self) {
        self.objects = None;
    }
}

impl Drop for OutputSlot {
    fn drop(&mut self) {
        if self.objects.is_some() && !self.shared.closed.load(Ordering::Relaxed) {
            self.shared.metrics.errors_internal.add(1);
            self.shared.log.limited(
                "internal",
                Severity::Error,
                "an object was dropped because of an internal error; it is not read",
            );
        }
    }
}

fn decode_jobs(shared: &Shared, work: &Receiver<Job>) {
    let batch = shared.pooled();
    let mut decoder = Decoder::new(shared.settings.limits, &shared.metrics, &shared.log, batch);
    for job in work {
        // A job without objects: they could not be had.
        let Ok(objects) = job.objects.recv() else {
            continue;
        };
        if !decode_job(shared, &mut decoder, &job, objects) {
            return;
        }
    }
}

/// Answers whether to go on.
fn decode_job(shared: &Shared, decoder: &mut Decoder<'_>, job: &Job, objects: Vec<Object>) -> bool {
    let mut outlet = JobOutlet {
        shared,
        job,
        large: None,
    };
    for object in objects {
        outlet.large = None;
        // A fault in decoding costs the object, not the host.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(&object, &mut outlet)));
        let result = decoded.unwrap_or_else(|_| {
            decoder.recover();
            Err(fault(shared, &object))
        });
        match (result, object.ticket) {
            (Ok(()), ticket) => decoder.batch.ack_handles.extend(ticket),
            (Err(error), _) if shared.settings.fail_on_error => {
                return outlet.flush(&mut decoder.batch) && job.batches.send(Err(error)).is_ok();
            }
            (Err(error), Some(ticket)) => ticket.failed(Failure::Permanent(error.to_string())),
            (Err(_), None) => {}
        }
        if shared.closed.load(Ordering::Relaxed) {
            return false;
        }
    }
    outlet.flush(&mut decoder.batch)
}

/// Counts and logs that decoding panicked.
fn fault(shared: &Shared, object: &Object) -> Error {
    let (cause, outcome) = ("decoding failed", "the rest of it is skipped");
    shared.metrics.errors_internal.add(1);
    shared.log.lost(&object.name, cause, outcome);
    let name = Escaped(&object.name);
    Error::new(ErrorKind::Internal, format!("{name}: {cause}; {outcome}"))
}

/// Hands a job's batches to the host.
struct JobOutlet<'a> {
    shared: &'a Shared,
    job: &'a Job,
    /// What the object at hand takes up beyond what each decode thread may.
    large: Option<MemoryPermit>,
}

impl BatchSender for JobOutlet<'_> {
    fn flush(&mut self, full: &mut Batch) -> bool {
        let memory = full.memory();
        let decoded = &self.shared.decoded;
        let Some(permit) = decoded.acquire_blocking(self.job.number, memory) else {
            return false;
        };
        let batch = std::mem::replace(full, self.shared.pooled());
        let queued = QueuedBatch::new(batch, permit, &self.shared.metrics);
        self.job.batches.send(Ok(queued)).is_ok()
    }

    fn large(&mut self, bytes: u64) -> bool {
        if self
            .large
            .as_ref()
            .is_some_and(|permit| permit.try_grow(bytes))
        {
            return true;
        }
        self.large = None;
        self.large = self.shared.large.acquire_blocking(self.job.number, bytes);
        self.large.is_some()
    }

    fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Ends the source with this error, unless another one came first.
    fn fail(&self, error: Error) {
        self.failure().get_or_insert(error);
    }

    /// What the host gets after the last event.
    fn end(&self) -> Result<Next> {
        self.failure().take().map_or(Ok(Next::End), Err)
    }

    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that a thread panicked outside of what is contained for each object.
    fn broken(&self, thread: &str) {
        self.metrics.errors_internal.add(1);
        let line = format!(
            "{thread} ended because of an internal error; the source ends with what was read before"
        );
        self.log.line(Severity::Error, &line);
        self.fail(Error::new(ErrorKind::Internal, line));
    }

    fn pooled(&self) -> Batch {
        let mut batch = self.pool.1.try_recv().unwrap_or_default();
        batch.work_ahead(self.demand.wanted());
        batch
    }
}

#[cfg(test)]
mod tests;
