//! Faults of the network and of S3 and SQS: what passes costs time only, what lasts costs itself alone.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

use std::time::{Duration, Instant};

use aws::fault::{Fault, Rule, first_received_long_ago};
use aws::feed::{Feed, PATIENCE, Reading, sorted};
use aws::proxy::{FOR_EVER, Proxy};
use aws::server::ministack;
use aws::service::{Depth, Service};
use aws::settings::Settings;
use cloudtrail::host::{Severity, Status};
use serde_json::json;
use support::scratch::{gzip, plain_log};

/// Longer than the slowest fault here takes to be given up.
const GIVEN_UP: Duration = Duration::from_secs(60);

fn service() -> Service {
    Service::at(ministack().address)
}

/// A bucket with objects whose records have the eventIDs `<key>-0` to `<key>-4`.
fn bucket_of(service: &Service, bucket: &str, keys: &[String]) {
    service.create_bucket(bucket);
    for key in keys {
        service.put(bucket, key, gzip(&plain_log(&format!("{key}-"), 5)));
    }
}

fn ids<'k>(keys: impl IntoIterator<Item = &'k String>) -> Vec<String> {
    let of_key = |key| (0..5).map(move |number| format!("{key}-{number}"));
    keys.into_iter().flat_map(of_key).collect()
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.json.gz")).collect()
}

/// A queue like the bucket, with one message for each key.
fn queue_of(service: &Service, name: &str, lease: u32, keys: &[String]) {
    service.create_queue(name, json!({"VisibilityTimeout": lease.to_string()}));
    service.send(name, keys.iter().map(|key| notification(name, key)));
}

fn notification(bucket: &str, key: &str) -> String {
    json!({"s3Bucket": bucket, "s3ObjectKey": [key]}).to_string()
}

/// Reads on until so many messages are left.
fn until_left(service: &Service, queue: &str, reading: &mut Reading<'_>, at: usize) {
    let mut left = 0;
    let settled = reading.until(GIVEN_UP, |_| {
        let depth = service.depth(queue);
        left = depth.visible + depth.leased;
        left == at
    });
    assert!(settled, "{left} messages are left instead of {at}");
}

fn until_depth(service: &Service, queue: &str, reading: &mut Reading<'_>, depth: Depth) {
    let mut last = None;
    let settled = reading.until(GIVEN_UP, |_| {
        last = Some(service.depth(queue));
        last == Some(depth)
    });
    assert!(settled, "{queue} stays at {last:?} instead of {depth:?}");
}

fn assert_named(lines: &[String], parts: &[&str]) {
    let named = lines
        .iter()
        .any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(named, "no line has {parts:?}: {lines:#?}");
}

#[test]
fn faults_that_pass_cost_no_record_and_no_order() {
    let service = service();
    let bucket = "passing-faults";
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
    let keys = keys(&names);
    bucket_of(&service, bucket, &keys);
    let proxy = Proxy::before(ministack().address);
    for (name, fault, times) in [
        ("b-500", Fault::Refuse(500, "InternalError"), 2),
        ("c-slow-down", Fault::Refuse(503, "SlowDown"), 4),
        ("d-reset", Fault::Reset, 3),
        ("e-cut", Fault::CutAfter(50), 1),
        ("f-cut-again", Fault::CutAfter(0), 3),
        ("g-stall", Fault::StallAfter(50, FOR_EVER), 1),
        ("h-drip", Fault::Drip(Duration::from_millis(5)), 1),
        ("i-502", Fault::Refuse(502, ""), 1),
        ("j-timeout", Fault::Refuse(400, "RequestTimeout"), 1),
        ("k-silence", Fault::Silence(FOR_EVER), 1),
    ] {
        proxy.rule(Rule::every("GetObject", fault).of(name).times(times));
    }
    let feed = Feed::new(&Settings::at(proxy.address));
    assert_eq!(feed.read_all(&format!("s3://{bucket}")), ids(&keys));
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
    assert_eq!(feed.metric("errors.fetch"), 0);
    assert!(feed.metric("retries") >= 16);
    assert!(feed.metric("throttles") >= 4);
}

