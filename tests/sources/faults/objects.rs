//! Faults of listings and downloads.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use cloudtrail::host::{Severity, Status};

use crate::aws;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::Feed;
use crate::aws::proxy::FOREVER;
use crate::aws::settings::Settings;
use crate::fixture::{
    SETTLE_TIMEOUT, assert_line, bucket_and_proxy, bucket_with, numbered_bucket, numbered_key,
    proxy, record_ids, service,
};

pub fn transient_faults_cost_no_record_and_keep_the_order() {
    let bucket = "transient-faults";
    let names = [
        "a",
        "b-500",
        "c-slow-down",
        "d-reset",
        "e-cut",
        "f-cut-again",
        "g-stall",
        "h-drip",
        "i-502",
        "j-timeout",
        "k-silence",
        "l",
    ];
    let (keys, proxy) = bucket_and_proxy(bucket, &names);
    for (name, fault, times) in [
        ("b-500", Fault::Refuse(500, "InternalError"), 2),
        ("c-slow-down", Fault::Refuse(503, "SlowDown"), 4),
        ("d-reset", Fault::Reset, 3),
        ("e-cut", Fault::CutAfter(50), 1),
        ("f-cut-again", Fault::CutAfter(0), 3),
        ("g-stall", Fault::StallAfter(50, FOREVER), 1),
        ("h-drip", Fault::Drip(Duration::from_millis(5)), 1),
        ("i-502", Fault::Refuse(502, ""), 1),
        ("j-timeout", Fault::Refuse(400, "RequestTimeout"), 1),
        ("k-silence", Fault::Silence(FOREVER), 1),
    ] {
        proxy.rule(Rule::every("GetObject", fault).of(name).times(times));
    }
    let feed = Feed::new(&Settings::at(proxy.address));
    assert_eq!(feed.read_all(&format!("s3://{bucket}")), record_ids(&keys));
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
    assert_eq!(feed.metric("errors.fetch"), 0);
    assert!(feed.metric("retries") >= 16);
    assert!(feed.metric("throttles") >= 4);
}

pub fn unreadable_objects_are_named_and_the_others_read() {
    let bucket = "permanent-faults";
    let names = [
        "a",
        "b-missing",
        "c",
        "d-denied",
        "e",
        "f-cut",
        "g",
        "h-stall",
        "i",
        "j-damaged",
        "k",
        "l-archived",
        "m",
        "n-broken",
        "o",
    ];
    let (keys, proxy) = bucket_and_proxy(bucket, &names);
    for (name, fault) in [
        ("b-missing", Fault::Refuse(404, "NoSuchKey")),
        ("d-denied", Fault::Refuse(403, "AccessDenied")),
        ("f-cut", Fault::CutAfter(0)),
        ("h-stall", Fault::StallAfter(60, FOREVER)),
        // The last eight bytes are gzip's checksum and length.
        ("j-damaged", Fault::Flip(12)),
        ("l-archived", Fault::Refuse(403, "InvalidObjectState")),
        ("n-broken", Fault::Refuse(500, "InternalError")),
    ] {
        proxy.rule(Rule::every("GetObject", fault).of(name));
    }
    let feed = Feed::new(&Settings::at(proxy.address).with("s3RetryFor", "5s"));
    let mut reading = feed.open(&format!("s3://{bucket}"));
    assert!(!reading.until(SETTLE_TIMEOUT, |_| false));
    assert_eq!(reading.once(), Status::Eof, "the source is read to its end");
    let good = record_ids(keys.iter().filter(|key| !key.contains('-')));
    let of_good = |id: &&String| good.contains(id);
    let arrived: Vec<_> = reading.ids.iter().filter(of_good).cloned().collect();
    assert_eq!(arrived, good);
    let others = reading.ids.iter().filter(|id| !good.contains(id));
    assert!(
        others.clone().all(|id| id.starts_with("j-damaged")),
        "{:?}",
        others.collect::<Vec<_>>()
    );
    let errors = feed.logged(Severity::Warning);
    for (name, code) in [
        ("b-missing", "NoSuchKey"),
        ("d-denied", "AccessDenied"),
        ("f-cut", "broke off"),
        ("h-stall", "Timeout: no byte"),
        ("j-damaged", ""),
        ("l-archived", "InvalidObjectState"),
        ("n-broken", "InternalError"),
    ] {
        assert_line(&errors, &[&format!("s3://{bucket}/{name}.json.gz"), code]);
    }
    let (fetch, gzip) = (feed.metric("errors.fetch"), feed.metric("errors.gzip"));
    assert_eq!((fetch, gzip), (6, 1), "{errors:#?}");
}

