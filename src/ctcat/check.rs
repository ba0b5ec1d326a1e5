//! `ctcat check`: a configuration and a source, step by step, down to the first events.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, MetricKind, Plugin, Status};

use crate::args::{self, CheckArgs, Output};
use crate::print::Printer;
use crate::{Stop, interrupt, library, terminal};

/// Starts of the names of metrics that count what went wrong.
const TROUBLE: [&str; 3] = ["errors.", "damaged.", "skipped."];

/// Runs `ctcat check`. What the plugin says on the way goes to stderr, as Falco would log it.
pub fn check(args: CheckArgs) -> Result<(), Stop> {
    let config = args::config(args.config.as_deref())?;
    interrupt::watch();
    let plugin = Plugin::load_with_log(&library(&args.library)?, &config, |severity, message| {
        terminal::log_line(severity, message);
    })?;
    step("configuration", "accepted")?;
    let mut capture = plugin.open(&args.source)?;
    step("source", &format!("{} is open", args.source))?;
    let found = first_events(&plugin, &mut capture, Duration::from_secs(args.wait))?;
    drop(capture);
    let troubles = troubles(&plugin);
    for trouble in &troubles {
        step("trouble", trouble)?;
    }
    match (found, troubles.is_empty()) {
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
fn troubles(plugin: &Plugin) -> Vec<String> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter(|metric| metric.kind == MetricKind::Monotonic)
        .filter(|metric| TROUBLE.iter().any(|start| metric.name.starts_with(start)))
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
