//! A decode thread: takes jobs in order, decodes their objects, sends the batches to the host.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::Receiver;

use super::shared::{Job, PipelineState, QueuedBatch};
use crate::batch::Batch;
use crate::decode::{BatchSender, Decoder};
use crate::error::{Error, ErrorKind};
use crate::log::Escaped;
use crate::object::Object;
use crate::object::ack::Failure;
use crate::object::memory_budget::{MemoryPermit, UNORDERED};

/// Decodes jobs until there are no more or the source is closed.
pub(super) fn run(shared: &PipelineState, work: &Receiver<Job>) {
    let batch = shared.pooled();
    let mut decoder = Decoder::new(shared.settings.limits, &shared.metrics, &shared.log, batch);
    for job in work {
        // A job that was skipped or has failed gets no objects.
        let Ok(objects) = job.objects.recv() else {
            continue;
        };
        if !decode_job(shared, &mut decoder, &job, objects) {
            return;
        }
    }
}

/// Returns whether to continue with the next job.
fn decode_job(
    shared: &PipelineState,
    decoder: &mut Decoder<'_>,
    job: &Job,
    objects: Vec<Object>,
) -> bool {
    let mut sender = JobBatchSender {
        shared,
        job,
        large: Vec::new(),
    };
    for object in objects {
        sender.large.clear();
        // A panic while decoding loses the object, not the host.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(&object, &mut sender)));
        let result = decoded.unwrap_or_else(|_| {
            decoder.recover();
            Err(report_panic(shared, &object))
        });
        match (result, object.ack) {
            (Ok(()), ack) => decoder.batch.ack_handles.extend(ack),
            (Err(error), _) if shared.settings.fail_on_error => {
                return sender.flush(&mut decoder.batch) && job.batches.send(Err(error)).is_ok();
            }
            (Err(error), Some(ack)) => ack.failed(Failure::Permanent(error.to_string())),
            (Err(_), None) => {}
        }
        if shared.closed() {
            return false;
        }
    }
    sender.flush(&mut decoder.batch)
}

/// Counts and logs that decoding panicked.
fn report_panic(shared: &PipelineState, object: &Object) -> Error {
    let (cause, outcome) = ("decoding failed", "the rest of it is skipped");
    shared.metrics.errors_internal.add(1);
    shared.log.lost(&object.name, cause, outcome);
    let name = Escaped(&object.name);
    Error::new(ErrorKind::Internal, format!("{name}: {cause}; {outcome}"))
}

/// Sends a job's batches to the host.
struct JobBatchSender<'a> {
    shared: &'a PipelineState,
    job: &'a Job,
    /// Memory of the current object beyond what each decode thread may use.
    large: Vec<MemoryPermit>,
}

impl BatchSender for JobBatchSender<'_> {
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

    fn acquire_memory(&mut self, bytes: u64) -> bool {
        let in_use: u64 = self.large.iter().map(MemoryPermit::bytes).sum();
        if bytes <= in_use {
            return true;
        }
        if self.job.number == UNORDERED {
            // Unordered jobs would deadlock if each kept its permits while it waits for more.
            self.large.clear();
        }
        let in_use: u64 = self.large.iter().map(MemoryPermit::bytes).sum();
        let budget = &self.shared.large;
        let more = budget.acquire_blocking(self.job.number, bytes - in_use);
        let open = more.is_some();
        self.large.extend(more);
        open
    }

    fn closed(&self) -> bool {
        self.shared.closed()
    }
}
