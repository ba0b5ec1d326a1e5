//! Close during every kind of stall, and the messages that it returns to the queue.
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use crate::aws::feed::Feed;
use crate::harness::text_of;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{NAME, bucket_and_queue, key, notification, send, settings, wait_for};

/// Close takes at most one second; the rest is for a busy machine.
const LIMIT: Duration = Duration::from_secs(2);

/// A kind of stall: the source, the request that stalls, and its fault.
struct Stall {
    source: &'static str,
    operation: &'static str,
    fault: Option<ServerFault>,
}

fn stall(source: &'static str, operation: &'static str, fault: ServerFault) -> Stall {
    Stall {
        source,
        operation,
        fault: Some(fault),
    }
}

fn stalls() -> Vec<Stall> {
    let mut stalls = vec![
        stall("s3", "GetObject", ServerFault::Hang),
        stall("s3", "GetObject", ServerFault::HangAfter(50)),
        stall("s3", "GetObject", ServerFault::Refuse(503, "SlowDown")),
        stall("s3", "GetObject", ServerFault::Refuse(403, "AccessDenied")),
        stall("sqs", "GetObject", ServerFault::Hang),
        stall("sqs", "GetObject", ServerFault::HangAfter(50)),
        stall("sqs", "GetObject", ServerFault::Refuse(503, "SlowDown")),
        stall("sqs", "GetObject", ServerFault::Refuse(403, "AccessDenied")),
        stall("sqs", "ReceiveMessage", ServerFault::Hang),
        stall("sqs", "DeleteMessageBatch", ServerFault::Hang),
        stall(
            "sqs",
            "DeleteMessageBatch",
            ServerFault::Refuse(503, "ServiceUnavailable"),
        ),
        stall("sqs", "ChangeMessageVisibilityBatch", ServerFault::Hang),
    ];
    for source in ["s3", "sqs"] {
        stalls.push(Stall {
            source,
            operation: "GetObject",
            fault: None,
        });
    }
    stalls
}

/// Measures the close.
fn close_in(stall: &Stall) -> Duration {
    let server = bucket_and_queue(30, 100);
    send(&server, 0..30);
    if stall.operation == "ChangeMessageVisibilityBatch" {
        // Otherwise there is nothing to extend.
        server.fault(ServerRule::of("GetObject", ServerFault::Hang));
    }
    let rule = stall
        .fault
        .clone()
        .map(|fault| ServerRule::of(stall.operation, fault));
    match (rule, stall.operation) {
        // Opening receives once.
        (Some(rule), "ReceiveMessage") => server.fault(rule.after(1)),
        (Some(rule), _) => server.fault(rule),
        // The network goes down in the middle of the downloads.
        (None, _) => server.fault(ServerRule::of(
            "GetObject",
            ServerFault::Delay(Duration::from_secs(1)),
        )),
    }
    let feed = Feed::new(&settings(&server));
    let params = match stall.source {
        "s3" => format!("s3://{NAME}/logs/"),
        source => format!("{source}://{NAME}"),
    };
    let mut reading = feed.open(&params);
    let reached = reading.until(Duration::from_secs(20), |_| {
        let seen = server.requests(stall.operation);
        seen.iter().any(|request| request.faulted)
    });
    assert!(reached, "no request {}", stall.operation);
    if stall.fault.is_none() {
        server.set_network(false);
    }
    reading.during(Duration::from_secs(1));
    let start = Instant::now();
    drop(reading);
    start.elapsed()
}

pub fn is_quick_under_every_stall() {
    let mut slow = Vec::new();
    // Few at a time, because each close is timed.
    for some in stalls().chunks(4) {
        thread::scope(|scope| {
            let closes: Vec<_> = some
                .iter()
                .map(|stall| scope.spawn(|| close_in(stall)))
                .collect();
            for (stall, close) in some.iter().zip(closes) {
                let name = format!("{} in {} {:?}", stall.operation, stall.source, stall.fault);
                match close.join() {
                    Ok(took) if took < LIMIT => {}
                    Ok(took) => slow.push(format!("{name}: {took:?}")),
                    Err(panic) => slow.push(format!("{name}: {}", text_of(&*panic))),
                }
            }
        });
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The source fails on its first object, more failures fill its channels, and the host never calls `next_batch`.
pub fn without_a_call_of_next_batch() {
    let server: FaultServer = bucket_and_queue(40, 100);
    send(&server, 0..40);
    server.fault(ServerRule::of(
        "GetObject",
        ServerFault::Refuse(404, "NoSuchKey"),
    ));
    let feed = Feed::new(&settings(&server).with("s3OnError", "fail"));
    for params in [format!("sqs://{NAME}"), format!("s3://{NAME}/logs/")] {
        let reading = feed.open(&params);
        let before = feed.metric("errors.fetch");
        wait_for("nine failed objects", Duration::from_secs(20), || {
            feed.metric("errors.fetch") >= before + 9
        });
        thread::sleep(Duration::from_millis(200));
        let start = Instant::now();
        drop(reading);
        let took = start.elapsed();
        assert!(took < LIMIT, "{params}: {took:?}");
        assert_eq!(feed.metric("buffered_bytes"), 0, "{params}");
    }
}

/// Messages of the first and second receive are visible at once, later ones after 60 s per receive.
pub fn returns_messages() {
    let server = bucket_and_queue(3, 100);
    let names = server.sqs(|queues| {
        let send = |number: u32| {
            let body = notification([key(number as usize)]);
            queues.send_as(NAME, body, |message| message.receives = number)
        };
        (0..3).map(send).collect::<Vec<_>>()
    });
    server.fault(ServerRule::of("GetObject", ServerFault::Hang));
    let feed = Feed::new(&settings(&server));
    let reading = feed.open(&format!("sqs://{NAME}"));
    wait_for("a download of each", Duration::from_secs(20), || {
        server.count("GetObject") >= 3
    });
    drop(reading);
    let last = |name: &String| {
        server.sqs(|queues| {
            let changes = queues.visibility_changes.iter().rev();
            let mut of_message = changes.filter(|change| change.message == *name);
            of_message
                .next()
                .map(|change| (change.receives, change.timeout, change.error))
        })
    };
    // The request may be in progress when the close returns.
    let end = Instant::now() + LIMIT;
    while names.iter().any(|name| last(name).is_none()) && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    let returned: Vec<_> = names.iter().map(last).collect();
    let expected = [(1, 0, None), (2, 0, None), (3, 180, None)].map(Some);
    assert_eq!(
        returned, expected,
        "receives, timeout and refusal of each message's last change"
    );
}
