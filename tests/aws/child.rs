//! `ctcat` in a process that can be killed and has a defined environment.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::feed::STEP_TIMEOUT;
use super::settings::Settings;

/// A running `ctcat`; killed on drop.
pub struct Ctcat {
    process: Child,
    output: PathBuf,
}

/// A command that prints the eventIDs of a source, in the environment of [`bare`].
pub fn command(settings: &Settings, source: &str) -> Command {
    let mut command = bare();
    command.args(["-c", &settings.json(), "-f", "ct.id", "-o", "json", source]);
    command
}

/// `ctcat` in an environment without instance metadata, AWS settings and proxy.
pub fn bare() -> Command {
    let closed = super::server::closed_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctcat"));
    command
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("NO_PROXY", "127.0.0.1")
        .env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{closed}"),
        );
    command
}

/// Runs a command to its end; panics if it hangs.
pub fn run(mut command: Command) -> Output {
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat starts");
    let started = Instant::now();
    while process.try_wait().expect("a child").is_none() {
        if started.elapsed() > STEP_TIMEOUT {
            let _ = process.kill();
            panic!("{command:?} does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
    process.wait_with_output().expect("its output")
}

impl Ctcat {
    /// Starts reading a source.
    pub fn start(settings: &Settings, source: &str) -> Ctcat {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let place = COUNT.fetch_add(1, Ordering::Relaxed);
        let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("ctcat-{}-{place}.out", std::process::id()));
        let process = command(settings, source)
            .stdout(File::create(&output).expect("a file"))
            .spawn()
            .expect("ctcat starts");
        Ctcat { process, output }
    }

    /// The eventIDs that it has printed; empty for a record without one.
    pub fn ids(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.output).expect("its output");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("JSON");
            event["ct.id"].as_str().unwrap_or_default().to_owned()
        });
        lines.collect()
    }

    /// Waits until `done` returns true for the eventIDs so far; false after [`STEP_TIMEOUT`].
    pub fn until(&self, done: impl Fn(&[String]) -> bool) -> bool {
        let started = Instant::now();
        while !done(&self.ids()) {
            if started.elapsed() > STEP_TIMEOUT {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().expect("a running process");
        self.process.wait().expect("a child");
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("a child").is_none()
    }

    /// Sends SIGTERM; returns the exit status and the time until it ended.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let sent = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        assert!(sent.expect("kill runs").success());
        (self.process.wait().expect("a child"), started.elapsed())
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("its state");
        let used = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let used = used.and_then(|used| used.trim().strip_suffix(" kB"));
        used.expect("its memory").parse().expect("a number")
    }

    /// CPU time in hundredths of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its state");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let times = after_name.split_whitespace().skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().expect("a number"))
            .sum()
    }
}

impl Drop for Ctcat {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.output);
    }
}
