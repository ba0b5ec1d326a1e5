//! `s3Follow` and `s3State`: every object is read, and none twice, over midnight, restarts and failing listings.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cloudtrail::host::{Severity, Status};
use serde_json::Value;

use crate::aws::child::{self, Ctcat};
use crate::aws::feed::Feed;
use crate::aws::settings::Settings;
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::server::random::Random;
use crate::setup::{
    NAME, RECOVERY, assert_all, assert_line, assert_once, bucket, complaints, object, settings,
    wait_for,
};
use crate::support::scratch::Scratch;

pub const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];

const REGIONS: [&str; 3] = ["eu-central-1", "us-east-1", "us-west-2"];

/// The key of a log with this number, minutes after 2026-01-31T23:00Z.
pub fn key(account: &str, kind: &str, region: &str, minutes: usize, number: usize) -> String {
    let (folder, day) = match minutes {
        0..60 => ("2026/01/31", "20260131"),
        _ => ("2026/02/01", "20260201"),
    };
    let (hour, minute) = ((23 + minutes / 60) % 24, minutes % 60);
    format!(
        "AWSLogs/{account}/{kind}/{region}/{folder}/{account}_{kind}_{region}_{day}T{hour:02}{minute:02}Z_{number:016}.json.gz"
    )
}

/// Keys of the accounts and regions around midnight, all within the look-back, in random order.
pub fn keys(count: usize) -> Vec<String> {
    let mut random = Random::seeded(11);
    let mut below = |end: usize| random.below(end as u64) as usize;
    let mut keys: Vec<String> = (0..count)
        .map(|number| {
            let (account, region) = (ACCOUNTS[below(3)], REGIONS[below(3)]);
            let kind = ["CloudTrail", "CloudTrail-NetworkActivity"][below(2)];
            key(account, kind, region, below(115), number)
        })
        .collect();
    for at in (1..keys.len()).rev() {
        let other = below(at + 1);
        keys.swap(at, other);
    }
    keys
}

pub fn put(server: &FaultServer, keys: &[String]) {
    server.s3(|store| {
        for key in keys {
            store.put(NAME, key, object(key, 1));
        }
    });
}

pub fn ids<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Vec<String> {
    let keys = keys.into_iter();
    keys.map(|key| format!("{}#0", key.as_ref())).collect()
}

pub fn state_path(scratch: &Scratch) -> PathBuf {
    scratch.path().join("state")
}

pub fn with_state(settings: Settings, scratch: &Scratch) -> Settings {
    let path = state_path(scratch);
    settings.with("s3State", path.to_str().expect("UTF-8"))
}

/// A key as [`key`], with a name of this many minutes ago.
fn recent_key(region: &str, minutes_ago: u64, number: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let minutes = now.expect("a time after 1970").as_secs() / 60 - minutes_ago;
    let (mut day, minute) = (minutes / 1440, minutes % 1440);
    let days_of = |year: u64| 365 + u64::from(year.is_multiple_of(4));
    let mut year = 1970;
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (account, day) = (ACCOUNTS[0], day + 1);
    let (hour, minute) = (minute / 60, minute % 60);
    format!(
        "AWSLogs/{account}/CloudTrail/{region}/{year}/{month:02}/{day:02}/{account}_CloudTrail_{region}_{year}{month:02}{day:02}T{hour:02}{minute:02}Z_{number:016}.json.gz"
    )
}

/// The keys that a state file holds as read.
pub struct SavedState(pub Value);

impl SavedState {
    /// `None` if there is no file yet.
    pub fn read(scratch: &Scratch) -> Option<SavedState> {
        let text = fs::read_to_string(state_path(scratch)).ok()?;
        let positions = text.lines().nth(1).expect("a header and the positions");
        Some(SavedState(serde_json::from_str(positions).expect("JSON")))
    }

    pub fn has(&self, key: &str) -> bool {
        let prefixes = self.0["prefixes"].as_array().expect("an array");
        prefixes.iter().any(|prefix| {
            let text = prefix["prefix"].as_str().expect("a text");
            let keys = prefix["keys"].as_array().expect("an array");
            let is_known = |rest: &str| keys.iter().any(|known| known == rest);
            let unread = prefix["unread"].as_array().into_iter().flatten();
            let is_unread = |rest: &str| unread.clone().any(|unread| unread == rest);
            let is_passed = prefix["start_after"]
                .as_str()
                .is_some_and(|start| key <= start);
            key.strip_prefix(text)
                .is_some_and(|rest| is_known(rest) || is_passed && !is_unread(rest))
        })
    }
}

