//! Containers in which records are strings, and texts that hold no record, through the built library.
#![forbid(unsafe_code)]

mod generator;
mod oracle;
mod support;

#[path = "formats/adversarial.rs"]
mod adversarial;
#[path = "formats/damage_report.rs"]
mod damage_report;
#[path = "formats/envelope_file.rs"]
mod envelope_file;

use cloudtrail::host::Plugin;
use serde_json::{Value, json};
use support::scratch::{Scratch, gzip};

/// Records with what is hard to escape, as they are in CloudTrail's own files.
fn records(count: usize) -> Vec<String> {
    let odd = [
        r#"plain"#,
        r#"\"quoted\" \\ and / \/ \u0041"#,
        "кл\u{1f600}юч \\ud83d\\ude00 \\ud800",
        r#"{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[]}"#,
    ];
    (0..count)
        .map(|number| {
            let agent = odd[number % odd.len()];
            format!(
                r#"{{"eventVersion":"1.08","eventTime":"2026-01-14T09:00:00Z","eventID":"{number}","userAgent":"{agent}"}}"#
            )
        })
        .collect()
}

fn log_events(records: &[String]) -> Value {
    let event =
        |record: &String| json!({"id": "1", "timestamp": 1_768_381_200_000_u64, "message": record});
    records.iter().map(event).collect()
}

/// An envelope of CloudWatch Logs, with its keys in the order that AWS writes.
fn envelope(records: &[String]) -> String {
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"trail","logStream":"s","subscriptionFilters":["all"],"logEvents":{}}}"#,
        log_events(records)
    )
}

/// What the plugin delivers of a file with this content.
fn delivered(plugin: &Plugin, name: &str, content: &[u8]) -> Vec<String> {
    let scratch = Scratch::new(name);
    scratch.write("log.json", content);
    let payloads = support::payloads(plugin, scratch.path());
    let text = |payload| String::from_utf8(payload).expect("UTF-8");
    payloads.into_iter().map(text).collect()
}

fn metric(plugin: &Plugin, name: &str) -> String {
    let metrics = plugin.metrics();
    let metric = metrics.iter().find(|metric| metric.name == name);
    metric.expect("the metric").value.to_string()
}

/// No text was taken for damage.
fn assert_undamaged(plugin: &Plugin) {
    for metric in plugin.metrics() {
        let is_problem = metric.name.starts_with("damaged.") || metric.name.starts_with("errors.");
        assert!(!is_problem || metric.value.to_string() == "0", "{metric:?}");
    }
}

#[test]
fn cloudwatch_envelopes_are_opened_however_they_are_packed() {
    let records = records(30);
    let (first, rest) = records.split_at(7);
    let control = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;
    let reversed =
        json!({"logEvents": log_events(rest), "owner": "1", "messageType": "DATA_MESSAGE"});
    let together = format!("{control}{}{control}{reversed}", envelope(first));
    let members = [
        gzip(envelope(first).as_bytes()),
        gzip(envelope(rest).as_bytes()),
    ]
    .concat();
    for (name, content) in [
        ("formats-plain", together.clone().into_bytes()),
        ("formats-gzip", gzip(together.as_bytes())),
        ("formats-members", members.clone()),
        ("formats-gzip-in-gzip", gzip(&members)),
    ] {
        let plugin = support::plugin("");
        assert_eq!(delivered(&plugin, name, &content), records, "{name}");
        assert_undamaged(&plugin);
        assert_eq!(metric(&plugin, "skipped.not_a_log"), "0", "{name}");
    }
}

#[test]
fn lookup_events_output_and_export_lines_are_opened() {
    let records = records(12);
    let event = |record: &String| json!({"EventId": "x", "EventTime": 1_768_381_200.5, "CloudTrailEvent": record});
    let events: Vec<Value> = records.iter().map(event).collect();
    let lookup = serde_json::to_string_pretty(&json!({"Events": events, "NextToken": "t"}));
    let lines: String = records
        .iter()
        .map(|record| format!("2026-01-14T09:00:01.123Z {record}\n"))
        .collect();
    for (name, content) in [
        ("formats-lookup", lookup.expect("JSON")),
        ("formats-lines", lines),
    ] {
        let plugin = support::plugin("");
        assert_eq!(
            delivered(&plugin, name, content.as_bytes()),
            records,
            "{name}"
        );
        assert_undamaged(&plugin);
    }
}

