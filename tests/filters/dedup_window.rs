//! `dedupWindow` on local files: each event once, in the order of the files.
#![forbid(unsafe_code)]

use cloudtrail::host::Plugin;

use crate::oracle::Record;
use crate::support::scratch::{Scratch, gzip};
use crate::{events_with_values, metric, support};

/// A log file whose records have these eventIDs. Each has its place in the file as eventName.
fn log(ids: &[&str]) -> Vec<u8> {
    let records = ids.iter().enumerate().map(|(number, id)| {
        format!(
            r#"{{"eventTime":"2026-01-14T12:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"{number}","eventID":"{id}"}}"#
        )
    });
    let records: Vec<String> = records.collect();
    gzip(format!(r#"{{"Records":[{}]}}"#, records.join(",")).as_bytes())
}

/// Delivered events, each as `<eventID>/<eventName>`.
fn delivered(plugin: &Plugin, scratch: &Scratch) -> Vec<String> {
    let [id, name] = ["ct.id", "ct.name"].map(|field| plugin.request(field).expect("a field"));
    let mut delivered = Vec::new();
    support::each_event(plugin, scratch.path(), |event| {
        let values = plugin.extract_values(event, &[&id, &name], false);
        let texts = values
            .expect("values")
            .into_iter()
            .map(|value| match value.value {
                Some(cloudtrail::host::OwnedValue::Str(text)) => {
                    String::from_utf8_lossy(&text).into_owned()
                }
                other => format!("{other:?}"),
            });
        delivered.push(texts.collect::<Vec<_>>().join("/"));
    });
    delivered
}

fn plugin(window: u32) -> Plugin {
    support::plugin(&format!(
        r#"{{"decodeThreads": 4, "dedupWindow": {window}}}"#
    ))
}

#[test]
fn each_event_is_delivered_once_within_and_across_files() {
    let scratch = Scratch::new("dedup-files");
    scratch.write("1.json.gz", &log(&["a", "b", "a"]));
    scratch.write("2.json.gz", &log(&["b", "c"]));
    scratch.write("3.json.gz", &log(&["a", "b", "c"]));
    scratch.write("4.json.gz", &log(&["d", "a"]));
    let off = plugin(0);
    assert_eq!(delivered(&off, &scratch).len(), 10);
    assert_eq!(metric(&off, "skipped.duplicate"), 0);
    let plugin = plugin(100);
    // A source that is opened again remembers nothing.
    for opened in 1..=2 {
        assert_eq!(delivered(&plugin, &scratch), ["a/0", "b/1", "c/1", "d/0"]);
        assert_eq!(metric(&plugin, "skipped.duplicate"), opened * 6);
        assert_eq!(metric(&plugin, "events"), opened * 4);
        assert_eq!(metric(&plugin, "records"), opened * 10);
        assert_eq!(metric(&plugin, "objects"), opened * 4);
    }
}

#[test]
fn first_copy_in_the_order_of_files_is_delivered_whatever_the_threads_do() {
    let scratch = Scratch::new("dedup-order");
    let ids: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for (file, part) in [0..2000, 1000..3000, 0..3000, 500..700]
        .into_iter()
        .enumerate()
    {
        scratch.write(&format!("{file}.json.gz"), &log(&ids[part]));
    }
    let plugin = plugin(10_000);
    let expected = (0..2000).map(|number| (number, number));
    let expected = expected.chain((2000..3000).map(|number| (number, number - 1000)));
    let expected: Vec<String> = expected.map(|(id, name)| format!("{id}/{name}")).collect();
    for _ in 0..5 {
        assert!(delivered(&plugin, &scratch) == expected);
    }
}

#[test]
fn window_forgets_the_oldest_event() {
    let scratch = Scratch::new("dedup-window");
    scratch.write("1.json.gz", &log(&["a", "b", "a", "c", "b", "a", "b", "c"]));
    assert_eq!(
        delivered(&plugin(2), &scratch),
        ["a/0", "b/1", "c/3", "a/5", "b/6", "c/7"]
    );
    assert_eq!(delivered(&plugin(3), &scratch), ["a/0", "b/1", "c/3"]);
}

#[test]
fn events_without_id_or_of_another_time_are_no_duplicates() {
    let scratch = Scratch::new("dedup-no-id");
    let records = [
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"0"}"#,
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"0"}"#,
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"0","eventID":null}"#,
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"1","eventID":"a"}"#,
        r#"{"eventTime":"2026-01-14T12:00:01Z","eventName":"2","eventID":"a"}"#,
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"3","eventID":"\u0061"}"#,
    ];
    scratch.write("1.json", records.join("\n").as_bytes());
    let plugin = plugin(100);
    assert_eq!(
        delivered(&plugin, &scratch),
        ["None/0", "None/0", "None/0", "a/1", "a/2"]
    );
    assert_eq!(metric(&plugin, "skipped.duplicate"), 1);
}

