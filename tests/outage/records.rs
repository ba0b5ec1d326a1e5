//! CloudTrail records in messages, as EventBridge sends them: delivered once, byte for byte, and deleted only afterwards.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::time::Duration;

use cloudtrail::host::Severity;
use serde_json::json;

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_all, assert_line, assert_no_dead_letters, assert_once, bucket,
    bucket_and_queue, complaints, id, ids, receives, send, settings, wait_for,
};

/// The eventID of a record.
fn record_id(number: usize) -> String {
    format!("record#{number}")
}

fn record_ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(record_id).collect()
}

/// A record whose inner members look like those of notifications.
fn record(number: usize) -> String {
    let service = ["s3", "ec2", "iam", "sts", "kms", "signin"][number % 6];
    format!(
        r#"{{"eventVersion":"1.11", "userIdentity":{{"type":"IAMUser"}},"eventTime":"2026-01-14T12:00:00Z","eventSource":"{service}.amazonaws.com","eventName":"PutObject","awsRegion":"us-east-1","userAgent":"\ud83d\ude00 \ud800 \"é\" \\","requestParameters":{{"s3Bucket":"{NAME}","s3ObjectKey":["logs/0000.json.gz"],"Records":[{{"eventName":"ObjectCreated:Put","s3":{{}}}}]}},"eventID":"{}","eventType":"AwsApiCall"}}"#,
        record_id(number)
    )
}

fn event(number: usize) -> String {
    let kind = [
        "AWS API Call via CloudTrail",
        "AWS Console Sign In via CloudTrail",
        "AWS Service Event via CloudTrail",
    ][number % 3];
    format!(
        r#"{{"version":"0","id":"1","detail-type":"{kind}","source":"aws.s3","account":"111122223333","detail": {} }}"#,
        record(number)
    )
}

/// An EventBridge event whose record has this eventID.
pub fn event_with(id: &str) -> String {
    event(0).replace(&record_id(0), id)
}

fn in_sns(body: &str) -> String {
    json!({"Type": "Notification", "MessageId": "1", "Message": body}).to_string()
}

/// Every second event is in an SNS envelope.
fn send_records(server: &FaultServer, numbers: std::ops::Range<usize>) {
    server.sqs(|queues| {
        for number in numbers {
            let body = event(number);
            queues.send(NAME, if number % 2 == 0 { body } else { in_sns(&body) });
        }
    });
}

