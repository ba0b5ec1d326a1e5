//! Sources through the library: open, batches, end, close, several instances, metrics and progress.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cloudtrail::host::{
    Capture, MetricKind, MetricValue, OwnedEvent, OwnedValue as Value, Plugin, Status,
};
use support::field_reader::FieldReader;
use support::scratch::{Scratch, gzip, plain_log};

#[test]
fn library_identifies_itself() {
    let plugin = support::plugin("");
    let info = plugin.info();
    assert_eq!(info.name, "cloudtrail");
    assert_eq!(info.id, 2);
    assert_eq!(info.event_source, "aws_cloudtrail");
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(info.required_api_version, "3.11.0");
}

#[test]
fn source_can_be_read_repeatedly() {
    let plugin = support::plugin("");
    let logs = support::testdata("logs");
    let first = support::payloads(&plugin, &logs);
    assert!(first.len() > 50);
    for _ in 0..5 {
        assert_eq!(support::payloads(&plugin, &logs), first);
    }
}

#[test]
fn next_batch_after_the_end_returns_the_end() {
    let plugin = support::plugin("");
    let scratch = Scratch::new("end");
    let log = scratch.write("log.json", &plain_log("r-", 3));
    let mut capture = open(&plugin, log.to_str().expect("UTF-8"));
    drain(&mut capture);
    for _ in 0..3 {
        let (status, events) = capture.next_batch().expect("no failure");
        assert_eq!((status, events.len()), (Status::Eof, 0));
    }
}

#[test]
fn two_instances_of_one_plugin_read_their_own_sources() {
    let plugin = support::plugin("");
    let scratch = Scratch::new("instances");
    let paths = ["a", "b"].map(|name| {
        let path = scratch.write(&format!("{name}.json.gz"), &gzip(&plain_log(name, 2_000)));
        path.to_str().expect("UTF-8").to_owned()
    });
    let mut captures = [open(&plugin, &paths[0]), open(&plugin, &paths[1])];
    let id = plugin.request("ct.id").expect("a field");
    let mut counts = [0; 2];
    let mut at_end = [false; 2];
    let started = Instant::now();
    while at_end != [true; 2] {
        assert!(started.elapsed() < Duration::from_secs(60), "no end");
        for side in [0, 1] {
            let (status, events) = captures[side].next_batch().expect("no failure");
            for event in events {
                let expected = format!("{}{}", ["a", "b"][side], counts[side]);
                let values = plugin.extract_values(event, &[&id], false).expect("values");
                assert_eq!(values[0].value, Some(Value::from(expected.as_str())));
                counts[side] += 1;
            }
            at_end[side] = status == Status::Eof;
        }
    }
    assert_eq!(counts, [2_000; 2]);
}

#[test]
fn event_of_one_instance_stays_valid_while_another_reads() {
    let plugin = support::plugin("");
    let scratch = Scratch::new("instances-apart");
    let current = scratch.write("current.json", &plain_log("current-", 10));
    let other = scratch.write("other.json", &plain_log("other-", 500));
    let mut capture = open(&plugin, current.to_str().expect("UTF-8"));
    let id = plugin.request("ct.id").expect("a field");
    let events: Vec<_> = loop {
        let (status, events) = capture.next_batch().expect("no failure");
        let events: Vec<_> = events.collect();
        assert!(!events.is_empty() || status == Status::Timeout, "no events");
        if !events.is_empty() {
            break events;
        }
    };
    for (number, event) in events.iter().enumerate() {
        assert_eq!(support::payloads(&plugin, &other).len(), 500);
        let values = plugin
            .extract_values(*event, &[&id], false)
            .expect("values");
        let expected = format!("current-{number}");
        assert_eq!(values[0].value, Some(Value::from(expected.as_str())));
    }
}

#[test]
fn several_plugins_in_one_process_read_side_by_side() {
    let logs = support::testdata("logs");
    let expected = support::payloads(&support::plugin(""), &logs);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let plugin = support::plugin(r#"{"decodeThreads":2}"#);
                for _ in 0..10 {
                    assert_eq!(support::payloads(&plugin, &logs), expected);
                }
            });
        }
    });
}

