//! What is kept from call to call.

use super::*;

const EVENT: &[u8] = br#"{"eventID":"1","a":"one","b":"two"}"#;

/// An extractor with one detached event.
fn extractor() -> (Extractor, usize) {
    let value = FIELDS.iter().position(|field| field.name == "ct.value");
    let mut extractor = Extractor::default();
    extractor.select_detached(EVENT);
    (extractor, value.expect("a field"))
}

/// Asks for an argument's value in a call of its own; where the answer is.
fn ask(extractor: &mut Extractor, field: usize, key: &str) -> Option<*const Answer> {
    extractor.start_call();
    let answer = extractor.answer(field, Argument::Key(key), false)?;
    Some(std::ptr::from_ref(answer))
}

#[test]
fn arguments_asked_for_all_the_time_stay_beside_any_number_of_others() {
    let (mut extractor, field) = extractor();
    let hot = ask(&mut extractor, field, "/a").expect("an answer");
    for number in 0..10_000 {
        ask(&mut extractor, field, &format!("/cold/{number}"));
        assert_eq!(ask(&mut extractor, field, "/a"), Some(hot), "{number}");
    }
    assert_eq!(extractor.with_arguments.len(), ARGUMENTS);
}

#[test]
fn one_call_keeps_all_of_its_answers() {
    let (mut extractor, field) = extractor();
    for round in 0..3 {
        extractor.start_call();
        let answers: Vec<*const Answer> = (0..3 * ARGUMENTS)
            .map(|number| {
                let key = format!("/{round}/{number}");
                let answer = extractor.answer(field, Argument::Key(&key), false);
                std::ptr::from_ref(answer.expect("an answer"))
            })
            .collect();
        for answer in answers {
            let kept = extractor.with_arguments.iter();
            assert!(
                kept.into_iter()
                    .any(|entry| std::ptr::eq(&entry.answer, answer))
            );
        }
    }
    extractor.start_call();
    assert_eq!(extractor.with_arguments.len(), ARGUMENTS);
}

#[test]
fn replaced_answers_of_one_event_do_not_pile_up() {
    let (mut extractor, field) = extractor();
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 << 10));
    extractor.select_detached(long.as_bytes());
    for round in 0..200 {
        extractor.start_call();
        extractor.answer(field, Argument::Key("/a"), false);
        // Everything is replaced, so that the long text is made again.
        for cold in 0..ARGUMENTS {
            extractor.start_call();
            extractor.answer(field, Argument::Key(&format!("/{round}/{cold}")), false);
        }
        assert!(extractor.arena.used <= ARENA_BYTES + (128 << 10), "{round}");
    }
}

#[test]
fn summaries_have_a_text_of_their_own() {
    let (mut extractor, field) = extractor();
    ask(&mut extractor, field, "/a");
    let used = extractor.arena.used;
    for _ in 0..1000 {
        assert!(extractor.summary().is_some());
    }
    assert_eq!(
        extractor.arena.used, used,
        "repeated calls take no more memory"
    );
}
