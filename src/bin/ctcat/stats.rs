//! `--stats`: speed, CPU time, memory and the plugin's metrics.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cloudtrail::host::{MetricValue, Plugin};
use indicatif::DecimalBytes;

/// Running totals since the start of reading.
pub struct Stats {
    started: Instant,
    before: Usage,
    /// Number of events.
    pub events: u64,
    /// Bytes of the events' records.
    pub bytes: u64,
    /// Failed extraction calls.
    pub failures: u64,
    lags: Lags,
}

impl Stats {
    pub fn start() -> Stats {
        Stats {
            started: Instant::now(),
            before: usage(),
            events: 0,
            bytes: 0,
            failures: 0,
            lags: Lags::new(),
        }
    }

    /// The current time in nanoseconds since 1970.
    pub fn now() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    }

    /// Records the lag of an event. Both times are in nanoseconds since 1970.
    pub fn lag(&mut self, event_time: u64, delivered: u64) {
        let lag = delivered.saturating_sub(event_time);
        self.lags.record(lag / 1_000_000);
    }

    /// Writes the totals and the plugin's metrics that are not zero to stderr.
    pub fn report(&self, plugin: &Plugin) -> io::Result<()> {
        let wall = self.started.elapsed().as_secs_f64();
        let now = usage();
        let (user, system) = (now.user - self.before.user, now.system - self.before.system);
        let events = self.events.max(1) as f64;
        let mut err = io::stderr().lock();
        writeln!(
            err,
            "{} events, {} in {wall:.3} s: {:.0} events/s, {}/s",
            self.events,
            DecimalBytes(self.bytes),
            self.events as f64 / wall,
            DecimalBytes((self.bytes as f64 / wall) as u64),
        )?;
        writeln!(
            err,
            "CPU {:.3} s user + {:.3} s system ({:.2} µs/event), peak memory {:.1} MB",
            user.as_secs_f64(),
            system.as_secs_f64(),
            (user + system).as_secs_f64() * 1e6 / events,
            now.peak_bytes as f64 / 1e6,
        )?;
        if let [Some(median), Some(p90), Some(p99)] =
            [50, 90, 99].map(|it| self.lags.percentile(it))
        {
            writeln!(
                err,
                "lag from event time to delivery: p50 {}, p90 {}, p99 {}",
                shown(median),
                shown(p90),
                shown(p99)
            )?;
        }
        if self.failures > 0 {
            writeln!(err, "{} extraction calls failed", self.failures)?;
        }
        let mut metrics = plugin.metrics();
        metrics.retain(|metric| metric.value != MetricValue::U64(0));
        let width = metrics.iter().map(|m| m.name.len()).max().unwrap_or(0);
        for metric in metrics {
            writeln!(err, "{:width$}  {}", metric.name, metric.value)?;
        }
        Ok(())
    }
}

/// Histogram of lags in milliseconds: eight buckets for each power of two.
struct Lags {
    buckets: Vec<u64>,
    total: u64,
}

impl Lags {
    fn new() -> Lags {
        Lags {
            buckets: vec![0; 64 * 8],
            total: 0,
        }
    }

    fn record(&mut self, lag: u64) {
        // Buckets of the same width below 16.
        let power = lag.max(8).ilog2() as usize;
        let part = (lag >> (power - 3)) as usize;
        self.buckets[(power - 3) * 8 + part] += 1;
        self.total += 1;
    }

    /// Upper bound of a percentile in milliseconds, at most an eighth too high; `None` without events.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut below = 0;
        let bucket = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        let (shift, part) = match bucket / 8 {
            0 => (0, bucket),
            row => (row - 1, bucket % 8 + 8),
        };
        Some(((part as u64 + 1) << shift) - 1)
    }
}

/// Milliseconds in the largest unit of which there are at least two.
fn shown(milliseconds: u64) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1000),
    ];
    let unit = units.iter().find(|(_, length)| milliseconds >= 2 * length);
    match unit {
        Some((unit, length)) => format!("{:.1} {unit}", milliseconds as f64 / *length as f64),
        None => format!("{milliseconds} ms"),
    }
}

#[derive(Default)]
struct Usage {
    user: Duration,
    system: Duration,
    peak_bytes: u64,
}

/// CPU time of all threads and the peak resident size of this process so far.
fn usage() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is valid for a write of the struct.
    let rc = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if rc != 0 {
        return Usage::default();
    }
    // SAFETY: `getrusage` returned 0, so it has initialized the struct.
    let usage = unsafe { usage.assume_init() };
    let duration = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    // `ru_maxrss` is in bytes on macOS, in KiB elsewhere.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Usage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        peak_bytes: usage.ru_maxrss as u64 * unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_percentiles_are_at_most_an_eighth_too_high() {
        let mut lags = Lags::new();
        assert_eq!(lags.percentile(50), None);
        for lag in 1..=1000 {
            lags.record(lag * 10);
        }
        for (percent, expected) in [(50, 5000), (90, 9000), (99, 9900)] {
            let percentile = lags.percentile(percent).expect("events");
            let range = expected..=expected + expected / 8;
            assert!(range.contains(&percentile), "{percentile} for {expected}");
        }
        for lag in [0, 1, 15, 16, 17, u64::MAX / 1_000_000] {
            let mut lags = Lags::new();
            lags.record(lag);
            let bound = lags.percentile(50).expect("an event");
            assert!((lag..=lag + lag / 8).contains(&bound), "{bound} for {lag}");
        }
    }

    #[test]
    fn lags_are_shown_in_a_suitable_unit() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (1999, "1999 ms"),
            (90_000, "90.0 s"),
            (7_200_000, "2.0 h"),
        ] {
            assert_eq!(shown(milliseconds), text);
        }
    }
}
