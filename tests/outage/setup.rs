//! Buckets and queues of the scenarios, and a reader that checks every deletion.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use cloudtrail::host::Severity;
use serde_json::{Value, json};

use crate::aws::feed::{Feed, Reading};
use crate::aws::settings::Settings;
use crate::server::FaultServer;
use crate::server::sqs::Queues;
use crate::support::scratch::{gzip, plain_log};

/// The bucket and the queue of every scenario.
pub const NAME: &str = "trail";

/// The dead-letter queue of `NAME`.
pub const DEAD: &str = "trail-dead";

/// Visibility timeout of the queue, in seconds; simulates the recommended 120 s.
pub const VISIBILITY: u64 = 4;

/// How long a source may take to deliver everything after an outage.
pub const RECOVERY: Duration = Duration::from_secs(60);

pub fn key(number: usize) -> String {
    format!("logs/{number:04}.json.gz")
}

/// The eventID of the only record of that object.
pub fn id(number: usize) -> String {
    format!("{}#0", key(number))
}

pub fn ids(count: usize) -> Vec<String> {
    (0..count).map(id).collect()
}

/// An object whose records have the eventIDs `<key>#0` and so on.
pub fn object(key: &str, records: usize) -> Vec<u8> {
    gzip(&plain_log(&format!("{key}#"), records))
}

/// CloudTrail's own notification.
pub fn notification<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> String {
    let keys: Vec<_> = keys
        .into_iter()
        .map(|key| key.as_ref().to_owned())
        .collect();
    json!({"s3Bucket": NAME, "s3ObjectKey": keys}).to_string()
}

/// A server whose bucket has `count` objects.
pub fn bucket(count: usize) -> FaultServer {
    let server = FaultServer::start();
    server.s3(|store| {
        store.create_bucket(NAME);
        for key in (0..count).map(key) {
            store.put(NAME, &key, object(&key, 1));
        }
    });
    server
}

/// [`bucket`] with an empty queue whose `maxReceiveCount` is `most`.
pub fn bucket_and_queue(count: usize, most: u32) -> FaultServer {
    let server = bucket(count);
    server.sqs(|queues| {
        queues.create(NAME, Duration::from_secs(VISIBILITY));
        queues.redrive(NAME, most);
    });
    server
}

/// Sends a message for each of these objects.
pub fn send(server: &FaultServer, numbers: impl IntoIterator<Item = usize>) {
    server.sqs(|queues| {
        for number in numbers {
            queues.send(NAME, notification([key(number)]));
        }
    });
}

/// The plugin's configuration for the server.
pub fn settings(server: &FaultServer) -> Settings {
    Settings::at(server.address).with("sqsWaitSeconds", 1)
}

/// The eventIDs of the objects that a message names.
fn ids_of(body: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let keys = body["s3ObjectKey"].as_array().into_iter().flatten();
    keys.filter_map(|key| Some(format!("{}#0", key.as_str()?)))
        .collect()
}

/// A reader of the queue `NAME` that fails the test if a message is deleted before its records are processed.
pub struct Watched<'f> {
    pub reading: Reading<'f>,
    server: &'f FaultServer,
    /// The host has come back for more after these.
    processed: HashSet<String>,
    read: usize,
    checked: usize,
}

impl<'f> Watched<'f> {
    pub fn open(feed: &'f Feed, server: &'f FaultServer) -> Watched<'f> {
        Watched {
            reading: feed.open(&format!("sqs://{NAME}")),
            server,
            processed: HashSet::new(),
            read: 0,
            checked: 0,
        }
    }

    /// Reads until `done` or for `limit`; returns whether it was done.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&[String]) -> bool) -> bool {
        let end = Instant::now() + limit;
        while !done(&self.reading.ids) {
            if Instant::now() >= end {
                return false;
            }
            self.once();
        }
        true
    }

    pub fn during(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// Reads until the queue has no message left.
    pub fn until_empty(&mut self, limit: Duration) {
        let (server, start) = (self.server, Instant::now());
        let emptied = self.until(limit, |_| server.sqs(|queues| queues.left(NAME)) == 0);
        let left = server.sqs(|queues| queues.left(NAME));
        assert!(
            emptied,
            "{left} messages are left after {:?}",
            start.elapsed()
        );
    }

    fn once(&mut self) {
        let deleted: Vec<_> = self.server.sqs(|queues| {
            let ids = &queues.deletions[self.checked..];
            ids.iter().map(|id| body_of(queues, id)).collect()
        });
        self.checked += deleted.len();
        // The host still has the events of the last call.
        for id in deleted.iter().flat_map(|body| ids_of(body)) {
            assert!(
                self.processed.contains(&id),
                "the message of {id} is deleted before its records are processed"
            );
        }
        let of_last_call = self.reading.ids[self.read..].iter().cloned();
        self.processed.extend(of_last_call);
        self.read = self.reading.ids.len();
        self.reading.once();
    }
}

fn body_of(queues: &Queues, id: &str) -> String {
    let message = queues
        .messages(NAME)
        .iter()
        .find(|message| message.id == id);
    message.expect("a message of the queue").body.clone()
}

/// How many messages were received how often, including those of the dead-letter queue.
pub fn receives(server: &FaultServer) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    server.sqs(|queues| {
        for message in queues.messages(NAME) {
            *counts.entry(message.receives).or_default() += 1;
        }
    });
    counts
}

pub fn assert_no_dead_letters(server: &FaultServer) {
    let dead = server.sqs(|queues| queues.messages(DEAD).len());
    assert_eq!(
        dead,
        0,
        "messages in the dead-letter queue; receives: {:?}",
        receives(server)
    );
}

/// Fails if an expected eventID is missing.
pub fn assert_all(read: &[String], expected: &[String]) {
    let read: HashSet<_> = read.iter().collect();
    let missing: Vec<_> = expected.iter().filter(|id| !read.contains(id)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} are lost, first {:?}",
        missing.len(),
        expected.len(),
        some(&missing)
    );
}

/// Fails unless exactly these eventIDs were delivered, each once.
pub fn assert_once(read: &[String], expected: &[String]) {
    assert_all(read, expected);
    let allowed: HashSet<_> = expected.iter().collect();
    let mut seen = HashSet::new();
    let extra: Vec<_> = read
        .iter()
        .filter(|id| !seen.insert(*id) || !allowed.contains(id))
        .collect();
    assert!(
        extra.is_empty(),
        "{} unexpected or repeated records beside the {} expected ones, first {:?}",
        extra.len(),
        expected.len(),
        some(&extra)
    );
}

fn some<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(5)]
}

/// Warnings and errors, except those about keys without effect: all scenarios share their settings.
pub fn complaints(feed: &Feed) -> Vec<String> {
    let lines = feed.logged(Severity::Warning).into_iter();
    lines
        .filter(|line| !line.contains("has no effect for"))
        .collect()
}

/// Fails unless one line contains all of `parts`.
pub fn assert_line(lines: &[String], parts: &[&str]) {
    let matches = |line: &&String| parts.iter().all(|part| line.contains(part));
    assert!(
        lines.iter().any(|line| matches(&line)),
        "no line has {parts:?}: {lines:#?}"
    );
}

/// Fails unless each name is in some line.
pub fn assert_named(lines: &[String], names: &[String]) {
    let text = lines.join("\n");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !text.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} are not named, among them {:?}; last lines: {:#?}",
        missing.len(),
        names.len(),
        missing[0],
        &lines[lines.len().saturating_sub(5)..]
    );
}

/// Waits without reading until `done` holds.
pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(
            Instant::now() < end,
            "{what} does not happen within {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
