//! Objects in S3 to the decode threads: so many downloads at a time, as much in memory as fits.
#![forbid(unsafe_code)]

mod sizes;

pub use self::sizes::Sizes;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::aws::{Clients, Download, FetchError, FetchErrorKind, Room};
use crate::decode::{Content, Object};
use crate::delivery::{Failure, Ticket};
use crate::error::{Error, ErrorKind};
use crate::log::{Log, Severity};
use crate::memory_budget::MemoryPermit;
use crate::metrics::Metrics;
use crate::pipeline::{Feed, Place};

/// Bytes that a download goes on to hold while it waits for its next try.
const SMALL_BYTES: u64 = 64 << 10;

/// Downloads objects and hands them on.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Where the downloads run.
    pub runtime: Handle,
    /// What talks to S3.
    pub clients: Clients,
    /// One permit for each download at a time.
    pub permits: Arc<Semaphore>,
    /// What is known of sizes that are not told.
    pub sizes: Sizes,
    /// Decompressed size over which an object is refused; no stored object may be larger either.
    pub max_object_bytes: u64,
    /// An object that cannot be fetched ends the source.
    pub fail_on_error: bool,
    /// Counts what fails.
    pub metrics: Arc<Metrics>,
    /// Tells what fails.
    pub log: Arc<Log>,
}

/// One object to fetch.
#[derive(Debug)]
pub struct Wanted {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its stored size, where that is known.
    pub size: Option<u64>,
    /// Who wants to know what became of it.
    pub ticket: Option<Ticket>,
}

impl Fetcher {
    /// Starts a download, after waiting until it may start. Runs on a feeder's thread. Answers
    /// whether to go on.
    pub fn fetch(&self, feed: &Feed, place: Place, wanted: Wanted) -> bool {
        let permits = Arc::clone(&self.permits);
        let Ok(permit) = self.runtime.block_on(permits.acquire_owned()) else {
            return false;
        };
        // A size out of a message is what somebody wrote there; nothing larger is downloaded.
        let told = wanted.size.map(|size| size.min(self.max_object_bytes));
        let bytes = told.unwrap_or_else(|| self.sizes.expected());
        let Some(held) = feed.hold(&place, bytes) else {
            return false;
        };
        let fetcher = self.clone();
        self.runtime.spawn(async move {
            let downloaded = fetcher.download(&place, &wanted, held).await;
            drop(permit);
            let Wanted {
                bucket,
                key,
                ticket,
                ..
            } = wanted;
            match downloaded {
                Ok(Some(content)) => {
                    let object = Object {
                        name: format!("s3://{bucket}/{key}"),
                        content,
                        ticket,
                    };
                    // Nobody there any more: the source is closed.
                    let _ = place.submit(vec![object]);
                }
                Ok(None) => {}
                Err(error) => fetcher.failed(place, error, ticket),
            }
        });
        true
    }

    /// Downloads an object for which `held` may turn out too small: then it waits until there is room for all of it. A
    /// server does not wait that long with half of an answer, so it is asked once more. `None`: the source is closed.
    async fn download(
        &self,
        place: &Place,
        wanted: &Wanted,
        mut held: MemoryPermit,
    ) -> Result<Option<Content>, FetchError> {
        let job = place.job();
        loop {
            let room = Room {
                max_bytes: self.max_object_bytes,
                now: &|bytes| held.try_grow(bytes),
                failed: &|| held.shrink(SMALL_BYTES),
            };
            let downloaded = self.clients.download(&wanted.bucket, &wanted.key, room);
            match downloaded.await? {
                Download::Whole(stored) => {
                    held.shrink(stored.len() as u64);
                    self.sizes.seen(stored.len() as u64);
                    return Ok(Some(Content::Memory(stored, held)));
                }
                Download::NoRoom(bytes) => {
                    self.sizes.seen(bytes);
                    let budget = Arc::clone(held.budget());
                    drop(held);
                    match budget.acquire(job, bytes).await {
                        Some(larger) => held = larger,
                        None => return Ok(None),
                    }
                }
            }
        }
    }

    fn failed(&self, place: Place, error: FetchError, ticket: Option<Ticket>) {
        self.metrics.errors_fetch.add(1);
        let (kind, lasting) = match error.kind {
            FetchErrorKind::NotFound => ("fetch_not_found", true),
            FetchErrorKind::Denied => ("fetch_denied", false),
            FetchErrorKind::Refused => ("fetch_refused", true),
            FetchErrorKind::TooLarge => ("fetch_too_large", true),
            FetchErrorKind::Expired => ("fetch_expired", false),
            FetchErrorKind::Transient => ("fetch_transient", false),
        };
        self.log.trouble(kind, Severity::Error, &error.message);
        if self.fail_on_error {
            place.fail(Error::new(ErrorKind::Read, error.message));
            return;
        }
        if let Some(ticket) = ticket {
            ticket.failed(match lasting {
                true => Failure::Lasting(error.message),
                false => Failure::Passing,
            });
        }
    }
}
