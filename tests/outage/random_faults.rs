//! Random faults of every kind on both services while readers are stopped and started: no message is deleted before its
//! records are delivered.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use cloudtrail::host::Severity;

use crate::aws::child::Ctcat;
use crate::aws::feed::Feed;
use crate::records::event_with;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::random::Random;
use crate::setup::{NAME, RECOVERY, assert_all, bucket, id, ids, key, notification, settings};

const MESSAGES: usize = 120;

/// How long faults are injected and readers are stopped.
const STORM: Duration = Duration::from_secs(20);

fn queue() -> FaultServer {
    let server = bucket(MESSAGES);
    server.sqs(|queues| queues.create(NAME, Duration::from_secs(4)));
    server
}

fn make_faults(server: &FaultServer, seed: u64) {
    let quarter_second = Duration::from_millis(250);
    let faults = [
        ("GetObject", ServerFault::Refuse(503, "SlowDown")),
        ("GetObject", ServerFault::Refuse(500, "InternalError")),
        ("GetObject", ServerFault::Refuse(400, "ExpiredToken")),
        (
            "GetObject",
            ServerFault::Refuse(400, "KMS.ThrottlingException"),
        ),
        ("GetObject", ServerFault::Refuse(403, "AccessDenied")),
        ("GetObject", ServerFault::Portal),
        ("GetObject", ServerFault::Reset),
        ("GetObject", ServerFault::ResetAfter(40)),
        ("GetObject", ServerFault::HangAfter(40)),
        ("sqs", ServerFault::Refuse(500, "InternalError")),
        ("sqs", ServerFault::Reset),
        ("sqs", ServerFault::Delay(quarter_second)),
        (
            "DeleteMessageBatch",
            ServerFault::RefuseSomeEntries("InternalError"),
        ),
        (
            "DeleteMessageBatch",
            ServerFault::RefuseSomeEntries("ReceiptHandleIsInvalid"),
        ),
        ("DeleteMessageBatch", ServerFault::ResetAfter(5)),
        (
            "ChangeMessageVisibilityBatch",
            ServerFault::RefuseEntries("InternalError"),
        ),
        ("ChangeMessageVisibilityBatch", ServerFault::Hang),
        ("ReceiveMessage", ServerFault::ResetAfter(10)),
    ];
    for (place, (operation, fault)) in faults.into_iter().enumerate() {
        server.fault(ServerRule::of(operation, fault).chance(0.04, seed + place as u64));
    }
}

/// Sends messages; every third one holds the record itself.
fn send(server: &FaultServer, numbers: Range<usize>) {
    server.sqs(|queues| {
        for number in numbers {
            let body = match number % 3 {
                0 => event_with(&id(number)),
                _ => notification([key(number)]),
            };
            queues.send(NAME, body);
        }
    });
}

/// The eventIDs of all deleted messages' records.
fn deleted(server: &FaultServer) -> Vec<String> {
    server.sqs(|queues| {
        let deleted = queues.messages(NAME).iter().enumerate();
        let deleted = deleted.filter(|(_, message)| message.deleted.is_some());
        deleted.map(|(place, _)| id(place)).collect()
    })
}

pub fn with_sources_closed() {
    let server = queue();
    let (mut random, mut read) = (Random::seeded(21), HashSet::new());
    let start = Instant::now();
    let mut sent = 0;
    let feed = Feed::new(&settings(&server));
    while start.elapsed() < STORM {
        let more = (sent + 20).min(MESSAGES);
        send(&server, sent..more);
        sent = more;
        // No faults during open, which would fail.
        let mut reading = feed.open(&format!("sqs://{NAME}"));
        make_faults(&server, random.next());
        reading.during(Duration::from_millis(500 + random.below(3000)));
        read.extend(reading.ids.iter().cloned());
        drop(reading);
        server.end_faults();
        let read: Vec<_> = read.iter().cloned().collect();
        assert_all(&read, &deleted(&server));
    }
    send(&server, sent..MESSAGES);
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until(RECOVERY, |_| server.sqs(|queues| queues.left(NAME)) == 0);
    read.extend(reading.ids.iter().cloned());
    let read: Vec<_> = read.into_iter().collect();
    assert_all(&read, &deleted(&server));
    assert_all(&read, &ids(MESSAGES));
    let given_up = feed.logged(Severity::Error);
    assert!(
        !given_up.iter().any(|line| line.contains("deleted after")),
        "{given_up:#?}"
    );
}

pub fn with_readers_killed() {
    let server = queue();
    let (mut random, mut read) = (Random::seeded(22), HashSet::new());
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < STORM {
        let more = (sent + 20).min(MESSAGES);
        send(&server, sent..more);
        sent = more;
        let polls = server.count("ReceiveMessage");
        let mut reader = Ctcat::start(&settings(&server), &format!("sqs://{NAME}"));
        while server.count("ReceiveMessage") == polls && reader.is_running() {
            std::thread::sleep(Duration::from_millis(20));
        }
        make_faults(&server, random.next());
        std::thread::sleep(Duration::from_millis(500 + random.below(3000)));
        assert!(reader.is_running(), "the reader ended by itself");
        reader.kill();
        server.end_faults();
        read.extend(reader.ids());
        let read: Vec<_> = read.iter().cloned().collect();
        assert_all(&read, &deleted(&server));
    }
    send(&server, sent..MESSAGES);
    let reader = Ctcat::start(&settings(&server), &format!("sqs://{NAME}"));
    reader.until(|_| server.sqs(|queues| queues.left(NAME)) == 0);
    read.extend(reader.ids());
    let read: Vec<_> = read.into_iter().collect();
    assert_all(&read, &deleted(&server));
    assert_all(&read, &ids(MESSAGES));
}
