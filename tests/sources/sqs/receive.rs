//! How many messages are received, how often, and by how many processes.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::aws::child::Ctcat;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT, sorted};
use crate::aws::proxy::FOREVER;
use crate::aws::service::Depth;
use crate::aws::settings::Settings;
use crate::fixture::{proxy, queue_and_proxy, service, wait_for_depth};

pub fn deep_queue_is_received_in_batches_of_ten() {
    let name = "deep";
    let (service, ids, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "60"}), 500);
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(500);
    wait_for_depth(&service, name, &mut reading, Depth::EMPTY);
    assert_eq!(sorted(&reading.ids), sorted(&ids));
    assert_eq!(feed.metric("messages.received"), 500);
    assert_eq!(feed.metric("messages.deleted"), 500);
    assert_eq!(feed.metric("messages.in_flight"), 0);
    assert!(
        proxy.most_at_once("ReceiveMessage") > 1,
        "receives did not run concurrently"
    );
    assert!(
        proxy.count("ReceiveMessage") <= 80,
        "{}",
        proxy.count("ReceiveMessage")
    );
    assert_eq!(proxy.count("DeleteMessage"), 0);
}

pub fn short_polling_receives_once_a_second() {
    let name = "short-polls";
    service().create_queue(name, json!({}));
    let proxy = proxy();
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsWaitSeconds", 0));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.during(Duration::from_secs(3));
    let count = proxy.count("ReceiveMessage");
    assert!((2..=6).contains(&count), "{count} requests in 3 s");
}

pub fn messages_in_flight_are_capped() {
    let name = "much";
    let (service, _, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "60"}), 120);
    let slow = Fault::Delay(Duration::from_millis(300));
    proxy.rule(Rule::every("GetObject", slow));
    let feed = Feed::new(&Settings::at(proxy.address).with("s3DownloadConcurrency", 4));
    let mut reading = feed.open(&format!("sqs://{name}"));
    let mut most = 0;
    reading.until(STEP_TIMEOUT, |ids| {
        most = most.max(service.depth(name).in_flight);
        ids.len() >= 60
    });
    assert!((4..=40).contains(&most), "{most} in flight");
    assert_eq!(proxy.most_at_once("GetObject"), 4);
}

pub fn idle_queue_costs_one_request_and_no_cpu() {
    let service = service();
    let name = "idle";
    service.create_queue(name, json!({}));
    let proxy = proxy();
    let child = Ctcat::start(&Settings::at(proxy.address), &format!("sqs://{name}"));
    let start = Instant::now();
    // The first receive is part of opening and does not wait; the second one polls.
    while proxy.count("ReceiveMessage") < 2 {
        assert!(start.elapsed() < STEP_TIMEOUT, "no ReceiveMessage");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (requests, ticks) = (proxy.seen().len(), child.cpu_ticks());
    std::thread::sleep(Duration::from_secs(5));
    // Long polls of 20 s make three requests a minute.
    assert_eq!(proxy.seen().len(), requests, "{:#?}", proxy.seen());
    let used = child.cpu_ticks() - ticks;
    assert!(
        used <= 10,
        "{used} hundredths of a second of CPU time in 5 s"
    );
}

pub fn every_record_survives_sigkill() {
    let name = "killed";
    let (service, ids, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "2"}), 500);
    // Slow enough to be killed before the end.
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(20)),
    ));
    let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", 8);
    let source = format!("sqs://{name}");
    let mut seen = HashSet::new();
    for after in [30, 100] {
        let mut child = Ctcat::start(&settings, &source);
        assert!(
            child.until(|ids| ids.len() >= after),
            "{} events",
            child.ids().len()
        );
        child.kill();
        let left = service.depth(name).total();
        seen.extend(child.ids());
        assert!(
            left >= 500 - seen.len(),
            "{left} messages are left, {} records were seen",
            seen.len()
        );
        assert!(left > 0, "the reader was done before it was killed");
    }
    let child = Ctcat::start(&settings, &source);
    let all = child.until(|ids| {
        let seen: HashSet<_> = seen.iter().chain(ids).collect();
        seen.len() == 500 && service.depth(name) == Depth::EMPTY
    });
    seen.extend(child.ids());
    assert!(
        all,
        "{} of 500 records, {:?}",
        seen.len(),
        service.depth(name)
    );
    assert!(ids.iter().all(|id| seen.contains(id)));
}

pub fn two_processes_share_a_queue_without_duplicates() {
    let name = "shared";
    let (service, ids, proxy) = queue_and_proxy(name, json!({"VisibilityTimeout": "60"}), 300);
    proxy.rule(Rule::every(
        "GetObject",
        Fault::Delay(Duration::from_millis(50)),
    ));
    let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", 4);
    let source = format!("sqs://{name}");
    let children = [
        Ctcat::start(&settings, &source),
        Ctcat::start(&settings, &source),
    ];
    let done = children[0].until(|first| {
        first.len() + children[1].ids().len() >= 300 && service.depth(name) == Depth::EMPTY
    });
    let [first, second] = [children[0].ids(), children[1].ids()];
    assert!(done, "{} and {} of 300", first.len(), second.len());
    assert!(
        first.len() >= 30 && second.len() >= 30,
        "{} and {}",
        first.len(),
        second.len()
    );
    assert_eq!(sorted(&[first, second].concat()), sorted(&ids));
}

pub fn close_takes_less_than_a_second_with_stalled_downloads_and_deletions() {
    let name = "closing";
    let (_, _, proxy) = queue_and_proxy(name, json!({}), 20);
    proxy.rule(Rule::every("GetObject", Fault::StallAfter(10, FOREVER)).after(10));
    proxy.rule(Rule::every("DeleteMessageBatch", Fault::Silence(FOREVER)));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("sqs://{name}"));
    reading.until_count(10);
    reading.during(Duration::from_millis(300));
    let started = Instant::now();
    drop(reading);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
