//! A decode thread: takes jobs in order, decodes their objects, sends the batches to the host.
//!
//! Waking a thread costs as much as decoding a small object. So small objects that are there at the same time share a
//! batch, which wakes the host once; and a thread that had to wait for an object lets others gather.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::channel::{ReceiveError, Receiver};
use super::shared::{Job, PipelineState, QueuedBatch};
use crate::batch::Batch;
use crate::decode::{BatchSender, Decoder};
use crate::error::{Error, ErrorKind};
use crate::log::Escaped;
use crate::object::ack::Failure;
use crate::object::memory_budget::{MemoryPermit, UNORDERED};
use crate::object::{Content, Object};

/// Stored size up to which an object shares a batch with those before it, in bytes.
const SMALL: usize = 32 << 10;

/// Size of a shared batch from which on it is sent, in bytes: enough for some dozens of small objects.
const SHARED_BATCH: usize = 256 << 10;

/// Jobs that share a batch, at most: objects without events do not fill one.
const SHARED_JOBS: usize = 64;

/// Decodes jobs until there are no more or the source is closed.
pub(super) fn run(shared: &PipelineState, work: &Receiver<Job>) {
    let batch = shared.pooled();
    let mut decoder = Decoder::new(shared.settings.limits, &shared.metrics, &shared.log, batch);
    let mut group = Group {
        shared,
        jobs: Vec::new(),
        large: Vec::new(),
    };
    while let Some((job, objects)) = next(&mut group, &mut decoder.batch, work) {
        if !group.can_take(&job, &objects) && !group.send(&mut decoder.batch) {
            return;
        }
        group.jobs.push(job);
        if !decode(&mut group, &mut decoder, objects) {
            return;
        }
        let full = decoder.batch.event_bytes() >= SHARED_BATCH || group.jobs.len() >= SHARED_JOBS;
        if full && !group.send(&mut decoder.batch) {
            return;
        }
    }
}

/// The next job with its objects. What was decoded before is sent first if that has to be waited for. `None`: there are
/// no more jobs, or the source is closed.
fn next(
    group: &mut Group<'_>,
    batch: &mut Batch,
    work: &Receiver<Job>,
) -> Option<(Job, Vec<Object>)> {
    loop {
        let job = receive(work, group, batch)?;
        let objects = receive(&job.objects, group, batch);
        if group.shared.closed() {
            return None;
        }
        // A job that was skipped or has failed gets no objects.
        if let Some(objects) = objects {
            group.shared.gathering.taken();
            return Some((job, objects));
        }
    }
}

/// Receives from `channel`, and sends the group before it waits. `None`: the channel is closed.
fn receive<T>(channel: &Receiver<T>, group: &mut Group<'_>, batch: &mut Batch) -> Option<T> {
    match channel.try_recv() {
        Ok(received) => return Some(received),
        Err(ReceiveError::Disconnected) => {
            group.send(batch);
            return None;
        }
        Err(ReceiveError::Empty) => {}
    }
    if !group.send(batch) {
        return None;
    }
    let received = channel.recv()?;
    group.shared.gathering.gather();
    Some(received)
}

/// Decodes the objects of the group's last job. Returns whether to continue.
fn decode(group: &mut Group<'_>, decoder: &mut Decoder<'_>, objects: Vec<Object>) -> bool {
    let shared = group.shared;
    for object in objects {
        group.large.clear();
        // A panic while decoding loses the object, not the host.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(&object, group)));
        let result = decoded.unwrap_or_else(|_| {
            decoder.recover();
            Err(report_panic(shared, &object))
        });
        match (result, object.ack) {
            (Ok(()), ack) => decoder.batch.ack_handles.extend(ack),
            (Err(error), _) if shared.settings.fail_on_error => {
                return group.flush(&mut decoder.batch) && group.fail(error);
            }
            (Err(error), Some(ack)) => ack.failed(Failure::Permanent(error.to_string())),
            (Err(_), None) => {}
        }
        if shared.closed() {
            return false;
        }
    }
    group.large.clear();
    true
}

