//! Messages whose objects cannot be read, or that arrive more than once.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::Severity;
use serde_json::json;

use crate::aws::fault::{Fault, Rule, first_received_long_ago};
use crate::aws::feed::{Feed, sorted};
use crate::aws::service::Depth;
use crate::aws::settings::Settings;
use crate::fixture::{
    SETTLE_TIMEOUT, assert_line, bucket_and_queue, key_names, numbered_bucket, numbered_key,
    numbered_messages, proxy, queue_for, record_ids, service, settings, wait_for_depth,
    wait_for_remaining, wait_until_empty,
};
use crate::support::scratch::{gzip, plain_log};

pub fn messages_of_permanent_failures_are_deleted_and_of_transient_ones_kept() {
    let name = "permanent-faults-queue";
    let (service, keys, proxy) =
        bucket_and_queue(name, 5, &["a", "b", "c-missing", "e-cut", "f-damaged", "g"]);
    for (name, fault) in [
        ("c-missing", Fault::Refuse(404, "NoSuchKey")),
        ("e-cut", Fault::CutAfter(0)),
        ("f-damaged", Fault::Flip(12)),
    ] {
        proxy.rule(Rule::every("GetObject", fault).of(name));
    }
    proxy.rule(Rule::every(
        "ReceiveMessage",
        Fault::Rewrite(first_received_long_ago),
    ));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 2)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    // Permanent failures are deleted after two receives. A cut download is transient, so its message stays.
    wait_for_remaining(&service, name, &mut reading, 1);
    reading.during(Duration::from_secs(3));
    assert_eq!(service.depth(name).total(), 1);
    let good = record_ids(keys.iter().filter(|key| !key.contains('-')));
    let arrived: Vec<_> = reading
        .ids
        .iter()
        .filter(|id| good.contains(id))
        .cloned()
        .collect();
    assert_eq!(
        sorted(&arrived),
        good,
        "readable objects are delivered once"
    );
    let errors = feed.logged(Severity::Warning);
    for key in ["c-missing", "f-damaged"] {
        assert_line(&errors, &[&format!("s3://{name}/{key}.json.gz")]);
    }
    assert_eq!(
        feed.metric("messages.parked"),
        1,
        "the message of the cut download is parked"
    );
    proxy.heal();
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    let late = record_ids(keys.iter().filter(|key| key.contains("e-cut")));
    assert!(
        late.iter().all(|id| reading.ids.contains(id)),
        "{:?}",
        reading.ids
    );
}

pub fn denied_object_is_retried_until_access_is_granted() {
    let name = "denied-queue";
    let (service, keys, proxy) = bucket_and_queue(name, 5, &["a", "b-denied"]);
    let denied = Rule::every("GetObject", Fault::Refuse(403, "AccessDenied"));
    proxy.rule(denied.of("b-denied"));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 1)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    // A wrong IAM policy must not lose the records of the time until it is corrected.
    reading.until(SETTLE_TIMEOUT, |_| proxy.count("GetObject") >= 4);
    wait_for_remaining(&service, name, &mut reading, 1);
    assert_line(
        &feed.logged(Severity::Warning),
        &[
            &format!("s3://{name}/{}", keys[1]),
            "AccessDenied",
            "retried",
        ],
    );
    assert_eq!(
        feed.metric("messages.received"),
        2,
        "waiting costs no receive"
    );
    proxy.heal();
    wait_for_remaining(&service, name, &mut reading, 0);
    assert_eq!(sorted(&reading.ids), record_ids(&keys));
}

pub fn receives_for_transient_reasons_do_not_count_as_tries() {
    let name = "often-received";
    let (service, keys, proxy) = bucket_and_queue(name, 1, &["a"]);
    // Four transient failures, then one that looks permanent.
    proxy.rule(
        Rule::every("GetObject", Fault::Refuse(404, "NoSuchKey"))
            .after(4)
            .times(1),
    );
    proxy.rule(Rule::every("GetObject", Fault::Refuse(400, "ExpiredToken")).times(4));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 5)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(5);
    wait_for_remaining(&service, name, &mut reading, 0);
    assert_eq!(reading.ids, record_ids(&keys));
    assert!(proxy.count("GetObject") >= 6);
}

