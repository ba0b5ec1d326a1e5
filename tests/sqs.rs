//! `sqs://`: every notification shape, and that no message is deleted before its records were handed over.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use aws::child::Ctcat;
use aws::fault::{Fault, Rule, first_received_long_ago};
use aws::feed::{Feed, PATIENCE, sorted};
use aws::proxy::{FOR_EVER, Proxy};
use aws::server::{closed_address, ministack, moto};
use aws::service::{Depth, Service};
use aws::settings::Settings;
use cloudtrail::host::{Severity, Status};
use serde_json::{Value, json};
use support::scratch::{gzip, plain_log};
use support::testdata;

const NONE: Depth = Depth {
    visible: 0,
    leased: 0,
};

fn service() -> Service {
    Service::at(ministack().address)
}

fn settings() -> Settings {
    Settings::at(ministack().address)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// CloudTrail's own notification of some objects.
fn notification(bucket: &str, keys: &[&str]) -> String {
    json!({"s3Bucket": bucket, "s3ObjectKey": keys}).to_string()
}

/// A queue with these attributes and a bucket, both called `name`, with one message for each of `count` objects.
/// The objects' only records have the eventIDs `<name>-0-0`, `<name>-1-0`, …, which are returned.
fn queue_of(service: &Service, name: &str, attributes: Value, count: usize) -> Vec<String> {
    service.create_queue(name, attributes);
    service.create_bucket(name);
    let key = |number: usize| format!("AWSLogs/{number}.json.gz");
    let prefix = |number: usize| format!("{name}-{number}-");
    for number in 0..count {
        service.put(name, &key(number), gzip(&plain_log(&prefix(number), 1)));
    }
    service.send(
        name,
        (0..count).map(|number| notification(name, &[&key(number)])),
    );
    (0..count)
        .map(|number| format!("{}0", prefix(number)))
        .collect()
}

/// A proxy behind which all messages were first received long ago, so that they may be given up.
fn long_ago() -> Proxy {
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every(
        "ReceiveMessage",
        Fault::Rewrite(first_received_long_ago),
    ));
    proxy
}

/// Reads on until the queue is as deep as it is to be.
fn settle(service: &Service, queue: &str, reading: &mut aws::feed::Reading<'_>, depth: Depth) {
    let mut last = None;
    let settled = reading.until(PATIENCE, |_| {
        last = Some(service.depth(queue));
        last == Some(depth)
    });
    assert!(settled, "{queue} stays at {last:?} instead of {depth:?}");
}

