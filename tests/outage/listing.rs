//! Listing pages that are cut, repeated or inconsistent are requested again, and named if they stay so.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use cloudtrail::host::{Severity, Status};

use crate::aws::feed::Feed;
use crate::harness::text_of;
use crate::server::fault::{PageFault, ServerFault, ServerRule};
use crate::setup::{NAME, assert_line, assert_once, bucket, complaints, ids, settings};

const FAULTS: [PageFault; 6] = [
    PageFault::TooLong,
    PageFault::Truncated,
    PageFault::NoToken,
    PageFault::Repeated,
    PageFault::WrongKeyCount,
    PageFault::TokenLoop,
];

const OBJECTS: usize = 120;

/// Runs `check` for each fault on a thread of its own and reports all failures.
fn each_fault(check: fn(PageFault)) {
    let checks = FAULTS.map(|fault| (fault, thread::spawn(move || check(fault))));
    let failed: Vec<_> = checks
        .into_iter()
        .filter_map(|(fault, thread)| {
            let panic = thread.join().err()?;
            Some(format!("{fault:?}: {}", text_of(&*panic)))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

pub fn pages_are_damaged_once() {
    each_fault(|fault| {
        let server = bucket(OBJECTS);
        server.s3(|store| store.set_page_size(20));
        let rule = ServerRule::of("ListObjectsV2", ServerFault::Page(fault));
        server.fault(rule.query("continuation-token").after(2).times(1));
        let feed = Feed::new(&settings(&server));
        let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
        reading.until(Duration::from_secs(40), |_| false);
        assert_eq!(
            reading.once(),
            Status::Eof,
            "no end after {} events",
            reading.ids.len()
        );
        assert_once(&reading.ids, &ids(OBJECTS));
        assert_eq!(feed.metric("errors.list"), 0, "{:#?}", complaints(&feed));
    });
}

/// S3 sends empty pages where many objects were deleted, but not without end.
pub fn some_empty_pages_are_passed_and_an_endless_row_is_named() {
    let server = bucket(OBJECTS);
    server.s3(|store| store.set_page_size(20));
    let rule = || ServerRule::of("ListObjectsV2", ServerFault::Page(PageFault::Empty));
    server.fault(rule().query("continuation-token").times(300));
    let feed = Feed::new(&settings(&server));
    let source = format!("s3://{NAME}/logs/");
    assert_once(&feed.read_all(&source), &ids(OBJECTS));
    assert_eq!(feed.metric("errors.list"), 0, "{:#?}", complaints(&feed));
    server.end_faults();
    server.fault(rule().query("continuation-token").after(2));
    let mut reading = feed.open(&source);
    reading.until(Duration::from_secs(80), |_| false);
    assert_eq!(reading.once(), Status::Eof);
    assert_once(&reading.ids, &ids(60));
    assert_eq!(feed.metric("errors.list"), 1);
    assert_line(
        &feed.logged(Severity::Error),
        &[&source, "empty pages in a row", "is not read"],
    );
}

pub fn pages_stay_damaged() {
    each_fault(|fault| {
        let server = bucket(OBJECTS);
        server.s3(|store| store.set_page_size(20));
        let rule = ServerRule::of("ListObjectsV2", ServerFault::Page(fault));
        server.fault(rule.query("continuation-token").after(2));
        let feed = Feed::new(&settings(&server).with("s3RetryFor", "5s"));
        let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
        reading.until(Duration::from_secs(40), |_| false);
        assert_eq!(
            reading.once(),
            Status::Eof,
            "no end after {} events",
            reading.ids.len()
        );
        let requests = server.count("ListObjectsV2");
        assert!(requests < 20, "{requests} listing requests");
        // The objects of the sound pages are read, each once.
        let read = reading.ids.len();
        assert_once(&reading.ids, &ids(read));
        assert!(
            (60..OBJECTS).contains(&read),
            "{read} events of three whole pages"
        );
        assert!(feed.metric("errors.list") >= 1);
        let reason = match fault {
            PageFault::NoToken => "no continuation token",
            PageFault::Repeated => "not in order",
            PageFault::TooLong => "more than 8388608 bytes",
            _ => "",
        };
        let prefix = format!("s3://{NAME}/logs/");
        assert_line(&feed.logged(Severity::Error), &[&prefix, reason]);
    });
}
