//! Circuit breaker of each bucket: detects that requests fail as a whole, reports it once, and wakes everything that
//! waits for a retry as soon as one request succeeds.
//!
//! An open breaker forbids no request: each object backs off by itself, and the adaptive limit lets two requests run at
//! a time, so the retries are the probes. What it adds: the log has one line when an outage begins, one a minute and
//! one at the end; messages are no longer received meanwhile; and the end of an outage ends all pauses at once.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::adaptive_limit::{AdaptiveLimit, Slot};
use super::error::{AwsError, ErrorCause};
use crate::log::{Escaped, Log, Severity};

/// Failures in a row, without a success, from which on an outage is possible.
const FAILURES: u32 = 5;

/// Time without a success after which that many failures are an outage: throttling at any rate still lets some pass.
const WITHOUT_SUCCESS: Duration = Duration::from_secs(2);

/// Interval of the log lines of an outage. Where outages end sooner, each of them must last twice as long as the one
/// before to be logged, up to this.
const REPORT: Duration = Duration::from_secs(60);

/// Time without a failure for one cause, after which another one is a new problem.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Time without any success, in an outage, after which no more messages are received.
const STOP_RECEIVING: Duration = Duration::from_secs(5);

/// Time after its last success for which a bucket that fails counts as one that answers.
const PROVEN: Duration = Duration::from_secs(60);

/// Time without a success after which requests that wait for others are stalled.
const STALLED: Duration = Duration::from_secs(5);

/// Buckets of which state is kept. Messages may name any; those in use stay.
const BUCKETS: usize = 1024;

/// The breakers of all buckets of one source.
#[derive(Debug)]
pub(crate) struct Breakers {
    concurrency: usize,
    /// Whether denied requests are waited out, and so can make an outage.
    denied_passes: bool,
    log: Arc<Log>,
    /// For objects, by bucket.
    buckets: Mutex<HashMap<String, Arc<Breaker>>>,
    /// For listings, by bucket: they may work while objects cannot be read, and the other way round.
    listings: Mutex<HashMap<String, Arc<Breaker>>>,
    /// When any bucket last answered with success.
    success: Mutex<Option<Instant>>,
    succeeded: Notify,
}

/// What recent requests to one bucket say about the next.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// What is requested, for messages.
    name: String,
    denied_passes: bool,
    limit: Arc<AdaptiveLimit>,
    state: Mutex<BreakerState>,
    recovered: Notify,
    /// Objects and listings that pause before a retry. Relaxed: a count for an estimate, which publishes no data.
    waiting: AtomicUsize,
    log: Arc<Log>,
}

/// Counts one that pauses, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct BreakerState {
    /// Failures since the last success, and when the first of them was.
    failures: u32,
    failing_since: Option<Instant>,
    success: Option<Instant>,
    outage: Option<Outage>,
    /// How long an outage lasts before it is logged, and when the last one ended.
    unreported: Duration,
    ended: Option<Instant>,
    /// Since when requests wait for their turn without a success.
    stalled_since: Option<Instant>,
    stall_reported: Option<Instant>,
    /// The causes for which requests have failed; see [`Breaker::failing_for`].
    causes: HashMap<ErrorCause, Failing>,
}

#[derive(Debug)]
struct Failing {
    began: Instant,
    last: Instant,
}

#[derive(Debug)]
struct Outage {
    began: Instant,
    /// When it was logged last.
    reported: Option<Instant>,
    cause: ErrorCause,
}

impl Breakers {
    /// Breakers that allow at most `concurrency` requests at a time to each bucket. `denied_passes`: denied requests
    /// are waited out, as `sqs://` does.
    pub(crate) fn new(concurrency: usize, denied_passes: bool, log: Arc<Log>) -> Self {
        Breakers {
            concurrency,
            denied_passes,
            log,
            buckets: Mutex::default(),
            listings: Mutex::default(),
            success: Mutex::default(),
            succeeded: Notify::new(),
        }
    }

    /// The breaker of requests for objects of `bucket`.
    pub(crate) fn of(&self, bucket: &str) -> Arc<Breaker> {
        self.find(&self.buckets, bucket, "bucket")
    }

    /// The breaker of listings of `bucket`.
    pub(crate) fn of_listings(&self, bucket: &str) -> Arc<Breaker> {
        self.find(&self.listings, bucket, "listings of bucket")
    }

