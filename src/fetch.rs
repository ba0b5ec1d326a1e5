//! Objects in S3 to the decode threads: so many downloads at a time, as much in memory as fits.
#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::aws::{Clients, FetchError, FetchErrorKind};
use crate::decode::{Content, Object};
use crate::delivery::{Failure, Ticket};
use crate::error::{Error, ErrorKind};
use crate::log::{Log, Severity};
use crate::metrics::Metrics;
use crate::pipeline::{Feed, Place};

/// Stored bytes that an object counts for whose size its notification does not say.
const TYPICAL_BYTES: u64 = 64 << 10;

/// Downloads objects and hands them on.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Where the downloads run.
    pub runtime: Handle,
    /// What talks to S3.
    pub clients: Clients,
    /// One permit for each download at a time.
    pub permits: Arc<Semaphore>,
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
        let Some(held) = feed.hold(&place, wanted.size.unwrap_or(TYPICAL_BYTES)) else {
            return false;
        };
        let fetcher = self.clone();
        self.runtime.spawn(async move {
            let Wanted {
                bucket,
                key,
                ticket,
                ..
            } = wanted;
            let limit = fetcher.max_object_bytes;
            let fetched = fetcher.clients.download(&bucket, &key, limit).await;
            drop(permit);
            match fetched {
                Ok(stored) => {
                    let object = Object {
                        name: format!("s3://{bucket}/{key}"),
                        content: Content::Memory(stored, held),
                        ticket,
                    };
                    // Nobody there any more: the source is closed.
                    let _ = place.submit(vec![object]);
                }
                Err(error) => fetcher.failed(place, error, ticket),
            }
        });
        true
    }

    fn failed(&self, place: Place, error: FetchError, ticket: Option<Ticket>) {
        self.metrics.errors_fetch.add(1);
        let kind = match error.kind {
            FetchErrorKind::NotFound => "fetch_not_found",
            FetchErrorKind::Denied => "fetch_denied",
            FetchErrorKind::TooLarge => "fetch_too_large",
            FetchErrorKind::Expired => "fetch_expired",
            FetchErrorKind::Transient => "fetch_transient",
        };
        self.log.trouble(kind, Severity::Error, &error.message);
        if self.fail_on_error {
            place.fail(Error::new(ErrorKind::Read, error.message));
            return;
        }
        if let Some(ticket) = ticket {
            ticket.failed(match error.kind {
                FetchErrorKind::NotFound | FetchErrorKind::Denied | FetchErrorKind::TooLarge => {
                    Failure::Lasting
                }
                FetchErrorKind::Expired | FetchErrorKind::Transient => Failure::Passing,
            });
        }
    }
}
