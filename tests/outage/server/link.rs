//! A slow link that all connections share.
#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes per write over a slow link.
pub const CHUNK: usize = 2 << 10;

/// Limits the rate of all connections together; unlimited at first.
#[derive(Debug, Default)]
pub struct Link(Mutex<Option<Pace>>);

#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    /// When the link will have sent all accepted bytes.
    free_at: Instant,
}

impl Link {
    /// Limits the link from now on.
    pub fn limit(&self, bytes_per_second: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pace {
            bytes_per_second,
            free_at: Instant::now(),
        });
    }

    /// Waits until the link has sent all bytes accepted before, and accepts `count` more.
    pub fn pass(&self, count: usize) {
        let until = self.reserve(count);
        if let Some(until) = until {
            thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    fn reserve(&self, count: usize) -> Option<Instant> {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = pace.as_mut()?;
        let time = Duration::from_secs_f64(count as f64 / pace.bytes_per_second as f64);
        pace.free_at = pace.free_at.max(Instant::now()) + time;
        Some(pace.free_at)
    }
}
