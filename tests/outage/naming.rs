//! Each lost object or message is named, and affects no other: many bad ones among good ones.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::{Severity, Status};

use crate::aws::feed::Feed;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_all, assert_named, assert_once, bucket, bucket_and_queue, id,
    ids, key, notification, object, receives, send, settings,
};

pub fn sweep_names_500_denied_objects() {
    let server = bucket(20);
    let denied: Vec<_> = (0..500)
        .map(|number| format!("logs/denied-{number:04}.json.gz"))
        .collect();
    server.s3(|store| {
        for key in &denied {
            store.put(NAME, key, object(key, 1));
        }
    });
    server.fault(
        ServerRule::of("GetObject", ServerFault::Refuse(403, "AccessDenied")).path("denied-"),
    );
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("s3://{NAME}/logs/"));
    reading.until(Duration::from_secs(80), |_| false);
    assert_eq!(
        reading.once(),
        Status::Eof,
        "no end after {} events",
        reading.ids.len()
    );
    assert_once(&reading.ids, &ids(20));
    let lines = feed.logged(Severity::Error);
    assert_named(&lines, &denied);
    assert_eq!(feed.metric("errors.fetch"), 500);
}

/// A body of one of several kinds that are no notifications.
fn garbage(number: usize) -> String {
    match number % 5 {
        0 => format!("garbage {number}"),
        1 => format!(r#"{{"s3Bucket":{number}"#),
        2 => format!("[{number}]"),
        3 => format!(r#"{{"unrelated":"message {number}"}}"#),
        _ => "null".to_owned(),
    }
}

pub fn garbage_messages_are_named() {
    let server = bucket_and_queue(5, 3);
    let names = server.sqs(|queues| {
        let send = |number| queues.send(NAME, garbage(number));
        (0..200).map(send).collect::<Vec<_>>()
    });
    send(&server, 0..5);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until(Duration::from_secs(30), |read| {
        let text = feed.logged(Severity::Warning).join("\n");
        read.len() >= 5 && names.iter().all(|name| text.contains(name))
    });
    assert_named(&feed.logged(Severity::Warning), &names);
    assert_once(&watched.reading.ids, &ids(5));
    // The redrive policy moves them, not the plugin.
    assert!(server.sqs(|queues| queues.deletions.iter().all(|id| !names.contains(id))));
}

/// Names that cannot be those of objects are shown whole, each of them, and counted.
pub fn names_that_no_object_can_have_are_shown() {
    let server = bucket_and_queue(1, 2);
    let bucket = "arn:aws:s3:eu-west-1:111122223333:accesspoint/".to_owned() + &"a".repeat(60);
    let keys: Vec<String> = (0..3)
        .map(|number| format!("logs/{}{number}.json.gz", "k".repeat(200)))
        .collect();
    let body = serde_json::json!({"s3Bucket": bucket, "s3ObjectKey": keys});
    let id = server.sqs(|queues| queues.send(NAME, body.to_string()));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until(RECOVERY, |_| feed.metric("messages.unknown") > 0);
    watched.until(RECOVERY, |_| !feed.logged(Severity::Error).is_empty());
    let lines = feed.logged(Severity::Error);
    let line = lines
        .iter()
        .find(|line| line.contains(&id))
        .expect("a line of the message");
    assert!(line.contains(&bucket), "{line}");
    assert!(keys.iter().all(|key| line.contains(key)), "{line}");
}

pub fn one_denied_key_of_fifty() {
    let server = bucket_and_queue(50, 2);
    server.sqs(|queues| queues.send(NAME, notification((0..50).map(key))));
    server
        .fault(ServerRule::of("GetObject", ServerFault::Refuse(403, "AccessDenied")).path(key(17)));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    // Several visibility timeouts.
    watched.during(Duration::from_secs(14));
    let others: Vec<_> = ids(50)
        .into_iter()
        .filter(|other| *other != id(17))
        .collect();
    assert_once(&watched.reading.ids, &others);
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(50));
    assert_eq!(receives(&server), [(1, 1)].into());
}

pub fn bad_messages_do_not_delay_good_ones() {
    let server = bucket_and_queue(100, 5);
    server.sqs(|queues| {
        for number in 0..1000 {
            let body = match number % 3 {
                0 => notification([format!("logs/denied-{number}.json.gz")]),
                1 => notification([format!("logs/missing-{number}.json.gz")]),
                _ => garbage(number),
            };
            queues.send(NAME, body);
        }
    });
    send(&server, 0..100);
    server.fault(
        ServerRule::of("GetObject", ServerFault::Refuse(403, "AccessDenied")).path("denied-"),
    );
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    // Takes three seconds on an idle machine; what is denied waits for 15 minutes.
    watched.until(RECOVERY / 2, |ids| ids.len() >= 100);
    assert_all(&watched.reading.ids, &ids(100));
}
