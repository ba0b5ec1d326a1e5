//! Output to stderr: log lines and the progress bar.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, Severity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::escape;

/// Writes a log line while there is no progress bar.
pub fn log_line(severity: Severity, message: &str) {
    let mut out = Vec::new();
    let color = match severity {
        Severity::Fatal | Severity::Critical | Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        _ => "\x1b[1m",
    };
    if uses_color() {
        out.extend(format!("{color}{severity}:\x1b[0m ").as_bytes());
    } else {
        out.extend(format!("{severity}: ").as_bytes());
    }
    // Messages contain object names and responses of services, which are untrusted.
    escape::plain(&mut out, message.as_bytes());
    out.push(b'\n');
    // If stderr is closed, the error cannot be reported anywhere.
    let _ = io::stderr().write_all(&out);
}

/// Writes a log line above the progress bar.
pub fn log(bar: &ProgressBar, severity: Severity, message: &str) {
    bar.suspend(|| log_line(severity, message));
}

fn uses_color() -> bool {
    io::stderr().is_terminal() && allows_color()
}

/// Whether standard output is a terminal that shows colors.
pub fn stdout_has_color() -> bool {
    io::stdout().is_terminal() && allows_color()
}

fn allows_color() -> bool {
    env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && env::var_os("TERM").is_none_or(|v| v != "dumb")
}

/// Width of the terminal that standard output is; `None` if it is none.
pub fn stdout_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0))
}

/// Progress on stderr. Hidden if events are printed to the same terminal.
pub struct ProgressDisplay {
    bar: ProgressBar,
    updated: Instant,
    /// Whether the plugin has reported a share, without which there is no bar, only text.
    has_share: bool,
}

/// Minimum time between updates: smooth to the eye, and cheap.
const INTERVAL: Duration = Duration::from_millis(100);

/// Length of the bar in steps; the plugin API has the same resolution.
const STEPS: u64 = 10_000;

impl ProgressDisplay {
    pub fn new(prints_events: bool) -> ProgressDisplay {
        let visible = !(prints_events && io::stdout().is_terminal());
        let target = if visible {
            // Draws nothing if stderr is not a terminal.
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        ProgressDisplay {
            bar: ProgressBar::with_draw_target(Some(STEPS), target).with_style(style("{msg}")),
            updated: Instant::now(),
            has_share: false,
        }
    }

    /// Handle for [`log`].
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Shows the progress of a capture, at most once per [`INTERVAL`].
    pub fn update(&mut self, capture: &Capture<'_>, events: u64) {
        if self.bar.is_hidden() || self.updated.elapsed() < INTERVAL {
            return;
        }
        self.updated = Instant::now();
        let (share, description) = capture.progress();
        if share > 0.0 && !self.has_share {
            self.has_share = true;
            self.bar.set_style(style("[{bar:30}] {msg}"));
        }
        self.bar.set_position((share * STEPS as f64) as u64);
        let mut message = format!("{events} events");
        if !description.is_empty() {
            message = format!("{description}, {message}");
        }
        let mut escaped = Vec::new();
        escape::plain(&mut escaped, message.as_bytes());
        self.bar
            .set_message(String::from_utf8_lossy(&escaped).into_owned());
    }

    /// Removes the progress line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map(|style| style.progress_chars("=> "))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
