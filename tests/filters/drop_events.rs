//! `dropEvents`: what remains is exact, and the filter is stated, counted and checked.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use cloudtrail::host::{Plugin, Severity};

use crate::oracle::Record;
use crate::support::scratch::{Scratch, gzip, plain_log};
use crate::{events_with_values, metric, support};

/// Log lines, with the severity of each.
type Lines = Arc<Mutex<Vec<(Severity, String)>>>;

/// A plugin with this configuration, and the log lines that it writes.
fn logged(config: &str) -> (Plugin, Lines) {
    let lines = Lines::default();
    let written = Arc::clone(&lines);
    let plugin = Plugin::load_with_log(&support::library(), config, move |severity, text| {
        let mut lines = written.lock().expect("the lines");
        lines.push((severity, text.to_owned()));
    });
    (plugin.expect("a valid configuration"), lines)
}

#[test]
fn remaining_events_are_those_that_match_no_object_with_all_values_exact() {
    let config = r#"{"decodeThreads": 2, "dropEvents": [
        {"ct.shortsrc": ["ec2", "iam", "s3"], "ct.readonly": true},
        {"ct.src": "sts.amazonaws.com", "ct.name": "AssumeRole*", "ct.error": ["*", "none"]},
        {"ct.src": "*", "ct.name": "*", "ct.user.identitytype": "AWSService"}
    ]}"#;
    let plugin = support::plugin(config);
    let logs = support::testdata("logs");
    let text = |record: &Record, field| record.value(field, None).map(|value| format!("{value:?}"));
    let is = |value: &Option<String>, expected: &str| {
        value
            .as_ref()
            .is_some_and(|value| value.contains(&format!("{expected:?}")))
    };
    let is_dropped = |record: &Record| {
        let failed = text(record, "ct.error").is_some();
        let (source, name) = (text(record, "ct.shortsrc"), text(record, "ct.name"));
        let service = ["ec2", "iam", "s3"]
            .iter()
            .any(|service| is(&source, service));
        let is_role = name.is_some_and(|name| name.contains("\"AssumeRole"));
        service && is(&text(record, "ct.readonly"), "true") && !failed
            || is(&source, "sts") && is_role && failed
            || is(&text(record, "ct.user.identitytype"), "AWSService") && !failed
    };
    let all = events_with_values(&support::plugin("{}"), &logs);
    let (dropped, expected): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(payload, _)| is_dropped(&Record::read(payload).expect("a record")));
    assert!(
        dropped.len() > 5 && expected.len() > 5,
        "{} dropped",
        dropped.len()
    );
    // The second time, what was asked for is precomputed.
    for _ in 0..2 {
        let remaining = events_with_values(&plugin, &logs);
        assert!(
            remaining == expected,
            "{} and {}",
            remaining.len(),
            expected.len()
        );
    }
    assert_eq!(metric(&plugin, "skipped.dropped"), 2 * dropped.len() as u64);
    assert_eq!(metric(&plugin, "events"), 2 * expected.len() as u64);
}

#[test]
fn files_of_dropped_events_are_read_to_their_end() {
    let scratch = Scratch::new("all-dropped");
    for number in 0..20 {
        let log = gzip(&plain_log("", 100 * number));
        scratch.write(&format!("{number:02}.json.gz"), &log);
    }
    let (plugin, lines) =
        logged(r#"{"dropEvents": [{"ct.src": "ec2*", "ct.name": "DescribeInstances"}]}"#);
    assert_eq!(support::each_event(&plugin, scratch.path(), |_| {}), 0);
    assert_eq!(metric(&plugin, "objects"), 20);
    assert_eq!(metric(&plugin, "records"), 19_000);
    assert_eq!(metric(&plugin, "skipped.dropped"), 19_000);
    assert_eq!(metric(&plugin, "events"), 0);
    let lines = lines.lock().expect("the lines");
    let has = |text: &str| lines.iter().filter(|(_, line)| line == text).count();
    let filter = r#"dropEvents: Falco does not get events where ct.name is "DescribeInstances" and ct.src is "ec2*" and ct.error has no value"#;
    assert_eq!(has(filter), 1, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|(_, line)| line.ends_with("; events dropped by dropEvents: 19000"))
    );
}

#[test]
fn wrong_filter_is_an_error_at_init_that_names_what_to_change() {
    for (filter, problem) in [
        (
            r#"[{"ct.src": "s3.amazonaws.com"}]"#,
            "dropEvents[0]: an object needs the service",
        ),
        (
            r#"[{"ct.src": "a", "ct.nme": "b"}]"#,
            r#"dropEvents[0]: unknown field "ct.nme"; the nearest field is ct.name"#,
        ),
        (
            r#"[{"ct.src": "a", "ct.name": 1.5}]"#,
            r#"dropEvents[0]["ct.name"]: 1.5 is not allowed"#,
        ),
        (
            r#"{"ct.src": "a", "ct.name": "b"}"#,
            "is not allowed; allowed is a list",
        ),
    ] {
        let config = format!(r#"{{"dropEvents": {filter}}}"#);
        let error = Plugin::load(&support::library(), &config)
            .err()
            .expect(filter);
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn field_whose_value_callers_choose_is_a_warning_that_names_it() {
    let (_plugin, lines) = logged(
        r#"{"dropEvents": [{"ct.src": "a", "ct.name": "b", "ct.useragent": "c", "s3.key": "d"}]}"#,
    );
    let lines = lines.lock().expect("the lines");
    let [(Severity::Warning, line)] = &lines[..] else {
        panic!("not one warning: {lines:?}");
    };
    assert!(
        line.contains("the value of ct.useragent, s3.key,"),
        "{line}"
    );
}

#[test]
fn check_command_shows_the_filter_and_does_not_call_it_a_problem() {
    let scratch = Scratch::new("check-filter");
    let mut log = plain_log("", 2);
    let name = log
        .windows(17)
        .position(|part| part == b"DescribeInstances")
        .expect("a name");
    log[name..name + 8].copy_from_slice(b"XXscribe");
    let path = scratch.write("log.json", &log);
    let check = |path: &Path, name: &str| {
        let config = format!(r#"{{"dropEvents": [{{"ct.src": "ec2*", "ct.name": "{name}"}}]}}"#);
        std::process::Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args(["check", "-c", &config, "--library"])
            .arg(support::library())
            .arg(path)
            .output()
            .expect("ctcat runs")
    };
    let output = check(&path, "Describe*");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("dropEvents withheld 1 events"), "{text}");
    assert!(text.contains("Falco can read this"), "{text}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains(r#"ct.name is "Describe*""#), "{log}");
    let output = check(&path, "*");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("no other events: dropEvents withheld 2 events"),
        "{log}"
    );
}
