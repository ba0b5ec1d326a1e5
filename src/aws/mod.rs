//! Access to AWS: clients with region and credentials, one object's bytes, a queue's URL, the classification of
//! failures and how long they are retried. Knows nothing of which objects are read or what is in them.
//!
//! Requests to S3 are retried here and not by the SDK, for two reasons: the SDK does not retry an answer that breaks off
//! in its body, and it stops retrying when many requests fail, which is when an outage has to be waited out. Requests
//! to SQS are retried by the SDK first.
#![forbid(unsafe_code)]

mod adaptive_limit;
mod answer;
mod arn;
pub(crate) mod backoff;
mod breaker;
mod bucket;
mod count;
mod credentials;
mod descriptors;
mod direct;
mod download;
mod endpoint;
mod environment;
mod error;
mod error_chain;
mod http;
mod imds;
mod list_api;
mod list_xml;
mod proxy;
mod queue;
mod queue_api;
mod queue_json;
mod queue_opening;
mod retry;
mod settings;
mod sign;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::{SharedHttpClient, StalledStreamProtectionConfig};
use aws_types::SdkConfig;

pub(crate) use self::adaptive_limit::Slot;
pub(crate) use self::arn::is_queue_arn;
pub(crate) use self::breaker::{Breaker, Breakers};
use self::credentials::RefreshableCredentials;
pub(crate) use self::download::{Download, Downloaded, ObjectId, Room};
pub use self::error::{AwsError, ErrorCause, ErrorClass, describe};
pub(crate) use self::list_api::List;
pub(crate) use self::list_xml::ListAnswer;
pub(crate) use self::queue_api::Receive;
pub(crate) use self::queue_json::{BatchAnswer, FailedEntry, QueueMessage, ReceivedMessages};
pub(crate) use self::queue_opening::QueueOpening;
pub(crate) use self::retry::{RetryPolicy, Tries};

use self::settings::Resolved;
use crate::config::Config;
use crate::error::Result;
use crate::log::quote::redacted;
use crate::log::{Log, Severity};
use crate::metrics::Metrics;

/// Clients of one open source. Clones share connections, credentials and what was learned of buckets.
#[derive(Clone)]
pub struct Clients {
    /// S3 in [`Clients::region`], which retries nothing. A bucket of another region answers it with an error;
    /// downloads and listings follow such a bucket.
    pub s3: aws_sdk_s3::Client,
    /// SQS in [`Clients::region`]; retries by itself, three tries in all.
    pub sqs: aws_sdk_sqs::Client,
    /// The same, for calls of the SDK that make no request, and so are not counted.
    uncounted_sqs: aws_sdk_sqs::Client,
    /// The region that was configured or found, such as `eu-central-1`.
    pub region: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The endpoint that was configured, else empty.
    endpoint: String,
    /// Whether any endpoint was configured for SQS.
    has_sqs_endpoint: bool,
    /// Whether the configuration or the environment has FIPS or dual-stack endpoints.
    has_variant_endpoints: bool,
    policy: RetryPolicy,
    breakers: Breakers,
    regions: bucket::BucketRegions,
    credentials: RefreshableCredentials,
    http: http::DirectClients,
    /// The HTTP client of the SDK.
    sdk_http: SharedHttpClient,
    routes: direct::Routes,
    /// S3, for calls of the SDK that make no request, and so are not counted.
    uncounted: aws_sdk_s3::Client,
    /// The route to the queue, once it is resolved; `None` in it if the SDK makes the queue's requests.
    queue_route: OnceLock<Option<queue_api::QueueRoute>>,
    downloads: usize,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

impl Clients {
    /// Makes clients with the region and credentials of `config.aws` and of the SDK's default chain. Requests to S3
    /// are retried by `policy`.
    ///
    /// Resolves the credentials once, so that a problem with them is reported now; afterwards the SDK renews them.
    /// Takes some seconds at most, even where nothing answers. Requests and retries are counted in `metrics`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) where a file or profile does not exist, there is no region, or there are no
    /// credentials, they have expired, or the role cannot be assumed.
    pub(crate) async fn connect(
        config: &Config,
        policy: RetryPolicy,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
    ) -> Result<Clients> {
        let aws = &config.aws;
        let limits = descriptors::connection_limits(config.s3_download_concurrency as usize)?;
        if let Some(warning) = &limits.warning {
            log.line(Severity::Warning, warning);
        }
        let http = http::clients(limits.idle)?;
        let Resolved {
            sdk,
            region,
            credentials,
        } = settings::resolve(aws, http.sdk.clone()).await?;
        let count = count::RequestCounter(Arc::clone(&metrics));
        let concurrency = limits.downloads;
        let denied_passes = policy == RetryPolicy::Queue;
        let shared = Shared {
            endpoint: aws.endpoint.clone(),
            has_sqs_endpoint: !aws.endpoint.is_empty() || settings::has_endpoint(&sdk, "SQS"),
            has_variant_endpoints: sdk.use_fips() == Some(true)
                || sdk.use_dual_stack() == Some(true),
            policy,
            breakers: Breakers::new(concurrency, denied_passes, Arc::clone(&log)),
            regions: bucket::BucketRegions::default(),
            credentials,
            http: http.direct,
            sdk_http: http.sdk,
            routes: direct::Routes::default(),
            uncounted: s3(&sdk, &aws.endpoint, None),
            queue_route: OnceLock::new(),
            downloads: limits.downloads,
            metrics,
            log,
        };
        Ok(Clients {
            s3: s3(&sdk, &aws.endpoint, Some(count.clone())),
            sqs: sqs(&sdk, &aws.endpoint, Some(count)),
            uncounted_sqs: sqs(&sdk, &aws.endpoint, None),
            region,
            shared: Arc::new(shared),
        })
    }

