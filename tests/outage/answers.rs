//! Answers of the queue that are malformed, incomplete, or none: nothing is lost, and everything is named.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::Severity;
use serde_json::{Value, json};

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::http::Answer;
use crate::setup::{
    NAME, RECOVERY, Watched, assert_line, assert_no_dead_letters, assert_once, bucket_and_queue,
    complaints, id, ids, key, notification, receives, send, settings,
};
use crate::support::scratch::gzip;

/// Messages of which some are received malformed, by the number of their object.
const MALFORMED: [(usize, &str); 5] = [
    (1, "Body is a number instead of a string"),
    (2, "ReceiptHandle is missing"),
    (3, "Body is missing"),
    (4, "Body has characters that are not Unicode"),
    (5, "ReceiptHandle is a list instead of a string"),
];

/// All others are sound, or lack only what is not needed.
const SOUND: [usize; 5] = [0, 6, 7, 8, 9];

fn changed(answer: Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let mut body = serde_json::from_slice(&answer.body).expect("JSON");
    change(&mut body);
    answer.with_body(body.to_string())
}

/// Makes the same messages malformed at each receive, and adds what is no message.
fn malformed(answer: Answer) -> Answer {
    let answer = changed(answer, |body| {
        let Some(messages) = body["Messages"].as_array_mut() else {
            return;
        };
        for message in messages.iter_mut() {
            let text = message["Body"].as_str().expect("a body").to_owned();
            let number = (0..10).find(|number| text.contains(&key(*number)));
            match number {
                Some(1) => message["Body"] = json!(17),
                Some(2) => message["ReceiptHandle"] = Value::Null,
                Some(3) => message["Body"] = Value::Null,
                Some(4) => message["Body"] = json!("REPLACED"),
                Some(5) => message["ReceiptHandle"] = json!(["handle"]),
                Some(6) => message["Attributes"] = json!([]),
                Some(7) => message["MessageId"] = json!({}),
                _ => {}
            }
        }
        messages.insert(0, Value::Null);
    });
    let text = String::from_utf8_lossy(&answer.body).replace("REPLACED", "\\ud800");
    answer.with_body(text)
}

fn named<'l>(lines: &'l [String], id: &str) -> Vec<&'l String> {
    lines.iter().filter(|line| line.contains(id)).collect()
}

/// Reads a queue of ten messages whose answers are [`malformed`].
fn read_malformed(server: &FaultServer) {
    let names: Vec<String> = server.sqs(|queues| {
        let send = |number| queues.send(NAME, notification([key(number)]));
        (0..10).map(send).collect()
    });
    server.fault(ServerRule::of(
        "ReceiveMessage",
        ServerFault::Change(malformed),
    ));
    let feed = Feed::new(&settings(server));
    let mut watched = Watched::open(&feed, server);
    // Two visibility timeouts: the malformed ones are received again.
    watched.during(Duration::from_secs(9));
    assert_once(&watched.reading.ids, &SOUND.map(id));
    let lines = complaints(&feed);
    for (number, problem) in MALFORMED {
        let named = named(&lines, &names[number]);
        assert_eq!(named.len(), 1, "{problem}: {lines:#?}");
        assert!(named[0].contains(problem), "{problem}: {named:?}");
        assert!(named[0].contains("left in the queue"), "{named:?}");
    }
    assert_line(&lines, &[&names[6], "Attributes is a list"]);
    assert_line(&lines, &["the message is null instead of an object"]);
    assert_line(&lines, &["MessageId is an object"]);
    assert!(feed.metric("messages.unknown") >= MALFORMED.len() as u64);
    server.sqs(|queues| {
        for number in SOUND {
            let message = queues.messages(NAME).iter();
            let received = message.clone().find(|message| message.id == names[number]);
            assert_eq!(received.expect("a message").receives, 1, "{number}");
        }
        let deleted = |number: &usize| queues.deletions.contains(&names[*number]);
        assert!(SOUND.iter().all(deleted));
        assert!(!MALFORMED.iter().any(|(number, _)| deleted(number)));
    });
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(10));
}

pub fn with_malformed_messages_cost_no_other() {
    read_malformed(&bucket_and_queue(10, 1000));
}

