//! Events and precomputed values, also after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::hot_fields::HotFields;
use super::*;
use crate::json::{Scan, Scanner};

/// A record with this text makes [`Names`] panic at its third field.
pub(crate) const FAILS: &str = "fails on purpose";

/// Precomputes the event's id as field 0 and its name as fields 1 and 2.
#[derive(Debug)]
pub(crate) struct Names;

impl Precompute for Names {
    fn hot_fields(&self) -> Arc<HotFields> {
        Arc::new([0, 1, 2].into_iter().collect())
    }

    fn compute(&self, record: Record<'_>, _keys: &mut KeyTable, row: Row<'_>) {
        let fails = memchr::memmem::find(record.tape.text(), FAILS.as_bytes()).is_some();
        row.fill(|field, values| {
            assert!(!(field == 2 && fails), "{FAILS}");
            let key = [KnownKey::EventId, KnownKey::EventName][field.min(1)];
            let value = record.index.value(key);
            match value.and_then(|value| record.tape.string(value)) {
                Some(text) => {
                    values.extend_from_slice(text);
                    Appended::Text
                }
                None => Appended::Nothing,
            }
        });
    }
}

/// The precomputed text of a field, read without following the pointer.
pub(crate) fn precomputed_text(batch: &Batch, number: usize, field: usize) -> Option<String> {
    let PrecomputedValue::Text(text) = batch.precomputed(number, field) else {
        return None;
    };
    let values = batch.precomputed_bytes();
    let start = text as usize - values.as_ptr() as usize;
    let text = values[start..].split(|&byte| byte == 0).next();
    Some(String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
}

fn new_batch() -> Batch {
    let mut batch = Batch::default();
    let names: Arc<dyn Precompute> = Arc::new(Names);
    batch.precompute_with(&names);
    batch
}

fn push(batch: &mut Batch, text: &str) -> RecordOutcome {
    let Scan::Whole { tape, .. } = Scanner::default().scan(text.as_bytes(), batch.tapes()) else {
        panic!("not whole: {text}");
    };
    let policy = EventPolicy {
        insights: false,
        file_time: Some(0),
    };
    batch.push(text.as_bytes(), tape, policy)
}

#[test]
fn event_after_a_panic_has_its_own_values() {
    let record = |id: &str, name: &str| format!(r#"{{"eventID":"{id}","eventName":"{name}"}}"#);
    let mut batch = new_batch();
    push(&mut batch, &record("1", "One"));
    let (bytes, tapes) = (batch.event_bytes(), batch.tapes().used_bytes());
    let failing = AssertUnwindSafe(|| push(&mut batch, &record("2", FAILS)));
    assert!(catch_unwind(failing).is_err());
    batch.drop_incomplete();
    assert_eq!(batch.len(), 1);
    assert_eq!(
        (batch.event_bytes(), batch.tapes().used_bytes()),
        (bytes, tapes)
    );
    push(&mut batch, &record("3", "Three"));
    for (number, id, name) in [(0, "1", "One"), (1, "3", "Three")] {
        assert_eq!(precomputed_text(&batch, number, 0).as_deref(), Some(id));
        assert_eq!(precomputed_text(&batch, number, 1).as_deref(), Some(name));
    }
}

#[test]
fn values_of_a_huge_record_are_not_precomputed() {
    let mut batch = new_batch();
    let long = "x".repeat(64 << 10);
    push(&mut batch, &format!(r#"{{"eventName":"{long}"}}"#));
    push(&mut batch, r#"{"eventName":"Next"}"#);
    for field in 0..3 {
        let value = batch.precomputed(0, field);
        assert!(matches!(value, PrecomputedValue::NotComputed));
    }
    assert_eq!(precomputed_text(&batch, 1, 1).as_deref(), Some("Next"));
    assert!(matches!(batch.precomputed(1, 0), PrecomputedValue::None));
}

#[test]
fn computer_that_adds_no_row_does_not_shift_the_others() {
    #[derive(Debug)]
    struct Lazy;
    impl Precompute for Lazy {
        fn hot_fields(&self) -> Arc<HotFields> {
            Names.hot_fields()
        }

        fn compute(&self, record: Record<'_>, keys: &mut KeyTable, row: Row<'_>) {
            if record.index.value(KnownKey::EventId).is_some() {
                Names.compute(record, keys, row);
            }
        }
    }
    let mut batch = Batch::default();
    let lazy: Arc<dyn Precompute> = Arc::new(Lazy);
    batch.precompute_with(&lazy);
    push(&mut batch, r#"{"eventName":"One"}"#);
    push(&mut batch, r#"{"eventID":"2"}"#);
    assert!(matches!(
        batch.precomputed(0, 1),
        PrecomputedValue::NotComputed
    ));
    assert_eq!(precomputed_text(&batch, 1, 0).as_deref(), Some("2"));
}

#[test]
fn values_of_many_times_the_record_are_not_precomputed() {
    /// Computes 100 KiB for each of ten fields.
    #[derive(Debug)]
    struct Long;
    impl Precompute for Long {
        fn hot_fields(&self) -> Arc<HotFields> {
            Arc::new((0..10).collect())
        }

        fn compute(&self, _: Record<'_>, _: &mut KeyTable, row: Row<'_>) {
            row.fill(|_, values| {
                values.resize(values.len() + (100 << 10), b'x');
                Appended::Text
            });
        }
    }
    let mut batch = Batch::default();
    let long: Arc<dyn Precompute> = Arc::new(Long);
    batch.precompute_with(&long);
    push(&mut batch, "{}");
    push(&mut batch, "{}");
    for number in 0..2 {
        let computed = (0..10).map(|field| precomputed_text(&batch, number, field).is_some());
        let expected = (0..10).map(|field| field < 3);
        assert!(computed.eq(expected), "event {number}");
    }
}
