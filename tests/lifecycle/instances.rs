//! Open, close and unload in every order leave no thread, descriptor or memory behind.
#![forbid(unsafe_code)]

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, Plugin, Status};

use crate::process::{self, descriptors, memory, plugin_threads};
use crate::support;
use crate::support::scratch::{Scratch, gzip, plain_log};

/// Waits, because a thread gets its name only once it runs.
fn assert_reading() {
    let started = Instant::now();
    while plugin_threads() == 0 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "no thread reads"
        );
        thread::yield_now();
    }
}

/// Waits, because the kernel wakes the joining thread shortly before it removes the ended one from its list.
fn assert_no_thread() {
    let started = Instant::now();
    while plugin_threads() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "a thread still runs"
        );
        thread::yield_now();
    }
}

/// A folder with more files than the plugin buffers.
fn folder(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let log = gzip(&plain_log("r-", 2000));
    for number in 0..60 {
        scratch.write(&format!("{number}.json.gz"), &log);
    }
    scratch
}

fn open<'p>(plugin: &'p Plugin, scratch: &Scratch) -> Capture<'p> {
    let path = scratch.path().to_str().expect("UTF-8");
    plugin.open(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads to the end and returns the number of events.
fn drain(capture: &mut Capture) -> usize {
    let mut count = 0;
    loop {
        let (status, events) = capture.next_batch().expect("no failure");
        count += events.len();
        if status == Status::Eof {
            return count;
        }
    }
}

#[test]
fn a_thousand_opens_and_closes_leave_no_thread_or_descriptor() {
    let _lock = process::lock();
    let scratch = Scratch::new("lifecycle-thousand");
    scratch.write("1.json", &plain_log("r-", 3));
    let plugin = support::plugin("{}");
    let before = descriptors();
    for round in 0..1000 {
        let mut capture = open(&plugin, &scratch);
        if round % 2 == 0 {
            assert_eq!(drain(&mut capture), 3);
        }
    }
    assert_no_thread();
    assert_eq!(descriptors(), before);
}

#[test]
fn close_during_a_read_returns_at_once() {
    let _lock = process::lock();
    let scratch = Scratch::new("lifecycle-mid-read");
    // More batches than are read here and may be buffered, so reading never ends.
    scratch.write("1.json.gz", &gzip(&plain_log("r-", 80_000)));
    for config in ["{}", r#"{"maxBufferedBytes":1}"#] {
        let plugin = support::plugin(config);
        for batches in 0..15 {
            let mut capture = open(&plugin, &scratch);
            for _ in 0..batches {
                capture.next_batch().expect("no failure");
            }
            assert_reading();
            let started = Instant::now();
            drop(capture);
            assert!(
                started.elapsed() < Duration::from_secs(1),
                "{:?}",
                started.elapsed()
            );
            assert_no_thread();
        }
    }
}

#[test]
fn fifty_sources_at_once_deliver_all_their_records() {
    let _lock = process::lock();
    let scratch = folder("lifecycle-fifty");
    let plugin = support::plugin(r#"{"decodeThreads":1}"#);
    let mut captures: Vec<_> = (0..50).map(|_| open(&plugin, &scratch)).collect();
    for capture in &mut captures {
        capture.next_batch().expect("no failure");
    }
    drop(captures.split_off(3));
    let counts: Vec<usize> = captures.iter_mut().map(drain).collect();
    assert!(
        counts
            .iter()
            .all(|count| (110_000..120_000).contains(count)),
        "{counts:?}"
    );
    drop(captures);
    assert_no_thread();
}

#[test]
fn two_plugins_read_alternately_deliver_their_own_records() {
    let _lock = process::lock();
    let scratch = Scratch::new("lifecycle-two");
    let paths = ["left", "right"].map(|name| {
        let path = scratch.write(&format!("{name}.json"), &plain_log(name, 20_000));
        path.to_str().expect("UTF-8").to_owned()
    });
    let plugins = ["{}", r#"{"decodeThreads":1}"#].map(support::plugin);
    let ids = [0, 1].map(|it: usize| plugins[it].request("ct.id").expect("a field"));
    let mut captures = [0, 1].map(|it: usize| plugins[it].open(&paths[it]).expect("it opens"));
    let (mut seen, mut ended) = ([0, 0], [false, false]);
    while ended != [true, true] {
        for side in [0, 1] {
            let (status, events) = captures[side].next_batch().expect("no failure");
            for event in events {
                let values = plugins[side].extract_values(event, &[&ids[side]], false);
                let name = ["left", "right"][side];
                let expected = format!("{name}{}", seen[side]);
                let given = values.expect("values").remove(0).value;
                assert_eq!(given, Some(expected.as_str().into()));
                seen[side] += 1;
            }
            ended[side] = status == Status::Eof;
        }
    }
    assert_eq!(seen, [20_000, 20_000]);
}

#[test]
fn unload_after_use_leaves_no_thread() {
    let _lock = process::lock();
    let scratch = folder("lifecycle-unload");
    for _ in 0..20 {
        let plugin = support::plugin("{}");
        let mut capture = open(&plugin, &scratch);
        capture.next_batch().expect("no failure");
        drop(capture);
        drop(plugin);
        assert_no_thread();
    }
}

/// Breaks the API's rules; even so, no code of the library may run after it is unloaded.
#[test]
fn destroy_without_close_leaves_no_thread() {
    let _lock = process::lock();
    let scratch = folder("lifecycle-forgotten");
    for _ in 0..5 {
        let plugin = support::plugin(r#"{"maxBufferedBytes":1}"#);
        let mut capture = open(&plugin, &scratch);
        capture.next_batch().expect("no failure");
        mem::forget(capture);
        drop(plugin);
        assert_no_thread();
    }
}

/// Opens a source alternately in one plugin and in a newly loaded one: memory is reused.
#[test]
fn loading_and_opening_over_and_over_does_not_grow_memory() {
    let _lock = process::lock();
    let scratch = folder("lifecycle-memory");
    let once = |plugin: &Plugin| {
        let mut capture = open(plugin, &scratch);
        let (_, events) = capture.next_batch().expect("no failure");
        let id = plugin.request("ct.info").expect("a field");
        for event in events {
            plugin.extract_values(event, &[&id], true).expect("values");
        }
    };
    let loaded = support::plugin("{}");
    let mut used = Vec::new();
    for _ in 0..6 {
        for _ in 0..15 {
            once(&loaded);
            once(&support::plugin("{}"));
        }
        used.push(memory());
    }
    let growth = used[5].saturating_sub(used[1]);
    assert!(growth < 16 << 10, "KiB after each fifteen rounds: {used:?}");
}
