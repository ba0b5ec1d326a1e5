//! `ctcat check`: a configuration and a source, step by step, down to the first events.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, MetricKind, Plugin, Status};
use serde_json::{Map, Value};

use crate::args::{self, CheckArgs, Output};
use crate::print::Printer;
use crate::{Stop, interrupt, library, terminal};

/// Starts of the names of metrics that count what went wrong.
const PROBLEMS: [&str; 3] = ["errors.", "damaged.", "skipped."];

/// Keys that a check of a queue sets, so that it deletes nothing.
const WITHOUT_DELETION: [(&str, &str); 2] =
    [("sqsDelete", "false"), ("sqsDeleteWhen", "\"delivered\"")];

/// Runs `ctcat check`, which changes nothing. What the plugin logs goes to stderr, as Falco would log it.
pub fn check(args: CheckArgs) -> Result<(), Stop> {
    let config = args::config(args.config.as_deref())?;
    let library = library(&args.library)?;
    interrupt::watch();
    let plugin = Plugin::load_with_log(&library, &config, terminal::log_line)?;
    step("configuration", "accepted")?;
    let is_queue = is_queue(&args.source);
    let plugin = match is_queue {
        true => {
            drop(plugin);
            without_deletion(&library, &config)?
        }
        false => plugin,
    };
    let mut capture = plugin.open(&args.source)?;
    step("source", &format!("{} is open", args.source))?;
    let found = first_events(&plugin, &mut capture, Duration::from_secs(args.wait));
    // Hands received messages back to the queue, also after a failure.
    drop(capture);
    if is_queue {
        step("messages", &received(&plugin))?;
    }
    let found = found?;
    let problems = problems(&plugin);
    for problem in &problems {
        step("problem", problem)?;
    }
    match (found, problems.is_empty()) {
        (true, true) => step("result", "Falco can read this"),
        (false, true) => step(
            "result",
            &format!(
                "nothing came within {} s, and nothing is wrong: there may be no logs now",
                args.wait
            ),
        ),
        (_, false) => {
            step("result", "see above")?;
            Err(Stop::Failed)
        }
    }
}

fn is_queue(source: &str) -> bool {
    let scheme = source.trim_start().get(..6);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("sqs://"))
}

/// The plugin with a configuration that was accepted, but for the deletion of messages.
fn without_deletion(library: &Path, config: &str) -> Result<Plugin, Stop> {
    // What it says of the configuration was said before.
    let loaded = Arc::new(AtomicBool::new(false));
    let speaks = Arc::clone(&loaded);
    let log = move |severity, message: &str| {
        if speaks.load(Ordering::Relaxed) {
            terminal::log_line(severity, message);
        }
    };
    let plugin = Plugin::load_with_log(library, &with_deletion_off(config), log)?;
    loaded.store(true, Ordering::Relaxed);
    Ok(plugin)
}

/// The configuration with [`WITHOUT_DELETION`]. Its keys match in any case; the last of several counts.
fn with_deletion_off(config: &str) -> String {
    let members: Option<Map<String, Value>> = serde_json::from_str(config).ok();
    let mut members = members.unwrap_or_default();
    members.retain(|key, _| {
        let mut own = WITHOUT_DELETION.iter();
        !own.any(|(name, _)| name.eq_ignore_ascii_case(key))
    });
    let others = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    let own = WITHOUT_DELETION.iter();
    let own = own.map(|(key, value)| format!("\"{key}\":{value}"));
    let all: Vec<String> = others.chain(own).collect();
    format!("{{{}}}", all.join(","))
}

/// How many messages the check has received, and what that means for the queue.
fn received(plugin: &Plugin) -> String {
    let metrics = plugin.metrics().into_iter();
    let count = metrics
        .filter(|metric| metric.name == "messages.received")
        .map(|metric| metric.value.to_string())
        .next();
    match count.as_deref().unwrap_or("0") {
        "0" => "none received; the queue is as it was".to_owned(),
        count => format!(
            "{count} received, none deleted: they go back to the queue, which has counted one receive of each toward maxReceiveCount"
        ),
    }
}

/// Waits for events and shows the first; `false` if none came.
fn first_events(plugin: &Plugin, capture: &mut Capture<'_>, wait: Duration) -> Result<bool, Stop> {
    let mut printer = Printer::new(plugin, Output::Text, false, Vec::new(), false)?;
    let started = Instant::now();
    loop {
        if interrupt::asked() {
            return Err(Stop::Interrupted);
        }
        let (status, mut events) = capture.next_batch()?;
        let count = events.len();
        if let Some(event) = events.next() {
            let mut line = Vec::new();
            printer.event(event, &mut line);
            let line = String::from_utf8_lossy(&line);
            step("events", &format!("{count} at first, the first of them:"))?;
            step("", line.trim_end())?;
            return Ok(true);
        }
        if status == Status::Eof {
            return Err(Stop::Error("the source ends without an event".to_owned()));
        }
        if started.elapsed() >= wait {
            return Ok(false);
        }
    }
}

/// What the plugin counted of what went wrong.
fn problems(plugin: &Plugin) -> Vec<String> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter(|metric| metric.kind == MetricKind::Monotonic)
        .filter(|metric| PROBLEMS.iter().any(|start| metric.name.starts_with(start)))
        .map(|metric| (metric.value.to_string(), metric.name))
        .filter(|(value, _)| value != "0")
        .map(|(value, name)| format!("{name} is {value}"))
        .collect()
}

fn step(name: &str, what: &str) -> Result<(), Stop> {
    let mut line = Vec::new();
    crate::escape::plain(&mut line, what.as_bytes());
    let mut out = io::stdout().lock();
    write!(out, "{name:<15}")?;
    out.write_all(&line)?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_never_deletes_whatever_is_configured() {
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
            assert_eq!(with_deletion_off(config), expected, "{config}");
        }
    }

    #[test]
    fn a_queue_is_told_by_its_scheme() {
        assert!(is_queue("sqs://q") && is_queue(" SQS://q"));
        assert!(!is_queue("s3://b") && !is_queue("sqs:/") && !is_queue("é"));
    }
}
