//! Values and arguments that stay cached from call to call.

use super::argument::CACHED;
use super::*;

const EVENT: &[u8] = br#"{"eventID":"1","a":"one","b":"two"}"#;

/// An extractor with one detached event.
fn extractor() -> (Extractor, usize) {
    let value = FIELDS.iter().position(|field| field.name == "ct.value");
    let mut extractor = Extractor::default();
    extractor.select_detached(EVENT);
    (extractor, value.expect("a field"))
}

/// Extracts `ct.value` with this key in a call of its own; returns the address of the result.
fn extract_key(
    extractor: &mut Extractor,
    field: usize,
    key: &str,
) -> Option<*const ExtractedField> {
    extractor.start_call();
    let extracted = extractor.extract(field, Argument::Key(key), false)?;
    Some(std::ptr::from_ref(extracted))
}

#[test]
fn argument_in_constant_use_is_not_evicted() {
    let (mut extractor, field) = extractor();
    let hot = extract_key(&mut extractor, field, "/a").expect("an argument of this field");
    for number in 0..10_000 {
        extract_key(&mut extractor, field, &format!("/cold/{number}"));
        assert_eq!(
            extract_key(&mut extractor, field, "/a"),
            Some(hot),
            "{number}"
        );
    }
    assert_eq!(extractor.with_argument.entries().len(), CACHED);
}

#[test]
fn values_of_one_call_stay_until_the_next() {
    let (mut extractor, field) = extractor();
    for round in 0..3 {
        extractor.start_call();
        let results: Vec<*const ExtractedField> = (0..3 * CACHED)
            .map(|number| {
                let key = format!("/{round}/{number}");
                let extracted = extractor.extract(field, Argument::Key(&key), false);
                std::ptr::from_ref(extracted.expect("an argument of this field"))
            })
            .collect();
        for result in results {
            let mut cached = extractor.with_argument.entries();
            assert!(cached.any(|extracted| std::ptr::eq(extracted, result)));
        }
    }
    extractor.start_call();
    assert_eq!(extractor.with_argument.entries().len(), CACHED);
}

#[test]
fn texts_of_evicted_arguments_do_not_accumulate() {
    let (mut extractor, field) = extractor();
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 << 10));
    extractor.select_detached(long.as_bytes());
    for round in 0..200 {
        extractor.start_call();
        extractor.extract(field, Argument::Key("/a"), false);
        // Evicts everything, so that the next round makes the long text again.
        for cold in 0..CACHED {
            extractor.start_call();
            extractor.extract(field, Argument::Key(&format!("/{round}/{cold}")), false);
        }
        assert!(
            extractor.event.arena().used() <= ARENA_BYTES + (128 << 10),
            "{round}"
        );
    }
}

#[test]
fn repeated_summaries_take_no_more_memory() {
    let (mut extractor, field) = extractor();
    extract_key(&mut extractor, field, "/a");
    let used = extractor.event.arena().used();
    for _ in 0..1000 {
        assert!(extractor.summary().is_some());
    }
    assert_eq!(
        extractor.event.arena().used(),
        used,
        "repeated calls take no more memory"
    );
}
