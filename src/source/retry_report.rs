//! Names an object that is retried.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::aws::{AwsError, ErrorClass, ObjectId, RetryPolicy};
use crate::log::Severity;
use crate::source::fetch::{Fetcher, Waits};

/// Time for which an object fails for reasons of the service before it is named: shorter failures are ordinary.
const PATIENCE: Duration = Duration::from_secs(5);

/// Logs once that an object fails for a transient reason that is its own. An outage of its bucket has lines of its own.
pub(super) struct RetryReport<'a, O> {
    fetcher: &'a Fetcher,
    object: &'a ObjectId,
    /// What the retries mean for others.
    outcome: O,
    failing_since: Option<Instant>,
    reported: bool,
}

impl<'a, O: Display> RetryReport<'a, O> {
    pub(super) fn new(fetcher: &'a Fetcher, object: &'a ObjectId, outcome: O) -> Self {
        RetryReport {
            fetcher,
            object,
            outcome,
            failing_since: None,
            reported: false,
        }
    }

    /// Records why the object waits.
    pub(super) fn waits(&mut self, waits: &Waits<'_>) {
        let Waits::Retry(error) = waits else {
            return;
        };
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if self.reported || !self.is_worth_a_line(error, since) {
            return;
        }
        self.reported = true;
        let line = format!("{}: {error}; {}", self.object.url(), self.outcome);
        let log = &self.fetcher.log;
        log.limited("object retries", Severity::Warning, line);
    }

    fn is_worth_a_line(&self, error: &AwsError, since: Instant) -> bool {
        match error.cause.class() {
            ErrorClass::TransientSource if !error.cause.is_outage() => true,
            ErrorClass::TransientSource => {
                let succeeded = || {
                    let breakers = self.fetcher.clients.breakers();
                    breakers.of(&self.object.bucket).succeeded_since(since)
                };
                since.elapsed() >= PATIENCE && succeeded()
            }
            ErrorClass::TransientObject => self.fetcher.clients.policy() == RetryPolicy::Queue,
            // Final within seconds, and then named.
            ErrorClass::BrieflyTransient | ErrorClass::Permanent => false,
        }
    }
}
