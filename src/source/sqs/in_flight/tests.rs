//! What becomes of messages in flight as time passes and requests are answered.

use super::entry::{LONGEST_VISIBILITY, MARGIN};
use super::*;

const VISIBILITY: Duration = Duration::from_secs(120);

fn in_flight(max_parked: usize) -> InFlight {
    InFlight::new(VISIBILITY, max_parked, Arc::default())
}

fn received(id: &str, receipt: &str) -> Received {
    Received {
        id: id.to_owned(),
        receipt: receipt.to_owned(),
        body: String::new(),
        receives: 1,
        first_received: None,
        deleted: id == "deleted",
        permit: None,
        waiting: None,
    }
}

fn add(in_flight: &InFlight, id: &str) -> u64 {
    match in_flight.add(&mut received(id, "first receipt"), true) {
        Added::New(number) => number,
        other => panic!("{other:?}"),
    }
}

fn age(in_flight: &InFlight, number: u64, age: Duration) {
    let mut table = in_flight.table();
    let entry = table.entries.get_mut(&number).expect("in flight");
    entry.received -= age;
    entry.renewed -= age;
    entry.visible_at -= age;
}

#[test]
fn visibility_is_extended_at_half_of_its_time_by_one_request() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    assert!(in_flight.due(true).extensions.is_empty());
    age(&in_flight, number, VISIBILITY / 2);
    let due = in_flight.due(true).extensions;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].timeout, VISIBILITY);
    assert!(
        in_flight.due(true).extensions.is_empty(),
        "one is under way"
    );
    in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Failed);
    assert_eq!(in_flight.due(true).extensions.len(), 1, "it is tried again");
}

#[test]
fn deleted_messages_are_not_extended_and_never_lapse() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "deleted");
    age(&in_flight, number, 2 * VISIBILITY);
    let due = in_flight.due(true);
    assert!(
        due.extensions.is_empty() && due.lapsed.is_empty(),
        "{due:?}"
    );
    assert!(in_flight.drain(true).is_empty());
}

#[test]
fn expired_visibility_is_reported_once() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY);
    assert_eq!(in_flight.due(true).lapsed, ["a"]);
    assert!(in_flight.due(true).lapsed.is_empty());
    assert!(
        in_flight.remove(number).is_some(),
        "it is still settled here"
    );
}

#[test]
fn extension_of_a_settled_message_has_no_effect() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY / 2);
    let due = in_flight.due(true).extensions;
    in_flight.remove(number);
    let effect = in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::NotInFlight);
    assert!(matches!(effect, ExtensionEffect::None), "{effect:?}");
}

#[test]
fn message_is_returned_only_after_an_extension_under_way() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY / 2);
    let due = in_flight.due(true).extensions;
    let pause = Duration::from_secs(5);
    assert!(in_flight.remove_to_return(number, pause).is_none());
    let effect = in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Extended);
    assert!(matches!(effect, ExtensionEffect::Return(_, after) if after == pause));
    assert!(in_flight.drain(true).is_empty());
}

#[test]
fn message_that_is_received_again_before_its_return_is_returned() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY / 2);
    let due = in_flight.due(true).extensions;
    let pause = Duration::from_secs(5);
    assert!(in_flight.remove_to_return(number, pause).is_none());
    in_flight.add(&mut received("a", "second receipt"), true);
    let effect = in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::NotInFlight);
    assert!(
        matches!(&effect, ExtensionEffect::Return(entry, _) if entry.receipt == "second receipt"),
        "{effect:?}"
    );
}

#[test]
fn visibility_never_reaches_beyond_twelve_hours() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY / 2);
    in_flight
        .table()
        .entries
        .get_mut(&number)
        .expect("in flight")
        .received -= LONGEST_VISIBILITY - MARGIN - VISIBILITY - Duration::from_secs(10);
    let due = in_flight.due(true).extensions;
    assert!(due[0].timeout < VISIBILITY, "{due:?}");
    in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::Failed);
    in_flight
        .table()
        .entries
        .get_mut(&number)
        .expect("in flight")
        .received -= VISIBILITY;
    assert!(in_flight.due(true).extensions.is_empty());
    assert_eq!(in_flight.with(number, |entry| entry.evicted), Some(true));
}

