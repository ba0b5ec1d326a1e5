//! Buckets, queues and waiting, shared by the tests of `s3://` and `sqs://`.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fault::{Fault, Rule, first_received_long_ago};
use crate::aws::feed::Reading;
use crate::aws::proxy::Proxy;
use crate::aws::server::ministack;
use crate::aws::service::{Depth, Service};
use crate::aws::settings::Settings;
use crate::support::scratch::{gzip, plain_log};

/// Limit for a queue to reach its final depth; longer than the slowest fault takes to become an error.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of the server, without a proxy.
pub fn service() -> Service {
    Service::at(ministack().address)
}

/// Settings for the server, without a proxy.
pub fn settings() -> Settings {
    Settings::at(ministack().address)
}

/// A proxy in front of the server.
pub fn proxy() -> Proxy {
    Proxy::before(ministack().address)
}

/// A proxy that makes every message appear as first received long ago, so that the plugin may give it up.
pub fn proxy_with_old_messages() -> Proxy {
    let proxy = proxy();
    let rewrite = Fault::Rewrite(first_received_long_ago);
    proxy.rule(Rule::every("ReceiveMessage", rewrite));
    proxy
}

/// CloudTrail's own notification of some objects.
pub fn notification<K: AsRef<str>>(bucket: &str, keys: &[K]) -> String {
    let keys: Vec<_> = keys.iter().map(AsRef::as_ref).collect();
    json!({"s3Bucket": bucket, "s3ObjectKey": keys}).to_string()
}

/// Keys of gzip files with these names.
pub fn key_names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.json.gz")).collect()
}

/// Creates a bucket with objects whose records have the eventIDs `<key>-0` to `<key>-4`.
pub fn bucket_with(service: &Service, bucket: &str, keys: &[String]) {
    service.create_bucket(bucket);
    for key in keys {
        service.put(bucket, key, gzip(&plain_log(&format!("{key}-"), 5)));
    }
}

/// The eventIDs of the objects that [`bucket_with`] creates.
pub fn record_ids<'k>(keys: impl IntoIterator<Item = &'k String>) -> Vec<String> {
    let of_key = |key| (0..5).map(move |number| format!("{key}-{number}"));
    keys.into_iter().flat_map(of_key).collect()
}

/// Creates a queue with the bucket's name, this visibility timeout in seconds, and one message for each key.
pub fn queue_for(service: &Service, name: &str, visibility: u32, keys: &[String]) {
    service.create_queue(name, json!({"VisibilityTimeout": visibility.to_string()}));
    service.send(name, keys.iter().map(|key| notification(name, &[key])));
}

/// [`bucket_with`] for keys of these names, behind a proxy.
pub fn bucket_and_proxy(bucket: &str, names: &[&str]) -> (Vec<String>, Proxy) {
    let keys = key_names(names);
    bucket_with(&service(), bucket, &keys);
    (keys, proxy())
}

/// [`bucket_with`] and [`queue_for`] for keys of these names, behind a proxy.
pub fn bucket_and_queue(
    name: &str,
    visibility: u32,
    names: &[&str],
) -> (Service, Vec<String>, Proxy) {
    let (keys, proxy) = bucket_and_proxy(name, names);
    let service = service();
    queue_for(&service, name, visibility, &keys);
    (service, keys, proxy)
}

/// The key of one of the objects that the functions below create.
pub fn numbered_key(number: usize) -> String {
    format!("AWSLogs/{number:04}.json.gz")
}

/// Creates a bucket with `count` objects of one record each, and returns the eventIDs: `<name>-0000-0`, `<name>-0001-0`, …
pub fn numbered_bucket(service: &Service, name: &str, count: usize) -> Vec<String> {
    service.create_bucket(name);
    let prefix = |number: usize| format!("{name}-{number:04}-");
    for number in 0..count {
        let log = plain_log(&prefix(number), 1);
        service.put(name, &numbered_key(number), gzip(&log));
    }
    (0..count)
        .map(|number| format!("{}0", prefix(number)))
        .collect()
}

/// Creates a queue with one message for each of these objects of the bucket with its name.
pub fn numbered_messages(
    service: &Service,
    name: &str,
    attributes: Value,
    numbers: impl IntoIterator<Item = usize>,
) {
    service.create_queue(name, attributes);
    let body = |number| notification(name, &[numbered_key(number)]);
    service.send(name, numbers.into_iter().map(body));
}

/// [`numbered_bucket`] and [`numbered_messages`] for all of its objects; returns the eventIDs.
pub fn numbered_queue(
    service: &Service,
    name: &str,
    attributes: Value,
    count: usize,
) -> Vec<String> {
    let ids = numbered_bucket(service, name, count);
    numbered_messages(service, name, attributes, 0..count);
    ids
}

/// [`numbered_queue`] behind a proxy.
pub fn queue_and_proxy(
    name: &str,
    attributes: Value,
    count: usize,
) -> (Service, Vec<String>, Proxy) {
    let service = service();
    let ids = numbered_queue(&service, name, attributes, count);
    (service, ids, proxy())
}

/// Reads until the queue has this depth.
pub fn wait_for_depth(service: &Service, queue: &str, reading: &mut Reading<'_>, depth: Depth) {
    let mut last = None;
    let reached = reading.until(SETTLE_TIMEOUT, |_| {
        last = Some(service.depth(queue));
        last == Some(depth)
    });
    assert!(reached, "{queue} has {last:?}, expected {depth:?}");
}

/// Reads until the queue is empty.
pub fn wait_until_empty(service: &Service, queue: &str, reading: &mut Reading<'_>) {
    wait_for_depth(service, queue, reading, Depth::EMPTY);
}

/// Reads until the queue has `count` messages, visible or in flight.
pub fn wait_for_remaining(service: &Service, queue: &str, reading: &mut Reading<'_>, count: usize) {
    let mut last = None;
    let reached = reading.until(SETTLE_TIMEOUT, |_| {
        let depth = service.depth(queue);
        last = Some(depth);
        depth.total() == count
    });
    assert!(reached, "{queue} has {last:?}, expected {count} messages");
}

/// Fails unless one line contains all of `parts`.
pub fn assert_line(lines: &[String], parts: &[&str]) {
    let matches = |line: &String| parts.iter().all(|part| line.contains(part));
    assert!(
        lines.iter().any(matches),
        "no line contains all of {parts:?}: {lines:#?}"
    );
}
