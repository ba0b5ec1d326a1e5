//! One open source: the pipeline's batches, handed to the host one at a time.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::mem;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use falco_plugin_api as api;

use super::state::{Instances, Live, PluginState};
use crate::batch::Batch;
use crate::error::Result;
use crate::log::Severity;
use crate::metrics::Counter;
use crate::object::ack::AckHandle;
use crate::pipeline::{Next, Pipeline};
use crate::source::open::{Opened, open};
use crate::source::runtime::Network;

/// How often a long sweep says how far it is.
const REPORT: Duration = Duration::from_secs(60);

/// How long a call waits for events. Hosts look for signals between two calls, and call again
/// at once, so this is both short and no spinning.
const WAIT: Duration = Duration::from_millis(100);

/// What the host gets for one call.
pub(super) enum Handed<'a> {
    /// These events. The host may write to them until the next call.
    Events(&'a mut [*mut api::ss_plugin_event]),
    /// None yet.
    Timeout,
    /// None any more.
    End,
}

/// One open source.
pub(super) struct Instance {
    pipeline: Pipeline,
    network: Option<Network>,
    /// The batch that the host holds.
    held: Option<Arc<Batch>>,
    /// Of the objects that end in that batch.
    ack_handles: Vec<AckHandle>,
    /// Batches that extraction still looked at when the host gave them back.
    returned: Vec<Arc<Batch>>,
    pointers: Vec<*mut api::ss_plugin_event>,
    ended: bool,
    progress: Progress,
    reported: Instant,
    /// Where it is known as open, and where its batch is: closing may come without the plugin's state.
    pub(super) known: Arc<Instances>,
    live: Arc<Live>,
    /// The process that its threads are in.
    process: u32,
}

/// How much of what there is to read has been handed over.
#[derive(Default)]
struct Progress {
    objects: u64,
    bytes: u64,
    total: Option<(u64, u64)>,
    /// Objects at the last report.
    told: u64,
    /// What the host was given last; nothing but its next question changes it.
    text: CString,
}

impl Instance {
    /// Opens what `params` point at.
    pub(super) fn open(state: &PluginState, params: &str) -> Result<Instance> {
        let Opened {
            pipeline,
            network,
            total,
        } = open(&state.context, params)?;
        Ok(Instance {
            pipeline,
            network,
            held: None,
            ack_handles: Vec::new(),
            returned: Vec::new(),
            pointers: Vec::new(),
            ended: false,
            progress: Progress {
                total,
                ..Progress::default()
            },
            reported: Instant::now(),
            known: Arc::clone(&state.instances),
            live: Arc::clone(&state.live),
            process: process::id(),
        })
    }

    /// The next events. Those of the last call are the host's no more.
    pub(super) fn next(&mut self, state: &PluginState) -> Result<Handed<'_>> {
        self.take_back();
        if self.ended {
            return Ok(Handed::End);
        }
        let progress = &mut self.progress;
        let next = self.pipeline.next(WAIT, |batch| {
            progress.objects += batch.objects;
            progress.bytes += batch.bytes_in;
        })?;
        self.report_progress(state);
        match next {
            Next::Batch(batch) => Ok(Handed::Events(self.hold(batch))),
            Next::Timeout => Ok(Handed::Timeout),
            Next::End => {
                self.ended = true;
                self.report(state);
                Ok(Handed::End)
            }
        }
    }

    /// How much has been handed over: in hundredths of a percent, and in words. The text stays until the next call.
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

    fn hold(&mut self, mut batch: Batch) -> &mut [*mut api::ss_plugin_event] {
        self.pointers.clear();
        self.pointers.extend(batch.addresses().map(<*mut u8>::cast));
        self.ack_handles.append(&mut batch.ack_handles);
        let batch = self.held.insert(Arc::new(batch));
        self.live.replace(None, Some(batch));
        &mut self.pointers
    }

    fn take_back(&mut self) {
        if let Some(batch) = self.held.take() {
            self.live.replace(Some(&batch), None);
            self.returned.push(batch);
        }
        // The host has come back for more, so it has processed these.
        for ticket in self.ack_handles.drain(..) {
            ticket.delivered();
        }
        // Extraction lets go of a batch when it turns to another one.
        let returned = mem::take(&mut self.returned);
        for batch in returned {
            match Arc::try_unwrap(batch) {
                Ok(batch) => self.pipeline.recycle(batch),
                Err(batch) => self.returned.push(batch),
            }
        }
    }

    /// Once a minute, how far a long sweep has come, if it has.
    fn report_progress(&mut self, state: &PluginState) {
        if self.reported.elapsed() < REPORT {
            return;
        }
        self.reported = Instant::now();
        // A queue may bring nothing for hours.
        if mem::replace(&mut self.progress.told, self.progress.objects) == self.progress.objects {
            return;
        }
        let (_, text) = self.describe_progress();
        let events = state.context.metrics.events.value();
        state.context.log.line(
            Severity::Info,
            format_args!("{text}, {events} events so far"),
        );
    }

    /// At the end, what it was in all.
    fn report(&self, state: &PluginState) {
        let metrics = &state.context.metrics;
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
        let broken = [
            &metrics.errors_read,
            &metrics.errors_gzip,
            &metrics.errors_too_large,
            &metrics.errors_fetch,
            &metrics.errors_list,
            &metrics.errors_internal,
        ];
        let sum =
            |counters: &[&Counter]| -> u64 { counters.iter().map(|counter| counter.value()).sum() };
        let (damaged, skipped, broken) = (sum(&damaged), sum(&skipped), sum(&broken));
        state.context.log.line(
            match damaged + broken {
                0 => Severity::Info,
                _ => Severity::Warning,
            },
            format_args!(
                "all is read: so far {} events from {} files; records skipped: {skipped}, damaged: {damaged}; files with errors: {broken}",
                metrics.events.value(),
                metrics.objects.value(),
            ),
        );
    }
}

impl Instance {
    /// Stops the threads. Messages whose events the host may not have processed are left to the
    /// queue: the last batch counts as handed over only when the host comes back for more.
    pub(super) fn close(mut self) {
        if self.is_elsewhere() {
            // A forked process has none of the threads, and whatever they held locked stays so. The parent goes on with
            // all of this.
            mem::forget(self);
            return;
        }
        if let Some(batch) = self.held.take() {
            self.live.replace(Some(&batch), None);
        }
        self.pipeline.stop();
        if let Some(network) = self.network.take() {
            network.close();
        }
    }

    /// Whether this process is a fork of the one that opened the source.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.process != process::id()
    }
}
