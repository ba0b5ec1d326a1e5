//! A message whose object cannot be read is deleted late, with its name logged, and only without a dead-letter queue.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::queue::now_ms;
use crate::setup::{
    NAME, RECOVERY, assert_line, assert_once, bucket, id, key, notification, settings,
};

const MISSING: &str = "logs/missing.json.gz";

/// A queue without a redrive policy.
fn plain_queue() -> FaultServer {
    let server = bucket(1);
    server.sqs(|queues| queues.create(NAME, Duration::from_secs(2)));
    server
}

/// Sends a message for a missing object, received eight times before, the first time `ago`.
fn send_missing(server: &FaultServer, ago: Duration) -> String {
    server.sqs(|queues| {
        queues.send_as(NAME, notification([MISSING]), |message| {
            message.receives = 8;
            message.first_received_ms = Some(now_ms() - ago.as_millis() as u64);
            message.sent_ms = message.first_received_ms.unwrap_or_default();
        })
    })
}

fn is_deleted(server: &FaultServer, name: &str) -> bool {
    server.sqs(|queues| queues.deletions.iter().any(|id| id == name))
}

fn feed_of(server: &FaultServer) -> Feed {
    Feed::new(&settings(server).with("sqsMaxReceives", 1))
}

/// Reads long enough to receive the message several times, and fails if it is deleted.
fn assert_stays(server: &FaultServer, name: &str) {
    let feed = feed_of(server);
    feed.open(&format!("sqs://{NAME}"))
        .during(Duration::from_secs(14));
    assert!(
        !is_deleted(server, name),
        "{:#?}",
        feed.logged(Severity::Warning)
    );
    assert!(server.count("GetObject") > 0, "the object is not requested");
}

pub fn only_after_15_minutes() {
    let server = plain_queue();
    let old = send_missing(&server, Duration::from_secs(20 * 60));
    let new = send_missing(&server, Duration::from_secs(60));
    server.sqs(|queues| queues.send(NAME, notification([key(0)])));
    let feed = feed_of(&server);
    let mut read = feed.open(&format!("sqs://{NAME}"));
    assert!(
        read.until(RECOVERY, |_| is_deleted(&server, &old)),
        "the old message is not deleted"
    );
    read.during(Duration::from_secs(10));
    assert!(
        !is_deleted(&server, &new),
        "deleted a minute after its first receive"
    );
    assert_once(&read.ids, &[id(0)]);
    let bucket_and_key = format!("s3://{NAME}/{MISSING}");
    assert_line(
        &feed.logged(Severity::Error),
        &[&old, &bucket_and_key, "NoSuchKey"],
    );
}

pub fn not_with_a_redrive_policy() {
    let server = plain_queue();
    server.sqs(|queues| queues.redrive(NAME, 1000));
    let name = send_missing(&server, Duration::from_secs(20 * 60));
    assert_stays(&server, &name);
}

/// An answer that holds nothing does not say that there is no redrive policy.
pub fn not_with_an_empty_answer_about_attributes() {
    let server = plain_queue();
    let empty = ServerFault::Change(|answer| answer.with_body(r#"{"Attributes":{}}"#));
    server.fault(ServerRule::of("GetQueueAttributes", empty));
    let name = send_missing(&server, Duration::from_secs(20 * 60));
    assert_stays(&server, &name);
}

pub fn not_with_unknown_attributes() {
    let server = plain_queue();
    server.fault(ServerRule::of(
        "GetQueueAttributes",
        ServerFault::Refuse(403, "AccessDenied"),
    ));
    let name = send_missing(&server, Duration::from_secs(20 * 60));
    assert_stays(&server, &name);
}
