//! EventBridge records and notifications of the files that hold the same events, on one queue: each event once with
//! `dedupWindow`, each copy without it, and none lost when readers are killed.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde_json::json;

use crate::aws::child::Ctcat;
use crate::aws::feed::{Feed, Reading, sorted};
use crate::aws::settings::Settings;
use crate::server::FaultServer;
use crate::server::random::Random;
use crate::setup::{
    NAME, RECOVERY, assert_all, assert_no_dead_letters, assert_once, bucket_and_queue, complaints,
    settings,
};
use crate::support::scratch::gzip;

/// Events that EventBridge delivers too.
const RECORDS: usize = 500;

/// Events that only files have.
const FILES_ONLY: usize = 200;

/// Records of a file.
const FILE_RECORDS: usize = 20;

/// `source` and `detail-type` of EventBridge, and a call.
const SERVICES: [(&str, &str, &str); 12] = [
    ("s3", "AWS API Call via CloudTrail", "PutBucketPolicy"),
    ("ec2", "AWS API Call via CloudTrail", "RunInstances"),
    ("iam", "AWS API Call via CloudTrail", "CreateUser"),
    ("sts", "AWS API Call via CloudTrail", "AssumeRole"),
    ("kms", "AWS API Call via CloudTrail", "Decrypt"),
    (
        "signin",
        "AWS Console Sign In via CloudTrail",
        "ConsoleLogin",
    ),
    ("lambda", "AWS API Call via CloudTrail", "Invoke"),
    ("dynamodb", "AWS API Call via CloudTrail", "DeleteTable"),
    ("rds", "AWS API Call via CloudTrail", "ModifyDBInstance"),
    ("cloudtrail", "AWS API Call via CloudTrail", "StopLogging"),
    (
        "eks",
        "AWS Service Event via CloudTrail",
        "AccessKubernetesApi",
    ),
    (
        "organizations",
        "AWS API Call via CloudTrail",
        "LeaveOrganization",
    ),
];

fn id(number: usize) -> String {
    format!("event#{number}")
}

fn event_ids() -> Vec<String> {
    (0..RECORDS + FILES_ONLY).map(id).collect()
}

