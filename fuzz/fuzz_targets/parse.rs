//! What people and hosts write: configurations, intervals, times, names, open parameters, pointers.
#![no_main]

use cloudtrail::field::Pointer;
use cloudtrail::interval::Interval;
use cloudtrail::locate::Location;
use cloudtrail::{config, log_name, timestamp};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fuzz_target!(|data: &[u8]| {
    let ours = timestamp::parse(data);
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
    let _ = config::parse(text);
    let _ = Location::parse(text);
    let _ = Pointer::compile(text);
    let _ = (log_name::is_log(text, true), log_name::is_log(text, false));
    let _ = log_name::time(text).and_then(timestamp::nanoseconds);
    if let Ok(interval) = Interval::parse(text, 1_768_000_000) {
        assert!(
            interval
                .start()
                .is_none_or(|start| interval.contains(start))
        );
        assert!(interval.end().is_none_or(|end| interval.contains(end)));
        let _ = (interval.first_day(), interval.last_day());
    }
});
