//! Listing pages that are cut, repeated or contradict themselves: requested again, and named in the end.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use cloudtrail::host::{Severity, Status};

use crate::aws::feed::Feed;
use crate::harness::text_of;
use crate::server::fault::{Fault, PageFault, Rule};
use crate::setup::{NAME, assert_line, assert_once, bucket, complaints, ids, settings};

const FAULTS: [PageFault; 5] = [
    PageFault::Truncated,
    PageFault::NoToken,
    PageFault::Repeated,
    PageFault::WrongKeyCount,
    PageFault::TokenLoop,
];

const OBJECTS: usize = 120;

/// Runs each fault on a thread of its own and reports all that failed.
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
        let rule = Rule::of("ListObjectsV2", Fault::Page(fault));
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

pub fn pages_stay_damaged() {
    each_fault(|fault| {
        let server = bucket(OBJECTS);
        server.s3(|store| store.set_page_size(20));
        let rule = Rule::of("ListObjectsV2", Fault::Page(fault));
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
        assert!(requests < 100, "{requests} listing requests");
        // What was listed before is read, and nothing twice.
        let read = reading.ids.len();
        assert_once(&reading.ids, &ids(read));
        assert!(
            (60..OBJECTS).contains(&read),
            "{read} events of three whole pages"
        );
        assert!(feed.metric("errors.list") >= 1);
        assert_line(&feed.logged(Severity::Error), &[&format!("{NAME}/logs/")]);
    });
}
