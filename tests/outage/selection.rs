//! What a message may have the plugin read: buckets, accounts, and not too old objects.
#![forbid(unsafe_code)]

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::setup::{
    DEAD, NAME, RECOVERY, Watched, assert_line, bucket_and_queue, complaints, id, notification,
    object, settings,
};

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];

fn log_key(account: &str, time: &str) -> String {
    format!(
        "AWSLogs/{account}/CloudTrail/us-east-1/{account}_CloudTrail_us-east-1_{time}_a.json.gz"
    )
}

/// An empty queue, and a bucket with these objects of one record each.
fn with_objects(keys: &[String]) -> FaultServer {
    let server = bucket_and_queue(0, 100);
    server.s3(|store| {
        for key in keys {
            store.put(NAME, key, object(key, 1));
        }
    });
    server
}

pub fn buckets_that_are_not_allowed_fail_their_messages() {
    let server = bucket_and_queue(3, 1);
    server.s3(|store| {
        store.create_bucket("private");
        store.put("private", "logs/0000.json.gz", object("private", 1));
    });
    let outside = notification(["logs/0000.json.gz"]).replace(NAME, "private");
    let outside = server.sqs(|queues| {
        for number in 0..3 {
            queues.send(NAME, notification([format!("logs/{number:04}.json.gz")]));
        }
        queues.send(NAME, outside)
    });
    let feed = Feed::new(&settings(&server).with("sqsAllowedBuckets", vec!["tra*", "other"]));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_eq!(
        crate::aws::feed::sorted(&watched.reading.ids),
        [id(0), id(1), id(2)]
    );
    let dead = server.sqs(|queues| queues.messages(DEAD).to_vec());
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].id, outside);
    let gets = server.requests("GetObject");
    assert!(gets.iter().all(|request| !request.path.contains("private")));
    assert_line(
        &feed.logged(Severity::Error),
        &[
            &outside,
            "s3://private/logs/0000.json.gz",
            "sqsAllowedBuckets",
            "redrive policy",
        ],
    );
    assert!(feed.metric("errors.bucket") >= 1);
}

pub fn objects_of_other_accounts_are_skipped() {
    let keys = ACCOUNTS.map(|account| log_key(account, "20260114T1200Z"));
    let server = with_objects(&keys);
    server.sqs(|queues| {
        queues.send(NAME, notification(&keys));
        queues.send(NAME, notification(&keys[1..]));
    });
    let feed = Feed::new(&settings(&server).with("s3AccountList", ACCOUNTS[0]));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_eq!(watched.reading.ids, [format!("{}#0", keys[0])]);
    assert_eq!(feed.metric("skipped.account"), 2);
    assert_line(
        &feed.logged(Severity::Info),
        &[&keys[1], "s3AccountList", "skipped"],
    );
    assert_eq!(complaints(&feed), [""; 0]);
}

pub fn objects_that_are_too_old_are_skipped() {
    let keys = [
        log_key(ACCOUNTS[0], "20200114T1200Z"),
        log_key(ACCOUNTS[0], "20990114T1200Z"),
        "exports/events.json.gz".to_owned(),
    ];
    let server = with_objects(&keys);
    server.sqs(|queues| queues.send(NAME, notification(&keys)));
    let feed = Feed::new(&settings(&server).with("sqsMaxAge", "52w"));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    let expected = [format!("{}#0", keys[1]), format!("{}#0", keys[2])];
    assert_eq!(crate::aws::feed::sorted(&watched.reading.ids), expected);
    assert_eq!(feed.metric("skipped.old"), 1);
    assert_line(
        &feed.logged(Severity::Info),
        &[&keys[0], "sqsMaxAge", "skipped"],
    );
    assert_eq!(complaints(&feed), [""; 0]);
}