#[test]
fn a_bad_object_costs_itself_alone() {
    let service = service();
    let bucket = "lasting-faults";
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
    let keys = keys(&names);
    bucket_of(&service, bucket, &keys);
    let proxy = Proxy::before(ministack().address);
    for (name, fault) in [
        ("b-missing", Fault::Refuse(404, "NoSuchKey")),
        ("d-denied", Fault::Refuse(403, "AccessDenied")),
        ("f-cut", Fault::CutAfter(0)),
        ("h-stall", Fault::StallAfter(60, FOR_EVER)),
        // The last eight bytes are gzip's checksum and length.
        ("j-damaged", Fault::Flip(12)),
        ("l-archived", Fault::Refuse(403, "InvalidObjectState")),
        ("n-broken", Fault::Refuse(500, "InternalError")),
    ] {
        proxy.rule(Rule::every("GetObject", fault).of(name));
    }
    let feed = Feed::new(&Settings::at(proxy.address).with("s3RetryFor", "5s"));
    let mut reading = feed.open(&format!("s3://{bucket}"));
    assert!(!reading.until(GIVEN_UP, |_| false));
    assert_eq!(reading.once(), Status::Eof, "the source goes on to its end");
    let good = ids(keys.iter().filter(|key| !key.contains('-')));
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
        assert_named(&errors, &[&format!("s3://{bucket}/{name}.json.gz"), code]);
    }
    let (fetch, gzip) = (feed.metric("errors.fetch"), feed.metric("errors.gzip"));
    assert_eq!((fetch, gzip), (6, 1), "{errors:#?}");
}

