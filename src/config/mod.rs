//! The init configuration: its keys with their meaning, defaults and JSON schema, and its parser.
#![forbid(unsafe_code)]

mod effect;
pub mod interval;
mod json;
mod schema;
mod validate;

pub use self::effect::SourceKind;
pub use self::schema::schema;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::interval::Interval;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::{quoted, redacted};
use crate::object_key::is_account;
use crate::timestamp;

/// Default of `s3RetryFor`.
const DEFAULT_RETRY_FOR: &str = "30m";

/// Settings of the CloudTrail source: the plugin's `init_config` in falco.yaml.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Delete messages from the queue once they are processed. false: messages become visible again and are processed again.
    #[schemars(title = "Delete messages")]
    pub sqs_delete: bool,
    /// When to delete a message: after Falco received all records of its objects (delivered: at least once), or as soon as it is received (received: at most once).
    #[schemars(title = "When to delete messages")]
    pub sqs_delete_when: SqsDeleteWhen,
    /// ID of the AWS account that owns the queue, 12 digits. Empty: the account of the credentials. Without effect if the queue is named by its URL or ARN.
    #[schemars(title = "Account of the queue")]
    pub sqs_owner_account: String,
    /// Long-poll time in seconds: how long a receive request waits for messages.
    #[schemars(title = "Long-poll time (s)", range(min = 0, max = 20))]
    pub sqs_wait_seconds: u32,
    /// Visibility timeout in seconds: how long a received message is hidden from other consumers. Extended while its objects are being read. 0: the queue's own setting.
    #[schemars(title = "Visibility timeout (s)", range(min = 0, max = 43200))]
    pub sqs_visibility_timeout: u32,
    /// Number of receives after which a message that fails permanently is deleted with an error. Without effect if the queue has a redrive policy.
    #[schemars(title = "Receives before giving up", range(min = 1, max = 1_000_000))]
    pub sqs_max_receives: u32,
    /// Accept CloudTrail records in messages, as EventBridge sends them. false: such a message counts as unknown and fails permanently.
    #[schemars(title = "Accept records in messages")]
    pub sqs_records: bool,
    /// Buckets that a message may have objects read from: names or globs, in which * stands for any characters and ? for one. An object in another bucket is a permanent failure of its message. Empty: all buckets.
    #[schemars(title = "Allowed buckets")]
    pub sqs_allowed_buckets: Vec<String>,
    /// Age above which an object that a message names is skipped, by the time in its name: a number and a unit (w, d, h, m or s), such as 12h or 7d; at least 1m. Empty: no limit.
    #[schemars(title = "Maximum age of objects")]
    pub sqs_max_age: String,
    /// Accepted for compatibility, without effect: the format of a notification is recognized from the message.
    #[serde(rename = "useS3SNS")]
    #[schemars(title = "S3 notifications (no effect)")]
    pub use_s3_sns: bool,
    /// Maximum number of concurrent downloads, and of concurrent listings.
    #[schemars(title = "Concurrent downloads", range(min = 1, max = 1024))]
    pub s3_download_concurrency: u32,
    /// Interval of log files to read, by the time in their names: 5d (the last five days), 5d-2d, 2023-04-05T06:00:00Z, or a start and an end of either kind joined by a dash. Units are w, d, h, m and s. Empty: all files.
    #[schemars(title = "Interval of log files")]
    pub s3_interval: String,
    /// Account IDs to read from the bucket of an organization trail, separated by commas; for sqs:// by the account in the object's key. Empty: all accounts.
    #[schemars(title = "Accounts")]
    pub s3_account_list: String,
    /// What to do with an object that cannot be read after all retries: log and count it and read on (skip), or end the source with an error (fail).
    #[schemars(title = "After a lost object")]
    pub s3_on_error: OnError,
    /// How long to retry an object or a listing of an s3:// source after transient failures, before s3OnError applies: a number and a unit (w, d, h, m or s), such as 90s, 30m or 2h; from 1s to 7d. Empty: 30m.
    #[schemars(title = "Time limit for retries")]
    pub s3_retry_for: String,
    /// Follow an s3:// source or a local folder: it never ends and is listed again at this interval, a number and a unit (w, d, h, m or s), such as 60s; from 1s to 1d. Empty: read once.
    #[schemars(title = "Follow interval")]
    pub s3_follow: String,
    /// Path of a file that keeps the position of an s3:// source over restarts. Empty: no file.
    #[schemars(title = "State file")]
    pub s3_state: String,
    /// Accepted for compatibility, without effect: fields are extracted on demand.
    #[schemars(title = "Asynchronous extraction (no effect)")]
    pub use_async: bool,
    /// Deliver CloudTrail Insights records too.
    #[schemars(title = "Include Insights records")]
    pub include_insights: bool,
    /// Number of threads that decompress and parse. 0: one less than the number of processor cores, at least one.
    #[schemars(title = "Decode threads", range(min = 0, max = 64))]
    pub decode_threads: u32,
    /// Memory budget in bytes for compressed and decompressed data that waits for Falco. Reading pauses when it is used up; a single larger object is still read.
    #[schemars(title = "Memory budget (bytes)", range(min = 1))]
    pub max_buffered_bytes: u64,
    /// Maximum size of an object in bytes after decompression. A larger object is rejected, logged and counted.
    #[schemars(title = "Maximum object size (bytes)", range(min = 1))]
    pub max_object_bytes: u64,
    /// Path of a file that records every lost object and its cause, one JSON line each; log lines about lost objects are then rate-limited. Empty: no file, and every lost object is logged.
    #[schemars(title = "File of lost objects")]
    pub lost_log: String,
    /// Events that Falco never sees, to save its time: objects of field names and values. An event is dropped if all keys of an object match. A value is a text in which * stands for any text, a list of texts, or null for no value. Each object needs ct.src or ct.shortsrc, and one of ct.name, ct.readonly, ct.eventcategory and ct.managementevent; it drops failed requests only if it has ct.error.
    #[schemars(title = "Events to drop", schema_with = "schema::drop_events")]
    pub drop_events: Vec<BTreeMap<String, Value>>,
    /// Number of events that are remembered, so that Falco gets each once: an event with the eventID and eventTime of one of them is skipped. Takes up to 32 bytes of memory for each. 0: duplicates are delivered.
    #[schemars(
        title = "Deduplication window (events)",
        range(min = 0, max = 100_000_000)
    )]
    pub dedup_window: u32,
    /// How to connect to AWS. Settings that are not set here come from the AWS SDK's default chain: environment, shared files, container and instance roles.
    #[schemars(title = "AWS")]
    pub aws: Aws,
    /// Keys that the init configuration sets; those of inner objects as `outer.inner`.
    #[serde(skip)]
    pub set_keys: Vec<String>,
}