/// Objects appear in random order while readers are killed and started again. What a state file holds was delivered, and
/// is never read again.
pub fn finds_each_object_once_over_restarts() {
    const OBJECTS: usize = 5000;
    let scratch = Scratch::new("follow-restarts");
    let server = bucket(0);
    let keys = keys(OBJECTS);
    let settings = with_state(settings(&server).with("s3Follow", "1s"), &scratch);
    let source = format!("s3://{NAME}/AWSLogs/");
    let (mut read, mut saved) = (HashSet::new(), HashSet::new());
    let assert_new = |ids: &[String], saved: &HashSet<String>, run: &str| {
        let unique: HashSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{run}: twice in one run");
        let again: Vec<_> = ids.iter().filter(|id| saved.contains(*id)).collect();
        assert!(again.is_empty(), "{run}: read again: {again:#?}");
    };
    // The first run is killed while new objects arrive, the others while they are still reading.
    let rounds = [(1500, usize::MAX), (1800, 700), (1700, 400)];
    let mut all = keys.iter();
    for (round, (count, until)) in rounds.into_iter().enumerate() {
        let part: Vec<String> = all.by_ref().take(count).cloned().collect();
        let mut reader = Ctcat::start(&settings, &source);
        let (early, late) = part.split_at(part.len() * 4 / 5);
        for keys in early.chunks(120) {
            put(&server, keys);
            std::thread::sleep(Duration::from_millis(50));
        }
        let expected = until.min(early.len());
        let all_read = reader.until(|ids| ids.len() >= expected);
        assert!(all_read, "round {round}: {} events", reader.ids().len());
        if until > early.len() {
            let is_saved = || {
                let state = SavedState::read(&scratch);
                state.is_some_and(|state| early.iter().all(|key| state.has(key)))
            };
            wait_for("a save of all that was read", RECOVERY, is_saved);
            put(&server, late);
            std::thread::sleep(Duration::from_millis(1100));
        } else {
            put(&server, late);
        }
        reader.kill();
        let printed = reader.ids();
        assert_new(&printed, &saved, &format!("round {round}"));
        read.extend(printed);
        if let Some(state) = SavedState::read(&scratch) {
            let in_file = keys.iter().filter(|key| state.has(key));
            saved = ids(in_file).into_iter().collect();
        }
        let unread: Vec<_> = saved.difference(&read).collect();
        assert!(unread.is_empty(), "saved and not delivered: {unread:#?}");
    }
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&source);
    let is_complete = |ids: &[String]| {
        let all: HashSet<&String> = ids.iter().chain(&read).collect();
        all.len() == keys.len()
    };
    assert!(
        reading.until(RECOVERY, is_complete),
        "{} events",
        reading.ids.len()
    );
    reading.during(Duration::from_secs(2));
    assert_new(&reading.ids, &saved, "the last run");
    read.extend(reading.ids.iter().cloned());
    let read: Vec<String> = read.into_iter().collect();
    assert_once(&read, &ids(&keys));
    assert_eq!(complaints(&feed), [""; 0]);
}

pub fn finds_late_files_new_regions_and_other_layouts() {
    let server = bucket(0);
    let feed = Feed::new(
        &settings(&server)
            .with("s3Follow", "1s")
            .with("includeInsights", true),
    );
    let of =
        |region: &str, minutes, number| key(ACCOUNTS[0], "CloudTrail", region, minutes, number);
    // Two hours before the newest name is late; another layout has no order at all.
    let mut all = vec![
        of("us-east-1", 110, 0),
        "exports/m.json.gz".to_owned(),
        "AWSLogs/direct.json.gz".to_owned(),
    ];
    put(&server, &all);
    let mut reading = feed.open(&format!("s3://{NAME}"));
    assert!(
        reading.until(RECOVERY, |ids| ids.len() == all.len()),
        "{:?}",
        reading.ids
    );
    assert_eq!(reading.once(), Status::Timeout);
    for keys in [
        vec![of("us-east-1", 30, 1), "exports/a.json.gz".to_owned()],
        vec![of("us-east-1", 111, 2), "exports/z/b.json.gz".to_owned()],
        vec![
            of("eu-central-1", 5, 3),
            key(ACCOUNTS[1], "CloudTrail-Aggregated", "us-west-2", 5, 4),
            key(ACCOUNTS[1], "CloudTrail-Insight", "us-west-2", 5, 5),
            "AWSLogs/another.json.gz".to_owned(),
            "exports/c.json.gz".to_owned(),
        ],
    ] {
        put(&server, &keys);
        all.extend(keys);
        assert!(
            reading.until(RECOVERY, |ids| ids.len() >= all.len()),
            "{:?}",
            reading.ids
        );
    }
    reading.during(Duration::from_secs(3));
    assert_once(&reading.ids, &ids(&all));
    assert_eq!(complaints(&feed), [""; 0]);
}

