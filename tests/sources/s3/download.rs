//! Concurrency, memory budget and close of downloads.
#![forbid(unsafe_code)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::{BUCKET, ROOT, TRAIL};
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT};
use crate::aws::proxy::FOREVER;
use crate::aws::settings::Settings;
use crate::fixture::{proxy, service};
use crate::support::scratch::plain_log;

pub fn download_concurrency_is_used_and_not_exceeded() {
    LazyLock::force(&TRAIL);
    let source = format!("s3://{BUCKET}/{ROOT}111122223333/CloudTrail/us-east-1/");
    for allowed in [1, 32] {
        let proxy = proxy();
        let slow = Duration::from_millis(if allowed == 1 { 5 } else { 400 });
        proxy.rule(Rule::every("GetObject", Fault::Delay(slow)));
        let settings = Settings::at(proxy.address).with("s3DownloadConcurrency", allowed);
        assert_eq!(Feed::new(&settings).read_all(&source).len(), 110);
        let most = proxy.most_at_once("GetObject");
        assert_eq!(most, allowed, "at once");
    }
}

pub fn close_takes_less_than_a_second_with_stalled_downloads() {
    LazyLock::force(&TRAIL);
    let proxy = proxy();
    let second = format!("{ROOT}111122223333/CloudTrail/eu-central-1/2026/");
    let stall = Fault::StallAfter(10, FOREVER);
    proxy.rule(Rule::every("GetObject", stall).of(format!("{second}01/26/")));
    proxy.rule(Rule::every("GetObject", Fault::Silence(FOREVER)).of(&second));
    let feed = Feed::new(&Settings::at(proxy.address));
    let mut reading = feed.open(&format!("s3://{BUCKET}/trail/AWSLogs/"));
    // The first region arrives; the downloads of the second one stall.
    reading.until_count(110);
    reading.until(STEP_TIMEOUT, |_| proxy.most_at_once("GetObject") >= 32);
    assert_eq!(reading.ids.len(), 110);
    assert_eq!(proxy.most_at_once("GetObject"), 32);
    let started = Instant::now();
    drop(reading);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

pub fn slow_host_stalls_the_downloads() {
    let service = service();
    let bucket = "large-objects";
    service.create_bucket(bucket);
    let log = plain_log("x", 1000);
    for number in 0..40 {
        service.put(bucket, &format!("{number:02}.json"), log.clone());
    }
    let proxy = proxy();
    let most = 4 * log.len();
    let settings = Settings::at(proxy.address).with("maxBufferedBytes", most);
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("s3://{bucket}"));
    let count = proxy.settled("GetObject");
    assert!((1..=4).contains(&count), "{count} objects were fetched");
    reading.until_end();
    assert_eq!(reading.ids.len(), 40 * 1000);
}