/// How to connect to AWS: the `aws` object of the [`Config`]. An empty string means the AWS SDK's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Aws {
    /// Profile in the shared files.
    #[schemars(title = "Profile")]
    pub profile: String,
    /// Region of the queue, and of buckets whose region cannot be detected.
    #[schemars(title = "Region")]
    pub region: String,
    /// Path of the shared config file, instead of ~/.aws/config.
    #[schemars(title = "Shared config file")]
    pub config: String,
    /// Path of the shared credentials file, instead of ~/.aws/credentials.
    #[schemars(title = "Shared credentials file")]
    pub credentials: String,
    /// Endpoint URL for S3 and SQS, such as http://localhost:4566, with path-style addressing of buckets.
    #[schemars(title = "Endpoint URL")]
    pub endpoint: String,
    /// ARN of a role to assume.
    #[schemars(title = "Role to assume")]
    pub role_arn: String,
    /// External ID that the role's trust policy requires.
    #[schemars(title = "External ID")]
    pub external_id: String,
    /// Name of the role session, as CloudTrail records it.
    #[schemars(title = "Role session name")]
    pub role_session_name: String,
    /// Use AWS's FIPS endpoints.
    #[schemars(title = "FIPS endpoints")]
    pub use_fips: bool,
    /// Use AWS's dual-stack endpoints (IPv4 and IPv6).
    #[schemars(title = "Dual-stack endpoints")]
    pub use_dualstack: bool,
}

