//! What goes to stderr: log lines, errors, the progress bar.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, Severity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::escape;

/// Says why the program ends.
pub fn error_line(why: &str) {
    line(Severity::Error, why);
}

/// Writes a log line where there is no progress bar.
pub fn log_line(severity: Severity, message: &str) {
    line(severity, message);
}

/// Writes log lines above the progress bar, if there is one.
pub fn log(bar: &ProgressBar, severity: Severity, message: &str) {
    bar.suspend(|| line(severity, message));
}

fn line(severity: Severity, message: &str) {
    let mut out = Vec::new();
    let colour = match severity {
        Severity::Fatal | Severity::Critical | Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        _ => "\x1b[1m",
    };
    if is_colourful() {
        out.extend(format!("{colour}{severity}:\x1b[0m ").as_bytes());
    } else {
        out.extend(format!("{severity}: ").as_bytes());
    }
    // Names of objects and words of services are written by strangers too.
    escape::plain(&mut out, message.as_bytes());
    out.push(b'\n');
    // There is nowhere to tell that stderr is closed.
    let _ = io::stderr().write_all(&out);
}

fn is_colourful() -> bool {
    io::stderr().is_terminal()
        && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && env::var_os("TERM").is_none_or(|v| v != "dumb")
}

/// A bar on stderr, or an invisible one where lines of events share the terminal with it.
pub struct Progress {
    bar: ProgressBar,
    shown: Instant,
    has_share: bool,
}

const INTERVAL: Duration = Duration::from_millis(100);
const WHOLE: u64 = 10_000;

impl Progress {
    pub fn new(prints_events: bool) -> Progress {
        let visible = !(prints_events && io::stdout().is_terminal());
        let target = if visible {
            // Draws nothing by itself if stderr is no terminal.
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Progress {
            bar: ProgressBar::with_draw_target(Some(WHOLE), target).with_style(style("{msg}")),
            shown: Instant::now(),
            has_share: false,
        }
    }

    /// For the log, which has to write around it.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Shows how far a capture is, a few times a second at most.
    pub fn update(&mut self, capture: &Capture<'_>, events: u64) {
        if self.bar.is_hidden() || self.shown.elapsed() < INTERVAL {
            return;
        }
        self.shown = Instant::now();
        let (share, words) = capture.progress();
        if share > 0.0 && !self.has_share {
            self.has_share = true;
            self.bar.set_style(style("[{bar:30}] {msg}"));
        }
        self.bar.set_position((share * WHOLE as f64) as u64);
        let mut message = format!("{events} events");
        if !words.is_empty() {
            message = format!("{words}, {message}");
        }
        let mut harmless = Vec::new();
        escape::plain(&mut harmless, message.as_bytes());
        self.bar
            .set_message(String::from_utf8_lossy(&harmless).into_owned());
    }

    /// Leaves a clean line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map(|style| style.progress_chars("=> "))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
