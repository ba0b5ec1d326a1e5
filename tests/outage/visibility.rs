//! Extensions of the visibility timeout, and deletions, with a queue that is slow or refuses them.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{
    NAME, RECOVERY, VISIBILITY, Watched, assert_all, assert_line, assert_no_dead_letters,
    assert_once, bucket, bucket_and_queue, complaints, ids, key, notification, receives, send,
    settings,
};

/// Longer than the visibility timeout, shorter than any client's timeout.
const LONG: Duration = Duration::from_secs(7);

/// One extension request never ends. Only its own messages may become visible.
pub fn request_is_stuck() {
    let server = bucket_and_queue(30, 100);
    send(&server, 0..30);
    server.fault(ServerRule::of("GetObject", ServerFault::Delay(LONG)));
    for operation in ["ChangeMessageVisibilityBatch", "ChangeMessageVisibility"] {
        server.fault(ServerRule::of(operation, ServerFault::Hang).times(1));
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_all(&watched.reading.ids, &ids(30));
    let changes = ["ChangeMessageVisibilityBatch", "ChangeMessageVisibility"]
        .iter()
        .flat_map(|operation| server.requests(operation));
    let stuck: Vec<_> = changes
        .filter(|request| request.faulted)
        .map(|request| request.body)
        .collect();
    assert!(!stuck.is_empty(), "no extension was requested");
    let lines = complaints(&feed);
    let lines = lines
        .iter()
        .filter(|line| line.contains("cannot be extended now"));
    let named = lines.clone().any(|line| {
        let messages = line.rsplit("for ").next().unwrap_or_default().split(", ");
        messages
            .clone()
            .all(|id| stuck.iter().any(|body| body.contains(id)))
    });
    assert!(named, "{:#?}", lines.collect::<Vec<_>>());
    let lapsed = server.sqs(|queues| {
        let messages = queues.messages(NAME).iter();
        let others =
            messages.filter(|message| !stuck.iter().any(|body| body.contains(&message.id)));
        others.filter(|message| message.receives > 1).count()
    });
    assert_eq!(
        lapsed, 0,
        "other messages became visible because of the stuck request"
    );
}

/// One line when it begins, for each cause: the queue's answer, or none in time. One when it ends.
pub fn extensions_fail_for_long() {
    let server = bucket_and_queue(20, 100);
    send(&server, 0..20);
    server.fault(ServerRule::of(
        "GetObject",
        ServerFault::Refuse(503, "ServiceUnavailable"),
    ));
    let outage = Duration::from_secs(12);
    server.fault(
        ServerRule::of(
            "ChangeMessageVisibilityBatch",
            ServerFault::Refuse(500, "InternalError"),
        )
        .within(Duration::ZERO..outage),
    );
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let count = |text: &str| {
        let lines = feed.logged(Severity::Info);
        lines.iter().filter(|line| line.contains(text)).count()
    };
    let ended = watched.until(RECOVERY, |_| {
        count("visibility timeouts are extended again after") > 0
    });
    assert!(ended, "{:#?}", feed.logged(Severity::Info));
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_all(&watched.reading.ids, &ids(20));
    let failed = server.requests("ChangeMessageVisibilityBatch");
    let failed = failed.iter().filter(|request| request.faulted).count();
    assert!(failed > 5, "{failed} requests failed");
    let begun = count("visibility timeouts cannot be extended now");
    assert!((1..=2).contains(&begun), "{:#?}", complaints(&feed));
}

pub fn extension_is_denied() {
    let server = bucket_and_queue(3, 100);
    send(&server, 0..3);
    // The first download takes longer than the visibility timeout, later ones do not.
    server.fault(ServerRule::of("GetObject", ServerFault::Delay(LONG)).times(3));
    for operation in ["ChangeMessageVisibilityBatch", "ChangeMessageVisibility"] {
        server.fault(ServerRule::of(
            operation,
            ServerFault::Refuse(403, "AccessDenied"),
        ));
    }
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_all(&watched.reading.ids, &ids(3));
    let denied: Vec<_> = complaints(&feed)
        .into_iter()
        .filter(|line| line.contains("ChangeMessageVisibility") && line.contains("Denied"))
        .collect();
    assert_eq!(
        denied.len(),
        1,
        "one line says that extensions are denied: {:#?}",
        complaints(&feed)
    );
    assert!(
        feed.metric("messages.lost") >= 3,
        "lapsed messages are counted"
    );
}

/// A FIFO queue refuses a deletion with an expired handle: the message is received again.
pub fn lapses_in_a_fifo_queue() {
    const FIFO: &str = "trail.fifo";
    let server = bucket(4);
    server.sqs(|queues| {
        queues.create(FIFO, Duration::from_secs(4));
        for number in 0..4 {
            let group = format!("group-{}", number % 2);
            let body = notification([key(number)]);
            queues.send_as(FIFO, body, |message| message.group = Some(group));
        }
    });
    server.fault(ServerRule::of("GetObject", ServerFault::Delay(Duration::from_secs(7))).times(1));
    for operation in ["ChangeMessageVisibilityBatch", "ChangeMessageVisibility"] {
        server.fault(
            ServerRule::of(operation, ServerFault::Refuse(500, "InternalError"))
                .within(Duration::ZERO..Duration::from_secs(9)),
        );
    }
    let feed = Feed::new(&settings(&server));
    let mut reading = feed.open(&format!("sqs://{FIFO}"));
    let left = || server.sqs(|queues| queues.left(FIFO));
    reading.until(RECOVERY, |_| left() == 0);
    assert_eq!(left(), 0, "messages are left");
    assert_all(&reading.ids, &ids(4));
}

fn received_mode(server: &FaultServer) -> Feed {
    Feed::new(&settings(server).with("sqsDeleteWhen", "received"))
}

/// Extending a deleted message is an error at the queue.
pub fn of_deleted_messages_is_left_alone() {
    let server = bucket_and_queue(12, 100);
    send(&server, 0..12);
    server.fault(ServerRule::of("GetObject", ServerFault::Delay(LONG)));
    let feed = received_mode(&server);
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    reading.until(RECOVERY, |ids| ids.len() >= 12);
    assert_once(&reading.ids, &ids(12));
    let changes = server.sqs(|queues| queues.visibility_changes.clone());
    assert!(
        changes.is_empty(),
        "{} changes of visibility, the first: {:?}",
        changes.len(),
        changes[0]
    );
    assert_eq!(feed.metric("messages.lost"), 0, "{:#?}", complaints(&feed));
}

/// A deletion that takes longer than the limit of open loses no record.
pub fn received_mode_with_slow_deletions() {
    let server = bucket(40);
    server.sqs(|queues| queues.create(NAME, Duration::from_secs(60)));
    send(&server, 0..20);
    let slow = ServerFault::Delay(Duration::from_secs(7));
    server.fault(ServerRule::of("DeleteMessageBatch", slow.clone()));
    server.fault(ServerRule::of("DeleteMessage", slow));
    let feed = received_mode(&server);
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    send(&server, 20..40);
    reading.until(RECOVERY, |ids| ids.len() >= 40);
    assert_once(&reading.ids, &ids(40));
    assert_eq!(feed.metric("messages.lost"), 0, "{:#?}", complaints(&feed));
}

/// Neither deletions nor extensions work for more than a visibility timeout. Delivered messages become visible, and their
/// next receive only deletes them.
pub fn delivered_messages_that_are_received_again_are_deleted() {
    let server = bucket_and_queue(30, 3);
    send(&server, 0..30);
    let outage = Duration::ZERO..Duration::from_secs(VISIBILITY + 2);
    let refused = ServerFault::RefuseEntries("ReceiptHandleIsInvalid");
    server.fault(ServerRule::of("DeleteMessageBatch", refused).within(outage.clone()));
    let failed = ServerFault::Refuse(500, "InternalError");
    server.fault(ServerRule::of("ChangeMessageVisibilityBatch", failed).within(outage.clone()));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.during(outage.end);
    let received = receives(&server);
    assert!(received.keys().any(|times| *times > 1), "{received:?}");
    watched.until_empty(Duration::from_secs(15));
    assert_once(&watched.reading.ids, &ids(30));
    assert_no_dead_letters(&server);
    assert_eq!(feed.metric("messages.deleted"), 30);
}

/// Messages that name more objects than may wait: the oldest is given up, and cannot be received again.
pub fn received_mode_names_what_is_given_up() {
    const FIFO: &str = "trail.fifo";
    let server = bucket(1);
    let ids: Vec<String> = server.sqs(|queues| {
        queues.create(FIFO, Duration::from_secs(60));
        let messages = (0..2).map(|message| {
            let keys = (0..60).map(|number| format!("logs/{message}-{number}.json.gz"));
            let body = notification(keys);
            let group = Some(format!("group-{message}"));
            queues.send_as(FIFO, body, |message| message.group = group)
        });
        messages.collect()
    });
    server.fault(ServerRule::of(
        "s3",
        ServerFault::Refuse(503, "ServiceUnavailable"),
    ));
    let feed = received_mode(&server);
    let mut reading = feed.open(&format!("sqs://{FIFO}"));
    let named = |feed: &Feed| {
        let lines = complaints(feed).into_iter();
        let lines = lines.filter(|line| line.contains("60 of its 60 objects are given up"));
        lines.collect::<Vec<_>>()
    };
    reading.until(RECOVERY, |_| !named(&feed).is_empty());
    let lines = named(&feed);
    assert_eq!(lines.len(), 1, "{:#?}", complaints(&feed));
    assert!(ids.iter().any(|id| lines[0].contains(id)), "{lines:?}");
}

pub fn received_mode_names_what_is_not_read_at_close() {
    let server = bucket_and_queue(4, 2);
    server
        .fault(ServerRule::of("GetObject", ServerFault::Refuse(500, "InternalError")).path(key(2)));
    let ids: Vec<String> = server.sqs(|queues| {
        let send = |number| queues.send(NAME, notification([key(number)]));
        (0..4).map(send).collect()
    });
    let feed = received_mode(&server);
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    assert!(reading.until(RECOVERY, |read| read.len() == 3));
    drop(reading);
    let lines = complaints(&feed);
    let named = |id: &String| {
        lines
            .iter()
            .any(|line| line.contains(id) && line.contains("closes"))
    };
    let named: Vec<usize> = (0..4).filter(|number| named(&ids[*number])).collect();
    assert_eq!(named, [2], "{lines:#?}");
}

pub fn deletions_fail_in_part() {
    let server = bucket_and_queue(40, 2);
    send(&server, 0..40);
    let refused = ServerFault::RefuseSomeEntries("InternalError");
    server.fault(ServerRule::of("DeleteMessageBatch", refused).times(4));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(40));
    assert_no_dead_letters(&server);
    assert_eq!(receives(&server), [(1, 40)].into());
    assert_line(&complaints(&feed), &["InternalError"]);
    assert_eq!(feed.metric("messages.deleted"), 40);
}

