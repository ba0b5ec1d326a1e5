//! Reports that one kind of request to the queue fails: a line when that begins, one a minute, and one when it ends.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Queue;
use crate::log::Severity;

/// Interval of the lines.
const REPORT: Duration = Duration::from_secs(60);

/// State of one kind of request, shared by all who make it.
#[derive(Debug)]
pub(super) struct FailureReport {
    /// What fails, and what happens meanwhile.
    failing: &'static str,
    /// What has to be allowed if the queue denies it.
    permission: &'static str,
    /// What is possible again at the end.
    ended: &'static str,
    state: Mutex<Option<ReportState>>,
}

#[derive(Debug)]
struct ReportState {
    began: Instant,
    reported: Instant,
    cause: String,
    denied: bool,
}

impl FailureReport {
    pub(super) fn new(
        failing: &'static str,
        permission: &'static str,
        ended: &'static str,
    ) -> Self {
        FailureReport {
            failing,
            permission,
            ended,
            state: Mutex::default(),
        }
    }

    /// A request failed. A new cause is reported at once.
    pub(super) fn failed(&self, queue: &Queue, denied: bool, cause: &dyn Display) {
        let now = Instant::now();
        let cause = cause.to_string();
        let mut state = self.state();
        let known = state.as_ref().is_some_and(|state| {
            state.cause == cause && now.duration_since(state.reported) < REPORT
        });
        if known {
            return;
        }
        let began = state.as_ref().map_or(now, |state| state.began);
        *state = Some(ReportState {
            began,
            reported: now,
            cause: cause.clone(),
            denied,
        });
        drop(state);
        let hint = match denied {
            true => format!("; {} on the queue has to be allowed", self.permission),
            false => String::new(),
        };
        queue.log.limited(
            self.permission,
            Severity::Error,
            format_args!("{}: {}: {cause}{hint}", queue.shown, self.failing),
        );
    }

    /// A request succeeded.
    pub(super) fn succeeded(&self, queue: &Queue) {
        let Some(state) = self.state().take() else {
            return;
        };
        queue.log.limited(
            self.permission,
            Severity::Info,
            format_args!(
                "{}: {} again after {} s",
                queue.shown,
                self.ended,
                state.began.elapsed().as_secs()
            ),
        );
    }

    /// Whether the last request failed for a reason that passes.
    pub(super) fn is_outage(&self) -> bool {
        self.state().as_ref().is_some_and(|state| !state.denied)
    }

    fn state(&self) -> MutexGuard<'_, Option<ReportState>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
