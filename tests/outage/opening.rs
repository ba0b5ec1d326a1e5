//! Opening a queue whose service is busy or fails: that is waited out for half a minute, as it would end Falco.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_line, assert_once, bucket_and_queue, complaints, ids, send,
    settings, wait_for,
};

const WAITING: &str = "waiting up to 30 s";

/// The line is logged while the source is being opened.
pub fn waits_for_a_busy_queue() {
    for (operation, fault, code) in [
        (
            "GetQueueUrl",
            ServerFault::Refuse(400, "RequestThrottled"),
            "RequestThrottled",
        ),
        (
            "GetQueueAttributes",
            ServerFault::Refuse(500, "InternalFailure"),
            "InternalFailure",
        ),
    ] {
        let server = bucket_and_queue(3, 5);
        send(&server, 0..3);
        server.fault(ServerRule::of(operation, fault));
        let feed = Feed::new(&settings(&server));
        let logged = feed.watch();
        let mut watched = thread::scope(|scope| {
            scope.spawn(|| {
                let waits = |line: &String| line.contains(WAITING);
                wait_for("the line", RECOVERY, || {
                    logged(Severity::Warning).iter().any(waits)
                });
                server.end_faults();
            });
            Watched::open(&feed, &server)
        });
        watched.until_empty(RECOVERY);
        assert_once(&watched.reading.ids, &ids(3));
        let lines = complaints(&feed);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_line(&lines, &["queue ", NAME, code, WAITING]);
    }
}

pub fn gives_up_after_half_a_minute() {
    let server = bucket_and_queue(0, 5);
    let fault = ServerFault::Refuse(503, "ServiceUnavailable");
    server.fault(ServerRule::of("GetQueueAttributes", fault));
    let feed = Feed::new(&settings(&server));
    let (error, time) = feed.refusal(&format!("sqs://{NAME}"));
    assert!(time >= Duration::from_secs(30), "{time:?}");
    for part in [NAME, "cannot be read", "ServiceUnavailable", "us-east-1"] {
        assert!(error.contains(part), "{error}");
    }
    let lines = complaints(&feed);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let requests = server.count("GetQueueAttributes");
    assert!(requests < 60, "{requests} requests");
}
