//! Interceptor that counts requests and retries of the AWS clients.
#![forbid(unsafe_code)]

use std::sync::Arc;

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::retries::RequestAttempts;

use crate::metrics::Metrics;

/// Counts each attempt of a client.
#[derive(Clone, Debug)]
pub(super) struct RequestCounter(pub(super) Arc<Metrics>);

impl Intercept for RequestCounter {
    fn name(&self) -> &'static str {
        "RequestCounter"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.requests.add(1);
        if bag
            .load::<RequestAttempts>()
            .is_some_and(|attempts| attempts.attempts() > 1)
        {
            self.0.retries.add(1);
        }
        Ok(())
    }
}
