//! Acknowledgement of a message's objects. An object is delivered when the host calls for the next batch after the
//! object's last event, because it has processed that event then.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

/// Travels with one object from its notification to the host. Reports exactly once that the object was delivered or has
/// failed; dropping it reports a transient failure.
#[derive(Debug)]
pub struct AckHandle {
    tracker: Arc<AckTracker>,
    object: usize,
    settled: bool,
}

/// Why an object was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A later attempt may succeed.
    Transient,
    /// No attempt can succeed. A log line that names the object and the cause.
    Permanent(String),
}

/// Result for all objects of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// For each object, whether it was delivered.
    pub delivered: Vec<bool>,
    /// Why not all were delivered: [`Failure::Transient`] if a later attempt may succeed for any of them.
    pub failure: Option<Failure>,
}

/// Collects the results for all objects of one message.
struct AckTracker(Mutex<MessageState>);

struct MessageState {
    remaining: usize,
    delivered: Vec<bool>,
    transient: bool,
    /// Number of objects that failed permanently, and the line of the first.
    permanent: Option<(usize, String)>,
    /// Called once, when no object remains.
    done: Option<OnSettled>,
}

type OnSettled = Box<dyn FnOnce(Settled) + Send>;

impl std::fmt::Debug for AckTracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AckTracker").finish_non_exhaustive()
    }
}

/// Handles for this many objects. `done` is called when all of them are settled; at once if there are none.
pub fn ack_handles(objects: usize, done: impl FnOnce(Settled) + Send + 'static) -> Vec<AckHandle> {
    if objects == 0 {
        done(Settled {
            delivered: Vec::new(),
            failure: None,
        });
        return Vec::new();
    }
    let tracker = Arc::new(AckTracker(Mutex::new(MessageState {
        remaining: objects,
        delivered: vec![false; objects],
        transient: false,
        permanent: None,
        done: Some(Box::new(done)),
    })));
    let handle = |object| AckHandle {
        tracker: Arc::clone(&tracker),
        object,
        settled: false,
    };
    (0..objects).map(handle).collect()
}

impl AckHandle {
    /// Reports that the host has processed all of the object's events.
    pub fn delivered(mut self) {
        self.settle(None);
    }

    /// Reports that the object, or part of it, cannot be delivered.
    pub fn failed(mut self, failure: Failure) {
        self.settle(Some(failure));
    }

    fn settle(&mut self, failure: Option<Failure>) {
        if !std::mem::replace(&mut self.settled, true) {
            self.tracker.settle(self.object, failure);
        }
    }
}

impl Drop for AckHandle {
    fn drop(&mut self) {
        self.settle(Some(Failure::Transient));
    }
}

impl AckTracker {
    fn settle(&self, object: usize, failure: Option<Failure>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.remaining -= 1;
        match (failure, &mut state.permanent) {
            (None, _) => state.delivered[object] = true,
            (Some(Failure::Transient), _) => state.transient = true,
            (Some(Failure::Permanent(_)), Some((objects, _))) => *objects += 1,
            (Some(Failure::Permanent(line)), none) => *none = Some((1, line)),
        }
        if state.remaining > 0 {
            return;
        }
        let failure = match (state.transient, state.permanent.take()) {
            (true, _) => Some(Failure::Transient),
            (false, None) => None,
            (false, Some((1, line))) => Some(Failure::Permanent(line)),
            (false, Some((objects, line))) => {
                let others = objects - 1;
                Some(Failure::Permanent(format!(
                    "{line} (and {others} more of its objects)"
                )))
            }
        };
        let delivered = std::mem::take(&mut state.delivered);
        let done = state.done.take();
        drop(state);
        if let Some(done) = done {
            done(Settled { delivered, failure });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn settled(objects: usize, settle: impl FnOnce(Vec<AckHandle>)) -> Option<Settled> {
        let (send, settled) = mpsc::channel();
        settle(ack_handles(objects, move |outcome| {
            let _ = send.send(outcome);
        }));
        settled.try_recv().ok()
    }

    fn failure_of(failures: Vec<Option<Failure>>) -> Option<Failure> {
        let outcome = settled(failures.len(), |ack_handles| {
            for (handle, failure) in ack_handles.into_iter().zip(failures) {
                match failure {
                    None => handle.delivered(),
                    Some(failure) => handle.failed(failure),
                }
            }
        });
        outcome.expect("all are settled").failure
    }

    #[test]
    fn message_is_settled_with_its_last_object() {
        let all =
            |ack_handles: Vec<AckHandle>| ack_handles.into_iter().for_each(AckHandle::delivered);
        let outcome = settled(3, all).expect("all are settled");
        assert_eq!((outcome.delivered, outcome.failure), (vec![true; 3], None));
        assert!(settled(0, all).is_some());
        let keep_one = |ack_handles: Vec<AckHandle>| {
            let mut ack_handles = ack_handles.into_iter();
            std::mem::forget(ack_handles.next());
            ack_handles.for_each(AckHandle::delivered);
        };
        assert_eq!(settled(3, keep_one), None, "one is still on its way");
    }

    #[test]
    fn dropped_handle_reports_its_object_as_not_delivered() {
        let drop_one = |mut ack_handles: Vec<AckHandle>| {
            drop(ack_handles.remove(1));
            ack_handles.into_iter().for_each(AckHandle::delivered);
        };
        let outcome = settled(3, drop_one).expect("all are settled");
        assert_eq!(outcome.delivered, [true, false, true]);
        assert_eq!(outcome.failure, Some(Failure::Transient));
    }

    #[test]
    fn message_is_kept_while_one_of_its_objects_can_succeed() {
        let permanent = |name: &str| Some(Failure::Permanent(format!("{name}: NoSuchKey")));
        let transient = Some(Failure::Transient);
        assert_eq!(
            failure_of(vec![
                permanent("a"),
                transient.clone(),
                permanent("b"),
                None
            ]),
            transient
        );
        assert_eq!(failure_of(vec![None, permanent("b")]), permanent("b"));
        let both = Failure::Permanent("a: NoSuchKey (and 1 more of its objects)".to_owned());
        assert_eq!(failure_of(vec![permanent("a"), permanent("b")]), Some(both));
    }
}
