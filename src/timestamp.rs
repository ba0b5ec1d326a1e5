//! Times as CloudTrail writes them, to and from counts since the epoch; it knows the calendar and
//! no time zone names, no clocks and no files.
#![forbid(unsafe_code)]

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// Seconds in a day; leap seconds have no place in counts since the epoch.
const DAY: i64 = 86_400;

/// Reads an RFC 3339 time as nanoseconds since 1970-01-01T00:00:00Z.
///
/// Also read, because exports of other tools write them: a space or `t` in the place of the `T`,
/// `z`, and a missing zone, which counts as UTC. A fraction may have any number of digits; those
/// beyond the ninth are cut off. The leap second `:60`, at any minute, is the first second of the next minute.
///
/// `None` for anything else, for a time before 1970 and for one that does not fit (after 2554-07-21).
///
/// Runs once for each record, so the 20 bytes of `2023-07-10T20:15:47Z` take a short way.
pub fn parse(text: &[u8]) -> Option<u64> {
    let (clock, rest) = text.split_first_chunk::<19>()?;
    let seconds = civil_seconds(clock)?;
    if rest == b"Z" {
        return nanoseconds(seconds);
    }
    let (fraction, zone) = split_fraction(rest)?;
    nanoseconds(seconds.checked_sub(offset(zone)?)?)?.checked_add(fraction)
}

/// Seconds since the epoch as nanoseconds since the epoch.
///
/// `None` before 1970, and where the result does not fit (after 2554-07-21).
pub fn nanoseconds(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok()?.checked_mul(NANOS)
}

/// Seconds since the epoch of a date and time of day in UTC, by the Gregorian calendar.
///
/// Years 0 to 9999, and negative before 1970. `second` may be 60, which is the first second of
/// the next minute. `None` where a part is out of its range, such as 30 February.
pub fn from_civil(
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> Option<i64> {
    let in_range = year <= 9999
        && (1..=12).contains(&month)
        && day >= 1
        && (day <= 28 || day <= days_in_month(year, month))
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !in_range {
        return None;
    }
    let of_day = i64::from(hour * 3600 + minute * 60 + second);
    Some(days_from_civil(year, month, day) * DAY + of_day)
}

/// The year, month (1 to 12) and day of month (1 to 31), in UTC, of a time in seconds since the epoch.
///
/// Times outside of the years 0 to 9999 give the first or the last day of those.
pub fn civil_date(seconds: i64) -> (u32, u32, u32) {
    let days = seconds
        .div_euclid(DAY)
        .clamp(days_from_civil(0, 1, 1), days_from_civil(9999, 12, 31));
    // A first guess from the mean length of a year is off by one year at most.
    let mut year = ((days - days_from_civil(0, 1, 1)) * 400 / DAYS_IN_400_YEARS) as u32;
    if days < days_from_civil(year, 1, 1) {
        year -= 1;
    } else if days >= days_from_civil(year, 1, 1) + 365 + i64::from(is_leap(year)) {
        year += 1;
    }
    let mut day = (days - days_from_civil(year, 1, 1)) as u32 + 1;
    let mut month = 1;
    while day > days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    (year, month, day)
}

/// The number that `digits` write, or `None` where one of them is not an ASCII digit.
///
/// For short runs of digits: more than nine may overflow, which gives `None` too.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

/// Days of one whole turn of the calendar.
const DAYS_IN_400_YEARS: i64 = 146_097;

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    const DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    u32::from(DAYS[month as usize - 1]) + u32::from(month == 2 && is_leap(year))
}

/// Days from 1970-01-01 to a date that exists.
///
/// A year is counted as beginning in March, which puts the leap day at its end: the months before
/// any month then have a length that depends on no year, and `153 * m / 5` runs through it.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    // 400 years more keep every intermediate value positive for January of the year 0.
    const EPOCH: i64 = 719_468 + DAYS_IN_400_YEARS;
    let early = month <= 2;
    let year = year + 400 - u32::from(early);
    let months = if early { month + 9 } else { month - 3 };
    let days_before_month = (153 * months + 2) / 5;
    let days_before_year = year * 365 + year / 4 - year / 100 + year / 400;
    i64::from(days_before_year + days_before_month + day - 1) - EPOCH
}

/// Seconds since the epoch of `YYYY-MM-DDTHH:MM:SS`, taken as UTC.
#[inline]
pub(crate) fn civil_seconds(text: &[u8; 19]) -> Option<i64> {
    // One branch for all digits; reading eight bytes at a time was tried and was no faster.
    let mut wrong = false;
    let mut digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        wrong |= digit > 9;
        u32::from(digit)
    };
    let mut two = |at: usize| digit(at) * 10 + digit(at + 1);
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let marks = [text[4], text[7], text[13], text[16]] == *b"--::"
        && matches!(text[10], b'T' | b't' | b' ');
    if wrong || !marks {
        return None;
    }
    from_civil(year, month, day, hour, minute, second)
}

/// The nanoseconds of a fraction (none is 0), and what stands behind it.
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

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (ahead, zone) = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', zone)) => (1, zone),
        Some((b'-', zone)) => (-1, zone),
        Some(_) => return None,
    };
    let &[h, hh, b':', m, mm] = zone else {
        return None;
    };
    let (hours, minutes) = (number(&[h, hh])?, number(&[m, mm])?);
    (hours <= 23 && minutes <= 59).then(|| ahead * i64::from(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    fn seconds(text: &str) -> Option<u64> {
        let nanos = parse(text.as_bytes())?;
        assert_eq!(nanos % NANOS, 0, "{text} has no fraction");
        Some(nanos / NANOS)
    }

    #[test]
    fn the_form_that_cloudtrail_writes() {
        assert_eq!(seconds("2023-07-10T20:15:47Z"), Some(1_689_020_147));
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T23:59:59Z"), Some(951_868_799));
    }

    #[test]
    fn forms_of_other_tools_read_as_utc() {
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
            "2023-07-10T14:45:47.000-05:30",
            "2023-07-11T20:14:47+23:59",
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn fractions_of_any_length_are_cut_at_nanoseconds() {
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
    fn a_leap_second_is_the_next_minute() {
        assert_eq!(
            seconds("2016-12-31T23:59:60Z"),
            seconds("2017-01-01T00:00:00Z")
        );
        assert_eq!(seconds("2016-12-31T23:59:61Z"), None);
    }

    #[test]
    fn the_ends_of_what_fits() {
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
    fn anything_else_is_no_time() {
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
            "2023-07-10T20:15:47+0200",
            "2023-07-10T20:15:47+02",
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
    fn every_day_of_the_calendar_goes_there_and_back() {
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
        fn agrees_with_the_time_crate(
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
        fn what_the_time_crate_refuses_is_refused(
            text in "(19|20|16)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-6][0-9])"
        ) {
            let expected = OffsetDateTime::parse(&text, &Rfc3339)
                .ok()
                .and_then(|time| u64::try_from(time.unix_timestamp_nanos()).ok());
            prop_assert_eq!(parse(text.as_bytes()), expected, "{}", text);
        }

        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text);
        }
    }
}
