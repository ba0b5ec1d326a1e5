//! Failing objects and threads, and a host that closes early.

use std::sync::mpsc;

use super::*;
use crate::batch::tests::{FAILS, Names, precomputed_text};
use crate::object::ack::ack_handles;
use crate::object::{Content, Object};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const SETTINGS: Settings = Settings {
    threads: 2,
    jobs: 16,
    jobs_gap: 4,
    gather: Duration::from_millis(1),
    gather_objects: 4,
    max_buffered_bytes: 1 << 20,
    fail_on_error: false,
    limits: Limits {
        max_object_bytes: 1 << 30,
        insights: false,
    },
};

struct Started {
    pipeline: Pipeline,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
}

fn start(settings: Settings, feed: impl FnOnce(ObjectSender) + Send + 'static) -> Started {
    let (metrics, log) = (Arc::<Metrics>::default(), Arc::<Log>::default());
    let (counted, logged) = (Arc::clone(&metrics), Arc::clone(&log));
    let hooks = RecordHooks {
        precompute: Arc::new(Names),
        filter: None,
        fingerprint_key: None,
    };
    let pipeline = Pipeline::start(settings, counted, logged, hooks, feed);
    let pipeline = pipeline.expect("threads");
    Started {
        pipeline,
        metrics,
        log,
    }
}

fn object(slot: &OutputSlot, name: &str, text: String) -> Object {
    let budget = slot.stored_budget();
    let permit = budget
        .acquire_blocking(slot.job(), text.len() as u64)
        .expect("open");
    Object {
        name: name.to_owned(),
        content: Content::Memory(text.into_bytes(), permit),
        ack: None,
    }
}

fn record(id: &str, name: &str) -> String {
    format!(r#"{{"eventTime":"2026-01-14T08:50:00Z","eventID":"{id}","eventName":"{name}"}}"#)
}

/// Whether `run` ends in time.
fn ends(run: impl FnOnce() + Send + 'static) -> bool {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        run();
        let _ = done.send(());
    });
    is_done.recv_timeout(PATIENCE).is_ok()
}

#[test]
fn events_after_a_panic_have_their_own_values() {
    let (acked, acks) = mpsc::channel();
    let settings = Settings {
        threads: 1,
        ..SETTINGS
    };
    let Started {
        mut pipeline,
        metrics,
        log,
    } = start(settings, move |mut feed| {
        let slot = feed.reserve().expect("open");
        let fails = [record("2", "Two"), record("3", FAILS), record("4", "Four")].join("\n");
        let mut objects = vec![
            object(&slot, "first", record("1", "One")),
            object(&slot, "second", fails),
            object(&slot, "third", record("5", "Five")),
        ];
        for object in &mut objects {
            let (name, acked) = (object.name.clone(), acked.clone());
            let mut handle = ack_handles(1, move |outcome| {
                let _ = acked.send((name, outcome.failure.is_none()));
            });
            object.ack = handle.pop();
        }
        slot.submit(objects);
        feed.finish();
    });
    let mut ids = Vec::new();
    loop {
        match pipeline.next(PATIENCE, |_| {}).expect("no error") {
            Next::Batch(batch) => {
                for number in 0..batch.len() {
                    let id = precomputed_text(&batch, number, 0);
                    let id = id.expect("precomputed for every event");
                    let payload = batch.record(number).expect("an event").tape.text();
                    ids.push((id, String::from_utf8_lossy(payload).into_owned()));
                }
                pipeline.recycle(batch);
            }
            Next::Timeout => panic!("no end"),
            Next::End => break,
        }
    }
    let expected = [("1", "One"), ("2", "Two"), ("5", "Five")];
    let expected = expected.map(|(id, name)| (id.to_owned(), record(id, name)));
    assert_eq!(ids, expected);
    let mut acks: Vec<_> = acks.try_iter().collect();
    acks.sort();
    let named = |name: &str, delivered| (name.to_owned(), delivered);
    assert_eq!(
        acks,
        [
            named("first", true),
            named("second", false),
            named("third", true)
        ]
    );
    assert_eq!(metrics.errors_internal.value(), 1);
    let lines = log.take();
    assert!(
        lines.iter().any(|(_, line)| line.starts_with("second: ")),
        "{lines:?}"
    );
}

