//! `ctcat check`: tests a configuration and a source step by step, up to the first events.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, MetricKind, Plugin, Status};
use serde_json::{Map, Value};

use crate::args::{CheckArgs, OutputFormat};
use crate::print::Printer;
use crate::{Stop, escape, handle_interrupts, interrupt, library, terminal};

/// Name prefixes of metrics that count errors and losses.
const PROBLEM_PREFIXES: [&str; 3] = ["errors.", "damaged.", "skipped."];

/// Metrics with such a prefix that count what the configuration asks for, each with its key.
const INTENDED: [(&str, &str); 2] = [
    ("skipped.dropped", "dropEvents"),
    ("skipped.duplicate", "dedupWindow"),
];

/// Configuration keys, with their values, that keep a check from deleting messages.
const WITHOUT_DELETION: [(&str, &str); 2] =
    [("sqsDelete", "false"), ("sqsDeleteWhen", "\"delivered\"")];

/// The key of the state file, and the value that keeps a check from creating, locking and changing it.
const WITHOUT_STATE: [(&str, &str); 1] = [("s3State", "\"\"")];

/// Longest first line of a state file that is read, in bytes.
const MAX_HEADER: u64 = 1 << 20;

/// Runs `ctcat check`, which deletes nothing. The plugin's log goes to stderr.
pub fn check(args: CheckArgs) -> Result<(), Stop> {
    let config = args.config.load()?;
    let library = library(&args.library)?;
    handle_interrupts()?;
    let plugin = Plugin::load_with_log(&library, &config, terminal::log_line)?;
    step("configuration", "accepted")?;
    let is_queue = is_queue(&args.source);
    let state = state_path(&config);
    let overrides: &[_] = match (is_queue, &state) {
        (true, _) => &WITHOUT_DELETION,
        (false, Some(_)) => &WITHOUT_STATE,
        (false, None) => &[],
    };
    let plugin = match overrides {
        [] => plugin,
        overrides => {
            drop(plugin);
            reloaded(&library, &config_with(&config, overrides))?
        }
    };
    let mut capture = plugin.open(&args.source)?;
    step("source", &format!("{} is open", args.source))?;
    let events = first_events(&plugin, &mut capture, Duration::from_secs(args.wait));
    // Returns received messages to the queue, also after a failure.
    drop(capture);
    if is_queue {
        step("messages", &received(&plugin))?;
    }
    let has_events = events?;
    for filtered in filtered(&plugin) {
        step("filter", &filtered)?;
    }
    let mut problems = problems(&plugin);
    if let Some(path) = state.filter(|_| !is_queue) {
        match describe_state(&path, &args.source) {
            Ok(state) => step("state", &state)?,
            Err(problem) => problems.push(problem),
        }
    }
    for problem in &problems {
        step("problem", problem)?;
    }
    match (has_events, problems.is_empty()) {
        (true, true) => step("result", "Falco can read this"),
        (false, true) => step(
            "result",
            &format!(
                "no errors, but no events within {} s; there may be no new logs",
                args.wait
            ),
        ),
        (_, false) => {
            step("result", "there are problems, see above")?;
            Err(Stop::Reported)
        }
    }
}

fn is_queue(source: &str) -> bool {
    let scheme = source.trim_start().get(..6);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("sqs://"))
}

/// Path of the state file (`s3State`), if the configuration has one. The last of several equal keys counts.
fn state_path(config: &str) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_str(config).ok()?;
    let mut members = members.iter().rev();
    let (_, path) = members.find(|(key, _)| key.eq_ignore_ascii_case(WITHOUT_STATE[0].0))?;
    let path = path.as_str().filter(|path| !path.is_empty());
    path.map(str::to_owned)
}

/// Describes the state file by its first line; the check does not use it. The error is a problem with it.
fn describe_state(path: &str, source: &str) -> Result<String, String> {
    // Opening a pipe would block.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(format!("s3State {path} is no regular file"));
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(format!("{path} does not exist; Falco will create it"));
        }
        file => file.map_err(|error| format!("s3State {path} cannot be read: {error}"))?,
    };
    let mut line = String::new();
    let read = BufReader::new(file.take(MAX_HEADER)).read_line(&mut line);
    read.map_err(|error| format!("s3State {path} cannot be read: {error}"))?;
    let header: Value = serde_json::from_str(&line).unwrap_or_default();
    let text = |name: &str| header[name].as_str();
    let (Some(bucket), Some(prefix), true) =
        (text("bucket"), text("prefix"), header["s3_state"].is_u64())
    else {
        return Err(format!("s3State {path} is damaged, or no state file"));
    };
    let (saved, source) = (format!("s3://{bucket}/{prefix}"), source.trim());
    let opened = source.split_once("://").map_or(source, |(_, rest)| rest);
    if saved[5..].trim_end_matches('/') != opened.trim_end_matches('/') {
        return Err(format!("s3State {path} belongs to {saved}"));
    }
    Ok(format!(
        "{path} has a position in {saved}; not used and not changed"
    ))
}

