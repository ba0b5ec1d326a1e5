//! Runs the Falco in the environment variable `FALCO` with a configuration of its own.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rules;
use super::scratch::Scratch;

/// Limit for every step of Falco; only a hang takes longer.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// The program. Panics if `FALCO` is not set: tests that need it must not pass without it.
pub fn program() -> PathBuf {
    let Some(program) = std::env::var_os("FALCO").map(PathBuf::from) else {
        panic!(
            "the environment variable FALCO names no Falco; these tests need one: \
             FALCO=/usr/bin/falco cargo test --test falco"
        );
    };
    assert!(
        program.is_absolute() && program.is_file(),
        "FALCO={} is not the absolute path of a program",
        program.display()
    );
    program
}

/// A configuration with this project's rules and `open_params`.
pub fn config(open_params: &str) -> Value {
    json!({
        "plugins": [{
            "name": "cloudtrail",
            "library_path": super::library(),
            "init_config": {"decodeThreads": 2},
            "open_params": open_params,
        }],
        "load_plugins": ["cloudtrail"],
        "rules_files": [rules::file()],
        "rule_matching": "all",
        "priority": "debug",
        "json_output": true,
        "stdout_output": {"enabled": true},
        "syslog_output": {"enabled": false},
        "webserver": {"enabled": false},
        "log_stderr": true,
        "log_syslog": false,
        "log_level": "info",
        "buffered_outputs": false,
        "watch_config_files": false,
    })
}

/// A Falco process; killed on drop.
pub struct Falco {
    process: Child,
    output: PathBuf,
    log: PathBuf,
}

impl Falco {
    /// Starts Falco with its files in `scratch`; one at a time for each scratch folder.
    pub fn start(scratch: &Scratch, config: &Value) -> Falco {
        Falco::start_with(scratch, config, &["--enable-source", "aws_cloudtrail"])
    }

    pub fn start_with(scratch: &Scratch, config: &Value, args: &[&str]) -> Falco {
        // JSON is YAML.
        let config = scratch.write("falco.yaml", config.to_string().as_bytes());
        let output = scratch.path().join("output");
        let log = scratch.path().join("log");
        let process = Command::new(program())
            .arg("-c")
            .arg(config)
            .args(args)
            .current_dir(scratch.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdout(File::create(&output).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("Falco starts");
        Falco {
            process,
            output,
            log,
        }
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            assert!(
                started.elapsed() < STEP_TIMEOUT,
                "no end after {STEP_TIMEOUT:?}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, which must be successful.
    pub fn succeed(&mut self) {
        let status = self.end();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// Waits until `done` returns true.
    pub fn until(&mut self, what: &str, done: impl Fn(&Falco) -> bool) {
        let started = Instant::now();
        while !done(self) {
            let ended = self.process.try_wait().expect("a child");
            assert!(
                ended.is_none() && started.elapsed() < STEP_TIMEOUT,
                "{what}: not reached, Falco's exit: {ended:?}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal by its name for `kill`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// What it has written to standard output.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).expect("UTF-8")
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("UTF-8")
    }

    /// The alerts that it has raised.
    pub fn alerts(&self) -> Vec<Alert> {
        let output = self.output();
        let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| Alert(serde_json::from_str(line).expect("JSON")))
            .collect()
    }

    /// The names of the rules that raised an alert, by eventID.
    pub fn rules_by_event(&self) -> BTreeMap<String, Vec<String>> {
        let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for alert in self.alerts() {
            rules
                .entry(alert.event_id())
                .or_default()
                .push(alert.rule());
        }
        rules
    }
}

impl Drop for Falco {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An alert in Falco's JSON format.
pub struct Alert(pub Value);

impl Alert {
    pub fn rule(&self) -> String {
        self.0["rule"].as_str().expect("a name").to_owned()
    }

    pub fn event_id(&self) -> String {
        let id = &self.0["output_fields"]["ct.id"];
        id.as_str().expect("an eventID").to_owned()
    }

    pub fn text(&self) -> &str {
        self.0["output"].as_str().expect("a text")
    }
}

/// A rules file with one rule that every event matches.
pub fn rule_for_everything(scratch: &Scratch) -> PathBuf {
    let rule = json!([{
        "rule": "Every event",
        "desc": "Whatever it is.",
        "condition": "evt.num > 0",
        "output": "%ct.id %ct.info",
        "priority": "NOTICE",
        "source": "aws_cloudtrail",
    }]);
    scratch.write("everything.yaml", rule.to_string().as_bytes())
}

/// A path as text, for open parameters.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is UTF-8")
}
