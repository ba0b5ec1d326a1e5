//! The HTTP client that all AWS clients share, and how long they wait for what.
#![forbid(unsafe_code)]

use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

/// How long S3 may take to begin an answer. Listing a prefix with many deleted objects is slow.
const READ_S3: Duration = Duration::from_secs(30);

/// How long SQS may take to begin an answer: longer than the longest poll, which is 20 s.
const READ_SQS: Duration = Duration::from_secs(30);

/// What an attempt may take beyond the wait for its answer.
const SLACK: Duration = Duration::from_secs(10);

/// After this time servers and gateways in between begin to drop idle connections.
const IDLE: Duration = Duration::from_secs(30);

/// One client for all services. It obeys `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, which a
/// client built by hand does only when told.
pub(super) fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env())
            .pool_idle_timeout(IDLE);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// Waits for requests to S3 up to the beginning of the answer's body.
pub(super) fn s3_timeouts() -> TimeoutConfig {
    timeouts(READ_S3)
}

/// Waits for requests to SQS.
pub(super) fn sqs_timeouts() -> TimeoutConfig {
    timeouts(READ_SQS)
}

fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(read)
        .operation_attempt_timeout(read + SLACK)
        .build()
}
