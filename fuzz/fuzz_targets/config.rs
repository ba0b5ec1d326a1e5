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

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (params, text) = text.split_once('\n').unwrap_or((text, text));
    match OpenParams::parse(params) {
        Ok(OpenParams::S3 { bucket, prefix }) => {
            assert!(!bucket.is_empty() && !bucket.contains('/'));
            assert!(params.starts_with(&format!("s3://{bucket}")) && params.ends_with(&prefix));
        }
        Ok(OpenParams::Sqs(queue)) => assert_eq!(params, format!("sqs://{queue}")),
        Ok(OpenParams::Path(path)) => assert_eq!(path.to_str(), Some(params)),
        Err(error) => assert!(error.to_string().contains("s3://<bucket>")),
    }
    let parsed = parse_config(text);
    let is_object = serde_json::from_str::<Map<String, Value>>(text).is_ok();
    match &parsed {
        Ok((config, _)) => {
            assert!(is_object || text.trim().is_empty());
            assert!(config.sqs_wait_seconds <= 20);
            assert!((1..=64).contains(&config.decode_threads()));
            assert!((1..=1024).contains(&config.s3_download_concurrency));
            assert!(config.max_buffered_bytes > 0 && config.max_object_bytes > 0);
            assert!(config.s3_accounts().iter().all(|id| id.len() == 12));
            let serialized = serde_json::to_string(config).expect("JSON");
            assert_eq!(parse_config(&serialized), Ok((config.clone(), Vec::new())));
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
