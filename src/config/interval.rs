//! The interval of `s3Interval`, and durations.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;
use crate::timestamp;

/// Interval of time with inclusive bounds, compared by minute. Each bound is optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Seconds since the epoch.
    start: Option<i64>,
    /// Seconds since the epoch.
    end: Option<i64>,
}

impl Interval {
    /// Parses the value of `s3Interval`: `<start>`, `<start>-<end>`, or empty text for an unbounded interval.
    ///
    /// Each bound is a duration before `now` (in seconds since the epoch), such as `5d`, or `YYYY-MM-DDTHH:MM:SSZ`. A
    /// duration that reaches back before 1970 means 1970.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with the text and the allowed forms if it is malformed, or if the start is after the end.
    pub fn parse(text: &str, now: i64) -> Result<Interval> {
        if text.is_empty() {
            return Ok(Interval::default());
        }
        let (start, rest) = bound(text, now).ok_or_else(|| malformed(text))?;
        if rest.is_empty() {
            return Ok(Interval {
                start: Some(start),
                end: None,
            });
        }
        let (end, rest) = rest
            .strip_prefix('-')
            .and_then(|rest| bound(rest, now))
            .ok_or_else(|| malformed(text))?;
        if !rest.is_empty() {
            return Err(malformed(text));
        }
        if start > end {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "s3Interval: {} starts after its end; write the earlier time first, e.g. 5d-2d",
                    quoted(text)
                ),
            ));
        }
        Ok(Interval {
            start: Some(start),
            end: Some(end),
        })
    }

    /// An interval with these bounds in seconds since the epoch.
    pub(crate) fn of(start: Option<i64>, end: Option<i64>) -> Interval {
        Interval { start, end }
    }

    /// Whether `time`, in seconds since the epoch, is in the interval.
    ///
    /// Compares minutes, the precision of file names: an end of `12:00:10` includes all of the minute 12:00.
    pub fn contains(&self, time: i64) -> bool {
        let minute = |seconds: i64| seconds.div_euclid(60);
        self.start.is_none_or(|start| minute(start) <= minute(time))
            && self.end.is_none_or(|end| minute(time) <= minute(end))
    }

    /// Start in seconds since the epoch.
    pub fn start(&self) -> Option<i64> {
        self.start
    }

    /// End in seconds since the epoch.
    pub fn end(&self) -> Option<i64> {
        self.end
    }
}

/// Parses a bound at the start of `text`; returns it in seconds since the epoch, and the rest of the text.
fn bound(text: &str, now: i64) -> Option<(i64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.as_bytes().get(digits)? {
        b'-' => absolute(text),
        unit if digits > 0 => {
            // A number that overflows is before 1970 in any unit.
            let count: i64 = text[..digits].parse().unwrap_or(i64::MAX);
            let before = count.saturating_mul(unit_seconds(*unit)?);
            Some((now.saturating_sub(before).max(0), &text[digits + 1..]))
        }
        _ => None,
    }
}

/// Seconds of the unit that follows a number in a duration.
fn unit_seconds(unit: u8) -> Option<i64> {
    Some(match unit {
        b'w' => 7 * 24 * 60 * 60,
        b'd' => 24 * 60 * 60,
        b'h' => 60 * 60,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    })
}

/// Parses a duration such as `90s`, `30m`, `2h`, `1d` or `1w`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = unit_seconds(*unit.as_bytes().first()?)?.unsigned_abs();
    let count: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(count.saturating_mul(seconds)))
}

/// Parses `YYYY-MM-DDTHH:MM:SSZ` at the start of `text`.
fn absolute(text: &str) -> Option<(i64, &str)> {
    let (time, rest) = text.split_at_checked(20)?;
    let time = time.as_bytes();
    if time[10] != b'T' || time[19] != b'Z' {
        return None;
    }
    Some((timestamp::civil_seconds(time.first_chunk()?)?, rest))
}

