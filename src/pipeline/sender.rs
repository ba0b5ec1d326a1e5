//! The source's end of a pipeline: it submits objects, in order or not.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::channel::{Sender, bounded};
use super::shared::{Job, JobOutput, PipelineState, QueuedBatch};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Severity;
use crate::object::Object;
use crate::object::memory_budget::{MemoryBudget, UNORDERED};

/// Receives a source's objects. The source runs on its own thread and ends with [`ObjectSender::finish`]; a sender that is
/// dropped without it while the source is open means a panic, which the host gets as an error.
#[derive(Debug)]
pub struct ObjectSender {
    shared: Arc<PipelineState>,
    work: Sender<Job>,
    /// The outputs of all jobs, in the order in which the host reads them.
    order: Sender<JobOutput>,
    /// Number of the next job.
    next_job: u64,
    finished: bool,
}

/// Receives objects whose events may be delivered in any order. Clones submit to the same source.
#[derive(Clone, Debug)]
pub struct UnorderedSender {
    shared: Arc<PipelineState>,
    work: Sender<Job>,
    batches: Sender<Result<QueuedBatch>>,
}

/// A job's position in the output order, reserved before its objects are downloaded. Ends with [`OutputSlot::submit`],
/// [`OutputSlot::fail`] or [`OutputSlot::skip`]; one that is dropped otherwise is counted and logged as an internal error.
#[derive(Debug)]
pub struct OutputSlot {
    shared: Arc<PipelineState>,
    job: u64,
    objects: Option<Sender<Vec<Object>>>,
    batches: Sender<Result<QueuedBatch>>,
}

impl ObjectSender {
    pub(super) fn new(
        shared: Arc<PipelineState>,
        work: Sender<Job>,
        order: Sender<JobOutput>,
    ) -> Self {
        ObjectSender {
            shared,
            work,
            order,
            next_job: 0,
            finished: false,
        }
    }

    /// Adds a job; waits while too many are in progress. Returns `false` if the source is closed.
    pub fn push(&mut self, objects: Vec<Object>) -> bool {
        self.reserve().is_some_and(|slot| slot.submit(objects))
    }

    /// Reserves the next output slot; waits while too many jobs are in progress. `None` if the source is closed.
    pub fn reserve(&mut self) -> Option<OutputSlot> {
        if self.closed() {
            return None;
        }
        let number = self.next_job;
        self.next_job += 1;
        let batches = self.queue(number)?;
        // Decode threads take jobs in order, whenever their objects arrive: so one of them always has the job that the
        // host waits for, or an earlier one. Otherwise later jobs could occupy all threads, and their output would fill
        // up while the host waits for an earlier job.
        let (objects, receiver) = bounded(1);
        let job = Job {
            number,
            objects: receiver,
            batches: batches.clone(),
        };
        self.work.send(job).ok()?;
        Some(OutputSlot {
            shared: Arc::clone(&self.shared),
            job: number,
            objects: Some(objects),
            batches,
        })
    }

    /// Accepts objects in any order instead. A source uses either this or [`ObjectSender::reserve`]. `None` if the source
    /// is closed.
    pub fn unordered(&self) -> Option<UnorderedSender> {
        Some(UnorderedSender {
            batches: self.queue(UNORDERED)?,
            shared: Arc::clone(&self.shared),
            work: self.work.clone(),
        })
    }

    /// Appends a job to the output order. Returns the sender of its batches; `None` if the source is closed.
    fn queue(&self, number: u64) -> Option<Sender<Result<QueuedBatch>>> {
        let slot = self.shared.slots.acquire(|| self.closed());
        let (output, batches) = JobOutput::new(number, slot);
        self.order.send(output).ok()?;
        // Either this reads that the source was closed meanwhile, and drops the job, or `Pipeline::stop` finds the job in
        // the queue: both store first and read then, and these accesses have one total order.
        fence(Ordering::SeqCst);
        (!self.closed()).then_some(batches)
    }

    /// Completes the source: the host gets the end after the last event.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// Whether the source is closed.
    pub fn closed(&self) -> bool {
        self.shared.closed()
    }
}

impl Drop for ObjectSender {
    fn drop(&mut self) {
        if !self.finished && !self.closed() {
            let line = "the source stopped because of an internal error; objects not read yet are not read";
            self.shared.metrics.errors_internal.add(1);
            self.shared.fail(Error::new(ErrorKind::Internal, line));
        }
    }
}

impl UnorderedSender {
    /// Queues the objects for decoding. Returns `false` if the source is closed.
    pub fn submit(&self, objects: Vec<Object>) -> bool {
        let (sender, receiver) = bounded(1);
        let job = Job {
            number: UNORDERED,
            objects: receiver,
            batches: self.batches.clone(),
        };
        self.shared.gathering.arrived();
        sender.send(objects).is_ok() && self.work.send(job).is_ok()
    }

    /// Ends the source with this error.
    pub fn fail(&self, error: Error) {
        self.shared.fail(error);
    }

    /// The budget for stored bytes that wait for a decode thread.
    pub fn stored_budget(&self) -> &Arc<MemoryBudget> {
        &self.shared.stored
    }
}

impl OutputSlot {
    /// The job's number in the output order.
    pub fn job(&self) -> u64 {
        self.job
    }

    /// The budget for stored bytes that wait for a decode thread.
    pub fn stored_budget(&self) -> &Arc<MemoryBudget> {
        &self.shared.stored
    }

    /// Queues the objects for decoding. Returns `false` if the source is closed.
    pub fn submit(mut self, objects: Vec<Object>) -> bool {
        // Does not block: the channel has room for the one message.
        let sender = self.objects.take();
        self.shared.gathering.arrived();
        sender.is_some_and(|sender| sender.send(objects).is_ok())
    }

    /// Ends the source with this error when the host gets to this slot.
    pub fn fail(mut self, error: Error) {
        // The only message of this job, so there is room. A closed source needs no error.
        let _ = self.batches.try_send(Err(error));
        self.objects = None;
    }

    /// Leaves the slot empty, for objects that were reported as lost.
    pub fn skip(mut self) {
        self.objects = None;
    }
}

impl Drop for OutputSlot {
    fn drop(&mut self) {
        if self.objects.is_some() && !self.shared.closed() {
            self.shared.metrics.errors_internal.add(1);
            self.shared.log.limited(
                "internal",
                Severity::Error,
                "an object was dropped because of an internal error; it is not read",
            );
        }
    }
}