#[test]
fn oldest_parked_message_is_evicted_when_the_table_is_full() {
    let in_flight = in_flight(2);
    let numbers: Vec<u64> = ["a", "b", "c"].map(|id| add(&in_flight, id)).into();
    for number in &numbers {
        in_flight.park(*number);
    }
    let evicted = |number| in_flight.with(number, |entry| entry.evicted);
    assert_eq!(
        numbers.iter().map(|n| evicted(*n)).collect::<Vec<_>>(),
        [Some(true), Some(false), Some(false)]
    );
    assert_eq!(in_flight.metrics.messages_parked.value(), 2);
}

#[tokio::test]
async fn message_that_is_evicted_before_its_task_is_known_ends_that_task() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    in_flight.give_up(number);
    let task = tokio::spawn(std::future::pending::<()>());
    in_flight.set_task(number, task.abort_handle());
    assert!(task.await.expect_err("an aborted task").is_cancelled());
}

#[test]
fn gauges_return_to_zero_when_all_messages_are_taken_out() {
    let in_flight = in_flight(10);
    for id in ["a", "b", "deleted"] {
        in_flight.park(add(&in_flight, id));
    }
    in_flight.processed(add(&in_flight, "left"));
    assert_eq!(in_flight.drain(true).len(), 3);
    assert_eq!(in_flight.metrics.messages_in_flight.value(), 0);
    assert_eq!(in_flight.metrics.messages_parked.value(), 0);
}

#[test]
fn messages_that_are_not_to_be_deleted_are_forgotten_when_visible_again() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    in_flight.processed(number);
    age(&in_flight, number, VISIBILITY / 2);
    assert!(in_flight.due(false).extensions.is_empty());
    age(&in_flight, number, VISIBILITY);
    assert!(in_flight.due(false).lapsed.is_empty());
    assert!(in_flight.drain(true).is_empty());
}

#[test]
fn processed_message_is_extended_until_it_is_deleted() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    in_flight.processed(number);
    age(&in_flight, number, VISIBILITY / 2);
    assert_eq!(in_flight.due(true).extensions.len(), 1);
    assert!(in_flight.drain(false).is_empty(), "it is not returned");
}

#[test]
fn message_that_is_received_again_is_not_processed_twice() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    age(&in_flight, number, VISIBILITY / 2);
    let due = in_flight.due(true).extensions;
    let again = in_flight.add(&mut received("a", "second receipt"), true);
    assert_eq!(again, Added::InWork { lapsed: true });
    let receipt = Receipt {
        id: "a".to_owned(),
        handle: "second receipt".to_owned(),
    };
    assert_eq!(in_flight.receipts(&[number]), [(number, receipt)]);
    in_flight.extended(&due[0], Instant::now(), ExtensionOutcome::NotInFlight);
    assert!(
        !in_flight.drain(false).is_empty(),
        "the old receipt does not matter"
    );
    let number = add(&in_flight, "a");
    in_flight.processed(number);
    let again = in_flight.add(&mut received("a", "third receipt"), true);
    assert_eq!(again, Added::Processed(number));
    let again = in_flight.add(&mut received("a", "fourth receipt"), false);
    assert!(matches!(again, Added::New(_)), "it is not to be deleted");
}

#[test]
fn deletion_by_an_old_receipt_handle_does_not_count() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    in_flight.processed(number);
    let again = in_flight.add(&mut received("a", "second receipt"), true);
    assert_eq!(again, Added::Processed(number));
    in_flight.deleted(number, "first receipt");
    assert_eq!(in_flight.count_processed(), 1);
    in_flight.deleted(number, "second receipt");
    assert_eq!(in_flight.count_processed(), 0);
}

#[test]
fn refused_deletion_is_tried_again_while_the_message_is_hidden() {
    let in_flight = in_flight(10);
    let number = add(&in_flight, "a");
    in_flight.processed(number);
    assert_eq!(in_flight.deletion_failed(number, true), Some(1));
    assert_eq!(in_flight.deletion_failed(number, true), Some(2));
    age(&in_flight, number, VISIBILITY);
    assert!(in_flight.due(true).extensions.is_empty());
    assert_eq!(in_flight.deletion_failed(number, true), None);
    assert_eq!(in_flight.deletion_failed(number, false), Some(4));
    in_flight.deleted(number, "first receipt");
    assert_eq!(in_flight.deletion_failed(number, false), None);
}

#[test]
fn large_messages_are_parked_in_small_numbers() {
    let in_flight = in_flight(1000);
    for id in ["a", "b", "c"] {
        let number = add(&in_flight, id);
        in_flight.expanded(number, weight(300 << 10, 5000), None);
        in_flight.park(number);
    }
    assert_eq!(in_flight.metrics.messages_parked.value(), 1);
    assert_eq!(weight(1500, 1), 1, "a normal message");
}
