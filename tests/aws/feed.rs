//! The plugin, driven as Falco does, with its log lines and the eventIDs that it delivered.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloudtrail::host::{
    Capture, MetricValue, OwnedValue as Value, Plugin, Requests, Severity, Status,
};

use super::settings::Settings;
use crate::support::library;

/// Limit for one step: until the next events arrive, or a condition holds. Only a hang takes longer.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(40);

/// A loaded plugin and the lines that it logged.
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

    /// Opens a source, which must succeed.
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
            payloads: None,
            ended: false,
        }
    }

    /// Opens a source, which must fail; returns the error and the time until it came.
    pub fn refusal(&self, params: &str) -> (String, Duration) {
        let started = Instant::now();
        match self.plugin.open(params) {
            Ok(_) => panic!("{params} must not open"),
            Err(error) => (error.to_string(), started.elapsed()),
        }
    }

    /// The eventIDs of a source with an end, in order.
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

    /// Lines logged so far with this severity or a higher one.
    pub fn logged(&self, severity: Severity) -> Vec<String> {
        self.watch()(severity)
    }

    /// [`Feed::logged`] for another thread, while this one waits for the plugin.
    pub fn watch(&self) -> impl Fn(Severity) -> Vec<String> + Send + 'static {
        let lines = Arc::clone(&self.lines);
        move |severity| {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let severe = lines.iter().filter(|(of_line, _)| *of_line <= severity);
            severe.map(|(_, line)| line.clone()).collect()
        }
    }
}

/// An open source that is read; closed on drop.
pub struct Reading<'f> {
    capture: Capture<'f>,
    plugin: &'f Plugin,
    id: Requests,
    /// The eventIDs so far; empty for a record without one.
    pub ids: Vec<String>,
    /// The events' payloads, if the test asks for them.
    pub payloads: Option<Vec<Vec<u8>>>,
    ended: bool,
}

impl Reading<'_> {
    /// Reads to the end of the source.
    pub fn until_end(&mut self) {
        self.until_count_or_silence(usize::MAX);
        assert!(self.ended, "no end after {} events", self.ids.len());
    }

    /// Reads until there are `count` events, the source ends, or no event arrives for [`STEP_TIMEOUT`].
    fn until_count_or_silence(&mut self, count: usize) {
        let (mut last, mut since) = (self.ids.len(), Instant::now());
        while !self.ended && self.ids.len() < count && since.elapsed() < STEP_TIMEOUT {
            self.once();
            if self.ids.len() > last {
                (last, since) = (self.ids.len(), Instant::now());
            }
        }
    }

    /// Reads until `done` returns true for the eventIDs so far; false after `limit` or at the end.
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

    /// Reads until there are at least `count` events.
    pub fn until_count(&mut self, count: usize) {
        self.until_count_or_silence(count);
        let read = self.ids.len();
        assert!(read >= count, "{read} events instead of {count}");
    }

    /// Reads for this time.
    pub fn during(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// Calls `next_batch` once, which must succeed.
    pub fn once(&mut self) -> Status {
        self.try_once()
            .unwrap_or_else(|error| panic!("next_batch failed: {error}"))
    }

    /// Calls `next_batch` once.
    pub fn try_once(&mut self) -> Result<Status, String> {
        let (status, events) = self
            .capture
            .next_batch()
            .map_err(|error| error.to_string())?;
        for event in events {
            if let Some(payloads) = &mut self.payloads {
                payloads.push(event.payload().to_vec());
            }
            // The plugin keeps the batch of the last extracted event, as with Falco.
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

/// A sorted copy; duplicates stay.
pub fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}
