//! Objects in S3 to the decode threads: so many downloads at a time, as much in memory as fits.
#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::aws::{Clients, FetchError, FetchErrorKind};
use crate::decode::{Content, Object};
use crate::delivery::{Failure, Ticket};
use crate::error::{Error, ErrorKind};
use crate::locate::s3::{self, Selection};
use crate::log::{Log, Severity};
use crate::metrics::Metrics;
use crate::pipeline::{Feed, Place};

/// Stored bytes that an object counts for whose size its notification does not say.
const TYPICAL_BYTES: u64 = 64 << 10;

/// Pages of listed objects that wait for their downloads.
const PAGES_AHEAD: usize = 4;

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

    /// Lists a bucket once and fetches all that is selected, in the listing's order.
    pub fn sweep(&self, mut feed: Feed, bucket: &str, prefix: &str, selection: Selection) {
        let (send, mut pages) = mpsc::channel(PAGES_AHEAD);
        let (clients, list_bucket, list_prefix) =
            (self.clients.clone(), bucket.to_owned(), prefix.to_owned());
        self.runtime.spawn(async move {
            s3::list(&clients, &list_bucket, &list_prefix, &selection, send).await;
        });
        let mut found_any = false;
        while let Some(page) = pages.blocking_recv() {
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    self.metrics.errors_list.add(1);
                    self.log.line(Severity::Error, &error);
                    if self.fail_on_error
                        && let Some(place) = feed.place()
                    {
                        place.fail(error);
                    }
                    return;
                }
            };
            for found in page {
                found_any = true;
                let wanted = Wanted {
                    bucket: bucket.to_owned(),
                    key: found.key,
                    size: Some(found.size),
                    ticket: None,
                };
                let Some(place) = feed.place() else {
                    return;
                };
                if !self.fetch(&feed, place, wanted) {
                    return;
                }
            }
        }
        if !found_any && !feed.closed() {
            self.log.line(
                Severity::Warning,
                format_args!("s3://{bucket}/{prefix}: no log file is selected there; check the prefix, s3Interval and s3AccountList"),
            );
        }
    }
}
