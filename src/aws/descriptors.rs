//! Bounds downloads and idle connections by the limit of open files, which the plugin shares with its host.
#![forbid(unsafe_code)]

use std::fs;

use crate::error::{Error, ErrorKind, Result};

/// Descriptors reserved for other uses: listings, requests to the queue, local files, and files that the host opens later.
const RESERVED: usize = 48;

/// Descriptors per download: its connection, and temporarily the one that replaces it.
const PER_DOWNLOAD: usize = 2;

/// Maximum number of idle connections per host: enough to reuse those of a busy bucket.
const MAX_IDLE: usize = 32;

/// Limits of concurrent connections.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectionLimits {
    /// Concurrent downloads.
    pub(super) downloads: usize,
    /// Idle connections per host.
    pub(super) idle: usize,
    /// Set if `downloads` is less than the configured number.
    pub(super) warning: Option<String>,
}

/// Limits for a configured number of concurrent `downloads`.
///
/// # Errors
///
/// [`ErrorKind::Resources`] with the limit if it does not allow a single download.
pub(super) fn connection_limits(downloads: usize) -> Result<ConnectionLimits> {
    limits_within(downloads, limit(), open())
}

fn limits_within(downloads: usize, limit: usize, open: usize) -> Result<ConnectionLimits> {
    let free = limit.saturating_sub(open);
    let fitting = free.saturating_sub(RESERVED) / PER_DOWNLOAD;
    if fitting == 0 {
        let line = format!(
            "the limit of open files is {limit} and {open} are open: too few are left to read from AWS; raise the limit (ulimit -n, LimitNOFILE= in systemd) to 1024 or more"
        );
        return Err(Error::new(ErrorKind::Resources, line));
    }
    let warning = (fitting < downloads).then(|| {
        format!(
            "the limit of open files is {limit} and {open} are open: {fitting} concurrent downloads instead of s3DownloadConcurrency {downloads}; raise the limit (ulimit -n, LimitNOFILE= in systemd) to {} or more",
            open + RESERVED + PER_DOWNLOAD * downloads
        )
    });
    Ok(ConnectionLimits {
        downloads: downloads.min(fitting),
        idle: (fitting / 4).clamp(1, MAX_IDLE),
        warning,
    })
}

/// Soft limit of open files. Unknown, and so assumed unlimited, on systems other than Linux.
fn limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    // "unlimited" does not parse.
    soft.and_then(|soft| soft.parse().ok())
        .unwrap_or(usize::MAX)
}

/// Number of open files of this process.
fn open() -> usize {
    fs::read_dir("/dev/fd").map_or(0, |files| files.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_are_capped_by_the_limit_of_open_files() {
        let limits = limits_within(32, 1024, 20).expect("enough");
        assert_eq!(
            (limits.downloads, limits.idle, limits.warning),
            (32, MAX_IDLE, None)
        );
        let limits = limits_within(1024, 1024, 20).expect("enough");
        assert_eq!(limits.downloads, 478);
        let warning = limits.warning.expect("a warning");
        for part in [
            "limit of open files is 1024",
            "478",
            "s3DownloadConcurrency 1024",
            "2116",
        ] {
            assert!(warning.contains(part), "{warning}");
        }
        let limits = limits_within(32, 80, 20).expect("enough");
        assert_eq!((limits.downloads, limits.idle), (6, 1));
        assert_eq!(
            limits_within(32, usize::MAX, 0).expect("enough").downloads,
            32
        );
    }

    #[test]
    fn limit_too_low_for_a_download_is_an_error() {
        let error = limits_within(1, 64, 20).expect_err("too few").to_string();
        assert!(error.contains("limit of open files is 64"), "{error}");
        assert!(limits_within(1, 10, 20).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn limit_and_open_files_are_read_from_the_system() {
        assert!(limit() > open() && open() > 2);
    }
}
