//! `s3Follow` and `s3State` where objects or listings fail, and what is safe as a state file.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use cloudtrail::host::Severity;

use crate::aws::feed::Feed;
use crate::follow::{ACCOUNTS, SavedState, ids, key, keys, put, state_path, with_state};
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{NAME, RECOVERY, assert_line, assert_once, bucket, complaints, settings};
use crate::support::scratch::Scratch;

/// Two objects that fail for causes of their own, one of them in another layout.
const FAILING: [(&str, u16, &str); 2] = [
    (
        "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/31/111122223333_CloudTrail_us-east-1_20260131T2301Z_bad.json.gz",
        400,
        "KMS.DisabledException",
    ),
    ("exports/010-bad.json.gz", 503, "SlowDown"),
];

/// Makes the objects of [`FAILING`] fail, and puts them with objects of one day.
fn put_with_failing(server: &FaultServer) -> Vec<String> {
    for (key, status, code) in FAILING {
        let rule = ServerRule::of("GetObject", ServerFault::Refuse(status, code));
        server.fault(rule.path(key));
    }
    let mut keys: Vec<String> = (0..40)
        .map(|number| key(ACCOUNTS[0], "CloudTrail", "us-east-1", number * 15, number))
        .collect();
    keys.extend((0..40).map(|number| format!("exports/{number:03}.json.gz")));
    put(server, &keys);
    put(server, &FAILING.map(|(key, ..)| key.to_owned()));
    keys
}

pub fn object_that_fails_delays_no_other_and_is_named() {
    let server = bucket(0);
    let mut keys = put_with_failing(&server);
    let feed = Feed::new(&settings(&server).with("s3Follow", "1s"));
    let mut reading = feed.open(&format!("s3://{NAME}"));
    for step in 0..3 {
        assert!(
            reading.until(RECOVERY, |ids| ids.len() >= keys.len()),
            "step {step}: {} of {}",
            reading.ids.len(),
            keys.len()
        );
        // Before and after those that fail, and of another account.
        let new = [
            key(
                ACCOUNTS[0],
                "CloudTrail",
                "us-east-1",
                600 + step,
                100 + step,
            ),
            key(ACCOUNTS[1], "CloudTrail", "us-east-1", step, 100 + step),
            format!("exports/005-{step}.json.gz"),
            format!("exports/c{step}.json.gz"),
        ];
        put(&server, &new);
        keys.extend(new);
    }
    let is_named = |feed: &Feed| {
        let lines = feed.logged(Severity::Warning);
        FAILING.iter().all(|(key, _, code)| {
            lines.iter().any(|line| {
                [key, code, "retrying"]
                    .iter()
                    .all(|part| line.contains(part))
            })
        })
    };
    let is_done = |ids: &[String]| ids.len() >= keys.len() && is_named(&feed);
    assert!(
        reading.until(RECOVERY, is_done),
        "{} of {}: {:#?}",
        reading.ids.len(),
        keys.len(),
        complaints(&feed)
    );
    assert_once(&reading.ids, &ids(&keys));
    server.end_faults();
    keys.extend(FAILING.map(|(key, ..)| key.to_owned()));
    assert!(
        reading.until(2 * RECOVERY, |ids| ids.len() >= keys.len()),
        "{:?}",
        reading.ids
    );
    reading.during(Duration::from_secs(2));
    assert_once(&reading.ids, &ids(&keys));
    assert_eq!(feed.metric("errors.fetch"), 0);
}

/// More objects of an account with a disabled key than are retried at a time, all listed before the others.
pub fn account_whose_key_is_disabled_delays_no_other() {
    const DISABLED: usize = 1500;
    let server = bucket(0);
    let of = |account: &str, count: usize| -> Vec<String> {
        let key = |number| key(account, "CloudTrail", "us-east-1", number % 110, number);
        (0..count).map(key).collect()
    };
    let (disabled, mut others) = (of(ACCOUNTS[0], DISABLED), of(ACCOUNTS[1], 50));
    put(&server, &disabled);
    put(&server, &others);
    let rule = ServerRule::of("GetObject", ServerFault::Refuse(400, FAILING[0].2));
    server.fault(rule.path(format!("AWSLogs/{}/", ACCOUNTS[0])));
    let feed = Feed::new(&settings(&server).with("s3Follow", "1s"));
    let mut reading = feed.open(&format!("s3://{NAME}/AWSLogs/"));
    let read_all = |ids: &[String], keys: &[String]| ids.len() >= keys.len();
    assert!(
        reading.until(2 * RECOVERY, |ids| read_all(ids, &others)),
        "{} events",
        reading.ids.len()
    );
    let new = key(ACCOUNTS[1], "CloudTrail", "us-east-1", 112, 99);
    put(&server, std::slice::from_ref(&new));
    others.push(new);
    assert!(reading.until(RECOVERY, |ids| read_all(ids, &others)));
    assert_once(&reading.ids, &ids(&others));
    server.end_faults();
    others.extend(disabled);
    // A pause of an object with a disabled key is up to a minute.
    assert!(
        reading.until(3 * RECOVERY, |ids| read_all(ids, &others)),
        "{} events",
        reading.ids.len()
    );
    assert_once(&reading.ids, &ids(&others));
    assert_eq!(feed.metric("errors.fetch"), 0);
}