    /// How many downloads may run at a time: as many as are configured and the limit of open files has room for.
    pub(crate) fn downloads(&self) -> usize {
        self.shared.downloads
    }

    /// Where requests go, for messages: the region, and the endpoint if one was configured.
    pub fn place(&self) -> impl fmt::Display {
        self.place_in(&self.region)
    }

    /// Where failures are logged.
    pub(crate) fn log(&self) -> &Log {
        &self.shared.log
    }

    /// How often requests are retried.
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.shared.policy
    }

    /// The circuit breakers of all buckets.
    pub(crate) fn breakers(&self) -> &Breakers {
        &self.shared.breakers
    }

    /// Records a failed request to a bucket.
    pub(crate) fn record(&self, breaker: &Breaker, failure: &AwsError) {
        if failure.is_throttle() {
            self.shared.metrics.throttles.add(1);
        }
        self.check_credentials(failure);
        breaker.failed(failure);
    }

    /// Has the credentials resolved again if the service did not accept them.
    pub(crate) fn check_credentials(&self, failure: &AwsError) {
        if failure.cause == ErrorCause::Credentials {
            self.shared.credentials.invalidate();
        }
    }

    /// How long the credentials provider has not answered; `None` if it is not being waited for.
    pub(crate) fn credentials_pending(&self) -> Option<Duration> {
        self.shared.credentials.pending()
    }

    fn place_in(&self, region: &str) -> String {
        match self.shared.endpoint.as_str() {
            "" => format!("region {region}"),
            endpoint => format!("region {region} at {}", redacted(endpoint)),
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("region", &self.region)
            .field("endpoint", &redacted(&self.shared.endpoint))
            .finish_non_exhaustive()
    }
}

fn s3(sdk: &SdkConfig, endpoint: &str, count: Option<count::RequestCounter>) -> aws_sdk_s3::Client {
    let mut builder = aws_sdk_s3::config::Builder::from(sdk)
        .timeout_config(http::s3_timeouts())
        .retry_config(RetryConfig::disabled())
        // Downloads have a limit of their own; many of them on a slow link may each stand still for a while.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_partition(RetryPartition::new("cloudtrail-s3"));
    if let Some(count) = count {
        builder = builder.interceptor(count);
    }
    if !endpoint.is_empty() {
        builder = builder.endpoint_url(endpoint);
    }
    // A custom endpoint seldom has a DNS name for each bucket.
    if !endpoint.is_empty() || settings::has_endpoint(sdk, "S3") {
        builder = builder.force_path_style(true);
    }
    aws_sdk_s3::Client::from_conf(builder.build())
}

fn sqs(
    sdk: &SdkConfig,
    endpoint: &str,
    count: Option<count::RequestCounter>,
) -> aws_sdk_sqs::Client {
    let mut builder = aws_sdk_sqs::config::Builder::from(sdk)
        .timeout_config(http::sqs_timeouts())
        .retry_config(RetryConfig::standard())
        .retry_partition(RetryPartition::new("cloudtrail-sqs"));
    if let Some(count) = count {
        builder = builder.interceptor(count);
    }
    if !endpoint.is_empty() {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_sqs::Client::from_conf(builder.build())
}
