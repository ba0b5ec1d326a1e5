//! How many downloads the limit of open files leaves room for. The limit is the host's, and so are most open files.
#![forbid(unsafe_code)]

use std::fs;

use crate::error::{Error, ErrorKind, Result};

/// Descriptors for everything else: listings, requests to the queue, local files, and what the host opens later.
const OTHERS: usize = 48;

/// Descriptors that one download takes: its connection, and at times the one that replaces it.
const EACH: usize = 2;

/// Idle connections kept for each host: enough to reuse those of a busy bucket.
const MOST_IDLE: usize = 32;

/// What fits into the limit of open files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Concurrent downloads.
    pub(super) downloads: usize,
    /// Idle connections for each host.
    pub(super) idle: usize,
    /// The configured number of downloads does not fit.
    pub(super) warning: Option<String>,
}

/// The room for `downloads`, the configured number of concurrent downloads.
///
/// # Errors
///
/// [`ErrorKind::OpenParams`] with the limit if there is not even room for one.
pub(super) fn room(downloads: usize) -> Result<Room> {
    room_within(downloads, limit(), open())
}

fn room_within(downloads: usize, limit: usize, open: usize) -> Result<Room> {
    let free = limit.saturating_sub(open);
    let fitting = free.saturating_sub(OTHERS) / EACH;
    if fitting == 0 {
        let line = format!(
            "the limit of open files is {limit} and {open} are open, which leaves no room to read from AWS; raise it (ulimit -n, LimitNOFILE in systemd) to 1024 or more"
        );
        return Err(Error::new(ErrorKind::OpenParams, line));
    }
    let warning = (fitting < downloads).then(|| {
        format!(
            "the limit of open files is {limit} and {open} are open: {fitting} downloads run at a time instead of s3DownloadConcurrency {downloads}; raise the limit (ulimit -n, LimitNOFILE in systemd) to {} or more",
            open + OTHERS + EACH * downloads
        )
    });
    Ok(Room {
        downloads: downloads.min(fitting),
        idle: (fitting / 4).clamp(1, MOST_IDLE),
        warning,
    })
}

/// The soft limit of open files; elsewhere than on Linux it is not known, and none is assumed.
fn limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    // Without a limit it reads "unlimited".
    soft.and_then(|soft| soft.parse().ok())
        .unwrap_or(usize::MAX)
}

/// The open files of this process.
fn open() -> usize {
    fs::read_dir("/dev/fd").map_or(0, |files| files.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_are_limited_to_what_fits() {
        let room = room_within(32, 1024, 20).expect("room");
        assert_eq!(
            (room.downloads, room.idle, room.warning),
            (32, MOST_IDLE, None)
        );
        let room = room_within(1024, 1024, 20).expect("room");
        assert_eq!(room.downloads, 478);
        let warning = room.warning.expect("a warning");
        for part in [
            "limit of open files is 1024",
            "478",
            "s3DownloadConcurrency 1024",
            "2116",
        ] {
            assert!(warning.contains(part), "{warning}");
        }
        let room = room_within(32, 80, 20).expect("room");
        assert_eq!((room.downloads, room.idle), (6, 1));
        assert_eq!(room_within(32, usize::MAX, 0).expect("room").downloads, 32);
    }

    #[test]
    fn without_room_the_limit_is_named() {
        let error = room_within(1, 64, 20).expect_err("no room").to_string();
        assert!(error.contains("limit of open files is 64"), "{error}");
        assert!(room_within(1, 10, 20).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_a_limit_and_open_files() {
        assert!(limit() > open() && open() > 2);
    }
}
