//! Where the system gives too few threads, opening a source fails within seconds with an error that says so.

mod aws;
mod fixtures;
mod oracle;
mod support;

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aws::settings::Settings;
use support::testdata;

/// Includes what a busy machine needs; a hang takes for ever.
const SECONDS: Duration = Duration::from_secs(30);

fn run(mut command: Command) -> Option<Output> {
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat starts");
    let started = Instant::now();
    while process.try_wait().expect("a child").is_none() {
        if started.elapsed() > SECONDS {
            process.kill().expect("it still runs");
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some(process.wait_with_output().expect("its output"))
}

#[test]
fn sources_open_or_fail_with_an_error_under_every_limit_of_threads() {
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
        assert!(refused > 2, "{source}: {refused} of the limits are named");
    }
}
