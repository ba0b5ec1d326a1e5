//! The reading loop: batches in, lines out.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::ops::ControlFlow;

use cloudtrail::host::{Events, Plugin, Request, Severity, Status};

use crate::args::{self, ReadArgs};
use crate::print::{Failures, Printer};
use crate::stats::Stats;
use crate::terminal::{self, Progress};
use crate::{Stop, interrupt, library};

/// Runs `ctcat read`.
pub fn read(args: ReadArgs) -> Result<(), Stop> {
    let config = args::config(args.config.as_deref())?;
    let mut progress = Progress::new(!args.count);
    let (bar, level) = (progress.bar(), args.log_level);
    let plugin = Plugin::load_with_log(
        &library(&args.library)?,
        &config,
        move |severity, message| {
            if level.shows(severity) {
                terminal::log(&bar, severity, message);
            }
        },
    )?;
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
        left: args.max_events.unwrap_or(u64::MAX),
    };
    interrupt::watch();
    let mut ended = reader.all(&plugin, &args.sources, &mut progress);
    progress.clear();
    if args.count && !matches!(ended, Err(Stop::Error(_))) {
        let counted = writeln!(io::stdout(), "{}", reader.stats.events);
        ended = ended.and_then(|()| Ok(counted?));
    }
    if args.stats {
        // Whatever ended the reading matters more than a closed stderr.
        let _ = reader.stats.report(&plugin);
    }
    ended?;
    if reader.stats.failures > 0 {
        return Err(Stop::Failed);
    }
    Ok(())
}

/// The fields that are asked for, each once.
fn requests(plugin: &Plugin, specs: &[&str]) -> Result<Vec<Request>, Stop> {
    let mut wanted: Vec<&str> = Vec::new();
    for spec in specs {
        let pattern = match *spec {
            "all" => "*",
            spec if spec.contains('*') && !spec.contains('[') => spec,
            spec => {
                wanted.push(spec);
                continue;
            }
        };
        let bare = plugin.fields().iter().filter(|f| !f.needs_argument());
        let before = wanted.len();
        wanted.extend(
            bare.map(|f| f.name.as_str())
                .filter(|name| matches(pattern, name)),
        );
        if wanted.len() == before {
            return Err(Stop::Usage(format!(
                "no field that needs no argument is named like {spec:?}; `ctcat fields` lists them"
            )));
        }
    }
    let mut requests: Vec<Request> = Vec::with_capacity(wanted.len());
    for spec in wanted {
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

/// Whether `name` reads as `pattern`, in which each `*` stands for any text.
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
    /// Nothing is printed if there are none.
    lines: Option<Lines>,
    printer: Printer<'p>,
    stats: Stats,
    /// Events still wanted.
    left: u64,
}

impl Reader<'_> {
    /// Reads one source after the other; what was printed is written out whatever ends it.
    fn all(
        &mut self,
        plugin: &Plugin,
        sources: &[String],
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        if let Some(lines) = &mut self.lines {
            self.printer.header(&mut lines.pending);
        }
        let mut ended = Ok(());
        for source in sources {
            ended = self.one(plugin, source, progress);
            if ended.is_err() || self.left == 0 {
                break;
            }
        }
        match &mut self.lines {
            // The output is gone already.
            Some(_) if matches!(ended, Err(Stop::Quiet)) => ended,
            Some(lines) => lines.flush().map_err(Stop::from).and(ended),
            None => ended,
        }
    }

    fn one(&mut self, plugin: &Plugin, source: &str, progress: &mut Progress) -> Result<(), Stop> {
        let mut capture = plugin.open(source)?;
        loop {
            if interrupt::asked() {
                return Err(Stop::Interrupted);
            }
            let (status, events) = capture.next_batch()?;
            if self.batch(events, progress)?.is_break() || status == Status::Eof {
                return Ok(());
            }
            if let Some(lines) = &mut self.lines {
                // Asking for more tells the source that these events are processed.
                lines.flush()?;
            }
            progress.update(&capture, self.stats.events);
        }
    }

    /// Breaks when as many events as wanted were read.
    fn batch(&mut self, events: Events<'_>, progress: &Progress) -> Result<ControlFlow<()>, Stop> {
        for event in events {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            self.stats.events += 1;
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
                self.note(&failures, progress);
            }
        }
        Ok(match self.left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Tells the first failure; Falco goes on after one too.
    fn note(&mut self, failures: &Failures, progress: &Progress) {
        if self.stats.failures == 0
            && let Some(reason) = &failures.reason
        {
            let line = format!(
                "a field of event {} could not be extracted, further failures are only counted: {reason}",
                self.stats.events
            );
            terminal::log(&progress.bar(), Severity::Error, &line);
        }
        self.stats.failures += failures.calls;
    }
}

/// Standard output with a large buffer.
struct Lines {
    pending: Vec<u8>,
}

const FULL: usize = 64 * 1024;

impl Lines {
    fn new() -> Lines {
        Lines {
            pending: Vec::with_capacity(2 * FULL),
        }
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.pending.len() >= FULL {
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
    fn a_star_stands_for_any_text() {
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
