//! What became of the objects that a message names: known only when the host has come back for
//! more, and so has processed the last event of the last of them.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

/// Goes with one object from its notification to the host. Dropped without a word (the source is
/// closed, say), it leaves its message as it is.
#[derive(Debug)]
pub struct Ticket(Arc<Tracker>);

/// Why an object was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It may work the next time.
    Passing,
    /// It will not work however often it is tried.
    Lasting,
}

/// All objects of one message.
struct Tracker {
    state: Mutex<State>,
}

struct State {
    remaining: usize,
    failure: Option<Failure>,
    /// Called once, when nothing remains.
    done: Option<Done>,
}

type Done = Box<dyn FnOnce(Option<Failure>) + Send>;

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracker").finish_non_exhaustive()
    }
}

/// Tickets for `objects` objects. When all of them were delivered or have failed, `done` is told
/// the worst failure, if there was one. At once, for none.
pub fn tickets(objects: usize, done: impl FnOnce(Option<Failure>) + Send + 'static) -> Vec<Ticket> {
    if objects == 0 {
        done(None);
        return Vec::new();
    }
    let tracker = Arc::new(Tracker {
        state: Mutex::new(State {
            remaining: objects,
            failure: None,
            done: Some(Box::new(done)),
        }),
    });
    (0..objects).map(|_| Ticket(Arc::clone(&tracker))).collect()
}

impl Ticket {
    /// All of the object's events were handed over and processed.
    pub fn delivered(self) {
        self.0.settle(None);
    }

    /// It could not be delivered, or not all of it.
    pub fn failed(self, failure: Failure) {
        self.0.settle(Some(failure));
    }
}

impl Tracker {
    fn settle(&self, failure: Option<Failure>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.remaining -= 1;
        state.failure = state.failure.max(failure);
        if state.remaining > 0 {
            return;
        }
        let (done, failure) = (state.done.take(), state.failure);
        drop(state);
        if let Some(done) = done {
            done(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn told(objects: usize, settle: impl FnOnce(Vec<Ticket>)) -> Option<Option<Failure>> {
        let (send, told) = mpsc::channel();
        settle(tickets(objects, move |failure| {
            let _ = send.send(failure);
        }));
        told.try_recv().ok()
    }

    #[test]
    fn a_message_is_done_with_its_last_object() {
        let all = |tickets: Vec<Ticket>| tickets.into_iter().for_each(Ticket::delivered);
        assert_eq!(told(3, all), Some(None));
        assert_eq!(told(0, all), Some(None));
        let all_but_one =
            |tickets: Vec<Ticket>| tickets.into_iter().skip(1).for_each(Ticket::delivered);
        assert_eq!(
            told(3, all_but_one),
            None,
            "a dropped ticket leaves the message alone"
        );
    }

    #[test]
    fn the_worst_failure_counts() {
        let failures = |tickets: Vec<Ticket>| {
            let settle = [None, Some(Failure::Lasting), Some(Failure::Passing)];
            for (ticket, failure) in tickets.into_iter().zip(settle) {
                match failure {
                    None => ticket.delivered(),
                    Some(failure) => ticket.failed(failure),
                }
            }
        };
        assert_eq!(told(3, failures), Some(Some(Failure::Lasting)));
    }
}
