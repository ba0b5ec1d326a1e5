use super::*;
use crate::tape::MAX_CONTAINERS;

/// The `n` of each record that is found, and what was damaged.
#[derive(Default)]
struct Found {
    tapes: Tapes,
    records: Vec<String>,
    damage: Vec<Damage>,
}

impl RecordSink for Found {
    fn tapes(&mut self) -> &mut Tapes {
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

/// Reads `text` whole and in windows of every size: the results must be the same.
fn read(text: &str) -> (Vec<String>, Vec<Damage>) {
    let whole = read_in_windows(text, text.len());
    for size in 1..text.len() {
        let windows = read_in_windows(text, size);
        assert_eq!(windows, whole, "in windows of {size} bytes: {text}");
    }
    whole
}

fn read_in_windows(text: &str, size: usize) -> (Vec<String>, Vec<Damage>) {
    let mut found = Found::default();
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
fn every_container_is_read() {
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
fn damage_costs_the_record_that_it_is_in() {
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
fn two_missing_quotes_do_not_hide_what_is_between() {
    let bad = r#"{"eventVersion":"1","a":"x}"#;
    let text = format!(r#"{{"Records":[{bad},{},{bad}]}}"#, record(0));
    let (found, damaged) = read(&text);
    assert_eq!(found, records(0..1));
    assert_eq!(damaged, [Damage::Unbalanced, Damage::CutOff]);
}

#[test]
fn a_cut_off_file_gives_its_whole_records() {
    let text = format!(r#"{{"Records":[{},{}"#, record(0), &record(1)[..20]);
    assert_eq!(read(&text), (records(0..1), vec![Damage::CutOff]));
    for end in ["{", "{\"", "[", "\"", "\"event"] {
        let text = format!(r#"{{"Records":[{},{end}"#, record(0));
        assert_eq!(read(&text), (records(0..1), vec![Damage::CutOff]), "{end}");
    }
    assert_eq!(read("{"), (vec![], vec![Damage::CutOff]));
}

#[test]
fn a_list_that_does_not_end_is_told() {
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
    // Valid, but for the end: what it takes for a part of itself is at least missed.
    let others = format!("{},{}", record(1), record(2));
    let open = first.replace(r#"]}"#, &format!(r#"],"x":[{others}]}}"#));
    let (_, damaged) = read(&format!(r#"{{"Records":[{open}"#));
    assert_eq!(damaged, [Damage::Unclosed]);
}

#[test]
fn a_bracket_that_is_not_what_it_was_hides_nothing() {
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
fn a_wrapper_without_an_array_is_no_record() {
    assert_eq!(read(r#"{"Records":null}"#), (vec![], vec![]));
    let object = format!(r#"{{"Records":{}}}"#, record(0));
    assert_eq!(read(&object), (vec![], vec![Damage::NotAnObject]));
}

#[test]
fn a_record_with_a_key_records_is_a_record() {
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
fn wrappers_in_each_other_take_bounded_time() {
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
    // Side by side, they may be as many as there are.
    let many = format!("[{}]", vec![format!("{direct}]}}"); 2_000_000].join(","));
    assert_eq!(whole(&many), (vec![], vec![]));
}

#[test]
fn a_record_may_have_so_many_containers_and_one_more_costs_it_alone() {
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
