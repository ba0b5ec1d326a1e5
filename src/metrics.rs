//! Counters that any thread may add to and read.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// One figure, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, the plugin's prefix included.
    pub name: &'static std::ffi::CStr,
    /// Whether it only grows, rather than going up and down.
    pub monotonic: bool,
    /// Its value now.
    pub value: u64,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident $name:literal $monotonic:literal,)*) => {
        /// What the plugin has done so far, over all of its open sources.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[$doc])* pub $field: Counter,)* }

        impl Metrics {
            /// How many figures [`Metrics::snapshot`] gives.
            pub const COUNT: usize = [$($name,)*].len() + 1;

            /// All figures, in a fixed order.
            pub fn snapshot(&self) -> [Metric; Self::COUNT] {
                [
                    $(Metric { name: $name, monotonic: $monotonic, value: self.$field.value() },)*
                    // In seconds; Falco would make another word of a name that said so.
                    Metric { name: c"lag", monotonic: false, value: self.lag(now()) },
                ]
            }
        }
    };
}

metrics! {
    /// Log files and objects read to their end.
    objects c"objects" true,
    /// Bytes read, as stored: mostly compressed.
    bytes_in c"bytes_in" true,
    /// Bytes of JSON text that these held.
    bytes_out c"bytes_out" true,
    /// Records found.
    records c"records" true,
    /// Events handed to the host.
    events c"events" true,
    /// Records left out because they are insights.
    skipped_insight c"skipped.insight" true,
    /// Records left out because nothing tells their time.
    skipped_no_time c"skipped.no_time" true,
    /// Digest files' contents.
    skipped_digest c"skipped.digest" true,
    /// Objects named by messages that are not logs of CloudTrail by their key.
    skipped_not_a_log c"skipped.not_a_log" true,
    /// Stretches of text whose braces or quotes do not balance.
    damaged_unbalanced c"damaged.unbalanced" true,
    /// Values in a record's place that are no objects.
    damaged_not_an_object c"damaged.not_an_object" true,
    /// Files that end inside a record or before their list of records does.
    damaged_cut_off c"damaged.cut_off" true,
    /// Records over 64 MiB, or of too many objects and arrays.
    damaged_too_long c"damaged.too_long" true,
    /// Files too damaged to look through.
    damaged_given_up c"damaged.given_up" true,
    /// Files that could not be read, or not to their end.
    errors_read c"errors.read" true,
    /// Files whose gzip stream is damaged or cut off.
    errors_gzip c"errors.gzip" true,
    /// Files refused for their decompressed size.
    errors_too_large c"errors.too_large" true,
    /// Objects that could not be downloaded.
    errors_fetch c"errors.fetch" true,
    /// Listings of a bucket that broke off.
    errors_list c"errors.list" true,
    /// Requests to a queue that failed.
    errors_queue c"errors.queue" true,
    /// Faults of the plugin itself that were contained.
    errors_internal c"errors.internal" true,
    /// Requests sent to AWS.
    requests c"requests" true,
    /// Requests that were sent again.
    retries c"retries" true,
    /// Requests that AWS put off for coming too fast.
    throttles c"throttles" true,
    /// Messages received from the queue.
    messages_received c"messages.received" true,
    /// Messages deleted from the queue.
    messages_deleted c"messages.deleted" true,
    /// Visibility timeouts of messages that were extended.
    messages_extended c"messages.extended" true,
    /// Messages left to the queue because an object of theirs failed.
    messages_returned c"messages.returned" true,
    /// Messages that are no notification of a log file.
    messages_unknown c"messages.unknown" true,
    /// Visibility timeouts that expired before their message was processed.
    messages_lost c"messages.lost" true,
    /// Messages received and not yet settled.
    messages_in_flight c"messages.in_flight" false,
    /// Messages kept hidden while an object of theirs waits for a retry.
    messages_parked c"messages.parked" false,
    /// Time of the newest event so far, in seconds since 1970; its distance to now is the lag.
    newest_event_time c"newest_event_time" false,
    /// Bytes decoded and waiting for the host; zero again when the source is closed.
    buffered_bytes c"buffered_bytes" false,
}

impl Metrics {
    /// How far the newest event lies back at this time, both in seconds since 1970; 0 as long as there is none.
    fn lag(&self, now: u64) -> u64 {
        match self.newest_event_time.value() {
            0 => 0,
            newest => now.saturating_sub(newest),
        }
    }
}

fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs()
}

/// A figure that threads share. Relaxed throughout: each is read for itself, and none publishes other data.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Takes `amount` off a figure that goes up and down.
    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Relaxed);
    }

    /// Raises it to `value`, if it is below.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_that_of_the_newest_event() {
        let metrics = Metrics::default();
        assert_eq!(metrics.lag(1000), 0, "there is none yet");
        metrics.newest_event_time.raise(900);
        metrics.newest_event_time.raise(700);
        assert_eq!(metrics.lag(1000), 100);
        assert_eq!(metrics.lag(800), 0, "a clock may be wrong");
    }
}
