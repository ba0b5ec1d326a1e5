//! The lost log: a file with one JSON line for every object that is lost (`lostLog`).
#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;
use crate::timestamp;

/// The open file. Several processes may append to the same file: each line is a single write.
#[derive(Debug)]
pub(super) struct LostLog {
    file: File,
    path: String,
    /// The last write failed, possibly after a partial line.
    partial: bool,
}

#[derive(Serialize)]
struct LostEntry<'a> {
    time: String,
    object: &'a str,
    cause: &'a str,
    outcome: &'a str,
}

impl LostLog {
    pub(super) fn open(path: &str) -> Result<LostLog> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| {
            let message = format!(
                "lostLog: {} cannot be opened for appending: {error}",
                quoted(path)
            );
            Error::new(ErrorKind::Config, message)
        })?;
        Ok(LostLog {
            file,
            path: quoted(path),
            partial: false,
        })
    }

    /// The path in quotes, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn append(
        &mut self,
        object: &str,
        cause: &str,
        outcome: &str,
        time: SystemTime,
    ) -> io::Result<()> {
        let entry = LostEntry {
            time: rfc3339(time),
            object,
            cause,
            outcome,
        };
        let mut line = Vec::new();
        if self.partial {
            // Ends the partial line.
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, &entry)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        self.partial = written.is_err();
        written
    }
}

/// Formats a time in UTC with milliseconds, such as `2026-01-14T08:50:00.123Z`.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let (year, month, day) = timestamp::civil_date(seconds);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_formatted_as_rfc_3339() {
        let time = UNIX_EPOCH + Duration::from_millis(1_689_020_147_042);
        assert_eq!(rfc3339(time), "2023-07-10T20:15:47.042Z");
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
