//! Opening, closing and unloading in every order: nothing is left running, open or held.
//!
//! The plugin's threads are counted by their names, so the tests take turns.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::fs;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cloudtrail::host::{Capture, Plugin, Status};
use support::scratch::{Scratch, gzip, plain_log};

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many threads of the plugin this process has.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ct-")).count()
}

/// A thread has its name only once it runs.
fn assert_reading() {
    let started = Instant::now();
    while threads() == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "nobody reads");
        thread::yield_now();
    }
}

/// The kernel wakes whoever joins a thread shortly before it takes the thread off its list.
fn assert_no_thread() {
    let started = Instant::now();
    while threads() > 0 {
        assert!(started.elapsed() < Duration::from_secs(1), "one still runs");
        thread::yield_now();
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// A folder of many files, more than the plugin reads ahead.
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
fn opening_and_closing_a_thousand_times_leaves_nothing_behind() {
    let _turn = turn();
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
fn closing_in_mid_read_returns_at_once() {
    let _turn = turn();
    let scratch = Scratch::new("lifecycle-mid-read");
    // More batches than are taken here and may wait for the host, so there is always more to read.
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
fn fifty_sources_at_once_each_give_all_of_theirs() {
    let _turn = turn();
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
fn two_plugins_in_turns_do_not_disturb_each_other() {
    let _turn = turn();
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
                let answer = plugins[side].extract_values(event, &[&ids[side]], false);
                let name = ["left", "right"][side];
                let expected = format!("{name}{}", seen[side]);
                let given = answer.expect("an answer").remove(0).value;
                assert_eq!(given, Some(expected.as_str().into()));
                seen[side] += 1;
            }
            ended[side] = status == Status::Eof;
        }
    }
    assert_eq!(seen, [20_000, 20_000]);
}

#[test]
fn unloading_after_use_leaves_no_thread() {
    let _turn = turn();
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

/// A host that forgets to close breaks the API's rules, and still must not run code that is gone.
#[test]
fn destroying_without_closing_leaves_no_thread() {
    let _turn = turn();
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

/// Loading and unloading by turns, and opening by turns, in one plugin: what is used once is used again.
#[test]
fn neither_loading_nor_opening_over_and_over_takes_more_memory() {
    let _turn = turn();
    let scratch = folder("lifecycle-memory");
    let once = |plugin: &Plugin| {
        let mut capture = open(plugin, &scratch);
        let (_, events) = capture.next_batch().expect("no failure");
        let id = plugin.request("ct.info").expect("a field");
        for event in events {
            plugin.extract_values(event, &[&id], true).expect("answers");
        }
    };
    let kept = support::plugin("{}");
    let mut used = Vec::new();
    for _ in 0..6 {
        for _ in 0..15 {
            once(&kept);
            once(&support::plugin("{}"));
        }
        used.push(memory());
    }
    let growth = used[5].saturating_sub(used[1]);
    assert!(
        growth < 16 << 10,
        "KiB after every fifteen rounds: {used:?}"
    );
}

/// Memory that this process has in use, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let used = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let used = used.and_then(|used| used.trim().strip_suffix(" kB"));
    used.expect("its memory").parse().expect("a number")
}
