//! When a request or an object that failed is tried again, and when it is given up.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::error::{AwsError, ErrorCause, ErrorClass};
use crate::aws::backoff::Backoff;

/// The longest first pause; it doubles while requests to the bucket keep failing.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The first and longest pause of an object that fails for a reason of its own: a permission, or its key.
const OBJECT_PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

/// Pause after the first failure of a missing object of `sqs://`; the second one takes the rest of [`MISSING`].
const MISSING_PAUSE: Duration = Duration::from_millis(700);

/// The longest pause in an outage of the service while few objects wait. Where many do, it grows with their number, so
/// that their retries are at most [`RETRY_RATE`] a second in all.
const OUTAGE_PAUSE: Duration = Duration::from_secs(2);

/// The same of an object whose requests fail while others of its bucket succeed.
const ALONE_PAUSE: Duration = Duration::from_secs(10);

/// Retries a second of all that wait for one bucket.
const RETRY_RATE: u32 = 20;

/// Pauses between the tries of an object of `s3://` that is missing or denied. There may be thousands of those.
const SWEEP_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// How long a missing object of `sqs://` is tried: replication and S3-compatible stores may lag behind the notification.
const MISSING: Duration = Duration::from_secs(3);

/// How long a denied object of `sqs://` is tried while others of its bucket can be read.
const DENIED_ALONE: Duration = Duration::from_secs(15 * 60);

/// How long a denied object of `sqs://` is tried while none of its bucket can be read: short of the 12 hours for which
/// a message can be kept.
const DENIED_ALL: Duration = Duration::from_secs(11 * 3600);

/// Tries of a request for which a source that is being opened waits.
const OPEN_TRIES: u32 = 2;

/// Who waits for a request, and so how long it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// The opening of a source: a few seconds.
    Open,
    /// `s3://`: transient failures for this long (`s3RetryFor`), per cause and bucket.
    Sweep(Duration),
    /// `sqs://`: transient failures for as long as the message can be kept.
    Queue,
}

/// The failures so far of one request or object.
#[derive(Debug)]
pub(crate) struct Tries {
    policy: RetryPolicy,
    began: Option<Instant>,
    last: Instant,
    failed: u32,
    /// Failures for being missing or denied, and the time of the first.
    absent: u32,
    absent_since: Option<Instant>,
    pauses: Backoff,
    object_pauses: Backoff,
    causes: Vec<ErrorCause>,
}