pub fn object_named_gz_without_gzip_data_is_fetched_again() {
    let service = service();
    let name = "no-gzip";
    let keys = key_names(&["a", "b"]);
    service.create_bucket(name);
    service.put(name, &keys[0], b"<html>be back soon</html>".to_vec());
    service.put(name, &keys[1], Vec::new());
    queue_for(&service, name, 2, &keys);
    let settings = settings().with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until(SETTLE_TIMEOUT, |_| feed.metric("errors.gzip") >= 2);
    for (key, cause) in keys.iter().zip(["not gzip", "it is empty"]) {
        assert_line(&feed.logged(Severity::Error), &[key, cause]);
        service.put(name, key, gzip(&plain_log(&format!("{key}-"), 5)));
    }
    wait_for_remaining(&service, name, &mut reading, 0);
    assert_eq!(sorted(&reading.ids), record_ids(&keys));
}

pub fn message_of_a_thousand_keys_is_deleted_after_its_last_object() {
    let (service, name) = (service(), "thousand-keys");
    let ids = numbered_bucket(&service, name, 1000);
    service.create_queue(name, json!({"VisibilityTimeout": "30"}));
    let keys: Vec<_> = (0..1000).map(numbered_key).collect();
    let message = json!({"s3Bucket": name, "s3ObjectKey": keys}).to_string();
    service.send(name, [message]);
    let proxy = proxy();
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(900);
    assert_eq!(
        proxy.count("DeleteMessageBatch"),
        0,
        "the message is deleted too early"
    );
    reading.until_count(1000);
    wait_until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}

pub fn one_missing_object_of_a_message_is_named_and_the_others_read_once() {
    let (service, name) = (service(), "missing-of-many");
    let ids = numbered_bucket(&service, name, 50);
    service.create_queue(name, json!({"VisibilityTimeout": "6"}));
    let keys: Vec<_> = (0..50)
        .map(numbered_key)
        .chain(["AWSLogs/none.json.gz".to_owned()])
        .collect();
    let message = json!({"s3Bucket": name, "s3ObjectKey": keys}).to_string();
    service.send(name, [message]);
    let proxy = proxy();
    proxy.rule(Rule::every(
        "ReceiveMessage",
        Fault::Rewrite(first_received_long_ago),
    ));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 2)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_until_empty(&service, name, &mut reading);
    // The message is received twice because of the missing object; the others are not delivered again.
    assert_eq!(sorted(&reading.ids), ids);
    assert_line(
        &feed.logged(Severity::Error),
        &[&format!("s3://{name}/AWSLogs/none.json.gz"), "NoSuchKey"],
    );
    assert_eq!(feed.metric("errors.fetch"), 2);
}

pub fn duplicate_and_reordered_messages_lose_nothing() {
    let (service, name) = (service(), "twice");
    let ids = numbered_bucket(&service, name, 30);
    let visibility = json!({"VisibilityTimeout": "30"});
    numbered_messages(&service, name, visibility, (0..30).rev().chain(0..10));
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(40);
    wait_until_empty(&service, name, &mut reading);
    let mut expected = [&ids[..], &ids[..10]].concat();
    expected.sort_unstable();
    assert_eq!(
        sorted(&reading.ids),
        expected,
        "each record once per message"
    );
}

pub fn object_in_another_region_is_read_there() {
    let (service, name) = (service(), "far-away");
    let ids = numbered_bucket(&service, name, 5);
    numbered_messages(&service, name, json!({"VisibilityTimeout": "30"}), 0..5);
    let proxy = proxy();
    proxy.rule(Rule::every("GetObject", Fault::OtherRegion("eu-central-1")).times(1));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3DownloadConcurrency", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(5);
    wait_until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}
