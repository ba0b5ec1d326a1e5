//! Accepted configurations are within their bounds and survive a round trip; rejected ones have a reason, through
//! the C ABI too. The same goes for open params.
//!
//! Input: open params, a newline and a configuration.
#![no_main]

mod calls;

use cloudtrail::testing::{OpenParams, parse_config};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use std::ffi::CString;

/// What follows the scheme, which is matched in any case after leading white space.
fn after_scheme<'p>(params: &'p str, scheme: &str) -> &'p str {
    let params = params.trim();
    let (start, rest) = params.split_at(scheme.len());
    assert!(start.eq_ignore_ascii_case(scheme));
    rest
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (params, text) = text.split_once('\n').unwrap_or((text, text));
    match OpenParams::parse(params) {
        Ok(OpenParams::S3 { bucket, prefix }) => {
            assert!(!bucket.is_empty() && !bucket.contains('/'));
            let rest = after_scheme(params, "s3://");
            assert!(rest.starts_with(&bucket) && rest.ends_with(&prefix));
        }
        Ok(OpenParams::Sqs(queue)) => {
            let rest = after_scheme(params, "sqs://").trim();
            // White space before the slash is not part of the name either.
            assert_eq!(rest.trim_end_matches('/').trim_end(), queue);
        }
        Ok(OpenParams::Path(path)) => {
            let path = path.to_str();
            assert!(path == Some(params) || path == Some(params.trim()));
        }
        Err(error) => assert!(error.to_string().contains("s3://<bucket>")),
    }
    let parsed = parse_config(text);
    let is_object = serde_json::from_str::<Map<String, Value>>(text).is_ok();
    match &parsed {
        Ok((config, _)) => {
            let text = text.trim();
            assert!(is_object || text.is_empty() || text == "null");
            assert!(config.sqs_wait_seconds <= 20);
            assert!((1..=64).contains(&config.decode_threads()));
            assert!((1..=1024).contains(&config.s3_download_concurrency));
            assert!(config.max_buffered_bytes > 0 && config.max_object_bytes > 0);
            assert!(config.s3_accounts().iter().all(|id| id.len() == 12));
            let serialized = serde_json::to_string(config).expect("JSON");
            let (mut again, warnings) = parse_config(&serialized).expect("what was accepted");
            // A serialized configuration sets every key.
            again.set_keys.clone_from(&config.set_keys);
            assert_eq!((&again, warnings), (config, Vec::new()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(text) = CString::new(text) {
        let plugin = calls::init(&text);
        assert_eq!(plugin.is_some(), parsed.is_ok());
        if let Some(plugin) = plugin {
            // SAFETY: the state comes from `plugin_init` and is not used afterwards.
            unsafe { calls::plugin_destroy(plugin) };
        }
    }
});