/// When a message is deleted from its queue: `sqsDeleteWhen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SqsDeleteWhen {
    /// After all records of all of its objects were delivered to Falco: at least once.
    Delivered,
    /// On receipt: at most once.
    Received,
}

/// What to do with an object that still fails after all retries: `s3OnError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Log, count and skip it.
    Skip,
    /// End the source with an error.
    Fail,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            sqs_delete: true,
            sqs_delete_when: SqsDeleteWhen::Delivered,
            sqs_owner_account: String::new(),
            sqs_wait_seconds: 20,
            sqs_visibility_timeout: 0,
            sqs_max_receives: 5,
            sqs_records: true,
            sqs_allowed_buckets: Vec::new(),
            sqs_max_age: String::new(),
            use_s3_sns: false,
            s3_download_concurrency: 32,
            s3_interval: String::new(),
            s3_account_list: String::new(),
            s3_on_error: OnError::Skip,
            s3_retry_for: DEFAULT_RETRY_FOR.to_owned(),
            s3_follow: String::new(),
            s3_state: String::new(),
            use_async: true,
            include_insights: false,
            decode_threads: 0,
            max_buffered_bytes: 256 << 20,
            max_object_bytes: 1 << 30,
            lost_log: String::new(),
            drop_events: Vec::new(),
            dedup_window: 0,
            aws: Aws::default(),
            set_keys: Vec::new(),
        }
    }
}

impl Config {
    /// Number of decode threads: the configured one, else one less than the number of cores, at least one.
    pub fn decode_threads(&self) -> usize {
        match self.decode_threads {
            0 => std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 64)),
            threads => threads as usize,
        }
    }

    /// The configured visibility timeout in seconds; `None` means the queue's own.
    pub fn sqs_visibility_timeout(&self) -> Option<u32> {
        Some(self.sqs_visibility_timeout).filter(|seconds| *seconds > 0)
    }

    /// The age above which objects are skipped; `None` means no limit.
    pub fn sqs_max_age(&self) -> Option<Duration> {
        max_age(&self.sqs_max_age)
    }

    /// How long temporary failures of an `s3://` source are retried.
    pub fn s3_retry_for(&self) -> Duration {
        // `parse` rejects invalid values.
        retry_for(&self.s3_retry_for).unwrap_or_default()
    }

    /// The interval of `s3Follow`; `None` reads a source once.
    pub fn s3_follow(&self) -> Option<Duration> {
        // `parse` rejects invalid values.
        follow_interval(&self.s3_follow)
    }

    /// Account IDs of `s3AccountList`, without duplicates; empty means all accounts.
    pub fn s3_accounts(&self) -> Vec<&str> {
        let mut accounts = Vec::new();
        for account in self.s3_account_list.split(',').map(str::trim) {
            if !account.is_empty() && !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        accounts
    }
}

/// Parses an init configuration: a JSON object, or `null` or blank text for one without keys.
///
/// Keys match case-insensitively. The second value has a warning for each unknown or repeated key; the last of a
/// repeated key counts.
///
/// # Errors
///
/// [`ErrorKind::Config`] if the text is not a JSON object (with line and column), or if a value is invalid (with its
/// key, the value and what is allowed).
pub fn parse(text: &str) -> Result<(Config, Vec<String>)> {
    let mut warnings = Vec::new();
    let members = json::parse_object(text)?;
    let config = validate::config(members, &schema::value(), &mut warnings)?;
    let interval = Interval::parse(&config.s3_interval, timestamp::now())?;
    check_follow(&config, interval)?;
    check_accounts(&config.s3_account_list)?;
    check_owner(&config.sqs_owner_account)?;
    check_retry_for(&config.s3_retry_for)?;
    check_max_age(&config.sqs_max_age)?;
    check_buckets(&config.sqs_allowed_buckets)?;
    if !config.aws.endpoint.is_empty() {
        check_endpoint("aws.endpoint", &config.aws.endpoint)?;
    }
    Ok((config, warnings))
}