impl Tries {
    /// No failures yet.
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Tries {
            policy,
            began: None,
            last: Instant::now(),
            failed: 0,
            absent: 0,
            absent_since: None,
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            object_pauses: Backoff::new(OBJECT_PAUSES[0], OBJECT_PAUSES[1]),
            causes: Vec::new(),
        }
    }

    /// For a request for which a source that is being opened waits.
    pub(crate) fn at_open() -> Self {
        Tries::new(RetryPolicy::Open)
    }

    /// The causes for which it has failed, each once.
    pub(crate) fn causes(&self) -> &[ErrorCause] {
        &self.causes
    }

    /// Records a failure: how long to pause before the next try, or `None` to give up.
    pub(crate) fn after(&mut self, failure: &AwsError, breaker: &Breaker) -> Option<Duration> {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let previous = std::mem::replace(&mut self.last, now);
        self.failed += 1;
        if !self.causes.contains(&failure.cause) {
            self.causes.push(failure.cause);
        }
        let class = failure.cause.class();
        match (self.policy, class) {
            (_, ErrorClass::Permanent) => None,
            (RetryPolicy::Open, ErrorClass::TransientSource) => {
                let worth = failure.cause.is_congestion() && failure.cause != ErrorCause::Timeout;
                (worth && self.failed < OPEN_TRIES).then_some(FIRST_PAUSE)
            }
            (RetryPolicy::Open, _) => None,
            (RetryPolicy::Sweep(limit), ErrorClass::TransientSource) => {
                let spent = began.elapsed() >= limit || breaker.failing_for(failure.cause) >= limit;
                (!spent).then(|| self.pause(failure, breaker, previous))
            }
            (RetryPolicy::Queue, ErrorClass::TransientSource) => {
                Some(self.pause(failure, breaker, previous))
            }
            (RetryPolicy::Sweep(_), _) => {
                self.absent += 1;
                SWEEP_PAUSES.get(self.absent as usize - 1).copied()
            }
            (RetryPolicy::Queue, ErrorClass::BrieflyTransient) => {
                self.absent += 1;
                let left = MISSING.checked_sub(self.absent_since(now).elapsed())?;
                match self.absent {
                    1 => Some(MISSING_PAUSE),
                    _ => (left > MISSING_PAUSE / 4).then_some(left),
                }
            }
            (RetryPolicy::Queue, ErrorClass::TransientObject) => {
                let since = self.absent_since(now);
                let limit = match breaker.succeeded_since(since) {
                    true => DENIED_ALONE,
                    false => DENIED_ALL,
                };
                (since.elapsed() < limit).then(|| self.object_pauses.pause())
            }
        }
    }

    fn absent_since(&mut self, now: Instant) -> Instant {
        *self.absent_since.get_or_insert(now)
    }

    /// The next pause after a transient failure. In an outage its success may come at any time, and ends all other
    /// pauses; where others succeed, this one's failures are its own.
    fn pause(&mut self, failure: &AwsError, breaker: &Breaker, previous: Instant) -> Duration {
        if failure.cause == ErrorCause::EncryptionKey {
            return self.object_pauses.pause();
        }
        // Throttling at any rate lets some pass, and the adaptive limit slows the requests down.
        let own = failure.cause != ErrorCause::Throttled && breaker.succeeded_since(previous);
        let shortest = if own { ALONE_PAUSE } else { OUTAGE_PAUSE };
        let waiting = u32::try_from(breaker.waiting()).unwrap_or(u32::MAX);
        let longest = Duration::from_secs(u64::from(waiting / RETRY_RATE));
        self.pauses
            .pause_at_most(longest.clamp(shortest, LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::breaker::Breakers;
    use std::sync::Arc;

    const HALF_HOUR: Duration = Duration::from_secs(1800);

    fn pauses(policy: RetryPolicy, cause: ErrorCause, at_most: usize) -> Vec<Duration> {
        let breakers = Breakers::new(32, true, Arc::default());
        let breaker = breakers.of("b");
        let failure = AwsError::new(cause, "c", "m");
        let mut tries = Tries::new(policy);
        std::iter::from_fn(|| {
            breaker.failed(&failure);
            tries.after(&failure, &breaker)
        })
        .take(at_most)
        .collect()
    }

    #[test]
    fn transient_failures_are_retried_for_as_long_as_the_policy_allows() {
        for cause in [
            ErrorCause::Throttled,
            ErrorCause::Timeout,
            ErrorCause::Unavailable,
            ErrorCause::ForeignAnswer,
            ErrorCause::Credentials,
            ErrorCause::EncryptionKey,
        ] {
            assert_eq!(pauses(RetryPolicy::Queue, cause, 100).len(), 100);
            assert_eq!(pauses(RetryPolicy::Sweep(HALF_HOUR), cause, 100).len(), 100);
            assert_eq!(
                pauses(RetryPolicy::Sweep(Duration::ZERO), cause, 100).len(),
                0
            );
        }
    }

    #[test]
    fn permanent_failures_are_never_retried() {
        for policy in [
            RetryPolicy::Queue,
            RetryPolicy::Sweep(HALF_HOUR),
            RetryPolicy::Open,
        ] {
            for cause in [
                ErrorCause::Rejected,
                ErrorCause::TooLarge,
                ErrorCause::WrongRegion,
            ] {
                assert_eq!(pauses(policy, cause, 100).len(), 0, "{policy:?} {cause:?}");
            }
        }
    }

    #[test]
    fn sweep_tries_missing_and_denied_objects_three_times_within_two_seconds() {
        for cause in [ErrorCause::NotFound, ErrorCause::AccessDenied] {
            let pauses = pauses(RetryPolicy::Sweep(HALF_HOUR), cause, 100);
            assert_eq!(pauses.len(), 2);
            let all: Duration = pauses.iter().sum();
            assert!(all < Duration::from_secs(2), "{all:?}");
        }
    }

    #[test]
    fn queue_waits_for_denied_objects() {
        assert_eq!(
            pauses(RetryPolicy::Queue, ErrorCause::AccessDenied, 100).len(),
            100
        );
    }

    #[test]
    fn queue_gives_up_a_missing_object_after_three_seconds() {
        let breakers = Breakers::new(32, true, Arc::default());
        let breaker = breakers.of("b");
        let failure = AwsError::new(ErrorCause::NotFound, "NoSuchKey", "m");
        let mut tries = Tries::new(RetryPolicy::Queue);
        assert!(tries.after(&failure, &breaker).is_some());
        tries.absent_since = Some(Instant::now() - MISSING);
        assert_eq!(tries.after(&failure, &breaker), None);
    }

    #[test]
    fn denied_object_is_given_up_sooner_while_others_can_be_read() {
        let breakers = Breakers::new(32, true, Arc::default());
        let breaker = breakers.of("b");
        let failure = AwsError::new(ErrorCause::AccessDenied, "AccessDenied", "m");
        let mut tries = Tries::new(RetryPolicy::Queue);
        assert!(tries.after(&failure, &breaker).is_some());
        tries.absent_since = Some(Instant::now() - DENIED_ALONE);
        assert!(
            tries.after(&failure, &breaker).is_some(),
            "none can be read"
        );
        breakers.succeeded(&breaker, &[]);
        assert_eq!(tries.after(&failure, &breaker), None);
    }

    #[test]
    fn failing_object_among_successes_is_retried_less_and_less_often() {
        for (cause, longest) in [
            (ErrorCause::Throttled, OUTAGE_PAUSE),
            (ErrorCause::Unavailable, ALONE_PAUSE),
        ] {
            let breakers = Breakers::new(32, true, Arc::default());
            let breaker = breakers.of("b");
            let failure = AwsError::new(cause, "c", "m");
            let mut tries = Tries::new(RetryPolicy::Queue);
            let pauses = (0..20).map(|_| {
                let pause = tries.after(&failure, &breaker).expect("a retry");
                std::thread::sleep(Duration::from_millis(1));
                breakers.succeeded(&breaker, &[]);
                pause
            });
            let pauses: Vec<Duration> = pauses.collect();
            assert!(pauses[0] <= FIRST_PAUSE, "{pauses:?}");
            let last = pauses[19];
            assert!(last >= longest / 2 && last <= longest, "{last:?}");
        }
    }

    #[test]
    fn spent_cause_leaves_one_try_until_a_request_succeeds() {
        let breakers = Breakers::new(32, false, Arc::default());
        let breaker = breakers.of("b");
        let failure = AwsError::new(ErrorCause::Unavailable, "c", "m");
        let limit = Duration::from_millis(20);
        breaker.failed(&failure);
        std::thread::sleep(limit);
        let mut next = Tries::new(RetryPolicy::Sweep(limit));
        assert_eq!(next.after(&failure, &breaker), None, "one try");
        breakers.succeeded(&breaker, &[]);
        breaker.failed(&failure);
        let mut later = Tries::new(RetryPolicy::Sweep(limit));
        assert!(later.after(&failure, &breaker).is_some());
    }

    #[test]
    fn few_waiting_objects_are_retried_often_and_many_seldom() {
        let longest = |cause| {
            *pauses(RetryPolicy::Queue, cause, 20)
                .last()
                .expect("a pause")
        };
        assert!(longest(ErrorCause::Throttled) <= OUTAGE_PAUSE);
        assert!(longest(ErrorCause::EncryptionKey) >= LONGEST_PAUSE / 2);
        let breakers = Breakers::new(32, true, Arc::default());
        let breaker = breakers.of("b");
        let failure = AwsError::new(ErrorCause::Unavailable, "c", "m");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let waiting = (0..200).map(|_| {
                let breaker = Arc::clone(&breaker);
                tokio::spawn(async move { breaker.pause(LONGEST_PAUSE).await })
            });
            let waiting: Vec<_> = waiting.collect();
            while breaker.waiting() < 200 {
                tokio::task::yield_now().await;
            }
            let mut tries = Tries::new(RetryPolicy::Queue);
            let last = (0..20)
                .filter_map(|_| tries.after(&failure, &breaker))
                .last();
            let last = last.expect("a pause");
            assert!(
                last >= Duration::from_secs(5) && last <= Duration::from_secs(10),
                "{last:?}"
            );
            drop(waiting);
        });
    }

    #[test]
    fn opening_waits_for_one_more_try_at_most() {
        assert_eq!(
            pauses(RetryPolicy::Open, ErrorCause::Unavailable, 100).len(),
            1
        );
        for cause in [
            ErrorCause::Timeout,
            ErrorCause::Credentials,
            ErrorCause::AccessDenied,
        ] {
            assert_eq!(pauses(RetryPolicy::Open, cause, 100).len(), 0, "{cause:?}");
        }
    }
}
