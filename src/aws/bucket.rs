//! Requests to a bucket in its own region, with retries.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::types::EncodingType;
use tokio::time::timeout;

use super::Clients;
use super::error::{AwsError, ErrorCause, describe, is_region};
use super::queue::CHECK_NETWORK;
use super::retry::Tries;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Severity};

/// Maximum number of cached buckets; the cache is cleared beyond that.
const MAX_BUCKETS: usize = 1024;

/// Maximum number of cached clients. More than AWS has regions; bounds the cache against invented regions.
const MAX_REGIONS: usize = 64;

/// Time limit for one response while a source is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(8);

/// Cache of the buckets in other regions than the configured one, and of the clients for these regions.
#[derive(Default)]
pub(super) struct BucketRegions(Mutex<RegionCache>);

#[derive(Default)]
struct RegionCache {
    buckets: HashMap<String, String>,
    clients: HashMap<String, Client>,
}

impl Clients {
    /// Checks that `prefix` of `bucket` can be listed; returns whether it has objects. Detects the bucket's region.
    ///
    /// Requests nothing outside of the prefix, as permissions may be limited to it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] with the bucket, the region and the service's error code.
    pub async fn check_prefix(&self, bucket: &str, prefix: &str) -> Result<bool> {
        let request = |client: Client| async move {
            let list = client
                .list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                // XML cannot express all characters of keys.
                .encoding_type(EncodingType::Url)
                .max_keys(1);
            match timeout(OPEN_TIMEOUT, list.send()).await {
                Ok(Ok(page)) => Ok(!page.contents().is_empty()),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => {
                    let message = format!("no response within {} s", OPEN_TIMEOUT.as_secs());
                    Err(AwsError::new(ErrorCause::Timeout, "Timeout", message))
                }
            }
        };
        let listed = self.on_bucket(bucket, Tries::at_open(), request).await;
        match listed {
            // The service is reached, and busy or broken for now: that is waited out while the source is read.
            Err(failure) if failure.is_throttle() || failure.is_server_error() => {
                let bucket = Escaped(bucket);
                self.shared.log.line(
                    Severity::Warning,
                    format_args!("bucket {bucket} cannot be listed yet: {failure}; retrying"),
                );
                Ok(true)
            }
            listed => listed.map_err(|failure| {
                let hint = match failure.cause {
                    ErrorCause::NotFound => "; check the bucket's name",
                    ErrorCause::AccessDenied => {
                        "; allow s3:ListBucket on the bucket and s3:GetObject on its objects"
                    }
                    ErrorCause::WrongRegion => "; set aws.region to the bucket's region",
                    ErrorCause::Timeout | ErrorCause::Unavailable | ErrorCause::ForeignAnswer => {
                        CHECK_NETWORK
                    }
                    _ => "",
                };
                let place = self.place_of(bucket);
                let bucket = Escaped(bucket);
                Error::new(
                    ErrorKind::OpenParams,
                    format!("bucket {bucket} cannot be listed in {place}: {failure}{hint}"),
                )
            }),
        }
    }

    /// Sends a request to `bucket` in the bucket's region, and retries it as `tries` allows.
    pub(crate) async fn on_bucket<T, F>(
        &self,
        bucket: &str,
        mut tries: Tries,
        request: impl Fn(Client) -> F,
    ) -> std::result::Result<T, AwsError>
    where
        F: Future<Output = std::result::Result<T, AwsError>>,
    {
        let breaker = self.breakers().of_listings(bucket);
        loop {
            let failure = match self.in_region(bucket, &request).await {
                Ok(value) => {
                    self.breakers().succeeded(&breaker, tries.causes());
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            self.record(&breaker, &failure);
            let Some(pause) = tries.after(&failure, &breaker) else {
                return Err(failure);
            };
            self.shared.metrics.retries.add(1);
            breaker.pause(pause).await;
        }
    }

    /// Sends a request to `bucket` in the bucket's region; repeats it once if the response names another region.
    pub(super) async fn in_region<T, F>(
        &self,
        bucket: &str,
        request: impl Fn(Client) -> F,
    ) -> std::result::Result<T, AwsError>
    where
        F: Future<Output = std::result::Result<T, AwsError>>,
    {
        let client = self.client_of(bucket);
        let region = || {
            client
                .config()
                .region()
                .map_or("", |region| region.as_ref())
        };
        let failure = match request(client.clone()).await {
            Err(failure) if failure.is_elsewhere(region()) => failure,
            other => return other,
        };
        // Boxed, as every request would have room for it otherwise.
        match Box::pin(self.switch_region(bucket, region(), &failure)).await {
            true => request(self.client_of(bucket)).await,
            false => Err(failure),
        }
    }

    /// Region and endpoint of requests to `bucket`, for messages.
    pub(crate) fn place_of(&self, bucket: &str) -> String {
        let region = self.regions().buckets.get(bucket).cloned();
        self.place_in(region.as_deref().unwrap_or(&self.region))
    }

    fn client_of(&self, bucket: &str) -> Client {
        let regions = self.regions();
        let region = regions.buckets.get(bucket);
        let client = region.and_then(|region| regions.clients.get(region));
        client.unwrap_or(&self.s3).clone()
    }

    /// Switches to the bucket's region, from the response or else from HeadBucket; returns whether it is known, and not
    /// `requested`, where the failed request went.
    async fn switch_region(&self, bucket: &str, requested: &str, failure: &AwsError) -> bool {
        let region = match &failure.region {
            Some(region) => Some(region.clone()),
            None => self.region_of(bucket).await,
        };
        let Some(region) = region.filter(|region| region != requested) else {
            return false;
        };
        let mut regions = self.regions();
        if regions.buckets.get(bucket) == Some(&region) {
            // Another request switched in the meantime.
            return true;
        }
        if regions.buckets.len() >= MAX_BUCKETS || regions.clients.len() >= MAX_REGIONS {
            // Clears both maps: a bucket's region is useless without its client.
            *regions = RegionCache::default();
        }
        regions.clients.entry(region.clone()).or_insert_with(|| {
            let config = self
                .s3
                .config()
                .to_builder()
                .region(Region::new(region.clone()));
            Client::from_conf(config.build())
        });
        regions.buckets.insert(bucket.to_owned(), region.clone());
        drop(regions);
        let bucket = Escaped(bucket);
        self.shared.log.line(
            Severity::Info,
            format_args!(
                "bucket {bucket} is in {region}, not in {requested}; reading from {region}"
            ),
        );
        true
    }

    async fn region_of(&self, bucket: &str) -> Option<String> {
        let response = timeout(OPEN_TIMEOUT, self.s3.head_bucket().bucket(bucket).send())
            .await
            .ok()?;
        let region = match response {
            Ok(head) => head.bucket_region().map(str::to_owned),
            Err(error) => describe(&error).region,
        };
        region.filter(|region| is_region(region))
    }

    fn regions(&self) -> MutexGuard<'_, RegionCache> {
        let regions = &self.shared.regions;
        regions.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