    fn find(
        &self,
        breakers: &Mutex<HashMap<String, Arc<Breaker>>>,
        bucket: &str,
        of: &str,
    ) -> Arc<Breaker> {
        let mut buckets = lock(breakers);
        if let Some(breaker) = buckets.get(bucket) {
            return Arc::clone(breaker);
        }
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, breaker| Arc::strong_count(breaker) > 1);
        }
        let breaker = Arc::new(Breaker::new(format!("{of} {}", Escaped(bucket)), self));
        buckets.insert(bucket.to_owned(), Arc::clone(&breaker));
        breaker
    }

    /// A request to `breaker`'s bucket succeeded, after failing for `causes`.
    pub(crate) fn succeeded(&self, breaker: &Breaker, causes: &[ErrorCause]) {
        *lock(&self.success) = Some(Instant::now());
        self.succeeded.notify_waiters();
        breaker.succeeded(causes);
    }

    /// Whether requests fail as a whole, so that more messages would only have to wait.
    pub(crate) fn is_outage(&self) -> bool {
        if lock(&self.success).is_some_and(|at| at.elapsed() < STOP_RECEIVING) {
            return false;
        }
        let long =
            |outage: &Outage| outage.cause.is_outage() && outage.began.elapsed() >= STOP_RECEIVING;
        let buckets = lock(&self.buckets);
        buckets
            .values()
            .any(|breaker| breaker.state().outage.as_ref().is_some_and(long))
    }

    /// Waits until a request to any bucket succeeds.
    pub(crate) async fn success(&self) {
        self.succeeded.notified().await;
    }
}

impl Breaker {
    fn new(name: String, all: &Breakers) -> Self {
        Breaker {
            name,
            denied_passes: all.denied_passes,
            limit: Arc::new(AdaptiveLimit::new(all.concurrency)),
            state: Mutex::new(BreakerState {
                failures: 0,
                failing_since: None,
                success: None,
                outage: None,
                unreported: WITHOUT_SUCCESS,
                ended: None,
                stalled_since: None,
                stall_reported: None,
                causes: HashMap::new(),
            }),
            recovered: Notify::new(),
            waiting: AtomicUsize::new(0),
            log: Arc::clone(&all.log),
        }
    }

    /// Whether the bucket is known to answer: it has, lately or without a failure since.
    pub(crate) fn is_proven(&self) -> bool {
        let state = self.state();
        state
            .success
            .is_some_and(|at| state.failures == 0 || at.elapsed() < PROVEN)
    }

    /// A request waits for its turn. Whether none has succeeded for so long that its turn may never come; that is
    /// reported once a minute.
    pub(crate) fn waits(&self) -> bool {
        let mut state = self.state();
        let since = *state.stalled_since.get_or_insert_with(Instant::now);
        drop(state);
        self.is_stalled(since)
    }

    /// Whether requests wait for their turn while none has succeeded for a while.
    pub(crate) fn has_stalled(&self) -> bool {
        let since = self.state().stalled_since;
        since.is_some_and(|since| self.is_stalled(since))
    }

    fn is_stalled(&self, since: Instant) -> bool {
        if since.elapsed() < STALLED {
            return false;
        }
        let mut state = self.state();
        if state.stall_reported.is_none_or(|at| at.elapsed() >= REPORT) {
            state.stall_reported = Some(Instant::now());
            let line = format!(
                "{}: no download has finished for {} s; others wait for it",
                self.name,
                since.elapsed().as_secs()
            );
            self.log.limited("stalled buckets", Severity::Warning, line);
        }
        true
    }

    /// Waits for the right to make one request.
    pub(crate) async fn slot(&self) -> Slot {
        self.limit.acquire().await
    }

