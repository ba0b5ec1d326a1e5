//! One open source: the pipeline's batches, handed to the host one at a time.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use falco_plugin_api as api;

use super::state::PluginState;
use crate::batch::Batch;
use crate::config::OnError;
use crate::decode::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::locate::Location;
use crate::locate::file::Files;
use crate::log::{Printable, Severity};
use crate::pipeline::{Next, Pipeline, Settings};

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
    /// The batch that the host holds.
    held: Option<Arc<Batch>>,
    /// Batches that extraction still looked at when the host gave them back.
    returned: Vec<Arc<Batch>>,
    pointers: Vec<*mut api::ss_plugin_event>,
    ended: bool,
    progress: Progress,
}

/// How much of what there is to read has been handed over.
#[derive(Default)]
struct Progress {
    objects: u64,
    bytes: u64,
    all_objects: u64,
    all_bytes: u64,
    text: CString,
}

impl Instance {
    /// Opens what `params` point at.
    pub(super) fn open(state: &PluginState, params: &str) -> Result<Instance> {
        match Location::parse(params)? {
            Location::Path(path) => Instance::open_path(state, &path),
            Location::S3 { .. } | Location::Sqs(_) => Err(Error::new(
                ErrorKind::OpenParams,
                format!(
                    "open parameters '{}': this version reads local files only; copy the logs to a folder and give its path",
                    Printable(params)
                ),
            )),
        }
    }

    fn open_path(state: &PluginState, path: &Path) -> Result<Instance> {
        let config = &state.config;
        let files = Files::at(path, config.include_insights, &state.log)?;
        let settings = Settings {
            threads: config.decode_threads(),
            jobs: 2 * config.decode_threads() + 2,
            max_buffered_bytes: config.max_buffered_bytes,
            fail_on_error: config.s3_on_error == OnError::Fail,
            limits: Limits {
                max_object_bytes: config.max_object_bytes,
                insights: config.include_insights,
            },
        };
        let progress = Progress {
            all_objects: files.len() as u64,
            all_bytes: files.bytes(),
            ..Progress::default()
        };
        state.log.line(
            Severity::Info,
            format_args!(
                "reading {} with {} files, {} bytes, on {} decode threads",
                path.display(),
                progress.all_objects,
                progress.all_bytes,
                settings.threads
            ),
        );
        let (metrics, log) = (Arc::clone(&state.metrics), Arc::clone(&state.log));
        let pipeline = Pipeline::start(settings, metrics, log, move |feed| files.feed(feed))?;
        Ok(Instance {
            pipeline,
            held: None,
            returned: Vec::new(),
            pointers: Vec::new(),
            ended: false,
            progress,
        })
    }

    /// The next events. Those of the last call are the host's no more.
    pub(super) fn next(&mut self, state: &PluginState) -> Result<Handed<'_>> {
        self.take_back(state);
        if self.ended {
            return Ok(Handed::End);
        }
        let progress = &mut self.progress;
        let next = self.pipeline.next(WAIT, |batch| {
            progress.objects += batch.objects;
            progress.bytes += batch.bytes_in;
        })?;
        match next {
            Next::Batch(batch) => Ok(Handed::Events(self.hold(state, batch))),
            Next::Timeout => Ok(Handed::Timeout),
            Next::End => {
                self.ended = true;
                self.report(state);
                Ok(Handed::End)
            }
        }
    }

    /// How much has been handed over: in hundredths of a percent, and in words.
    pub(super) fn progress(&mut self) -> (u32, &CString) {
        let progress = &mut self.progress;
        let parts = match (self.ended, progress.all_bytes) {
            (true, _) => 10_000,
            (false, 0) => 0,
            (false, all) => (progress.bytes.saturating_mul(10_000) / all).min(10_000),
        };
        let (read, all) = (progress.objects, progress.all_objects);
        let text = format!("{read}/{all} files, {}%", parts / 100);
        progress.text = CString::new(text).unwrap_or_default();
        (parts as u32, &progress.text)
    }

    fn hold(&mut self, state: &PluginState, mut batch: Batch) -> &mut [*mut api::ss_plugin_event] {
        self.pointers.clear();
        self.pointers.extend(batch.addresses().map(<*mut u8>::cast));
        let batch = self.held.insert(Arc::new(batch));
        state.live.replace(None, Some(batch));
        &mut self.pointers
    }

    fn take_back(&mut self, state: &PluginState) {
        if let Some(batch) = self.held.take() {
            state.live.replace(Some(&batch), None);
            self.returned.push(batch);
        }
        // Extraction lets go of a batch when it turns to another one.
        let returned = std::mem::take(&mut self.returned);
        for batch in returned {
            match Arc::try_unwrap(batch) {
                Ok(batch) => self.pipeline.recycle(batch),
                Err(batch) => self.returned.push(batch),
            }
        }
    }

    /// At the end, what it was in all.
    fn report(&self, state: &PluginState) {
        let metrics = &state.metrics;
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
            &metrics.errors_internal,
        ];
        let sum = |counters: &[&crate::metrics::Counter]| -> u64 {
            counters.iter().map(|counter| counter.value()).sum()
        };
        let (damaged, skipped, broken) = (sum(&damaged), sum(&skipped), sum(&broken));
        state.log.line(
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
    /// Stops the threads and lets go of the host's batch.
    pub(super) fn close(mut self, state: &PluginState) {
        self.take_back(state);
    }
}