/// New objects of other layouts are recognized by their keys, over a restart too.
pub fn servers_without_last_modified_are_followed() {
    let scratch = Scratch::new("follow-no-times");
    let server = bucket(0);
    server.s3(|store| store.omit_last_modified());
    let feed = Feed::new(&with_state(
        settings(&server).with("s3Follow", "1s"),
        &scratch,
    ));
    let source = format!("s3://{NAME}");
    let mut all: Vec<String> = Vec::new();
    let mut read = Vec::new();
    for run in 0..2 {
        let mut reading = feed.open(&source);
        for step in 0..3 {
            let number = run * 3 + step;
            let keys = [
                format!("exports/{}.json.gz", (b'm' - number as u8) as char),
                format!("exports/z/{number}.json.gz"),
                format!("AWSLogs/{number}.json.gz"),
                key(ACCOUNTS[0], "CloudTrail", "us-east-1", 60 - number, number),
            ];
            put(&server, &keys);
            all.extend(keys);
            let unread = all.len() - read.len();
            assert!(
                reading.until(RECOVERY, |ids| ids.len() >= unread),
                "{:?}",
                reading.ids
            );
        }
        reading.during(Duration::from_secs(3));
        read.append(&mut reading.ids);
    }
    assert_once(&read, &ids(&all));
    assert_eq!(complaints(&feed), [""; 0]);
}

/// The line at open states the LIST requests of an hour; they are counted for some intervals.
pub fn lists_as_often_as_the_line_at_open_says() {
    const SECONDS: u64 = 10;
    let server = bucket(0);
    let keys: Vec<String> = (0..400)
        .map(|number| recent_key(REGIONS[number % 3], number as u64 / 10, number))
        .collect();
    put(&server, &keys);
    let feed = Feed::new(&settings(&server).with("s3Follow", "1s"));
    let mut reading = feed.open(&format!("s3://{NAME}/AWSLogs/"));
    assert!(reading.until(RECOVERY, |ids| ids.len() == 400));
    let lines = feed.logged(Severity::Info);
    let line = lines
        .iter()
        .find(|line| line.contains("LIST requests an hour"));
    let line = line.expect("a line that states the requests");
    let after = |text: &str| {
        let rest = line.split_once(text).expect("the text").1;
        let number = rest.split_whitespace().next().expect("a number");
        number.parse::<usize>().expect("a number")
    };
    let prefixes = after(": ");
    let most = after("at most ") * SECONDS as usize / 3600;
    assert_eq!(prefixes, 3);
    let listed = server.count("ListObjectsV2");
    reading.during(Duration::from_secs(SECONDS));
    let listed = server.count("ListObjectsV2") - listed;
    // One interval and one search more or less, and a busy machine lists later.
    assert!(
        listed <= most + prefixes + 10 && listed >= most / 2,
        "{listed} requests in {SECONDS} s, stated are at most {most}"
    );
}

/// Prefixes whose newest file is hours old are listed every tenth interval at most, as from the second listing on.
pub fn idle_prefixes_are_listed_less_often_from_the_start() {
    let server = bucket(0);
    let recent = recent_key(REGIONS[0], 5, 0);
    let mut all = vec![recent.clone()];
    for number in 0..20 {
        let region = format!("old-region-{number}");
        all.push(key(ACCOUNTS[0], "CloudTrail", &region, 5, number));
    }
    put(&server, &all);
    let feed = Feed::new(&settings(&server).with("s3Follow", "1s"));
    let mut reading = feed.open(&format!("s3://{NAME}/AWSLogs/"));
    assert!(reading.until(RECOVERY, |ids| ids.len() == all.len()));
    let listed = server.count("ListObjectsV2");
    reading.during(Duration::from_secs(20));
    let listed = server.count("ListObjectsV2") - listed;
    // 20 of the recent prefix, 2 or 3 of each of the others, and 5 searches of 3 requests.
    assert!(listed < 20 + 3 * 20 + 3 * 5, "{listed} requests in 20 s");
    let new = key(ACCOUNTS[0], "CloudTrail", "old-region-7", 6, 99);
    all.push(new.clone());
    put(&server, &[new]);
    assert!(reading.until(RECOVERY, |ids| ids.len() == all.len()));
    assert_once(&reading.ids, &ids(&all));
}

