//! Sound and damaged texts, whole and in windows of every size.

use super::*;
use crate::json::{MAX_CONTAINERS, Scanner};

/// Collects records and damage.
#[derive(Default)]
struct Collected {
    tapes: TapeBuffer,
    records: Vec<String>,
    times: Vec<Option<u64>>,
    damage: Vec<Damage>,
    places: Vec<u64>,
    not_a_log: usize,
}

impl RecordSink for Collected {
    fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    fn record(&mut self, text: &[u8], _: TapeSpan, time: Option<u64>) -> bool {
        self.times.push(time);
        self.records
            .push(String::from_utf8_lossy(text).into_owned());
        true
    }

    fn not_a_log(&mut self, _: NotALog<'_>) {
        self.not_a_log += 1;
    }

    fn damage(&mut self, damage: Damage, at: u64) {
        self.damage.push(damage);
        self.places.push(at);
    }
}

/// Reads `text` whole and in windows of every size, and checks that all results are the same.
fn read(text: &str) -> (Vec<String>, Vec<Damage>) {
    let (records, damage, _) = read_all(text);
    (records, damage)
}

/// As [`read`], with the number of values that are not records.
fn read_all(text: &str) -> (Vec<String>, Vec<Damage>, usize) {
    let whole = read_timed(text, text.len());
    let places = collect(text, text.len()).places;
    for size in 1..text.len() {
        let windows = read_timed(text, size);
        assert_eq!(windows, whole, "in windows of {size} bytes: {text}");
        assert_eq!(
            collect(text, size).places,
            places,
            "in windows of {size} bytes: {text}"
        );
    }
    let (records, _, damage, not_a_log) = whole;
    (records, damage, not_a_log)
}

fn read_in_windows(text: &str, size: usize) -> (Vec<String>, Vec<Damage>) {
    let (records, _, damage, _) = read_timed(text, size);
    (records, damage)
}

fn read_timed(text: &str, size: usize) -> (Vec<String>, Vec<Option<u64>>, Vec<Damage>, usize) {
    let found = collect(text, size);
    (found.records, found.times, found.damage, found.not_a_log)
}

