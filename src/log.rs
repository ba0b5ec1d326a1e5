//! Lines for the host's log. Any thread may write; the host's own thread takes them out, since
//! the plugin API does not promise that its log function may be called from others.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines kept for a host that does not call for a while.
const WAITING: usize = 256;

/// Lines of one kind of trouble that may follow each other at once.
const AT_ONCE: u32 = 100;

/// Time after which one more of a kind may follow.
const ONE_MORE: Duration = Duration::from_secs(1);

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

/// Time after which what was left out is told, if no line of its kind does.
const QUIET: Duration = Duration::from_secs(5);

/// Collects lines, of each kind of trouble only so many at once and so many a second: whoever can
/// make trouble is not to fill the log.
#[derive(Debug, Default)]
pub struct Log(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<(Severity, String)>,
    dropped: u64,
    kinds: HashMap<&'static str, Kind>,
    /// Kinds that are told once.
    told: HashSet<&'static str>,
}

/// A kind of trouble.
#[derive(Debug)]
struct Kind {
    /// How many lines may follow at once.
    left: u32,
    /// When that was last made more.
    since: Instant,
    /// Lines left out since the last one.
    untold: u64,
}

impl Kind {
    /// What is to be said behind a line, if it may be told now.
    fn tell(&mut self, now: Instant) -> Option<String> {
        let more = now.duration_since(self.since).as_secs() / ONE_MORE.as_secs();
        if more > 0 {
            self.left = AT_ONCE.min(
                self.left
                    .saturating_add(more.min(u64::from(AT_ONCE)) as u32),
            );
            self.since = now;
        }
        if self.left == 0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1;
        Some(match (std::mem::take(&mut self.untold), self.left) {
            (0, 0) => " (more of this kind are counted, and one a second is told)".to_owned(),
            (0, _) => String::new(),
            (untold, _) => format!(" ({untold} more of this kind before it were not told)"),
        })
    }
}

impl Log {
    /// Adds a line.
    pub fn line(&self, severity: Severity, line: impl fmt::Display) {
        self.waiting().push(severity, &line);
    }

    /// Adds a line about trouble of this `kind`, unless there were very many of them lately.
    pub fn trouble(&self, kind: &'static str, severity: Severity, line: impl fmt::Display) {
        self.trouble_at(Instant::now(), kind, severity, line);
    }

    fn trouble_at(
        &self,
        now: Instant,
        kind: &'static str,
        severity: Severity,
        line: impl fmt::Display,
    ) {
        let mut waiting = self.waiting();
        let kind = waiting.kinds.entry(kind).or_insert(Kind {
            left: AT_ONCE,
            since: now,
            untold: 0,
        });
        if let Some(rest) = kind.tell(now) {
            waiting.push(severity, &format_args!("{line}{rest}"));
        }
    }

    /// Adds a line about trouble of this `kind` the first time only.
    pub fn once(&self, kind: &'static str, severity: Severity, line: impl fmt::Display) {
        let mut waiting = self.waiting();
        if waiting.told.insert(kind) {
            waiting.push(
                severity,
                &format_args!("{line} (more of this kind are counted, but not logged)"),
            );
        }
    }

    /// Adds a line about an object that is lost, wholly or in part. Never rate-limited: each lost object is named.
    pub fn lost(&self, object: &str, cause: &str, outcome: &str) {
        self.line(
            Severity::Error,
            format_args!("{object}: {cause}; {outcome}"),
        );
    }

    /// Takes all lines out.
    pub fn take(&self) -> Vec<(Severity, String)> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Vec<(Severity, String)> {
        let mut waiting = self.waiting();
        waiting.tell_untold(now);
        let mut lines = Vec::from(std::mem::take(&mut waiting.lines));
        let dropped = std::mem::take(&mut waiting.dropped);
        if dropped > 0 {
            lines.push((
                Severity::Warning,
                format!("{dropped} more log lines were dropped"),
            ));
        }
        lines
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while holding it leaves nothing worse than a line missing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Tells how much was left out where nothing follows that would.
    fn tell_untold(&mut self, now: Instant) {
        let mut lines = Vec::new();
        for (name, kind) in &mut self.kinds {
            if kind.untold > 0 && now.duration_since(kind.since) >= QUIET {
                let untold = std::mem::take(&mut kind.untold);
                kind.since = now;
                lines.push(format!("{untold} more of the kind {name} were not told"));
            }
        }
        for line in lines {
            self.push(Severity::Warning, &line);
        }
    }

    fn push(&mut self, severity: Severity, line: &dyn fmt::Display) {
        if self.lines.len() == WAITING {
            self.dropped += 1;
            return;
        }
        self.lines
            .push_back((severity, Printable(line.to_string()).to_string()));
    }
}

/// Shows text with its control characters escaped: names of files and objects are written by
/// whoever can put one there.
#[derive(Clone, Debug)]
pub struct Printable<T>(pub T);

impl<T: AsRef<str>> fmt::Display for Printable<T> {
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
mod tests {
    use super::*;

    #[test]
    fn trouble_of_one_kind_does_not_fill_the_log() {
        let (log, start) = (Log::default(), Instant::now());
        let trouble = |seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            log.trouble_at(now, "gzip", Severity::Error, "damaged");
        };
        (0..1000).for_each(|_| trouble(0));
        let lines = log.take();
        assert_eq!(lines.len(), AT_ONCE as usize);
        assert_eq!(lines[0].1, "damaged");
        assert!(lines[99].1.contains("one a second"), "{lines:?}");
        trouble(1);
        trouble(1);
        let lines = log.take();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].1.contains("900 more"), "{lines:?}");
        (0..1000).for_each(|_| trouble(100_000));
        assert_eq!(log.take().len(), AT_ONCE as usize);
        let later = start + Duration::from_secs(100_000) + QUIET;
        let lines = log.take_at(later);
        assert_eq!(lines[0].1, "900 more of the kind gzip were not told");
        assert!(log.take_at(later + QUIET).is_empty());
    }

    #[test]
    fn what_is_told_once_is_told_for_each_kind() {
        let log = Log::default();
        for _ in 0..3 {
            log.once("one", Severity::Error, "one");
            log.once("two", Severity::Error, "two");
        }
        let lines = log.take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].1.starts_with("one (more"), "{lines:?}");
    }

    #[test]
    fn lines_are_bounded_and_the_loss_is_told() {
        let log = Log::default();
        for _ in 0..WAITING + 3 {
            log.line(Severity::Info, "x");
        }
        let lines = log.take();
        assert_eq!(lines.len(), WAITING + 1);
        assert_eq!(lines[WAITING].1, "3 more log lines were dropped");
    }

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        let log = Log::default();
        log.line(Severity::Info, "a\u{1b}[31m\nb");
        assert_eq!(log.take()[0].1, "a\\u{1b}[31m\\nb");
    }
}