#[test]
fn string_with_every_character_escaped_is_the_record() {
    let records = records(4);
    let escaped = |record: &String| -> String {
        record
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect()
    };
    let events: Vec<String> = records
        .iter()
        .map(|record| format!(r#"{{"message":"{}"}}"#, escaped(record)))
        .collect();
    let content = format!(
        r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#,
        events.join(",")
    );
    let plugin = support::plugin("");
    assert_eq!(
        delivered(&plugin, "formats-escaped", content.as_bytes()),
        records
    );
}

#[test]
fn envelope_cut_anywhere_delivers_the_records_before_the_cut() {
    let records = records(4);
    let content = envelope(&records);
    let mut most = 0;
    for end in 0..content.len() {
        let Some(cut) = content.get(..end) else {
            continue;
        };
        let plugin = support::plugin("");
        let delivered = delivered(&plugin, "formats-cut", cut.as_bytes());
        assert_eq!(delivered, records[..delivered.len()], "cut at {end}");
        assert!(delivered.len() >= most, "cut at {end}");
        most = delivered.len();
    }
    assert_eq!(most, records.len());
}

#[test]
fn large_object_of_envelopes_is_read_through_a_window() {
    let records = records(1000);
    let one = envelope(&records);
    let count = (40 << 20) / one.len();
    let plugin = support::plugin("");
    let delivered = delivered(
        &plugin,
        "formats-large",
        gzip(one.repeat(count).as_bytes()).as_slice(),
    );
    assert_eq!(delivered.len(), count * records.len());
    assert!(
        delivered
            .chunks(records.len())
            .all(|chunk| chunk == records)
    );
    assert_undamaged(&plugin);
}

#[test]
fn container_inside_a_record_is_not_opened() {
    let inner = envelope(&records(2));
    let record = format!(
        r#"{{"eventVersion":"1.08","eventTime":"2026-01-14T09:00:00Z","requestParameters":{inner},"messageType":"DATA_MESSAGE","logEvents":[{{"message":"{{}}"}}]}}"#
    );
    for content in [
        record.clone(),
        format!(r#"{{"Records":[{record}]}}"#),
        envelope(std::slice::from_ref(&record)),
    ] {
        let plugin = support::plugin("");
        assert_eq!(
            delivered(&plugin, "formats-inside", content.as_bytes()),
            std::slice::from_ref(&record)
        );
    }
}

#[test]
fn json_without_any_record_is_named_and_is_no_damage() {
    for content in [
        r#"{"version":1,"rules":[{"a":1}]}"#,
        r#"[{"a":1},{"b":2}]"#,
        "{\"a\":1}\n{\"b\":2}\n",
        r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":"GET / 200"}]}"#,
    ] {
        let plugin = support::plugin("");
        let empty: [&str; 0] = [];
        assert_eq!(
            delivered(&plugin, "formats-none", content.as_bytes()),
            empty,
            "{content}"
        );
        assert_eq!(metric(&plugin, "skipped.not_a_log"), "1", "{content}");
        assert_undamaged(&plugin);
    }
}

#[test]
fn time_of_last_resort_is_that_of_the_container() {
    let record = r#"{"eventVersion":"1.08","eventID":"1"}"#.to_owned();
    let logstash = r#"{"@timestamp":"2026-01-14T09:00:00Z","eventID":"1"}"#;
    for content in [
        envelope(std::slice::from_ref(&record)),
        format!("2026-01-14T09:00:00Z {record}\n"),
        format!(r#"{{"detail-type":"x","time":"2026-01-14T09:00:00Z","detail":{record}}}"#),
        r#"{"eventTime":"2026-01-14 10:00:00+0100","eventID":"1"}"#.to_owned(),
        r#"{"eventTime":"2026-01-14 09:00:00.000 UTC","eventID":"1"}"#.to_owned(),
        logstash.to_owned(),
        json!({"Events": [{"EventTime": "2026-01-14T09:00:00+00:00", "CloudTrailEvent": record}]})
            .to_string(),
    ] {
        let plugin = support::plugin("");
        let scratch = Scratch::new("formats-time");
        scratch.write("log.json", content.as_bytes());
        let mut times = Vec::new();
        support::each_event(&plugin, scratch.path(), |event| times.push(event.ts()));
        assert_eq!(times, [1_768_381_200_000_000_000], "{content}");
    }
}