#[test]
fn messages_of_unreadable_objects_stay_or_go_by_the_rules() {
    let service = service();
    let name = "lasting-faults-told";
    let keys = keys(&["a", "b", "c-missing", "e-cut", "f-damaged", "g"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 5, &keys);
    let proxy = Proxy::before(ministack().address);
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
    // What fails for good goes after two receives; what was cut off may be whole the next time, and stays.
    until_left(&service, name, &mut reading, 1);
    reading.during(Duration::from_secs(3));
    let depth = service.depth(name);
    assert_eq!(depth.visible + depth.leased, 1, "{depth:?}");
    let good = ids(keys.iter().filter(|key| !key.contains('-')));
    let arrived: Vec<_> = reading
        .ids
        .iter()
        .filter(|id| good.contains(id))
        .cloned()
        .collect();
    assert_eq!(sorted(&arrived), good, "the good arrive once");
    let errors = feed.logged(Severity::Warning);
    for key in ["c-missing", "f-damaged"] {
        assert_named(&errors, &[&format!("s3://{name}/{key}.json.gz")]);
    }
    assert_eq!(
        feed.metric("messages.parked"),
        1,
        "what was cut off is retried"
    );
    proxy.heal();
    until_depth(
        &service,
        name,
        &mut reading,
        Depth {
            visible: 0,
            leased: 0,
        },
    );
    let late = ids(keys.iter().filter(|key| key.contains("e-cut")));
    assert!(
        late.iter().all(|id| reading.ids.contains(id)),
        "{:?}",
        reading.ids
    );
}

#[test]
fn what_is_denied_waits_until_it_is_allowed() {
    let service = service();
    let name = "denied-told";
    let keys = keys(&["a", "b-denied"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 5, &keys);
    let proxy = Proxy::before(ministack().address);
    let denied = Rule::every("GetObject", Fault::Refuse(403, "AccessDenied"));
    proxy.rule(denied.of("b-denied"));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 1)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    // A policy that is wrong for a while must not cost what comes meanwhile.
    reading.until(GIVEN_UP, |_| proxy.count("GetObject") >= 4);
    until_left(&service, name, &mut reading, 1);
    assert_named(
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
    until_left(&service, name, &mut reading, 0);
    assert_eq!(sorted(&reading.ids), ids(&keys));
}

#[test]
fn a_message_that_came_often_for_passing_reasons_gets_its_tries() {
    let service = service();
    let name = "often-received";
    let keys = keys(&["a"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 1, &keys);
    let proxy = Proxy::before(ministack().address);
    // Credentials that have expired four times, and then something that looks as if it lasted.
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
    until_left(&service, name, &mut reading, 0);
    assert_eq!(reading.ids, ids(&keys));
    assert!(proxy.count("GetObject") >= 6);
}

#[test]
fn what_is_no_gzip_data_although_its_name_says_so_is_fetched_again() {
    let service = service();
    let name = "no-gzip";
    let keys = keys(&["a", "b"]);
    service.create_bucket(name);
    service.put(name, &keys[0], b"<html>be back soon</html>".to_vec());
    service.put(name, &keys[1], Vec::new());
    queue_of(&service, name, 2, &keys);
    let settings = Settings::at(ministack().address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until(GIVEN_UP, |_| feed.metric("errors.gzip") >= 2);
    for key in &keys {
        assert_named(&feed.logged(Severity::Error), &[key, "no gzip data"]);
        service.put(name, key, gzip(&plain_log(&format!("{key}-"), 5)));
    }
    until_left(&service, name, &mut reading, 0);
    assert_eq!(sorted(&reading.ids), ids(&keys));
}

#[test]
fn expired_credentials_keep_messages_until_there_are_new_ones() {
    let service = service();
    let name = "expired";
    let keys = keys(&["a", "b", "c"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 5, &keys);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Refuse(400, "ExpiredToken")));
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 1)
        .with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    // Longer than the visibility timeout.
    reading.during(Duration::from_secs(8));
    let depth = service.depth(name);
    assert_eq!(depth.visible + depth.leased, 3, "{depth:?}");
    assert_eq!(
        feed.metric("messages.received"),
        3,
        "waiting costs no receive"
    );
    assert_named(
        &feed.logged(Severity::Warning),
        &["bucket expired", "requests fail", "ExpiredToken"],
    );
    proxy.heal();
    until_depth(
        &service,
        name,
        &mut reading,
        Depth {
            visible: 0,
            leased: 0,
        },
    );
    assert_eq!(sorted(&reading.ids), ids(&keys));
}

#[test]
fn an_object_that_fails_ends_the_source_where_that_is_asked_for() {
    let service = service();
    let bucket = "fail-fast";
    let keys = keys(&["a", "b", "c-denied", "d"]);
    bucket_of(&service, bucket, &keys);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Refuse(403, "AccessDenied")).of("c-denied"));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3OnError", "fail"));
    let mut reading = feed.open(&format!("s3://{bucket}"));
    let end = Instant::now() + GIVEN_UP;
    let error = loop {
        assert!(Instant::now() < end, "no failure");
        match reading.try_once() {
            Ok(status) => assert_ne!(status, Status::Eof),
            Err(error) => break error,
        }
    };
    assert_named(
        &[error],
        &["s3://fail-fast/c-denied.json.gz", "AccessDenied"],
    );
    assert_eq!(
        reading.ids,
        ids(&keys[..2]),
        "what came before is delivered"
    );
}

#[test]
fn a_listing_outlives_faults_on_every_page() {
    let service = service();
    let bucket = "listed-with-faults";
    let numbers: Vec<_> = (0..30).map(|number| format!("logs/{number:02}")).collect();
    let keys: Vec<_> = numbers
        .iter()
        .map(|name| format!("{name}.json.gz"))
        .collect();
    bucket_of(&service, bucket, &keys);
    let proxy = Proxy::before(ministack().address);
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
    assert_eq!(feed.read_all(&format!("s3://{bucket}/logs/")), ids(&keys));
    assert_eq!(feed.metric("errors.list"), 0);
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_listed_costs_itself_alone() {
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
    bucket_of(&service, bucket, &keys);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("ListObjectsV2", Fault::Refuse(403, "AccessDenied")).of("eu-central-1"));
    let feed = Feed::new(&Settings::at(proxy.address));
    let read = feed.read_all(&format!("s3://{bucket}/AWSLogs/"));
    let denied: Vec<_> = keys
        .iter()
        .filter(|key| !read.contains(&format!("{key}-0")))
        .collect();
    assert_eq!((denied.len(), read.len()), (1, 3 * 5), "{read:?}");
    assert_eq!(feed.metric("errors.list"), 1);
    let folder = denied[0].split("/2026/").next().expect("a folder");
    assert_named(
        &feed.logged(Severity::Error),
        &[bucket, folder, "AccessDenied"],
    );
}

