//! The plugin as Falco drives it, and what it delivered.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, MetricValue, Plugin, Requests, Severity, Status, Value};

use super::settings::Settings;
use crate::support::library;

/// No single step of any test takes longer unless something hangs. A step is what brings the next
/// events: how long many of them take says more of the machine.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(40);

/// A plugin and the lines that it logged.
pub struct Feed {
    plugin: Plugin,
    lines: Arc<Mutex<Vec<(Severity, String)>>>,
}

impl Feed {
    pub fn new(settings: &Settings) -> Feed {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let log = move |severity, line: &str| {
            let mut lines = into.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push((severity, line.to_owned()));
        };
        let plugin = Plugin::load_with_log(&library(), &settings.json(), log)
            .unwrap_or_else(|error| panic!("{error}"));
        Feed { plugin, lines }
    }

    /// Opens a source that must open.
    pub fn open(&self, params: &str) -> Reading<'_> {
        let capture = self.plugin.open(params);
        let id = self
            .plugin
            .request("ct.id")
            .and_then(|id| Requests::new(vec![id]));
        Reading {
            capture: capture.unwrap_or_else(|error| panic!("{params}: {error}")),
            plugin: &self.plugin,
            id: id.expect("a field of the plugin"),
            ids: Vec::new(),
            ended: false,
        }
    }

    /// Opens a source that must not open, and says why it does not and after how long.
    pub fn refusal(&self, params: &str) -> (String, Duration) {
        let started = Instant::now();
        match self.plugin.open(params) {
            Ok(_) => panic!("{params} must not open"),
            Err(error) => (error.to_string(), started.elapsed()),
        }
    }

    /// The eventIDs of a source that ends, in their order.
    pub fn read_all(&self, params: &str) -> Vec<String> {
        let mut reading = self.open(params);
        reading.until_end();
        reading.ids
    }

    pub fn metric(&self, name: &str) -> u64 {
        let metrics = self.plugin.metrics();
        let metric = metrics.iter().find(|metric| metric.name == name);
        match metric.unwrap_or_else(|| panic!("no metric {name}")).value {
            MetricValue::U64(value) => value,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// What was logged so far, at this severity or worse.
    pub fn logged(&self, severity: Severity) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let graver = lines.iter().filter(|(graver, _)| *graver <= severity);
        graver.map(|(_, line)| line.clone()).collect()
    }
}

/// An open source; dropping it closes it.
pub struct Reading<'f> {
    capture: Capture<'f>,
    plugin: &'f Plugin,
    id: Requests,
    /// The eventIDs so far; of a record without one an empty text.
    pub ids: Vec<String>,
    ended: bool,
}

impl Reading<'_> {
    /// Reads to the end, which must come.
    pub fn until_end(&mut self) {
        self.until_still(usize::MAX);
        assert!(self.ended, "no end after {} events", self.ids.len());
    }

    /// Reads until there are `count` events, the end, or no more events for longer than any step takes.
    fn until_still(&mut self, count: usize) {
        let (mut last, mut since) = (self.ids.len(), Instant::now());
        while !self.ended && self.ids.len() < count && since.elapsed() < STEP_TIMEOUT {
            self.once();
            if self.ids.len() > last {
                (last, since) = (self.ids.len(), Instant::now());
            }
        }
    }

    /// Reads until `done` holds of the eventIDs so far; says whether it came to that within `limit`.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&[String]) -> bool) -> bool {
        let end = Instant::now() + limit;
        while !done(&self.ids) {
            if self.ended || Instant::now() >= end {
                return false;
            }
            self.once();
        }
        true
    }

    /// Reads until there are `count` events, which must come.
    pub fn until_count(&mut self, count: usize) {
        self.until_still(count);
        let read = self.ids.len();
        assert!(read >= count, "{read} events instead of {count}");
    }

    /// Reads for so long whatever comes.
    pub fn during(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// One call; a failure is not to be had.
    pub fn once(&mut self) -> Status {
        self.try_once()
            .unwrap_or_else(|error| panic!("next_batch failed: {error}"))
    }

    /// One call.
    pub fn try_once(&mut self) -> Result<Status, String> {
        let (status, events) = self
            .capture
            .next_batch()
            .map_err(|error| error.to_string())?;
        for event in events {
            // The plugin keeps what extraction looked at, so this is part of how it is driven.
            let values = self.plugin.extract(event, &mut self.id, false);
            let value = values.expect("extraction works").field(0).to_value();
            self.ids.push(match value {
                Some(Value::Str(id)) => String::from_utf8_lossy(&id).into_owned(),
                _ => String::new(),
            });
        }
        self.ended |= status == Status::Eof;
        Ok(status)
    }
}

/// A copy in byte order, which shows what came twice.
pub fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}
