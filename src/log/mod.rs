//! Queue of log lines. Any thread may add a line; the host's thread takes them, because the plugin API does not promise
//! that the host's log function is thread-safe.
#![forbid(unsafe_code)]

mod lost;
pub(crate) mod quote;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use self::lost::LostLog;
use crate::error::Result;

/// Maximum number of queued lines; further ones are dropped and counted. The host takes them several times a second.
const MAX_LINES: usize = 256;

/// Maximum number of queued lines about lost objects. They are the only record of a loss, so this bound only protects
/// memory: 128 MiB at worst, about 15 MiB with CloudTrail's keys.
const MAX_LOST_LINES: usize = 65_536;

/// Maximum length of a line in bytes. A key has up to 1,024 bytes, more when escaped; a service's message has no limit.
const MAX_LINE_BYTES: usize = 2048;

/// Burst size of the rate limit: lines of one kind that are logged without delay.
const BURST: u32 = 100;

/// Refill interval of the rate limit: one further line of a kind.
const REFILL: Duration = Duration::from_secs(1);

/// Flush interval for the count of suppressed messages.
const FLUSH: Duration = Duration::from_secs(5);

/// Kind of lines about objects that the lost log records.
const LOST_KIND: &str = "lost objects";

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Data is lost, or a source ends.
    Error,
    /// Needs attention; nothing is lost.
    Warning,
    /// Normal operation.
    Info,
}

/// Bounded queue of log lines with a rate limit for each kind of line, so that a sender of bad input cannot flood the log.
/// Lines that name a lost object are exempt, see [`Log::lost`].
#[derive(Debug, Default)]
pub struct Log {
    queue: Mutex<LineQueue>,
    /// File of lost objects. Has its own lock: a slow disk does not delay other log lines.
    lost_log: Mutex<Option<LostLog>>,
}

#[derive(Debug, Default)]
struct LineQueue {
    lines: Vec<(Severity, String)>,
    /// Number of queued lines that name a lost object.
    lost_lines: usize,
    dropped: u64,
    dropped_lost: u64,
    limiters: HashMap<&'static str, Limiter>,
    /// Kinds of [`Log::once`] that were logged.
    logged: HashSet<&'static str>,
}

/// Token bucket for the lines of one kind.
#[derive(Debug)]
struct Limiter {
    tokens: u32,
    refilled: Instant,
    /// Lines suppressed since the last logged one.
    suppressed: u64,
}

impl Limiter {
    fn new(now: Instant) -> Self {
        Limiter {
            tokens: BURST,
            refilled: now,
            suppressed: 0,
        }
    }

    /// Takes a token. Returns the suffix for the line, or `None` if the line is suppressed.
    fn acquire(&mut self, now: Instant) -> Option<String> {
        let refill = now.duration_since(self.refilled).as_secs() / REFILL.as_secs();
        if refill > 0 {
            let refill = refill.min(u64::from(BURST)) as u32;
            self.tokens = BURST.min(self.tokens.saturating_add(refill));
            self.refilled = now;
        }
        if self.tokens == 0 {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= 1;
        Some(match (std::mem::take(&mut self.suppressed), self.tokens) {
            (0, 0) => " (further messages of this kind are limited to one a second)".to_owned(),
            (0, _) => String::new(),
            (suppressed, _) => format!(" ({})", similar(suppressed)),
        })
    }
}

impl Log {
    /// Adds a line.
    pub fn line(&self, severity: Severity, line: impl fmt::Display) {
        self.queue().push(severity, &line);
    }

    /// Adds a rate-limited line. Lines above the limit of their `kind` are suppressed and counted.
    pub fn limited(&self, kind: &'static str, severity: Severity, line: impl fmt::Display) {
        self.limited_at(Instant::now(), kind, severity, &line);
    }

    fn limited_at(
        &self,
        now: Instant,
        kind: &'static str,
        severity: Severity,
        line: &dyn fmt::Display,
    ) {
        let mut queue = self.queue();
        let limiter = queue.limiters.entry(kind);
        let limiter = limiter.or_insert_with(|| Limiter::new(now));
        if let Some(suffix) = limiter.acquire(now) {
            queue.push(severity, &format_args!("{line}{suffix}"));
        }
    }