#[test]
fn a_queue_that_fails_is_waited_for() {
    let service = service();
    let name = "failing-queue";
    let keys = keys(&["a", "b", "c"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 30, &keys);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("ReceiveMessage", Fault::Refuse(500, "InternalFailure")).times(5));
    proxy.rule(Rule::every("ReceiveMessage", Fault::Reset).times(3));
    proxy.rule(Rule::every("ReceiveMessage", Fault::Refuse(403, "AccessDenied")).times(2));
    proxy.rule(
        Rule::every(
            "DeleteMessageBatch",
            Fault::Refuse(503, "ServiceUnavailable"),
        )
        .times(4),
    );
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    assert_eq!(
        reading.once(),
        Status::Timeout,
        "Falco is not told of the queue's trouble as a failure"
    );
    until_depth(
        &service,
        name,
        &mut reading,
        Depth {
            visible: 0,
            leased: 0,
        },
    );
    assert_eq!(sorted(&reading.ids), ids(&keys));
    assert!(feed.metric("errors.queue") >= 3);
    let lines = feed.logged(Severity::Info);
    assert_named(&lines, &[name, "AccessDenied"]);
    assert_named(&lines, &[name, "received again"]);
    let told = lines
        .iter()
        .filter(|line| line.contains("cannot be received"));
    assert!(told.count() <= 3, "an outage is told once: {lines:#?}");
}

#[test]
fn a_failing_queue_is_not_hammered() {
    let service = service();
    let name = "hammered";
    service.create_queue(name, json!({}));
    let proxy = Proxy::before(ministack().address);
    // Were it refused at once, the source would not open.
    let denied = Fault::Refuse(403, "AccessDenied");
    proxy.rule(Rule::every("ReceiveMessage", denied).after(1));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until(PATIENCE, |_| proxy.count("ReceiveMessage") > 5);
    let asked: Vec<_> = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.operation == "ReceiveMessage")
        .skip(1)
        .collect();
    assert!(asked.len() >= 5, "{} requests", asked.len());
    let mut least = Duration::from_millis(125);
    for two in asked.windows(2).take(4) {
        let pause = two[1].at - two[0].at;
        assert!(pause >= least, "{pause:?} where at least {least:?} was due");
        least *= 2;
    }
}

#[test]
fn a_queue_that_asks_to_slow_down_is_counted_and_waited_for() {
    let service = service();
    let name = "throttled-queue";
    let keys = keys(&["a"]);
    bucket_of(&service, name, &keys);
    queue_of(&service, name, 30, &keys);
    let proxy = Proxy::before(ministack().address);
    let throttled = Fault::Refuse(400, "RequestThrottled");
    proxy.rule(Rule::every("ReceiveMessage", throttled).times(7));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(5);
    assert_eq!(reading.ids, ids(&keys));
    assert!(feed.metric("throttles") >= 2);
    assert!(feed.metric("lag") > 0);
}

#[test]
fn slowing_down_when_asked_to_loses_nothing() {
    let service = service();
    let name = "throttled";
    let names: Vec<_> = (0..60).map(|number| format!("{number:02}")).collect();
    let keys = keys(&names.iter().map(String::as_str).collect::<Vec<_>>());
    bucket_of(&service, name, &keys);
    let proxy = Proxy::before(ministack().address);
    proxy.rule(Rule::every("GetObject", Fault::Refuse(503, "SlowDown")).times(100));
    let feed = Feed::new(&Settings::at(proxy.address));
    assert_eq!(feed.read_all(&format!("s3://{name}")), ids(&keys));
    // On a busy machine an answer may come too late to be one.
    let throttles = feed.metric("throttles");
    assert!((90..=100).contains(&throttles), "{throttles}");
    assert_eq!(feed.metric("errors.fetch"), 0);
}