/// Objects that others have overtaken are read after a restart, and only these.
pub fn unread_objects_survive_a_restart() {
    let scratch = Scratch::new("follow-unread");
    let server = bucket(0);
    let keys = put_with_failing(&server);
    let feed = Feed::new(&with_state(
        settings(&server).with("s3Follow", "1s"),
        &scratch,
    ));
    let source = format!("s3://{NAME}");
    let mut reading = feed.open(&source);
    assert!(reading.until(RECOVERY, |ids| ids.len() == keys.len()));
    // The rounds of other layouts go on too.
    reading.during(Duration::from_secs(13));
    assert_once(&reading.ids, &ids(&keys));
    drop(reading);
    let state = SavedState::read(&scratch).expect("a file");
    assert!(!state.has(FAILING[0].0), "{:#}", state.0);
    for _ in 0..2 {
        let mut reading = feed.open(&source);
        reading.during(Duration::from_secs(3));
        assert_eq!(reading.ids, [""; 0], "read again");
    }
    server.end_faults();
    let mut reading = feed.open(&source);
    let failing = FAILING.map(|(key, ..)| key);
    assert!(reading.until(RECOVERY, |ids| ids.len() >= 2));
    reading.during(Duration::from_secs(3));
    assert_once(&reading.ids, &ids(failing));
    drop(reading);
    let mut reading = feed.open(&source);
    reading.during(Duration::from_secs(3));
    assert_eq!(reading.ids, [""; 0], "read again");
}

/// A sweep has listing order, so others wait.
pub fn sweep_names_the_object_that_it_waits_for() {
    let server = bucket(0);
    let mut keys = put_with_failing(&server);
    keys.extend(FAILING.map(|(key, ..)| key.to_owned()));
    let feed = Feed::new(&settings(&server).with("s3DownloadConcurrency", 100));
    let mut reading = feed.open(&format!("s3://{NAME}"));
    let is_named = |ids: &[String]| {
        let lines = feed.logged(Severity::Warning);
        assert!(ids.len() < keys.len());
        FAILING.iter().all(|(key, ..)| {
            lines
                .iter()
                .any(|line| line.contains(key) && line.contains("the source waits for it"))
        })
    };
    assert!(
        reading.until(RECOVERY, is_named),
        "{:#?}",
        complaints(&feed)
    );
    server.end_faults();
    reading.until(2 * RECOVERY, |ids| ids.len() >= keys.len());
    assert_once(&reading.ids, &ids(&keys));
    keys.sort_unstable();
    assert_eq!(reading.ids, ids(&keys));
}

pub fn sweep_that_left_something_out_keeps_its_state() {
    let scratch = Scratch::new("sweep-left-out");
    let server = bucket(0);
    let keys = keys(100);
    put(&server, &keys);
    let settings = with_state(settings(&server), &scratch);
    let feed = Feed::new(&settings);
    let source = format!("s3://{NAME}/AWSLogs/");
    let denied = format!("AWSLogs/{}/CloudTrail/us-west-2/", ACCOUNTS[1]);
    let (left_out, listed): (Vec<&String>, Vec<&String>) =
        keys.iter().partition(|key| key.starts_with(&denied));
    assert!(!left_out.is_empty());
    let rule = ServerRule::of("ListObjectsV2", ServerFault::Refuse(403, "AccessDenied"));
    server.fault(rule.path(denied));
    assert_once(&feed.read_all(&source), &ids(listed));
    assert!(state_path(&scratch).exists());
    assert_line(
        &feed.logged(Severity::Warning),
        &["s3State", "is kept", "the next start"],
    );
    server.end_faults();
    assert_once(&feed.read_all(&source), &ids(left_out));
    assert!(!state_path(&scratch).exists());
}

/// A link to the file is kept, one in place of the temporary file is not followed, and a pipe does not hang.
pub fn links_and_special_files_are_safe_as_state() {
    let scratch = Scratch::new("state-links");
    let server = bucket(5);
    let source = format!("s3://{NAME}/logs/");
    let path = |name: &str| scratch.path().join(name);
    let with = |name: &str| {
        let path = path(name);
        let settings = settings(&server).with("s3Follow", "1s");
        settings.with("s3State", path.to_str().expect("UTF-8"))
    };
    fs::create_dir(path("volume")).expect("a folder");
    symlink("volume/state", path("link")).expect("a link");
    fs::write(path("victim"), "precious").expect("a file");
    symlink(path("victim"), path("volume/state.tmp")).expect("a link");
    let feed = Feed::new(&with("link"));
    let mut reading = feed.open(&source);
    assert!(reading.until(RECOVERY, |ids| ids.len() == 5));
    reading.once();
    let (error, _) = Feed::new(&with("volume/state")).refusal(&source);
    assert!(error.contains("in use by another instance"), "{error}");
    drop(reading);
    assert!(path("link").is_symlink() && path("volume/state").is_file());
    assert_eq!(
        fs::read_to_string(path("victim")).expect("a file"),
        "precious"
    );
    let mut reading = feed.open(&source);
    reading.during(Duration::from_secs(2));
    assert_eq!(reading.ids, [""; 0]);
    drop(reading);
    let made = Command::new("mkfifo").arg(path("pipe")).status();
    assert!(made.expect("mkfifo").success());
    symlink("pipe", path("link-to-pipe")).expect("a link");
    symlink("loop", path("loop")).expect("a link");
    symlink(path("victim"), path("other.lock")).expect("a link");
    for (name, reason) in [
        ("pipe", "a pipe"),
        ("link-to-pipe", "a pipe"),
        ("volume", "a directory"),
        ("loop", "a symbolic link"),
        ("other", "a symbolic link"),
    ] {
        let (error, _) = Feed::new(&with(name)).refusal(&source);
        let shown = path(name);
        let shown = shown.to_str().expect("UTF-8");
        assert!(error.contains(reason) && error.contains(shown), "{error}");
    }
    let lost = path("link");
    let same = with("volume/state").with("lostLog", lost.to_str().expect("UTF-8"));
    let (error, _) = Feed::new(&same).refusal(&source);
    assert!(
        error.contains("s3State and lostLog lead to one file"),
        "{error}"
    );
}
