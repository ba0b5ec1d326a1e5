//! Requests to a bucket, wherever it lives: in its region, and again where they failed.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::types::EncodingType;
use tokio::time::{sleep, timeout};

use super::Clients;
use super::failure::{Cause, Described, describe, is_region};
use super::retry::Tries;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Printable, Severity};

/// Buckets whose regions are remembered; beyond that all are learnt anew.
const BUCKETS: usize = 1024;

/// More regions than there are, so that no answer can make this grow.
const REGIONS: usize = 64;

/// How long a source that is being opened waits for one answer.
const OPENING: Duration = Duration::from_secs(8);

/// Which buckets live elsewhere, and the clients for there.
#[derive(Default)]
pub(super) struct Regions(Mutex<Known>);

#[derive(Default)]
struct Known {
    buckets: HashMap<String, String>,
    clients: HashMap<String, Client>,
}

impl Clients {
    /// Whether objects below `prefix` of `bucket` can be listed, and whether there is any. Learns the bucket's region.
    ///
    /// Permissions may be for some prefixes only, so nothing else of the bucket is asked for.
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
                Err(_) => Err(too_slow(OPENING)),
            }
        };
        self.on_bucket(bucket, Tries::few(), look).await.map_err(|failure| {
            let hint = match failure.cause {
                Cause::Missing => "; check the bucket's name",
                Cause::Denied => "; s3:ListBucket on the bucket and s3:GetObject on its objects have to be allowed",
                Cause::WrongRegion => "; set aws.region to the bucket's own",
                Cause::Timeout | Cause::Transient => "; check the network, the proxy, the region and aws.endpoint",
                _ => "",
            };
            let place = self.place_of(bucket);
            let bucket = Printable(bucket);
            Error::new(
                ErrorKind::OpenParams,
                format!("bucket {bucket} cannot be listed in {place}: {failure}{hint}"),
            )
        })
    }

    /// Makes a request of `bucket` in the bucket's region, and makes it again as far as `tries` allow.
    pub(crate) async fn on_bucket<T, F>(
        &self,
        bucket: &str,
        mut tries: Tries,
        request: impl Fn(Client) -> F,
    ) -> std::result::Result<T, Described>
    where
        F: Future<Output = std::result::Result<T, Described>>,
    {
        let mut followed = false;
        loop {
            let failure = match request(self.client_of(bucket)).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if failure.cause == Cause::WrongRegion
                && !followed
                && self.follow(bucket, &failure).await
            {
                followed = true;
                continue;
            }
            if failure.cause == Cause::Credentials {
                self.credentials().invalidate();
            }
            if failure.is_throttle() {
                self.shared.metrics.throttles.add(1);
            }
            let Some(pause) = tries.after(&failure) else {
                return Err(failure);
            };
            self.shared.metrics.retries.add(1);
            sleep(pause).await;
        }
    }

    /// Where requests to `bucket` go, for messages.
    pub(crate) fn place_of(&self, bucket: &str) -> String {
        let region = self.known().buckets.get(bucket).cloned();
        self.place_in(region.as_deref().unwrap_or(&self.region))
    }

    fn client_of(&self, bucket: &str) -> Client {
        let known = self.known();
        let region = known.buckets.get(bucket);
        let elsewhere = region.and_then(|region| known.clients.get(region));
        elsewhere.unwrap_or(&self.s3).clone()
    }

    /// Turns to the region that an answer, or else another question, names as the bucket's.
    async fn follow(&self, bucket: &str, failure: &Described) -> bool {
        let region = match &failure.region {
            Some(region) => Some(region.clone()),
            None => self.region_of(bucket).await,
        };
        let Some(region) = region else {
            return false;
        };
        let mut known = self.known();
        if known.buckets.get(bucket) == Some(&region) {
            // Another request learnt it in the meantime, or this one did and it was wrong: once more tells.
            return true;
        }
        if known.buckets.len() >= BUCKETS {
            known.buckets.clear();
        }
        if known.clients.len() >= REGIONS {
            known.clients.clear();
        }
        known.clients.entry(region.clone()).or_insert_with(|| {
            let config = self
                .s3
                .config()
                .to_builder()
                .region(Region::new(region.clone()));
            Client::from_conf(config.build())
        });
        known.buckets.insert(bucket.to_owned(), region.clone());
        drop(known);
        let bucket = Printable(bucket);
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

    fn known(&self) -> MutexGuard<'_, Known> {
        let regions = &self.shared.buckets;
        regions.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The failure of an answer that did not begin within `limit`.
pub(super) fn too_slow(limit: Duration) -> Described {
    let seconds = limit.as_secs();
    Described::new(
        Cause::Timeout,
        "Timeout",
        format!("no answer within {seconds} s"),
    )
}