/// Reloads the plugin with an accepted configuration that was changed.
fn reloaded(library: &Path, config: &str) -> Result<Plugin, Stop> {
    // Messages about the configuration were logged at the first load.
    let loaded = Arc::new(AtomicBool::new(false));
    let is_loaded = Arc::clone(&loaded);
    let log = move |severity, message: &str| {
        if is_loaded.load(Ordering::Relaxed) {
            terminal::log_line(severity, message);
        }
    };
    let plugin = Plugin::load_with_log(library, config, log)?;
    loaded.store(true, Ordering::Relaxed);
    Ok(plugin)
}

/// Sets these keys in `config`. Keys are case-insensitive, and the last of several equal ones counts.
fn config_with(config: &str, overrides: &[(&str, &str)]) -> String {
    let members: Option<Map<String, Value>> = serde_json::from_str(config).ok();
    let mut members = members.unwrap_or_default();
    members.retain(|key, _| {
        !overrides
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(key))
    });
    let others = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    let overrides = overrides
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"));
    let all: Vec<String> = others.chain(overrides).collect();
    format!("{{{}}}", all.join(","))
}

/// Number of messages that the check has received, and the consequence for the queue.
fn received(plugin: &Plugin) -> String {
    let metrics = plugin.metrics().into_iter();
    let count = metrics
        .filter(|metric| metric.name == "messages.received")
        .map(|metric| metric.value.to_string())
        .next();
    match count.as_deref().unwrap_or("0") {
        "0" => "none received, the queue is unchanged".to_owned(),
        count => format!(
            "{count} received, none deleted: returned to the queue; each counts as one receive toward maxReceiveCount"
        ),
    }
}

/// Waits for events and prints the first. Returns `false` after `wait` without any.
fn first_events(plugin: &Plugin, capture: &mut Capture<'_>, wait: Duration) -> Result<bool, Stop> {
    let mut printer = Printer::new(plugin, OutputFormat::Text, false, Vec::new(), false)?;
    let started = Instant::now();
    loop {
        if interrupt::is_requested() {
            return Err(Stop::Interrupted);
        }
        let (status, mut events) = capture.next_batch()?;
        let count = events.len();
        if let Some(event) = events.next() {
            let mut line = Vec::new();
            printer.event(event, &mut line);
            let line = String::from_utf8_lossy(&line);
            step(
                "events",
                &format!("{count} in the first batch, starting with:"),
            )?;
            step("", line.trim_end())?;
            return Ok(true);
        }
        if status == Status::Eof {
            let problem = match filtered(plugin).as_slice() {
                [] => "the source has no events".to_owned(),
                filtered => format!("the source has no other events: {}", filtered.join(", ")),
            };
            return Err(Stop::Error(problem));
        }
        if started.elapsed() >= wait {
            return Ok(false);
        }
    }
}

/// How many events the configuration keeps from Falco, by key.
fn filtered(plugin: &Plugin) -> Vec<String> {
    let metrics = plugin.metrics();
    let counts = INTENDED.iter().filter_map(|(name, key)| {
        let metric = metrics.iter().find(|metric| metric.name == *name)?;
        let count = metric.value.to_string();
        (count != "0").then(|| format!("{key} withheld {count} events"))
    });
    counts.collect()
}

/// The plugin's counters of errors and losses that are not 0.
fn problems(plugin: &Plugin) -> Vec<String> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter(|metric| metric.kind == MetricKind::Monotonic)
        .filter(|metric| {
            let mut prefixes = PROBLEM_PREFIXES.iter();
            prefixes.any(|prefix| metric.name.starts_with(prefix))
        })
        .filter(|metric| INTENDED.iter().all(|(name, _)| metric.name != *name))
        .map(|metric| (metric.value.to_string(), metric.name))
        .filter(|(value, _)| value != "0")
        .map(|(value, name)| format!("{name} is {value}"))
        .collect()
}

/// Prints the result of a step.
fn step(name: &str, result: &str) -> Result<(), Stop> {
    let mut line = Vec::new();
    escape::plain(&mut line, result.as_bytes());
    let mut out = io::stdout().lock();
    write!(out, "{name:<15}")?;
    out.write_all(&line)?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletion_is_off_whatever_the_configuration() {
        const OFF: &str = r#""sqsDelete":false,"sqsDeleteWhen":"delivered""#;
        for (config, expected) in [
            ("", format!("{{{OFF}}}")),
            ("null", format!("{{{OFF}}}")),
            (
                r#"{"SQSDELETE": true, "sqsdeletewhen": "received"}"#,
                format!("{{{OFF}}}"),
            ),
            (
                r#"{"aws": {"region": "x"}, "sqsDeleteWhen": "received"}"#,
                format!(r#"{{"aws":{{"region":"x"}},{OFF}}}"#),
            ),
        ] {
            assert_eq!(config_with(config, &WITHOUT_DELETION), expected, "{config}");
        }
    }

    #[test]
    fn the_scheme_identifies_a_queue() {
        assert!(is_queue("sqs://q") && is_queue(" SQS://q"));
        assert!(!is_queue("s3://b") && !is_queue("sqs:/") && !is_queue("é"));
    }
}
