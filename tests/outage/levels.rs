//! Log files at every level of CloudTrail's layout, beside the folders to which listings are narrowed.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::Severity;

use crate::aws::child::Ctcat;
use crate::aws::feed::Feed;
use crate::aws::settings::Settings;
use crate::follow::{ACCOUNTS, ids, key, put, with_state};
use crate::server::FaultServer;
use crate::server::fault::{ServerFault, ServerRule};
use crate::setup::{NAME, RECOVERY, assert_line, assert_once, bucket, complaints, settings};
use crate::support::scratch::Scratch;

/// What may be in front of `AWSLogs`: nothing, or an organization, as Control Tower writes it.
const LOGS: [&str; 2] = ["", "o-abc123/"];

/// The levels below `AWSLogs`, with and without an organization.
const LEVELS: [&str; 7] = [
    "",
    "111122223333/",
    "111122223333/CloudTrail/",
    "111122223333/CloudTrail/us-east-1/",
    "o-abc123/",
    "o-abc123/111122223333/",
    "o-abc123/111122223333/CloudTrail/",
];

/// Every folder that is listed, from the top of the bucket down to the regions.
fn levels() -> Vec<String> {
    let mut all = Vec::new();
    for logs in LOGS {
        all.push(logs.to_owned());
        all.extend(LEVELS.map(|level| format!("{logs}AWSLogs/{level}")));
    }
    all
}

/// Keys with this name at every level.
fn beside(name: &str) -> Vec<String> {
    let levels = levels().into_iter();
    levels.map(|level| format!("{level}{name}")).collect()
}

/// Logs where CloudTrail writes them.
fn regular() -> Vec<String> {
    let mut all = Vec::new();
    for logs in LOGS {
        for organization in ["", "o-abc123/"] {
            for (number, account) in ACCOUNTS[..2].iter().enumerate() {
                let key = key(account, "CloudTrail", "us-east-1", 5, number);
                all.push(format!(
                    "{logs}{}",
                    key.replacen('/', &format!("/{organization}"), 1)
                ));
            }
        }
    }
    all
}

/// What a sweep reads, and the number of its listing requests.
fn listed(server: &FaultServer, settings: &Settings, source: &str) -> (Vec<String>, usize) {
    let before = server.count("ListObjectsV2");
    let feed = Feed::new(settings);
    let read = feed.read_all(source);
    assert_eq!(complaints(&feed), [""; 0]);
    (read, server.count("ListObjectsV2") - before)
}

pub fn are_read_by_a_sweep_without_further_requests() {
    let server = bucket(0);
    let settings = settings(&server);
    let mut all = regular();
    put(&server, &all);
    let logs = format!("s3://{NAME}/AWSLogs/");
    let (_, requests) = listed(&server, &settings, &logs);
    // The check at open, `AWSLogs/`, the organization, and 4 accounts with one kind and one region each.
    assert_eq!(requests, 1 + 2 + 4 * 3);
    let selected = settings.clone().with("s3AccountList", ACCOUNTS[1]);
    let (_, requests_of_one) = listed(&server, &selected, &logs);
    assert_eq!(requests_of_one, 1 + 2 + 2 * 3);
    all.extend(beside("a.json.gz"));
    all.extend(beside("z.json"));
    // Neither is a CloudTrail log.
    put(
        &server,
        &beside("111122223333_vpcflowlogs_us-east-1_x.log.gz"),
    );
    put(&server, &beside("notes.txt"));
    put(&server, &all);
    let (read, with_files) = listed(&server, &settings, &logs);
    let below = |prefix: &str| {
        let keys = all.iter().filter(|key| key.starts_with(prefix));
        let mut keys: Vec<&String> = keys.collect();
        keys.sort_unstable();
        ids(keys)
    };
    assert_eq!(read, below("AWSLogs/"), "in key order");
    assert_eq!(with_files, requests);
    for prefix in levels() {
        let (read, _) = listed(&server, &settings, &format!("s3://{NAME}/{prefix}"));
        assert_eq!(read, below(&prefix), "{prefix}");
    }
    server.s3(|store| store.set_page_size(1));
    let (read, _) = listed(&server, &settings, &logs);
    assert_eq!(read, below("AWSLogs/"), "in short pages");
}

