//! Reports that one kind of request to the queue fails: a line when that begins, one a minute, and one when it ends.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Queue;
use crate::log::Severity;

/// Interval of the lines about one cause, also where failures come and go.
const REPORT: Duration = Duration::from_secs(60);

/// Causes that have a line within that interval.
const CAUSES: usize = 8;

/// State of one kind of request, shared by all who make it.
#[derive(Debug)]
pub(super) struct FailureReport {
    severity: Severity,
    /// What fails, and what happens meanwhile.
    failing: &'static str,
    /// What has to be allowed if the queue denies it.
    permission: &'static str,
    /// What is possible again at the end.
    ended: &'static str,
    state: Mutex<ReportState>,
}

#[derive(Debug, Default)]
struct ReportState {
    /// `None` if the last request succeeded.
    outage: Option<Outage>,
    /// Causes with the times of their last lines.
    reported: Vec<(String, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    began: Instant,
    denied: bool,
    /// It has a line.
    reported: bool,
}

impl ReportState {
    /// Records a failure; whether it is to be logged. A new cause is, at once.
    fn failed(&mut self, now: Instant, denied: bool, cause: &str) -> bool {
        self.reported
            .retain(|(_, at)| now.duration_since(*at) < REPORT);
        let is_known = self.reported.iter().any(|(known, _)| known == cause);
        let is_new = !is_known && self.reported.len() < CAUSES;
        if is_new {
            self.reported.push((cause.to_owned(), now));
        }
        let outage = self.outage.get_or_insert(Outage {
            began: now,
            denied,
            reported: false,
        });
        outage.denied = denied;
        outage.reported |= is_new;
        is_new
    }

    /// Ends the outage; its beginning, if that was logged.
    fn ended(&mut self) -> Option<Instant> {
        let outage = self.outage.take().filter(|outage| outage.reported)?;
        Some(outage.began)
    }
}

impl FailureReport {
    pub(super) fn new(
        severity: Severity,
        failing: &'static str,
        permission: &'static str,
        ended: &'static str,
    ) -> Self {
        FailureReport {
            severity,
            failing,
            permission,
            ended,
            state: Mutex::default(),
        }
    }

    /// A request failed.
    pub(super) fn failed(&self, queue: &Queue, denied: bool, cause: &dyn Display) {
        let hint = match denied {
            true => format!("; {} on the queue has to be allowed", self.permission),
            false => String::new(),
        };
        self.failed_with(queue, denied, cause, &hint);
    }

    /// A request failed; `detail` follows the cause in the line.
    pub(super) fn failed_with(
        &self,
        queue: &Queue,
        denied: bool,
        cause: &dyn Display,
        detail: &dyn Display,
    ) {
        let cause = cause.to_string();
        if !self.state().failed(Instant::now(), denied, &cause) {
            return;
        }
        queue.log.limited(
            self.permission,
            self.severity,
            format_args!("{}: {}: {cause}{detail}", queue.shown, self.failing),
        );
    }

    /// A request succeeded.
    pub(super) fn succeeded(&self, queue: &Queue) {
        self.end(queue, &format_args!("{} again", self.ended));
    }

    /// There is nothing left to request; `outcome` says so.
    pub(super) fn idle(&self, queue: &Queue, outcome: &str) {
        self.end(queue, &outcome);
    }

    fn end(&self, queue: &Queue, outcome: &dyn Display) {
        let Some(began) = self.state().ended() else {
            return;
        };
        queue.log.limited(
            self.permission,
            Severity::Info,
            format_args!(
                "{}: {outcome} after {} s",
                queue.shown,
                began.elapsed().as_secs()
            ),
        );
    }

    /// Whether the last request failed for a reason that passes.
    pub(super) fn is_outage(&self) -> bool {
        self.state().outage.is_some_and(|outage| !outage.denied)
    }

    fn state(&self) -> MutexGuard<'_, ReportState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_has_one_line_a_minute_for_each_cause() {
        let (start, mut state) = (Instant::now(), ReportState::default());
        let mut lines = Vec::new();
        for second in 0..180 {
            let now = start + Duration::from_secs(second);
            let cause = "InternalError: oops (HTTP 500)";
            if state.failed(now, false, cause) {
                lines.push(second);
            }
        }
        assert_eq!(lines, [0, 60, 120]);
        let later = start + Duration::from_secs(180);
        assert!(state.failed(later, true, "AccessDenied: no"), "a new cause");
        assert_eq!(state.ended(), Some(start));
        assert_eq!(state.ended(), None);
    }

    #[test]
    fn failures_that_come_and_go_have_two_lines_a_minute() {
        let (start, mut state) = (Instant::now(), ReportState::default());
        let (mut begun, mut ended) = (0, 0);
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            begun += usize::from(state.failed(now, false, "Timeout: none"));
            ended += usize::from(state.ended().is_some());
        }
        assert_eq!((begun, ended), (2, 2));
    }

    #[test]
    fn causes_without_number_are_bounded() {
        let (now, mut state) = (Instant::now(), ReportState::default());
        let lines = (0..100).filter(|cause| state.failed(now, false, &cause.to_string()));
        assert_eq!(lines.count(), CAUSES);
    }
}
