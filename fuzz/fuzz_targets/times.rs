//! Timestamps agree with the `time` crate. No file name causes a panic.
#![no_main]

use cloudtrail::testing::{is_log, key_time, nanoseconds, parse_timestamp};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fuzz_target!(|data: &[u8]| {
    let ours = parse_timestamp(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339)
        && let Ok(expected) = u64::try_from(time.unix_timestamp_nanos())
        && matches!(data[10], b'T' | b't' | b' ')
        && !text.contains(":60")
    {
        assert_eq!(ours, Some(expected));
    }
    let _ = (is_log(text, true), is_log(text, false));
    let _ = key_time(text).and_then(nanoseconds);
});
