//! Order, bypass, cancellation and close of a [`MemoryBudget`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

fn budget(capacity: u64) -> Arc<MemoryBudget> {
    Arc::new(MemoryBudget::new(capacity))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A request that is polled by hand.
struct Request {
    future: Pin<Box<dyn Future<Output = Option<MemoryPermit>>>>,
    wakes: Arc<Wakes>,
}

impl Request {
    fn new(budget: &Arc<MemoryBudget>, job: u64, bytes: u64) -> Request {
        let budget = Arc::clone(budget);
        Request {
            future: Box::pin(async move { budget.acquire(job, bytes).await }),
            wakes: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<Option<MemoryPermit>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// A request that waits.
    fn waiting(budget: &Arc<MemoryBudget>, job: u64, bytes: u64) -> Request {
        let mut request = Request::new(budget, job, bytes);
        assert!(request.poll().is_pending(), "{bytes} bytes must wait");
        request
    }

    /// Whether it was woken; then it must be ready.
    fn admitted(&mut self) -> Option<MemoryPermit> {
        match (self.wakes.0.load(Ordering::SeqCst), self.poll()) {
            (0, Poll::Pending) => None,
            (_, Poll::Ready(Some(permit))) => Some(permit),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until so many requests wait.
fn until_waiting(budget: &MemoryBudget, count: usize) {
    while budget.state().waiters.len() != count {
        thread::yield_now();
    }
}

#[test]
fn requests_that_fit_are_admitted_at_once_and_released_on_drop() {
    let budget = budget(100);
    let first = budget.try_acquire(1, 60).expect("room");
    assert_eq!((first.bytes(), budget.in_use()), (60, 60));
    assert!(budget.try_acquire(2, 41).is_none());
    let second = budget.acquire_blocking(2, 40).expect("room");
    assert_eq!(budget.in_use(), 100);
    drop(first);
    drop(second);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn large_request_is_not_starved_by_small_ones() {
    let budget = budget(100);
    let inside = budget.try_acquire(1, 60).expect("room");
    let mut large = Request::waiting(&budget, 2, 90);
    let mut small = Request::waiting(&budget, 3, 10);
    assert!(budget.try_acquire(4, 10).is_none(), "others wait before it");
    assert!(
        small.admitted().is_none(),
        "there is room, but not its turn"
    );
    drop(inside);
    let large = large.admitted().expect("its turn");
    let small = small.admitted().expect("both fit");
    assert_eq!(budget.in_use(), 100);
    drop((large, small));
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn async_and_blocking_requests_share_one_queue() {
    let budget = budget(100);
    let inside = budget.try_acquire(1, 100).expect("room");
    let mut first = Request::waiting(&budget, 2, 100);
    let second = {
        let budget = Arc::clone(&budget);
        thread::spawn(move || budget.acquire_blocking(3, 100).map(|it| it.bytes()))
    };
    until_waiting(&budget, 2);
    let mut third = Request::waiting(&budget, 4, 100);
    drop(inside);
    thread::sleep(Duration::from_millis(20));
    assert!(!second.is_finished() && third.admitted().is_none());
    drop(first.admitted().expect("its turn"));
    assert_eq!(second.join().expect("no panic"), Some(100));
    assert!(third.admitted().is_some());
}

#[test]
fn head_job_bypasses_queue_and_limit() {
    let budget = budget(100);
    let inside = budget.try_acquire(5, 100).expect("room");
    let mut waiting = Request::waiting(&budget, 7, 10);
    let mut next = Request::waiting(&budget, 6, 50);
    assert!(
        budget.try_acquire(0, 70).is_some(),
        "job 0 is the head first"
    );
    budget.set_head(6);
    let next = next.admitted().expect("it is the head now");
    assert!(waiting.admitted().is_none());
    let more = budget
        .try_acquire(6, u64::MAX)
        .expect("no limit for the head");
    drop((more, inside, next));
    assert!(waiting.admitted().is_some());
    assert_eq!(budget.in_use(), 0, "no number is too large");
}

#[test]
fn unordered_jobs_are_never_the_head() {
    let budget = budget(100);
    let _inside = budget.try_acquire(UNORDERED, 100).expect("room");
    budget.set_head(UNORDERED);
    assert!(budget.try_acquire(UNORDERED, 1).is_none());
    assert!(budget.try_acquire(3, 1).is_none());
}

#[test]
fn request_over_the_capacity_is_admitted_alone() {
    let budget = budget(100);
    let small = budget.try_acquire(1, 1).expect("room");
    let mut large = Request::waiting(&budget, 2, 1000);
    let mut later = Request::waiting(&budget, 3, 1);
    drop(small);
    let large = large.admitted().expect("nothing else is inside");
    assert!(later.admitted().is_none());
    drop(large);
    assert!(later.admitted().is_some());
}

#[test]
fn dropped_request_passes_its_turn_on() {
    let budget = budget(100);
    let inside = budget.try_acquire(1, 50).expect("room");
    let large = Request::waiting(&budget, 2, 90);
    let mut small = Request::waiting(&budget, 3, 20);
    drop(large);
    drop(small.admitted().expect("nothing waits before it"));
    // Admitted, and dropped before it was polled again.
    let large = Request::waiting(&budget, 2, 90);
    let mut small = Request::waiting(&budget, 3, 20);
    drop(inside);
    assert_eq!(budget.in_use(), 90);
    drop(large);
    drop(small.admitted().expect("the bytes came back"));
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn close_ends_waiting_and_keeps_permits_valid() {
    let budget = budget(100);
    let inside = budget.try_acquire(1, 100).expect("room");
    let mut waiting = Request::waiting(&budget, 2, 10);
    let blocked = {
        let budget = Arc::clone(&budget);
        thread::spawn(move || budget.acquire_blocking(3, 10).is_none())
    };
    until_waiting(&budget, 2);
    budget.close();
    assert!(budget.is_closed());
    assert!(matches!(waiting.poll(), Poll::Ready(None)));
    assert!(blocked.join().expect("no panic"));
    assert!(budget.acquire_blocking(0, 0).is_none(), "not even the head");
    assert!(budget.try_acquire(0, 0).is_none());
    assert_eq!(budget.in_use(), 100);
    drop(inside);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn request_admitted_before_close_keeps_its_permit() {
    let budget = budget(100);
    let inside = budget.try_acquire(1, 100).expect("room");
    let mut waiting = Request::waiting(&budget, 2, 10);
    drop(inside);
    budget.close();
    assert!(waiting.admitted().is_some());
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn permits_grow_into_free_room_and_shrink() {
    let budget = budget(100);
    let permit = budget.try_acquire(1, 10).expect("room");
    assert!(permit.try_grow(1000), "alone, any size fits");
    permit.shrink(40);
    let other = budget.try_acquire(2, 10).expect("room");
    assert!(other.try_grow(60));
    assert!(!other.try_grow(61));
    assert!(other.try_grow(50), "it has that already");
    assert_eq!((other.bytes(), budget.in_use()), (60, 100));
    let mut waiting = Request::waiting(&budget, 3, 30);
    other.shrink(50);
    assert!(waiting.admitted().is_none());
    permit.shrink(20);
    assert!(waiting.admitted().is_some());
}

#[test]
fn thousands_of_requests_are_all_admitted_within_the_capacity() {
    let budget = budget(100);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("threads");
    let all: Vec<_> = (1..3000)
        .map(|job| {
            let budget = Arc::clone(&budget);
            runtime.spawn(async move {
                let bytes = 1 + job % 100;
                let request = budget.acquire(job, bytes);
                if job % 3 == 0 {
                    // Most of these are dropped while they wait.
                    let _ = tokio::time::timeout(Duration::ZERO, request).await;
                    return true;
                }
                let permit = request.await;
                assert!(budget.in_use() <= 100);
                tokio::task::yield_now().await;
                permit.is_some()
            })
        })
        .collect();
    let blocked: Vec<_> = (0..4)
        .map(|_| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || (1..200).all(|job| budget.acquire_blocking(job, 70).is_some()))
        })
        .collect();
    for admitted in all {
        assert!(runtime.block_on(admitted).expect("no panic"));
    }
    for admitted in blocked {
        assert!(admitted.join().expect("no panic"));
    }
    assert_eq!(budget.in_use(), 0);
}
