//! Sound and damaged texts, whole and in windows of every size.

use super::*;
use crate::json::{MAX_CONTAINERS, Scanner};

/// Collects records and damage.
#[derive(Default)]
struct Collected {
    tapes: TapeBuffer,
    records: Vec<String>,
    damage: Vec<Damage>,
}

impl RecordSink for Collected {
    fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    fn record(&mut self, text: &[u8], _: TapeSpan) -> bool {
        self.records
            .push(String::from_utf8_lossy(text).into_owned());
        true
    }

    fn damage(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

/// Reads `text` whole and in windows of every size, and checks that all results are the same.
fn read(text: &str) -> (Vec<String>, Vec<Damage>) {
    let whole = read_in_windows(text, text.len());
    for size in 1..text.len() {
        let windows = read_in_windows(text, size);
        assert_eq!(windows, whole, "in windows of {size} bytes: {text}");
    }
    whole
}

fn read_in_windows(text: &str, size: usize) -> (Vec<String>, Vec<Damage>) {
    let mut found = Collected::default();
    let mut reader = RecordReader::new(Scanner::default());
    let (mut start, mut end) = (0, 0);
    while end < text.len() {
        end = (end + size).min(text.len());
        let window = &text.as_bytes()[start..end];
        start += reader.feed(window, end == text.len(), &mut found);
    }
    (found.records, found.damage)
}

fn record(number: u32) -> String {
    format!(r#"{{"eventVersion":"1.11","eventTime":"t","n":{number},"a":["}},{{\""]}}"#)
}

fn records(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(record).collect()
}

#[test]
fn records_are_read_from_every_kind_of_file() {
    let all = records(0..3);
    let joined = all.join(",");
    for text in [
        format!(r#"{{"Records":[{joined}]}}"#),
        format!(r#" {{ "Records" : [ {joined} ] , "more" : {{"a":[1]}} , "b":"x" }} "#),
        format!(r#"{{"first":"x","Records":[{joined}]}}"#),
        format!("[{joined}]"),
        all.join("\n"),
        format!("\u{feff}{}\r\n", all.join("\r\n")),
        format!(r#"[{{"Records":[{joined}]}}]"#),
    ] {
        assert_eq!(read(&text), (all.clone(), vec![]), "{text}");
    }
    let envelope = format!(r#"{{"detail-type":"x","detail":{},"id":"1"}}"#, record(0));
    assert_eq!(read(&envelope), (records(0..1), vec![]));
}

#[test]
fn damage_costs_only_the_record_that_it_is_in() {
    let bad = [
        (r#"{"eventVersion":"1","a":{"b":1}"#, Damage::Unbalanced),
        (r#"{"eventVersion":"1","a":[1}}"#, Damage::Unbalanced),
        (r#"{"eventVersion":"1","a":"open}"#, Damage::Unbalanced),
        (r#"{"a":"b"}""#, Damage::Unbalanced),
        ("null", Damage::NotAnObject),
        (r#""text""#, Damage::NotAnObject),
        (r#"[{"a":1}]"#, Damage::NotAnObject),
    ];
    for (bad, damage) in bad {
        let text = format!(r#"{{"Records":[{},{bad},{}]}}"#, record(0), record(1));
        let (found, damaged) = read(&text);
        let good = |found: &Vec<String>| records(0..2).iter().all(|record| found.contains(record));
        assert!(good(&found), "{bad}: {found:?}");
        assert_eq!(damaged, [damage], "{bad}");
    }
}

#[test]
fn two_missing_quotes_do_not_hide_records_between_them() {
    let bad = r#"{"eventVersion":"1","a":"x}"#;
    let text = format!(r#"{{"Records":[{bad},{},{bad}]}}"#, record(0));
    let (found, damaged) = read(&text);
    assert_eq!(found, records(0..1));
    assert_eq!(damaged, [Damage::Unbalanced, Damage::CutOff]);
}

#[test]
fn whole_records_of_a_truncated_file_are_delivered() {
    let text = format!(r#"{{"Records":[{},{}"#, record(0), &record(1)[..20]);
    assert_eq!(read(&text), (records(0..1), vec![Damage::CutOff]));
    for end in ["{", "{\"", "[", "\"", "\"event"] {
        let text = format!(r#"{{"Records":[{},{end}"#, record(0));
        assert_eq!(read(&text), (records(0..1), vec![Damage::CutOff]), "{end}");
    }
    assert_eq!(read("{"), (vec![], vec![Damage::CutOff]));
}

#[test]
fn an_array_without_an_end_is_reported() {
    let first = record(0);
    for text in [
        format!(r#"{{"Records":[{first}"#),
        format!(r#"{{"Records":[{first},"#),
        format!(r#"{{"Records":[{first}]"#),
        format!(r#"{{"a":1,"Records":[{first}"#),
        format!("[{first},\n"),
    ] {
        assert_eq!(
            read(&text),
            (records(0..1), vec![Damage::Unclosed]),
            "{text}"
        );
    }
    assert_eq!(read(r#"{"Records":["#), (vec![], vec![Damage::Unclosed]));
    // Records nested in the last one are not delivered, but the missing end is reported.
    let others = format!("{},{}", record(1), record(2));
    let open = first.replace(r#"]}"#, &format!(r#"],"x":[{others}]}}"#));
    let (_, damaged) = read(&format!(r#"{{"Records":[{open}"#));
    assert_eq!(damaged, [Damage::Unclosed]);
}

#[test]
fn a_changed_bracket_does_not_hide_other_records() {
    let bad = record(1);
    let bad = &bad[..bad.len() - 1];
    for opening in ["[", "{"] {
        let mut text = format!(
            r#"{{"Records":[{},{bad},"z":"x"{opening},{}"#,
            record(0),
            record(2)
        );
        text.push_str(if opening == "[" { "]}" } else { "}]}" });
        let (found, damaged) = read(&text);
        let good = [record(0), record(2)];
        assert!(
            good.iter().all(|record| found.contains(record)),
            "{text}: {found:?}"
        );
        assert!(!damaged.is_empty());
    }
}

#[test]
fn a_wrapper_without_an_array_is_not_a_record() {
    assert_eq!(read(r#"{"Records":null}"#), (vec![], vec![]));
    let object = format!(r#"{{"Records":{}}}"#, record(0));
    assert_eq!(read(&object), (vec![], vec![Damage::NotAnObject]));
}

#[test]
fn a_record_may_have_a_key_named_records() {
    for more in ["null", "5", "[]", r#"[{"eventVersion":"1"}]"#] {
        let first = record(0).replace("\"n\"", &format!("\"Records\":{more},\"n\""));
        let second = format!(r#"{{"a":1,"Records":{more},"eventTime":"t"}}"#);
        let escaped = format!(r#"{{"a":1,"Records":{more},"event\u0054ime":"t"}}"#);
        let all = vec![first, second, escaped, record(3)];
        for text in [
            format!(r#"{{"Records":[{}]}}"#, all.join(",")),
            format!("[{}]", all.join(",")),
            all.join("\n"),
        ] {
            assert_eq!(read(&text), (all.clone(), vec![]), "{text}");
        }
    }
    let bare = r#"{"a":1,"Records":null}"#.to_string();
    assert_eq!(read(&format!("[{bare}]")), (vec![bare], vec![]));
}

#[test]
fn nested_wrappers_take_bounded_time() {
    let whole = |text: &str| read_in_windows(text, text.len());
    let nested = |open: &str, depth: usize| {
        let (before, after) = (open.repeat(depth), "]}".repeat(depth));
        whole(&format!("{before}{}{after}", record(0)))
    };
    let direct = r#"{"a":1,"Records":["#;
    let beside = r#"{"a":1,"Records":[{"a":1,"Records":[]},"#;
    for open in [direct, beside] {
        assert_eq!(nested(open, 100), (records(0..1), vec![]), "{open}");
        let given_up = (vec![], vec![Damage::GivenUp]);
        assert_eq!(nested(open, 200_000), given_up, "{open}");
    }
    // Side by side, their number is not limited.
    let many = format!("[{}]", vec![format!("{direct}]}}"); 2_000_000].join(","));
    assert_eq!(whole(&many), (vec![], vec![]));
}

#[test]
fn a_record_with_too_many_containers_is_skipped_and_the_others_are_not() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"eventVersion":"1","eventTime":"t","a":{open}{close}}}"#)
    };
    for (containers, expected, damage) in [
        (MAX_CONTAINERS, 3, vec![]),
        (MAX_CONTAINERS + 1, 2, vec![Damage::TooLong]),
    ] {
        let text = [record(0), nested(containers - 1), record(1)].join(",");
        let text = format!(r#"{{"Records":[{text}]}}"#);
        for size in [text.len(), 3 << 20] {
            let (found, damaged) = read_in_windows(&text, size);
            assert_eq!((found.len(), &damaged), (expected, &damage), "{size}");
            assert_eq!(found.first(), Some(&record(0)));
            assert_eq!(found.last(), Some(&record(1)));
        }
    }
}