    /// Records a failed request, unless it says nothing about others.
    pub(crate) fn failed(&self, error: &AwsError) {
        let cause = error.cause;
        if cause.is_congestion() {
            self.limit.decrease();
        }
        let passes = error.is_transient() || error.is_denied() && self.denied_passes;
        if !passes {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        state.failures += 1;
        let since = *state.failing_since.get_or_insert(now);
        let outage = state.failures >= FAILURES && now.duration_since(since) >= WITHOUT_SUCCESS;
        let failing = state.causes.entry(cause).or_insert(Failing {
            began: now,
            last: now,
        });
        if now.duration_since(failing.last) >= FORGOTTEN {
            failing.began = now;
        }
        failing.last = now;
        if outage {
            self.report(&mut state, since, error, now);
        }
    }

    /// Logs an outage when it has lasted long enough, and once a minute.
    fn report(&self, state: &mut BreakerState, since: Instant, error: &AwsError, now: Instant) {
        if state
            .ended
            .is_some_and(|at| now.duration_since(at) >= FORGOTTEN)
        {
            state.unreported = WITHOUT_SUCCESS;
        }
        let unreported = state.unreported;
        let outage = state.outage.get_or_insert(Outage {
            began: since,
            reported: None,
            cause: error.cause,
        });
        outage.cause = error.cause;
        let lasted = now.duration_since(outage.began);
        let name = &self.name;
        let line = match outage.reported {
            None if lasted >= unreported => {
                format!("{name}: requests fail: {error}; retrying with growing pauses")
            }
            Some(at) if now.duration_since(at) >= REPORT => {
                let seconds = lasted.as_secs();
                format!("{name}: requests have failed for {seconds} s: {error}; retrying")
            }
            _ => return,
        };
        outage.reported = Some(now);
        self.log.limited("outages", Severity::Warning, line);
    }

    fn succeeded(&self, causes: &[ErrorCause]) {
        self.limit.increase();
        let now = Instant::now();
        let mut state = self.state();
        state.failures = 0;
        state.failing_since = None;
        state.stalled_since = None;
        state.success = Some(now);
        // One object's success proves that the service works, but nothing about other objects' keys and permissions.
        state
            .causes
            .retain(|cause, _| !cause.is_outage() && !causes.contains(cause));
        let Some(outage) = state.outage.take() else {
            return;
        };
        let lasted = now.duration_since(outage.began);
        state.unreported = match lasted < REPORT {
            true => (state.unreported * 2).min(REPORT),
            false => WITHOUT_SUCCESS,
        };
        state.ended = Some(now);
        drop(state);
        self.recovered.notify_waiters();
        if outage.reported.is_none() {
            return;
        }
        let line = format!(
            "{}: requests succeed again after {} s",
            self.name,
            lasted.as_secs()
        );
        self.log.limited("outages", Severity::Info, line);
    }

    /// How long requests have failed for `cause`. A success ends that; for causes that concern single objects, only
    /// the success of one that failed for this cause before.
    pub(crate) fn failing_for(&self, cause: ErrorCause) -> Duration {
        let state = self.state();
        let failing = state.causes.get(&cause);
        failing.map_or(Duration::ZERO, |failing| failing.began.elapsed())
    }

    /// Whether a request succeeded after `since`.
    pub(crate) fn succeeded_since(&self, since: Instant) -> bool {
        self.state().success.is_some_and(|success| success > since)
    }

    /// Pauses before a retry, no longer than an outage lasts.
    pub(crate) async fn pause(&self, pause: Duration) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        tokio::select! {
            () = sleep(pause) => {}
            () = self.recovered.notified() => {}
        }
    }

