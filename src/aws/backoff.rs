//! Growing pauses between tries, spread at random so that many who failed together do not come
//! back together.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Pauses that double up to a longest one.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The first pause is at most `first`, the later ones at most `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Backoff {
            first,
            longest,
            next: first,
        }
    }

    /// The next pause: at random between half of its full length and all of it.
    pub fn pause(&mut self) -> Duration {
        self.pause_at_most(self.longest)
    }

    /// The next pause, of a full length of at most `longest` this time.
    pub fn pause_at_most(&mut self, longest: Duration) -> Duration {
        let full = self.next.min(longest);
        self.next = (self.next * 2).min(self.longest);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 5 * second);
        for full in [1, 2, 4, 5, 5] {
            let pause = backoff.pause();
            assert!(
                pause >= full * second / 2 && pause <= full * second,
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= second);
    }
}
