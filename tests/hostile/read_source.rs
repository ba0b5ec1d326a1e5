//! Reads a source to its end and returns its eventIDs and metrics.

use std::path::Path;
use std::process::Command;

use cloudtrail::host::{MetricValue, OwnedValue as Value, Plugin};

use crate::support;

/// The eventIDs of a source in order, and its metrics that are not 0, by their names without `cloudtrail.`.
#[derive(Debug, PartialEq)]
pub struct ReadResult {
    pub ids: Vec<String>,
    pub metrics: Vec<(String, u64)>,
}

impl ReadResult {
    pub fn metric(&self, name: &str) -> u64 {
        let found = self.metrics.iter().find(|(other, _)| other == name);
        found.map_or(0, |(_, value)| *value)
    }

    /// The metrics that count errors, damage and skipped records.
    pub fn errors(&self) -> Vec<(&str, u64)> {
        let says = |name: &str| {
            ["damaged.", "errors.", "skipped."]
                .iter()
                .any(|it| name.starts_with(it))
        };
        self.metrics
            .iter()
            .filter(|(name, _)| says(name))
            .map(|(name, value)| (name.as_str(), *value))
            .collect()
    }
}

/// Reads `path` to its end with a plugin of its own.
pub fn read(path: &Path, config: &str) -> ReadResult {
    let plugin = support::plugin(config);
    let id = plugin.request("ct.id").expect("a field");
    let mut ids = Vec::new();
    support::each_event(&plugin, path, |event| {
        let mut answer = plugin.extract_values(event, &[&id], false).expect("values");
        ids.push(match answer.remove(0).value {
            Some(Value::Str(id)) => String::from_utf8_lossy(&id).into_owned(),
            other => format!("{other:?}"),
        });
    });
    ReadResult {
        ids,
        metrics: metrics(&plugin),
    }
}

/// The metrics that are not 0, by their names without `cloudtrail.`.
pub fn metrics(plugin: &Plugin) -> Vec<(String, u64)> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter_map(|metric| match metric.value {
            MetricValue::U64(0) => None,
            MetricValue::U64(value) => Some((metric.name.clone(), value)),
            other => panic!("{} is {other:?}", metric.name),
        })
        .collect()
}

/// Reads a source with `ctcat`; returns the number of events, the peak memory in MB and the metrics. In a process of its
/// own, because the kernel measures memory per process.
pub fn read_apart(path: &Path, config: &str) -> (u64, f64, ReadResult) {
    // Through a shell: the kernel's peak starts with that of the process that calls exec, which would be this test with its
    // files in memory.
    let run = Command::new("sh")
        .args(["-c", r#""$0" "$@"; exit $?"#, env!("CARGO_BIN_EXE_ctcat")])
        .args(["--count", "--stats", "--config", config, "--library"])
        .arg(support::library())
        .arg(path)
        .output()
        .expect("ctcat runs");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{errors}");
    let peak = errors
        .split("peak memory ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let metrics = errors
        .lines()
        // Metric lines have a name and a number.
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .filter(|(_, value)| *value > 0)
        .collect();
    let count = String::from_utf8_lossy(&run.stdout)
        .trim()
        .parse()
        .expect("a count");
    let result = ReadResult {
        ids: Vec::new(),
        metrics,
    };
    (
        count,
        peak.and_then(|peak| peak.parse().ok()).expect("a peak"),
        result,
    )
}

/// A small record.
pub fn record(id: impl std::fmt::Display) -> String {
    format!(
        r#"{{"eventVersion":"1.11","eventTime":"2026-01-14T12:00:00Z","userIdentity":{{"type":"Root"}},"eventID":"{id}"}}"#
    )
}

/// The log file of these records.
pub fn wrap(records: &[&str]) -> Vec<u8> {
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}
