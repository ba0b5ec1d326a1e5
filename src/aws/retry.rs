//! How often and when a request that failed is tried again.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::failure::{Cause, Described};
use crate::backoff::Backoff;

/// Failed tries after which a request is given up.
const TRIES: u32 = 5;

/// Tries that an answer which did not come in time counts as: it has cost as much patience.
const TIMEOUT_COSTS: u32 = 2;

/// Answers that ask to slow down, after which a request is given up. They take a minute or so in all.
const THROTTLES: u32 = 10;

/// The longest first pause, which doubles with each further one.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause of all.
const LONGEST: Duration = Duration::from_secs(10);

/// The same two where the service asks to slow down.
const FIRST_THROTTLED: Duration = Duration::from_millis(500);
const LONGEST_THROTTLED: Duration = Duration::from_secs(20);

/// The failures so far of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    failed: u32,
    pauses: Backoff,
    throttled: u32,
    throttled_pauses: Backoff,
}

impl Default for Tries {
    fn default() -> Self {
        Tries {
            failed: 0,
            pauses: Backoff::new(FIRST, LONGEST),
            throttled: 0,
            throttled_pauses: Backoff::new(FIRST_THROTTLED, LONGEST_THROTTLED),
        }
    }
}

impl Tries {
    /// For a request that a person waits for: two tries, and one if no answer came.
    pub(super) fn few() -> Tries {
        Tries {
            failed: TRIES - 2,
            throttled: THROTTLES - 4,
            ..Tries::default()
        }
    }

    /// How long to wait before the next try; `None` where there shall be none.
    pub(super) fn after(&mut self, failure: &Described) -> Option<Duration> {
        if !failure.is_transient() {
            return None;
        }
        if failure.is_throttle() {
            self.throttled += 1;
            return (self.throttled < THROTTLES).then(|| self.throttled_pauses.pause());
        }
        self.failed += match failure.cause {
            Cause::Timeout => TIMEOUT_COSTS,
            _ => 1,
        };
        (self.failed < TRIES).then(|| self.pauses.pause())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(cause: Cause, mut tries: Tries) -> Vec<Duration> {
        let failure = Described::new(cause, "c", "m");
        std::iter::from_fn(|| tries.after(&failure)).collect()
    }

    #[test]
    fn tries_are_bounded() {
        let count = |cause| pauses(cause, Tries::default()).len();
        assert_eq!(count(Cause::Transient), 4);
        assert_eq!(count(Cause::Timeout), 2);
        assert_eq!(count(Cause::Throttled), 9);
        for lasting in [
            Cause::Missing,
            Cause::Denied,
            Cause::Refused,
            Cause::Credentials,
            Cause::WrongRegion,
            Cause::TooLarge,
        ] {
            assert_eq!(count(lasting), 0, "{lasting:?}");
        }
    }

    #[test]
    fn nobody_waits_long_while_a_source_is_opened() {
        assert_eq!(pauses(Cause::Transient, Tries::few()).len(), 1);
        assert_eq!(pauses(Cause::Timeout, Tries::few()).len(), 0);
        let throttled: Duration = pauses(Cause::Throttled, Tries::few()).iter().sum();
        assert!(throttled <= Duration::from_secs(4), "{throttled:?}");
    }

    #[test]
    fn throttling_slows_down_rather_than_fails() {
        let all: Duration = pauses(Cause::Throttled, Tries::default()).iter().sum();
        assert!(all >= Duration::from_secs(30), "{all:?}");
    }
}
