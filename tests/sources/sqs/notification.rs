//! Shapes of notifications, and the object sizes in them.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;

use cloudtrail::host::Severity;
use serde_json::json;

use crate::aws::feed::{Feed, sorted};
use crate::aws::server::moto;
use crate::aws::service::{Depth, Service};
use crate::aws::settings::Settings;
use crate::fixture::{
    notification, numbered_queue, proxy, proxy_with_old_messages, service, settings, wait_for_depth,
};
use crate::support::scratch::{gzip, plain_log};
use crate::support::testdata;

pub fn every_shape_of_notification_is_read() {
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

    let proxy = proxy_with_old_messages();
    let feed = Feed::new(
        &Settings::at(proxy.address)
            .with("sqsMaxReceives", 2)
            .with("sqsWaitSeconds", 1),
    );
    let mut reading = feed.open("sqs://shapes");
    wait_for_depth(&service, queue, &mut reading, Depth::EMPTY);
    let counts = ["first-0", "second-0", "plain-0", "encoded-0"]
        .map(|id| reading.ids.iter().filter(|read| *read == id).count());
    assert_eq!(counts, [7, 3, 2, 1], "{:?}", reading.ids);
    for id in ["in-eventbridge", "in-sns", "in-body", "in-log"] {
        let count = reading.ids.iter().filter(|read| *read == id).count();
        assert_eq!(count, 1, "{id}");
    }
    assert_eq!(reading.ids.len(), 17, "{:?}", reading.ids);
    assert_eq!(feed.metric("messages.records"), 4);

    // Eight samples are no notifications; each is received twice, then deleted with a line that names the reason.
    assert_eq!(feed.metric("messages.unknown"), 16);
    assert_eq!(feed.metric("messages.deleted"), samples.len() as u64);
    let errors = feed.logged(Severity::Error);
    let named = errors
        .iter()
        .filter(|line| line.contains(": message ") && line.contains("not a notification"));
    // One line for the first receive and one for the deletion.
    assert_eq!(named.count(), 2 * 8, "{errors:#?}");
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

pub fn notifications_of_the_server_itself_are_read() {
    let service = service();
    let name = "bucket-notifications";
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
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(
        sorted(&reading.ids),
        ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    );
    assert_eq!(feed.logged(Severity::Warning), [""; 0]);
}

pub fn false_object_sizes_are_harmless() {
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
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(reading.ids.len(), 20);
}

/// CloudTrail's own notifications name keys without sizes.
pub fn large_objects_of_unknown_size_stay_within_the_memory_budget() {
    let service = service();
    let name = "unknown-sizes";
    service.create_queue(name, json!({}));
    service.create_bucket(name);
    // More than fits into the socket buffers between server and client.
    let log = plain_log("x", 60_000);
    assert!(log.len() > 12 << 20, "{} bytes", log.len());
    let keys: Vec<_> = (0..8).map(|number| format!("{number}.json")).collect();
    for key in &keys {
        service.put(name, key, log.clone());
    }
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    service.send(name, [notification(name, &keys)]);
    let proxy = proxy();
    // Eight concurrent downloads; a quarter of the budget is for stored bytes, which one object exceeds.
    let settings = Settings::at(proxy.address)
        .with("maxBufferedBytes", 2 * log.len())
        .with("s3DownloadConcurrency", 8);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    proxy.settled("GetObject");
    let count = proxy.answered("GetObject");
    assert!((1..=3).contains(&count), "{count} objects are downloaded");
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(reading.ids.len(), 8 * 60_000);
}

pub fn moto_gives_the_same_records() {
    let service = Service::at(moto().address);
    let name = "agreed";
    let ids = numbered_queue(&service, name, json!({"VisibilityTimeout": "30"}), 25);
    service.send(name, ["CloudTrail validation message."]);
    let feed = Feed::new(&Settings::at(moto().address).with("sqsWaitSeconds", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    // Moto delivers some messages twice, as SQS may.
    let once: HashSet<_> = reading.ids.iter().collect();
    assert_eq!(once.len(), ids.len());
    assert_eq!(feed.logged(Severity::Error), [""; 0]);
}
