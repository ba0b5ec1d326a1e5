//! The instance metadata service (IMDS), which gives region and credentials on EC2.
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

use super::error::chain;
use super::settings::variable;

const REGION_PATH: &str = "/latest/meta-data/placement/region";

/// Outside of EC2 nothing answers at the address, and a person waits.
const CONNECT: Duration = Duration::from_secs(1);

/// A busy instance, or one hop more to a container, takes longer than the second that is the SDK's default.
const READ: Duration = Duration::from_secs(3);

/// Requests in all for each item.
const ATTEMPTS: u32 = 3;

/// A client that tries again where no answer came in time.
pub(super) fn client(config: &ProviderConfig) -> imds::Client {
    let retries = ImdsResponseRetryClassifier::default().with_retry_connect_timeouts(true);
    imds::Client::builder()
        .configure(config)
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_attempt_timeout(CONNECT + READ)
        .max_attempts(ATTEMPTS)
        .retry_classifier(SharedRetryClassifier::new(retries))
        .build()
}

/// The region of the instance, or why there is none.
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

/// Why the service gave no credentials the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    pub(super) fn take(&self) -> Option<String> {
        let mut reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason.take()
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// The instance's credentials; keeps the reason if there are none, which the chain of providers forgets.
pub(super) struct InstanceCredentials {
    provider: ImdsCredentialsProvider,
    reason: Reason,
}

impl InstanceCredentials {
    pub(super) fn new(config: &ProviderConfig, client: imds::Client, reason: Reason) -> Self {
        let provider = ImdsCredentialsProvider::builder().configure(config);
        InstanceCredentials {
            provider: provider.imds_client(client).build(),
            reason,
        }
    }

    async fn resolve(&self) -> provider::Result {
        let result = self.provider.provide_credentials().await;
        let Err(error) = result else {
            self.reason.set(None);
            return result;
        };
        let reason = chain(&error);
        self.reason
            .set(Some(reason.clone()).filter(|_| !is_disabled()));
        Err(match error {
            CredentialsError::CredentialsNotLoaded(_) => error,
            _ => {
                CredentialsError::provider_error(format!("the instance metadata service: {reason}"))
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
