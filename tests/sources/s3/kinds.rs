//! CloudTrail's kinds of logs below an account: management, network activity, aggregated events and Insights.
#![forbid(unsafe_code)]

use super::assert_same;
use crate::aws::feed::Feed;
use crate::aws::settings::Settings;
use crate::fixture::{proxy, service, settings};
use crate::support::scratch::{gzip, plain_log};

/// Kinds in key order, and `CloudTrail-Digest`, which is never read.
const KINDS: [&str; 5] = [
    "CloudTrail-Aggregated",
    "CloudTrail-Digest",
    "CloudTrail-Insight",
    "CloudTrail-NetworkActivity",
    "CloudTrail",
];

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];

const DAYS: [&str; 3] = ["20260130", "20260131", "20260201"];

fn key(account: &str, kind: &str, day: &str) -> String {
    let (year, month, date) = (&day[..4], &day[4..6], &day[6..]);
    format!(
        "AWSLogs/{account}/{kind}/us-east-1/{year}/{month}/{date}/{account}_{kind}_us-east-1_{day}T1200Z_Xq7mNb2Kp9Rt4W00.json.gz"
    )
}

/// The eventIDs of these kinds, accounts and days, in key order.
fn ids(kinds: &[&str], accounts: &[&str], days: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for account in accounts {
        for kind in kinds {
            ids.extend(
                days.iter()
                    .map(|day| format!("{}0", key(account, kind, day))),
            );
        }
    }
    ids
}

pub fn every_kind_of_log_is_read_and_narrowed() {
    let bucket = "every-kind";
    let service = service();
    service.create_bucket(bucket);
    for account in ACCOUNTS {
        for kind in KINDS {
            for key in DAYS.map(|day| key(account, kind, day)) {
                service.put(bucket, &key, gzip(&plain_log(&key, 1)));
            }
        }
    }
    let plain = [KINDS[0], KINDS[3], KINDS[4]];
    let with_insights = [KINDS[0], KINDS[2], KINDS[3], KINDS[4]];
    let feed = Feed::new(&settings());
    let insights = Feed::new(&settings().with("includeInsights", true));
    for prefix in ["", "AWSLogs/"] {
        let source = format!("s3://{bucket}/{prefix}");
        assert_same(
            &feed.read_all(&source),
            &ids(&plain, &ACCOUNTS, &DAYS),
            prefix,
        );
        let expected = ids(&with_insights, &ACCOUNTS, &DAYS);
        assert_same(&insights.read_all(&source), &expected, prefix);
    }
    for kind in KINDS {
        let prefix = format!("AWSLogs/{}/{kind}/", ACCOUNTS[0]);
        let source = format!("s3://{bucket}/{prefix}");
        let expected = match kind {
            "CloudTrail-Digest" => Vec::new(),
            kind => ids(&[kind], &ACCOUNTS[..1], &DAYS),
        };
        let what = match expected.is_empty() {
            true => "nothing of the digests",
            false => kind,
        };
        assert_same(&insights.read_all(&source), &expected, what);
    }
    // Each kind is narrowed to the accounts and days: neither another account nor an earlier day is listed.
    let proxy = proxy();
    let narrow = Settings::at(proxy.address)
        .with("s3Interval", "2026-02-01T00:00:00Z")
        .with("s3AccountList", ACCOUNTS[1]);
    let read = Feed::new(&narrow).read_all(&format!("s3://{bucket}/AWSLogs/"));
    assert_same(&read, &ids(&plain, &ACCOUNTS[1..], &DAYS[2..]), "narrowed");
    let listings: Vec<String> = proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.operation == "ListObjectsV2")
        .map(|seen| seen.query)
        .collect();
    for kind in plain {
        let region = format!("prefix=AWSLogs%2F{}%2F{kind}%2Fus-east-1%2F", ACCOUNTS[1]);
        let dated =
            |query: &&String| query.contains(&format!("{region}&")) || query.ends_with(&region);
        let of_kind: Vec<&String> = listings.iter().filter(dated).collect();
        assert_eq!(of_kind.len(), 1, "{kind}: {listings:#?}");
        assert!(of_kind[0].contains("2026%2F01%2F31"), "{}", of_kind[0]);
    }
    let other = listings.iter().find(|query| query.contains(ACCOUNTS[0]));
    assert_eq!(other, None);
}
