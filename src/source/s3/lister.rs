//! Lists many prefixes of a bucket concurrently and yields their objects in key order.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use super::ListedObject;
use super::layout::Prefix;
use super::prefix::{Child, ListEvent, PrefixLister};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;

/// Upper bound of concurrent listings. More do not speed up downloads, and each one buffers pages.
const MAX_LISTINGS: usize = 32;

/// Merges concurrent listings in key order.
pub(super) struct Lister {
    prefix_lister: Arc<PrefixLister>,
    /// The part of the bucket that is not yet yielded, in key order.
    segments: VecDeque<Segment>,
    running: usize,
    max_running: usize,
    /// Aborts all listings on drop.
    tasks: JoinSet<()>,
}

/// Objects of a page, or the error that replaces a part of the listing.
type Objects = Result<Vec<ListedObject>>;

/// A contiguous range of keys.
enum Segment {
    /// Not yet started.
    Queued(Prefix),
    /// Being listed.
    Listing(Listing),
    /// Being listed, with a page to yield before the rest.
    Buffered(Objects, Listing),
    /// Ready to yield.
    Ready(Objects),
}

/// A running listing of one prefix.
struct Listing {
    prefix: String,
    events: Receiver<ListEvent>,
}

impl Lister {
    /// Lists `prefixes`, which are in key order and do not overlap.
    pub(super) fn new(
        prefix_lister: Arc<PrefixLister>,
        prefixes: impl IntoIterator<Item = Prefix>,
    ) -> Lister {
        Lister {
            max_running: prefix_lister.selection.concurrency.clamp(1, MAX_LISTINGS),
            prefix_lister,
            segments: prefixes.into_iter().map(Segment::Queued).collect(),
            running: 0,
            tasks: JoinSet::new(),
        }
    }

    /// The next objects in key order, or the error of a prefix; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Objects> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Objects>> {
        loop {
            self.start();
            let changed = self.receive(context);
            match self.segments.pop_front() {
                None => return Poll::Ready(None),
                Some(Segment::Ready(objects)) => return Poll::Ready(Some(objects)),
                Some(Segment::Buffered(objects, listing)) => {
                    self.segments.push_front(Segment::Listing(listing));
                    return Poll::Ready(Some(objects));
                }
                Some(segment) => self.segments.push_front(segment),
            }
            if !changed {
                return Poll::Pending;
            }
        }
    }

    /// Starts queued listings up to the limit. The first segment starts regardless: all running listings may be blocked
    /// until it is yielded.
    fn start(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        for (at, segment) in self.segments.iter_mut().enumerate() {
            if at > 0 && self.running >= self.max_running {
                break;
            }
            if let Segment::Queued(prefix) = segment {
                let prefix = prefix.clone();
                let text = prefix.text.clone();
                let prefix_lister = Arc::clone(&self.prefix_lister);
                let (sender, receiver) = channel(1);
                self.tasks.spawn(async move {
                    // Cancelled: the receiver is gone, and with it the lister.
                    let _ = prefix_lister.list(prefix, &sender).await;
                });
                self.running += 1;
                *segment = Segment::Listing(Listing {
                    prefix: text,
                    events: receiver,
                });
            }
        }
    }

    /// Applies one available event of each running listing; returns whether there was any.
    fn receive(&mut self, context: &mut Context<'_>) -> bool {
        let mut changed = false;
        let mut at = 0;
        let mut running = self.running;
        while at < self.segments.len() && running > 0 {
            let (event, is_running) = match &mut self.segments[at] {
                Segment::Listing(listing) => (listing.events.poll_recv(context), true),
                Segment::Buffered(..) => (Poll::Pending, true),
                Segment::Queued(_) | Segment::Ready(_) => (Poll::Pending, false),
            };
            running -= usize::from(is_running);
            let Poll::Ready(event) = event else {
                at += 1;
                continue;
            };
            changed = true;
            at = self.apply(at, event);
        }
        changed
    }

    /// Applies an event of the listing at `at`; returns the index of the next segment to look at.
    fn apply(&mut self, at: usize, event: Option<ListEvent>) -> usize {
        match event {
            Some(ListEvent::Children(children)) => {
                let rest = self.segments.split_off(at);
                for child in children {
                    // Objects join only a page of this event: an earlier one belongs to another listing.
                    let joinable = self.segments.len() > at;
                    match (child, self.segments.back_mut().filter(|_| joinable)) {
                        (Child::Prefix(prefix), _) => {
                            self.segments.push_back(Segment::Queued(prefix));
                        }
                        (Child::Object(object), Some(Segment::Ready(Ok(page)))) => {
                            page.push(object);
                        }
                        (Child::Object(object), _) => {
                            self.segments.push_back(Segment::Ready(Ok(vec![object])));
                        }
                    }
                }
                let own = self.segments.len();
                self.segments.extend(rest);
                own + 1
            }
            Some(ListEvent::Page(objects)) => {
                if let Some(Segment::Listing(listing)) = self.segments.remove(at) {
                    self.segments
                        .insert(at, Segment::Buffered(objects, listing));
                }
                at + 1
            }
            Some(ListEvent::End) => {
                self.segments.remove(at);
                self.running -= 1;
                at
            }
            // The task panicked. Without this error, the missing objects would be a silent gap.
            None => {
                let prefix = match &self.segments[at] {
                    Segment::Listing(listing) => listing.prefix.as_str(),
                    _ => "",
                };
                let (bucket, prefix) = (Escaped(&self.prefix_lister.bucket), Escaped(prefix));
                let error = Error::new(
                    ErrorKind::Internal,
                    format!(
                        "s3://{bucket}/{prefix}: the listing stopped because of an internal error; the rest of the prefix is not read"
                    ),
                );
                self.running -= 1;
                self.segments[at] = Segment::Ready(Err(error));
                at + 1
            }
        }
    }
}
