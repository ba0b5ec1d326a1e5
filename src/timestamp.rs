//! Timestamps as CloudTrail writes them, and as counts since the Unix epoch.
//!
//! The crate `time` has the calendar. The parser is our own: it accepts more forms than
//! `time` does, and runs once for each record.
#![forbid(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

use time::{Date, Month};

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// Seconds in a day. Counts since the epoch have no leap seconds.
const DAY: i64 = 86_400;

/// Julian day of 1970-01-01.
const EPOCH: i32 = 2_440_588;

/// Parses an RFC 3339 timestamp; returns nanoseconds since 1970-01-01T00:00:00Z.
///
/// Also accepted, because export tools write them: a space or `t` instead of the `T`, `z`, ` UTC`, an
/// offset without a colon, and a missing zone, which means UTC. A fraction may have any number of digits; those after the ninth
/// are cut off. The leap second `:60` is accepted in any minute, and is the first second of the
/// next one.
///
/// `None` for any other text, before 1970, and from 2554-07-21T23:34:33.709551616Z on, where `u64`
/// overflows.
pub fn parse(text: &[u8]) -> Option<u64> {
    let (clock, rest) = text.split_first_chunk::<19>()?;
    let seconds = civil_seconds(clock)?;
    if rest == b"Z" {
        return nanoseconds(seconds);
    }
    let (fraction, zone) = split_fraction(rest)?;
    nanoseconds(seconds.checked_sub(utc_offset(zone)?)?)?.checked_add(fraction)
}

/// The current time in seconds since the epoch.
pub(crate) fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The current time in nanoseconds since the epoch.
pub(crate) fn now_nanoseconds() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Converts seconds since the epoch to nanoseconds; `None` if negative or on overflow (2554).
pub fn nanoseconds(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok()?.checked_mul(NANOS)
}

/// Seconds since the epoch of a date and time of day in UTC; negative before 1970.
///
/// `second` may be 60, which is the first second of the next minute. `None` if a part is out of
/// range, such as 30 February or the year 10000.
pub(crate) fn from_civil(
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> Option<i64> {
    if year > 9999 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year as i32, month, u8::try_from(day).ok()?).ok()?;
    let time_of_day = i64::from(hour * 3600 + minute * 60 + second);
    Some(i64::from(date.to_julian_day() - EPOCH) * DAY + time_of_day)
}

/// Year, month (1 to 12) and day of the month (1 to 31) in UTC of a time in seconds since the epoch.
///
/// Times outside of the years 0 to 9999 give the first or the last day of these.
pub(crate) fn civil_date(seconds: i64) -> (u32, u32, u32) {
    const FIRST: Date = date(0, Month::January, 1);
    const LAST: Date = date(9999, Month::December, 31);
    let julian_day = seconds.div_euclid(DAY).saturating_add(i64::from(EPOCH));
    let julian_day = julian_day.clamp(
        i64::from(FIRST.to_julian_day()),
        i64::from(LAST.to_julian_day()),
    );
    let date = Date::from_julian_day(julian_day as i32).unwrap_or(LAST);
    let (year, month, day) = date.to_calendar_date();
    (year as u32, u32::from(u8::from(month)), u32::from(day))
}

const fn date(year: i32, month: Month, day: u8) -> Date {
    match Date::from_calendar_date(year, month, day) {
        Ok(date) => date,
        Err(_) => panic!("not a date"),
    }
}

/// The number that ASCII digits write; `None` if there is another byte, or on overflow of `u32`.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

/// Seconds since the epoch of `YYYY-MM-DDTHH:MM:SS` in UTC.
#[inline]
pub(crate) fn civil_seconds(text: &[u8; 19]) -> Option<i64> {
    // One branch for all digits. Reading eight bytes at a time was measured and is not faster.
    let mut invalid = false;
    let mut digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        invalid |= digit > 9;
        u32::from(digit)
    };
    let mut two = |at: usize| digit(at) * 10 + digit(at + 1);
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let punctuated = [text[4], text[7], text[13], text[16]] == *b"--::"
        && matches!(text[10], b'T' | b't' | b' ');
    if invalid || !punctuated {
        return None;
    }
    from_civil(year, month, day, hour, minute, second)
}

