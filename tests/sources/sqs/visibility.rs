//! Visibility timeouts: configured, extended and lost.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use cloudtrail::host::Severity;
use serde_json::{Value, json};

use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT, sorted};
use crate::aws::service::Depth;
use crate::aws::settings::Settings;
use crate::fixture::{numbered_queue, queue_and_proxy, service, settings, wait_for_depth};

pub fn visibility_timeout_is_extended_while_the_host_is_busy() {
    let service = service();
    let name = "busy-host";
    // Longer than a busy machine may pause.
    numbered_queue(&service, name, json!({"VisibilityTimeout": "8"}), 3);
    let feed = Feed::new(&settings());
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    let end = Instant::now() + Duration::from_secs(14);
    while Instant::now() < end {
        assert_eq!(
            service.depth(name).visible,
            0,
            "the visibility timeout lapsed"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(reading.ids.len(), 3, "a message was delivered twice");
    assert!(feed.metric("messages.extended") >= 2);
    assert_eq!(feed.metric("messages.received"), 3);
}

pub fn message_whose_extension_is_refused_is_delivered_once() {
    let name = "lost";
    let (service, _, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "2"}), 1);
    let refuse = Fault::RefuseEntries("ReceiptHandleIsInvalid");
    proxy.rule(Rule::every("ChangeMessageVisibilityBatch", refuse).times(1));
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsWaitSeconds", 1));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    // The host is busy until the extension is refused, the timeout lapses and the message is received again.
    let start = Instant::now();
    while feed.metric("messages.lost") == 0 || feed.metric("messages.received") == 1 {
        assert!(start.elapsed() < STEP_TIMEOUT, "the message is not lost");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(feed.metric("messages.lost"), 1);
    // This reader is also the next receiver: it goes on with the new receipt handle.
    assert_eq!(proxy.count("DeleteMessageBatch"), 0);
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(reading.ids, ["lost-0000-0"], "delivered once");
    assert_eq!(feed.metric("messages.deleted"), 1);
    let warnings = feed.logged(Severity::Warning);
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("ReceiptHandleIsInvalid")),
        "{warnings:?}"
    );
}

pub fn configured_visibility_timeout_overrides_the_queues_own() {
    let name = "own-visibility-timeout";
    let (_, _, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "1"}), 1);
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsVisibilityTimeout", 600));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(1);
    reading.until(STEP_TIMEOUT, |_| proxy.count("ReceiveMessage") >= 2);
    let mut requests = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.operation == "ReceiveMessage");
    // The first request is part of opening and does not wait.
    for wait in [0, 20] {
        let request = requests.next().expect("a request");
        let request: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(request["VisibilityTimeout"], 600, "{request}");
        assert_eq!(request["MaxNumberOfMessages"], 10, "{request}");
        assert_eq!(request["WaitTimeSeconds"], wait, "{request}");
    }
}

pub fn visibility_timeout_of_zero_gives_each_message_once() {
    let name = "hides-nothing";
    let (service, ids, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "0"}), 12);
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(300)),
    ));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
}