pub fn are_delivered_beside_objects() {
    let server = bucket_and_queue(40, 2);
    for part in 0..10 {
        send_records(&server, part * 20..part * 20 + 20);
        send(&server, part * 4..part * 4 + 4);
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    let expected = [record_ids(0..200), ids(40)].concat();
    assert_once(&watched.reading.ids, &expected);
    assert_eq!(receives(&server), [(1, 240)].into());
    assert_no_dead_letters(&server);
    assert_eq!(complaints(&feed), [""; 0]);
    assert_eq!(feed.metric("messages.records"), 200);
    assert_eq!(feed.metric("messages.deleted"), 240);
    let gets = server.requests("GetObject");
    assert_eq!(gets.len(), 40, "a record names no object");
}

/// Within an answer of the queue; several answers at once have no order.
pub fn keep_their_order_and_their_bytes() {
    let server = bucket_and_queue(0, 2);
    let feed = Feed::new(&settings(&server).with("decodeThreads", 4));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.payloads = Some(Vec::new());
    for part in 0..6 {
        send_records(&server, part * 10..part * 10 + 10);
        reading.until_count(part * 10 + 10);
    }
    let log = format!(r#"{{"Records":[{},{}]}}"#, record(60), record(61));
    let lines = format!("{}\n{}\n", record(62), record(63));
    server.sqs(|queues| {
        queues.send(NAME, log);
        queues.send(NAME, in_sns(&lines));
        queues.send(NAME, record(64));
        queues.send(NAME, format!(r#"{{"detail":{}}}"#, record(65)));
    });
    reading.until_count(66);
    let payloads = reading.payloads.take();
    let expected: Vec<_> = (0..66).map(|number| record(number).into_bytes()).collect();
    assert!(payloads == Some(expected), "the payloads differ");
}

pub fn are_deleted_only_after_delivery() {
    let server = bucket(0);
    server.sqs(|queues| queues.create(NAME, Duration::from_secs(30)));
    send_records(&server, 0..5);
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until_count(1);
    std::thread::sleep(Duration::from_millis(300));
    let (read, left) = (reading.ids.len(), server.sqs(|queues| queues.left(NAME)));
    assert_eq!(left, 5, "the host has not come back for more");
    // At close, what the host has not processed is returned.
    drop(reading);
    let left = server.sqs(|queues| queues.left(NAME));
    assert!(
        left >= read,
        "{left} are left, {read} were in the last batch"
    );
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    let emptied = reading.until(RECOVERY, |_| server.sqs(|queues| queues.left(NAME)) == 0);
    assert!(emptied, "messages are left");
}

pub fn are_delivered_in_received_mode() {
    let server = bucket(0);
    server.sqs(|queues| queues.create(NAME, Duration::from_secs(30)));
    send_records(&server, 0..30);
    let feed = Feed::new(&settings(&server).with("sqsDeleteWhen", "received"));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until_count(30);
    reading.until(RECOVERY, |_| server.sqs(|queues| queues.left(NAME)) == 0);
    assert_once(&reading.ids, &record_ids(0..30));
    assert_eq!(server.sqs(|queues| queues.left(NAME)), 0);
}

pub fn are_unknown_without_sqs_records() {
    let server = bucket_and_queue(1, 100);
    let message = server.sqs(|queues| queues.send(NAME, event(0)));
    send(&server, 0..1);
    let feed = Feed::new(&settings(&server).with("sqsRecords", false));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until(RECOVERY, |_| server.sqs(|queues| queues.left(NAME)) == 1);
    assert_eq!(reading.ids, [id(0)]);
    assert!(feed.metric("messages.unknown") >= 1);
    assert_eq!(feed.metric("messages.records"), 0);
    assert_line(
        &feed.logged(Severity::Error),
        &[&message, "sqsRecords", "redrive policy"],
    );
}

/// Insights records are skipped unless `includeInsights` is set; they are deleted in both cases.
pub fn of_insights_need_the_option() {
    let insight = |number: usize| {
        let record = record(number).replace("AwsApiCall", "AwsCloudTrailInsight");
        format!(r#"{{"detail-type":"AWS Insight via CloudTrail","detail":{record}}}"#)
    };
    for (include, expected) in [(false, 0), (true, 3)] {
        let server = bucket_and_queue(0, 2);
        server.sqs(|queues| {
            queues.send(NAME, insight(0));
            queues.send(NAME, in_sns(&insight(1)));
            let record = record(2).replace("AwsApiCall", "AwsCloudTrailInsight");
            queues.send(NAME, format!(r#"{{"Records":[{record}]}}"#));
        });
        let feed = Feed::new(&settings(&server).with("includeInsights", include));
        let mut watched = Watched::open(&feed, &server);
        watched.until_empty(RECOVERY);
        assert_eq!(watched.reading.ids.len(), expected);
        assert_eq!(feed.metric("skipped.insight"), 3 - expected as u64);
        assert_eq!(complaints(&feed), [""; 0]);
    }
}

/// A busy host and a small memory budget: nothing is lost, and memory stays within the budget.
pub fn wait_for_memory() {
    let server = bucket_and_queue(20, 2);
    send_records(&server, 0..100);
    send(&server, 0..20);
    let large = format!(
        r#"{{"eventVersion":"1.11","eventTime":"2026-01-14T12:00:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject","userAgent":"{}","eventID":"{}"}}"#,
        "x".repeat(200 << 10),
        record_id(100),
    );
    server.sqs(|queues| queues.send(NAME, large));
    // A quarter is for stored bytes: less than the large record has.
    let feed = Feed::new(&settings(&server).with("maxBufferedBytes", 64 << 10));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    let expected = [record_ids(0..101), ids(20)].concat();
    assert_once(&watched.reading.ids, &expected);
    assert_eq!(complaints(&feed), [""; 0]);
}

/// A host that does not read stops the receiving, long before as many messages wait as may be processed.
pub fn are_not_received_without_room() {
    const MESSAGES: usize = 240;
    let server = bucket_and_queue(0, 2);
    let body = event(0).replace("PutObject", &"x".repeat(300 << 10));
    server.sqs(|queues| {
        for number in 0..MESSAGES {
            queues.send(NAME, body.replace(&record_id(0), &record_id(number)));
        }
    });
    let settings = settings(&server)
        .with("maxBufferedBytes", 1 << 20)
        .with("s3DownloadConcurrency", 256);
    let feed = Feed::new(&settings);
    let mut watched = Watched::open(&feed, &server);
    let mut received = 0;
    wait_for("a pause of receiving", RECOVERY, || {
        std::thread::sleep(Duration::from_secs(1));
        let before = std::mem::replace(&mut received, feed.metric("messages.received"));
        received > 0 && received == before
    });
    // What eight answers of ten messages bring beyond the limit, and what is buffered.
    assert!(received <= 110, "{received} of {MESSAGES} messages");
    watched.until_empty(RECOVERY);
    assert_all(&watched.reading.ids, &record_ids(0..MESSAGES));
}

/// Records are delivered while every download fails.
pub fn are_delivered_while_s3_is_down() {
    let server = bucket_and_queue(10, 2);
    server.fault(ServerRule::of(
        "s3",
        ServerFault::Refuse(503, "ServiceUnavailable"),
    ));
    send(&server, 0..10);
    send_records(&server, 0..30);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let expected: HashSet<_> = record_ids(0..30).into_iter().collect();
    let delivered = watched.until(RECOVERY, |ids| {
        let read: HashSet<_> = ids.iter().cloned().collect();
        read.is_superset(&expected)
    });
    assert!(delivered, "{:?}", watched.reading.ids);
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &[record_ids(0..30), ids(10)].concat());
    assert_no_dead_letters(&server);
}
