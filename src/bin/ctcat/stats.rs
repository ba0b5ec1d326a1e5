//! `--stats`: speed, CPU time, memory and the plugin's metrics.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

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
}

impl Stats {
    pub fn start() -> Stats {
        Stats {
            started: Instant::now(),
            before: usage(),
            events: 0,
            bytes: 0,
            failures: 0,
        }
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
