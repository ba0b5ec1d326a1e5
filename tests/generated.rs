//! Generated records with unusual JSON in every container: each must be delivered byte for byte, with the oracle's value
//! of every field. `GENERATED_RECORDS` is the minimum number of records (default 200), `PROPTEST_CASES` the number of
//! files or events in the smaller tests (default 64).
#![forbid(unsafe_code)]

mod generator;
mod oracle;
mod support;

use std::cell::{Cell, RefCell};
use std::env;
use std::thread;

use cloudtrail::host::OwnedEvent;
use generator::{container, record, records};
use oracle::Record;
use proptest::prelude::*;
use support::field_reader::FieldReader;
use support::scratch::Scratch;

/// JSON pointers; their last parts are keys of generated records.
const POINTERS: &[&str] = &[
    "",
    "/userIdentity",
    "/requestParameters/tagSpecificationSet/items/0",
    "/responseElements/instancesSet/items/1/imageId",
    "/resources/0",
    "/a~1b~0c/x",
    "/ключ",
    "/additionalEventData/bytesTransferredIn",
    "/*",
    "/requestParameters/tagSpecificationSet/items/*/tags/*/*",
    "/resources/*/*/*",
];

/// Has a time, so that records without one are delivered too.
const NAME: &str = "111122223333_CloudTrail_us-east-1_20260114T0915Z_generated.json";

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: std::env::var_os("PROPTEST_CASES").map_or(64, |_| default.cases),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..default
    }
}

#[test]
fn files_of_generated_records_are_delivered_with_the_oracles_values() {
    let records = env::var("GENERATED_RECORDS").map_or(200, |text| text.parse().expect("a number"));
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let part = |number| move || compare(number, records / threads + 1);
    let compared: usize = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|number| scope.spawn(part(number)))
            .collect();
        parts
            .into_iter()
            .map(|part| part.join().expect("no difference"))
            .sum()
    });
    assert!(compared >= records, "{compared} records");
    println!("{compared} records compared");
}

/// Compares at least `count` records: live events and detached copies.
fn compare(number: usize, count: usize) -> usize {
    let scratch = Scratch::new(&format!("generated-{number}"));
    let plugin = support::plugin(r#"{"includeInsights":true}"#);
    let reader = RefCell::new(FieldReader::new(&plugin, POINTERS));
    let compared = Cell::new(0);
    while compared.get() < count {
        proptest!(config(), |(records in records(), container in container())| {
            let path = scratch.write(NAME, &container.file(&records));
            let mut expected = records.iter();
            let mut wrong = Vec::new();
            support::each_event(&plugin, &path, |event| {
                let Some(text) = expected.next() else {
                    wrong.push(format!("one event too many: {}", shown(event.payload())));
                    return;
                };
                if event.payload() != text {
                    wrong.push(format!("payload {} instead of {}", shown(event.payload()), shown(text)));
                    return;
                }
                let record = Record::read(text).expect("the generator writes objects");
                if Some(event.ts()) != record.timestamp(NAME) {
                    wrong.push(format!("timestamp {} instead of {:?}", event.ts(), record.timestamp(NAME)));
                }
                let copy = OwnedEvent::new(event.plugin_id(), event.ts(), text);
                for event in [event, copy.as_event()] {
                    wrong.extend(reader.borrow_mut().differences(event, &record));
                }
            });
            wrong.extend(expected.map(|text| format!("not delivered: {}", shown(text))));
            prop_assert!(wrong.is_empty(), "{container:?}\n{}", wrong.join("\n"));
            compared.set(compared.get() + records.len());
        });
    }
    compared.get()
}

#[test]
fn detached_events_of_generated_records_have_the_oracles_values() {
    let plugin = support::plugin("");
    let reader = RefCell::new(FieldReader::new(&plugin, POINTERS));
    proptest!(config(), |(text in record())| {
        let event = OwnedEvent::new(plugin.info().id, 1, &text);
        let record = Record::read(&text).expect("the generator writes objects");
        let wrong = reader.borrow_mut().differences(event.as_event(), &record);
        prop_assert!(wrong.is_empty(), "{}\n{}", shown(&text), wrong.join("\n"));
    });
}

#[test]
fn generated_files_are_delivered_in_path_order() {
    let plugin = support::plugin(r#"{"includeInsights":true,"decodeThreads":4}"#);
    let files = prop::collection::vec((records(), container()), 1..8);
    let config = ProptestConfig {
        cases: config().cases / 4,
        ..config()
    };
    proptest!(config, |(files in files)| {
        let scratch = Scratch::new("generated-tree");
        for (number, (records, container)) in files.iter().enumerate() {
            scratch.write(&format!("{}/{number}_{NAME}", number % 3), &container.file(records));
        }
        let expected = (0..3).flat_map(|folder| files.iter().skip(folder).step_by(3));
        let expected: Vec<&Vec<u8>> = expected.flat_map(|(records, _)| records).collect();
        let given = support::payloads(&plugin, scratch.path());
        let given: Vec<_> = given.iter().map(|text| shown(text)).collect();
        let expected: Vec<_> = expected.iter().map(|text| shown(text)).collect();
        prop_assert_eq!(given, expected);
    });
}

/// Verifies the oracle: where `serde_json` accepts a record, both must read the same.
#[test]
fn oracle_reads_strict_json_as_serde_json_does() {
    proptest!(config(), |(text in record())| {
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&text) else {
            return Ok(());
        };
        let record = Record::read(&text).expect("the generator writes objects");
        for key in ["eventName", "userAgent", "errorMessage"] {
            // With repeated keys, serde_json returns the last one.
            let quoted = format!("\"{key}\"");
            let once = text.windows(quoted.len()).filter(|at| *at == quoted.as_bytes()).count() == 1
                && !text.windows(5).any(|at| at == b"\\u006" || at == b"\\u004" || at == b"\\u007");
            if let (true, Some(string)) = (once, json[key].as_str()) {
                let pointer = format!("/{key}");
                let given = record.value("ct.value", Some(&pointer));
                let expected = string.split('\0').next().unwrap_or("").to_owned();
                prop_assert_eq!(given, Some(oracle::Expected::Text(expected)));
            }
        }
    });
}

/// Bytes, escaped for a failure message.
fn shown(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

/// Otherwise the tests above would verify nothing.
#[test]
fn generator_reaches_every_field() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut missing: Vec<&str> = oracle::fields()
        .filter(|field| !oracle::needs_pointer(field))
        .collect();
    let mut tries = 0;
    while !missing.is_empty() && tries < 20_000 {
        let text = record().new_tree(&mut runner).expect("a record").current();
        let record = Record::read(&text).expect("the generator writes objects");
        missing.retain(|field| record.value(field, None).is_none());
        tries += 1;
    }
    assert!(missing.is_empty(), "never generated: {missing:?}");
}
