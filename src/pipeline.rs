//! Threads and channels between the objects and the host: in order, and bounded.
//!
//! A feeder thread names the objects, decode threads turn them into batches, the host takes the
//! batches. Objects travel in jobs. Each job has a channel of its own for its batches, and the
//! host reads these channels one after the other: that keeps the order while jobs are worked on
//! side by side. Batches come back through a pool.
#![forbid(unsafe_code)]

mod gate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::batch::Batch;
use crate::decode::{Decoder, Limits, Object, Outlet};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Log, Printable, Severity};
use crate::metrics::Metrics;
use gate::Gate;

/// Batches of one job that may wait for the host.
const JOB_BATCHES: usize = 8;

/// Cleared batches kept for use again.
const POOLED: usize = 64;

/// How the pipeline works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of decode threads, at least 1.
    pub threads: usize,
    /// Bytes of batches that may wait for the host.
    pub max_buffered_bytes: u64,
    /// An object that cannot be read ends the source, rather than being skipped.
    pub fail_on_error: bool,
    /// What decoding needs to know.
    pub limits: Limits,
}

/// What [`Pipeline::next`] has for the host.
#[derive(Debug)]
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

/// Takes objects from a feeder, which runs on a thread of its own.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    work: Sender<Job>,
    order: Sender<JobOutput>,
    jobs: u64,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    gate: Gate,
    closed: AtomicBool,
    pool: (Sender<Batch>, Receiver<Batch>),
}

/// Objects that are decoded by one thread, one after the other.
#[derive(Debug)]
struct Job {
    number: u64,
    objects: Vec<Object>,
    batches: Sender<Result<Batch>>,
}

/// A job's batches, as far as they are ready.
#[derive(Debug)]
struct JobOutput {
    number: u64,
    batches: Receiver<Result<Batch>>,
}

impl Pipeline {
    /// Starts the threads; `feed` runs on one of them and names the objects in order.
    pub fn start(
        settings: Settings,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
        feed: impl FnOnce(Feed) + Send + 'static,
    ) -> Result<Pipeline> {
        let shared = Arc::new(Shared {
            settings,
            metrics,
            log,
            gate: Gate::new(settings.max_buffered_bytes),
            closed: AtomicBool::new(false),
            pool: bounded(POOLED),
        });
        let ahead = 2 * settings.threads + 2;
        let (work, work_taken) = bounded(ahead);
        let (order, jobs) = bounded(ahead);
        let mut pipeline = Pipeline {
            shared: Arc::clone(&shared),
            jobs: Some(jobs),
            current: None,
            threads: Vec::new(),
        };
        for number in 0..settings.threads {
            let (shared, work) = (Arc::clone(&shared), work_taken.clone());
            pipeline.spawn(format!("ct-decode-{number}"), move || decode_jobs(&shared, &work))?;
        }
        let handle = Feed {
            shared,
            work,
            order,
            jobs: 0,
        };
        pipeline.spawn("ct-feed".to_owned(), move || feed(handle))?;
        Ok(pipeline)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Read, format!("a decode thread cannot be started: {error}"))
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The next batch with events, waiting for at most `wait`. What became of objects that gave
    /// none is reported to `done` all the same: objects ended and stored bytes read.
    pub fn next(&mut self, wait: Duration, mut done: impl FnMut(&Batch)) -> Result<Next> {
        let deadline = Instant::now() + wait;
        loop {
            let Some(current) = &self.current else {
                let Some(jobs) = &self.jobs else {
                    return Ok(Next::End);
                };
                match jobs.recv_deadline(deadline) {
                    Ok(job) => {
                        self.shared.gate.admit(job.number);
                        self.current = Some(job);
                    }
                    Err(RecvTimeoutError::Timeout) => return Ok(Next::Timeout),
                    Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
                }
                continue;
            };
            match current.batches.recv_deadline(deadline) {
                Ok(Ok(batch)) => {
                    self.shared.gate.leave(batch.memory());
                    self.shared.metrics.buffered_bytes.sub(batch.memory());
                    done(&batch);
                    if batch.is_empty() {
                        self.recycle(batch);
                        continue;
                    }
                    self.shared.metrics.events.add(batch.len() as u64);
                    return Ok(Next::Batch(batch));
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Timeout),
                Err(RecvTimeoutError::Disconnected) => self.current = None,
            }
        }
    }

    /// Gives a batch back for use again.
    pub fn recycle(&self, mut batch: Batch) {
        batch.clear();
        // A full pool means that there are enough.
        let _ = self.shared.pool.0.try_send(batch);
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.gate.close();
        // Whoever waits to hand something over finds nobody there.
        self.current = None;
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic of a thread has been logged by what contains it, or is a feeder's.
            let _ = thread.join();
        }
    }
}

impl Feed {
    /// Adds a job; waits while enough of them are under way. Answers whether to go on.
    pub fn push(&mut self, objects: Vec<Object>) -> bool {
        let (batches, taken) = bounded(JOB_BATCHES);
        let number = self.jobs;
        self.jobs += 1;
        let output = JobOutput {
            number,
            batches: taken,
        };
        let job = Job {
            number,
            objects,
            batches,
        };
        !self.shared.closed.load(Ordering::Relaxed)
            && self.order.send(output).is_ok()
            && self.work.send(job).is_ok()
    }
}

fn decode_jobs(shared: &Shared, work: &Receiver<Job>) {
    let batch = shared.pooled();
    let mut decoder = Decoder::new(shared.settings.limits, &shared.metrics, &shared.log, batch);
    for job in work {
        if !decode_job(shared, &mut decoder, &job) {
            return;
        }
    }
}

/// Answers whether to go on.
fn decode_job(shared: &Shared, decoder: &mut Decoder<'_>, job: &Job) -> bool {
    let mut outlet = JobOutlet { shared, job };
    for object in &job.objects {
        // A fault in decoding costs the object, not the host.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(object, &mut outlet)));
        let error = match decoded {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => {
                let name = Printable(&object.name);
                let line = format!("{name}: decoding failed; the rest of it is skipped");
                shared.metrics.errors_internal.add(1);
                shared.log.once("internal", Severity::Error, &line);
                Error::new(ErrorKind::Read, line)
            }
        };
        if shared.settings.fail_on_error {
            return outlet.flush(&mut decoder.batch) && job.batches.send(Err(error)).is_ok();
        }
        if shared.closed.load(Ordering::Relaxed) {
            return false;
        }
    }
    outlet.flush(&mut decoder.batch)
}

/// Hands a job's batches to the host.
struct JobOutlet<'a> {
    shared: &'a Shared,
    job: &'a Job,
}

impl Outlet for JobOutlet<'_> {
    fn flush(&mut self, full: &mut Batch) -> bool {
        let memory = full.memory();
        if !self.shared.gate.enter(self.job.number, memory) {
            return false;
        }
        let batch = std::mem::replace(full, self.shared.pooled());
        self.shared.metrics.buffered_bytes.add(memory);
        self.job.batches.send(Ok(batch)).is_ok()
    }
}

impl Shared {
    fn pooled(&self) -> Batch {
        self.pool.1.try_recv().unwrap_or_default()
    }
}
