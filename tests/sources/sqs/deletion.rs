//! When messages are deleted, given up or left.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use cloudtrail::host::{Severity, Status};
use serde_json::json;

use crate::aws;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT, sorted};
use crate::aws::service::Depth;
use crate::aws::settings::Settings;
use crate::fixture::{
    assert_line, notification, numbered_queue, proxy_with_old_messages, queue_and_proxy, service,
    settings, wait_for_depth,
};

pub fn message_is_deleted_only_after_the_next_call_of_next_batch() {
    let service = service();
    let name = "deleted-late";
    let ids = numbered_queue(&service, name, json!({"VisibilityTimeout": "60"}), 1);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    assert_eq!(reading.ids, ids);
    // The host may process the event for any time.
    std::thread::sleep(Duration::from_millis(500));
    let in_flight = Depth {
        visible: 0,
        in_flight: 1,
    };
    assert_eq!(service.depth(name), in_flight);
    assert_eq!(reading.once(), Status::Timeout);
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(feed.metric("messages.received"), 1);
    assert_eq!(feed.metric("messages.deleted"), 1);
}

pub fn close_deletes_no_message_of_the_last_batch() {
    let service = service();
    let name = "closed-early";
    let ids = numbered_queue(&service, name, json!({"VisibilityTimeout": "5"}), 40);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    drop(reading);
    assert_eq!(
        service.depth(name).total(),
        40,
        "the host may not have processed its first event"
    );

    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    let before = reading.ids.len();
    reading.until_count(before + 1);
    let last_batch = reading.ids[before..].to_vec();
    drop(reading);
    let left = service.depth(name).total();
    assert!((last_batch.len()..40).contains(&left), "{left} are left");

    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert!(last_batch.iter().all(|id| reading.ids.contains(id)));
    assert_eq!(reading.ids.len(), left);
    assert!(reading.ids.iter().all(|id| ids.contains(id)));
}

pub fn received_mode_deletes_before_any_download() {
    let name = "deleted-at-once";
    let (service, ids, proxy) = queue_and_proxy(name, json!({}), 4);
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_secs(2)),
    ));
    let settings = Settings::at(proxy.address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings.with("sqsDeleteWhen", "received"));
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(reading.ids, [""; 0]);
    reading.until_count(4);
    assert_eq!(sorted(&reading.ids), ids);
    // Empty receives cause no deletion.
    let polls = proxy.count("ReceiveMessage");
    reading.until(STEP_TIMEOUT, |_| proxy.count("ReceiveMessage") > polls + 2);
    assert!((1..=4).contains(&proxy.count("DeleteMessageBatch")));
    assert_eq!(feed.metric("errors.queue"), 0);
}

pub fn nothing_is_deleted_with_sqs_delete_false() {
    let name = "kept";
    let (service, ids, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "2"}), 3);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsDelete", false));
    let mut reading = feed.open(&format!("sqs://{name}"));
    // Each message is visible again after its visibility timeout.
    reading.until_count(6);
    let once: HashSet<_> = reading.ids.iter().collect();
    assert_eq!(once.len(), ids.len());
    assert_eq!(service.depth(name).total(), 3);
    assert_eq!(
        proxy.count("DeleteMessageBatch") + proxy.count("DeleteMessage"),
        0
    );
}

pub fn message_that_always_fails_is_deleted_after_sqs_max_receives() {
    let service = service();
    let name = "given-up";
    numbered_queue(&service, name, json!({"VisibilityTimeout": "1"}), 1);
    service.send(
        name,
        [notification(
            name,
            &["AWSLogs/0000.json.gz", "AWSLogs/missing.json.gz"],
        )],
    );
    let proxy = proxy_with_old_messages();
    let feed = Feed::new(
        &Settings::at(proxy.address)
            .with("sqsMaxReceives", 3)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    // Once for each message: later receives do not deliver the readable object again.
    assert_eq!(reading.ids, ["given-up-0000-0"; 2]);
    let errors = feed.logged(Severity::Error);
    let parts = [
        "sqsMaxReceives",
        "s3://given-up/AWSLogs/missing.json.gz",
        "NoSuchKey",
    ];
    assert_line(&errors, &parts);
    assert_eq!(feed.metric("messages.returned"), 2);
    assert_eq!(feed.metric("errors.fetch"), 3);
}

pub fn messages_that_always_fail_go_to_the_dead_letter_queue() {
    let service = service();
    let (name, dead) = ("redriven", "redriven-dead");
    service.create_queue(dead, json!({}));
    let policy = json!({"deadLetterTargetArn": service.queue_arn(dead), "maxReceiveCount": "3"});
    let attributes = json!({"VisibilityTimeout": "1", "RedrivePolicy": policy.to_string()});
    numbered_queue(&service, name, attributes, 2);
    let bad = [
        notification(name, &["AWSLogs/missing.json.gz"]),
        "garbage".to_owned(),
    ];
    service.send(name, &bad);
    // Lower than the queue's `maxReceiveCount`, which applies instead.
    let feed = Feed::new(
        &settings()
            .with("sqsMaxReceives", 1)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    wait_for_depth(
        &service,
        dead,
        &mut reading,
        Depth {
            visible: 2,
            in_flight: 0,
        },
    );
    assert_eq!(sorted(&service.peek(dead)), sorted(&bad));
    assert_eq!(sorted(&reading.ids), ["redriven-0000-0", "redriven-0001-0"]);
    assert_eq!(feed.metric("messages.deleted"), 2);
}

pub fn deletions_run_concurrently_in_full_batches() {
    let name = "slow-deletions";
    let (service, ids, proxy) = queue_and_proxy(name, json!({}), 300);
    let slow = Fault::Delay(Duration::from_millis(500));
    proxy.rule(Rule::every("DeleteMessageBatch", slow));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
    let most = proxy.most_at_once("DeleteMessageBatch");
    assert!((2..=16).contains(&most), "{most} concurrent requests");
    // A small batch costs as much as a full one.
    let count = proxy.count("DeleteMessageBatch");
    assert!((30..=60).contains(&count), "{count} requests for 300");
}

pub fn check_command_leaves_every_message_in_received_mode_too() {
    let (service, name) = (service(), "only-checked");
    numbered_queue(&service, name, json!({"VisibilityTimeout": "1"}), 25);
    let settings = settings().with("sqsDeleteWhen", "received");
    let mut command = aws::child::bare();
    command.args(["check", "-c", &settings.json(), &format!("sqs://{name}")]);
    let output = aws::child::run(command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "received, none deleted",
        "each counts as one receive",
        "Falco can read this",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let started = Instant::now();
    while service.depth(name).visible < 25 {
        let depth = service.depth(name);
        assert!(
            started.elapsed() < STEP_TIMEOUT,
            "{depth:?}: messages are missing"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
