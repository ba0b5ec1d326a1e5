//! The plugin's metrics.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::timestamp;

/// Name and value of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSample {
    /// Name; the host adds a prefix.
    pub name: &'static std::ffi::CStr,
    /// A counter, which never decreases; otherwise a gauge.
    pub monotonic: bool,
    /// Current value.
    pub value: u64,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident $name:literal $monotonic:literal,)*) => {
        /// Metrics of one plugin instance, over all sources that it opened.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[$doc])* pub $field: Counter,)* }

        impl Metrics {
            /// Length of a [`Metrics::snapshot`].
            pub const COUNT: usize = [$($name,)*].len() + 1;

            /// All metrics, in a fixed order.
            pub fn snapshot(&self) -> [MetricSample; Self::COUNT] {
                [
                    $(MetricSample { name: $name, monotonic: $monotonic, value: self.$field.value() },)*
                    // In seconds. The name has no unit, as Falco rewrites names that end in one.
                    MetricSample { name: c"lag", monotonic: false, value: self.lag(timestamp::now()) },
                ]
            }
        }
    };
}

metrics! {
    /// Log files and objects that were read completely.
    objects c"objects" true,
    /// Stored bytes read, mostly compressed.
    bytes_in c"bytes_in" true,
    /// Bytes of JSON text after decompression.
    bytes_out c"bytes_out" true,
    /// CloudTrail records found.
    records c"records" true,
    /// Events delivered to the host.
    events c"events" true,
    /// Insights records skipped because `includeInsights` is off.
    skipped_insight c"skipped.insight" true,
    /// Records skipped because neither they nor their file name have a time.
    skipped_no_time c"skipped.no_time" true,
    /// Digest files skipped.
    skipped_digest c"skipped.digest" true,
    /// Objects named by messages and skipped because their key is not that of a CloudTrail log.
    skipped_not_a_log c"skipped.not_a_log" true,
    /// Objects named by messages and skipped because their account is not in `s3AccountList`.
    skipped_account c"skipped.account" true,
    /// Objects named by messages and skipped because their name says that they are older than `sqsMaxAge`.
    skipped_old c"skipped.old" true,
    /// Events that `dropEvents` drops.
    skipped_dropped c"skipped.dropped" true,
    /// Duplicates of delivered events that `dedupWindow` withholds.
    skipped_duplicate c"skipped.duplicate" true,
    /// Text ranges skipped because of unbalanced braces or quotes.
    damaged_unbalanced c"damaged.unbalanced" true,
    /// Values in place of a record that are not objects.
    damaged_not_an_object c"damaged.not_an_object" true,
    /// Files that end inside a record or inside the list of records.
    damaged_cut_off c"damaged.cut_off" true,
    /// Records over 64 MiB, or with too many objects and arrays.
    damaged_too_long c"damaged.too_long" true,
    /// Files abandoned because they are too damaged.
    damaged_given_up c"damaged.given_up" true,
    /// Files that could not be read completely.
    errors_read c"errors.read" true,
    /// Files whose gzip stream is damaged or truncated.
    errors_gzip c"errors.gzip" true,
    /// Files rejected because they exceed `maxObjectBytes`.
    errors_too_large c"errors.too_large" true,
    /// Objects that could not be downloaded.
    errors_fetch c"errors.fetch" true,
    /// Listings of a bucket that failed.
    errors_list c"errors.list" true,
    /// Objects named by messages and refused because their bucket is not in `sqsAllowedBuckets`.
    errors_bucket c"errors.bucket" true,
    /// Failed requests to a queue.
    errors_queue c"errors.queue" true,
    /// Internal errors of the plugin that were contained.
    errors_internal c"errors.internal" true,
    /// Requests sent to AWS.
    requests c"requests" true,
    /// Requests that were retried.
    retries c"retries" true,
    /// Requests that AWS throttled.
    throttles c"throttles" true,
    /// Messages received from the queue.
    messages_received c"messages.received" true,
    /// Messages deleted from the queue.
    messages_deleted c"messages.deleted" true,
    /// Visibility timeouts of messages that were extended.
    messages_extended c"messages.extended" true,
    /// Messages returned to the queue because one of their objects failed.
    messages_returned c"messages.returned" true,
    /// Messages that hold records themselves.
    messages_records c"messages.records" true,
    /// Messages that are not a notification of a log file.
    messages_unknown c"messages.unknown" true,
    /// Messages whose visibility timeout expired before they were processed.
    messages_lost c"messages.lost" true,
    /// Messages in flight: received, neither deleted nor returned.
    messages_in_flight c"messages.in_flight" false,
    /// Messages kept invisible while one of their objects waits for a retry.
    messages_parked c"messages.parked" false,
    /// Time of the newest event, in seconds since the epoch.
    newest_event_time c"newest_event_time" false,
    /// Decoded bytes that wait for the host; 0 when the source is closed.
    buffered_bytes c"buffered_bytes" false,
}

impl Metrics {
    /// Seconds from the newest event to `now`, in seconds since the epoch; 0 before the first event.
    fn lag(&self, now: i64) -> u64 {
        match self.newest_event_time.value() {
            0 => 0,
            newest => now.unsigned_abs().saturating_sub(newest),
        }
    }
}

/// A value that threads share. Relaxed ordering suffices: no other data is published through it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Subtracts `amount` from a gauge.
    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Relaxed);
    }

    /// Sets it to `value` if that is larger.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }

    /// Current value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_of_the_newest_event() {
        let metrics = Metrics::default();
        assert_eq!(metrics.lag(1000), 0, "no event yet");
        metrics.newest_event_time.raise(900);
        metrics.newest_event_time.raise(700);
        assert_eq!(metrics.lag(1000), 100);
        assert_eq!(metrics.lag(800), 0, "the clock may be wrong");
    }
}
