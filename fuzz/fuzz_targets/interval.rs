//! `s3Interval` agrees with a slow parser that tries every dash as the separator.
#![no_main]

use cloudtrail::testing::Interval;
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NOW: i64 = 1_768_000_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // `time` knows leap seconds at a month's end only.
    if text.contains(":60") {
        return;
    }
    let pair = |dash: usize| Some((moment(&text[..dash])?, Some(moment(&text[dash + 1..])?)));
    let expected = match moment(text) {
        Some(start) => Some((start, None)),
        None => text.match_indices('-').find_map(|(dash, _)| pair(dash)),
    };
    let expected = expected.filter(|(start, end)| end.is_none_or(|end| *start <= end));
    match Interval::parse(text, NOW) {
        Ok(_) if text.is_empty() => {}
        Ok(interval) => {
            let (start, end) = expected.expect("an interval");
            assert_eq!((interval.start(), interval.end()), (Some(start), end));
            assert!(interval.contains(start) && !interval.contains(start - 60));
            assert!(end.is_none_or(|end| interval.contains(end) && !interval.contains(end + 60)));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(expected, None);
        }
    }
});

fn moment(text: &str) -> Option<i64> {
    if text.len() == 20 && &text.as_bytes()[10..11] == b"T" && text.ends_with('Z') {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        return Some(time.unix_timestamp());
    }
    let unit = match text.as_bytes().last()? {
        b'w' => 604_800,
        b'd' => 86_400,
        b'h' => 3600,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let count = match digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        true => digits.parse().unwrap_or(i64::MAX),
        false => return None,
    };
    Some((NOW.saturating_sub(count.saturating_mul(unit))).max(0))
}
