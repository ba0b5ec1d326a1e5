//! Requests to a bucket, wherever it lives: in its region, and again where they failed.
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
use super::retry::Tries;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Severity};

/// Buckets whose regions are remembered; beyond that all are looked up again.
const BUCKETS: usize = 1024;

/// More regions than AWS has, so that no answer can make the cache grow.
const REGIONS: usize = 64;

/// How long a source that is being opened waits for one answer.
const OPENING: Duration = Duration::from_secs(8);

/// The regions of buckets that live elsewhere, and the clients for there.
#[derive(Default)]
pub(super) struct Regions(Mutex<RegionCache>);

#[derive(Default)]
struct RegionCache {
    buckets: HashMap<String, String>,
    clients: HashMap<String, Client>,
}

impl Clients {
    /// Whether objects below `prefix` of `bucket` can be listed, and whether there is any. Learns the bucket's region.
    ///
    /// Permissions may be for some prefixes only, so nothing else of the bucket is requested.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] with the bucket, the region and the service's own code.
    pub async fn check_prefix(&self, bucket: &str, prefix: &str) -> Result<bool> {
        let look = |client: Client| async move {
            let request = client
                .list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                // XML cannot express all characters that a key may have.
                .encoding_type(EncodingType::Url)
                .max_keys(1);
            match timeout(OPENING, request.send()).await {
                Ok(Ok(page)) => Ok(!page.contents().is_empty()),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => {
                    let message = format!("no answer within {} s", OPENING.as_secs());
                    Err(AwsError::new(ErrorCause::Timeout, "Timeout", message))
                }
            }
        };
        self.on_bucket(bucket, Tries::at_open(), look).await.map_err(|failure| {
            let hint = match failure.cause {
                ErrorCause::NotFound => "; check the bucket's name",
                ErrorCause::AccessDenied => "; s3:ListBucket on the bucket and s3:GetObject on its objects have to be allowed",
                ErrorCause::WrongRegion => "; set aws.region to the bucket's own",
                ErrorCause::Timeout | ErrorCause::Unavailable | ErrorCause::ForeignAnswer => {
                    "; check the network, the proxy, the region and aws.endpoint"
                }
                _ => "",
            };
            let place = self.place_of(bucket);
            let bucket = Escaped(bucket);
            Error::new(
                ErrorKind::OpenParams,
                format!("bucket {bucket} cannot be listed in {place}: {failure}{hint}"),
            )
        })
    }

    /// Makes a request of `bucket` in the bucket's region, and makes it again as long as `tries` allow.
    pub(crate) async fn on_bucket<T, F>(
        &self,
        bucket: &str,
        mut tries: Tries,
        request: impl Fn(Client) -> F,
    ) -> std::result::Result<T, AwsError>
    where
        F: Future<Output = std::result::Result<T, AwsError>>,
    {
        let breaker = self.breakers().of(bucket);
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

    /// Makes a request of `bucket` in the bucket's region, once more where the answer names another region.
    pub(super) async fn in_region<T, F>(
        &self,
        bucket: &str,
        request: impl Fn(Client) -> F,
    ) -> std::result::Result<T, AwsError>
    where
        F: Future<Output = std::result::Result<T, AwsError>>,
    {
        let failure = match request(self.client_of(bucket)).await {
            Err(failure) if failure.cause == ErrorCause::WrongRegion => failure,
            other => return other,
        };
        match self.follow(bucket, &failure).await {
            true => request(self.client_of(bucket)).await,
            false => Err(failure),
        }
    }

    /// Where requests to `bucket` go, for messages.
    pub(crate) fn place_of(&self, bucket: &str) -> String {
        let region = self.regions().buckets.get(bucket).cloned();
        self.place_in(region.as_deref().unwrap_or(&self.region))
    }

    fn client_of(&self, bucket: &str) -> Client {
        let regions = self.regions();
        let region = regions.buckets.get(bucket);
        let elsewhere = region.and_then(|region| regions.clients.get(region));
        elsewhere.unwrap_or(&self.s3).clone()
    }

    /// Switches to the region that the answer, or else a HeadBucket, names as the bucket's.
    async fn follow(&self, bucket: &str, failure: &AwsError) -> bool {
        let region = match &failure.region {
            Some(region) => Some(region.clone()),
            None => self.region_of(bucket).await,
        };
        let Some(region) = region else {
            return false;
        };
        let mut regions = self.regions();
        if regions.buckets.get(bucket) == Some(&region) {
            // Another request learned it in the meantime, or it was wrong: the next try shows which.
            return true;
        }
        if regions.buckets.len() >= BUCKETS || regions.clients.len() >= REGIONS {
            // Both, as a bucket's region is of no use without its client.
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
                "bucket {bucket} lives in {region}, not in {}; it is read there",
                self.region
            ),
        );
        true
    }

    async fn region_of(&self, bucket: &str) -> Option<String> {
        let answer = timeout(OPENING, self.s3.head_bucket().bucket(bucket).send())
            .await
            .ok()?;
        let region = match answer {
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