#[test]
fn every_shape_of_notification_is_read() {
    let service = service();
    let queue = "shapes";
    service.create_queue(queue, json!({"VisibilityTimeout": "1"}));
    let first = "AWSLogs/o-exampleorg/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T0850Z_q3Jm0aXo8ZtBn1Ld.json.gz";
    let second = "AWSLogs/o-exampleorg/444455556666/CloudTrail/eu-central-1/2026/01/14/444455556666_CloudTrail_eu-central-1_20260114T0855Z_Wk6uYc2RvE9sTf4P.json.gz";
    let plain = "team+a%20b/AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T0850Z_q3Jm0aXo8ZtBn1Ld.json.gz";
    let encoded = "team a=1/café/AWSLogs/444455556666/CloudTrail/eu-central-1/2026/01/14/444455556666_CloudTrail_eu-central-1_20260114T0855Z_Wk6uYc2RvE9sTf4P.json.gz";
    for (bucket, objects) in [
        (
            "example-trail",
            &[(first, "first-"), (second, "second-"), (plain, "plain-")][..],
        ),
        ("second.trail", &[(encoded, "encoded-")]),
    ] {
        service.create_bucket(bucket);
        for (key, prefix) in objects {
            service.put(bucket, key, gzip(&plain_log(prefix, 1)));
        }
    }
    let mut samples: Vec<_> = fs::read_dir(testdata("notifications"))
        .expect("the samples")
        .map(|entry| entry.expect("a sample").path())
        .collect();
    samples.sort();
    service.send(
        queue,
        samples
            .iter()
            .map(|path| fs::read_to_string(path).expect("UTF-8")),
    );

    let proxy = long_ago();
    let feed = Feed::new(
        &Settings::at(proxy.address)
            .with("sqsMaxReceives", 2)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open("sqs://shapes");
    settle(&service, queue, &mut reading, NONE);
    let counts = ["first-0", "second-0", "plain-0", "encoded-0"]
        .map(|id| reading.ids.iter().filter(|read| *read == id).count());
    assert_eq!(counts, [7, 3, 2, 1], "{:?}", reading.ids);
    assert_eq!(reading.ids.len(), 13, "{:?}", reading.ids);

    // Eight samples are nothing of ours; each is looked at twice and then given up with a line that says why.
    assert_eq!(feed.metric("messages.unknown"), 16);
    assert_eq!(feed.metric("messages.deleted"), samples.len() as u64);
    let errors = feed.logged(Severity::Error);
    let named = errors
        .iter()
        .filter(|line| line.contains(": message ") && line.contains("not a notification"));
    // At each of two receives, and when they are given up.
    assert_eq!(named.count(), 3 * 8, "{errors:#?}");
    for part in [
        "not JSON",
        "confirmed",
        "too many nested SNS envelopes",
        "sqsMaxReceives",
    ] {
        assert!(
            errors.iter().any(|line| line.contains(part)),
            "{part}: {errors:#?}"
        );
    }
}

#[test]
fn what_a_server_sends_of_itself_is_read() {
    let service = service();
    let name = "told-by-the-bucket";
    service.create_queue(name, json!({}));
    service.create_bucket(name);
    service.notify(name, &service.queue_arn(name));
    for (number, key) in ["a b+c/é=1.json.gz", "100%25/x.json", "plain/y.json.gz"]
        .iter()
        .enumerate()
    {
        service.put(name, key, plain_log(&format!("{number}-"), 2));
    }
    service.put(name, "notes.txt", "no log");
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(6);
    settle(&service, name, &mut reading, NONE);
    assert_eq!(
        sorted(&reading.ids),
        ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    );
    assert_eq!(feed.logged(Severity::Warning), [""; 0]);
}

#[test]
fn a_message_is_deleted_only_when_the_host_has_come_back_for_more() {
    let service = service();
    let name = "deleted-late";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "60"}), 1);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    assert_eq!(reading.ids, ids);
    // The host may be busy with the event for as long as it likes.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        service.depth(name),
        Depth {
            visible: 0,
            leased: 1
        }
    );
    assert_eq!(reading.once(), Status::Timeout);
    settle(&service, name, &mut reading, NONE);
    assert_eq!(feed.metric("messages.received"), 1);
    assert_eq!(feed.metric("messages.deleted"), 1);
}

#[test]
fn closing_deletes_nothing_that_the_host_still_holds() {
    let service = service();
    let name = "closed-early";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "5"}), 40);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    drop(reading);
    let left = service.depth(name);
    assert_eq!(
        left.visible + left.leased,
        40,
        "the host may not have come to its first event"
    );

    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    let before = reading.ids.len();
    reading.until_count(before + 1);
    let still_held = reading.ids[before..].to_vec();
    drop(reading);
    let left = service.depth(name);
    let left = left.visible + left.leased;
    assert!((still_held.len()..40).contains(&left), "{left} are left");

    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert!(still_held.iter().all(|id| reading.ids.contains(id)));
    assert_eq!(reading.ids.len(), left);
    assert!(reading.ids.iter().all(|id| ids.contains(id)));
}

