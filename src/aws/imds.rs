//! Region and credentials from the EC2 instance metadata service (IMDS).
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::imds;
use aws_config::imds::client::ImdsResponseRetryClassifier;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, future};
use aws_sdk_s3::config::ProvideCredentials;
use aws_smithy_runtime_api::client::retries::classifiers::SharedRetryClassifier;

use super::environment::variable;
use super::error::chain;

const REGION_PATH: &str = "/latest/meta-data/placement/region";

/// Time limit for connecting. Short: outside of EC2 nothing responds, and the user waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for a response. The SDK's default of 1 s is too short for a busy instance, or for a container one hop away.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of requests for each item.
const MAX_ATTEMPTS: u32 = 3;

/// A client that also retries connect timeouts.
pub(super) fn client(config: &ProviderConfig) -> imds::Client {
    let retries = ImdsResponseRetryClassifier::default().with_retry_connect_timeouts(true);
    imds::Client::builder()
        .configure(config)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(CONNECT_TIMEOUT + READ_TIMEOUT)
        .max_attempts(MAX_ATTEMPTS)
        .retry_classifier(SharedRetryClassifier::new(retries))
        .build()
}

/// The region of the instance, or the cause of the failure.
pub(super) async fn region(client: &imds::Client) -> Result<String, String> {
    if is_disabled() {
        return Err("it is disabled by AWS_EC2_METADATA_DISABLED".to_owned());
    }
    let region = client.get(REGION_PATH).await;
    region.map(String::from).map_err(|error| chain(&error))
}

fn is_disabled() -> bool {
    variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Cause of the last failed credentials request. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    pub(super) fn take(&self) -> Option<String> {
        let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    fn set(&self, failure: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// Provider of the instance's credentials. Keeps the cause of a failure, which the provider chain discards.
pub(super) struct InstanceCredentials {
    provider: ImdsCredentialsProvider,
    failure: LastFailure,
}

impl InstanceCredentials {
    pub(super) fn new(config: &ProviderConfig, client: imds::Client, failure: LastFailure) -> Self {
        let provider = ImdsCredentialsProvider::builder().configure(config);
        InstanceCredentials {
            provider: provider.imds_client(client).build(),
            failure,
        }
    }

    async fn resolve(&self) -> provider::Result {
        let result = self.provider.provide_credentials().await;
        let Err(error) = result else {
            self.failure.set(None);
            return result;
        };
        let cause = chain(&error);
        self.failure
            .set(Some(cause.clone()).filter(|_| !is_disabled()));
        Err(match error {
            CredentialsError::CredentialsNotLoaded(_) => error,
            _ => {
                CredentialsError::provider_error(format!("the instance metadata service: {cause}"))
            }
        })
    }
}

impl ProvideCredentials for InstanceCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.resolve())
    }
}

impl fmt::Debug for InstanceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceCredentials")
    }
}
