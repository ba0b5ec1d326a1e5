//! What happens to queues, buckets and messages while they are read: each costs time, or itself alone and a line that
//! names it.
#![forbid(unsafe_code)]

mod aws;
mod fixtures;
mod oracle;
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use aws::child::Ctcat;
use aws::fault::{Fault, Rule, first_received_long_ago};
use aws::feed::{Feed, PATIENCE, Reading, sorted};
use aws::proxy::{FOR_EVER, Proxy};
use aws::server::ministack;
use aws::service::{Depth, Service};
use aws::settings::Settings;
use cloudtrail::host::Severity;
use serde_json::json;
use support::scratch::{gzip, plain_log};

const NONE: Depth = Depth {
    visible: 0,
    leased: 0,
};

fn service() -> Service {
    Service::at(ministack().address)
}

fn key(number: usize) -> String {
    format!("AWSLogs/{number:04}.json.gz")
}

/// A bucket with `count` objects whose only records have the eventIDs `0000-0`, `0001-0`, …, which are returned.
fn bucket(service: &Service, name: &str, count: usize) -> Vec<String> {
    service.create_bucket(name);
    for number in 0..count {
        let log = plain_log(&format!("{number:04}-"), 1);
        service.put(name, &key(number), gzip(&log));
    }
    (0..count).map(|number| format!("{number:04}-0")).collect()
}

/// A queue with one message for each of these objects of the bucket with its name.
fn queue(service: &Service, name: &str, lease: u32, numbers: impl IntoIterator<Item = usize>) {
    service.create_queue(name, json!({"VisibilityTimeout": lease.to_string()}));
    tell(service, name, numbers);
}

fn tell(service: &Service, name: &str, numbers: impl IntoIterator<Item = usize>) {
    let body = |number| json!({"s3Bucket": name, "s3ObjectKey": [key(number)]}).to_string();
    service.send(name, numbers.into_iter().map(body));
}

/// Reads on until the queue is empty.
fn until_empty(service: &Service, queue: &str, reading: &mut Reading<'_>) {
    let mut last = None;
    let emptied = reading.until(PATIENCE, |_| {
        last = Some(service.depth(queue));
        last == Some(NONE)
    });
    assert!(emptied, "{queue} stays at {last:?}");
}

fn assert_named(lines: &[String], parts: &[&str]) {
    let named = |line: &String| parts.iter().all(|part| line.contains(part));
    assert!(lines.iter().any(named), "no line has {parts:?}: {lines:#?}");
}

#[test]
fn a_queue_that_is_deleted_is_told_and_followed_again_when_it_is_back() {
    let (service, name) = (service(), "deleted-queue");
    let ids = bucket(&service, name, 20);
    queue(&service, name, 30, 0..10);
    let settings = Settings::at(ministack().address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(10);
    until_empty(&service, name, &mut reading);
    service.delete_queue(name);
    let told = reading.until(PATIENCE, |_| feed.metric("errors.queue") >= 2);
    assert!(told, "nothing is said of the queue");
    assert_named(&feed.logged(Severity::Error), &[name, "NonExistentQueue"]);
    queue(&service, name, 30, 10..20);
    reading.until_count(20);
    until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}

#[test]
fn a_message_of_a_thousand_keys_is_deleted_after_the_last_of_them() {
    let (service, name) = (service(), "thousand-keys");
    let ids = bucket(&service, name, 1000);
    service.create_queue(name, json!({"VisibilityTimeout": "30"}));
    let keys: Vec<_> = (0..1000).map(key).collect();
    let message = json!({"s3Bucket": name, "s3ObjectKey": keys}).to_string();
    service.send(name, [message]);
    let proxy = Proxy::before(ministack().address);
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(900);
    assert_eq!(proxy.count("DeleteMessageBatch"), 0, "it is not done");
    reading.until_count(1000);
    until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}

#[test]
fn one_missing_object_of_many_costs_itself_alone() {
    let (service, name) = (service(), "missing-of-many");
    let ids = bucket(&service, name, 50);
    service.create_queue(name, json!({"VisibilityTimeout": "6"}));
    let keys: Vec<_> = (0..50)
        .map(key)
        .chain(["AWSLogs/none.json.gz".to_owned()])
        .collect();
    let message = json!({"s3Bucket": name, "s3ObjectKey": keys}).to_string();
    service.send(name, [message]);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every(
        "ReceiveMessage",
        Fault::Rewrite(first_received_long_ago),
    ));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 2)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    until_empty(&service, name, &mut reading);
    // The message was received twice, for the sake of the one; what was delivered is not delivered again.
    assert_eq!(sorted(&reading.ids), ids);
    assert_named(
        &feed.logged(Severity::Error),
        &[&format!("s3://{name}/AWSLogs/none.json.gz"), "NoSuchKey"],
    );
    assert_eq!(feed.metric("errors.fetch"), 2);
}

