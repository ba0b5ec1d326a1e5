//! Damaged and hostile files: the sound records around the damage are delivered, and the source does not fail.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use cloudtrail::host::{OwnedValue as Value, Plugin};
use oracle::Record;
use serde::Deserialize;
use support::field_reader::FieldReader;
use support::scratch::{Scratch, gzip, plain_log};

/// A file's entry in `testdata/expected/malformed.json`.
#[derive(Deserialize)]
struct Damaged {
    what: String,
    delivered: Vec<String>,
}

#[test]
fn damaged_files_deliver_the_sound_records_around_the_damage() {
    let plugin = support::plugin("");
    let mut wrong = Vec::new();
    let mut expected_of_all = Vec::new();
    for (name, Damaged { what, delivered }) in damaged() {
        let given = ids(&plugin, &support::testdata(&format!("malformed/{name}")));
        if given != delivered {
            wrong.push(format!(
                "{name} ({what}): {given:?} instead of {delivered:?}"
            ));
        }
        expected_of_all.extend(delivered);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        ids(&plugin, &support::testdata("malformed")),
        expected_of_all,
        "all of them as one folder"
    );
}

#[test]
fn records_of_damaged_files_have_the_oracles_values() {
    let plugin = support::plugin("");
    let pointers = [
        "",
        "/userAgent",
        "/requestParameters/name",
        "/additionalEventData",
    ];
    let mut reader = FieldReader::new(&plugin, &pointers);
    let mut wrong = Vec::new();
    let count = support::each_event(&plugin, &support::testdata("malformed"), |event| {
        let record = Record::read(event.payload()).expect("a record");
        wrong.extend(reader.differences(event, &record));
    });
    assert_eq!(
        count,
        damaged()
            .values()
            .map(|it| it.delivered.len())
            .sum::<usize>()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_damaged_file_has_an_expectation() {
    let described: Vec<String> = damaged().into_keys().collect();
    let files = support::files_below(&support::testdata("malformed"));
    let names = files
        .iter()
        .map(|path| path.file_name().and_then(|it| it.to_str()).expect("UTF-8"));
    assert_eq!(names.collect::<Vec<_>>(), described);
}

#[test]
fn record_nested_200_000_deep_is_delivered() {
    let scratch = Scratch::new("nesting");
    let plugin = support::plugin("");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        let deep = format!("{}{inner}{}", open.repeat(200_000), close.repeat(200_000));
        let record = format!(
            r#"{{"eventTime":"2026-01-14T12:00:00Z","requestParameters":{deep},"eventID":"deep"}}"#
        );
        let log = wrap(&[
            &plain_log_record("before"),
            &record,
            &plain_log_record("after"),
        ]);
        let path = scratch.write("deep.json.gz", &gzip(&log));
        let mut requests = [None, None];
        let mut payloads = Vec::new();
        support::each_event(&plugin, &path, |event| {
            payloads.push(event.payload().to_vec());
            if payloads.len() == 2 {
                requests = ["ct.id", "ct.request"].map(|field| value(&plugin, event, field));
            }
        });
        assert_eq!(payloads.len(), 3);
        assert!(
            payloads[1] == record.as_bytes(),
            "the deep record's bytes differ"
        );
        assert_eq!(requests[0], Some(Value::from("deep")));
        assert!(
            requests[1] == Some(Value::from(deep.as_str())),
            "ct.request differs"
        );
    }
}

#[test]
fn unclosed_nesting_loses_its_own_record_only() {
    let scratch = Scratch::new("endless-nesting");
    let plugin = support::plugin("");
    let endless = format!("{{\"eventID\":\"bad\",\"a\":{}", "[".repeat(200_000));
    let log = wrap(&[&plain_log_record("before"), &endless]);
    assert_eq!(
        ids(&plugin, &scratch.write("endless.json", &log)),
        ["before"]
    );
}

#[test]
fn record_of_20_mib_is_delivered_between_small_ones() {
    let scratch = Scratch::new("large");
    let plugin = support::plugin("");
    let agent = "Mozilla/5.0 \\\"x\\\" é ".repeat(1 << 20);
    let large = plain_log_record("large").replacen(
        "\"eventID\"",
        &format!("\"userAgent\":\"{agent}\",\"eventID\""),
        1,
    );
    assert!(large.len() > 20 << 20);
    let log = wrap(&[
        &plain_log_record("before"),
        &large,
        &plain_log_record("after"),
    ]);
    let path = scratch.write("large.json.gz", &gzip(&log));
    let mut seen = Vec::new();
    support::each_event(&plugin, &path, |event| {
        let agent = value(&plugin, event, "ct.useragent");
        seen.push((event.payload().len(), agent));
    });
    let lengths: Vec<usize> = seen.iter().map(|(length, _)| *length).collect();
    assert_eq!(lengths[1], large.len());
    assert_eq!(lengths.len(), 3);
    let expected = Value::Str(agent.replace('\\', "").into_bytes());
    assert!(seen[1].1 == Some(expected), "the 20 MiB user agent differs");
}

#[test]
fn object_over_max_object_bytes_is_refused_and_the_next_file_read() {
    let scratch = Scratch::new("bomb");
    let plugin = support::plugin(r#"{"maxObjectBytes":1000000}"#);
    let record = plain_log_record("x");
    let bomb = vec![record.as_str(); 2 + 2_000_000 / record.len()];
    scratch.write("1-bomb.json.gz", &gzip(&wrap(&bomb)));
    scratch.write("2-good.json.gz", &gzip(&plain_log("good-", 2)));
    let given = ids(&plugin, scratch.path());
    let good: Vec<&String> = given.iter().filter(|id| id.starts_with("good")).collect();
    assert_eq!(good, ["good-0", "good-1"]);
    assert!(
        given.len() < bomb.len(),
        "all records of the bomb were delivered"
    );
    let counted = plugin.metrics();
    assert!(
        counted
            .iter()
            .any(|metric| metric.name.contains("too_large") && metric.value.to_string() == "1"),
        "no metric counts the refused object: {counted:?}"
    );
}

#[test]
fn gzip_file_cut_anywhere_delivers_the_records_before_the_cut() {
    let scratch = Scratch::new("cuts");
    let plugin = support::plugin("");
    let whole = gzip(&plain_log("r-", 40));
    let mut longest = 0;
    for cut in (0..whole.len()).step_by(7) {
        let given = ids(&plugin, &scratch.write("cut.json.gz", &whole[..cut]));
        let expected: Vec<String> = (0..given.len())
            .map(|number| format!("r-{number}"))
            .collect();
        assert_eq!(given, expected, "cut at {cut} of {}", whole.len());
        longest = longest.max(given.len());
    }
    assert!(
        longest > 30,
        "a file that lacks its last bytes gave {longest} of 40 records"
    );
}

#[test]
fn flipped_byte_in_gzip_loses_no_record_before_it() {
    let scratch = Scratch::new("gzip-flips");
    let plugin = support::plugin("");
    let text = plain_log("r-", 2_000);
    let whole = gzip(&text);
    let mut before_all = 0;
    for at in (20..whole.len() - 8).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let inflated = inflated_until_damage(&flipped);
        let same = inflated
            .iter()
            .zip(&text)
            .take_while(|(a, b)| a == b)
            .count();
        let whole_records = text[..same].windows(2).filter(|at| at == b"},").count();
        // The `userIdentity` of each record ends the same way.
        let before = whole_records / 2;
        let given = ids(&plugin, &scratch.write("flipped.json.gz", &flipped));
        let expected: Vec<String> = (0..before).map(|number| format!("r-{number}")).collect();
        assert!(
            given.starts_with(&expected),
            "byte {at} of {}: {} instead of the {before} records before the damage",
            whole.len(),
            given.len()
        );
        before_all += before;
    }
    assert!(before_all > 10_000, "the damage was always at the start");
}

#[test]
fn any_flipped_byte_is_tolerated() {
    let scratch = Scratch::new("flips");
    let plugin = support::plugin("");
    let text = plain_log("r-", 6);
    for (name, bytes) in [("flip.json", &text), ("flip.json.gz", &gzip(&text))] {
        for at in (0..bytes.len()).step_by(11) {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] ^= mask;
                let path = scratch.write(name, &flipped);
                let count = support::each_event(&plugin, &path, |_| {});
                assert!(
                    count <= 8,
                    "{name}: byte {at} flipped with {mask:#x} made {count} records of 6"
                );
            }
        }
    }
}

/// Inflates one byte at a time, so that no byte before the damage is lost.
fn inflated_until_damage(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(bytes);
    let mut text = Vec::new();
    let mut byte = [0];
    while let Ok(1) = decoder.read(&mut byte) {
        text.push(byte[0]);
    }
    text
}

fn damaged() -> BTreeMap<String, Damaged> {
    let path = support::testdata("expected/malformed.json");
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON of this shape")
}

fn ids(plugin: &Plugin, path: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    support::each_event(plugin, path, |event| match value(plugin, event, "ct.id") {
        Some(Value::Str(id)) => ids.push(String::from_utf8_lossy(&id).into_owned()),
        other => ids.push(format!("{other:?}")),
    });
    ids
}

fn value(plugin: &Plugin, event: cloudtrail::host::Event, field: &str) -> Option<Value> {
    let request = plugin.request(field).expect("a field");
    let mut answers = plugin
        .extract_values(event, &[&request], false)
        .expect("values");
    answers.remove(0).value
}

fn plain_log_record(id: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.11","eventTime":"2026-01-14T12:00:00Z","eventName":"GetObject","eventID":"{id}"}}"#
    )
}

fn wrap(records: &[&str]) -> Vec<u8> {
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}
