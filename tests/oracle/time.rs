//! The time of an event in ns since 1970.
#![forbid(unsafe_code)]

use super::json::{Json, Kind};

/// From eventTime, or else from the end or start of the time window, or else from the file's name.
pub fn timestamp(record: &Json, file_name: &str) -> Option<u64> {
    [
        "eventTime",
        "timeWindow.windowEnd",
        "timeWindow.windowStart",
    ]
    .iter()
    .filter_map(|path| match &record.at(path)?.kind {
        Kind::Str(text) => rfc_3339(text),
        _ => None,
    })
    .next()
    .or_else(|| from_file_name(file_name))
}

/// `…_20260114T0915Z_…`
fn from_file_name(name: &str) -> Option<u64> {
    name.split('_').find_map(|part| {
        let digits = part.strip_suffix('Z')?;
        let (day, minute) = digits.split_once('T')?;
        if day.len() != 8 || minute.len() != 4 || !day.is_ascii() || !minute.is_ascii() {
            return None;
        }
        let (date, clock) = ((&day[..4], &day[4..6], &day[6..]), minute.split_at(2));
        rfc_3339(&format!(
            "{}-{}-{}T{}:{}:00Z",
            date.0, date.1, date.2, clock.0, clock.1
        ))
    })
}

/// A time as CloudTrail writes it; accepts also a fraction, an offset, a space instead of `T`, and no zone.
fn rfc_3339(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let marks = [4, 7, 10, 13, 16].map(|at| text.as_bytes()[at]);
    if !matches!(marks, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leap_day = i64::from(month == 2 && is_leap(year));
    let last = lengths.get(usize::try_from(month - 1).ok()?)? + leap_day;
    if year < 1970 || !(1..=last).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut days = day - 1;
    days += (1970..year)
        .map(|y| 365 + i64::from(is_leap(y)))
        .sum::<i64>();
    days += lengths[..month as usize - 1].iter().sum::<i64>();
    days += i64::from(month > 2 && is_leap(year));

    let mut zone = &text[19..];
    let mut fraction = 0;
    if let Some(digits) = zone.strip_prefix('.') {
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let nine = format!("{:0<9.9}", &digits[..count]);
        fraction = (count > 0).then(|| nine.parse::<i64>().ok())??;
        zone = &digits[count..];
    }
    let offset = match zone.as_bytes() {
        [] | [b'Z' | b'z'] | b" UTC" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] | [sign @ (b'+' | b'-'), _, _, _, _] => {
            let digits = zone[1..].replace(':', "");
            let minutes =
                digits[..2].parse::<i64>().ok()? * 60 + digits[2..].parse::<i64>().ok()?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(fraction)).ok()
}
