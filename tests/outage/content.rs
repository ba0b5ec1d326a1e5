//! Objects that are replaced, cut off or deleted during their download.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::random::Random;
use crate::setup::{
    NAME, RECOVERY, Watched, assert_once, bucket, bucket_and_queue, ids, key, object, receives,
    send, settings,
};
use crate::support::scratch::{gzip, plain_log};

/// An object of 40 records with incompressible texts, so that its body is long enough to be cut.
fn long_object(seed: u64) -> (Vec<u8>, Vec<String>) {
    let prefix = Random::seeded(seed).hex(24);
    let mut random = Random::seeded(seed + 1);
    let mut log = String::from_utf8(plain_log(&format!("{prefix}#"), 40)).expect("UTF-8");
    log = log
        .split("\"eventType\"")
        .map(|part| format!("{part}\"requestID\":\"{}\",\"eventType\"", random.hex(200)))
        .collect();
    let end = log
        .rfind("\"requestID\"")
        .expect("the last one is one too many");
    log.truncate(end);
    let ids = (0..40).map(|number| format!("{prefix}#{number}")).collect();
    (gzip(log.as_bytes()), ids)
}

/// Puts an object whose first download is cut after 2,000 bytes; the object is replaced before the next request.
fn replace_during_download(server: &FaultServer) -> Vec<String> {
    let (old, _) = long_object(1);
    let (new, ids) = long_object(2);
    server.s3(|store| store.put(NAME, &key(0), old));
    let rule = ServerRule::of("GetObject", ServerFault::ReplaceAfter(2000, Arc::from(new)));
    server.fault(rule.path(key(0)).times(1));
    ids
}

pub fn object_replaced_during_its_download_of_a_sweep() {
    let server = bucket(0);
    let new = replace_during_download(&server);
    let feed = Feed::new(&settings(&server));
    let read = feed.read_all(&format!("s3://{NAME}/logs/"));
    assert_once(&read, &new);
    assert!(server.count("GetObject") >= 2, "the fault did not happen");
}

pub fn object_replaced_during_its_download_of_a_message() {
    let server = bucket_and_queue(0, 2);
    let new = replace_during_download(&server);
    send(&server, [0]);
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until(RECOVERY, |_| server.sqs(|queues| queues.left(NAME)) == 0);
    assert_once(&reading.ids, &new);
    assert_eq!(receives(&server), [(1, 1)].into());
}

/// A download of several resets fetches each byte about once.
pub fn download_is_resumed_after_a_reset() {
    let server = bucket(0);
    let (body, ids) = long_object(3);
    let length = body.len() as u64;
    server.s3(|store| store.put(NAME, &key(0), body));
    server.fault(ServerRule::of("GetObject", ServerFault::ResetAfter(1500)).times(3));
    let feed = Feed::new(&settings(&server));
    let read = feed.read_all(&format!("s3://{NAME}/logs/"));
    assert_once(&read, &ids);
    let served: u64 = server.s3(|store| store.served.values().sum());
    assert!(
        2 * served <= 3 * length,
        "{served} bytes for an object of {length}"
    );
}

/// S3's own notification of an object with this version.
fn s3_event(key: &str, version: &str) -> String {
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "awsRegion": "us-east-1",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": NAME, "arn": format!("arn:aws:s3:::{NAME}")},
            "object": {"key": key, "size": 300, "versionId": version},
        },
    }]})
    .to_string()
}

pub fn version_is_read_after_a_deletion() {
    let server = bucket_and_queue(0, 3);
    let version = server.s3(|store| {
        let version = store.put(NAME, &key(0), object(&key(0), 1));
        store.delete(NAME, &key(0));
        version
    });
    server.sqs(|queues| queues.send(NAME, s3_event(&key(0), &version)));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(Duration::from_secs(30));
    assert_once(&watched.reading.ids, &[format!("{}#0", key(0))]);
    let queries = server.requests("GetObject");
    assert!(
        !queries[0].query.contains("versionId"),
        "the plain object is tried first"
    );
    assert_eq!(receives(&server), [(1, 1)].into());
}

pub fn version_null_counts_as_none() {
    let server = bucket_and_queue(1, 2);
    server.sqs(|queues| {
        queues.send(NAME, s3_event(&key(0), "null"));
        queues.send(NAME, s3_event("logs/missing.json.gz", "null"));
    });
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    // The missing object's message goes to the dead-letter queue.
    watched.until_empty(Duration::from_secs(60));
    assert_once(&watched.reading.ids, &[format!("{}#0", key(0))]);
    let requests = server.requests("GetObject");
    assert!(
        requests
            .iter()
            .all(|request| !request.query.contains("versionId=null"))
    );
    let (dead, deleted) =
        server.sqs(|queues| (queues.messages("trail-dead").len(), queues.deletions.len()));
    assert_eq!((dead, deleted), (1, 1));
}

/// S3 redirects for a while after a bucket was created.
fn redirect(server: &FaultServer) {
    let redirect = ServerFault::Refuse(307, "TemporaryRedirect");
    server.fault(ServerRule::of("GetObject", redirect.clone()).times(4));
    server.fault(ServerRule::of("ListObjectsV2", redirect).after(1).times(3));
}

pub fn redirects_of_a_sweep_are_waited_out() {
    let server = bucket(10);
    redirect(&server);
    let feed = Feed::new(&settings(&server));
    let read = feed.read_all(&format!("s3://{NAME}/logs/"));
    assert_once(&read, &ids(10));
    let errors = ["errors.fetch", "errors.list"].map(|name| feed.metric(name));
    assert_eq!(errors, [0, 0]);
}

pub fn redirects_of_a_message_cost_no_receive() {
    let server = bucket_and_queue(10, 2);
    redirect(&server);
    send(&server, 0..10);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(10));
    assert_eq!(receives(&server), [(1, 10)].into());
}