    /// Adds a line only if it is the first of its `kind`.
    pub fn once(&self, kind: &'static str, severity: Severity, line: impl fmt::Display) {
        let mut queue = self.queue();
        if queue.logged.insert(kind) {
            queue.push(
                severity,
                &format_args!("{line} (further messages of this kind are counted, not logged)"),
            );
        }
    }

    /// Reports a lost object or message with the cause and the outcome, such as `skipped`. Not rate-limited, unless the
    /// lost log records the loss.
    pub fn lost(&self, object: &str, cause: &str, outcome: &str) {
        self.lost_at(Instant::now(), object, cause, outcome);
    }

    fn lost_at(&self, now: Instant, object: &str, cause: &str, outcome: &str) {
        let line = format!("{object}: {cause}; {outcome}");
        let mut failure = None;
        let recorded = match &mut *lock(&self.lost_log) {
            Some(file) => file
                .append(object, cause, outcome, SystemTime::now())
                .map_err(|error| {
                    failure = Some(format!(
                        "lostLog: {} cannot be written: {error}",
                        file.path()
                    ))
                })
                .is_ok(),
            None => false,
        };
        if let Some(failure) = failure {
            self.once("lostLog", Severity::Error, failure);
        }
        match recorded {
            true => self.limited_at(now, LOST_KIND, Severity::Error, &line),
            false => self.queue().push_lost(line),
        }
    }

    /// Opens the file that records every lost object (`lostLog`). An empty `path` has no effect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) with the path and the cause if the file cannot be opened for appending.
    pub fn set_lost_log(&self, path: &str) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        // Reopened for each source, which also follows a log rotation.
        let file = LostLog::open(path)?;
        *lock(&self.lost_log) = Some(file);
        Ok(())
    }

    /// Removes and returns all queued lines.
    pub fn take(&self) -> Vec<(Severity, String)> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Vec<(Severity, String)> {
        self.queue().take(now)
    }

    fn queue(&self) -> MutexGuard<'_, LineQueue> {
        lock(&self.queue)
    }
}

impl LineQueue {
    fn push(&mut self, severity: Severity, line: &dyn fmt::Display) {
        if self.lines.len() - self.lost_lines >= MAX_LINES {
            self.dropped += 1;
            return;
        }
        self.lines.push((severity, escaped_line(&line.to_string())));
    }

    fn push_lost(&mut self, line: String) {
        if self.lost_lines >= MAX_LOST_LINES {
            self.dropped_lost += 1;
            return;
        }
        self.lost_lines += 1;
        self.lines.push((Severity::Error, escaped_line(&line)));
    }

    fn take(&mut self, now: Instant) -> Vec<(Severity, String)> {
        self.lost_lines = 0;
        let mut lines = std::mem::take(&mut self.lines);
        for (kind, limiter) in &mut self.limiters {
            if limiter.suppressed > 0 && now.duration_since(limiter.refilled) >= FLUSH {
                limiter.refilled = now;
                let suppressed = similar(std::mem::take(&mut limiter.suppressed));
                lines.push((Severity::Warning, format!("{kind}: {suppressed}")));
            }
        }
        for (severity, dropped, what) in [
            (
                Severity::Error,
                &mut self.dropped_lost,
                "lines about lost objects",
            ),
            (Severity::Warning, &mut self.dropped, "log lines"),
        ] {
            if *dropped > 0 {
                let dropped = grouped(std::mem::take(dropped));
                lines.push((
                    severity,
                    format!("{dropped} {what} dropped: the host did not take them in time"),
                ));
            }
        }
        lines
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under the lock loses one line at most.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn similar(suppressed: u64) -> String {
    match suppressed {
        1 => "1 similar message suppressed".to_owned(),
        _ => format!("{} similar messages suppressed", grouped(suppressed)),
    }
}

/// Formats a number with thousands separators.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Escapes control characters and truncates the line to [`MAX_LINE_BYTES`].
fn escaped_line(line: &str) -> String {
    let mut text = Escaped(line).to_string();
    if text.len() > MAX_LINE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_LINE_BYTES));
        text.push('…');
    }
    text
}

/// Displays text with control characters escaped. For untrusted text, such as names of files and objects.
#[derive(Clone, Debug)]
pub struct Escaped<T>(pub T);

impl<T: AsRef<str>> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_ref();
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return f.write_str(text);
        }
        for character in text.chars() {
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
