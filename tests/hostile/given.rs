//! Reading a source to its end, and what it gave.

use std::path::Path;
use std::process::Command;

use cloudtrail::host::{MetricValue, OwnedValue as Value, Plugin};

use crate::support;

/// What a source gave: the eventIDs in order, and the figures that are not 0 without `cloudtrail.`.
#[derive(Debug, PartialEq)]
pub struct Given {
    pub ids: Vec<String>,
    pub figures: Vec<(String, u64)>,
}

impl Given {
    pub fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(other, _)| other == name);
        found.map_or(0, |(_, value)| *value)
    }

    /// Everything that says that something was wrong.
    pub fn trouble(&self) -> Vec<(&str, u64)> {
        let says = |name: &str| {
            ["damaged.", "errors.", "skipped."]
                .iter()
                .any(|it| name.starts_with(it))
        };
        self.figures
            .iter()
            .filter(|(name, _)| says(name))
            .map(|(name, value)| (name.as_str(), *value))
            .collect()
    }
}

/// Reads `path` to its end with a plugin of its own.
pub fn read(path: &Path, config: &str) -> Given {
    let plugin = support::plugin(config);
    let id = plugin.request("ct.id").expect("a field");
    let mut ids = Vec::new();
    support::each_event(&plugin, path, |event| {
        let mut answer = plugin
            .extract_values(event, &[&id], false)
            .expect("an answer");
        ids.push(match answer.remove(0).value {
            Some(Value::Str(id)) => String::from_utf8_lossy(&id).into_owned(),
            other => format!("{other:?}"),
        });
    });
    Given {
        ids,
        figures: figures(&plugin),
    }
}

/// The figures that are not 0, without `cloudtrail.`.
pub fn figures(plugin: &Plugin) -> Vec<(String, u64)> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter_map(|metric| match metric.value {
            MetricValue::U64(0) => None,
            MetricValue::U64(value) => Some((metric.name.clone(), value)),
            other => panic!("{} is {other:?}", metric.name),
        })
        .collect()
}

/// What `ctcat` says of a source: its events, its peak memory in MB and the plugin's figures. In a process of its own,
/// because memory is counted for a whole process.
pub fn read_apart(path: &Path, config: &str) -> (u64, f64, Given) {
    // A shell that forks stands between: the kernel's figure for the peak starts with that of whoever calls exec, and
    // that would be this test with its files in memory.
    let run = Command::new("sh")
        .args(["-c", r#""$0" "$@"; exit $?"#, env!("CARGO_BIN_EXE_ctcat")])
        .args(["--count", "--stats", "--config", config, "--library"])
        .arg(support::library())
        .arg(path)
        .output()
        .expect("ctcat runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{told}");
    let peak = told
        .split("peak memory ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let figures = told
        .lines()
        // The other lines have more than a name and a number.
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
    let given = Given {
        ids: Vec::new(),
        figures,
    };
    (
        count,
        peak.and_then(|peak| peak.parse().ok()).expect("a peak"),
        given,
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
