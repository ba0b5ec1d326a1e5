//! Load, use and unload the library again and again while child processes start and exit.
//!
//! The async runtime's SIGCHLD handler cannot be removed, so the library stays mapped. The test counts threads,
//! descriptors and memory of the entire process, so it runs in a process of its own.

use std::env;
use std::ffi::CString;
use std::process::Command;
use std::thread;

use crate::process::{descriptors, memory, threads};
use crate::raw::{Raw, text};
use crate::support;
use crate::support::scratch::{Scratch, plain_log};

const ROUNDS: usize = 200;

/// Set in the process that runs the rounds.
const OWN_PROCESS: &str = "UNLOAD_IN_OWN_PROCESS";

#[test]
fn two_hundred_unloads_leave_no_thread_descriptor_or_memory() {
    const NAME: &str = "unload::two_hundred_unloads_leave_no_thread_descriptor_or_memory";
    if env::var_os(OWN_PROCESS).is_some() {
        return load_and_unload();
    }
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", NAME, "--nocapture"])
        .env(OWN_PROCESS, "1")
        .output()
        .expect("a child");
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{:?}: {errors}", child.status);
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains("1 passed"), "{NAME} did not run: {output}");
}

fn load_and_unload() {
    let scratch = Scratch::new("unload");
    let log = scratch.write("1.json", &plain_log("r-", 3));
    let log = log.to_str().expect("UTF-8");
    // The plugin starts a child process, which fails.
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
        // On a thread of its own: a library is not unloaded before the threads that used it end, because of their thread-local
        // destructors.
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
        // Its SIGCHLD arrives after the library is unloaded.
        let child = Command::new("/bin/true").status().expect("a child");
        assert!(child.success());
        if round % 20 == 19 {
            counts.push((descriptors(), threads(), memory()));
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
