//! An open source: passes the pipeline's batches to the host, one at a time.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::mem;
use std::process;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use falco_plugin_api as api;

use super::live_batches::LiveBatches;
use crate::batch::Batch;
use crate::error::Result;
use crate::log::Severity;
use crate::metrics::Counter;
use crate::object::ack::AckHandle;
use crate::pipeline::{Next, Pipeline};
use crate::source::open::{Opened, SourceContext, open};
use crate::source::runtime::Network;

/// Interval of progress lines in the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Longest wait for events in one call. The host handles signals between two calls, and calls again at once: short enough
/// for the former, long enough not to spin.
const WAIT: Duration = Duration::from_millis(100);

/// Result of [`Instance::next`].
pub(super) enum NextEvents<'a> {
    /// Addresses of events. The host may write to the events until the next call.
    Events(&'a mut [*mut api::ss_plugin_event]),
    /// No events in time.
    Timeout,
    /// The source is complete.
    End,
}

/// An open source.
pub(super) struct Instance {
    pipeline: Pipeline,
    network: Option<Network>,
    /// The batch that the host uses.
    current: Option<Arc<Batch>>,
    /// Handles of the objects that end in `current`.
    ack_handles: Vec<AckHandle>,
    /// Batches that the host has returned but extraction still references.
    returned: Vec<Arc<Batch>>,
    pointers: Vec<*mut api::ss_plugin_event>,
    ended: bool,
    progress: SourceProgress,
    last_report: Instant,
    /// The plugin state's lists, shared: `plugin_close` may come without the state.
    pub(super) open_instances: Arc<OpenInstances>,
    live: Arc<LiveBatches>,
    /// The process that has the threads.
    process: u32,
}

/// Objects and bytes delivered so far.
#[derive(Default)]
struct SourceProgress {
    objects: u64,
    /// Stored bytes.
    bytes: u64,
    /// Objects and stored bytes in total, if known.
    total: Option<(u64, u64)>,
    /// Objects at the last report.
    reported: u64,
    /// The text that the host got last.
    text: CString,
}

impl Instance {
    /// Opens what `params` point at. Each batch of the instance is in `live` while the host uses it.
    pub(super) fn open(
        context: &SourceContext,
        live: &Arc<LiveBatches>,
        open_instances: &Arc<OpenInstances>,
        params: &str,
    ) -> Result<Instance> {
        let Opened {
            pipeline,
            network,
            total,
        } = open(context, params)?;
        Ok(Instance {
            pipeline,
            network,
            current: None,
            ack_handles: Vec::new(),
            returned: Vec::new(),
            pointers: Vec::new(),
            ended: false,
            progress: SourceProgress {
                total,
                ..SourceProgress::default()
            },
            last_report: Instant::now(),
            open_instances: Arc::clone(open_instances),
            live: Arc::clone(live),
            process: process::id(),
        })
    }

