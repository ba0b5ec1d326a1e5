//! Formats event times.
#![forbid(unsafe_code)]

use std::io::Write;

const NS: u64 = 1_000_000_000;

/// Appends `ts` (nanoseconds since 1970) as `2023-07-10T21:42:36Z`, with nine decimals if it is not a whole second.
pub fn write_utc(out: &mut Vec<u8>, ts: u64) {
    let (seconds, ns) = (ts / NS, ts % NS);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing into a Vec cannot fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    if ns != 0 {
        let _ = write!(out, ".{ns:09}");
    }
    out.push(b'Z');
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar. Counts from 1 March of
/// year 0, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_formatted() {
        for (seconds, ns, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (951_782_400, 5, "2000-02-29T00:00:00.000000005Z"),
            (1_689_025_356, 120_000_000, "2023-07-10T21:42:36.120000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
        ] {
            let mut out = Vec::new();
            write_utc(&mut out, seconds * NS + ns);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