/// Counts and logs that decoding panicked.
fn report_panic(shared: &PipelineState, object: &Object) -> Error {
    let (cause, outcome) = ("decoding failed", "the rest of it is skipped");
    shared.metrics.errors_internal.add(1);
    shared.log.lost(&object.name, cause, outcome);
    let name = Escaped(&object.name);
    Error::new(ErrorKind::Internal, format!("{name}: {cause}; {outcome}"))
}

/// Jobs in output order, whose events are in the current batch. The batch goes to the first of them, and the others
/// then have no batch of their own.
struct Group<'a> {
    shared: &'a PipelineState,
    /// The last one is being decoded or was decoded last.
    jobs: Vec<Job>,
    /// Memory of the current object beyond what each decode thread may use.
    large: Vec<MemoryPermit>,
}

impl Group<'_> {
    /// Whether the events of `job` may join the batch.
    fn can_take(&self, job: &Job, objects: &[Object]) -> bool {
        let follows = |last: &Job| match job.number {
            UNORDERED => true,
            number => last.number + 1 == number,
        };
        let small = |object: &Object| match &object.content {
            Content::Memory(stored, _) => stored.len() <= SMALL,
            Content::File(_) => false,
        };
        self.jobs.last().is_none_or(follows) && objects.iter().all(small)
    }

    /// Sends what is in the batch, and ends the jobs. Returns whether to continue.
    fn send(&mut self, batch: &mut Batch) -> bool {
        // All but the first end before the batch is sent: the host would wait for the end of each.
        self.jobs.truncate(1);
        // Also a batch without events counts its objects.
        let sent = self.jobs.is_empty() || self.flush(batch);
        self.jobs.clear();
        sent
    }

    /// Ends the source with this error when the host gets to the last job. Returns whether to continue.
    fn fail(&mut self, error: Error) -> bool {
        let job = self.jobs.pop();
        job.is_some_and(|job| job.batches.send(Err(error)).is_ok())
    }

    /// The job that the host reads the batch from. Memory is acquired for this one: it is the first that the host may
    /// be waiting for.
    fn number(&self) -> u64 {
        self.jobs.first().map_or(UNORDERED, |job| job.number)
    }
}

impl BatchSender for Group<'_> {
    fn flush(&mut self, full: &mut Batch) -> bool {
        let Some(first) = self.jobs.first() else {
            return false;
        };
        let memory = full.memory();
        let decoded = &self.shared.decoded;
        let Some(permit) = decoded.acquire_blocking(first.number, memory) else {
            return false;
        };
        let batch = std::mem::replace(full, self.shared.pooled());
        let queued = QueuedBatch::new(batch, permit, &self.shared.metrics);
        // More may follow of the last one. Those between the two end before the batch is sent.
        let last = self.jobs.len() - 1;
        self.jobs.drain(last.min(1)..last);
        let first = self.jobs.first();
        let sent = first.is_some_and(|first| first.batches.send(Ok(queued)).is_ok());
        self.jobs.drain(..self.jobs.len() - 1);
        sent
    }

    fn acquire_memory(&mut self, bytes: u64) -> bool {
        let in_use: u64 = self.large.iter().map(MemoryPermit::bytes).sum();
        if bytes <= in_use {
            return true;
        }
        if self.number() == UNORDERED {
            // Unordered jobs would deadlock if each kept its permits while it waits for more.
            self.large.clear();
        }
        let in_use: u64 = self.large.iter().map(MemoryPermit::bytes).sum();
        let budget = &self.shared.large;
        let more = budget.acquire_blocking(self.number(), bytes - in_use);
        let open = more.is_some();
        self.large.extend(more);
        open
    }

    fn closed(&self) -> bool {
        self.shared.closed()
    }
}
