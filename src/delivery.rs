//! What became of the objects that a message names: known only when the host has come back for
//! more, and so has processed the last event of the last of them.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

/// Goes with one object from its notification to the host. Dropped without a word (the source is
/// closed, say), it leaves its message as it is.
#[derive(Debug)]
pub struct Ticket(Arc<Tracker>);

/// Why an object was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work the next time.
    Passing,
    /// It will not work however often it is tried; with a line that names the object and the cause.
    Lasting(String),
}

/// All objects of one message.
struct Tracker {
    state: Mutex<State>,
}

struct State {
    remaining: usize,
    /// One object may work the next time.
    passing: bool,
    /// How many will not, and what is said of the first.
    lasting: Option<(usize, String)>,
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
/// what failed: as long as one object may work the next time, there is to be a next time. At
/// once, for none.
pub fn tickets(objects: usize, done: impl FnOnce(Option<Failure>) + Send + 'static) -> Vec<Ticket> {
    if objects == 0 {
        done(None);
        return Vec::new();
    }
    let tracker = Arc::new(Tracker {
        state: Mutex::new(State {
            remaining: objects,
            passing: false,
            lasting: None,
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
        match (failure, &mut state.lasting) {
            (None, _) => {}
            (Some(Failure::Passing), _) => state.passing = true,
            (Some(Failure::Lasting(_)), Some((objects, _))) => *objects += 1,
            (Some(Failure::Lasting(line)), none) => *none = Some((1, line)),
        }
        if state.remaining > 0 {
            return;
        }
        let done = state.done.take();
        let failure = match (state.passing, state.lasting.take()) {
            (true, _) => Some(Failure::Passing),
            (false, None) => None,
            (false, Some((1, line))) => Some(Failure::Lasting(line)),
            (false, Some((objects, line))) => {
                let others = objects - 1;
                Some(Failure::Lasting(format!(
                    "{line} (and {others} more of its objects)"
                )))
            }
        };
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
    fn a_message_stays_while_one_of_its_objects_may_work() {
        let lasting = |name: &str| Some(Failure::Lasting(format!("{name}: NoSuchKey")));
        let told_of = |failures: Vec<Option<Failure>>| {
            told(failures.len(), |tickets| {
                for (ticket, failure) in tickets.into_iter().zip(failures) {
                    match failure {
                        None => ticket.delivered(),
                        Some(failure) => ticket.failed(failure),
                    }
                }
            })
        };
        let passing = Some(Failure::Passing);
        assert_eq!(
            told_of(vec![lasting("a"), passing.clone(), lasting("b"), None]),
            Some(passing)
        );
        assert_eq!(told_of(vec![None, lasting("b")]), Some(lasting("b")));
        let both = Failure::Lasting("a: NoSuchKey (and 1 more of its objects)".to_owned());
        assert_eq!(told_of(vec![lasting("a"), lasting("b")]), Some(Some(both)));
    }
}
