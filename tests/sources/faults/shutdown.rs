//! Signals and unloading while requests are in progress.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::aws::child::Ctcat;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT};
use crate::aws::proxy::{FOREVER, Proxy};
use crate::aws::server::ministack;
use crate::aws::settings::Settings;
use crate::fixture::{numbered_bucket, numbered_messages, proxy, service, settings};
use crate::fixtures;

pub fn sigterm_ends_an_idle_or_stalled_reader_at_once() {
    let (service, name) = (service(), "terminated");
    numbered_bucket(&service, name, 10);
    numbered_messages(&service, name, json!({"VisibilityTimeout": "30"}), []);
    let empty = Ctcat::start(&settings(), &format!("sqs://{name}"));
    let proxy = proxy();
    proxy.rule(Rule::every("GetObject", Fault::Silence(FOREVER)));
    let stalled = Ctcat::start(&Settings::at(proxy.address), &format!("s3://{name}"));
    let started = Instant::now();
    while proxy.count("GetObject") < 10 {
        assert!(started.elapsed() < STEP_TIMEOUT, "no downloads");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (what, mut child) in [("an empty queue", empty), ("downloads", stalled)] {
        let (status, took) = child.terminate();
        assert_eq!(status.code(), Some(143), "{what}");
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
}

/// A name lookup cannot be canceled. Its thread may return after the host unloads the library; the loader keeps the
/// library mapped while a thread has destructors in it.
pub fn library_may_be_unloaded_during_a_name_lookup() {
    const NAME: &str = "faults_library_may_be_unloaded_during_a_name_lookup";
    if let (Some(slow), Some(server)) = (env::var_os("SLOW_NAMES"), env::var_os("SERVER")) {
        let server = server.to_str().and_then(|server| server.parse().ok());
        return unload_during_a_name_lookup(Path::new(&slow), server.expect("an address"));
    }
    let service = service();
    service.create_queue("slow-names", json!({}));
    let slow = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slow-names");
    // An earlier run may have left it.
    let _ = fs::remove_file(&slow);
    let child = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", NAME, "--nocapture"])
        .env("LD_PRELOAD", fixtures::library("slow_names", &[]))
        .env("SLOW_NAMES", &slow)
        .env("SERVER", ministack().address.to_string())
        .output()
        .expect("a child");
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{:?}: {errors}", child.status);
}

fn unload_during_a_name_lookup(slow: &Path, server: SocketAddr) {
    let proxy = Proxy::before(server);
    let endpoint = format!("http://localhost:{}", proxy.address.port());
    let feed = Feed::new(&Settings::at(server).with_aws("endpoint", endpoint));
    let mut reading = feed.open("sqs://slow-names");
    // Each new connection looks up the name again.
    proxy.rule(Rule::every("", Fault::Reset));
    reading.until(STEP_TIMEOUT, |_| proxy.count("ReceiveMessage") >= 3);
    fs::write(slow, "").expect("a file");
    reading.during(Duration::from_secs(2));
    let started = Instant::now();
    drop(reading);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_ne!(network_threads(), 0, "no lookup is in progress");
    drop(feed);
    thread::sleep(Duration::from_secs(4));
    assert_eq!(network_threads(), 0);
}

/// Counts the plugin's network threads.
fn network_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ct-")).count()
}