pub fn failing_object_ends_the_source_with_s3_on_error_fail() {
    let bucket = "fail-fast";
    let (keys, proxy) = bucket_and_proxy(bucket, &["a", "b", "c-denied", "d"]);
    proxy.rule(Rule::every("GetObject", Fault::Refuse(403, "AccessDenied")).of("c-denied"));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3OnError", "fail"));
    let mut reading = feed.open(&format!("s3://{bucket}"));
    let end = Instant::now() + SETTLE_TIMEOUT;
    let error = loop {
        assert!(Instant::now() < end, "next_batch does not fail");
        match reading.try_once() {
            Ok(status) => assert_ne!(status, Status::Eof),
            Err(error) => break error,
        }
    };
    assert_line(
        &[error],
        &["s3://fail-fast/c-denied.json.gz", "AccessDenied"],
    );
    assert_eq!(
        reading.ids,
        record_ids(&keys[..2]),
        "records before the failure are delivered"
    );
}

pub fn listing_survives_a_fault_on_every_page() {
    let service = service();
    let bucket = "listed-with-faults";
    let numbers: Vec<_> = (0..30).map(|number| format!("logs/{number:02}")).collect();
    let keys: Vec<_> = numbers
        .iter()
        .map(|name| format!("{name}.json.gz"))
        .collect();
    bucket_with(&service, bucket, &keys);
    let proxy = proxy();
    proxy.keys_per_page(10);
    for (after, fault) in [
        (2, Fault::Refuse(500, "InternalError")),
        (1, Fault::Refuse(503, "SlowDown")),
        (1, Fault::Reset),
        (1, Fault::CutAfter(200)),
        (1, Fault::CutAfter(0)),
    ] {
        proxy.rule(Rule::every("ListObjectsV2", fault).after(after).times(1));
    }
    let feed = Feed::new(&Settings::at(proxy.address));
    assert_eq!(
        feed.read_all(&format!("s3://{bucket}/logs/")),
        record_ids(&keys)
    );
    assert_eq!(feed.metric("errors.list"), 0);
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
}

pub fn prefix_that_cannot_be_listed_is_named_and_the_others_read() {
    let service = service();
    let bucket = "half-listed";
    let key = |region: &str| {
        aws::trail::log_key(
            "AWSLogs/",
            "111122223333",
            region,
            "20260201T0000",
            "Xq7mNb2Kp9Rt4W00",
        )
    };
    let keys: Vec<_> = aws::trail::REGIONS.map(key).to_vec();
    bucket_with(&service, bucket, &keys);
    let proxy = proxy();
    proxy.rule(Rule::every("ListObjectsV2", Fault::Refuse(403, "AccessDenied")).of("eu-central-1"));
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{bucket}/AWSLogs/"));
    let denied: Vec<_> = keys
        .iter()
        .filter(|key| !read.contains(&format!("{key}-0")))
        .collect();
    assert_eq!((denied.len(), read.len()), (1, 3 * 5), "{read:?}");
    assert_eq!(feed.metric("errors.list"), 1);
    let prefix = denied[0].split("/2026/").next().expect("a prefix");
    assert_line(
        &feed.logged(Severity::Error),
        &[bucket, prefix, "AccessDenied"],
    );
}

pub fn wrong_content_length_is_detected() {
    let (service, name) = (service(), "lying-length");
    let ids = numbered_bucket(&service, name, 6);
    let proxy = proxy();
    // Once: the next try is correct. The second length exceeds any memory.
    for (number, more) in [("0001", 1), ("0002", 1 << 60)] {
        let rule = Rule::every("GetObject", Fault::Length(more));
        proxy.rule(rule.of(number).times(1));
    }
    // Always.
    proxy.rule(Rule::every("GetObject", Fault::Length(10)).of("0003"));
    proxy.rule(Rule::every("GetObject", Fault::Length(-9)).of("0004"));
    let settings = Settings::at(proxy.address)
        .with("maxObjectBytes", 1_u64 << 62)
        .with("s3RetryFor", "5s");
    let feed = Feed::new(&settings);
    let read = feed.read_all(&format!("s3://{name}"));
    let whole = [0, 1, 2, 5].map(|number: usize| ids[number].clone());
    assert!(whole.iter().all(|id| read.contains(id)), "{read:?}");
    let lines = feed.logged(Severity::Error);
    for number in [3, 4] {
        assert_line(&lines, &[&format!("s3://{name}/{}", numbered_key(number))]);
    }
    let figures = ["errors.fetch", "errors.gzip"].map(|name| feed.metric(name));
    assert_eq!(figures, [1, 1], "{lines:#?}");
}

pub fn bucket_deleted_during_its_listing_gives_the_objects_listed_before() {
    let (service, name) = (service(), "vanishing");
    let ids = numbered_bucket(&service, name, 30);
    let proxy = proxy();
    proxy.keys_per_page(10);
    // The first two listings are the check at open and the first page.
    proxy.rule(Rule::every("ListObjectsV2", Fault::Refuse(404, "NoSuchBucket")).after(2));
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{name}/AWSLogs/0"));
    assert_eq!(read, ids[..10]);
    assert_eq!(feed.metric("errors.list"), 1);
    assert_line(&feed.logged(Severity::Error), &[name, "NoSuchBucket"]);
}