pub fn waits_out_failing_listings() {
    let server = bucket(0);
    let keys = keys(60);
    put(&server, &keys[..20]);
    let settings = settings(&server)
        .with("s3Follow", "1s")
        .with("s3RetryFor", "4s");
    let feed = Feed::new(&settings);
    let mut reading = feed.open(&format!("s3://{NAME}/AWSLogs/"));
    assert!(reading.until(RECOVERY, |ids| ids.len() == 20));
    let failing = ServerFault::Refuse(500, "InternalError");
    server.fault(ServerRule::of("ListObjectsV2", failing));
    put(&server, &keys[20..40]);
    // Longer than `s3RetryFor`: prefixes are given up, and listed again at the next interval.
    reading.until(RECOVERY, |_| feed.metric("errors.list") > 0);
    assert_eq!(reading.ids.len(), 20);
    server.end_faults();
    put(&server, &keys[40..]);
    assert!(
        reading.until(RECOVERY, |ids| ids.len() >= 60),
        "{}",
        reading.ids.len()
    );
    reading.during(Duration::from_secs(2));
    assert_once(&reading.ids, &ids(&keys));
    assert_line(
        &feed.logged(Severity::Error),
        &["cannot be listed", "InternalError"],
    );
}

pub fn reports_requests_and_closes_promptly() {
    let server = bucket(0);
    put(&server, &keys(200));
    let feed = Feed::new(&settings(&server).with("s3Follow", "60s"));
    let mut reading = feed.open(&format!("s3://{NAME}/AWSLogs/"));
    assert!(reading.until(RECOVERY, |ids| ids.len() == 200));
    // 18 prefixes 60 times an hour; the search takes 1 request for the accounts and, for each of them, 1 and
    // 2 for its kinds, 12 times an hour.
    assert_line(
        &feed.logged(Severity::Info),
        &[
            "18 prefixes every 60 s",
            "at most 1200 LIST requests an hour, 228 while",
            "one for each further 1000 objects of a listing",
        ],
    );
    let listed = server.count("ListObjectsV2");
    reading.during(Duration::from_secs(3));
    assert_eq!(
        server.count("ListObjectsV2"),
        listed,
        "no request before its time"
    );
    let began = Instant::now();
    drop(reading);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

/// A sweep that is killed continues where it was, and removes its file at the end.
pub fn sweep_with_a_state_continues_after_sigkill_and_removes_the_file() {
    let scratch = Scratch::new("sweep-state");
    let server = bucket(0);
    let mut keys = keys(300);
    keys.extend((0..100).map(|number| format!("exports/{number:03}.json.gz")));
    put(&server, &keys);
    server.s3(|store| store.set_page_size(20));
    let settings = with_state(settings(&server), &scratch).with("s3DownloadConcurrency", 4);
    let source = format!("s3://{NAME}");
    server.fault(ServerRule::of(
        "GetObject",
        ServerFault::Delay(Duration::from_millis(150)),
    ));
    let mut reader = Ctcat::start(&settings, &source);
    assert!(
        reader.until(|ids| ids.len() >= 60),
        "{} events",
        reader.ids().len()
    );
    let certain = reader.ids();
    assert!(reader.until(|ids| ids.len() >= certain.len() + 100));
    std::thread::sleep(Duration::from_secs(1));
    reader.kill();
    let first = reader.ids();
    server.end_faults();
    let feed = Feed::new(&settings);
    let second = feed.read_all(&source);
    let all: Vec<String> = first.iter().chain(&second).cloned().collect();
    assert_all(&all, &ids(&keys));
    let certain: HashSet<String> = certain.into_iter().collect();
    let again: Vec<_> = second.iter().filter(|id| certain.contains(*id)).collect();
    assert!(again.is_empty(), "read again: {again:#?}");
    assert!(second.len() < keys.len() - 60);
    let left: Vec<_> = fs::read_dir(scratch.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

pub fn state_that_does_not_fit_is_refused() {
    let scratch = Scratch::new("state-errors");
    let server = bucket(5);
    let path = state_path(&scratch);
    let follow = with_state(settings(&server).with("s3Follow", "1s"), &scratch);
    let source = format!("s3://{NAME}/logs/");
    let feed = Feed::new(&follow);
    let mut reading = feed.open(&source);
    assert!(reading.until(RECOVERY, |ids| ids.len() == 5));
    reading.once();
    let other = Feed::new(&follow);
    let (in_use, _) = other.refusal(&source);
    assert!(in_use.contains("in use by another instance"), "{in_use}");
    drop(reading);
    let saved = fs::read(&path).expect("the file");
    let refused = |settings: &Settings, source: &str, parts: &[&str]| {
        let (error, _) = Feed::new(settings).refusal(source);
        for part in parts.iter().chain(&[path.to_str().expect("UTF-8")]) {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    };
    refused(
        &follow,
        &format!("s3://{NAME}/"),
        &["prefix", "logs/", "remove this one"],
    );
    refused(
        &follow.clone().with("s3AccountList", ACCOUNTS[0]),
        &source,
        &["s3AccountList", ACCOUNTS[0]],
    );
    refused(
        &follow.clone().with("s3Interval", "5d"),
        &source,
        &["s3Interval", "5d"],
    );
    let damaged = [
        saved[..saved.len() - 20].to_vec(),
        b"{}".to_vec(),
        Vec::new(),
        String::from_utf8_lossy(&saved)
            .replace("0003", "0007")
            .into_bytes(),
    ];
    for content in damaged {
        fs::write(&path, &content).expect("a file");
        refused(&follow, &source, &["damaged", "remove it"]);
        assert_eq!(
            fs::read(&path).expect("the file"),
            content,
            "it is left as it is"
        );
    }
    fs::write(&path, &saved).expect("a file");
    let mut reading = feed.open(&source);
    reading.during(Duration::from_secs(3));
    assert_eq!(reading.ids, [""; 0], "everything was read before");
    drop(reading);
    let nowhere = follow.with("s3State", "/proc/no-such-folder/state");
    let (error, _) = Feed::new(&nowhere).refusal(&source);
    assert!(
        error.contains("/proc/no-such-folder/state") && error.contains("cannot be"),
        "{error}"
    );
}

/// `ctcat check` describes the state file, and neither creates, locks nor changes it.
pub fn check_leaves_the_state_file_alone() {
    let scratch = Scratch::new("state-check");
    let server = bucket(5);
    let path = state_path(&scratch);
    let follow = with_state(settings(&server).with("s3Follow", "1s"), &scratch);
    let source = format!("s3://{NAME}/logs/");
    let check = |source: &str| {
        let mut command = child::bare();
        command.args(["check", "--wait", "2", "-c", &follow.json(), source]);
        let output = child::run(command);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.success(), text)
    };
    let (passed, text) = check(&source);
    assert!(passed && text.contains("does not exist"), "{text}");
    assert_eq!(fs::read_dir(scratch.path()).expect("the folder").count(), 0);
    let feed = Feed::new(&follow);
    let mut reading = feed.open(&source);
    assert!(reading.until(RECOVERY, |ids| ids.len() == 5));
    // Everything is saved, and then nothing is written while nothing changes.
    let age = || {
        let written = fs::metadata(&path).and_then(|file| file.modified());
        written.ok().and_then(|at| at.elapsed().ok())
    };
    wait_for("a file that rests", RECOVERY, || {
        reading.once();
        age() > Some(Duration::from_secs(5))
    });
    let saved = fs::read(&path).expect("the file");
    let (passed, text) = check(&source);
    let described = format!("has a position in {source}");
    assert!(
        passed && text.contains(&described),
        "while it is in use: {text}"
    );
    assert_eq!(fs::read(&path).expect("the file"), saved);
    let (passed, text) = check(&format!("s3://{NAME}/"));
    assert!(
        !passed && text.contains(&format!("belongs to {source}")),
        "{text}"
    );
    drop(reading);
    fs::write(&path, "no state").expect("a file");
    let (passed, text) = check(&source);
    assert!(!passed && text.contains("damaged"), "{text}");
}
