//! The init configuration: what its keys mean, which values they take, and how a person's JSON
//! becomes one. Knows nothing of who uses the values.
#![forbid(unsafe_code)]

mod check;
mod given;

use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::interval::Interval;
use crate::object_key::is_account;
use crate::quote::{quoted, without_secrets};

/// Settings of the CloudTrail source, given to Falco as the plugin's `init_config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Whether messages that are done with are deleted from the queue. With false they come back when their lease ends.
    pub sqs_delete: bool,
    /// When a message is deleted: after all records that it led to were handed to Falco (delivered), or as soon as it arrives (received).
    pub sqs_delete_when: SqsDeleteWhen,
    /// Id of the AWS account that owns the queue. Empty: the account of the credentials.
    pub sqs_owner_account: String,
    /// Seconds that one request waits at the queue for messages to arrive.
    #[schemars(range(min = 0, max = 20))]
    pub sqs_wait_seconds: u32,
    /// Seconds that other readers do not see a message that was received; prolonged for as long as its objects are being read. Without this key the queue's own setting holds.
    #[schemars(with = "u32", range(min = 1, max = 43200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqs_visibility_timeout: Option<u32>,
    /// How often a message may fail for a lasting reason before it is deleted with an error. A queue that has a dead-letter queue decides by its own redrive policy.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sqs_max_receives: u32,
    /// Accepted for compatibility, without effect: the kind of a notification is seen in the message itself.
    #[serde(rename = "useS3SNS")]
    pub use_s3_sns: bool,
    /// How many objects are downloaded at the same time, and how many folders are listed at the same time.
    #[schemars(range(min = 1, max = 1024))]
    pub s3_download_concurrency: u32,
    /// Which log files are read, by the time in their names: 5d (the last five days), 5d-2d, 2023-04-05T06:00:00Z, or a start and an end of either kind joined by a dash. Units are w, d, h, m and s. Empty: all.
    pub s3_interval: String,
    /// Account ids, separated by commas, that are read from the bucket of an organization's trail. Empty: all.
    pub s3_account_list: String,
    /// What becomes of an object that cannot be read even after retries: it is logged, counted and left out (skip), or the source ends with an error (fail).
    pub s3_on_error: OnError,
    /// Accepted for compatibility, without effect: fields are extracted where they are asked for.
    pub use_async: bool,
    /// Whether CloudTrail Insights records are delivered too.
    pub include_insights: bool,
    /// Threads that decompress and parse. Without this key: one for each processor core but one, and at least one.
    #[schemars(with = "u32", range(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_threads: Option<u32>,
    /// Bytes, compressed and decompressed, that may wait for Falco. Reading pauses at this mark; an object that is larger passes alone.
    #[schemars(range(min = 1))]
    pub max_buffered_bytes: u64,
    /// Bytes that an object may have after decompression. A larger one is refused, logged and counted.
    #[schemars(range(min = 1))]
    pub max_object_bytes: u64,
    /// How AWS is reached. What is not given here comes from the environment, the shared files and the other usual places.
    pub aws: Aws,
}

/// How AWS is reached: the `aws` object of the [`Config`]. An empty string leaves a setting to the AWS SDK's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Aws {
    /// Profile to take from the shared files.
    pub profile: String,
    /// Region of the queue, and of the bucket where that does not tell its own.
    pub region: String,
    /// Path of the shared config file, instead of ~/.aws/config.
    pub config: String,
    /// Path of the shared credentials file, instead of ~/.aws/credentials.
    pub credentials: String,
    /// URL at which S3 and SQS are reached instead of at AWS, such as http://localhost:4566. Buckets are then named in the path.
    pub endpoint: String,
    /// ARN of a role to assume.
    pub role_arn: String,
    /// External id that the role asks of whoever assumes it.
    pub external_id: String,
    /// Name that the assumed session bears in the role's own logs.
    pub role_session_name: String,
    /// Whether AWS's FIPS endpoints are used.
    pub use_fips: bool,
    /// Whether AWS's endpoints for IPv4 and IPv6 are used.
    pub use_dualstack: bool,
}

/// When a message is deleted from its queue: `sqsDeleteWhen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SqsDeleteWhen {
    /// After every record of every object that it names was handed to Falco: at least once.
    Delivered,
    /// At once: at most once.
    Received,
}

/// What becomes of an object that still fails after retries: `s3OnError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It is logged, counted and left out.
    Skip,
    /// It ends the source with an error.
    Fail,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            sqs_delete: true,
            sqs_delete_when: SqsDeleteWhen::Delivered,
            sqs_owner_account: String::new(),
            sqs_wait_seconds: 20,
            sqs_visibility_timeout: None,
            sqs_max_receives: 5,
            use_s3_sns: false,
            s3_download_concurrency: 32,
            s3_interval: String::new(),
            s3_account_list: String::new(),
            s3_on_error: OnError::Skip,
            use_async: true,
            include_insights: false,
            decode_threads: None,
            max_buffered_bytes: 256 << 20,
            max_object_bytes: 1 << 30,
            aws: Aws::default(),
        }
    }
}

impl Config {
    /// How many threads decompress and parse: what was given, else one less than there are cores, and at least one.
    pub fn decode_threads(&self) -> usize {
        match self.decode_threads {
            Some(threads) => threads as usize,
            None => std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 64)),
        }
    }

    /// The accounts of `s3AccountList` in its order, each once; none means all accounts.
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

/// Reads an init configuration: a JSON object, or blank text for one without keys.
///
/// Keys match in any case. The second value has one line for each key that is unknown or given
/// twice (the last one counts), to be logged as warnings.
///
/// # Errors
///
/// [`ErrorKind::Config`] where the text is no JSON object (with the line and column), or where a
/// value is not allowed (with its key, itself and what is).
pub fn parse(text: &str) -> Result<(Config, Vec<String>)> {
    let mut warnings = Vec::new();
    let given = given::read(text)?;
    let config = check::config(given, &schema_value(), &mut warnings)?;
    Interval::parse(&config.s3_interval, now())?;
    check_accounts(&config.s3_account_list)?;
    check_endpoint(&config.aws.endpoint)?;
    Ok((config, warnings))
}

/// The JSON schema (draft 7) of the init configuration, generated from [`Config`].
pub fn schema() -> String {
    format!("{:#}", schema_value())
}

fn schema_value() -> Value {
    SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(PlainKeywords)
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// Rewrites what schemars says in newer or rarer words, which Falco's validator need not know:
/// choices become an `enum`, and formats such as `uint32` go.
#[derive(Clone)]
struct PlainKeywords;

impl Transform for PlainKeywords {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        schema.remove("format");
        if let Some(Value::Array(choices)) = schema.remove("oneOf") {
            let names = choices.iter().filter_map(|choice| choice.get("const"));
            schema.insert("enum".into(), names.cloned().collect());
            schema.insert("type".into(), "string".into());
        }
        transform_subschemas(self, schema);
    }
}

fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
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
                "s3AccountList: {} in {} is not an account id; allowed are ids of 12 digits, separated by commas",
                quoted(id),
                quoted(list)
            ),
        )),
    }
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| endpoint.strip_prefix(scheme));
    let plausible = host.is_some_and(|host| {
        !host.is_empty()
            && !host.starts_with(['/', ':', '?', '#'])
            && !host.contains(char::is_whitespace)
    });
    if endpoint.is_empty() || plausible {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "aws.endpoint: {} is not a URL; allowed are http:// or https:// with a host, e.g. http://localhost:4566",
            quoted(&without_secrets(endpoint))
        ),
    ))
}

#[cfg(test)]
mod tests;
