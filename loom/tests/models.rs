//! Models of the memory budget and of acknowledgement. loom runs each in the possible orders of its threads' steps, and
//! reports deadlocks: a thread that waits and is never woken fails its model.
#![forbid(unsafe_code)]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use cloudtrail_loom::ack::{AckHandle, Failure, Settled, ack_handles};
use cloudtrail_loom::memory_budget::{MemoryBudget, UNORDERED};
use loom::sync::Mutex;
use loom::thread;

/// Limits the orders that are tried to those with this many preemptions: a lost wake-up needs one or two, and without a
/// limit models of three threads do not end in minutes.
const MAX_PREEMPTIONS: usize = 4;

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(MAX_PREEMPTIONS);
    builder.check(run);
}

#[test]
fn waiters_are_woken_and_the_capacity_is_kept() {
    model(|| {
        let budget = Arc::new(MemoryBudget::new(2));
        let threads = [2, 1].map(|bytes| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                let permit = budget.acquire_blocking(UNORDERED, bytes).expect("open");
                assert!(budget.in_use() <= 2);
                assert_eq!(permit.bytes(), bytes);
            })
        });
        let permit = budget.acquire_blocking(UNORDERED, 1).expect("open");
        assert!(budget.in_use() <= 2);
        drop(permit);
        for thread in threads {
            thread.join().expect("it ends");
        }
        assert_eq!(budget.in_use(), 0);
    });
}

#[test]
fn head_job_passes_whatever_the_others_hold() {
    model(|| {
        let budget = Arc::new(MemoryBudget::new(1));
        budget.set_head(0);
        let permit = budget.acquire_blocking(5, 1).expect("there is room");
        let head = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || drop(budget.acquire_blocking(3, 1).expect("open")))
        };
        // The permit of job 5 is dropped after the head has passed: it continues only as the head.
        budget.set_head(3);
        head.join().expect("it ends");
        drop(permit);
        assert_eq!(budget.in_use(), 0);
    });
}

#[test]
fn close_ends_every_wait() {
    model(|| {
        let budget = Arc::new(MemoryBudget::new(1));
        let permit = budget
            .acquire_blocking(UNORDERED, 1)
            .expect("there is room");
        let waiting = [1, 1].map(|bytes| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || budget.acquire_blocking(UNORDERED, bytes).is_none())
        });
        budget.close();
        for thread in waiting {
            assert!(thread.join().expect("it ends"), "the permit is still in use");
        }
        drop(permit);
        assert_eq!(budget.in_use(), 0);
    });
}

#[test]
fn abandoned_wait_leaves_neither_bytes_nor_a_place_in_the_queue() {
    model(|| {
        let budget = Arc::new(MemoryBudget::new(1));
        let permit = budget
            .acquire_blocking(UNORDERED, 1)
            .expect("there is room");
        let abandoning = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                let mut acquire = pin!(budget.acquire(UNORDERED, 1));
                let mut context = Context::from_waker(Waker::noop());
                // Dropped whether it waits, was admitted meanwhile, or is done.
                matches!(acquire.as_mut().poll(&mut context), Poll::Ready(None))
            })
        };
        let after = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || drop(budget.acquire_blocking(UNORDERED, 1).expect("open")))
        };
        drop(permit);
        assert!(!abandoning.join().expect("it ends"), "it was not closed");
        after.join().expect("it ends");
        assert_eq!(budget.in_use(), 0);
        assert!(budget.try_acquire(UNORDERED, 1).is_some(), "nobody waits");
    });
}

#[test]
fn permits_that_grow_and_shrink_stay_within_the_capacity() {
    model(|| {
        let budget = Arc::new(MemoryBudget::new(3));
        let growing = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                let permit = budget.acquire_blocking(UNORDERED, 1).expect("open");
                if permit.try_grow(2) {
                    permit.shrink(1);
                }
                assert!(budget.in_use() <= 3);
            })
        };
        let permit = budget.acquire_blocking(UNORDERED, 2).expect("open");
        assert!(budget.in_use() <= 3);
        permit.shrink(1);
        drop(permit);
        growing.join().expect("it ends");
        assert_eq!(budget.in_use(), 0);
    });
}

/// Settles each handle on a thread of its own, and returns what the message's result was.
fn settled_by_threads(settle: [fn(AckHandle); 2]) -> Settled {
    let result = Arc::new(Mutex::new(None));
    let calls = Arc::new(AtomicUsize::new(0));
    let handles = {
        let (result, calls) = (Arc::clone(&result), Arc::clone(&calls));
        ack_handles(2, move |settled| {
            calls.fetch_add(1, Ordering::Relaxed);
            *result.lock().expect("it is not poisoned") = Some(settled);
        })
    };
    let threads: Vec<_> = handles
        .into_iter()
        .zip(settle)
        .map(|(handle, settle)| thread::spawn(move || settle(handle)))
        .collect();
    for thread in threads {
        thread.join().expect("it ends");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1, "settled exactly once");
    let result = result.lock().expect("it is not poisoned").take();
    result.expect("all handles are settled")
}

#[test]
fn message_is_settled_once_by_whichever_object_is_last() {
    model(|| {
        let settled = settled_by_threads([AckHandle::delivered, AckHandle::delivered]);
        assert_eq!(settled.delivered, [true, true]);
        assert_eq!(settled.failure, None);
    });
}

#[test]
fn dropped_handle_keeps_its_message_from_being_deleted_in_any_order() {
    model(|| {
        let settled = settled_by_threads([AckHandle::delivered, drop]);
        assert_eq!(settled.delivered, [true, false]);
        assert_eq!(settled.failure, Some(Failure::Transient));
    });
}

#[test]
fn transient_failure_outweighs_a_permanent_one_in_any_order() {
    model(|| {
        let permanent = |handle: AckHandle| handle.failed(Failure::Permanent("gone".to_owned()));
        let settled = settled_by_threads([permanent, |handle| handle.failed(Failure::Transient)]);
        assert_eq!(settled.delivered, [false, false]);
        assert_eq!(settled.failure, Some(Failure::Transient));
    });
}