pub fn are_selected_by_the_account_and_the_time_in_their_names() {
    let server = bucket(0);
    let mut expected = Vec::new();
    // The keys of a region sort by time, and begin with the interval's first day.
    for level in levels()
        .iter()
        .filter(|level| !level.ends_with("us-east-1/"))
    {
        for account in &ACCOUNTS[..2] {
            for day in ["20260130", "20260131"] {
                let name = format!("{account}_CloudTrail_us-east-1_{day}T1200Z_x.json.gz");
                let key = format!("{level}{name}");
                put(&server, std::slice::from_ref(&key));
                // The folder's account counts, or else the file's.
                let is_selected = level.contains(ACCOUNTS[0]) || *account == ACCOUNTS[0];
                if is_selected && day == "20260131" {
                    expected.push(key);
                }
            }
        }
    }
    expected.sort_unstable();
    let settings = settings(&server)
        .with("s3AccountList", ACCOUNTS[0])
        .with("s3Interval", "2026-01-31T00:00:00Z");
    let (read, _) = listed(&server, &settings, &format!("s3://{NAME}"));
    assert_eq!(read, ids(&expected));
    // What cannot be listed leaves the accounts that are known without it.
    let in_organization = format!("s3://{NAME}/AWSLogs/o-abc123/");
    let denied = ServerFault::Refuse(403, "AccessDenied");
    // All tries of the first listing with a delimiter.
    let rule = ServerRule::of("ListObjectsV2", denied);
    server.fault(rule.query("delimiter").times(3));
    let feed = Feed::new(&settings);
    let account = format!("AWSLogs/o-abc123/{}/", ACCOUNTS[0]);
    let of_account = expected.iter().filter(|key| key.starts_with(&account));
    assert_eq!(feed.read_all(&in_organization), ids(of_account));
    let parts = [
        "AWSLogs/o-abc123/ cannot be listed",
        "AccessDenied",
        "the accounts of s3AccountList are read",
    ];
    assert_line(&feed.logged(Severity::Warning), &parts);
    assert!(feed.logged(Severity::Error).is_empty());
}

/// Files appear at every level, before and after a reader is killed.
pub fn are_read_once_by_following_over_a_restart() {
    let server = bucket(0);
    let scratch = Scratch::new("levels");
    let mut all = regular();
    all.extend(beside("m.json.gz"));
    put(&server, &all);
    let plain = settings(&server).with("s3Follow", "1s");
    let kept = with_state(plain.clone(), &scratch);
    let source = format!("s3://{NAME}");
    let mut reader = Ctcat::start(&kept, &source);
    assert!(
        reader.until(|ids| ids.len() >= all.len()),
        "{:?}",
        reader.ids()
    );
    // Long enough for a save.
    std::thread::sleep(Duration::from_secs(3));
    reader.kill();
    assert_once(&reader.ids(), &ids(&all));
    let (resumed, anew) = (Feed::new(&kept), Feed::new(&plain));
    let mut later = beside("z.json.gz");
    put(&server, &later);
    let (mut resumed, mut anew) = (resumed.open(&source), anew.open(&source));
    assert!(resumed.until(RECOVERY, |ids| ids.len() >= later.len()));
    all.extend(later.iter().cloned());
    assert!(anew.until(RECOVERY, |ids| ids.len() >= all.len()));
    let latest = beside("zz.json.gz");
    put(&server, &latest);
    later.extend(latest.iter().cloned());
    all.extend(latest);
    assert!(resumed.until(RECOVERY, |ids| ids.len() >= later.len()));
    assert!(anew.until(RECOVERY, |ids| ids.len() >= all.len()));
    for reading in [&mut resumed, &mut anew] {
        reading.during(Duration::from_secs(6));
    }
    assert_once(&resumed.ids, &ids(&later));
    assert_once(&anew.ids, &ids(&all));
}