/// The answer to a second attempt is read as that to the first one.
pub fn with_malformed_messages_after_a_failed_request() {
    let server = bucket_and_queue(10, 1000);
    let failed = ServerFault::Refuse(503, "ServiceUnavailable");
    server.fault(ServerRule::of("ReceiveMessage", failed).times(1));
    read_malformed(&server);
}

/// Each is reported, once a minute, and none counts as a queue without messages.
pub fn that_are_none_are_failures_of_the_queue() {
    type Change = fn(Answer) -> Answer;
    let kinds: [(Change, &str); 8] = [
        (|answer| answer.with_body(""), "the answer is empty"),
        (
            |answer| answer.with_status(204, "No Content").with_body(""),
            "the answer is empty (HTTP 204)",
        ),
        (
            |answer| answer.with_body(r#"{"__type":"com.amazonaws.sqs#Oops","message":"m"}"#),
            "the answer is the error document \"com.amazonaws.sqs#Oops\"",
        ),
        (
            |answer| answer.with_body("<html><body>Please wait</body></html>"),
            "the answer is cut off or malformed",
        ),
        (
            |answer| answer.with_body(r#"{"status":"ok"}"#),
            "the answer is JSON without the members of one",
        ),
        (
            |answer| answer.with_body(r#"{"Messages":{}}"#),
            "the answer has an object as Messages instead of a list",
        ),
        (
            |answer| answer.with_body("[]"),
            "the answer is cut off or malformed",
        ),
        (
            |answer| {
                let body = gzip(b"{}");
                answer.with("content-encoding", "gzip").with_body(body)
            },
            "the answer has Content-Encoding \"gzip\", which was not requested",
        ),
    ];
    let server = bucket_and_queue(5, 2);
    let feed = Feed::new(&settings(&server).with("sqsWaitSeconds", 0));
    let mut watched = Watched::open(&feed, &server);
    for (change, problem) in kinds {
        let reported = || {
            let lines = complaints(&feed);
            let lines = lines.iter().filter(|line| {
                line.contains("messages cannot be received, retrying") && line.contains(problem)
            });
            lines.count()
        };
        let (is_known, errors) = (reported() == 1, feed.metric("errors.queue"));
        server.fault(ServerRule::of(
            "ReceiveMessage",
            ServerFault::Change(change),
        ));
        let failed = || feed.metric("errors.queue") > errors && reported() > 0;
        assert!(
            watched.until(RECOVERY, |_| failed()),
            "{problem}: {:#?}",
            complaints(&feed)
        );
        assert_eq!(reported(), 1, "{problem}: {:#?}", complaints(&feed));
        if is_known {
            server.end_faults();
            continue;
        }
        let again = || {
            let lines = feed.logged(Severity::Info).into_iter();
            let lines = lines.filter(|line| line.contains("messages are received again"));
            lines.count()
        };
        let before = again();
        server.end_faults();
        // Otherwise the pauses would grow from kind to kind.
        assert!(watched.until(RECOVERY, |_| again() > before));
    }
    send(&server, 0..5);
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(5));
    assert_eq!(receives(&server), [(1, 5)].into());
    assert!(feed.metric("errors.queue") >= 8);
}

pub fn without_messages_are_no_failure() {
    let server = bucket_and_queue(5, 2);
    let answers: [fn(Answer) -> Answer; 3] = [
        |answer| answer.with_body("{}"),
        |answer| answer.with_body(r#"{"Messages":[]}"#),
        |answer| answer.with_body(r#"{"Messages":null}"#),
    ];
    let feed = Feed::new(&settings(&server).with("sqsWaitSeconds", 0));
    let mut watched = Watched::open(&feed, &server);
    for answer in answers {
        server.fault(ServerRule::of(
            "ReceiveMessage",
            ServerFault::Change(answer),
        ));
        watched.during(Duration::from_secs(2));
        server.end_faults();
    }
    send(&server, 0..5);
    watched.until_empty(RECOVERY);
    assert_eq!(complaints(&feed), [""; 0]);
    assert_eq!(feed.metric("errors.queue"), 0);
}

fn without_first(answer: Answer) -> Answer {
    changed(answer, |body| {
        let successful = body["Successful"].as_array_mut().expect("a list");
        successful.remove(0);
    })
}

fn without_lists(answer: Answer) -> Answer {
    changed(answer, |body| {
        *body = json!({"Successful": null, "Failed": null})
    })
}

/// Entries that an answer leaves out are deleted again, and counted once.
pub fn to_deletions_are_incomplete() {
    let server = bucket_and_queue(20, 2);
    send(&server, 0..20);
    let changes: [fn(Answer) -> Answer; 4] = [
        without_first,
        without_lists,
        |answer| answer.with_body(r#"{"Successful":[null,{"Id":7}],"Failed":[]}"#),
        |answer| answer.with_body("{}"),
    ];
    for change in changes {
        server.fault(ServerRule::of("DeleteMessageBatch", ServerFault::Change(change)).times(1));
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let settled = |feed: &Feed| feed.metric("messages.deleted") == 20;
    assert!(watched.until(RECOVERY, |_| settled(&feed)));
    watched.during(Duration::from_secs(1));
    assert_once(&watched.reading.ids, &ids(20));
    assert_eq!(receives(&server), [(1, 20)].into());
    assert_no_dead_letters(&server);
    assert_eq!(feed.metric("messages.deleted"), 20);
    let lines = complaints(&feed);
    let names: Vec<String> = server.sqs(|queues| {
        let messages = queues.messages(NAME).iter();
        messages.map(|message| message.id.clone()).collect()
    });
    let left_out = lines
        .iter()
        .find(|line| line.contains("cannot be deleted: the answer does not name it"));
    let left_out = left_out.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(
        names.iter().any(|name| left_out.contains(name)),
        "{left_out}"
    );
    assert_line(
        &lines,
        &[
            "messages cannot be deleted",
            "the answer leaves messages out",
        ],
    );
}

/// An answer that names entries twice, in both lists, or that are not in the request.
pub fn to_deletions_contradict_themselves() {
    let server = bucket_and_queue(20, 2);
    send(&server, 0..20);
    let changes: [fn(Answer) -> Answer; 3] = [
        |answer| {
            changed(answer, |body| {
                let successful = body["Successful"].as_array_mut().expect("a list");
                let again = successful.clone();
                successful.extend(again);
            })
        },
        |answer| {
            changed(answer, |body| {
                let both = json!({"Id": "0", "Code": "InternalError", "SenderFault": false});
                body["Failed"] = json!([both]);
            })
        },
        |answer| {
            changed(answer, |body| {
                let successful = body["Successful"].as_array_mut().expect("a list");
                successful.extend(["77", "-1", "+0", "x"].map(|id| json!({"Id": id})));
            })
        },
    ];
    for change in changes {
        server.fault(ServerRule::of("DeleteMessageBatch", ServerFault::Change(change)).times(1));
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    // More requests than rules.
    for number in 0..4 {
        send(&server, [number]);
        watched.until_empty(RECOVERY);
    }
    let settled = |feed: &Feed| feed.metric("messages.deleted") == 24;
    assert!(watched.until(RECOVERY, |_| settled(&feed)));
    watched.during(Duration::from_secs(1));
    assert_eq!(receives(&server), [(1, 24)].into());
    assert_eq!(feed.metric("messages.deleted"), 24);
    let lines = complaints(&feed);
    assert_line(&lines, &["messages cannot be deleted", "InternalError"]);
    for id in ["77", "-1", "+0", "x"] {
        assert_line(&lines, &["was not in the request", &format!("{id:?}")]);
    }
}

/// Messages that an answer leaves out are named and extended again, in time.
pub fn to_extensions_are_incomplete() {
    let server = bucket_and_queue(10, 2);
    send(&server, 0..10);
    server.fault(ServerRule::of(
        "GetObject",
        ServerFault::Delay(Duration::from_secs(7)),
    ));
    let changes: [fn(Answer) -> Answer; 2] = [without_lists, without_first];
    for change in changes {
        let changed = ServerFault::Change(change);
        server.fault(ServerRule::of("ChangeMessageVisibilityBatch", changed).times(1));
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(10));
    assert_eq!(receives(&server), [(1, 10)].into());
    let lines = complaints(&feed);
    let names: Vec<String> = server.sqs(|queues| {
        let messages = queues.messages(NAME).iter();
        messages.map(|message| message.id.clone()).collect()
    });
    let named = |name: &String| {
        let mut lines = lines.iter();
        lines.any(|line| line.contains("cannot be changed") && line.contains(name))
    };
    assert!(names.iter().any(named), "{lines:#?}");
    assert_eq!(feed.metric("messages.lost"), 0);
}
