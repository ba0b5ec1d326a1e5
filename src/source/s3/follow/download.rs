//! Downloads of a followed bucket, whose objects are delivered by completion: one that fails delays no other.
#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::positions::Positions;
use crate::aws::ObjectId;
use crate::error::{Error, ErrorKind};
use crate::object::Object;
use crate::object::ack::{AckHandle, Failure, Settled, ack_handles};
use crate::object::memory_budget::UNORDERED;
use crate::pipeline::UnorderedSender;
use crate::source::fetch::{Account, Fetched, Fetcher, Waits, max_in_progress};
use crate::source::retry_report::RetryReport;
use crate::source::s3::ListedObject;

/// Objects that wait for retries without a place among those in progress; bounds the memory of their tasks, 9 KiB each.
const MAX_PAUSED: usize = 1000;

/// Starts downloads, and bounds those in progress.
#[derive(Clone)]
pub(super) struct Downloads {
    fetcher: Fetcher,
    feed: UnorderedSender,
    bucket: Arc<str>,
    positions: Arc<Positions>,
    in_progress: Arc<Semaphore>,
    paused: Arc<Semaphore>,
}

/// The place of an object, until the host has processed it.
struct Place {
    paused: Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
    is_paused: bool,
}

/// See [`Downloads::end_guard`].
pub(super) struct EndGuard(Arc<Semaphore>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Place {
    /// Gives the place to another object. Returns `false` if too many wait for retries: then the object keeps its place,
    /// so that memory stays bounded.
    fn pause(&mut self) -> bool {
        if !self.is_paused
            && let Ok(permit) = Arc::clone(&self.paused).try_acquire_owned()
        {
            self.permit = permit;
            self.is_paused = true;
        }
        self.is_paused
    }
}

impl Downloads {
    /// `concurrency`: the number of concurrent downloads.
    pub(super) fn new(
        fetcher: &Fetcher,
        feed: UnorderedSender,
        bucket: &str,
        concurrency: usize,
        positions: &Arc<Positions>,
    ) -> Downloads {
        Downloads {
            fetcher: fetcher.clone(),
            feed,
            bucket: bucket.into(),
            positions: Arc::clone(positions),
            in_progress: Arc::new(Semaphore::new(max_in_progress(concurrency))),
            paused: Arc::new(Semaphore::new(MAX_PAUSED)),
        }
    }

    /// Downloads an object on `runtime`; blocks while too many are in progress. Returns `false` if the source is closed.
    pub(super) fn start(&self, runtime: &Handle, listed: ListedObject, ack: AckHandle) -> bool {
        let permit = runtime.block_on(Arc::clone(&self.in_progress).acquire_owned());
        let Ok(permit) = permit else {
            return false;
        };
        let place = Place {
            paused: Arc::clone(&self.paused),
            permit,
            is_paused: false,
        };
        runtime.spawn(self.clone().download(listed, ack, place));
        true
    }

    /// A guard that ends [`Downloads::start`] when it is dropped. It belongs into a task: when the source closes, its
    /// runtime drops all tasks, while the host may keep objects and their places.
    pub(super) fn end_guard(&self) -> EndGuard {
        EndGuard(Arc::clone(&self.in_progress))
    }

    /// Counts the objects that may wait for retries in addition to those that do.
    pub(super) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.paused)
    }

    /// Ends the source with this error.
    pub(super) fn fail(&self, error: Error) {
        self.feed.fail(error);
    }

    async fn download(self, listed: ListedObject, ack: AckHandle, mut place: Place) {
        let id = ObjectId {
            bucket: self.bucket.to_string(),
            key: listed.key,
            version: None,
        };
        let account = Account {
            budget: self.feed.stored_budget(),
            job: UNORDERED,
            // A retry of an earlier run may not know it.
            size: Some(listed.size).filter(|size| *size > 0),
        };
        let mut report = RetryReport::new(&self.fetcher, &id, "retrying, other objects go on");
        let set_aside = Notify::new();
        let waits = |waits: Waits<'_>| {
            report.waits(&waits);
            if let Waits::Retry(error) = waits
                && !place.pause()
                // In an outage, others would fail too.
                && !error.cause.is_outage()
                && self.positions.may_release()
            {
                set_aside.notify_one();
            }
        };
        let fetched = tokio::select! {
            fetched = self.fetcher.fetch(&id, account, waits) => fetched,
            // The drop of the ack handle releases the object: it is claimed again when fewer wait.
            () = set_aside.notified() => return,
        };
        match fetched {
            Fetched::Content(content) => {
                // A closed source drops the object, and with it the ack handle.
                let _ = self.feed.submit(vec![Object {
                    name: id.url(),
                    content,
                    ack: with_place(ack, place),
                }]);
            }
            Fetched::Closed => {}
            Fetched::GivenUp(failed) => {
                let (url, cause) = (id.url(), failed.error.to_string());
                if self.fetcher.fail_on_error {
                    let line = format!("{url}: {cause}");
                    return self.feed.fail(Error::new(ErrorKind::Read, line));
                }
                self.fetcher.log.lost(&url, &cause, "skipped");
                ack.failed(Failure::Permanent(cause));
            }
        }
    }
}

/// An ack handle that also gives the place back when it is settled.
fn with_place(ack: AckHandle, place: Place) -> Option<AckHandle> {
    let settle = move |settled: Settled| {
        drop(place);
        match settled.failure {
            None => ack.delivered(),
            Some(failure) => ack.failed(failure),
        }
    };
    ack_handles(1, settle).pop()
}