    /// How many pause before a retry.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, BreakerState> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(log: &Arc<Log>) -> Breaker {
        Breaker::new(
            "bucket b".to_owned(),
            &Breakers::new(32, true, Arc::clone(log)),
        )
    }

    fn fail(breaker: &Breaker, cause: ErrorCause, times: u32) {
        for _ in 0..times {
            breaker.failed(&AwsError::new(cause, "Code", "message"));
        }
    }

    fn first_failure(breaker: &Breaker, ago: Duration) {
        breaker.state().failing_since = Some(Instant::now() - ago);
    }

    #[test]
    fn outage_begins_after_failures_without_success_and_ends_with_one() {
        let log = Arc::default();
        let breaker = breaker(&log);
        fail(&breaker, ErrorCause::Unavailable, 100);
        assert!(breaker.state().outage.is_none(), "too early");
        first_failure(&breaker, WITHOUT_SUCCESS);
        fail(&breaker, ErrorCause::Unavailable, 10);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].1.contains("requests fail: Code: message"),
            "{lines:?}"
        );
        breaker.succeeded(&[]);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].1.contains("succeed again after 2 s"), "{lines:?}");
    }

    #[test]
    fn outage_is_reported_once_a_minute() {
        let log = Arc::default();
        let breaker = breaker(&log);
        first_failure(&breaker, WITHOUT_SUCCESS);
        fail(&breaker, ErrorCause::Timeout, 10);
        log.take();
        let mut state = breaker.state();
        state.outage.as_mut().expect("an outage").reported = Some(Instant::now() - REPORT);
        drop(state);
        fail(&breaker, ErrorCause::Timeout, 10);
        assert_eq!(log.take().len(), 1);
    }

    #[test]
    fn outages_that_come_and_go_are_logged_less_and_less_often() {
        let log = Arc::default();
        let breaker = breaker(&log);
        let mut lines = 0;
        for _ in 0..100 {
            first_failure(&breaker, Duration::from_secs(7));
            fail(&breaker, ErrorCause::Unavailable, 10);
            assert!(breaker.state().outage.is_some());
            breaker.succeeded(&[]);
            lines += log.take().len();
        }
        assert_eq!(lines, 4, "begin and end of those after 2 s and 4 s");
        breaker.state().ended = Some(Instant::now() - FORGOTTEN);
        first_failure(&breaker, WITHOUT_SUCCESS);
        fail(&breaker, ErrorCause::Unavailable, 10);
        assert_eq!(log.take().len(), 1);
    }

    #[test]
    fn listings_that_succeed_say_nothing_about_objects() {
        let breakers = Breakers::new(32, true, Arc::default());
        let (objects, listings) = (breakers.of("b"), breakers.of_listings("b"));
        first_failure(&objects, WITHOUT_SUCCESS);
        fail(&objects, ErrorCause::Throttled, 10);
        breakers.succeeded(&listings, &[]);
        assert!(objects.state().outage.is_some() && !objects.is_proven());
    }

    #[test]
    fn permanent_failures_are_no_outage() {
        let log = Arc::default();
        let breaker = breaker(&log);
        first_failure(&breaker, WITHOUT_SUCCESS);
        fail(&breaker, ErrorCause::NotFound, 100);
        fail(&breaker, ErrorCause::Rejected, 100);
        assert!(breaker.state().outage.is_none());
    }

    #[test]
    fn success_of_another_object_ends_only_causes_of_the_service() {
        let breaker = breaker(&Arc::default());
        fail(&breaker, ErrorCause::Unavailable, 1);
        fail(&breaker, ErrorCause::EncryptionKey, 1);
        std::thread::sleep(Duration::from_millis(2));
        breaker.succeeded(&[]);
        assert_eq!(breaker.failing_for(ErrorCause::Unavailable), Duration::ZERO);
        assert!(breaker.failing_for(ErrorCause::EncryptionKey) > Duration::ZERO);
        breaker.succeeded(&[ErrorCause::EncryptionKey]);
        assert_eq!(
            breaker.failing_for(ErrorCause::EncryptionKey),
            Duration::ZERO
        );
    }

    #[test]
    fn receiving_stops_only_in_an_outage_of_every_bucket() {
        let breakers = Breakers::new(32, true, Arc::default());
        let (down, up) = (breakers.of("down"), breakers.of("up"));
        assert!(!breakers.is_outage());
        first_failure(&down, STOP_RECEIVING);
        fail(&down, ErrorCause::Unavailable, 5);
        assert!(breakers.is_outage());
        breakers.succeeded(&up, &[]);
        assert!(!breakers.is_outage(), "another bucket answers");
    }

    #[test]
    fn denied_objects_do_not_stop_receiving() {
        let breakers = Breakers::new(32, true, Arc::default());
        let denied = breakers.of("denied");
        first_failure(&denied, STOP_RECEIVING);
        fail(&denied, ErrorCause::AccessDenied, 100);
        assert!(!breakers.is_outage());
    }

    #[test]
    fn state_is_kept_of_a_bounded_number_of_buckets() {
        let breakers = Breakers::new(32, true, Arc::default());
        let in_use = breakers.of("in use");
        for number in 0..5000 {
            breakers.of(&number.to_string());
        }
        assert!(lock(&breakers.buckets).len() <= BUCKETS + 1);
        assert!(Arc::ptr_eq(&in_use, &breakers.of("in use")));
    }
}