#[test]
fn closing_wakes_senders_that_wait_for_full_channels() {
    for unordered in [true, false] {
        let ended = ends(move || {
            let Started { mut pipeline, .. } = start(SETTINGS, move |mut feed| {
                if unordered {
                    let feed = feed.unordered().expect("open");
                    let budget = Arc::clone(feed.stored_budget());
                    for number in 0..100 {
                        let Some(permit) = budget.acquire_blocking(UNORDERED, 1) else {
                            return;
                        };
                        feed.submit(vec![Object {
                            name: number.to_string(),
                            content: Content::Memory(filler().into_bytes(), permit),
                            ack: None,
                        }]);
                    }
                    return;
                }
                let slots: Vec<_> = (0..10).filter_map(|_| feed.reserve()).collect();
                for slot in slots {
                    slot.fail(Error::new(ErrorKind::Read, "fails"));
                }
                // Each job's channel takes more than one error; fill one.
                if let Some(slot) = feed.reserve() {
                    let objects = (0..100)
                        .map(|number| object(&slot, &number.to_string(), filler()))
                        .collect();
                    slot.submit(objects);
                }
            });
            thread::sleep(Duration::from_millis(100));
            pipeline.stop();
            drop(pipeline);
        });
        assert!(ended, "closing hangs, unordered: {unordered}");
    }
}

/// Records that make more than one batch.
fn filler() -> String {
    let record = record(&"x".repeat(600_000), "Filler");
    format!("{record}\n{record}")
}

#[test]
fn gauges_return_to_zero_after_close() {
    let Started {
        mut pipeline,
        metrics,
        ..
    } = start(SETTINGS, |mut feed| {
        while let Some(slot) = feed.reserve() {
            let budget = Arc::clone(slot.stored_budget());
            let Some(permit) = budget.acquire_blocking(slot.job(), 1) else {
                return;
            };
            let object = Object {
                name: "log".to_owned(),
                content: Content::Memory(filler().into_bytes(), permit),
                ack: None,
            };
            slot.submit(vec![object]);
        }
    });
    let Next::Batch(_) = pipeline.next(PATIENCE, |_| {}).expect("no error") else {
        panic!("no batch");
    };
    while metrics.buffered_bytes.value() == 0 {
        thread::yield_now();
    }
    drop(pipeline);
    assert_eq!(metrics.buffered_bytes.value(), 0);
}

#[test]
fn source_that_panics_ends_with_an_error() {
    let Started {
        mut pipeline,
        metrics,
        ..
    } = start(SETTINGS, |_feed| panic!("on purpose"));
    let error = pipeline.next(PATIENCE, |_| {}).expect_err("no silent end");
    assert!(error.to_string().contains("internal error"), "{error}");
    assert_eq!(metrics.errors_internal.value(), 1);
}

#[test]
fn dropped_slot_is_reported() {
    let Started {
        mut pipeline,
        metrics,
        log,
    } = start(SETTINGS, |mut feed| {
        drop(feed.reserve());
        feed.reserve().expect("open").skip();
        feed.finish();
    });
    let next = pipeline.next(PATIENCE, |_| {}).expect("no error");
    assert!(matches!(next, Next::End));
    assert_eq!(metrics.errors_internal.value(), 1);
    assert_eq!(log.take().len(), 1);
}

#[test]
fn unordered_failure_ends_the_source_at_once() {
    let Started { mut pipeline, .. } = start(SETTINGS, |feed| {
        let unordered = feed.unordered().expect("open");
        unordered.fail(Error::new(ErrorKind::Read, "fails"));
        while !feed.closed() {
            thread::sleep(Duration::from_millis(1));
        }
        drop(unordered);
    });
    let error = loop {
        match pipeline.next(Duration::from_millis(100), |_| {}) {
            Err(error) => break error,
            Ok(Next::Timeout) => {}
            Ok(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(error.to_string(), "fails");
}