#[test]
fn a_lease_is_prolonged_for_as_long_as_the_host_takes() {
    let service = service();
    let name = "held-long";
    // Long enough for a machine that stands still now and then.
    queue_of(&service, name, json!({"VisibilityTimeout": "8"}), 3);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    let end = Instant::now() + seconds(14);
    while Instant::now() < end {
        assert_eq!(service.depth(name).visible, 0, "a lease ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    settle(&service, name, &mut reading, NONE);
    assert_eq!(reading.ids.len(), 3, "none came twice");
    assert!(feed.metric("messages.extended") >= 2);
    assert_eq!(feed.metric("messages.received"), 3);
}

#[test]
fn a_lease_that_is_lost_leaves_the_message_to_its_next_reader() {
    let service = service();
    let name = "lost";
    queue_of(&service, name, json!({"VisibilityTimeout": "2"}), 1);
    let proxy = Proxy::before(ministack().address);
    let refuse = Fault::RefuseEntries("ReceiptHandleIsInvalid");
    proxy.rule(Rule::every("ChangeMessageVisibilityBatch", refuse).times(1));
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsWaitSeconds", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    // The host takes its time, until the lease is lost and has ended: somebody has the message again.
    let start = Instant::now();
    while feed.metric("messages.lost") == 0 || feed.metric("messages.received") == 1 {
        assert!(start.elapsed() < PATIENCE, "it is not lost");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(feed.metric("messages.lost"), 1);
    // To another reader it would go; here the same one has it again, and deletes it only then.
    reading.until_count(2);
    assert_eq!(proxy.count("DeleteMessageBatch"), 0);
    settle(&service, name, &mut reading, NONE);
    assert_eq!(reading.ids, ["lost-0-0"; 2]);
    assert_eq!(feed.metric("messages.deleted"), 1);
    let warnings = feed.logged(Severity::Warning);
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("ReceiptHandleIsInvalid")),
        "{warnings:?}"
    );
}

#[test]
fn a_deletion_that_the_queue_refuses_is_tried_again() {
    let service = service();
    let name = "undeleted";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "60"}), 3);
    let proxy = Proxy::before(ministack().address);
    let refuse = Fault::RefuseEntries("InternalError");
    proxy.rule(Rule::every("DeleteMessageBatch", refuse).times(2));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert_eq!(sorted(&reading.ids), ids);
    assert_eq!(feed.metric("messages.deleted"), 3);
}

#[test]
fn the_configured_lease_goes_before_the_queues() {
    let service = service();
    let name = "own-lease";
    queue_of(&service, name, json!({"VisibilityTimeout": "1"}), 1);
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsVisibilityTimeout", 600));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    reading.until(PATIENCE, |_| proxy.count("ReceiveMessage") >= 2);
    let mut requests = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.operation == "ReceiveMessage");
    // The first is part of opening and does not wait.
    for wait in [0, 20] {
        let request = requests.next().expect("a request");
        let request: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(request["VisibilityTimeout"], 600, "{request}");
        assert_eq!(request["MaxNumberOfMessages"], 10, "{request}");
        assert_eq!(request["WaitTimeSeconds"], wait, "{request}");
    }
}

#[test]
fn received_deletes_before_anything_is_read() {
    let service = service();
    let name = "deleted-at-once";
    let ids = queue_of(&service, name, json!({}), 4);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Delay(seconds(2))));
    let settings = Settings::at(proxy.address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings.with("sqsDeleteWhen", "received"));
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert_eq!(reading.ids, [""; 0]);
    reading.until_count(4);
    assert_eq!(sorted(&reading.ids), ids);
    // Polls that bring nothing have nothing to delete.
    let polls = proxy.count("ReceiveMessage");
    reading.until(PATIENCE, |_| proxy.count("ReceiveMessage") > polls + 2);
    assert!((1..=4).contains(&proxy.count("DeleteMessageBatch")));
    assert_eq!(feed.metric("errors.queue"), 0);
}

#[test]
fn nothing_is_deleted_where_that_is_not_wanted() {
    let service = service();
    let name = "kept";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "2"}), 3);
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsDelete", false));
    let mut reading = feed.open(&format!("sqs://{name}"));
    // Each comes again when its lease has ended.
    reading.until_count(6);
    let once: HashSet<_> = reading.ids.iter().collect();
    assert_eq!(once.len(), ids.len());
    let depth = service.depth(name);
    assert_eq!(depth.visible + depth.leased, 3);
    assert_eq!(
        proxy.count("DeleteMessageBatch") + proxy.count("DeleteMessage"),
        0
    );
}

