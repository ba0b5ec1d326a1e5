//! Downloads an object for the decode threads: as many at a time as the source and its bucket allow, as much in memory
//! as fits, and again for as long as its failures are transient.
#![forbid(unsafe_code)]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::aws::{
    AwsError, Breaker, Clients, Download, Downloaded, ErrorCause, ErrorClass, ObjectId, Room, Slot,
    Tries,
};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::object::Content;
use crate::object::memory_budget::{MemoryBudget, MemoryPermit};
use crate::source::size_estimate::SizeEstimate;

/// The longest pause for which the bytes of a broken-off download are kept in memory.
const KEEP_PARTIAL: Duration = Duration::from_secs(5);

/// Time that an object waits for its turn before it is checked whether its bucket answers at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a body of the same length, shorter than the object is said to be, is found before that is its length.
const BELIEVED: u32 = 4;

/// How many objects, or messages, may be in progress from their download until the host has processed them, with this many
/// downloads at a time.
pub(super) fn max_in_progress(concurrency: usize) -> usize {
    (2 * concurrency).clamp(20, 1000)
}

/// Downloads objects. Clones share all limits.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Access to S3.
    pub clients: Clients,
    /// One permit for each concurrent download (`s3DownloadConcurrency`).
    pub downloads: Arc<Semaphore>,
    /// The same for buckets that have not answered yet, so that one that never does cannot take all downloads.
    pub unproven: Arc<Semaphore>,
    /// Estimates sizes that are not known beforehand.
    pub sizes: SizeEstimate,
    /// Decompressed size over which an object is refused; no stored object may be larger either.
    pub max_object_bytes: u64,
    /// An object that cannot be fetched ends the source (`s3OnError: fail`).
    pub fail_on_error: bool,
    /// Counts retries and failures.
    pub metrics: Arc<Metrics>,
    /// Where failures are logged.
    pub log: Arc<Log>,
}

/// Where an object's stored bytes are accounted for.
pub(crate) struct Account<'a> {
    /// Bounds the stored bytes of the source.
    pub(crate) budget: &'a Arc<MemoryBudget>,
    /// The object's job.
    pub(crate) job: u64,
    /// Its stored size, where that is known.
    pub(crate) size: Option<u64>,
}

/// Why an object was given up.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// The last failure.
    pub(crate) error: AwsError,
    /// Whether it might still have succeeded later.
    pub(crate) transient: bool,
}

/// What became of an object.
pub(crate) enum Fetched {
    /// Its stored bytes.
    Content(Content),
    /// It cannot be had.
    GivenUp(GivenUp),
    /// The source was closed.
    Closed,
}

/// Bodies that are shorter than the object is said to be.
#[derive(Default)]
struct ShortBodies {
    /// Length of the last one, and how often it was found in a row.
    len: usize,
    times: u32,
}

impl ShortBodies {
    /// Whether a body of `len` bytes is all of the object: it was replaced, or its size was wrong.
    fn is_whole(&mut self, len: usize) -> bool {
        if len != self.len {
            *self = ShortBodies { len, times: 0 };
        }
        self.times += 1;
        self.times >= BELIEVED
    }
}

/// Why an object is not done yet.
pub(crate) enum Waits<'a> {
    /// A request failed, and is made again.
    Retry(&'a AwsError),
    /// It waits for its first request while no request to its bucket succeeds.
    Stalled,
}

/// The permits of one request, and the memory for its answer.
struct Admitted {
    memory: MemoryPermit,
    _permits: Permits,
}

/// The right to make one request.
struct Permits {
    _slot: Slot,
    _unproven: Option<OwnedSemaphorePermit>,
    _download: Option<OwnedSemaphorePermit>,
}

