//! `close` in the middle of every stall, and what it returns to the queue.
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use crate::aws::feed::Feed;
use crate::harness::text_of;
use crate::server::FaultServer;
use crate::server::fault::{Fault, Rule};
use crate::setup::{NAME, bucket_and_queue, key, notification, send, settings, wait_for};

/// One second is promised; the rest is for a busy machine.
const LIMIT: Duration = Duration::from_secs(2);

/// A kind of stall: source, the request that stalls, and how.
struct Stall {
    source: &'static str,
    operation: &'static str,
    fault: Option<Fault>,
}

fn stall(source: &'static str, operation: &'static str, fault: Fault) -> Stall {
    Stall {
        source,
        operation,
        fault: Some(fault),
    }
}

fn stalls() -> Vec<Stall> {
    let mut stalls = vec![
        stall("s3", "GetObject", Fault::Hang),
        stall("s3", "GetObject", Fault::HangAfter(50)),
        stall("s3", "GetObject", Fault::Refuse(503, "SlowDown")),
        stall("s3", "GetObject", Fault::Refuse(403, "AccessDenied")),
        stall("sqs", "GetObject", Fault::Hang),
        stall("sqs", "GetObject", Fault::HangAfter(50)),
        stall("sqs", "GetObject", Fault::Refuse(503, "SlowDown")),
        stall("sqs", "GetObject", Fault::Refuse(403, "AccessDenied")),
        stall("sqs", "ReceiveMessage", Fault::Hang),
        stall("sqs", "DeleteMessageBatch", Fault::Hang),
        stall(
            "sqs",
            "DeleteMessageBatch",
            Fault::Refuse(503, "ServiceUnavailable"),
        ),
        stall("sqs", "ChangeMessageVisibilityBatch", Fault::Hang),
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

/// How long the close takes.
fn close_in(stall: &Stall) -> Duration {
    let server = bucket_and_queue(30, 100);
    send(&server, 0..30);
    if stall.operation == "ChangeMessageVisibilityBatch" {
        // Else there is nothing to extend.
        server.fault(Rule::of("GetObject", Fault::Hang));
    }
    let rule = stall
        .fault
        .clone()
        .map(|fault| Rule::of(stall.operation, fault));
    match (rule, stall.operation) {
        // Opening receives once.
        (Some(rule), "ReceiveMessage") => server.fault(rule.after(1)),
        (Some(rule), _) => server.fault(rule),
        // The network goes down in the middle of the downloads.
        (None, _) => server.fault(Rule::of("GetObject", Fault::Delay(Duration::from_secs(1)))),
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
    assert!(reached, "no {} comes", stall.operation);
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
    // Few at a time, because the time of each is measured.
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

/// Objects fail, the source is to end with an error, and the host closes it without asking for a batch.
pub fn without_a_call_of_next_batch() {
    let server: FaultServer = bucket_and_queue(10, 100);
    send(&server, 0..10);
    server.fault(Rule::of("GetObject", Fault::Refuse(404, "NoSuchKey")));
    let feed = Feed::new(&settings(&server).with("s3OnError", "fail"));
    for params in [format!("sqs://{NAME}"), format!("s3://{NAME}/logs/")] {
        let reading = feed.open(&params);
        thread::sleep(Duration::from_secs(3));
        let start = Instant::now();
        drop(reading);
        let took = start.elapsed();
        assert!(took < LIMIT, "{params}: {took:?}");
    }
}

/// At the first and second receive at once, later after 60 s for each receive.
pub fn returns_messages() {
    let server = bucket_and_queue(3, 100);
    let names = server.sqs(|queues| {
        let send = |number: u32| {
            let body = notification([key(number as usize)]);
            queues.send_as(NAME, body, |message| message.receives = number)
        };
        (0..3).map(send).collect::<Vec<_>>()
    });
    server.fault(Rule::of("GetObject", Fault::Hang));
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
    // The request may be under way when the close returns.
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