#[test]
fn a_message_that_always_fails_is_given_up_after_so_many_receives() {
    let service = service();
    let name = "given-up";
    queue_of(&service, name, json!({"VisibilityTimeout": "1"}), 1);
    service.send(
        name,
        [notification(
            name,
            &["AWSLogs/0.json.gz", "AWSLogs/missing.json.gz"],
        )],
    );
    let proxy = long_ago();
    let feed = Feed::new(
        &Settings::at(proxy.address)
            .with("sqsMaxReceives", 3)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    // Once for each message: the good object of the other is not delivered again with each receive.
    assert_eq!(reading.ids, ["given-up-0-0"; 2]);
    let errors = feed.logged(Severity::Error);
    let parts = [
        "sqsMaxReceives",
        "s3://given-up/AWSLogs/missing.json.gz",
        "NoSuchKey",
    ];
    let told = |line: &String| parts.iter().all(|part| line.contains(part));
    assert!(errors.iter().any(told), "{errors:#?}");
    assert_eq!(feed.metric("messages.returned"), 2);
    assert_eq!(feed.metric("errors.fetch"), 3);
}

#[test]
fn a_dead_letter_queue_gets_what_always_fails() {
    let service = service();
    let (name, dead) = ("redriven", "redriven-dead");
    service.create_queue(dead, json!({}));
    let policy = json!({"deadLetterTargetArn": service.queue_arn(dead), "maxReceiveCount": "3"});
    let attributes = json!({"VisibilityTimeout": "1", "RedrivePolicy": policy.to_string()});
    queue_of(&service, name, attributes, 2);
    let bad = [
        notification(name, &["AWSLogs/missing.json.gz"]),
        "garbage".to_owned(),
    ];
    service.send(name, &bad);
    // Fewer than the queue's own limit, which counts instead.
    let feed = Feed::new(
        &settings()
            .with("sqsMaxReceives", 1)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    settle(
        &service,
        dead,
        &mut reading,
        Depth {
            visible: 2,
            leased: 0,
        },
    );
    assert_eq!(sorted(&service.peek(dead)), sorted(&bad));
    assert_eq!(sorted(&reading.ids), ["redriven-0-0", "redriven-1-0"]);
    assert_eq!(feed.metric("messages.deleted"), 2);
}

#[test]
fn a_deep_queue_is_read_by_tens_and_each_message_once() {
    let service = service();
    let name = "deep";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "60"}), 500);
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(500);
    settle(&service, name, &mut reading, NONE);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
    assert_eq!(feed.metric("messages.received"), 500);
    assert_eq!(feed.metric("messages.deleted"), 500);
    assert_eq!(feed.metric("messages.in_flight"), 0);
    assert!(proxy.most_at_once("ReceiveMessage") > 1, "one reader alone");
    assert!(
        proxy.count("ReceiveMessage") <= 80,
        "{}",
        proxy.count("ReceiveMessage")
    );
    assert_eq!(proxy.count("DeleteMessage"), 0);
}

#[test]
fn a_queue_that_nobody_waits_at_is_asked_once_a_second() {
    let name = "short-polls";
    service().create_queue(name, json!({}));
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsWaitSeconds", 0));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.during(seconds(3));
    let count = proxy.count("ReceiveMessage");
    assert!((2..=6).contains(&count), "{count} requests in 3 s");
}

#[test]
fn a_queue_that_hides_nothing_gives_each_message_once() {
    let service = service();
    let name = "hides-nothing";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "0"}), 12);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(300)),
    ));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
}

#[test]
fn a_size_that_a_message_makes_up_does_no_harm() {
    let service = service();
    let name = "made-up-sizes";
    service.create_queue(name, json!({}));
    service.create_bucket(name);
    let sizes = [
        json!(u64::MAX),
        json!(1_u64 << 63),
        json!(0),
        json!(-1),
        json!("x"),
    ];
    let bodies = sizes
        .iter()
        .cycle()
        .take(20)
        .enumerate()
        .map(|(number, size)| {
            let key = format!("{number}.json.gz");
            service.put(name, &key, gzip(&plain_log(&format!("{number}-"), 1)));
            let s3 = json!({"bucket": {"name": name}, "object": {"key": key, "size": size}});
            json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]}).to_string()
        });
    service.send(name, bodies.collect::<Vec<_>>());
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert_eq!(reading.ids.len(), 20);
}