fn collect(text: &str, size: usize) -> Collected {
    let mut found = Collected::default();
    let mut reader = RecordReader::new(Scanner::default());
    let (mut start, mut end) = (0, 0);
    while end < text.len() {
        end = (end + size).min(text.len());
        let window = &text.as_bytes()[start..end];
        start += reader.feed(window, end == text.len(), &mut found);
    }
    found
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
fn brackets_missing_in_one_record_hide_no_record_after_it() {
    // Without the end of its inner list, the first record goes on to the end of the list of records, and balances.
    let bad = r#"{"eventVersion":"1","resources":[{"type":"a"},{"type":"b","eventID":"0"}"#;
    let sound = records(0..3);
    let list = sound.join(",");
    for end in [
        "]}",
        "]}\n",
        r#"],"next":{"a":[]}}"#,
        "]}\n{\"Records\":[]}",
    ] {
        let text = format!(r#"{{"Records":[{bad},{list}{end}"#);
        assert_eq!(
            read(&text),
            (sound.clone(), vec![Damage::Unbalanced]),
            "{end:?}"
        );
    }
    let text = format!(
        r#"{{"Records":[{bad},{list}]}}{{"Records":[{}]}}"#,
        record(3)
    );
    assert_eq!(read(&text), (records(0..4), vec![Damage::Unbalanced]));
    // The same in the output of `lookup-events`.
    let event = |record: &str, resources: &str| {
        format!(
            r#"{{"EventId":"a","Resources":{resources},"CloudTrailEvent":{}}}"#,
            quoted(record)
        )
    };
    let bad_event = event(&record(3), r#"[{"ResourceName":"a""#);
    let events: Vec<String> = sound
        .iter()
        .map(|record| event(record, r#"[{"ResourceName":"a"}]"#))
        .collect();
    let text = format!(
        r#"{{"Events":[{bad_event},{}],"NextToken":"t"}}"#,
        events.join(",")
    );
    let all: Vec<String> = [record(3)].into_iter().chain(sound).collect();
    assert_eq!(read(&text), (all, vec![Damage::Unbalanced]));
    // A sound record may look the same inside.
    let whole = format!("{bad},{list}]}}");
    let text = format!(r#"{{"Records":[{whole},{}]}}"#, record(4));
    assert_eq!(read(&text), (vec![whole, record(4)], vec![]));
}

#[test]
fn list_that_is_broken_in_two_is_read_to_its_end() {
    for between in ["],[", "][", "] [", "]\n,\n["] {
        let text = format!(
            r#"{{"Records":[{},{}{between}{},{}]}}"#,
            record(0),
            record(1),
            record(2),
            record(3)
        );
        assert_eq!(
            read(&text),
            (records(0..4), vec![Damage::Unbalanced]),
            "{between}"
        );
    }
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
    // Where the list seems to end with a record that contains others, brackets are missing in that record rather than
    // behind it.
    let others = format!("{},{}", record(1), record(2));
    let open = first.replace(r#"]}"#, &format!(r#"],"x":[{others}]}}"#));
    let (found, damaged) = read(&format!(r#"{{"Records":[{open}"#));
    assert_eq!((found, damaged), (records(1..3), vec![Damage::Unbalanced]));
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
    let listed = format!(r#"{{"Records":[{bare}]}}"#);
    assert_eq!(read(&listed), (vec![bare.clone()], vec![]));
    // Outside of a list of records, an object without a record's key is no record.
    assert_eq!(read_all(&format!("[{bare}]")), (vec![], vec![], 1));
}

/// A string with this text; each quote and backslash is escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn log_events(numbers: std::ops::Range<u32>) -> String {
    let event = |number| {
        let message = quoted(&record(number));
        format!(r#"{{"id":"{number}","timestamp":{number}000,"message":{message}}}"#)
    };
    numbers.map(event).collect::<Vec<_>>().join(",")
}

fn envelope(numbers: std::ops::Range<u32>) -> String {
    let events = log_events(numbers);
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"1","subscriptionFilters":["a"],"logEvents":[{events}]}}"#
    )
}

#[test]
fn records_in_strings_are_read_from_every_kind_of_container() {
    let all = records(0..3);
    let lookup = |number| {
        let text = quoted(&record(number));
        format!(r#"{{"EventId":"x","EventTime":1.5,"CloudTrailEvent":{text},"Resources":[]}}"#)
    };
    let lookups = [0, 1, 2].map(lookup);
    let events = log_events(0..3);
    for text in [
        envelope(0..3),
        [envelope(0..1), envelope(1..1), envelope(1..3)].concat(),
        [envelope(0..1), envelope(1..3)].join("\n"),
        format!("[{}]", [envelope(0..1), envelope(1..3)].join(" , ")),
        format!(r#"{{"logEvents":[{events}],"messageType":"DATA_MESSAGE"}}"#),
        format!(r#"{{"log\u0045vents":[{events}],"x":{{"logEvents":[1]}}}}"#),
        format!(r#" {{ "messageType" : "DATA_MESSAGE" , "logEvents" : [ {events} ] , "a":1}} "#),
        format!(r#"{{"Events":[{}]}}"#, lookups.join(",\n")),
        format!(r#"{{"NextToken":"x","Events":[{}]}}"#, lookups.join(",")),
        format!(r#"{{"a":[],"Events":[{}]}}"#, lookups.join(",")),
        format!("[{}]", lookups.join(",")),
        lookups.join("\n"),
        format!("[{}]", [0, 1, 2].map(|n| quoted(&record(n))).join(",")),
        [0, 1, 2]
            .map(|n| format!("2026-01-14T12:00:00.000Z {}\n", record(n)))
            .concat(),
    ] {
        assert_eq!(read_all(&text), (all.clone(), vec![], 0), "{text}");
    }
}

#[test]
fn containers_give_a_time_of_last_resort() {
    let times = |text: &str| read_timed(text, 7).1;
    assert_eq!(
        times(&envelope(1..3)),
        [Some(1_000_000_000), Some(2_000_000_000)]
    );
    let text = quoted(&record(0));
    for (time, expected) in [
        ("1.5", Some(1_500_000_000)),
        ("1768392000", Some(1_768_392_000_000_000_000)),
        (
            r#""2026-01-14T13:00:00+01:00""#,
            Some(1_768_392_000_000_000_000),
        ),
        ("-1", None),
        ("1e9", None),
        ("null", None),
        ("99999999999999999999", None),
    ] {
        let object = format!(r#"{{"EventTime":{time},"CloudTrailEvent":{text}}}"#);
        assert_eq!(times(&object), [expected], "{time}");
    }
    let lines = format!("2026-01-14T12:00:00Z {0}\n{0}\n", record(0));
    assert_eq!(times(&lines), [Some(1_768_392_000_000_000_000), None]);
}

#[test]
fn envelopes_inside_records_are_parts_of_them() {
    let inner = envelope(5..6);
    let lookup = format!(r#"{{"CloudTrailEvent":{}}}"#, quoted(&record(6)));
    let all: Vec<_> = [&inner, &lookup, &quoted(&inner)]
        .map(|inner| record(0).replace("\"n\"", &format!("\"requestParameters\":{inner},\"n\"")))
        .to_vec();
    let strings: Vec<_> = all
        .iter()
        .map(|text| format!(r#"{{"message":{}}}"#, quoted(text)))
        .collect();
    for text in [
        format!(r#"{{"Records":[{}]}}"#, all.join(",")),
        all.join("\n"),
        format!(
            r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#,
            strings.join(",")
        ),
    ] {
        assert_eq!(read_all(&text), (all.clone(), vec![], 0), "{text}");
    }
    // In a list of records, every object is a record.
    let listed = format!(r#"{{"Records":[{inner},{lookup}]}}"#);
    assert_eq!(read_all(&listed), (vec![inner, lookup], vec![], 0));
    // A string of a string is not opened.
    let twice = format!(r#"{{"message":{}}}"#, quoted(&envelope(0..1)));
    assert_eq!(read_all(&twice), (vec![], vec![], 1));
}

#[test]
fn control_messages_and_other_logs_are_no_damage() {
    let probe = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: x"}]}"#;
    assert_eq!(read_all(probe), (vec![], vec![], 0));
    let reversed = r#"{"logEvents":[{"message":"CWL CONTROL MESSAGE: x"}],"messageType":"CONTROL_\u004dESSAGE"}"#;
    assert_eq!(
        read_all(&[probe, &envelope(0..1), reversed].concat()),
        (records(0..1), vec![], 0)
    );
    for (message, not_a_log) in [
        ("START RequestId: x", 1),
        ("", 1),
        ("[INFO] {\"eventTime\":1}", 1),
        ("{not json", 1),
        ("{\"level\":\"info\"}", 1),
        ("{}", 1),
        ("{\"detail-type\":\"x\",\"detail\":{\"a\":1}}", 1),
    ] {
        let event = format!(
            r#"{{"id":"x","timestamp":1,"message":{}}}"#,
            quoted(message)
        );
        let text = format!(
            r#"{{"messageType":"DATA_MESSAGE","logEvents":[{},{event},{}]}}"#,
            log_events(0..1),
            log_events(1..2)
        );
        assert_eq!(
            read_all(&text),
            (records(0..2), vec![], not_a_log),
            "{message}"
        );
    }
    let other = "2026-01-14T12:00:00Z START {x} \"y\n2026-01-14T12:00:00Z\n";
    let lines = format!("{other}2026-01-14T12:00:00Z {}\n{other}", record(0));
    assert_eq!(read_all(&lines), (records(0..1), vec![], 4));
    let same_line = format!("2026-01-14T12:00:00Z x{},{}", record(0), record(1));
    assert_eq!(read_all(&same_line), (records(0..2), vec![], 1));
}

#[test]
fn json_without_records_is_no_damage() {
    for text in [
        r#"{"a":1}"#,
        "{}",
        "[1]",
        "[[1]]",
        "\"text\"",
        "null",
        "-1.5",
        r#"{"logEvents":5}"#,
        r#"{"logEvents":[{"a":1}]}"#,
        r#"{"detail-type":"x","detail":{"bucket":"b"}}"#,
    ] {
        assert_eq!(read_all(text), (vec![], vec![], 1), "{text}");
    }
    assert_eq!(read_all("[1,true,\"x\"]"), (vec![], vec![], 3));
    // In a log, they are.
    let text = format!("[1,{},2]", record(0));
    assert_eq!(
        read_all(&text),
        (records(0..1), vec![Damage::NotAnObject; 2], 0)
    );
    assert_eq!(read_all("text"), (vec![], vec![Damage::NotAnObject], 0));
}

#[test]
fn damage_in_a_container_of_strings_costs_what_it_is_in() {
    let message = |text: &str| format!(r#"{{"id":"x","timestamp":1,"message":{}}}"#, quoted(text));
    let cut = &record(5)[..50];
    for (bad, damage) in [
        (message(cut), Damage::CutOffString),
        (
            r#"{"id":"x","message":"open}"#.to_owned(),
            Damage::Unbalanced,
        ),
        (
            r#"{"id":"x","message":"a"]}"#.to_owned(),
            Damage::Unbalanced,
        ),
        (
            r#"{"id":"x","message":"{\"eventVersion\":1""#.to_owned(),
            Damage::Unbalanced,
        ),
        ("7".to_owned(), Damage::NotAnObject),
    ] {
        for text in [
            format!(
                r#"{{"messageType":"DATA_MESSAGE","logEvents":[{},{bad},{}]}}"#,
                log_events(0..1),
                log_events(1..3)
            ),
            format!(
                r#"{{"Events":[{},{bad},{}]}}{}"#,
                log_events(0..1),
                log_events(1..2),
                envelope(2..3)
            ),
        ] {
            let (found, damaged, _) = read_all(&text);
            let all = records(0..3);
            assert!(
                all.iter().all(|record| found.contains(record)),
                "{text}: {found:?}"
            );
            assert_eq!(damaged, [damage], "{text}");
        }
    }
    // A damaged head costs its envelope at most.
    let bad = r#"{"messageType":"DATA_MESSAGE,"logEvents":[]}"#;
    let text = [&envelope(0..1), bad, &envelope(1..2)].concat();
    let (found, damaged, _) = read_all(&text);
    assert!(
        records(0..2).iter().all(|record| found.contains(record)),
        "{found:?}"
    );
    assert!(!damaged.is_empty());
    let lines = [
        format!(r#"{{"detail-type":"x","detail":{}}}"#, record(0)),
        r#"{"detail-type":"x","detail":{"eventVersion":"}}"#.to_owned(),
        format!(r#"{{"detail-type":"x","detail":{}}}"#, record(1)),
    ];
    assert_eq!(
        read(&lines.join("\n")),
        (records(0..2), vec![Damage::Unbalanced])
    );
}

#[test]
fn truncated_envelopes_deliver_their_whole_records() {
    let whole = [envelope(0..2), envelope(2..3)].concat();
    let ends: Vec<_> = whole.match_indices("}\"}").map(|(at, _)| at + 3).collect();
    assert_eq!(ends.len(), 3);
    for reversed in [false, true] {
        let text = match reversed {
            true => whole.replace(r#""messageType":"DATA_MESSAGE","#, ""),
            false => whole.clone(),
        };
        for cut in 1..text.len() {
            let (found, damaged) = read_in_windows(&text[..cut], cut);
            let missing = whole.len() - text.len();
            let complete = text[..cut].matches("}\"}").count();
            assert_eq!(
                found,
                records(0..complete as u32),
                "cut at {cut}, {missing}"
            );
            let sound = text[..cut].ends_with("}\"}]}");
            assert_eq!(
                damaged.len(),
                usize::from(!sound),
                "cut at {cut}: {damaged:?}"
            );
        }
    }
}

/// Counts the bytes that are scanned, by the tapes' lengths and the work limits.
#[test]
fn nested_and_damaged_strings_take_bounded_time() {
    let whole = |text: &str| read_in_windows(text, text.len());
    // Each level of escapes doubles the backslashes, so strings in strings cannot be deep; wrappers in a string can.
    let nested = format!(
        "{}{}",
        r#"{"a":1,"Records":["#.repeat(50_000),
        "]}".repeat(50_000)
    );
    let events = vec![format!(r#"{{"message":{}}}"#, quoted(&nested)); 10].join(",");
    let (found, damaged) = whole(&format!(r#"{{"Events":[{events},{}]}}"#, log_events(0..1)));
    assert_eq!(found, records(0..1));
    assert_eq!(damaged, [Damage::GivenUp; 10]);
    // Objects without an end in each of many strings.
    let open = r#"{"a":1,"b":[{"eventTime":"#.repeat(2_000);
    let events = vec![format!(r#"{{"message":{}}}"#, quoted(&open)); 100].join(",");
    let (found, damaged) = whole(&format!(r#"{{"Events":[{events},{}]}}"#, log_events(0..1)));
    assert_eq!(found, records(0..1));
    assert_eq!(damaged.len(), 100);
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

/// Lines as an export task of CloudWatch Logs writes them.
fn export(lines: &[String]) -> String {
    let line = |line: &String| format!("2026-01-14T12:00:00.000Z {line}\n");
    lines.iter().map(line).collect()
}

const EXPORT_TIME: u64 = 1_768_392_000_000_000_000;

/// A record whose strings hold no brackets.
fn plain(number: u32) -> String {
    format!(r#"{{"eventVersion":"1.11","eventTime":"t","n":{number},"a":{{"b":["c"]}}}}"#)
}

#[test]
fn damaged_export_line_costs_only_itself() {
    let sound = plain(7);
    for bad in [
        &sound[..30],
        &sound[..sound.len() - 1],
        &sound.replacen("\"t\"", "\"t", 1),
        &sound.replacen("\"t\"", "\"t\"x\"", 1),
        &sound.replacen("\"n\"", "n\"", 1),
        &sound.replacen('[', "[{{", 1),
        &sound.replacen('[', "", 1),
        "{",
        "{\"",
        "{\"eventVersion\":\"open",
        "{ not JSON",
        "{x \"",
    ] {
        let mut lines: Vec<_> = records(0..6).to_vec();
        lines.insert(2, bad.to_owned());
        let text = export(&lines);
        let (found, damaged) = read(&text);
        assert_eq!(found, records(0..6), "{text}");
        assert_eq!(damaged, [Damage::Unbalanced], "{text}");
        let found = collect(&text, 40);
        assert_eq!(found.times, [Some(EXPORT_TIME); 6], "{text}");
        assert_eq!(
            found.places,
            [text.find(&format!("{bad}\n")).expect("it") as u64],
            "{text}"
        );
    }
}

#[test]
fn start_of_a_list_in_an_export_line_hides_no_line_after_it() {
    for bad in ["{}{\"Records\":[{\"eventVersion\":", "{}{\"Events\":[{\""] {
        let text = export(&[record(0), bad.to_owned(), record(1), record(2)]);
        assert_eq!(read(&text), (records(0..3), vec![Damage::Unbalanced]));
    }
}

#[test]
fn odd_quotes_in_several_export_lines_are_each_counted() {
    let bad = |number| plain(number).replacen("\"t\"", "\"t", 1);
    for distance in [2, 3, 5] {
        let is_bad = |number: &u32| number.is_multiple_of(distance);
        let lines: Vec<_> = (0..20)
            .map(|number| match is_bad(&number) {
                true => bad(number),
                false => plain(number),
            })
            .collect();
        let (found, damaged) = read_in_windows(&export(&lines), 1000);
        let sound: Vec<_> = (0..20).filter(|n| !is_bad(n)).map(plain).collect();
        assert_eq!(found, sound, "{distance}");
        assert_eq!(damaged.len(), lines.len() - sound.len(), "{distance}");
    }
}

#[test]
fn damaged_lines_that_complement_each_other_are_not_taken_for_one_record() {
    let bad = |number| plain(number).replacen("\"t\"", "\"t", 1);
    let all = [plain(0), bad(1), bad(2), plain(3), bad(4), bad(5)];
    for text in [export(&all), all.join("\n")] {
        let (found, damaged) = read(&text);
        assert_eq!(found, [plain(0), plain(3)], "{text}");
        assert!(damaged.len() >= 2, "{damaged:?}");
    }
    // One lacks a brace, another one has one more.
    let long = plain(2).replacen("\"c\"", &format!("\"{}\"", "c".repeat(1600)), 1);
    let open = plain(1).replacen("}}", "}", 1);
    let closed = plain(3).replacen("}}", "}}}", 1);
    let all = [plain(0), open, long.clone(), closed, plain(4)];
    for text in [export(&all), all.join("\n")] {
        let (found, damaged) = read_in_windows(&text, 100);
        assert_eq!(
            found,
            [plain(0), long.clone(), plain(3), plain(4)],
            "{text}"
        );
        assert_eq!(damaged, [Damage::Unbalanced; 2], "{text}");
    }
    // A list with each record on a line of its own.
    let lines = records(0..3).join(",\n");
    let list = format!("{{\"a\":1,\n\"Records\":[\n{lines}\n]}}");
    assert_eq!(read(&format!("{list}\n{list}")).1, []);
    // Without a line of a record inside, a record that lacks a comma is delivered.
    let pretty = "{\n \"eventVersion\": \"1.11\"\n \"a\":\n {\"b\": 1}\n}".to_owned();
    assert_eq!(read(&pretty), (vec![pretty.clone()], vec![]));
}

#[test]
fn record_after_a_longer_one_than_accepted_is_found_in_export_lines() {
    let giant = format!(r#"{{"eventVersion":"{}"}}"#, "x".repeat(MAX_RECORD));
    let text = export(&[record(0), giant, record(1), record(2)]);
    for size in [text.len(), 50 << 20] {
        let (found, damaged) = read_in_windows(&text, size);
        assert_eq!((found, damaged), (records(0..3), vec![Damage::TooLong]));
    }
}

#[test]
fn cut_record_without_a_separator_costs_only_itself() {
    let [before, sound, after] = [record(0), record(1), record(2)];
    for end in 2..sound.len() {
        let text = [&before, &sound[..end], &after, &record(3)].concat();
        let (found, damaged) = read_in_windows(&text, 20);
        // After a colon, an object is the member's value.
        let expected = match sound[..end].ends_with(':') {
            true => vec![before.clone(), record(3)],
            false => vec![before.clone(), after.clone(), record(3)],
        };
        assert_eq!(found, expected, "{text}");
        assert_eq!(damaged, [Damage::Unbalanced], "{text}");
    }
    let text = [&before, &sound[..50], &after].concat();
    assert_eq!(read(&text).0, [before, after]);
}

#[test]
fn a_record_may_start_with_the_key_of_a_wrapper() {
    let inner = record(9);
    let with = |key: &str, value: &str, rest: &str| format!(r#"{{"{key}":{value},{rest}}}"#);
    let string = quoted(&inner);
    for (key, value) in [
        ("Records", format!("[{inner}]")),
        ("Records", "[]".to_owned()),
        ("Events", format!(r#"[{{"CloudTrailEvent":{string}}}]"#)),
        ("logEvents", format!(r#"[{{"message":{string}}}]"#)),
    ] {
        for rest in [
            r#""eventVersion":"1""#,
            r#""a":1,"eventTime":"t""#,
            r#""eventName":"n","eventSource":"s""#,
        ] {
            let all = [record(0), with(key, &value, rest), record(1)];
            let strings = all
                .iter()
                .map(|text| format!(r#"{{"message":{}}}"#, quoted(text)));
            let strings = strings.collect::<Vec<_>>().join(",");
            for text in [
                format!(r#"{{"Records":[{}]}}"#, all.join(",")),
                format!("[{}]", all.join(",")),
                all.join("\n"),
                all.concat(),
                export(&all),
                format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{strings}]}}"#),
            ] {
                assert_eq!(read_all(&text), (all.to_vec(), vec![], 0), "{text}");
            }
        }
    }
}

#[test]
fn wrappers_after_other_values_are_opened_damaged_or_not() {
    let log = |numbers| format!(r#"{{"Records":[{}]}}"#, records(numbers).join(","));
    let (first, second) = (log(0..2), log(2..4));
    for text in [
        format!("{first}{second}"),
        format!("{first}\n{second}"),
        format!("[{first},{second}]"),
        format!("{}{second}", records(0..2).concat()),
    ] {
        assert_eq!(read(&text), (records(0..4), vec![]), "{text}");
    }
    let cut = &second[..second.len() - 2];
    let text = format!("{first}{cut}");
    assert_eq!(read(&text), (records(0..4), vec![Damage::Unclosed]));
}

#[test]
fn closing_brace_too_many_is_counted_between_all_values() {
    for text in [
        format!(r#"{{"Records":[{}}},{}]}}"#, record(0), record(1)),
        format!("[{}}},{}]", record(0), record(1)),
        format!("{}}}\n{}\n", record(0), record(1)),
        format!("{}}}{}", record(0), record(1)),
        export(&[format!("{}}}", record(0)), record(1)]),
    ] {
        assert_eq!(
            read(&text),
            (records(0..2), vec![Damage::Unbalanced]),
            "{text}"
        );
    }
    let several = format!("{}}} }}\n}}{}}}", record(0), record(1));
    assert_eq!(read(&several), (records(0..2), vec![Damage::Unbalanced; 2]));
}

#[test]
fn damage_is_located() {
    let place = |text: &str| collect(text, 30).places;
    let all = format!(r#"{{"Records":[{},5,{}]}}"#, record(0), record(1));
    assert_eq!(place(&all), [all.find(",5").expect("it") as u64 + 1]);
    let cut = format!("[{},{}", record(0), &record(1)[..20]);
    assert_eq!(place(&cut), [record(0).len() as u64 + 2]);
    let event = format!(r#"{{"message":{}}}"#, quoted(&record(1)[..20]));
    let text = format!(r#"{{"Events":[{},{event}]}}"#, log_events(0..1));
    assert_eq!(place(&text), [text.find(&event).expect("it") as u64]);
}

#[test]
fn time_of_an_eventbridge_event_is_a_time_of_last_resort() {
    let event = |time: &str| {
        format!(
            r#"{{"detail-type":"x","time":{time},"detail":{}}}"#,
            record(0)
        )
    };
    let text = format!(
        "{}\n{}\n{}",
        event(r#""2026-01-14T12:00:00Z""#),
        event("null"),
        record(0)
    );
    let found = collect(&text, 10);
    assert_eq!(found.times, [Some(EXPORT_TIME), None, None]);
    assert_eq!(found.records, vec![record(0); 3]);
}

/// Braces without a key are not scanned in a search for a record.
#[test]
fn repeated_brackets_take_little_work() {
    for pattern in ["[{", "{[", "[[{", "{{", "[{}{"] {
        let text = format!("{}{}", record(0), pattern.repeat(1 << 19));
        let (found, damaged) = read_in_windows(&text, text.len());
        assert_eq!(found, records(0..1), "{pattern}");
        assert!(
            !damaged.is_empty() && !damaged.contains(&Damage::GivenUp),
            "{pattern}: {damaged:?}"
        );
    }
}