#[test]
fn messages_that_come_twice_and_in_any_order_lose_nothing() {
    let (service, name) = (service(), "twice");
    let ids = bucket(&service, name, 30);
    queue(&service, name, 30, (0..30).rev().chain(0..10));
    let feed = Feed::new(&Settings::at(ministack().address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(40);
    until_empty(&service, name, &mut reading);
    let mut expected = [&ids[..], &ids[..10]].concat();
    expected.sort_unstable();
    assert_eq!(
        sorted(&reading.ids),
        expected,
        "as often as they were named"
    );
}

#[test]
fn a_length_that_lies_is_noticed() {
    let (service, name) = (service(), "lying-length");
    let ids = bucket(&service, name, 6);
    let proxy = Proxy::before(ministack().address);
    // Once: the next try has it right. No memory holds what the second one promises.
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
        assert_named(&lines, &[&format!("s3://{name}/{}", key(number))]);
    }
    let figures = ["errors.fetch", "errors.gzip"].map(|name| feed.metric(name));
    assert_eq!(figures, [1, 1], "{lines:#?}");
}

#[test]
fn a_message_about_a_bucket_in_another_region_is_followed_there() {
    let (service, name) = (service(), "far-away");
    let ids = bucket(&service, name, 5);
    queue(&service, name, 30, 0..5);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::OtherRegion("eu-central-1")).times(1));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3DownloadConcurrency", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(5);
    until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}

#[test]
fn credentials_that_expire_in_mid_run_cost_time_only() {
    let (service, name) = (service(), "expiring");
    let ids = bucket(&service, name, 60);
    queue(&service, name, 2, 0..60);
    let proxy = Proxy::before(ministack().address);
    for operation in ["GetObject", "ReceiveMessage", "DeleteMessageBatch"] {
        let expired = Fault::Refuse(400, "ExpiredToken");
        proxy.rule(Rule::every(operation, expired).after(3));
    }
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 1)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.during(Duration::from_secs(4));
    assert!(reading.ids.len() < 60, "the credentials expired too late");
    assert_named(&feed.logged(Severity::Error), &["ExpiredToken"]);
    proxy.heal();
    until_empty(&service, name, &mut reading);
    let mut read = sorted(&reading.ids);
    read.dedup();
    assert_eq!(read, ids);
}

#[test]
fn a_bucket_that_vanishes_in_mid_listing_gives_what_was_listed() {
    let (service, name) = (service(), "vanishing");
    let ids = bucket(&service, name, 30);
    let proxy = Proxy::before(ministack().address);
    proxy.keys_per_page(10);
    // One listing at open, and the first page.
    proxy.rule(Rule::every("ListObjectsV2", Fault::Refuse(404, "NoSuchBucket")).after(2));
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{name}/AWSLogs/0"));
    assert_eq!(read, ids[..10]);
    assert_eq!(feed.metric("errors.list"), 1);
    assert_named(&feed.logged(Severity::Error), &[name, "NoSuchBucket"]);
}

#[test]
fn sigterm_ends_it_at_once_whatever_it_waits_for() {
    let (service, name) = (service(), "terminated");
    bucket(&service, name, 10);
    queue(&service, name, 30, []);
    let empty = Ctcat::start(&Settings::at(ministack().address), &format!("sqs://{name}"));
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Silence(FOR_EVER)));
    let stalled = Ctcat::start(&Settings::at(proxy.address), &format!("s3://{name}"));
    let started = Instant::now();
    while proxy.count("GetObject") < 10 {
        assert!(started.elapsed() < PATIENCE, "it does not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (what, mut child) in [("an empty queue", empty), ("downloads", stalled)] {
        let (status, took) = child.terminate();
        assert_eq!(status.code(), Some(130), "{what}");
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
}

/// A name that is being looked up cannot be called off. The thread that does it comes back when the host may have
/// unloaded the library; the loader keeps that for a thread that has something to clean up there.
#[test]
fn a_library_that_goes_while_a_name_is_looked_up_does_no_harm() {
    const NAME: &str = "a_library_that_goes_while_a_name_is_looked_up_does_no_harm";
    if let (Some(slow), Some(server)) = (env::var_os("SLOW_NAMES"), env::var_os("SERVER")) {
        let server = server.to_str().and_then(|server| server.parse().ok());
        return go_while_a_name_is_looked_up(Path::new(&slow), server.expect("an address"));
    }
    let service = service();
    service.create_queue("slow-names", json!({}));
    let slow = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slow-names");
    // Left by an earlier run, perhaps.
    let _ = fs::remove_file(&slow);
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", NAME, "--nocapture"])
        .env("LD_PRELOAD", fixtures::library("slow_names", &[]))
        .env("SLOW_NAMES", &slow)
        .env("SERVER", ministack().address.to_string())
        .output()
        .expect("a child");
    let told = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{:?}: {told}", child.status);
}

fn go_while_a_name_is_looked_up(slow: &Path, server: SocketAddr) {
    let proxy = Proxy::before(server);
    let endpoint = format!("http://localhost:{}", proxy.address.port());
    let feed = Feed::new(&Settings::at(server).with_aws("endpoint", endpoint));
    let mut reading = feed.open("sqs://slow-names");
    // Each new connection looks the name up again.
    proxy.rule(Rule::every("", Fault::Reset));
    reading.until(PATIENCE, |_| proxy.count("ReceiveMessage") >= 3);
    fs::write(slow, "").expect("a file");
    reading.during(Duration::from_secs(2));
    let started = Instant::now();
    drop(reading);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_ne!(lookups(), 0, "the case is as it is meant");
    drop(feed);
    thread::sleep(Duration::from_secs(4));
    assert_eq!(lookups(), 0);
}

/// Threads of the plugin's network that are still there.
fn lookups() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ct-")).count()
}