/// The queue calls valid handles invalid for five visibility timeouts. Delivered messages stay hidden, which costs no
/// receive, and are deleted soon after.
pub fn deletions_are_refused_in_part() {
    let server = bucket_and_queue(100, 2);
    send(&server, 0..100);
    let refused = ServerFault::RefuseSomeEntries("ReceiptHandleIsInvalid");
    let outage = Duration::from_secs(20);
    server.fault(ServerRule::of("DeleteMessageBatch", refused).within(Duration::ZERO..outage));
    let feed = Feed::new(&settings(&server).with("sqsVisibilityTimeout", 3));
    let mut watched = Watched::open(&feed, &server);
    watched.during(outage);
    watched.until_empty(Duration::from_secs(15));
    assert_once(&watched.reading.ids, &ids(100));
    assert_no_dead_letters(&server);
    assert_eq!(receives(&server), [(1, 100)].into());
    let lines = complaints(&feed);
    assert_line(&lines, &["ReceiptHandleIsInvalid", "retried"]);
    server.sqs(|queues| {
        let refused = lines
            .iter()
            .filter(|line| line.contains("ReceiptHandleIsInvalid"));
        for line in refused {
            let mut messages = queues.messages(NAME).iter();
            assert!(messages.any(|message| line.contains(&message.id)), "{line}");
        }
    });
    assert_eq!(feed.metric("messages.deleted"), 100);
}

