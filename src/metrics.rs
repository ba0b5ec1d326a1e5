//! The plugin's metrics.
#![forbid(unsafe_code)]

use std::array;
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
        pub struct Metrics {
            $($(#[$doc])* pub $field: Counter,)*
            /// Lags of recent events.
            pub lags: RecentLags,
        }

        impl Metrics {
            /// Length of a [`Metrics::snapshot`].
            pub const COUNT: usize = [$($name,)*].len() + 3;

            /// All metrics, in a fixed order.
            pub fn snapshot(&self) -> [MetricSample; Self::COUNT] {
                let now = timestamp::now();
                let [median, p99] = self.lags.percentiles([50, 99], now);
                [
                    $(MetricSample { name: $name, monotonic: $monotonic, value: self.$field.value() },)*
                    // In seconds. The name has no unit, as Falco rewrites names that end in one.
                    MetricSample { name: c"lag", monotonic: false, value: self.lag(now) },
                    MetricSample { name: c"lag.p50", monotonic: false, value: median },
                    MetricSample { name: c"lag.p99", monotonic: false, value: p99 },
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
    /// Objects named by messages whose key is not that of a CloudTrail log, and objects with JSON that is no record.
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
    /// Messages that are not a notification of a log file, name an object that cannot exist, or are malformed.
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

/// Length of a window of [`RecentLags`], in seconds.
const WINDOW: i64 = 300;

/// Buckets of a histogram: four for each power of two of milliseconds, up to the age of an event of 1970.
const BUCKETS: usize = 168;

/// Histogram of the lag of events: the time from `eventTime` to their delivery to the host. Covers the current window and
/// the one before, so five to ten minutes.
#[derive(Debug)]
pub struct RecentLags {
    windows: [[Counter; BUCKETS]; 2],
    /// Number of the current window since 1970.
    current: AtomicU64,
}

impl Default for RecentLags {
    fn default() -> Self {
        RecentLags {
            windows: array::from_fn(|_| array::from_fn(|_| Counter::default())),
            current: AtomicU64::new(0),
        }
    }
}

impl RecentLags {
    /// Records the events of a batch that is delivered at `now`. Both times are in nanoseconds since 1970. Sources that are
    /// read on several threads may lose a few counts at the start of a window.
    pub fn record(&self, timestamps: impl Iterator<Item = u64>, now: u64) {
        let window = window_of((now / 1_000_000_000) as i64);
        let before = self.current.swap(window, Relaxed);
        if before != window {
            let stale = match before + 1 == window {
                true => 1,
                false => 2,
            };
            for at in 0..stale {
                let buckets = &self.windows[(window as usize + at) % 2];
                buckets.iter().for_each(|bucket| bucket.0.store(0, Relaxed));
            }
        }
        let buckets = &self.windows[window as usize % 2];
        // Neighbors mostly share a bucket: one atomic operation for each run of them.
        let (mut last, mut count) = (0, 0);
        for timestamp in timestamps {
            let bucket = bucket_of(now.saturating_sub(timestamp) / 1_000_000);
            if bucket != last {
                buckets[last].add(count);
                (last, count) = (bucket, 0);
            }
            count += 1;
        }
        buckets[last].add(count);
    }

    /// These percentiles at `now`, in seconds and rounded; 0 without events. The error is at most an eighth of the value.
    fn percentiles<const N: usize>(&self, percents: [u64; N], now: i64) -> [u64; N] {
        let (window, current) = (window_of(now), self.current.load(Relaxed));
        let is_recent = |at: usize| match at == current as usize % 2 {
            true => current + 1 >= window,
            false => current >= window,
        };
        let windows = self.windows.iter().enumerate();
        let windows: Vec<_> = windows.filter(|(at, _)| is_recent(*at)).collect();
        let count = |bucket: usize| -> u64 {
            windows
                .iter()
                .map(|(_, buckets)| buckets[bucket].value())
                .sum()
        };
        let total: u64 = (0..BUCKETS).map(count).sum();
        percents.map(|percent| {
            let rank = (total * percent).div_ceil(100);
            let mut below = 0;
            let bucket = (0..BUCKETS).find(|&bucket| {
                below += count(bucket);
                below >= rank.max(1)
            });
            bucket.map_or(0, |bucket| (middle_of(bucket) + 500) / 1000)
        })
    }
}

fn window_of(seconds: i64) -> u64 {
    seconds.div_euclid(WINDOW).max(0).unsigned_abs()
}

/// The bucket of a lag in milliseconds.
fn bucket_of(lag: u64) -> usize {
    if lag < 4 {
        return lag as usize;
    }
    let power = lag.ilog2() as usize;
    let quarter = (lag >> (power - 2)) as usize & 3;
    ((power - 1) * 4 + quarter).min(BUCKETS - 1)
}

/// The middle of a bucket, in milliseconds.
fn middle_of(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let (power, quarter) = (bucket / 4 + 1, bucket as u64 % 4);
    let width = 1 << (power - 2);
    (4 + quarter) * width + width / 2
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
    fn lag_buckets_are_contiguous_and_within_an_eighth() {
        let mut last = 0;
        for lag in (0..5000).chain([1 << 20, 3 << 20, 1_700_000_000_000]) {
            let bucket = bucket_of(lag);
            assert!(bucket < BUCKETS && (bucket == last || bucket == last + 1 || lag > 5000));
            last = bucket;
            assert!(middle_of(bucket).abs_diff(lag) * 8 <= lag, "{lag}");
        }
    }

    #[test]
    fn lag_percentiles_are_those_of_the_last_minutes() {
        const NOW: u64 = 1_800_000_000;
        let lags = RecentLags::default();
        let at = |seconds: u64| seconds * 1_000_000_000;
        let percentiles = |now: u64| lags.percentiles([50, 99], now as i64);
        assert_eq!(percentiles(NOW), [0, 0]);
        let ages = (0..100).map(|number| if number < 90 { 10 } else { 3000 });
        lags.record(ages.map(|age| at(NOW - age)), at(NOW));
        let within = |value: u64, expected: u64| value.abs_diff(expected) * 8 <= expected;
        for now in [NOW, NOW + 299] {
            let [median, p99] = percentiles(now);
            assert!(within(median, 10) && within(p99, 3000), "{median} {p99}");
        }
        lags.record((0..10).map(|_| at(NOW + 300 - 1)), at(NOW + 300));
        let [median, p99] = percentiles(NOW + 300);
        assert!(
            within(median, 10) && within(p99, 3000),
            "both windows: {median} {p99}"
        );
        lags.record([at(NOW + 600 - 1)].into_iter(), at(NOW + 600));
        assert_eq!(
            percentiles(NOW + 600),
            [1, 1],
            "the first window has passed"
        );
        assert_eq!(percentiles(NOW + 1500), [0, 0], "nothing is recent");
    }

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
