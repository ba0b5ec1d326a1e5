//! Counters that any thread may add to and read.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
            pub const COUNT: usize = [$($name,)*].len();

            /// All figures, in a fixed order.
            pub fn snapshot(&self) -> [Metric; Self::COUNT] {
                [$(Metric { name: $name, monotonic: $monotonic, value: self.$field.value() },)*]
            }
        }
    };
}

metrics! {
    /// Log files and objects read to their end.
    objects c"cloudtrail.objects" true,
    /// Bytes read, as stored: mostly compressed.
    bytes_in c"cloudtrail.bytes_in" true,
    /// Bytes of JSON text that these held.
    bytes_out c"cloudtrail.bytes_out" true,
    /// Records found.
    records c"cloudtrail.records" true,
    /// Events handed to the host.
    events c"cloudtrail.events" true,
    /// Records left out because they are insights.
    skipped_insight c"cloudtrail.skipped.insight" true,
    /// Records left out because nothing tells their time.
    skipped_no_time c"cloudtrail.skipped.no_time" true,
    /// Digest files' contents.
    skipped_digest c"cloudtrail.skipped.digest" true,
    /// Stretches of text whose braces or quotes do not balance.
    damaged_unbalanced c"cloudtrail.damaged.unbalanced" true,
    /// Values in a record's place that are no objects.
    damaged_not_an_object c"cloudtrail.damaged.not_an_object" true,
    /// Last records that the end of their file cuts off.
    damaged_cut_off c"cloudtrail.damaged.cut_off" true,
    /// Records over 64 MiB.
    damaged_too_long c"cloudtrail.damaged.too_long" true,
    /// Files too damaged to look through.
    damaged_given_up c"cloudtrail.damaged.given_up" true,
    /// Files that could not be read, or not to their end.
    errors_read c"cloudtrail.errors.read" true,
    /// Files whose gzip stream is damaged or cut off.
    errors_gzip c"cloudtrail.errors.gzip" true,
    /// Files refused for their decompressed size.
    errors_too_large c"cloudtrail.errors.too_large" true,
    /// Faults of the plugin itself that were contained.
    errors_internal c"cloudtrail.errors.internal" true,
    /// Bytes decoded and waiting for the host.
    buffered_bytes c"cloudtrail.buffered_bytes" false,
}

/// A figure that threads share.
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

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
