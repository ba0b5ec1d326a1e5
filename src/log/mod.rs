//! Log lines on their way to the host. Any thread may add a line; the host's own thread collects
//! them, because the plugin API does not promise that its log function is thread-safe.
#![forbid(unsafe_code)]

mod lost;
pub(crate) mod quote;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use self::lost::LostLog;
use crate::error::Result;

/// Queued lines that may be dropped. A host that does not call for a while needs no more.
const QUEUE: usize = 256;

/// Queued lines that name lost objects. They are the only record of the loss, so the bound only protects
/// the host's memory: 128 MiB at worst, some 15 MiB with keys as CloudTrail writes them.
const LOST_QUEUE: usize = 65_536;

/// Bytes of a line. A key takes up to 1,024 bytes, more when escaped; a service's message has no limit.
const LINE_BYTES: usize = 2048;

/// Lines of one kind that may follow each other at once.
const BURST: u32 = 100;

/// Interval at which another line of an exhausted kind is let through.
const REFILL: Duration = Duration::from_secs(1);

/// Flush interval for the count of suppressed messages.
const FLUSH: Duration = Duration::from_secs(5);

/// Limiter key of lines about objects that the lost log records.
const LOST: &str = "lost objects";

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is lost or broken.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Something worth knowing.
    Info,
}

/// Queue of log lines with a rate limit for each kind of message, because anyone who can cause an error
/// must not be able to flood the log. Lines that name a lost object are exempt, see [`Log::lost`].
#[derive(Debug, Default)]
pub struct Log {
    queue: Mutex<Queue>,
    /// File of lost objects. Locked on its own: a slow disk does not delay other log lines.
    lost: Mutex<Option<LostLog>>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<(Severity, String)>,
    /// Queued lines that name a lost object.
    essential: usize,
    dropped: u64,
    dropped_essential: u64,
    limiters: HashMap<&'static str, Limiter>,
    /// Kinds that are logged only once and were logged.
    logged: HashSet<&'static str>,
}

/// Token bucket for the lines of one kind.
#[derive(Debug)]
struct Limiter {
    tokens: u32,
    refilled: Instant,
    /// Lines suppressed since the last one.
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

    /// Takes a token. The result is the suffix for the line, or `None` if the line is suppressed.
    fn admit(&mut self, now: Instant) -> Option<String> {
        let more = now.duration_since(self.refilled).as_secs() / REFILL.as_secs();
        if more > 0 {
            let more = more.min(u64::from(BURST)) as u32;
            self.tokens = BURST.min(self.tokens.saturating_add(more));
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

    /// Adds a line unless the rate limit of its `kind` is reached; suppressed lines are counted.
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
        if let Some(suffix) = limiter.admit(now) {
            queue.push(severity, &format_args!("{line}{suffix}"));
        }
    }

    /// Adds the first line of this `kind` and suppresses all later ones.
    pub fn once(&self, kind: &'static str, severity: Severity, line: impl fmt::Display) {
        let mut queue = self.queue();
        if queue.logged.insert(kind) {
            queue.push(
                severity,
                &format_args!("{line} (further messages of this kind are counted, not logged)"),
            );
        }
    }

    /// Names an object or message that is lost: why, and what was done about it. Never rate-limited, unless a
    /// lost log records every loss.
    pub fn lost(&self, object: &str, cause: &str, outcome: &str) {
        self.lost_at(Instant::now(), object, cause, outcome);
    }

    fn lost_at(&self, now: Instant, object: &str, cause: &str, outcome: &str) {
        let line = format!("{object}: {cause}; {outcome}");
        let mut failure = None;
        let recorded = match &mut *lock(&self.lost) {
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
            true => self.limited_at(now, LOST, Severity::Error, &line),
            false => self.queue().push_lost(line),
        }
    }

    /// Opens the file that records every lost object from now on; an empty `path` changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) with the path and the reason if the file cannot be opened for appending.
    pub fn set_lost_log(&self, path: &str) -> Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        // Opening it again follows a rotation that moved the old file away.
        let file = LostLog::open(path)?;
        *lock(&self.lost) = Some(file);
        Ok(())
    }

    /// Removes and returns all queued lines.
    pub fn take(&self) -> Vec<(Severity, String)> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Vec<(Severity, String)> {
        self.queue().take(now)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

impl Queue {
    fn push(&mut self, severity: Severity, line: &dyn fmt::Display) {
        if self.lines.len() - self.essential >= QUEUE {
            self.dropped += 1;
            return;
        }
        self.lines.push((severity, printable(&line.to_string())));
    }

    fn push_lost(&mut self, line: String) {
        if self.essential >= LOST_QUEUE {
            self.dropped_essential += 1;
            return;
        }
        self.essential += 1;
        self.lines.push((Severity::Error, printable(&line)));
    }

    fn take(&mut self, now: Instant) -> Vec<(Severity, String)> {
        self.essential = 0;
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
                &mut self.dropped_essential,
                "lines about lost objects",
            ),
            (Severity::Warning, &mut self.dropped, "log lines"),
        ] {
            if *dropped > 0 {
                let dropped = grouped(std::mem::take(dropped));
                lines.push((
                    severity,
                    format!("{dropped} {what} dropped: the host did not collect them in time"),
                ));
            }
        }
        lines
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding it costs one line at worst.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn similar(suppressed: u64) -> String {
    match suppressed {
        1 => "1 similar message suppressed".to_owned(),
        _ => format!("{} similar messages suppressed", grouped(suppressed)),
    }
}

/// A number with its thousands separated by commas.
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

/// The line with control characters escaped, cut at [`LINE_BYTES`].
fn printable(line: &str) -> String {
    let mut text = Escaped(line).to_string();
    if text.len() > LINE_BYTES {
        text.truncate(text.floor_char_boundary(LINE_BYTES));
        text.push('…');
    }
    text
}

/// Displays text with its control characters escaped: names of files and objects are written by
/// anyone who can create one.
#[derive(Clone, Debug)]
pub struct Escaped<T>(pub T);

impl<T: AsRef<str>> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.as_ref().chars() {
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
