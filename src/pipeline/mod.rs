//! Threads and channels between a source and the host: in order, and bounded.
//!
//! The source's thread names objects, decode threads turn them into batches, the host takes the batches. Objects travel
//! in jobs. Each job has its own channel for its batches, and the host reads these channels one after the other: that
//! keeps the order while several threads decode. The host returns batches to a pool.
#![forbid(unsafe_code)]

mod channel;
mod dedup_window;
mod sender;
mod shared;
mod worker;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use dedup_window::DedupWindow;
pub use sender::{ObjectSender, OutputSlot, UnorderedSender};

use crate::batch::{Batch, RecordHooks};
use crate::decode::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::object::memory_budget::UNORDERED;
use crate::timestamp;
use channel::{ReceiveError, Receiver, unbounded};
use shared::{JobOutput, PipelineState};

/// Settings of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of decode threads, at least 1.
    pub threads: usize,
    /// Jobs in progress, at most, in addition to `jobs_gap`.
    pub jobs: usize,
    /// Jobs that end before a source that waits for a free place is woken.
    pub jobs_gap: usize,
    /// How long a decode thread that had to wait for an object lets others arrive, and how many are enough.
    pub gather: Duration,
    /// See `gather`.
    pub gather_objects: usize,
    /// Bytes that wait, at most: a quarter as stored, the rest as batches for the host. Decode threads may use as many again
    /// for large objects, and each its own small memory; `decode` says how much one object uses.
    pub max_buffered_bytes: u64,
    /// Ends the source with an error if an object cannot be read, instead of skipping the object.
    pub fail_on_error: bool,
    /// Settings of the decoder.
    pub limits: Limits,
}

/// Result of [`Pipeline::next`].
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Short-lived: the caller takes it apart at once.
pub enum Next {
    /// A batch with at least one event.
    Batch(Batch),
    /// No batch in time.
    Timeout,
    /// The source is complete.
    End,
}

/// A running source. Dropping it stops and joins its threads.
#[derive(Debug)]
pub struct Pipeline {
    shared: Arc<PipelineState>,
    jobs: Option<Receiver<JobOutput>>,
    /// The job that the host reads from.
    current: Option<JobOutput>,
    /// Recognizes duplicates.
    window: Option<DedupWindow>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the threads. `feed` runs on one of them and submits the source's objects.
    pub fn start(
        settings: Settings,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
        hooks: RecordHooks,
        feed: impl FnOnce(ObjectSender) + Send + 'static,
    ) -> Result<Pipeline> {
        let shared = Arc::new(PipelineState::new(settings, metrics, log, hooks));
        // Declared before the channels, so dropped after them: if a thread cannot be started, those that wait for work see
        // closed channels before they are joined.
        let mut pipeline = Pipeline {
            shared: Arc::clone(&shared),
            jobs: None,
            current: None,
            window: None,
            threads: Vec::new(),
        };
        // Both are bounded: every job has a slot of `PipelineState::slots` first.
        let (work_sender, work) = unbounded();
        let (order, jobs) = unbounded();
        pipeline.jobs = Some(jobs);
        for number in 0..settings.threads {
            let (shared, work) = (Arc::clone(&shared), work.clone());
            // The order ends with the last thread, and so after a thread has reported its panic.
            let order = order.clone();
            pipeline.spawn(format!("ct-decode-{number}"), move || {
                let decoded = catch_unwind(AssertUnwindSafe(|| worker::run(&shared, &work)));
                if decoded.is_err() {
                    shared.report_dead_thread("a decode thread");
                }
                drop(order);
            })?;
        }
        let sender = ObjectSender::new(shared, work_sender, order);
        // If this panics, dropping the sender reports it.
        pipeline.spawn("ct-feed".to_owned(), move || feed(sender))?;
        Ok(pipeline)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new()
            .name(name)
            .spawn(run)
            .map_err(|error| Error::new(ErrorKind::Resources, thread_start_error(&error)))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Withholds duplicates from now on. Batches need fingerprints with the window's key.
    pub fn deduplicate(&mut self, window: DedupWindow) {
        self.window = Some(window);
    }

    /// The host has the events of the last batch. Without this call, they count as dropped.
    pub fn handed_over(&mut self) {
        if let Some(window) = &mut self.window {
            window.commit();
        }
    }

    /// The next batch with events; waits at most `wait`. Reports every batch to `progress`, also those without events,
    /// which count objects and stored bytes.
    pub fn next(&mut self, wait: Duration, mut progress: impl FnMut(&Batch)) -> Result<Next> {
        let deadline = Instant::now() + wait;
        if let Some(window) = &mut self.window {
            window.roll_back();
        }
        loop {
            let Some(current) = &self.current else {
                let Some(jobs) = &self.jobs else {
                    return self.shared.end();
                };
                match jobs.recv_deadline(deadline) {
                    Ok(job) => {
                        self.shared.set_head(job.number);
                        self.current = Some(job);
                    }
                    Err(ReceiveError::Empty) => return Ok(Next::Timeout),
                    Err(ReceiveError::Disconnected) => return self.shared.end(),
                }
                continue;
            };
            if current.number == UNORDERED
                && let Some(error) = self.shared.take_failure()
            {
                return Err(error);
            }
            match current.batches.recv_deadline(deadline) {
                Ok(Ok(queued)) => {
                    let mut batch = queued.into_batch();
                    progress(&batch);
                    if let Some(window) = &mut self.window {
                        let duplicates = window.mark(&mut batch);
                        self.shared.metrics.skipped_duplicate.add(duplicates as u64);
                    }
                    if batch.is_empty() {
                        self.recycle(batch);
                        continue;
                    }
                    let metrics = &self.shared.metrics;
                    metrics.events.add(batch.len() as u64);
                    metrics
                        .newest_event_time
                        .raise(batch.newest / 1_000_000_000);
                    metrics
                        .lags
                        .record(batch.timestamps(), timestamp::now_nanoseconds());
                    return Ok(Next::Batch(batch));
                }
                Ok(Err(error)) => return Err(error),
                Err(ReceiveError::Empty) => return Ok(Next::Timeout),
                Err(ReceiveError::Disconnected) => self.current = None,
            }
        }
    }

    /// Takes back a batch that is not used any more, for reuse. Acknowledges its objects.
    pub fn recycle(&self, mut batch: Batch) {
        for ack in batch.ack_handles.drain(..) {
            ack.delivered();
        }
        self.shared.recycle(batch);
    }

    /// Stops all threads, without waiting for them.
    pub fn stop(&mut self) {
        // Before the channels are drained; see `ObjectSender::queue`.
        self.shared.close();
        // Dropping a receiver ends senders that wait, but what is queued in a channel may live on with it: each queued
        // job's own receiver, and so a sender that waits for room there. So both are drained.
        if let Some(current) = self.current.take() {
            current.batches.try_iter().for_each(drop);
        }
        if let Some(jobs) = self.jobs.take() {
            fence(Ordering::SeqCst);
            jobs.try_iter().for_each(drop);
        }
    }
}

/// Message for a thread that cannot be started, with the limits that may be the reason.
pub fn thread_start_error(error: &io::Error) -> String {
    format!(
        "a thread cannot be started: {error}; raise the limit of processes and threads (ulimit -u, TasksMax= in systemd, pids.max of the container), or lower decodeThreads"
    )
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // The panic of a decode thread was logged where it was caught, that of the source by `ObjectSender`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
