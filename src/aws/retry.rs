//! How often and when a request that failed is tried again.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::failure::{Cause, Described};

/// Failed tries after which a request is given up.
const TRIES: u32 = 5;

/// Tries that an answer which did not come in time counts as: each has cost as much patience.
const TIMEOUT_COSTS: u32 = 2;

/// Answers that ask to slow down, after which a request is given up. They cost a minute or two in all.
const THROTTLES: u32 = 12;

/// The longest pause before the second try; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause of all.
const LONGEST: Duration = Duration::from_secs(10);

/// The same where the service asks to slow down.
const LONGEST_THROTTLED: Duration = Duration::from_secs(20);

/// The failures so far of one request.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failed: u32,
    throttled: u32,
}

impl Tries {
    /// For a request that a person waits for: two tries, and one if no answer came.
    pub(super) fn few() -> Tries {
        Tries {
            failed: TRIES - 2,
            throttled: THROTTLES - 4,
        }
    }

    /// How long to wait before the next try; `None` where there shall be none.
    pub(super) fn after(&mut self, failure: &Described) -> Option<Duration> {
        if !failure.is_transient() {
            return None;
        }
        if failure.is_throttle() {
            self.throttled += 1;
            let pause = doubled(FIRST * 2, self.throttled, LONGEST_THROTTLED);
            // Never next to nothing: to slow down is the point.
            return (self.throttled < THROTTLES).then(|| pause / 2 + part(pause / 2));
        }
        self.failed += match failure.cause {
            Cause::Timeout => TIMEOUT_COSTS,
            _ => 1,
        };
        (self.failed < TRIES).then(|| part(doubled(FIRST, self.failed, LONGEST)))
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(1 << times.saturating_sub(1).min(16))
        .min(longest)
}

/// A random part of `whole`, so that many that failed together do not come back together.
fn part(whole: Duration) -> Duration {
    // Each state hashes differently: as random as a pause has to be.
    let random = RandomState::new().hash_one(0u8) >> 32;
    whole.mul_f64(random as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(cause: Cause) -> Vec<Duration> {
        let failure = Described::new(cause, "c", "m");
        let mut tries = Tries::default();
        std::iter::from_fn(|| tries.after(&failure)).collect()
    }

    #[test]
    fn tries_are_bounded() {
        assert_eq!(pauses(Cause::Transient).len(), 4);
        assert_eq!(pauses(Cause::Timeout).len(), 2);
        assert_eq!(pauses(Cause::Throttled).len(), 11);
        for lasting in [
            Cause::Missing,
            Cause::Denied,
            Cause::Refused,
            Cause::Credentials,
            Cause::TooLarge,
        ] {
            assert!(pauses(lasting).is_empty(), "{lasting:?}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for (at, pause) in pauses(Cause::Transient).into_iter().enumerate() {
            assert!(pause <= FIRST * (1 << at), "{at}: {pause:?}");
        }
        for pause in pauses(Cause::Throttled) {
            assert!((FIRST..=LONGEST_THROTTLED).contains(&pause), "{pause:?}");
        }
    }
}