#[test]
fn event_is_the_same_however_it_travels() {
    let scratch = Scratch::new("dedup-formats");
    let record =
        r#"{"eventTime":"2026-01-14T12:00:00Z","eventName":"0","eventID":"a","userAgent":"\"é\\"}"#;
    let event = serde_json::json!({"id": "1", "timestamp": 1, "message": record});
    let files = [
        format!(r#"{{"Records":[{record}]}}"#),
        format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{event},{event}]}}"#),
        serde_json::json!({"Events": [{"EventId": "a", "CloudTrailEvent": record}]}).to_string(),
        format!("2026-01-14T12:00:01Z {record}\n"),
        format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail": {record} }}"#),
        r#"{"eventID" : "\u0061", "eventTime":"2026-01-14T12:00:00\u005a","eventName":"0"}"#
            .to_owned(),
    ];
    for (number, content) in files.iter().enumerate() {
        scratch.write(&format!("{number}.json"), content.as_bytes());
    }
    assert_eq!(delivered(&plugin(0), &scratch), ["a/0"; 7]);
    let plugin = plugin(10);
    assert_eq!(delivered(&plugin, &scratch), ["a/0"]);
    assert_eq!(metric(&plugin, "skipped.duplicate"), 6);
}

#[test]
fn dropped_events_are_not_remembered() {
    let scratch = Scratch::new("dedup-dropped");
    scratch.write("1.json.gz", &log(&["a", "a", "a"]));
    let config = r#"{"dedupWindow": 9, "dropEvents": [{"ct.src": "ec2*", "ct.name": "0"}]}"#;
    let plugin = support::plugin(config);
    assert_eq!(delivered(&plugin, &scratch), ["a/1"]);
    assert_eq!(metric(&plugin, "skipped.dropped"), 1);
    assert_eq!(metric(&plugin, "skipped.duplicate"), 1);
}

#[test]
fn all_values_of_the_events_between_duplicates_are_exact() {
    let scratch = Scratch::new("dedup-values");
    let all = events_with_values(&support::plugin("{}"), &support::testdata("logs"));
    let lines: Vec<&[u8]> = all
        .iter()
        .flat_map(|(payload, _)| [&payload[..]; 2])
        .collect();
    scratch.write("1.json", &lines.join(&b'\n'));
    let plugin = plugin(1_000_000);
    let mut known = std::collections::HashSet::new();
    let expected = all.iter().filter(|(payload, _)| {
        let record = Record::read(payload).expect("a record");
        // By the record's own eventID: ct.id falls back to another key, which does not make an event a duplicate.
        let text = |key| {
            let value = record.value("ct.value", Some(key));
            value.map(|value| format!("{value:?}"))
        };
        text("/eventID").is_some_and(|id| known.insert((id, text("/eventTime"))))
    });
    let expected: Vec<_> = expected.cloned().collect();
    assert!(expected.len() > 50, "{}", expected.len());
    // The second time, what was asked for is precomputed.
    for _ in 0..2 {
        let mut once = events_with_values(&plugin, scratch.path());
        // Records without an ID are delivered twice.
        once.retain(|(payload, _)| expected.iter().any(|(known, _)| known == payload));
        assert!(once == expected, "{} and {}", once.len(), expected.len());
    }
}