#[test]
fn metrics_can_be_read_from_another_thread_during_extraction() {
    let plugin = support::plugin("");
    let logs = support::testdata("logs");
    let reader = plugin.metrics_reader();
    let done = AtomicBool::new(false);
    let (reads, events) = thread::scope(|scope| {
        let reads = scope.spawn(|| {
            let mut last = Vec::new();
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let metrics = reader.read();
                let counters = metrics.iter().filter(|it| it.kind == MetricKind::Monotonic);
                let counts: Vec<u64> = counters.map(|it| number(it.value)).collect();
                assert!(!counts.is_empty());
                assert!(
                    last.iter().zip(&counts).all(|(before, now)| before <= now),
                    "{last:?} {counts:?}"
                );
                last = counts;
                reads += 1;
            }
            reads
        });
        let mut events = 0;
        let mut reader = FieldReader::new(&plugin, &["/eventID"]);
        for _ in 0..20 {
            events += support::each_event(&plugin, &logs, |event| {
                reader.values(event);
            });
        }
        done.store(true, Ordering::Relaxed);
        (reads.join().expect("no panic"), events)
    });
    assert!(reads > 10, "only {reads} reads");
    let metrics = plugin.metrics();
    let counted = metrics
        .iter()
        .find(|it| it.name.ends_with("events"))
        .expect("a count of events");
    assert_eq!(number(counted.value), events as u64);
}

#[test]
fn close_before_the_end_stops_all_work_at_once() {
    let scratch = Scratch::new("middle");
    let log = gzip(&plain_log("r-", 5_000));
    for number in 0..40 {
        scratch.write(&format!("{number:02}.json.gz"), &log);
    }
    let plugin = support::plugin(r#"{"maxBufferedBytes":1000000,"decodeThreads":4}"#);
    for batches in 0..6 {
        let mut capture = open(&plugin, scratch.path().to_str().expect("UTF-8"));
        for _ in 0..batches {
            capture.next_batch().expect("no failure");
        }
        let started = Instant::now();
        drop(capture);
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "close took {:?}",
            started.elapsed()
        );
    }
    drop(plugin);
}

#[test]
fn plugin_can_be_destroyed_without_an_open_source() {
    for _ in 0..20 {
        drop(support::plugin(""));
    }
}

#[test]
fn progress_grows_to_100_percent() {
    let plugin = support::plugin("");
    let logs = support::testdata("logs");
    let mut capture = open(&plugin, logs.to_str().expect("UTF-8"));
    let (mut last, words) = capture.progress();
    assert!((0.0..=1.0).contains(&last), "{last} {words}");
    loop {
        let status = capture.next_batch().expect("no failure").0;
        let (now, words) = capture.progress();
        assert!((last..=1.0).contains(&now), "{last} then {now} ({words})");
        assert!(!words.is_empty());
        last = now;
        if status == Status::Eof {
            break;
        }
    }
    assert!((last - 1.0).abs() < 0.001, "{last} at the end");
}

#[test]
fn live_and_detached_events_can_be_extracted_alternately() {
    let plugin = support::plugin("");
    let logs = support::testdata("logs");
    // Does not come from the plugin's current batch.
    let detached = OwnedEvent::new(
        plugin.info().id,
        5,
        br#"{"eventName":"Detached","eventID":"x"}"#,
    );
    let name = plugin.request("ct.name").expect("a field");
    let mut names = Vec::new();
    support::each_event(&plugin, &logs, |event| {
        for event in [event, detached.as_event(), event] {
            let values = plugin
                .extract_values(event, &[&name], false)
                .expect("values");
            names.push(values[0].value.clone());
        }
    });
    for three in names.chunks(3) {
        assert_eq!(three[0], three[2]);
        assert_eq!(three[1], Some(Value::from("Detached")));
    }
}

fn open<'p>(plugin: &'p Plugin, params: &str) -> Capture<'p> {
    plugin
        .open(params)
        .unwrap_or_else(|error| panic!("{params}: {error}"))
}

fn drain(capture: &mut Capture) {
    let started = Instant::now();
    while capture.next_batch().expect("no failure").0 != Status::Eof {
        assert!(started.elapsed() < Duration::from_secs(60), "no end");
    }
}

fn number(value: MetricValue) -> u64 {
    match value {
        MetricValue::U64(number) => number,
        other => panic!("a counter of another type: {other:?}"),
    }
}
