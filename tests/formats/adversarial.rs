//! CloudWatch Logs envelopes that are made to confuse a reader: each record is delivered byte for byte, with the oracle's
//! value of every field, and damage costs only itself.
//!
//! `PROPTEST_CASES` sets the number of generated files, with new ones in each run; by default there are 300, always the
//! same.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::env;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::envelope_file::{LogEvent, envelope_file};
use crate::oracle::Record;
use crate::support::field_reader::FieldReader;
use crate::support::scratch::{Scratch, gzip};
use crate::{assert_undamaged, delivered, envelope, log_events, metric, records, support};

const POINTERS: &[&str] = &["", "/requestParameters", "/userAgent", "/resources/*/*"];

fn config() -> ProptestConfig {
    let is_set = env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if is_set { default.cases } else { 300 },
        rng_seed: if is_set {
            RngSeed::Random
        } else {
            RngSeed::Fixed(12)
        },
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..default
    }
}

/// Where a message is strict JSON, `serde_json` must read the same.
fn check_generator(event: &LogEvent) {
    if let Ok(text) = serde_json::from_slice::<String>(&event.message()) {
        assert_eq!(text.as_bytes().trim_ascii(), event.record, "the generator");
    }
}

#[test]
fn generated_envelopes_are_delivered_byte_for_byte_with_the_oracles_values() {
    let scratch = Scratch::new("formats-generated");
    let plugin = support::plugin(r#"{"includeInsights":true}"#);
    let reader = RefCell::new(FieldReader::new(&plugin, POINTERS));
    proptest!(config(), |(file in envelope_file())| {
        let path = scratch.write("log.json", &file.content());
        let mut expected = file.events();
        let mut wrong = Vec::new();
        support::each_event(&plugin, &path, |event| {
            let Some(log_event) = expected.next() else {
                wrong.push(format!("one event too many: {}", event.payload().escape_ascii()));
                return;
            };
            check_generator(log_event);
            let text = &log_event.record;
            if event.payload() != text {
                wrong.push(format!("{} instead of {}", event.payload().escape_ascii(), text.escape_ascii()));
                return;
            }
            let record = Record::read(text).expect("the generator writes objects");
            let time = record.timestamp("log.json").unwrap_or(log_event.timestamp * 1_000_000);
            if event.ts() != time {
                wrong.push(format!("time {} instead of {time}", event.ts()));
            }
            wrong.extend(reader.borrow_mut().differences(event, &record));
        });
        wrong.extend(expected.map(|event| format!("not delivered: {}", event.record.escape_ascii())));
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
    drop(reader);
    assert_undamaged(&plugin);
    assert_eq!(metric(&plugin, "skipped.not_a_log"), "0");
}

/// The messages of an envelope as `serde_json` reads them.
fn unescaped_by_serde(envelope: &str) -> Vec<String> {
    let envelope: Value = serde_json::from_str(envelope).expect("JSON");
    let events = envelope["logEvents"].as_array().expect("log events");
    let message = |event: &Value| event["message"].as_str().expect("a message").to_owned();
    events.iter().map(message).collect()
}

/// A record with this value as a request parameter.
fn record_with(number: usize, value: &Value) -> String {
    json!({"eventVersion": "1.11", "eventTime": "2026-01-14T09:00:00Z", "eventID": number.to_string(),
        "requestParameters": {"policyDocument": value}})
    .to_string()
}

/// A text that is JSON in JSON in JSON …
fn nested(text: &str, depth: usize) -> Value {
    (0..depth).fold(Value::from(text), |value, _| Value::from(value.to_string()))
}

fn assert_delivered(name: &str, content: &[u8], expected: &[String]) {
    let plugin = support::plugin("");
    let delivered = delivered(&plugin, name, content);
    assert_eq!(delivered.len(), expected.len(), "{name}");
    let different = delivered.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(
        different, None,
        "{name}: place of the first record that differs"
    );
    assert_undamaged(&plugin);
}

#[test]
fn messages_of_a_megabyte_are_delivered() {
    const BYTES: usize = 1 << 20;
    let text = |unit: &str| unit.repeat(BYTES / unit.len());
    let list: Vec<Value> = (0..BYTES / 8).map(|n| json!([n % 7, {}])).collect();
    let values = [
        Value::from(text("x")),
        Value::from(text("\"")),
        Value::from(text("\\")),
        Value::from(text("\u{1f600}é\u{1}")),
        Value::from(text("},{\"eventVersion\":\"1.08\"]}\n")),
        nested("\\\"\u{1f600}\n", 16),
        Value::from(list),
    ];
    let records: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(number, value)| record_with(number, value))
        .collect();
    assert!(records.iter().all(|record| record.len() > 500_000));
    let envelope = envelope(&records);
    assert_eq!(unescaped_by_serde(&envelope), records);
    assert_delivered("formats-megabyte", envelope.as_bytes(), &records);
    assert_delivered(
        "formats-megabyte-gzip",
        &gzip(envelope.as_bytes()),
        &records,
    );
}

#[test]
fn escapes_in_escapes_are_undone_once() {
    let envelope_inside = envelope(&records(3));
    let texts = [
        r"\u0022",
        r#"","message":"{}"#,
        "\\\"\\\\\"",
        "\\ud83d\\ude00 \\ud800 \\udc00\\ud83d",
        "\u{0}\u{1f}\u{7f}\u{80}\u{2028}",
        &envelope_inside,
    ];
    let records: Vec<String> = texts
        .iter()
        .flat_map(|text| (0..6).map(|depth| nested(text, depth)))
        .enumerate()
        .map(|(number, value)| record_with(number, &value))
        .collect();
    let strict = envelope(&records);
    assert_eq!(unescaped_by_serde(&strict), records);
    assert_delivered("formats-nested", strict.as_bytes(), &records);
    let by_units = records.iter().map(|record| {
        let units = record.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
        format!(r#"{{"message":"{}"}}"#, units.collect::<String>())
    });
    let by_units: Vec<String> = by_units.collect();
    let content = format!(
        r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#,
        by_units.join(",")
    );
    assert_eq!(unescaped_by_serde(&content), records);
    assert_delivered("formats-units", content.as_bytes(), &records);
}

/// JSON libraries refuse an envelope with one, and the envelope's other records with it.
#[test]
fn lone_surrogate_of_an_envelope_is_a_replacement_character() {
    let record = |agent: &str| {
        format!(
            r#"{{\"eventVersion\":\"1.08\",\"eventTime\":\"2026-01-14T09:00:00Z\",\"userAgent\":\"{agent}\"}}"#
        )
    };
    for (escaped, text) in [
        (r"\ud800", "\u{fffd}"),
        (r"\udc00\ud800x", "\u{fffd}\u{fffd}x"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud800\\n", "\u{fffd}\\n"),
    ] {
        let (first, last) = (record(escaped), record("last"));
        let content = format!(
            r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":"{first}"}},{{"message":"{last}"}}]}}"#
        );
        let plain = |agent: &str| record(agent).replace("\\\"", "\"");
        let plugin = support::plugin("");
        let given = delivered(&plugin, "formats-surrogate", content.as_bytes());
        assert_eq!(given, [plain(text), plain("last")], "{escaped}");
    }
}

#[test]
fn thousands_of_log_events_in_one_object_are_delivered() {
    let records = records(12_000);
    let parts: Vec<String> = records.chunks(5000).map(envelope).collect();
    let members: Vec<u8> = parts
        .iter()
        .flat_map(|part| gzip(part.as_bytes()))
        .collect();
    for (name, content) in [
        ("formats-thousands", envelope(&records).into_bytes()),
        ("formats-thousands-members", members.clone()),
        ("formats-thousands-twice", gzip(&members)),
    ] {
        assert_delivered(name, &content, &records);
    }
}

/// The end of each log event in an envelope, as an offset.
fn ends_of_events(records: &[String]) -> Vec<usize> {
    let whole = envelope(records);
    let start = whole.find(r#""logEvents":["#).expect("the list") + r#""logEvents":["#.len();
    let ends = (1..=records.len()).map(|count| {
        // Without the brackets.
        start + log_events(&records[..count]).to_string().len() - 2
    });
    ends.collect()
}

#[test]
fn truncated_envelope_delivers_each_log_event_before_the_cut() {
    let records = records(30);
    let text = envelope(&records);
    let ends = ends_of_events(&records);
    for cut in (0..text.len()).step_by(7) {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let plugin = support::plugin("");
        let given = delivered(&plugin, "formats-truncated", &gzip(&text.as_bytes()[..cut]));
        assert_eq!(given, records[..whole], "cut at {cut}");
    }
}

#[test]
fn truncated_gzip_delivers_records_before_the_cut_and_counts_one_error() {
    let records = records(2000);
    let parts: Vec<Vec<u8>> = records
        .chunks(500)
        .map(|part| gzip(envelope(part).as_bytes()))
        .collect();
    let members = parts.concat();
    for (name, content) in [
        ("formats-cut-members", members.clone()),
        ("formats-cut-twice", gzip(&members)),
    ] {
        let mut most = 0;
        for cut in (30..content.len()).step_by(content.len() / 40) {
            let plugin = support::plugin("");
            let given = delivered(&plugin, name, &content[..cut]);
            assert_eq!(given, records[..given.len()], "{name} cut at {cut}");
            assert!(given.len() >= most, "{name} cut at {cut}");
            most = given.len();
            let is_boundary = name == "formats-cut-members"
                && (1..4).any(|count| parts[..count].concat().len() == cut);
            assert_eq!(
                metric(&plugin, "errors.gzip"),
                if is_boundary { "0" } else { "1" }
            );
        }
        assert!(most > 1000, "{name}: {most}");
    }
}

/// Each kind of damage to one log event, at the start, in the middle and at the end of an envelope.
#[test]
fn damaged_log_event_costs_only_itself() {
    let records = records(9);
    let ordinary = |number: usize| log_events(&records[number..=number])[0].to_string();
    let damaged = [
        r#"{"id":"x","timestamp":1,"message":"{\"eventVersion\":\"1.08\",\"a\":{}"}"#,
        r#"{"id":"x","timestamp":1,"message":"{\"eventVersion\":\"1.08\",\"a\":\"}"}"#,
        r#"{"id":"x","timestamp":1,"message":"{\"eventVersion\":\"1.08\"}"#,
        r#"{"id":"x","timestamp":1,"message":"{\"eventVersion\":\"1.08\"}}"#,
        r#"{"id":"x","timestamp":1,"message":{\"eventVersion\":\"1.08\"}"}"#,
        r#"{"id":"x,"timestamp":1,"message":"{\"eventVersion\":\"1.08\"}"}"#,
        r#""id":"x","timestamp":1,"message":"{\"eventVersion\":\"1.08\"}"}"#,
        r#"{"id":"x","timestamp":1,"message":"{"eventVersion":"1.08"}"}"#,
        r#"{"id":"x","timestamp":1,"message":null}"#,
        r#"{"id":"x","timestamp":1,"message":7}"#,
        r#"{"id":"x","timestamp":1,"message":""}"#,
        r#"{"id":"x","timestamp":1,"message":"{"}"#,
        r#"{"id":"x","timestamp":1,"message":"}"}"#,
        r#"{"id":"x","timestamp":1,"message":"\"{\\\"eventVersion\\\":\\\"1.08\\\"}\""}"#,
        r#"{"id":"x","timestamp":1,"message":"GET / 200"}"#,
        r#"{"id":"x","timestamp":1,"message":"{not a record}"}"#,
        r#"{"id":"x","timestamp":1,"message":"[{}]"}"#,
        r#"{"id":"x""#,
        r#"{{{{"#,
        r#"]"#,
        r#"}}}"#,
        r#"""#,
        r#"null"#,
        r#"7"#,
        r#"\"#,
        "\u{0}\u{0}\u{0}",
        r#"{}"#,
        r#"[[[]]]"#,
    ];
    for damage in damaged {
        for place in [0, 4, 8] {
            let mut events: Vec<String> = (0..9).map(ordinary).collect();
            events.insert(place, damage.to_owned());
            let content = format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"111122223333","logEvents":[{}]}}"#,
                events.join(",")
            );
            let plugin = support::plugin("");
            let given = delivered(&plugin, "formats-damage", content.as_bytes());
            let mut sound = given.clone();
            sound.retain(|record| records.contains(record));
            assert_eq!(sound, records, "{damage} at {place}");
            assert!(
                given.len() <= records.len() + 1,
                "{damage} at {place}: {given:#?}"
            );
        }
    }
}

/// A file that is read in windows, with each place of an envelope at the boundary of two.
#[test]
fn envelope_at_the_boundary_of_two_windows_is_read() {
    const WINDOW: usize = 1 << 20;
    let scratch = Scratch::new("formats-boundary");
    let records = records(4);
    let text = envelope(&records).repeat(2);
    let plugin = support::plugin("");
    for before in (1..text.len()).step_by(11) {
        let space = vec![b' '; WINDOW - before];
        // Several members are read in windows.
        let content = [gzip(&space), gzip(text.as_bytes())].concat();
        let path = scratch.write("log.json.gz", &content);
        let given = support::payloads(&plugin, &path);
        let expected = records.iter().chain(&records).map(String::as_bytes);
        assert!(
            given.iter().eq(expected),
            "{before} bytes before the boundary"
        );
    }
    assert_undamaged(&plugin);
}

/// One byte is replaced or inserted, at every seventh place of a container from `first` on.
fn assert_damaged_byte_costs_one_record(
    name: &str,
    text: &str,
    records: &[String],
    starts: &[usize],
    first: usize,
) {
    let text = text.as_bytes();
    let scratch = Scratch::new(name);
    let plugin = support::plugin("");
    let mut wrong = Vec::new();
    for at in (first..text.len()).step_by(7) {
        let hit = starts
            .iter()
            .filter(|start| **start <= at)
            .count()
            .saturating_sub(1);
        for byte in *b"\"\\{}[],:x\0 " {
            let (before, after) = text.split_at(at);
            for (what, content) in [
                ("replaced by", [before, &[byte], &after[1..]].concat()),
                ("preceded by", [before, &[byte], after].concat()),
            ] {
                let path = scratch.write("log.json", &content);
                let given = support::payloads(&plugin, &path);
                let mut others = records
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| *number != hit);
                let is_given =
                    |record: &String| given.iter().any(|given| given == record.as_bytes());
                if !others.all(|(_, record)| is_given(record)) || given.len() > records.len() {
                    let context =
                        content[at.saturating_sub(30)..(at + 20).min(content.len())].escape_ascii();
                    wrong.push(format!(
                        "record {hit}, {what} {:?}: {} given: {context}",
                        byte as char,
                        given.len()
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(200)]
    );
}

#[test]
fn damaged_byte_costs_at_most_its_log_event() {
    let records = records(6);
    let text = envelope(&records);
    let first = text.find("[{").expect("the list") + 1;
    let starts: Vec<usize> = [first]
        .into_iter()
        .chain(ends_of_events(&records))
        .collect();
    assert_damaged_byte_costs_one_record("formats-byte", &text, &records, &starts[..6], 0);
}

#[test]
fn damaged_byte_costs_at_most_its_record() {
    let records = records(6);
    let text = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    // With another key, it is sound JSON that is no log.
    let first = text.find(":[").expect("the list");
    let starts: Vec<usize> = records
        .iter()
        .map(|record| text.find(record.as_str()).expect("it") - 1)
        .collect();
    assert_damaged_byte_costs_one_record("formats-byte-plain", &text, &records, &starts, first);
}
