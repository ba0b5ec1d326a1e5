//! `ctcat read`: reads batches and prints a line per event.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::ops::ControlFlow;

use cloudtrail::error::Error;
use cloudtrail::host::{Events, Plugin, Request, Severity, Status};

use crate::args::{self, ReadArgs};
use crate::print::{Failures, Printer};
use crate::stats::Stats;
use crate::terminal::{self, ProgressDisplay};
use crate::{Stop, handle_interrupts, interrupt, load};

/// Runs `ctcat read`.
pub fn read(args: ReadArgs) -> Result<(), Stop> {
    let mut progress = ProgressDisplay::new(!args.count);
    let plugin = load(&args.plugin, &progress)?;
    let requests = requests(&plugin, &args::field_specs(&args.fields))?;
    let printer = Printer::new(
        &plugin,
        args.output,
        args.payload,
        requests,
        args.single_call,
    )?;
    let mut reader = Reader {
        lines: (!args.count).then(Lines::new),
        printer,
        stats: Stats::start(),
        remaining: args.max_events.unwrap_or(u64::MAX),
    };
    handle_interrupts()?;
    let mut result = reader.read_sources(&plugin, &args.sources, &mut progress);
    progress.clear();
    if args.count && !matches!(result, Err(Stop::Error(_))) {
        let written = writeln!(io::stdout(), "{}", reader.stats.events);
        result = result.and_then(|()| Ok(written?));
    }
    if args.stats {
        // Ignored: the result of reading matters more than a closed stderr.
        let _ = reader.stats.report(&plugin);
    }
    result?;
    if reader.stats.failures > 0 {
        return Err(Stop::Reported);
    }
    Ok(())
}

/// Explains why a source cannot be opened: it may be a mistyped command.
fn open_failure(error: &Error, source: &str) -> Stop {
    Stop::Error(match args::meant_command(source) {
        Some(command) => format!("{error}; did you mean the command {command}?"),
        None => error.to_string(),
    })
}

/// Parses the requested fields and expands patterns. Each field appears once.
fn requests(plugin: &Plugin, specs: &[&str]) -> Result<Vec<Request>, Stop> {
    let mut expanded: Vec<&str> = Vec::new();
    for spec in specs {
        let pattern = match *spec {
            "all" => "*",
            spec if spec.contains('*') && !spec.contains('[') => spec,
            spec => {
                expanded.push(spec);
                continue;
            }
        };
        let candidates = plugin.fields().iter().filter(|f| !f.needs_argument());
        let before = expanded.len();
        expanded.extend(
            candidates
                .map(|f| f.name.as_str())
                .filter(|name| matches(pattern, name)),
        );
        if expanded.len() == before {
            return Err(Stop::Usage(format!(
                "no field without a required argument matches {spec:?}; `ctcat fields` lists them"
            )));
        }
    }
    let mut requests: Vec<Request> = Vec::with_capacity(expanded.len());
    for spec in expanded {
        if requests.iter().any(|r| r.spec() == spec) {
            continue;
        }
        let request = plugin
            .request(spec)
            .map_err(|e| Stop::Usage(format!("{e}; `ctcat fields` lists them")))?;
        requests.push(request);
    }
    Ok(requests)
}

/// Whether `name` matches `pattern`, in which each `*` matches any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    ends.into_iter().any(|at| matches(rest, &name[at..]))
}

struct Reader<'p> {
    /// Output; `None` if only the number of events is printed.
    lines: Option<Lines>,
    printer: Printer<'p>,
    stats: Stats,
    /// Number of events left to read.
    remaining: u64,
}

impl Reader<'_> {
    /// Reads the sources in order. Flushes the output even after a failure.
    fn read_sources(
        &mut self,
        plugin: &Plugin,
        sources: &[String],
        progress: &mut ProgressDisplay,
    ) -> Result<(), Stop> {
        if let Some(lines) = &mut self.lines {
            self.printer.header(&mut lines.pending);
        }
        let mut result = Ok(());
        for source in sources {
            result = self.read_source(plugin, source, progress);
            if result.is_err() || self.remaining == 0 {
                break;
            }
        }
        match &mut self.lines {
            // Standard output is closed.
            Some(_) if matches!(result, Err(Stop::BrokenPipe)) => result,
            Some(lines) => lines.flush().map_err(Stop::from).and(result),
            None => result,
        }
    }

    fn read_source(
        &mut self,
        plugin: &Plugin,
        source: &str,
        progress: &mut ProgressDisplay,
    ) -> Result<(), Stop> {
        let mut capture = plugin
            .open(source)
            .map_err(|error| open_failure(&error, source))?;
        loop {
            if interrupt::is_requested() {
                return Err(Stop::Interrupted);
            }
            let (status, events) = capture.next_batch()?;
            if self.process(events, progress)?.is_break() || status == Status::Eof {
                return Ok(());
            }
            if let Some(lines) = &mut self.lines {
                // The next call acknowledges these events, so they must be written first.
                lines.flush()?;
            }
            progress.update(&capture, self.stats.events);
        }
    }

    /// Prints a batch. Breaks after the last of `--max-events`.
    fn process(
        &mut self,
        events: Events<'_>,
        progress: &ProgressDisplay,
    ) -> Result<ControlFlow<()>, Stop> {
        let delivered = Stats::now();
        for event in events {
            if self.remaining == 0 {
                break;
            }
            self.remaining -= 1;
            self.stats.events += 1;
            self.stats.lag(event.ts(), delivered);
            self.stats.bytes += event.payload().len() as u64;
            let failures = match &mut self.lines {
                Some(lines) => {
                    let failures = self.printer.event(event, &mut lines.pending);
                    lines.flush_if_full()?;
                    failures
                }
                None => self.printer.extract_only(event),
            };
            if failures.calls > 0 {
                self.record_failures(&failures, progress);
            }
        }
        Ok(match self.remaining {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Logs the first failure and counts all. Reading continues after a failure, as in Falco.
    fn record_failures(&mut self, failures: &Failures, progress: &ProgressDisplay) {
        if self.stats.failures == 0
            && let Some(reason) = &failures.reason
        {
            let line = format!(
                "cannot extract a field of event {}: {reason}; further failures are counted, not logged",
                self.stats.events
            );
            terminal::log(&progress.bar(), Severity::Error, &line);
        }
        self.stats.failures += failures.calls;
    }
}

/// Buffered standard output.
struct Lines {
    pending: Vec<u8>,
}

/// Buffered bytes at which to write: few system calls, and still cheap to allocate.
const FLUSH_BYTES: usize = 64 * 1024;

impl Lines {
    fn new() -> Lines {
        Lines {
            pending: Vec::with_capacity(2 * FLUSH_BYTES),
        }
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.pending.len() >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.pending)?;
        stdout.flush()?;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_matches_any_text() {
        for (pattern, name, expected) in [
            ("ct.*", "ct.user", true),
            ("*", "ct.user", true),
            ("ct.*.arn", "ct.session.issuer.arn", true),
            ("*user*", "ct.user", true),
            ("ct.user", "ct.user", true),
            ("s3.*", "ct.s3.x", false),
            ("ct.*.arn", "ct.user.arnx", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
