//! Closing a source that nobody reads from, while everything in it waits.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

use std::thread;
use std::time::{Duration, Instant};

use aws::feed::Feed;
use aws::server::ministack;
use aws::service::Service;
use aws::settings::Settings;
use serde_json::json;

#[test]
fn queue_of_failing_objects_is_closed_though_no_batch_was_asked_for() {
    let service = Service::at(ministack().address);
    let name = "close-stalled";
    service.create_queue(name, json!({"VisibilityTimeout": "60"}));
    service.create_bucket(name);
    let messages = (0..40).map(|number| {
        json!({"s3Bucket": name, "s3ObjectKey": [format!("missing/{number}.json.gz")]}).to_string()
    });
    service.send(name, messages.collect::<Vec<_>>());
    let feed = Feed::new(&Settings::at(ministack().address).with("s3OnError", "fail"));
    let reading = feed.open(&format!("sqs://{name}"));
    let started = Instant::now();
    while feed.metric("errors.fetch") < 9 && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    // Those that failed now wait for room behind each other.
    thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    drop(reading);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(feed.metric("buffered_bytes"), 0);
}