/// As CloudTrail's own notifications are, which name keys and no sizes.
#[test]
fn large_objects_whose_size_nobody_tells_are_not_piled_up() {
    let service = service();
    let name = "untold-sizes";
    service.create_queue(name, json!({}));
    service.create_bucket(name);
    // More than fits into the buffers between a server and a client that has gone.
    let log = plain_log("x", 60_000);
    assert!(log.len() > 12 << 20, "{} bytes", log.len());
    let keys: Vec<_> = (0..8).map(|number| format!("{number}.json")).collect();
    for key in &keys {
        service.put(name, key, log.clone());
    }
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    service.send(name, [notification(name, &keys)]);
    let proxy = Proxy::before(ministack().address);
    // Eight downloads at once; a quarter is for what is stored, so one of them is more than enough.
    let settings = Settings::at(proxy.address)
        .with("maxBufferedBytes", 2 * log.len())
        .with("s3DownloadConcurrency", 8);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    proxy.settled("GetObject");
    let count = proxy.answered("GetObject");
    assert!((1..=3).contains(&count), "{count} objects are here");
    settle(&service, name, &mut reading, NONE);
    assert_eq!(reading.ids.len(), 8 * 60_000);
}

#[test]
fn deletions_do_not_wait_for_each_other() {
    let service = service();
    let name = "slow-deletions";
    let ids = queue_of(&service, name, json!({}), 300);
    let proxy = Proxy::before(ministack().address);
    let slow = Fault::Delay(Duration::from_millis(500));
    proxy.rule(Rule::every("DeleteMessageBatch", slow));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
    let most = proxy.most_at_once("DeleteMessageBatch");
    assert!((2..=16).contains(&most), "{most} at once");
    // Small batches would cost as much as large ones.
    let count = proxy.count("DeleteMessageBatch");
    assert!((30..=60).contains(&count), "{count} requests for 300");
}

#[test]
fn no_more_is_leased_than_can_be_worked_off() {
    let service = service();
    let name = "much";
    queue_of(&service, name, json!({"VisibilityTimeout": "60"}), 120);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Silence(FOR_EVER)));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3DownloadConcurrency", 4));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until(PATIENCE, |_| proxy.count("GetObject") >= 4);
    reading.during(seconds(1));
    let depth = service.depth(name);
    assert!((4..=40).contains(&depth.leased), "{depth:?}");
    assert_eq!(depth.visible + depth.leased, 120);
    assert_eq!(proxy.most_at_once("GetObject"), 4);
}

#[test]
fn every_record_survives_kill_9() {
    let service = service();
    let name = "killed";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "2"}), 500);
    let proxy = Proxy::before(ministack().address);
    // Slow enough to be caught in the middle.
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(20)),
    ));
    let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", 8);
    let source = format!("sqs://{name}");
    let mut seen = HashSet::new();
    for after in [30, 100] {
        let mut child = Ctcat::start(&settings, &source);
        assert!(
            child.until(|ids| ids.len() >= after),
            "{} events",
            child.ids().len()
        );
        child.kill();
        let depth = service.depth(name);
        seen.extend(child.ids());
        let left = depth.visible + depth.leased;
        assert!(
            left >= 500 - seen.len(),
            "{left} messages are left, {} records were seen",
            seen.len()
        );
        assert!(left > 0, "it was too fast to be caught in the middle");
    }
    let child = Ctcat::start(&settings, &source);
    let all = child.until(|ids| {
        let seen: HashSet<_> = seen.iter().chain(ids).collect();
        seen.len() == 500 && service.depth(name) == NONE
    });
    seen.extend(child.ids());
    assert!(
        all,
        "{} of 500 records, {:?}",
        seen.len(),
        service.depth(name)
    );
    assert!(ids.iter().all(|id| seen.contains(id)));
}

#[test]
fn two_processes_share_a_queue_and_each_message_is_worked_off_once() {
    let service = service();
    let name = "shared";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "60"}), 300);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(50)),
    ));
    let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", 4);
    let source = format!("sqs://{name}");
    let children = [
        Ctcat::start(&settings, &source),
        Ctcat::start(&settings, &source),
    ];
    let done = children[0]
        .until(|first| first.len() + children[1].ids().len() >= 300 && service.depth(name) == NONE);
    let [first, second] = [children[0].ids(), children[1].ids()];
    assert!(done, "{} and {} of 300", first.len(), second.len());
    assert!(
        first.len() >= 30 && second.len() >= 30,
        "{} and {}",
        first.len(),
        second.len()
    );
    assert_eq!(sorted(&[first, second].concat()), sorted(&ids));
}

