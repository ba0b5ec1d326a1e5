//! From listed objects to the pipeline, and the start and end of a source with `s3Follow` or `s3State`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::download::Downloads;
use super::positions::{Positions, SavedPositions};
use super::state::{Saver, StateFile};
use super::{Follower, Schedule, discovery_interval};
use crate::error::Error;
use crate::log::Severity;
use crate::object::ack::AckHandle;
use crate::pipeline::ObjectSender;
use crate::source::fetch::Fetcher;
use crate::source::s3::prefix::PrefixLister;
use crate::source::s3::sweep::download;
use crate::source::s3::{ListedObject, Selection, layout};

/// Listed pages buffered for the downloads.
const BUFFERED_PAGES: usize = 4;

/// Interval at which the end of a source checks whether it was closed.
const CHECK_CLOSED: Duration = Duration::from_millis(100);

/// A source that remembers what was read.
pub(crate) struct Follow {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) selection: Selection,
    /// `s3Follow`; `None` reads everything once.
    pub(crate) interval: Option<Duration>,
    /// `s3State`.
    pub(crate) state: Option<StateFile>,
}

/// What the listings send.
pub(super) enum Listed {
    Objects(Vec<(ListedObject, AckHandle)>),
    /// A prefix cannot be listed.
    Failed(Error),
    /// Everything was listed once.
    End {
        /// Nothing was left out.
        complete: bool,
    },
}

/// Sends objects to the pipeline until everything was read, or with `s3Follow` until the source is closed. Blocks its
/// thread; requests run on `runtime`.
pub(crate) fn follow(runtime: &Handle, fetcher: &Fetcher, mut feed: ObjectSender, follow: Follow) {
    let mut state = follow.state;
    let saved = state
        .as_mut()
        .map_or_else(SavedPositions::default, StateFile::take_saved);
    let log = Arc::clone(&fetcher.log);
    let positions = Positions::new(saved, follow.selection.clone(), Arc::clone(&log));
    let positions = Arc::new(positions);
    let saver = match state
        .map(|file| Saver::start(file, &positions, &log))
        .transpose()
    {
        Ok(saver) => saver,
        Err(error) => {
            if let Some(slot) = feed.reserve() {
                slot.fail(error);
            }
            return feed.finish();
        }
    };
    // Without an end, an object that fails must not hold up the others.
    let downloads = match follow.interval {
        None => None,
        Some(_) => {
            let Some(unordered) = feed.unordered() else {
                return;
            };
            let concurrency = follow.selection.concurrency;
            let bucket = &follow.bucket;
            Some(Downloads::new(
                fetcher,
                unordered,
                bucket,
                concurrency,
                &positions,
            ))
        }
    };
    let end_guard = downloads.as_ref().map(Downloads::end_guard);
    let (pages, mut listed) = mpsc::channel(BUFFERED_PAGES);
    let follower = Follower {
        root: layout::classify(&follow.prefix),
        lister: Arc::new(PrefixLister {
            clients: fetcher.clients.clone(),
            bucket: follow.bucket.clone(),
            selection: follow.selection,
            discovery: None,
        }),
        interval: follow.interval,
        positions: Arc::clone(&positions),
        retry_room: downloads.as_ref().map(Downloads::room),
        pages,
        log,
        dated: BTreeMap::new(),
        undated: Vec::new(),
        undated_schedule: Schedule::new(),
        discovery_due: Instant::now() + discovery_interval(follow.interval.unwrap_or_default()),
        discovery_requests: 0,
        incomplete: false,
    };
    runtime.spawn(async move {
        let _end_guard = end_guard;
        follower.run().await;
    });
    while let Some(listed) = listed.blocking_recv() {
        match listed {
            Listed::Objects(objects) => {
                for (object, ack) in objects {
                    if let Some(downloads) = &downloads {
                        if !downloads.start(runtime, object, ack) {
                            return;
                        }
                        continue;
                    }
                    let Some(slot) = feed.reserve() else {
                        return;
                    };
                    let (fetcher, bucket) = (fetcher.clone(), follow.bucket.clone());
                    runtime.spawn(download(fetcher, slot, bucket, object, Some(ack)));
                }
            }
            Listed::Failed(error) => {
                fetcher.metrics.errors_list.add(1);
                fetcher.log.line(Severity::Error, &error);
                if fetcher.fail_on_error {
                    match (&downloads, feed.closed()) {
                        (_, true) => return,
                        (Some(downloads), _) => downloads.fail(error),
                        (None, _) => {
                            let Some(slot) = feed.reserve() else {
                                return;
                            };
                            slot.fail(error);
                        }
                    }
                    return feed.finish();
                }
            }
            Listed::End { complete } => {
                while !positions.wait_settled(CHECK_CLOSED) {
                    if feed.closed() {
                        return;
                    }
                }
                match saver {
                    Some(saver) if complete && positions.all_read() => saver.finish(),
                    Some(_) => fetcher.log.line(
                        Severity::Warning,
                        "s3State: the file is kept, as something could not be read; the next start reads what is missing",
                    ),
                    None => {}
                }
                return feed.finish();
            }
        }
    }
    // The source was closed, or the listing panicked: then dropping the sender reports an internal error.
}
