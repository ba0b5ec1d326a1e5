//! Files that expand to excessive memory.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::read_source::{read_apart, record, wrap};
use crate::support;
use crate::support::scratch::{Scratch, gzip, plain_log};

#[test]
fn bombs_are_refused_in_bounded_memory_and_other_files_delivered() {
    let scratch = Scratch::new("hostile-bombs");
    let head = gzip(
        format!(
            r#"{{"Records":[{},{{"eventTime":"2026-01-14T12:00:00Z","a":"#,
            record("first")
        )
        .as_bytes(),
    );
    let bomb = |filler: &[u8]| {
        let member = gzip(&filler.repeat((8 << 20) / filler.len()));
        [&head[..], &member.repeat(30)].concat()
    };
    scratch.write("1.json.gz", &gzip(&plain_log("before-", 10)));
    scratch.write(
        "2-string.json.gz",
        &[&head[..], &gzip(b"\""), &bomb(b"a")[head.len()..]].concat(),
    );
    scratch.write("3-space.json.gz", &bomb(b" "));
    scratch.write(
        "4-records.json.gz",
        &bomb(format!("1}},{}", record("x").strip_suffix('}').expect("an object")).as_bytes()),
    );
    scratch.write("5-numbers.json.gz", &bomb(b"1,"));
    scratch.write("6.json.gz", &gzip(&plain_log("after-", 10)));
    let (events, peak, result) = read_apart(
        scratch.path(),
        r#"{"maxObjectBytes":100000000,"decodeThreads":1}"#,
    );
    assert_eq!(result.metric("errors.too_large"), 4, "{result:?}");
    assert_eq!(result.metric("objects"), 6);
    assert!(events >= 24, "{events} events");
    assert!(peak < 450.0, "{peak} MB");
}

#[test]
fn record_over_64_mib_is_counted_and_its_neighbors_delivered() {
    let scratch = Scratch::new("hostile-giant");
    let giant = record("giant").replacen(
        '{',
        &format!("{{\"userAgent\":\"{}\",", "y".repeat(65 << 20)),
        1,
    );
    let path = scratch.write(
        "giant.json.gz",
        &gzip(&wrap(&[&record("a"), &giant, &record("b")])),
    );
    let (events, peak, result) = read_apart(&path, "{}");
    assert_eq!(
        (events, result.errors()),
        (2, vec![("damaged.too_long", 1)])
    );
    assert!(peak < 200.0, "{peak} MB");
}

#[test]
fn a_million_tiny_records_take_little_memory() {
    let scratch = Scratch::new("hostile-tiny");
    let path = scratch.write(
        "tiny.json.gz",
        &gzip(&wrap(&vec![
            r#"{"eventTime":"2026-01-14T12:00:00Z"}"#;
            1_000_000
        ])),
    );
    let (events, peak, result) = read_apart(&path, "{}");
    assert_eq!((events, result.errors()), (1_000_000, vec![]));
    assert!(peak < 60.0, "{peak} MB");
}

/// `{}` is a record if the file's name has a time: three bytes become an event of forty and its index entry.
#[test]
fn ten_million_minimal_records_take_bounded_memory() {
    let scratch = Scratch::new("hostile-smallest");
    let name = "111122223333_CloudTrail_us-east-1_20260114T1200Z_smallest.json.gz";
    let path = scratch.write(name, &gzip(&wrap(&vec!["{}"; 10_000_000])));
    let config = r#"{"maxBufferedBytes":16777216}"#;
    let (events, peak, result) = read_apart(&path, config);
    assert_eq!((events, result.errors()), (10_000_000, vec![]));
    assert!(peak < 120.0, "{peak} MB");
}

/// The text, its tape and its copy each exceed a thread's default memory.
#[test]
fn memory_for_long_records_does_not_grow_with_the_threads() {
    let scratch = Scratch::new("hostile-long");
    let strings = r#""","#.repeat(8 << 20);
    let long = format!(r#"{{"eventTime":"2026-01-14T12:00:00Z","a":[{strings}""]}}"#);
    let file = gzip(&wrap(&[&long]));
    for number in 0..12 {
        scratch.write(&format!("{number}.json.gz"), &file);
    }
    let config = r#"{"decodeThreads":12,"maxBufferedBytes":1048576}"#;
    let (events, peak, result) = read_apart(scratch.path(), config);
    assert_eq!((events, result.errors()), (12, vec![]));
    assert!(peak < 800.0, "{peak} MB");
}

/// A bracket takes about a byte of text and sixteen bytes of tape.
#[test]
fn endless_nesting_takes_bounded_memory() {
    let scratch = Scratch::new("hostile-nested");
    for (name, open, times) in [("arrays", "[", 120), ("objects", "{\"a\":", 5)] {
        let head = format!(
            "{{\"Records\":[{},{{\"eventTime\":1,\"a\":",
            record("first")
        );
        let million = gzip(open.repeat(1_000_000).as_bytes());
        let file = [&gzip(head.as_bytes())[..], &million.repeat(times)].concat();
        scratch.write(&format!("{name}.json.gz"), &file);
    }
    scratch.write("sound.json.gz", &gzip(&plain_log("r-", 10)));
    let (events, peak, result) = read_apart(
        scratch.path(),
        r#"{"maxObjectBytes":100000000,"decodeThreads":1}"#,
    );
    assert_eq!(events, 12, "{result:?}");
    assert_eq!(result.metric("errors.too_large"), 1, "{result:?}");
    assert!(peak < 300.0, "{peak} MB");
}

/// Nothing reads the output of `ctcat`, so the whole pipeline waits.
#[test]
fn memory_for_a_stalled_host_is_bounded() {
    let scratch = Scratch::new("hostile-still");
    let log = gzip(&plain_log("r-", 50_000));
    for number in 0..20 {
        scratch.write(&format!("{number}.json.gz"), &log);
    }
    let memory = |buffered: u64| {
        let config = format!(r#"{{"maxBufferedBytes":{buffered},"decodeThreads":2}}"#);
        let mut still = Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args(["--config", &config, "--library"])
            .arg(support::library())
            .arg(scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ctcat runs");
        // Two seconds without growth: the pipeline has stalled, however slow the machine is.
        let (mut last, mut same) = (0, 0);
        while same < 4 {
            thread::sleep(Duration::from_millis(500));
            let now = peak_of(still.id());
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        still.kill().and_then(|()| still.wait()).expect("a child");
        last
    };
    let (little, much) = (memory(1_000_000), memory(100_000_000));
    assert!(little < 60_000, "{little} KiB");
    assert!(much < 200_000, "{much} KiB");
    assert!(
        little < much,
        "{little} KiB and {much} KiB: nothing is held"
    );
}

/// Peak resident memory of a process in KiB.
fn peak_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    peak.expect("its peak").parse().expect("a number")
}