#[test]
fn an_idle_queue_costs_next_to_nothing() {
    let service = service();
    let name = "idle";
    service.create_queue(name, json!({}));
    let proxy = Proxy::before(ministack().address);
    let child = Ctcat::start(&Settings::at(proxy.address), &format!("sqs://{name}"));
    let start = Instant::now();
    // Once when it opens, which does not wait, then at the queue.
    while proxy.count("ReceiveMessage") < 2 {
        assert!(start.elapsed() < PATIENCE, "it never asks");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (requests, ticks) = (proxy.seen().len(), child.cpu_ticks());
    std::thread::sleep(seconds(5));
    // Polls of 20 s make three requests a minute.
    assert_eq!(proxy.seen().len(), requests, "{:#?}", proxy.seen());
    let used = child.cpu_ticks() - ticks;
    assert!(
        used <= 10,
        "{used} hundredths of a second of processor time in 5 s"
    );
}

#[test]
fn closing_takes_no_more_than_a_second_whatever_is_under_way() {
    let service = service();
    let name = "closing";
    queue_of(&service, name, json!({}), 20);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::StallAfter(10, FOR_EVER)).after(10));
    proxy.rule(Rule::every("DeleteMessageBatch", Fault::Silence(FOR_EVER)));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(10);
    reading.during(Duration::from_millis(300));
    let started = Instant::now();
    drop(reading);
    let took = started.elapsed();
    assert!(took < seconds(1), "{took:?}");
}