/// An event's record. EventBridge and files write it differently: `separator` follows each comma.
fn record(number: usize, separator: &str) -> String {
    let (service, _, name) = SERVICES[number % SERVICES.len()];
    [
        r#"{"eventVersion":"1.11""#.to_owned(),
        r#""userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/r/\u00e9 \"x\""}"#.to_owned(),
        format!(r#""eventTime":"2026-01-14T12:{:02}:{:02}Z""#, number / 60 % 60, number % 60),
        format!(r#""eventSource":"{service}.amazonaws.com""#),
        format!(r#""eventName":"{name}""#),
        r#""awsRegion":"us-east-1""#.to_owned(),
        r#""userAgent":"\ud83d\ude00 \ud800 \\ кл\u044e\u0447""#.to_owned(),
        format!(r#""requestParameters":{{"s3Bucket":"{NAME}","detail":{{"Records":[{{"s3":{{}}}}]}},"n":{number}}}"#),
        format!(r#""eventID":"{}""#, id(number)),
        r#""eventType":"AwsApiCall"}"#.to_owned(),
    ]
    .join(&format!(",{separator}"))
}

fn record_in_message(number: usize) -> String {
    record(number, " ")
}

fn record_in_file(number: usize) -> String {
    record(number, "")
}

fn in_sns(body: &str) -> String {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:111122223333:t", "Message": body})
        .to_string()
}

/// A message of EventBridge; every second one is in an SNS envelope.
fn message_with_record(number: usize) -> String {
    let (service, kind, _) = SERVICES[number % SERVICES.len()];
    let body = format!(
        r#"{{"version":"0","id":"{number}","detail-type":"{kind}","source":"aws.{service}","account":"111122223333","time":"2026-01-14T12:00:00Z","region":"us-east-1","resources":[],"detail":{}}}"#,
        record_in_message(number)
    );
    match number % 2 {
        0 => body,
        _ => in_sns(&body),
    }
}

/// A notification of a file, in one of the forms that AWS has.
fn notification(file: usize, key: &str) -> String {
    let of_s3 = || {
        json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": NAME}, "object": {"key": key, "size": 1}}}]})
        .to_string()
    };
    match file % 4 {
        0 => in_sns(&json!({"s3Bucket": NAME, "s3ObjectKey": [key]}).to_string()),
        1 => of_s3(),
        2 => in_sns(&of_s3()),
        _ => json!({"detail-type": "Object Created", "source": "aws.s3",
            "detail": {"bucket": {"name": NAME}, "object": {"key": key, "size": 1}}})
        .to_string(),
    }
}

/// Messages in random order, and the eventIDs that each one delivers, by its MessageId.
struct Sent {
    server: FaultServer,
    ids: HashMap<String, Vec<String>>,
}

fn send_all(seed: u64) -> Sent {
    let server = bucket_and_queue(0, 100);
    let mut random = Random::seeded(seed);
    let mut numbers: Vec<usize> = (0..RECORDS + FILES_ONLY).collect();
    shuffle(&mut numbers, &mut random);
    let mut messages: Vec<(String, Vec<String>)> = (0..RECORDS)
        .map(|number| (message_with_record(number), vec![id(number)]))
        .collect();
    for (file, numbers) in numbers.chunks(FILE_RECORDS).enumerate() {
        let key = format!(
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T1205Z_{file:016}.json.gz"
        );
        let records: Vec<String> = numbers.iter().map(|n| record_in_file(*n)).collect();
        let log = gzip(format!(r#"{{"Records":[{}]}}"#, records.join(",")).as_bytes());
        server.s3(|store| store.put(NAME, &key, log));
        let ids = numbers.iter().map(|number| id(*number)).collect();
        messages.push((notification(file, &key), ids));
    }
    shuffle(&mut messages, &mut random);
    let ids = server.sqs(|queues| {
        let messages = messages.into_iter();
        messages
            .map(|(body, ids)| (queues.send(NAME, body), ids))
            .collect()
    });
    Sent { server, ids }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at as u64 + 1) as usize);
    }
}

impl Sent {
    fn settings(&self, window: u32) -> Settings {
        settings(&self.server).with("dedupWindow", window)
    }

    fn left(&self) -> usize {
        self.server.sqs(|queues| queues.left(NAME))
    }

    /// Reads until the queue is empty. Fails if a message is deleted before the host has come back for more after the last
    /// of its events.
    fn read_all(&self, reading: &mut Reading<'_>) {
        let end = Instant::now() + RECOVERY;
        let mut processed = HashSet::new();
        let (mut checked, mut of_last_call) = (0, 0);
        while self.left() > 0 {
            assert!(Instant::now() < end, "{} messages are left", self.left());
            let before = reading.ids.len();
            reading.once();
            // What the call before this one returned is processed, and nothing after that.
            processed.extend(reading.ids[of_last_call..before].iter().cloned());
            of_last_call = before;
            let deleted: Vec<String> = self
                .server
                .sqs(|queues| queues.deletions[checked..].to_vec());
            checked += deleted.len();
            for event in deleted.iter().flat_map(|message| &self.ids[message]) {
                assert!(
                    processed.contains(event),
                    "a message with {event} is deleted before that is processed"
                );
            }
        }
    }
}

/// The payloads by eventID, sorted.
fn payloads_of(reading: &mut Reading<'_>) -> HashMap<String, Vec<String>> {
    let payloads = reading.payloads.take().expect("they were asked for");
    let mut by_id: HashMap<String, Vec<String>> = HashMap::new();
    for (id, payload) in reading.ids.iter().zip(payloads) {
        let payload = String::from_utf8(payload).expect("UTF-8");
        by_id.entry(id.clone()).or_default().push(payload);
    }
    for copies in by_id.values_mut() {
        copies.sort();
    }
    by_id
}

pub fn are_delivered_once_with_a_window() {
    let sent = send_all(1);
    let feed = Feed::new(&sent.settings(10_000));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.payloads = Some(Vec::new());
    sent.read_all(&mut reading);
    assert_once(&reading.ids, &event_ids());
    for (event, copies) in payloads_of(&mut reading) {
        let number: usize = event["event#".len()..].parse().expect("a number");
        let of_message = number < RECORDS && copies == [record_in_message(number)];
        assert!(
            of_message || copies == [record_in_file(number)],
            "{event}: {copies:?}"
        );
    }
    assert_eq!(feed.metric("skipped.duplicate"), RECORDS as u64);
    assert_eq!(feed.metric("messages.records"), RECORDS as u64);
    assert_eq!(feed.metric("messages.deleted"), sent.ids.len() as u64);
    assert_eq!(complaints(&feed), [""; 0]);
    assert_no_dead_letters(&sent.server);
}

pub fn are_delivered_in_every_copy_without_a_window() {
    let sent = send_all(2);
    let feed = Feed::new(&sent.settings(0));
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.payloads = Some(Vec::new());
    sent.read_all(&mut reading);
    let mut expected = HashMap::new();
    for number in 0..RECORDS + FILES_ONLY {
        let mut copies = vec![record_in_file(number)];
        if number < RECORDS {
            copies.push(record_in_message(number));
        }
        copies.sort();
        expected.insert(id(number), copies);
    }
    assert!(payloads_of(&mut reading) == expected, "the copies differ");
    assert_eq!(feed.metric("skipped.duplicate"), 0);
    assert_eq!(complaints(&feed), [""; 0]);
    assert_no_dead_letters(&sent.server);
}

/// Several readers are killed while they deliver; each one delivers an event once, and together they lose none.
pub fn are_not_lost_when_readers_are_killed() {
    let sent = send_all(3);
    let settings = sent.settings(10_000);
    let source = format!("sqs://{NAME}");
    let mut read = HashSet::new();
    for events in [30, 250, 120] {
        let mut reader = Ctcat::start(&settings, &source);
        assert!(
            reader.until(|ids| ids.len() >= events),
            "{} events",
            reader.ids().len()
        );
        reader.kill();
        let ids = reader.ids();
        let once: HashSet<&String> = ids.iter().collect();
        assert_eq!(
            once.len(),
            ids.len(),
            "twice in one process: {:?}",
            sorted(&ids)
        );
        read.extend(ids);
        assert!(sent.left() > 0, "everything was read before the kill");
    }
    // What the killed ones had received is visible again after the visibility timeout.
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&source);
    let emptied = reading.until(RECOVERY, |_| sent.left() == 0);
    assert!(emptied, "{} messages are left", sent.left());
    read.extend(reading.ids.iter().cloned());
    let read: Vec<String> = read.into_iter().collect();
    assert_all(&read, &event_ids());
    assert_eq!(read.len(), event_ids().len());
    assert_no_dead_letters(&sent.server);
}
