//! Keys as CloudTrail and services that share its buckets write them, with small logs.
#![forbid(unsafe_code)]

use super::service::Service;
use crate::support::scratch::{gzip, plain_log};

pub const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];
pub const REGIONS: [&str; 4] = ["ap-southeast-2", "eu-central-1", "us-east-1", "us-west-2"];
/// Ten days around the turn of a month.
pub const DAYS: [&str; 10] = [
    "20260126", "20260127", "20260128", "20260129", "20260130", "20260131", "20260201", "20260202",
    "20260203", "20260204",
];

/// One object of a sample bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub key: String,
    /// The kind of log.
    pub kind: LogKind,
    pub account: &'static str,
    pub region: &'static str,
    /// `YYYYMMDDTHHmm`, as in its key.
    pub time: String,
}

/// The kind of log in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogKind {
    CloudTrail,
    Insight,
    Digest,
    /// A log of another service.
    Other,
}

impl Object {
    /// The eventID of its only record.
    pub fn id(&self) -> String {
        format!("{}0", self.id_prefix())
    }
}

impl Object {
    /// The key, escaped for a JSON string.
    fn id_prefix(&self) -> String {
        format!("{}#", self.key.replace('"', "'"))
    }
}

/// The key of a CloudTrail log; `root` is the part before the account and ends with a slash.
pub fn log_key(root: &str, account: &str, region: &str, time: &str, unique: &str) -> String {
    let folder = folder(root, account, "CloudTrail", region, time);
    format!("{folder}{account}_CloudTrail_{region}_{time}Z_{unique}.json.gz")
}

fn folder(root: &str, account: &str, service: &str, region: &str, time: &str) -> String {
    let (year, month, day) = (&time[..4], &time[4..6], &time[6..8]);
    format!("{root}{account}/{service}/{region}/{year}/{month}/{day}/")
}

/// `logs` CloudTrail logs for every account, region and day below `root`, and logs of other services if `crowded`.
pub fn objects(root: &str, logs: usize, crowded: bool) -> Vec<Object> {
    let mut objects = Vec::new();
    for account in ACCOUNTS {
        for region in REGIONS {
            for day in DAYS {
                let mut add = |kind, time: &str, key: String| {
                    objects.push(Object {
                        key,
                        kind,
                        account,
                        region,
                        time: time.to_owned(),
                    });
                };
                for number in 0..logs {
                    // From midnight to the day's last minute.
                    let minutes = number * 1439 / (logs - 1).max(1);
                    let time = format!("{day}T{:02}{:02}", minutes / 60, minutes % 60);
                    let unique = format!("Xq7mNb2Kp9Rt4W{number:02}");
                    add(
                        LogKind::CloudTrail,
                        &time,
                        log_key(root, account, region, &time, &unique),
                    );
                }
                if crowded {
                    let noon = format!("{day}T1200");
                    for (kind, key) in neighbours(root, account, region, &noon) {
                        add(kind, &noon, key);
                    }
                }
            }
        }
    }
    objects
}

/// Logs of other services for one account, region and day.
fn neighbours(root: &str, account: &str, region: &str, noon: &str) -> Vec<(LogKind, String)> {
    let below = |service: &str, name: String| {
        format!("{}{name}", folder(root, account, service, region, noon))
    };
    vec![
        (
            LogKind::Insight,
            below(
                "CloudTrail-Insight",
                format!("{account}_CloudTrail-Insight_{region}_{noon}Z_Zk3Vd8Lw1Hs6Gy5J.json.gz"),
            ),
        ),
        (
            LogKind::Digest,
            below(
                "CloudTrail-Digest",
                format!("{account}_CloudTrail-Digest_{region}_trail_{region}_{noon}00Z.json.gz"),
            ),
        ),
        (
            LogKind::Other,
            below(
                "vpcflowlogs",
                format!(
                    "{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_{noon}Z_5f0d7a1c.log.gz"
                ),
            ),
        ),
        (
            LogKind::Other,
            below(
                "elasticloadbalancing",
                format!(
                    "{account}_elasticloadbalancing_{region}_app.front.0123456789abcdef_{noon}Z_192.0.2.7_4kq2.log.gz"
                ),
            ),
        ),
        (
            LogKind::Other,
            below(
                "Config",
                format!(
                    "{account}_Config_{region}_ConfigHistory_AWS::EC2::Instance_{noon}00Z_1.json.gz"
                ),
            ),
        ),
        (LogKind::Other, below("CloudTrail", "notes.txt".to_owned())),
    ]
}

/// Puts the objects into a new bucket. Each has a record, even those that must never be read.
pub fn fill(service: &Service, bucket: &str, objects: &[Object]) {
    service.create_bucket(bucket);
    for object in objects {
        service.put(bucket, &object.key, content(object));
    }
}

fn content(object: &Object) -> Vec<u8> {
    let log = plain_log(&object.id_prefix(), 1);
    if object.kind != LogKind::Insight {
        return gzip(&log);
    }
    let log = String::from_utf8(log).expect("UTF-8");
    gzip(log.replace("AwsApiCall", "AwsCloudTrailInsight").as_bytes())
}