/// The duration of `s3RetryFor`, of its default if it is empty; `None` if it is malformed or out of range.
fn retry_for(text: &str) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let text = if text.is_empty() {
        DEFAULT_RETRY_FOR
    } else {
        text
    };
    let range = Duration::from_secs(1)..=7 * DAY;
    interval::duration(text).filter(|duration| range.contains(duration))
}

fn check_retry_for(text: &str) -> Result<()> {
    match retry_for(text) {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::Config,
            format!(
                "s3RetryFor: {} is not allowed; allowed is a duration from 1s to 7d, such as \"90s\", \"30m\", \"2h\" or \"1d\"",
                quoted(text)
            ),
        )),
    }
}

/// The duration of `sqsMaxAge`; `None` if it is empty, malformed or too short: names have minutes.
fn max_age(text: &str) -> Option<Duration> {
    interval::duration(text).filter(|duration| *duration >= Duration::from_secs(60))
}

fn check_max_age(text: &str) -> Result<()> {
    if text.is_empty() || max_age(text).is_some() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "sqsMaxAge: {} is not allowed; allowed is a duration of at least 1m, such as \"12h\" or \"7d\", or empty text",
            quoted(text)
        ),
    ))
}

fn check_buckets(patterns: &[String]) -> Result<()> {
    let is_pattern = |pattern: &&String| {
        !pattern.is_empty()
            && pattern
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_*?".contains(&byte))
    };
    match patterns.iter().find(|pattern| !is_pattern(pattern)) {
        None => Ok(()),
        Some(pattern) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "sqsAllowedBuckets: {} is not the name of a bucket or a glob; allowed are names of letters, digits, dots, dashes and underscores, with * and ?",
                quoted(pattern)
            ),
        )),
    }
}

/// The interval of `s3Follow`; `None` if it is malformed or out of range.
fn follow_interval(text: &str) -> Option<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    interval::duration(text).filter(|duration| range.contains(duration))
}

fn check_follow(config: &Config, interval: Interval) -> Result<()> {
    let text = &config.s3_follow;
    if text.is_empty() {
        return Ok(());
    }
    let problem = if follow_interval(text).is_none() {
        format!(
            "s3Follow: {} is not allowed; allowed is a duration from 1s to 1d, such as \"60s\", or an empty text to read once",
            quoted(text)
        )
    } else if interval.end().is_some() {
        format!(
            "s3Follow: a source that never ends cannot have an end in s3Interval ({}); remove the end or s3Follow",
            quoted(&config.s3_interval)
        )
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, problem))
}

fn check_accounts(list: &str) -> Result<()> {
    if list.trim().is_empty() {
        return Ok(());
    }
    match list.split(',').map(str::trim).find(|id| !is_account(id)) {
        None => Ok(()),
        Some(id) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "s3AccountList: {} in {} is not an account ID; allowed are IDs of 12 digits, separated by commas",
                quoted(id),
                quoted(list)
            ),
        )),
    }
}

fn check_owner(account: &str) -> Result<()> {
    if account.is_empty() || is_account(account) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "sqsOwnerAccount: {} is not an account ID; allowed are 12 digits, or empty text",
            quoted(account)
        ),
    ))
}

/// Checks a URL of an endpoint that `key`, a key of the configuration or an environment variable, sets.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the key and the URL, without credentials in it.
pub(crate) fn check_endpoint(key: &str, endpoint: &str) -> Result<()> {
    let url = endpoint.parse::<hyper::Uri>().ok();
    let accepted = url.is_some_and(|url| {
        let has_scheme = matches!(url.scheme_str(), Some("http" | "https"));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let host_and_port = authority.rsplit('@').next().unwrap_or_default();
        let port = host_and_port.rsplit_once(':').map(|(_, port)| port);
        // Of an IPv6 address, a part that ends in a bracket.
        let has_port = port.is_none_or(|port| port.ends_with(']') || port.parse::<u16>().is_ok());
        has_scheme && has_host && has_port
    });
    match accepted {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Config,
            format!(
                "{key}: {} is not a URL; allowed are http:// or https:// with a host, e.g. http://localhost:4566",
                quoted(&redacted(endpoint))
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
