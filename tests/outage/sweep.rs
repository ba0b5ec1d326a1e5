//! `s3://` in outages: no object is lost in an outage of up to `s3RetryFor`.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::aws::feed::{Feed, Reading};
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::random::Random;
use crate::setup::{
    NAME, RECOVERY, assert_line, assert_once, bucket, complaints, ids, key, settings,
};
use crate::support::scratch::{gzip, plain_log};

fn read_to_end(reading: &mut Reading<'_>, limit: Duration) {
    let start = Instant::now();
    reading.until(limit, |_| false);
    let ended = reading.once() == cloudtrail::host::Status::Eof;
    assert!(
        ended,
        "no end after {:?} and {} events",
        start.elapsed(),
        reading.ids.len()
    );
}

/// Reads 300 objects in pages of 50 with an outage after the first ones.
fn outage_in_a_sweep(
    length: Duration,
    begin: impl FnOnce(&FaultServer),
    end: impl FnOnce(&FaultServer),
) {
    let server = bucket(300);
    server.s3(|store| store.set_page_size(50));
    // Slow enough that the outage begins before the end.
    server.fault(ServerRule::of(
        "s3",
        ServerFault::Delay(Duration::from_millis(100)),
    ));
    let feed = Feed::new(&settings(&server).with("s3DownloadConcurrency", 8));
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    assert!(
        reading.until(RECOVERY, |ids| ids.len() >= 20),
        "no records before the outage"
    );
    begin(&server);
    reading.during(length);
    assert!(reading.ids.len() < 300, "the outage began after the end");
    server.end_faults();
    end(&server);
    read_to_end(&mut reading, RECOVERY);
    assert_once(&reading.ids, &ids(300));
    let errors = ["errors.fetch", "errors.list"].map(|name| feed.metric(name));
    assert_eq!(errors, [0, 0], "{:#?}", complaints(&feed));
}

pub fn network_is_down() {
    outage_in_a_sweep(
        Duration::from_secs(14),
        |server| server.set_network(false),
        |server| server.set_network(true),
    );
}

pub fn s3_answers_503() {
    let begin = |server: &FaultServer| {
        server.end_faults();
        server.fault(ServerRule::of(
            "s3",
            ServerFault::Refuse(503, "ServiceUnavailable"),
        ));
    };
    outage_in_a_sweep(Duration::from_secs(20), begin, |_| {});
}

pub fn listings_fail() {
    let server = bucket(300);
    server.s3(|store| store.set_page_size(50));
    let failing = ServerRule::of("ListObjectsV2", ServerFault::Refuse(500, "InternalError"));
    server.fault(failing.query("continuation-token").after(1));
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    reading.during(Duration::from_secs(15));
    assert!(
        (50..300).contains(&reading.ids.len()),
        "{} events in the outage",
        reading.ids.len()
    );
    server.end_faults();
    read_to_end(&mut reading, RECOVERY);
    assert_once(&reading.ids, &ids(300));
    assert_eq!(feed.metric("errors.list"), 0, "{:#?}", complaints(&feed));
}

pub fn slow_down_at_80_percent() {
    let server = bucket(40);
    server.fault(ServerRule::of("GetObject", ServerFault::Refuse(503, "SlowDown")).chance(0.8, 3));
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    read_to_end(&mut reading, Duration::from_secs(90));
    assert_once(&reading.ids, &ids(40));
    assert_eq!(feed.metric("errors.fetch"), 0, "{:#?}", complaints(&feed));
    let requests = server.requests("GetObject");
    let refused = requests.iter().filter(|request| request.faulted).count() as u64;
    // A busy machine may time out before an answer.
    let throttles = feed.metric("throttles");
    assert!(
        (refused * 9 / 10..=refused).contains(&throttles),
        "{throttles} throttles counted of {refused}"
    );
}

/// S3 is busy when the source is opened, which is waited out as it is later.
pub fn begins_while_s3_is_busy() {
    let server = bucket(40);
    let busy = ServerFault::Refuse(503, "SlowDown");
    server.fault(ServerRule::of("ListObjectsV2", busy).times(5));
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    read_to_end(&mut reading, Duration::from_secs(40));
    assert_once(&reading.ids, &ids(40));
    assert_line(&complaints(&feed), &["cannot be listed yet", "SlowDown"]);
}

/// A link so slow that each of 20 concurrent downloads seems to stall.
pub fn slow_shared_link_is_used_once() {
    const RATE: u64 = 80_000;
    const COUNT: usize = 20;
    let server = bucket(0);
    let mut random = Random::seeded(5);
    let mut total = 0;
    server.s3(|store| {
        for key in (0..COUNT).map(key) {
            let log = String::from_utf8(plain_log(&format!("{key}#"), 1)).expect("UTF-8");
            // Hexadecimal digits compress to about half.
            let agent = random.hex(172_000);
            let log = log.replace(
                "\"eventID\"",
                &format!("\"userAgent\":\"{agent}\",\"eventID\""),
            );
            let body = gzip(log.as_bytes());
            total += body.len() as u64;
            store.put(NAME, &key, body);
        }
    });
    server.limit_link(RATE);
    let time = Duration::from_secs_f64(total as f64 / RATE as f64);
    let feed = Feed::new(&settings(&server));
    let start = Instant::now();
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    reading.until(time * 3, |ids| ids.len() == COUNT);
    let took = start.elapsed();
    let served: u64 = server.s3(|store| store.served.values().sum());
    assert_once(&reading.ids, &ids(COUNT));
    assert!(took <= time * 2, "{took:?} for {time:?} of the link's time");
    assert!(2 * served <= 3 * total, "{served} bytes fetched of {total}");
}