#[test]
fn a_queue_goes_by_its_name_or_its_url() {
    let service = service();
    let name = "by-url";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "0"}), 1);
    let url = service.queue_url(name);
    let (_, without_scheme) = url.split_once("://").expect("a scheme");
    let feed = Feed::new(
        &settings()
            .with("sqsDelete", false)
            .with("sqsVisibilityTimeout", 1),
    );
    let arn = service.queue_arn(name);
    let padded = format!(" {name}/ ");
    for queue in [name, &url, without_scheme, &arn, &padded] {
        let mut reading = feed.open(&format!("SQS://{queue}"));
        reading.until_count(1);
        assert_eq!(reading.ids[0], ids[0], "{queue}");
        let opened = feed.logged(Severity::Info);
        assert!(
            opened.last().is_some_and(|line| line.contains(&url)),
            "{opened:?}"
        );
    }
    let elsewhere = arn.replace("us-east-1", "eu-west-3");
    let (message, _) = feed.refusal(&format!("sqs://{elsewhere}"));
    for part in ["is in region eu-west-3", "us-east-1", "aws.region"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_owners_account_is_asked_for_the_queue() {
    let service = service();
    service.create_queue("owned", json!({}));
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsOwnerAccount", "000000000000"));
    drop(feed.open("sqs://owned"));
    let seen = proxy.seen();
    let lookup = seen.iter().find(|seen| seen.operation == "GetQueueUrl");
    let request: Value = serde_json::from_str(&lookup.expect("a lookup").body).expect("JSON");
    assert_eq!(request["QueueOwnerAWSAccountId"], "000000000000");
}

#[test]
fn at_open_what_is_wrong_is_told_within_seconds() {
    let name = "not-to-be-had";
    service().create_queue(name, json!({}));
    let refused = |operation, fault: Fault| {
        let proxy = Proxy::before(ministack().address);
        proxy.rule(Rule::every(operation, fault));
        Feed::new(&Settings::at(proxy.address)).refusal(&format!("sqs://{name}"))
    };
    let missing = Feed::new(&settings()).refusal("sqs://no-such-queue");
    let elsewhere =
        Feed::new(&settings().with_aws("region", "eu-west-3")).refusal("sqs://not-to-be-had");
    let nobody = Feed::new(&Settings::at(closed_address())).refusal(&format!("sqs://{name}"));
    let missing_url = {
        let url = service().queue_url(name).replace(name, "no-such-url");
        Feed::new(&settings()).refusal(&format!("sqs://{url}"))
    };
    let of_another_region = {
        let url = "https://sqs.eu-west-1.amazonaws.com/111122223333/far-away";
        Feed::new(&settings()).refusal(&format!("sqs://{url}"))
    };
    for ((message, time), queue, code, region) in [
        (missing, "no-such-queue", "NonExistentQueue", "us-east-1"),
        (elsewhere, name, "NonExistentQueue", "eu-west-3"),
        (missing_url, "no-such-url", "NonExistentQueue", "us-east-1"),
        (of_another_region, "far-away", "set aws.region", "us-east-1"),
        (
            refused("GetQueueAttributes", Fault::Refuse(403, "ExpiredToken")),
            name,
            "ExpiredToken",
            "us-east-1",
        ),
        (
            refused("ReceiveMessage", Fault::Refuse(403, "AccessDenied")),
            name,
            "AccessDenied",
            "us-east-1",
        ),
        (
            refused("GetQueueUrl", Fault::Refuse(403, "AccessDenied")),
            name,
            "AccessDenied",
            "us-east-1",
        ),
        (
            refused("GetQueueUrl", Fault::Refuse(403, "ExpiredToken")),
            name,
            "ExpiredToken",
            "us-east-1",
        ),
        (refused("", Fault::Silence(FOR_EVER)), name, "", "us-east-1"),
        (refused("", Fault::Reset), name, "", "us-east-1"),
        (nobody, name, "", "us-east-1"),
    ] {
        for part in [queue, code, region] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(time < seconds(15), "after {time:?}: {message}");
    }
}

#[test]
fn what_is_secret_in_a_url_is_shown_nowhere() {
    let name = "with-a-password";
    let ids = queue_of(&service(), name, json!({}), 1);
    let proxy = Proxy::before(ministack().address);
    let secret = |rest: &str| format!("http://someone:hush-hush@{}{rest}", proxy.address);
    let queue = format!("sqs://{}", secret(&format!("/000000000000/{name}")));
    let settings = Settings::at(proxy.address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings.with_aws("endpoint", secret("")));
    let mut reading = feed.open(&queue);
    reading.until_count(1);
    assert_eq!(reading.ids, ids);
    proxy.rule(Rule::every("", Fault::Refuse(403, "AccessDenied")));
    reading.until(PATIENCE, |_| !feed.logged(Severity::Error).is_empty());
    drop(reading);
    let mut told = feed.logged(Severity::Info);
    for source in [&queue, "sqs://by-name", "s3://by-name/"] {
        told.push(feed.refusal(source).0);
    }
    assert!(told.len() > 4, "{told:#?}");
    for line in told {
        assert!(!line.contains("hush-hush"), "{line}");
    }
}

#[test]
fn a_check_leaves_every_message_whatever_is_configured() {
    let (service, name) = (service(), "only-checked");
    queue_of(&service, name, json!({"VisibilityTimeout": "1"}), 25);
    let settings = settings().with("sqsDeleteWhen", "received");
    let mut command = aws::child::bare();
    command.args(["check", "-c", &settings.json(), &format!("sqs://{name}")]);
    let output = aws::child::run(command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "received, none deleted",
        "counted one receive",
        "Falco can read this",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let started = Instant::now();
    while service.depth(name).visible < 25 {
        let depth = service.depth(name);
        assert!(started.elapsed() < PATIENCE, "{depth:?}: messages are gone");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_second_server_agrees() {
    let service = Service::at(moto().address);
    let name = "agreed";
    let ids = queue_of(&service, name, json!({"VisibilityTimeout": "30"}), 25);
    service.send(name, ["CloudTrail validation message."]);
    let feed = Feed::new(&Settings::at(moto().address).with("sqsWaitSeconds", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    settle(&service, name, &mut reading, NONE);
    // It hands some messages out twice, as SQS may.
    let once: HashSet<_> = reading.ids.iter().collect();
    assert_eq!(once.len(), ids.len());
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
}