/// Splits off a fraction, in nanoseconds; 0 if there is none.
fn split_fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let end = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if end == 0 {
        return None;
    }
    let (digits, zone) = text.split_at(end);
    let kept = &digits[..end.min(9)];
    let missing = 9 - kept.len() as u32;
    let fraction = u64::from(number(kept)?) * 10u64.pow(missing);
    Some((fraction, zone))
}

/// Seconds by which a zone (`Z`, `+HH:MM`, `-HH:MM`, `+HHMM`, ` UTC`, or nothing for UTC) differs from UTC.
fn utc_offset(zone: &[u8]) -> Option<i64> {
    let (sign, zone) = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', zone)) => (1, zone),
        Some((b'-', zone)) => (-1, zone),
        // Athena writes it.
        Some((b' ', b"UTC")) => return Some(0),
        Some(_) => return None,
    };
    let (&[h, hh, b':', m, mm] | &[h, hh, m, mm]) = zone else {
        return None;
    };
    let (hours, minutes) = (number(&[h, hh])?, number(&[m, mm])?);
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    /// The calendar, independent of the crate that the code under test uses.
    fn days_in_month(year: u32, month: u32) -> u32 {
        match month {
            2 if year.is_multiple_of(400) => 29,
            2 if year.is_multiple_of(4) && !year.is_multiple_of(100) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn seconds(text: &str) -> Option<u64> {
        let nanos = parse(text.as_bytes())?;
        assert_eq!(nanos % NANOS, 0, "{text} has no fraction");
        Some(nanos / NANOS)
    }

    #[test]
    fn the_format_that_cloudtrail_writes_is_parsed() {
        assert_eq!(seconds("2023-07-10T20:15:47Z"), Some(1_689_020_147));
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T23:59:59Z"), Some(951_868_799));
    }

    #[test]
    fn formats_of_other_tools_are_parsed_as_utc() {
        let expected = parse(b"2023-07-10T20:15:47Z");
        assert!(expected.is_some());
        for text in [
            "2023-07-10 20:15:47",
            "2023-07-10 20:15:47Z",
            "2023-07-10T20:15:47",
            "2023-07-10t20:15:47z",
            "2023-07-10T20:15:47.0",
            "2023-07-10T20:15:47.000000000000Z",
            "2023-07-10T20:15:47+00:00",
            "2023-07-10T20:15:47-00:00",
            "2023-07-10T22:15:47+02:00",
            "2023-07-10T22:15:47+0200",
            "2023-07-10 14:45:47.000-0530",
            "2023-07-10 20:15:47.000 UTC",
            "2023-07-10T14:45:47.000-05:30",
            "2023-07-11T20:14:47+23:59",
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn fractions_of_any_length_are_truncated_to_nanoseconds() {
        let whole = 1_689_020_147 * NANOS;
        for (text, fraction) in [
            (".5Z", 500_000_000),
            (".123Z", 123_000_000),
            (".000000001Z", 1),
            (".0000000019999999999999999999999999999", 1),
            (".999999999999999Z", 999_999_999),
            (".25+00:00", 250_000_000),
        ] {
            let text = format!("2023-07-10T20:15:47{text}");
            assert_eq!(parse(text.as_bytes()), Some(whole + fraction), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_first_second_of_the_next_minute() {
        assert_eq!(
            seconds("2016-12-31T23:59:60Z"),
            seconds("2017-01-01T00:00:00Z")
        );
        assert_eq!(seconds("2016-12-31T23:59:61Z"), None);
    }

    #[test]
    fn times_before_1970_and_beyond_u64_are_rejected() {
        assert_eq!(parse(b"1969-12-31T23:59:59Z"), None);
        assert_eq!(parse(b"1969-12-31T23:59:59.999999999Z"), None);
        assert_eq!(parse(b"1970-01-01T00:59:59+01:00"), None);
        assert_eq!(seconds("1969-12-31T23:00:00-01:00"), Some(0));
        assert_eq!(parse(b"0000-01-01T00:00:00Z"), None);
        assert_eq!(parse(b"2554-07-21T23:34:33.709551615Z"), Some(u64::MAX));
        assert_eq!(parse(b"2554-07-21T23:34:33.709551616Z"), None);
        assert_eq!(parse(b"2554-07-21T23:34:34Z"), None);
        assert_eq!(parse(b"9999-12-31T23:59:60-23:59"), None);
    }

    #[test]
    fn malformed_timestamps_are_rejected() {
        for text in [
            "",
            "Z",
            "2023-07-10",
            "2023-07-10T20:15Z",
            "2023-07-10T20:15:4Z",
            "2023-07-10T20:15:47ZZ",
            "2023-07-10T20:15:47 Z",
            " 2023-07-10T20:15:47Z",
            "2023-07-10T20:15:47.Z",
            "2023-07-10T20:15:47,5Z",
            "2023-07-10T20:15:47+02",
            "2023-07-10T20:15:47+2400",
            "2023-07-10T20:15:47+020",
            "2023-07-10T20:15:47UTC",
            "2023-07-10T20:15:47 utc",
            "2023-07-10T20:15:47+24:00",
            "2023-07-10T20:15:47+02:60",
            "2023-07-10T20:15:47+02:00Z",
            "2023-07-10T20:15:47+0x:00",
            "2023/07/10T20:15:47Z",
            "2023-07-10_20:15:47Z",
            "2023-07-10T20.15.47Z",
            "2023-13-10T20:15:47Z",
            "2023-00-10T20:15:47Z",
            "2023-07-00T20:15:47Z",
            "2023-07-32T20:15:47Z",
            "2023-04-31T20:15:47Z",
            "2023-02-29T20:15:47Z",
            "1900-02-29T20:15:47Z",
            "2023-07-10T24:00:00Z",
            "2023-07-10T20:60:47Z",
            "+023-07-10T20:15:47Z",
            "2023-07-1/T20:15:47Z",
            "2023-07-1:T20:15:47Z",
            "1689020147",
            "２０23-07-10T20:15:47Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_day_converts_to_seconds_and_back() {
        let mut expected = from_civil(0, 1, 1, 0, 0, 0).expect("the first day");
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(from_civil(year, month, day, 0, 0, 0), Some(expected));
                    assert_eq!(civil_date(expected), (year, month, day));
                    assert_eq!(civil_date(expected + DAY - 1), (year, month, day));
                    expected += DAY;
                }
            }
        }
        assert_eq!(civil_date(i64::MIN), (0, 1, 1));
        assert_eq!(civil_date(i64::MAX), (9999, 12, 31));
    }

    proptest! {
        #[test]
        fn any_time_with_any_offset_is_parsed_as_by_the_time_crate(
            nanos in any::<u64>(),
            hours in -23i8..=23,
            minutes in 0i8..=59,
        ) {
            let zone = time::UtcOffset::from_hms(hours, minutes * hours.signum(), 0)
                .expect("in range");
            let there = OffsetDateTime::from_unix_timestamp_nanos(nanos.into())
                .expect("in range")
                .to_offset(zone);
            let text = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{}{:02}:{:02}",
                there.year(),
                u8::from(there.month()),
                there.day(),
                there.hour(),
                there.minute(),
                there.second(),
                there.nanosecond(),
                if hours < 0 { '-' } else { '+' },
                hours.abs(),
                zone.minutes_past_hour().abs(),
            );
            prop_assert_eq!(parse(text.as_bytes()), Some(nanos), "{}", text);
        }

        #[test]
        fn timestamps_that_the_time_crate_rejects_are_rejected(
            text in "(19|20|16)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-6][0-9])"
        ) {
            let expected = OffsetDateTime::parse(&text, &Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp_nanos()).ok());
            prop_assert_eq!(parse(text.as_bytes()), expected, "{}", text);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text);
        }
    }
}