    /// The next events. Ends the host's use of those of the last call, and acknowledges their objects.
    pub(super) fn next(&mut self, context: &SourceContext) -> Result<NextEvents<'_>> {
        self.reclaim();
        if self.ended {
            return Ok(NextEvents::End);
        }
        let progress = &mut self.progress;
        let next = self.pipeline.next(WAIT, |batch| {
            progress.objects += batch.objects;
            progress.bytes += batch.bytes_in;
        })?;
        self.report_progress(context);
        match next {
            Next::Batch(batch) => Ok(NextEvents::Events(self.publish(batch))),
            Next::Timeout => Ok(NextEvents::Timeout),
            Next::End => {
                self.ended = true;
                self.report_end(context);
                Ok(NextEvents::End)
            }
        }
    }

    /// The progress in hundredths of a percent, and as a text, which stays until the next call.
    pub(super) fn progress(&mut self) -> (u32, &CString) {
        let (parts, text) = self.describe_progress();
        self.progress.text = CString::new(text).unwrap_or_default();
        (parts, &self.progress.text)
    }

    fn describe_progress(&self) -> (u32, String) {
        let progress = &self.progress;
        let all_bytes = progress.total.map_or(0, |(_, bytes)| bytes);
        let parts = match (self.ended, all_bytes) {
            (true, _) => 10_000,
            (false, 0) => 0,
            (false, all) => (progress.bytes.saturating_mul(10_000) / all).min(10_000),
        };
        let text = match progress.total {
            Some((all, _)) => format!("{}/{all} files, {}%", progress.objects, parts / 100),
            None => format!("{} files", progress.objects),
        };
        (parts as u32, text)
    }

    /// Makes the batch live.
    fn publish(&mut self, mut batch: Batch) -> &mut [*mut api::ss_plugin_event] {
        self.pointers.clear();
        self.pointers.extend(batch.addresses().map(<*mut u8>::cast));
        self.ack_handles.append(&mut batch.ack_handles);
        let batch = self.current.insert(Arc::new(batch));
        self.live.add(batch);
        self.pipeline.handed_over();
        &mut self.pointers
    }

    /// Takes the live batch back.
    fn reclaim(&mut self) {
        if let Some(batch) = self.current.take() {
            self.live.remove(&batch);
            self.returned.push(batch);
        }
        // The host calls again, so it has processed the events of the last call.
        for ack in self.ack_handles.drain(..) {
            ack.delivered();
        }
        // Extraction drops its reference when it selects an event of another batch.
        let returned = mem::take(&mut self.returned);
        for batch in returned {
            match Arc::try_unwrap(batch) {
                Ok(batch) => self.pipeline.recycle(batch),
                Err(batch) => self.returned.push(batch),
            }
        }
    }

    /// Logs the progress, once a minute and only if there is any: a queue may be empty for hours.
    fn report_progress(&mut self, context: &SourceContext) {
        if self.last_report.elapsed() < REPORT_INTERVAL {
            return;
        }
        self.last_report = Instant::now();
        let objects = self.progress.objects;
        if mem::replace(&mut self.progress.reported, objects) == objects {
            return;
        }
        let (_, text) = self.describe_progress();
        let events = context.metrics.events.value();
        context.log.line(
            Severity::Info,
            format_args!("{text}, {events} events so far"),
        );
    }

    /// Logs the totals when the source is complete.
    fn report_end(&self, context: &SourceContext) {
        let metrics = &context.metrics;
        let damaged = [
            &metrics.damaged_unbalanced,
            &metrics.damaged_not_an_object,
            &metrics.damaged_cut_off,
            &metrics.damaged_too_long,
            &metrics.damaged_given_up,
        ];
        let skipped = [
            &metrics.skipped_insight,
            &metrics.skipped_no_time,
            &metrics.skipped_digest,
        ];
        let errors = [
            &metrics.errors_read,
            &metrics.errors_gzip,
            &metrics.errors_too_large,
            &metrics.errors_fetch,
            &metrics.errors_list,
            &metrics.errors_internal,
        ];
        let sum =
            |counters: &[&Counter]| -> u64 { counters.iter().map(|counter| counter.value()).sum() };
        let (damaged, skipped, errors) = (sum(&damaged), sum(&skipped), sum(&errors));
        let withheld = |what: &str, counter: &Counter| match counter.value() {
            0 => String::new(),
            events => format!("; {what}: {events}"),
        };
        let withheld = withheld("events dropped by dropEvents", &metrics.skipped_dropped)
            + &withheld("duplicates", &metrics.skipped_duplicate);
        context.log.line(
            match damaged + errors {
                0 => Severity::Info,
                _ => Severity::Warning,
            },
            format_args!(
                "source complete; totals so far: {} events from {} files; records skipped: {skipped}, damaged: {damaged}; files with errors: {errors}{withheld}",
                metrics.events.value(),
                metrics.objects.value(),
            ),
        );
    }

    /// Stops the threads. Does not acknowledge the objects of the live batch: the host may not have processed its events, so
    /// their messages stay in the queue.
    pub(super) fn close(mut self) {
        if self.is_forked() {
            // The child has none of the threads, and their locks stay locked. The parent continues to use all of
            // this.
            mem::forget(self);
            return;
        }
        if let Some(batch) = self.current.take() {
            self.live.remove(&batch);
        }
        self.pipeline.stop();
        if let Some(network) = self.network.take() {
            network.close();
        }
    }

    /// Whether this process is a fork of the one that opened the source.
    pub(super) fn is_forked(&self) -> bool {
        self.process != process::id()
    }
}

/// Instances that were opened and not closed. If the host destroys the plugin with open instances, their threads must end
/// before the library is unloaded.
#[derive(Default)]
pub(super) struct OpenInstances(
    /// Atomic only because a raw pointer is not `Send`. Relaxed: the lock orders every access.
    Mutex<Vec<AtomicPtr<Instance>>>,
);

impl OpenInstances {
    pub(super) fn add(&self, instance: *mut Instance) {
        self.lock().push(AtomicPtr::new(instance));
    }

    pub(super) fn remove(&self, instance: *mut Instance) {
        self.lock()
            .retain(|open| open.load(Ordering::Relaxed) != instance);
    }

    /// Removes and returns all.
    pub(super) fn take_all(&self) -> Vec<*mut Instance> {
        let open = std::mem::take(&mut *self.lock());
        open.into_iter().map(AtomicPtr::into_inner).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AtomicPtr<Instance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
