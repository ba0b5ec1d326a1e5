//! With too few threads, opening a source fails within seconds with an error that names the limit.
#![forbid(unsafe_code)]

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::aws;
use crate::aws::settings::Settings;
use crate::fixtures;
use crate::support::testdata;

/// Long enough for a busy machine; only a hang takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command to its end; `None` if it hangs.
fn run(mut command: Command) -> Option<Output> {
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat starts");
    let started = Instant::now();
    while process.try_wait().expect("a child").is_none() {
        if started.elapsed() > LIMIT {
            process.kill().expect("it still runs");
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some(process.wait_with_output().expect("its output"))
}

#[test]
fn sources_open_or_fail_with_an_error_under_every_thread_limit() {
    let preload = fixtures::library("few_threads", &[]);
    let settings = Settings::at(aws::server::closed_address())
        .with("decodeThreads", 3)
        .with("s3RetryFor", "1s");
    let logs = testdata("logs");
    for source in [logs.to_str().expect("UTF-8"), "s3://bucket", "sqs://queue"] {
        let mut refused = 0;
        for threads in 0..8 {
            let mut command = aws::child::command(&settings, source);
            command
                .env("LD_PRELOAD", &preload)
                .env("MAX_THREADS", threads.to_string());
            let output = run(command);
            let output = output.unwrap_or_else(|| panic!("{source} hangs with {threads} threads"));
            let error = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                continue;
            }
            assert!(error.len() > 20, "{source}, {threads} threads: {error:?}");
            if error.contains("a thread cannot be started") {
                assert!(error.contains("ulimit -u"), "{error}");
                refused += 1;
            }
        }
        // A network runtime needs two threads, and the failing connection ends the source before others are started.
        assert!(
            refused >= 2,
            "{source}: only {refused} errors name the limit"
        );
    }
}