impl Fetcher {
    /// Downloads `object`. `waits` is called with each failure before it is retried, and when the first request is
    /// delayed by a bucket that does not answer.
    pub(crate) async fn fetch(
        &self,
        object: &ObjectId,
        account: Account<'_>,
        mut waits: impl FnMut(Waits<'_>),
    ) -> Fetched {
        let breaker = self.clients.breakers().of(&object.bucket);
        let mut tries = Tries::new(self.clients.policy());
        let mut download = Download::new(object);
        // A size in a message is what its sender wrote; nothing larger than this is downloaded.
        let known = account.size.map(|size| size.min(self.max_object_bytes));
        let mut bytes = known.unwrap_or_else(|| self.sizes.expected());
        let mut memory: Option<MemoryPermit> = None;
        let mut short = ShortBodies::default();
        loop {
            let admitted = self.admit(&breaker, &account, bytes, memory.take(), &mut waits);
            let Some(admitted) = admitted.await else {
                return Fetched::Closed;
            };
            let room = Room {
                max_bytes: self.max_object_bytes,
                reserve: &|bytes| admitted.memory.try_grow(bytes),
            };
            let result = download.request(&self.clients, room).await;
            let Admitted {
                memory: used,
                _permits: permits,
            } = admitted;
            drop(permits);
            let error = match result {
                Ok(Downloaded::Whole(stored))
                    if known.is_some_and(|known| (stored.len() as u64) < known)
                        && !short.is_whole(stored.len()) =>
                {
                    let message =
                        format!("the body has {} bytes, fewer than the object", stored.len());
                    AwsError::new(ErrorCause::Unavailable, "Body", message)
                }
                Ok(Downloaded::Whole(stored)) => {
                    self.clients.breakers().succeeded(&breaker, tries.causes());
                    used.shrink(stored.len() as u64);
                    self.sizes.seen(stored.len() as u64);
                    return Fetched::Content(Content::Memory(stored, used));
                }
                Ok(Downloaded::NoRoom(needed)) => {
                    // The memory is released first: who waits for more must not hold some.
                    self.sizes.seen(needed);
                    download.discard();
                    bytes = needed;
                    continue;
                }
                Err(error) => error,
            };
            self.clients.record(&breaker, &error);
            let Some(pause) = tries.after(&error, &breaker) else {
                return Fetched::GivenUp(self.give_up(error));
            };
            self.metrics.retries.add(1);
            waits(Waits::Retry(&error));
            if download.kept() > 0 && pause <= KEEP_PARTIAL {
                bytes = bytes.max(used.bytes());
                memory = Some(used);
            } else {
                download.discard();
                drop(used);
            }
            breaker.pause(pause).await;
        }
    }

    /// Waits for the right to make a request, and for memory unless there is some already. `None`: the source is closed.
    ///
    /// Nothing waits for memory while it has the right to a request: in an ordered source, the memory may belong to
    /// later jobs, which wait for this one.
    async fn admit(
        &self,
        breaker: &Arc<Breaker>,
        account: &Account<'_>,
        bytes: u64,
        mut memory: Option<MemoryPermit>,
        waits: &mut impl FnMut(Waits<'_>),
    ) -> Option<Admitted> {
        if breaker.has_stalled() {
            waits(Waits::Stalled);
        }
        loop {
            let mut permits = pin!(self.permits(breaker));
            let permits = loop {
                match timeout(PATIENCE, &mut permits).await {
                    Ok(permits) => break permits,
                    Err(_) if breaker.waits() => waits(Waits::Stalled),
                    Err(_) => {}
                }
            };
            if account.budget.is_closed() {
                return None;
            }
            if memory.is_none() {
                memory = account.budget.try_acquire(account.job, bytes);
            }
            if let Some(memory) = memory.take() {
                return Some(Admitted {
                    memory,
                    _permits: permits,
                });
            }
            drop(permits);
            memory = Some(account.budget.acquire(account.job, bytes).await?);
        }
    }

    async fn permits(&self, breaker: &Breaker) -> Permits {
        let slot = breaker.slot().await;
        // The semaphores are never closed.
        let unproven = match breaker.is_proven() {
            true => None,
            false => Arc::clone(&self.unproven).acquire_owned().await.ok(),
        };
        Permits {
            _slot: slot,
            _unproven: unproven,
            _download: Arc::clone(&self.downloads).acquire_owned().await.ok(),
        }
    }

    fn give_up(&self, error: AwsError) -> GivenUp {
        self.metrics.errors_fetch.add(1);
        let transient = match error.cause.class() {
            ErrorClass::TransientSource | ErrorClass::TransientObject => true,
            ErrorClass::BrieflyTransient | ErrorClass::Permanent => false,
        };
        GivenUp { error, transient }
    }
}