/// A message that stays although it was to be deleted on receipt will be delivered again.
pub fn received_mode_names_what_stays() {
    let server = bucket_and_queue(3, 100);
    send(&server, 0..3);
    let names = server.sqs(|queues| {
        let messages = queues.messages(NAME).iter();
        messages
            .map(|message| message.id.clone())
            .collect::<Vec<_>>()
    });
    server.fault(ServerRule::of(
        "DeleteMessageBatch",
        ServerFault::RefuseEntries("InternalError"),
    ));
    let feed = Feed::new(
        &settings(&server)
            .with("sqsVisibilityTimeout", 60)
            .with("sqsDeleteWhen", "received"),
    );
    let mut reading = feed.open(&format!("sqs://{NAME}"));
    let stays = |name: &String| {
        let lines = complaints(&feed);
        let mut lines = lines.iter();
        lines.any(|line| {
            line.contains(name) && line.contains("not deleted on receipt after 5 tries")
        })
    };
    reading.until(RECOVERY, |_| names.iter().all(stays));
    assert!(names.iter().all(stays), "{:#?}", complaints(&feed));
    assert_once(&reading.ids, &ids(3));
}

pub fn messages_without_receipt_handles() {
    let server = bucket_and_queue(5, 100_000);
    send(&server, 0..5);
    server.fault(ServerRule::of(
        "ReceiveMessage",
        ServerFault::NoReceiptHandles,
    ));
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    let (start, before) = (Instant::now(), server.count("ReceiveMessage"));
    watched.during(Duration::from_secs(4));
    let receives = server.count("ReceiveMessage") - before;
    let seconds = start.elapsed().as_secs_f64();
    assert!(receives < 60, "{receives} receives in {seconds:.1} s");
    let names = server.sqs(|queues| {
        let messages = queues.messages(NAME).iter();
        messages
            .map(|message| message.id.clone())
            .collect::<Vec<_>>()
    });
    for name in names {
        let lines = complaints(&feed);
        let named = lines.iter().filter(|line| line.contains(&name));
        assert_eq!(named.count(), 1, "{name}: {lines:#?}");
    }
    server.end_faults();
    watched.until_empty(RECOVERY);
    assert_all(&watched.reading.ids, &ids(5));
}
