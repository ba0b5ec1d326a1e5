//! The way to AWS: clients with region and credentials, one object's bytes, a queue's URL, and
//! every failure as one line. Knows nothing of which objects are wanted or what is in them.
//!
//! Requests to S3 are tried again by [`retry`](self) here and not by the SDK, for two reasons: an
//! answer that breaks off in its body is none of the SDK's business any more, and the SDK stops trying again at
//! all when many requests failed, where a bucket that asks to slow down is to be read slowly.
//! Requests to SQS are tried again by the SDK.
#![forbid(unsafe_code)]

mod arn;
mod bucket;
mod count;
mod credentials;
mod descriptors;
mod download;
mod failure;
mod http;
mod imds;
mod proxy;
mod queue;
mod retry;
mod settings;

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_types::SdkConfig;

pub(crate) use self::arn::is_queue_arn;
pub(crate) use self::credentials::RefreshableCredentials;
pub use self::download::{Download, FetchError, FetchErrorKind, Room};
pub use self::failure::{Cause, Described, describe};
pub(crate) use self::retry::Tries;

use self::settings::Resolved;
use crate::config::Config;
use crate::error::Result;
use crate::log::{Log, Severity};
use crate::metrics::Metrics;
use crate::quote::without_secrets;

/// Clients of one open source. Clones share connections, credentials and what was learnt of buckets.
#[derive(Clone)]
pub struct Clients {
    /// S3 in [`Clients::region`], which tries nothing again. A bucket of another region answers it with an error;
    /// [`Clients::download`] and the listing follow such a bucket.
    pub s3: aws_sdk_s3::Client,
    /// SQS in [`Clients::region`]; tries again by itself, three times in all.
    pub sqs: aws_sdk_sqs::Client,
    /// The region that was configured or found, such as `eu-central-1`.
    pub region: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The endpoint that was configured, else empty.
    endpoint: String,
    buckets: bucket::Regions,
    credentials: RefreshableCredentials,
    downloads: usize,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

impl Clients {
    /// Makes clients with the region and credentials of `config.aws` and of the SDK's usual places.
    ///
    /// Asks for credentials once, so that what is wrong with them is known now; afterwards the SDK renews them.
    /// Takes some seconds at most, even where nothing answers. Requests, and what is tried again, are counted in `metrics`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) where a file or profile does not exist, there is no region, or there are no
    /// credentials, they have expired, or the role cannot be assumed.
    pub async fn connect(config: &Config, metrics: Arc<Metrics>, log: Arc<Log>) -> Result<Clients> {
        let aws = &config.aws;
        let room = descriptors::room(config.s3_download_concurrency as usize)?;
        if let Some(warning) = &room.warning {
            log.line(Severity::Warning, warning);
        }
        let Resolved {
            sdk,
            region,
            credentials,
        } = settings::resolve(aws, http::client(room.idle)?).await?;
        let count = count::Count(Arc::clone(&metrics));
        let shared = Shared {
            endpoint: aws.endpoint.clone(),
            buckets: bucket::Regions::default(),
            credentials,
            downloads: room.downloads,
            metrics,
            log,
        };
        Ok(Clients {
            s3: s3(&sdk, &aws.endpoint, count.clone()),
            sqs: sqs(&sdk, &aws.endpoint, count),
            region,
            shared: Arc::new(shared),
        })
    }

    /// How many downloads may run at a time: as many as are configured and the limit of open files has room for.
    pub(crate) fn downloads(&self) -> usize {
        self.shared.downloads
    }

    /// The credentials of all clients, to be invalidated when a service rejects them.
    pub(crate) fn credentials(&self) -> &RefreshableCredentials {
        &self.shared.credentials
    }

    /// Where requests go, for messages: the region, and the endpoint if one was configured.
    pub fn place(&self) -> impl fmt::Display {
        self.place_in(&self.region)
    }

    fn place_in(&self, region: &str) -> String {
        match self.shared.endpoint.as_str() {
            "" => format!("region {region}"),
            endpoint => format!("region {region} at {}", without_secrets(endpoint)),
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("region", &self.region)
            .field("endpoint", &without_secrets(&self.shared.endpoint))
            .finish_non_exhaustive()
    }
}

fn s3(sdk: &SdkConfig, endpoint: &str, count: count::Count) -> aws_sdk_s3::Client {
    let mut builder = aws_sdk_s3::config::Builder::from(sdk)
        .timeout_config(http::s3_timeouts())
        .retry_config(RetryConfig::disabled())
        .retry_partition(RetryPartition::new("cloudtrail-s3"))
        .interceptor(count);
    if !endpoint.is_empty() {
        builder = builder.endpoint_url(endpoint);
    }
    // An endpoint of one's own seldom has a DNS name for each bucket.
    if !endpoint.is_empty() || settings::has_endpoint(sdk, "S3") {
        builder = builder.force_path_style(true);
    }
    aws_sdk_s3::Client::from_conf(builder.build())
}

fn sqs(sdk: &SdkConfig, endpoint: &str, count: count::Count) -> aws_sdk_sqs::Client {
    let mut builder = aws_sdk_sqs::config::Builder::from(sdk)
        .timeout_config(http::sqs_timeouts())
        .retry_config(RetryConfig::standard())
        .retry_partition(RetryPartition::new("cloudtrail-sqs"))
        .interceptor(count);
    if !endpoint.is_empty() {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_sqs::Client::from_conf(builder.build())
}
