//! Faults of the queue itself.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::{Severity, Status};
use serde_json::json;

use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT, sorted};
use crate::aws::service::Depth;
use crate::aws::settings::Settings;
use crate::fixture::{
    assert_line, bucket_and_queue, numbered_bucket, numbered_messages, proxy, record_ids, service,
    settings, wait_for_depth, wait_until_empty,
};

pub fn failing_queue_is_retried_and_logged_once_per_outage() {
    let name = "failing-queue";
    let (service, keys, proxy) = bucket_and_queue(name, 30, &["a", "b", "c"]);
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
        "a failing queue is no error of next_batch"
    );
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(sorted(&reading.ids), record_ids(&keys));
    assert!(feed.metric("errors.queue") >= 3);
    let lines = feed.logged(Severity::Info);
    assert_line(&lines, &[name, "AccessDenied"]);
    assert_line(&lines, &[name, "received again"]);
    let failures = lines
        .iter()
        .filter(|line| line.contains("cannot be received"));
    assert!(failures.count() <= 3, "one line per outage: {lines:#?}");
}

pub fn retries_of_a_failing_queue_back_off_exponentially() {
    let service = service();
    let name = "backoff";
    service.create_queue(name, json!({}));
    let proxy = proxy();
    // The first receive is part of opening, which must succeed.
    let denied = Fault::Refuse(403, "AccessDenied");
    proxy.rule(Rule::every("ReceiveMessage", denied).after(1));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until(STEP_TIMEOUT, |_| proxy.count("ReceiveMessage") > 5);
    let requests: Vec<_> = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.operation == "ReceiveMessage")
        .skip(1)
        .collect();
    assert!(requests.len() >= 5, "{} requests", requests.len());
    let mut least = Duration::from_millis(125);
    for two in requests.windows(2).take(4) {
        let pause = two[1].at - two[0].at;
        assert!(
            pause >= least,
            "a pause of {pause:?}, expected at least {least:?}"
        );
        least *= 2;
    }
}

pub fn throttled_receives_are_counted_and_retried() {
    let name = "throttled-queue";
    let (_, keys, proxy) = bucket_and_queue(name, 30, &["a"]);
    let throttled = Fault::Refuse(400, "RequestThrottled");
    proxy.rule(Rule::every("ReceiveMessage", throttled).times(7));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(5);
    assert_eq!(reading.ids, record_ids(&keys));
    assert!(feed.metric("throttles") >= 2);
    assert!(feed.metric("lag") > 0);
}

pub fn deleted_queue_is_logged_and_followed_again_once_recreated() {
    let (service, name) = (service(), "deleted-queue");
    let visibility = json!({"VisibilityTimeout": "30"});
    let ids = numbered_bucket(&service, name, 20);
    numbered_messages(&service, name, visibility.clone(), 0..10);
    let settings = settings().with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(10);
    wait_until_empty(&service, name, &mut reading);
    service.delete_queue(name);
    let failed = reading.until(STEP_TIMEOUT, |_| feed.metric("errors.queue") >= 2);
    assert!(failed, "errors.queue is not counted");
    assert_line(&feed.logged(Severity::Error), &[name, "NonExistentQueue"]);
    numbered_messages(&service, name, visibility, 10..20);
    reading.until_count(20);
    wait_until_empty(&service, name, &mut reading);
    assert_eq!(sorted(&reading.ids), ids);
}