fn malformed(text: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "s3Interval: {} is not an interval; allowed are <n>w, <n>d, <n>h, <n>m or <n>s before now, \
             YYYY-MM-DDTHH:MM:SSZ, or <start>-<end> of these, e.g. 5d-2d",
            quoted(text)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2023-07-10T20:15:47Z.
    const NOW: i64 = 1_689_020_147;
    const DAY: i64 = 86_400;

    fn at(text: &str) -> i64 {
        let nanos = timestamp::parse(text.as_bytes()).expect("a time");
        (nanos / 1_000_000_000) as i64
    }

    fn ends(text: &str) -> (Option<i64>, Option<i64>) {
        let interval = Interval::parse(text, NOW).expect(text);
        (interval.start(), interval.end())
    }

    #[test]
    fn durations_count_back_from_now() {
        for (text, seconds) in [
            ("2w", 14 * DAY),
            ("5d", 5 * DAY),
            ("36h", 36 * 3600),
            ("90m", 5400),
            ("10s", 10),
            ("007s", 7),
            ("0d", 0),
        ] {
            assert_eq!(ends(text), (Some(NOW - seconds), None), "{text}");
        }
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("030m", 1800),
            ("2h", 7200),
            ("1d", 86_400),
            ("1w", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(
            duration(&format!("{}w", "9".repeat(99))),
            Some(Duration::from_secs(u64::MAX))
        );
        for text in [
            "", "s", "90", "90 s", " 90s", "-1s", "+1s", "1.5h", "1H", "1é", "é", "1m30s",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn ranges_mix_durations_and_timestamps() {
        let start = at("2023-04-05T06:00:00Z");
        let end = at("2023-04-05T12:00:10Z");
        assert_eq!(ends("2023-04-05T06:00:00Z"), (Some(start), None));
        assert_eq!(ends("5d-2d"), (Some(NOW - 5 * DAY), Some(NOW - 2 * DAY)));
        assert_eq!(
            ends("2023-04-05T06:00:00Z-2023-04-05T12:00:10Z"),
            (Some(start), Some(end))
        );
        assert_eq!(
            ends("2023-04-05T06:00:00Z-5d"),
            (Some(start), Some(NOW - 5 * DAY))
        );
        assert_eq!(
            ends("50w-2023-04-05T12:00:10Z"),
            (Some(NOW - 350 * DAY), Some(end))
        );
        assert_eq!(ends("1h-1h"), (Some(NOW - 3600), Some(NOW - 3600)));
    }

    #[test]
    fn empty_text_is_unbounded() {
        let all = Interval::parse("", NOW).expect("nothing to refuse");
        assert!(all.contains(i64::MIN) && all.contains(0) && all.contains(i64::MAX));
        assert_eq!((all.start(), all.end()), (None, None));
    }

    #[test]
    fn bounds_are_inclusive_by_minute() {
        let text = "2023-04-05T06:00:30Z-2023-04-05T12:00:10Z";
        let interval = Interval::parse(text, NOW).expect("an interval");
        for inside in [
            "2023-04-05T06:00:00Z",
            "2023-04-05T11:59:59Z",
            "2023-04-05T12:00:00Z",
            "2023-04-05T12:00:59Z",
        ] {
            assert!(interval.contains(at(inside)), "{inside}");
        }
        for outside in [
            "2023-04-05T05:59:59Z",
            "2023-04-05T12:01:00Z",
            "2022-04-05T07:00:00Z",
            "2024-04-05T07:00:00Z",
        ] {
            assert!(!interval.contains(at(outside)), "{outside}");
        }
    }

    #[test]
    fn distant_times_do_not_overflow() {
        assert_eq!(ends("99999999999w"), (Some(0), None));
        assert_eq!(ends(&format!("{}w", "9".repeat(500))), (Some(0), None));
        assert_eq!(ends("9223372036854775807s-0s"), (Some(0), Some(NOW)));
        let text = "0000-01-01T00:00:00Z-9999-12-31T23:59:60Z";
        let wide = Interval::parse(text, NOW).expect("an interval");
        assert!(wide.contains(0) && wide.contains(NOW));
        assert!(Interval::parse("5d", i64::MIN).is_ok());
    }

    #[test]
    fn start_after_end_is_an_error_with_the_text() {
        for text in [
            "2d-5d",
            "5d-2023-04-05T06:00:00Z",
            "2023-04-05T06:00:01Z-2023-04-05T06:00:00Z",
        ] {
            let error = Interval::parse(text, NOW).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(
                message.contains(text) && message.contains("after its end"),
                "{message}"
            );
        }
    }

    #[test]
    fn malformed_text_is_an_error_with_the_text_and_the_allowed_forms() {
        for text in [
            " ",
            "5",
            "d",
            "-",
            "5d-",
            "-5d",
            "5d-2d-1d",
            "5d 2d",
            "5d - 2d",
            " 5d",
            "5D",
            "5y",
            "5.5d",
            "+5d",
            "5d2h",
            "yesterday",
            "2023-04-05",
            "2023-04-05T06:00:00",
            "2023-04-05 06:00:00Z",
            "2023-04-05T06:00:00z",
            "2023-04-05T06:00:00+00:00",
            "2023-04-05T06:00:00.5Z",
            "2023-02-30T06:00:00Z",
            "2023-04-05T24:00:00Z",
            "2023-04-05T06:00:0éZ",
            "５d",
        ] {
            let error = Interval::parse(text, NOW).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(message.starts_with("s3Interval: "), "{message}");
            assert!(
                message.contains(text) && message.contains("<start>-<end>"),
                "{message}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "[0-9wdhmsTZ:é-]{0,45}", now in any::<i64>()) {
            if let Ok(interval) = Interval::parse(&text, now) {
                let _ = interval.contains(now);
            }
        }
    }
}
