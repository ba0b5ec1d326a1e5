//! Loading, using and unloading the library again and again while child processes come and go.
//!
//! The async runtime's handler for SIGCHLD is the process's for good, so the library stays mapped. All of this counts what
//! the process has, so it is a process's only test.

mod oracle;
mod raw;
mod support;

use std::ffi::CString;
use std::fs;
use std::process::Command;
use std::thread;

use raw::{Raw, text};
use support::scratch::{Scratch, plain_log};

const ROUNDS: usize = 200;

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("Linux").count()
}

/// Memory that this process has in use, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let used = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let used = used.and_then(|used| used.trim().strip_suffix(" kB"));
    used.expect("its memory").parse().expect("a number")
}

#[test]
fn loading_and_unloading_leaves_no_thread_descriptor_or_memory_behind() {
    let scratch = Scratch::new("unload");
    let log = scratch.write("1.json", &plain_log("r-", 3));
    let log = log.to_str().expect("UTF-8");
    // The plugin runs a child of its own, which gives no credentials.
    let config = scratch.write(
        "config",
        b"[default]\nregion = us-east-1\ncredential_process = /bin/false\n",
    );
    let config = serde_json::json!({
        "aws": {"config": config, "credentials": "", "endpoint": "http://127.0.0.1:1"},
    });
    let config = CString::new(config.to_string()).expect("no NUL");
    let mut counts = Vec::new();
    for round in 0..ROUNDS {
        let (log, config) = (log.to_owned(), config.clone());
        // A library is not unloaded while a thread lives that has used it: its thread-local values are yet to be dropped.
        let used = thread::spawn(move || {
            let raw = Raw::load(&support::library(), &config);
            let opened = raw.open(&log);
            assert_eq!(raw.next_batch(opened).len(), 3);
            raw.close(opened);
            assert!(raw.open("s3://bucket").is_null());
            let error = text(raw.last_error());
            assert!(error.contains("external process"), "{error}");
            raw.into_library()
        });
        drop(used.join().expect("no panic"));
        // Its SIGCHLD comes when the library is unloaded.
        let child = Command::new("/bin/true").status().expect("a child");
        assert!(child.success());
        if round % 20 == 19 {
            counts.push((
                entries("/proc/self/fd"),
                entries("/proc/self/task"),
                memory(),
            ));
        }
    }
    let (first, last) = (counts[1], counts[counts.len() - 1]);
    assert_eq!(
        (last.0, last.1),
        (first.0, first.1),
        "descriptors and threads: {counts:?}"
    );
    assert!(last.2 < first.2 + (8 << 10), "KiB: {counts:?}");
}
