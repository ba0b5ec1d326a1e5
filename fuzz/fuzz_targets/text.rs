//! Unescaping agrees with `serde_json` on valid strings and always yields UTF-8. Compacting removes only white space.
#![no_main]

use cloudtrail::testing::{compact, unescape};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let (mut text, mut short, mut again) = (Vec::new(), Vec::new(), Vec::new());
    unescape(data, &mut text);
    let text = String::from_utf8(text).expect("always UTF-8");
    if let Ok(expected) = serde_json::from_slice::<String>(&[b"\"", data, b"\""].concat()) {
        assert_eq!(text, expected);
    }
    compact(data, &mut short);
    compact(&short, &mut again);
    assert!(std::str::from_utf8(&short).is_ok() && again == short);
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        assert_eq!(serde_json::from_slice::<Value>(&short).ok(), Some(value));
    }
});
