//! Lists many parts of a bucket at the same time, and gives out what they hold in the order of its keys.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;

use super::ListedObject;
use super::layout::Node;
use super::list::{Lister, Part, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;

/// More listings at once than this help no download, and each may have pages waiting.
const MOST: usize = 32;

/// Everything that is still to be given out, in the order of keys.
pub(super) struct Walk {
    lister: Arc<Lister>,
    slots: VecDeque<Slot>,
    running: usize,
    most: usize,
    /// Ends them all when it is dropped.
    tasks: JoinSet<()>,
}

enum Slot {
    Waiting(Node),
    Running(Running),
    /// Running, and this comes first.
    Precomputed(Result<Vec<ListedObject>>, Running),
    /// To be given out as it is.
    Page(Result<Vec<ListedObject>>),
}

/// A listing under way.
struct Running {
    prefix: String,
    steps: Receiver<Step>,
}

type Page = Option<Result<Vec<ListedObject>>>;

impl Walk {
    pub(super) fn new(lister: Arc<Lister>, root: Node) -> Walk {
        Walk {
            most: lister.selection.concurrency.clamp(1, MOST),
            lister,
            slots: VecDeque::from([Slot::Waiting(root)]),
            running: 0,
            tasks: JoinSet::new(),
        }
    }

    /// The next objects, or why there are none in a place; `None` at the end.
    pub(super) async fn next(&mut self) -> Page {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Page> {
        loop {
            self.start();
            let changed = self.advance(context);
            match self.slots.pop_front() {
                None => return Poll::Ready(None),
                Some(Slot::Page(page)) => return Poll::Ready(Some(page)),
                Some(Slot::Precomputed(page, running)) => {
                    self.slots.push_front(Slot::Running(running));
                    return Poll::Ready(Some(page));
                }
                Some(slot) => self.slots.push_front(slot),
            }
            if !changed {
                return Poll::Pending;
            }
        }
    }

    /// Starts the first that wait, and the very first in any case: all others may be waiting for it.
    fn start(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if at > 0 && self.running >= self.most {
                break;
            }
            if let Slot::Waiting(node) = slot {
                let node = node.clone();
                let prefix = node.prefix.clone();
                let lister = Arc::clone(&self.lister);
                let (sender, receiver) = channel(1);
                self.tasks.spawn(async move {
                    // Where nobody listens any more there is nothing left to do.
                    let _ = lister.run(node, &sender).await;
                });
                self.running += 1;
                *slot = Slot::Running(Running {
                    prefix,
                    steps: receiver,
                });
            }
        }
    }

    /// Takes one step of each that runs and has one; whether there was any.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        let mut changed = false;
        let mut at = 0;
        let mut running = self.running;
        while at < self.slots.len() && running > 0 {
            let (next, still) = match &mut self.slots[at] {
                Slot::Running(running) => (running.steps.poll_recv(context), true),
                Slot::Precomputed(..) => (Poll::Pending, true),
                Slot::Waiting(_) | Slot::Page(_) => (Poll::Pending, false),
            };
            running -= usize::from(still);
            let Poll::Ready(step) = next else {
                at += 1;
                continue;
            };
            changed = true;
            at = self.apply(at, step);
        }
        changed
    }

    /// Puts what a step brought in its place; where to go on.
    fn apply(&mut self, at: usize, step: Option<Step>) -> usize {
        match step {
            Some(Step::Parts(parts)) => {
                let behind = self.slots.split_off(at);
                for part in parts {
                    // Joined to what was put here before it, never to what another part told.
                    let joined = self.slots.len() > at;
                    match (part, self.slots.back_mut().filter(|_| joined)) {
                        (Part::Node(node), _) => self.slots.push_back(Slot::Waiting(node)),
                        (Part::ListedObject(found), Some(Slot::Page(Ok(page)))) => page.push(found),
                        (Part::ListedObject(found), _) => {
                            self.slots.push_back(Slot::Page(Ok(vec![found])))
                        }
                    }
                }
                let own = self.slots.len();
                self.slots.extend(behind);
                own + 1
            }
            Some(Step::Page(page)) => {
                if let Some(Slot::Running(running)) = self.slots.remove(at) {
                    self.slots.insert(at, Slot::Precomputed(page, running));
                }
                at + 1
            }
            Some(Step::End) => {
                self.slots.remove(at);
                self.running -= 1;
                at
            }
            // Only a fault of this program ends a task so; silence would hide what it had not told.
            None => {
                let prefix = match &self.slots[at] {
                    Slot::Running(running) => running.prefix.as_str(),
                    _ => "",
                };
                let (bucket, prefix) = (Escaped(&self.lister.bucket), Escaped(prefix));
                let error = Error::new(
                    ErrorKind::Read,
                    format!(
                        "s3://{bucket}/{prefix}: the listing ended before its end; what it had not listed is not read"
                    ),
                );
                self.running -= 1;
                self.slots[at] = Slot::Page(Err(error));
                at + 1
            }
        }
    }
}
