//! Hostile files, made here, through the plugin library: what is whole arrives, what is not is counted, nothing fails,
//! and neither time nor memory goes without bound.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cloudtrail::host::{MetricValue, Plugin, Value};
use support::scratch::{Scratch, gzip, plain_log};

/// What a source gave: the eventIDs in order, and the figures that are not 0 without `cloudtrail.`.
#[derive(Debug, PartialEq)]
struct Given {
    ids: Vec<String>,
    figures: Vec<(String, u64)>,
}

impl Given {
    fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(other, _)| other == name);
        found.map_or(0, |(_, value)| *value)
    }

    /// Everything that says that something was wrong.
    fn trouble(&self) -> Vec<(&str, u64)> {
        let says = |name: &str| {
            ["damaged.", "errors.", "skipped."]
                .iter()
                .any(|it| name.starts_with(it))
        };
        self.figures
            .iter()
            .filter(|(name, _)| says(name))
            .map(|(name, value)| (name.as_str(), *value))
            .collect()
    }
}

/// Reads `path` to its end with a plugin of its own.
fn read(path: &Path, config: &str) -> Given {
    let plugin = support::plugin(config);
    let id = plugin.request("ct.id").expect("a field");
    let mut ids = Vec::new();
    support::each_event(&plugin, path, |event| {
        let mut answer = plugin
            .extract_values(event, &[&id], false)
            .expect("an answer");
        ids.push(match answer.remove(0).value {
            Some(Value::Str(id)) => String::from_utf8_lossy(&id).into_owned(),
            other => format!("{other:?}"),
        });
    });
    Given {
        ids,
        figures: figures(&plugin),
    }
}

fn figures(plugin: &Plugin) -> Vec<(String, u64)> {
    let metrics = plugin.metrics().into_iter();
    metrics
        .filter_map(|metric| match metric.value {
            MetricValue::U64(0) => None,
            MetricValue::U64(value) => Some((
                metric.name.trim_start_matches("cloudtrail.").to_owned(),
                value,
            )),
            other => panic!("{} is {other:?}", metric.name),
        })
        .collect()
}

/// What `ctcat` says of a source: its events, its peak memory in MB and the plugin's figures. In a process of its own,
/// because memory is counted for a whole process.
fn read_apart(path: &Path, config: &str) -> (u64, f64, Given) {
    let run = Command::new(env!("CARGO_BIN_EXE_ctcat"))
        .args(["--count", "--stats", "--config", config, "--library"])
        .arg(support::library())
        .arg(path)
        .output()
        .expect("ctcat runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{told}");
    let peak = told
        .split("peak memory ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let figures = told
        .lines()
        .filter_map(|line| line.strip_prefix("cloudtrail.")?.split_once(' '))
        .map(|(name, value)| (name.to_owned(), value.trim().parse().expect("a number")))
        .filter(|(_, value)| *value > 0)
        .collect();
    let count = String::from_utf8_lossy(&run.stdout)
        .trim()
        .parse()
        .expect("a count");
    let given = Given {
        ids: Vec::new(),
        figures,
    };
    (
        count,
        peak.and_then(|peak| peak.parse().ok()).expect("a peak"),
        given,
    )
}

fn record(id: impl std::fmt::Display) -> String {
    format!(
        r#"{{"eventVersion":"1.11","eventTime":"2026-01-14T12:00:00Z","userIdentity":{{"type":"Root"}},"eventID":"{id}"}}"#
    )
}

fn wrap(records: &[&str]) -> Vec<u8> {
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}

#[test]
fn every_shape_of_file_gives_its_whole_records_and_counts_the_rest() {
    let scratch = Scratch::new("hostile-shapes");
    let (a, b) = (record("a"), record("b"));
    let (a, b) = (a.as_str(), b.as_str());
    let odd = |inside: &[u8]| {
        let (head, tail) = a.split_at(1);
        let odd = [
            head.as_bytes(),
            b"\"userAgent\":",
            inside,
            b",",
            tail.as_bytes(),
        ]
        .concat();
        [
            b"{\"Records\":[".as_slice(),
            &odd,
            b",",
            b.as_bytes(),
            b"]}",
        ]
        .concat()
    };
    let between = |damaged: &str| wrap(&[a, damaged, b]);
    let text = |parts: &[&str]| parts.concat().into_bytes();
    let none: &[(&str, u64)] = &[];
    let unbalanced: &[(&str, u64)] = &[("damaged.unbalanced", 1)];
    let not_an_object: &[(&str, u64)] = &[("damaged.not_an_object", 1)];
    let cut_off: &[(&str, u64)] = &[("damaged.cut_off", 1)];
    let cases: Vec<(&str, Vec<u8>, &str, &[(&str, u64)])> = vec![
        ("one record a line", text(&[a, "\n", b, "\n"]), "a b", none),
        (
            "one a line, carriage returns, no end",
            text(&[a, "\r\n\r\n", b]),
            "a b",
            none,
        ),
        ("a bare array", text(&["[", a, ",\n", b, "]"]), "a b", none),
        ("a bare record", text(&[a]), "a", none),
        (
            "an envelope",
            text(&[
                r#"{"detail-type":"AWS API Call via CloudTrail","detail":"#,
                a,
                "}",
            ]),
            "a",
            none,
        ),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", &wrap(&[a, b])[..]].concat(),
            "a b",
            none,
        ),
        (
            "other keys around",
            text(&[
                r#"{"x":[{"y":1}],"Records":["#,
                a,
                r#"],"z":{"Records":null}}"#,
            ]),
            "a",
            none,
        ),
        (
            "two wrappers",
            text(&[r#"{"Records":["#, a, r#"]}{"Records":["#, b, "]}"]),
            "a b",
            none,
        ),
        (
            "bad UTF-8",
            odd(b"\"\xff\xc0\xaf\xed\xa0\x80\""),
            "a b",
            none,
        ),
        (
            "lone surrogates",
            odd(br#""\ud800 \udc00\ud83d""#),
            "a b",
            none,
        ),
        (
            "raw control characters",
            odd(b"\"\x00\x01\n\r\t\x7f\""),
            "a b",
            none,
        ),
        ("numbers out of range", odd(b"1e999999"), "a b", none),
        (
            "a number of 10,000 digits",
            odd("9".repeat(10_000).as_bytes()),
            "a b",
            none,
        ),
        ("words that are no JSON", odd(b"NaN"), "a b", none),
        (
            "braces in strings",
            odd(br#""}]},{\"eventVersion\":\"1.11\",\"eventID\":\"no\"},[{""#),
            "a b",
            none,
        ),
        ("null for a record", between("null"), "a b", not_an_object),
        (
            "a text for a record",
            between(r#""},{""#),
            "a b",
            not_an_object,
        ),
        (
            "an array for a record",
            between(r#"[{"eventTime":1}]"#),
            "a b",
            not_an_object,
        ),
        (
            "no closing brace",
            between(r#"{"eventTime":"x","c":{"d":1}"#),
            "a b",
            unbalanced,
        ),
        (
            "no closing quote",
            between(r#"{"eventTime":"x}"#),
            "a b",
            unbalanced,
        ),
        (
            "a quote too many",
            between(r#"{"c":"d""}"#),
            "a b",
            unbalanced,
        ),
        ("a stray quote", between("\""), "a b", unbalanced),
        ("a wrong bracket", between(r#"{"c":[1}"#), "a b", unbalanced),
        (
            "the array closed too early",
            text(&[r#"{"Records":["#, a, "]},", b, "]}"]),
            "a b",
            none,
        ),
        (
            "bytes behind the end",
            [&wrap(&[a, b])[..], b"\0\0\0\0"].concat(),
            "a b",
            not_an_object,
        ),
        (
            "cut in a record",
            text(&[r#"{"Records":["#, a, ",", &b[..40]]),
            "a",
            cut_off,
        ),
        (
            "cut before a record",
            text(&[r#"{"Records":["#, a, ","]),
            "a",
            none,
        ),
        ("empty", Vec::new(), "", none),
        ("white space", b" \n\t\r\n ".repeat(1000), "", none),
        ("an empty wrapper", wrap(&[]), "", none),
        ("zeros", vec![0; 100_000], "", not_an_object),
        ("0xff", vec![0xff; 100_000], "", not_an_object),
        (
            "UTF-16",
            text(&[a]).iter().flat_map(|&byte| [byte, 0]).collect(),
            "",
            &[("skipped.no_time", 1), ("damaged.not_an_object", 1)],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, content, ids, trouble) in cases {
        for (name, stored) in [
            ("case.json", content.clone()),
            ("case.json.gz", gzip(&content)),
        ] {
            let given = read(&scratch.write(name, &stored), "{}");
            if given.ids.join(" ") != ids || given.trouble() != trouble {
                wrong.push(format!(
                    "{what}, {name}: {given:?} instead of {ids:?} {trouble:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn damaged_gzip_gives_the_records_before_the_damage_and_counts_an_error() {
    let scratch = Scratch::new("hostile-gzip");
    let sound = gzip(&plain_log("r-", 50));
    let flipped = |from_end: usize| {
        let mut file = sound.clone();
        let at = file.len() - from_end;
        file[at] ^= 0x55;
        file
    };
    let cases: [(&str, Vec<u8>, usize); 9] = [
        ("the magic number alone", vec![0x1f, 0x8b], 0),
        ("a header alone", sound[..10].to_vec(), 0),
        ("no trailer", sound[..sound.len() - 8].to_vec(), 50),
        ("half a trailer", sound[..sound.len() - 4].to_vec(), 50),
        ("a wrong checksum", flipped(8), 50),
        ("a wrong length", flipped(1), 50),
        ("bytes behind it", [&sound[..], b"rubbish"].concat(), 50),
        (
            "half a member behind it",
            [&sound[..], &sound[..sound.len() / 2]].concat(),
            51,
        ),
        (
            "an unknown method",
            [b"\x1f\x8b\x07", &sound[3..]].concat(),
            0,
        ),
    ];
    for (what, content, at_least) in cases {
        let given = read(&scratch.write("case.json.gz", &content), "{}");
        assert!(
            given.ids.len() >= at_least,
            "{what}: {} records",
            given.ids.len()
        );
        let sorted = given
            .ids
            .iter()
            .enumerate()
            .all(|(at, id)| *id == format!("r-{}", at % 50));
        assert!(sorted, "{what}: {given:?}");
        assert_eq!(given.figure("errors.gzip"), 1, "{what}: {given:?}");
    }
    let zeros = [&sound[..], &[0; 512]].concat();
    let padded = read(&scratch.write("case.json.gz", &zeros), "{}");
    assert_eq!(
        (padded.ids.len(), padded.trouble()),
        (50, vec![]),
        "zeros behind it"
    );
}

#[test]
fn a_file_cut_at_any_byte_gives_what_is_whole() {
    let scratch = Scratch::new("hostile-cuts");
    let whole = wrap(&[&record(0), &record(1), &record(2)]);
    let ends = [0, 1, 2].map(|id| {
        let record = record(id).into_bytes();
        let at = whole
            .windows(record.len())
            .position(|it| it == record)
            .expect("it is there");
        at + record.len()
    });
    let mut expected = Vec::new();
    for cut in 0..=whole.len() {
        scratch.write(&format!("{cut:04}.json"), &whole[..cut]);
        expected.extend(
            (0..3)
                .filter(|&id| ends[id] <= cut)
                .map(|id| id.to_string()),
        );
    }
    let given = read(scratch.path(), "{}");
    assert_eq!(given.ids, expected);
    assert_eq!(given.figure("objects"), whole.len() as u64 + 1);
}

#[test]
fn a_thousand_damaged_records_cost_themselves_alone_and_little_time() {
    let scratch = Scratch::new("hostile-thousand");
    let bad = [
        r#"{"eventTime":"x","a":{"b":1}"#,
        r#"{"eventTime":"x","a":[}"#,
        r#"{"a":1}}"#,
        "\"",
        r#"{"a":"b"c"}"#,
        "nonsense",
    ];
    let mut records = Vec::new();
    for number in 0..20_000 {
        records.push(record(number));
        if number % 20 == 0 {
            records.push(bad[number / 20 % bad.len()].to_owned());
        }
    }
    let expected: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    for (form, content) in [
        (
            "wrapped",
            wrap(&records.iter().map(String::as_str).collect::<Vec<_>>()),
        ),
        ("lines", records.join("\n").into_bytes()),
    ] {
        let path = scratch.write("damaged.json.gz", &gzip(&content));
        let started = Instant::now();
        let given = read(&path, "{}");
        let took = started.elapsed();
        let lost = expected
            .iter()
            .filter(|id| !given.ids.contains(id))
            .count()
            .min(1);
        assert_eq!(lost, 0, "{form}: whole records are lost");
        let damaged: u64 = given.trouble().iter().map(|(_, count)| count).sum();
        assert!(
            (830..=2000).contains(&damaged),
            "{form}: {damaged} counted, {:?}",
            given.trouble()
        );
        assert!(took < Duration::from_secs(10), "{form}: {took:?}");
    }
}

#[test]
fn bombs_are_refused_in_bounded_memory_and_the_other_files_delivered() {
    let scratch = Scratch::new("hostile-bombs");
    let head = gzip(
        format!(
            r#"{{"Records":[{},{{"eventTime":"2026-01-14T12:00:00Z","a":"#,
            record("first")
        )
        .as_bytes(),
    );
    let bomb = |filler: &[u8]| {
        let member = gzip(&filler.repeat((8 << 20) / filler.len()));
        [&head[..], &member.repeat(30)].concat()
    };
    scratch.write("1.json.gz", &gzip(&plain_log("before-", 10)));
    scratch.write(
        "2-string.json.gz",
        &[&head[..], &gzip(b"\""), &bomb(b"a")[head.len()..]].concat(),
    );
    scratch.write("3-space.json.gz", &bomb(b" "));
    scratch.write(
        "4-records.json.gz",
        &bomb(format!("1}},{}", record("x").strip_suffix('}').expect("an object")).as_bytes()),
    );
    scratch.write("5-numbers.json.gz", &bomb(b"1,"));
    scratch.write("6.json.gz", &gzip(&plain_log("after-", 10)));
    let (events, peak, given) = read_apart(
        scratch.path(),
        r#"{"maxObjectBytes":100000000,"decodeThreads":1}"#,
    );
    assert_eq!(given.figure("errors.too_large"), 4, "{given:?}");
    assert_eq!(given.figure("objects"), 6);
    assert!(events >= 24, "{events} events");
    assert!(peak < 500.0, "{peak} MB");
}

#[test]
fn a_record_over_64_mib_is_counted_and_its_neighbours_arrive() {
    let scratch = Scratch::new("hostile-giant");
    let giant = record("giant").replacen(
        '{',
        &format!("{{\"userAgent\":\"{}\",", "y".repeat(65 << 20)),
        1,
    );
    let path = scratch.write(
        "giant.json.gz",
        &gzip(&wrap(&[&record("a"), &giant, &record("b")])),
    );
    let (events, peak, given) = read_apart(&path, "{}");
    assert_eq!(
        (events, given.trouble()),
        (2, vec![("damaged.too_long", 1)])
    );
    assert!(peak < 400.0, "{peak} MB");
}

#[test]
fn a_million_tiny_records_arrive_in_little_memory() {
    let scratch = Scratch::new("hostile-tiny");
    let path = scratch.write(
        "tiny.json.gz",
        &gzip(&wrap(&vec![
            r#"{"eventTime":"2026-01-14T12:00:00Z"}"#;
            1_000_000
        ])),
    );
    let (events, peak, given) = read_apart(&path, "{}");
    assert_eq!((events, given.trouble()), (1_000_000, vec![]));
    assert!(peak < 200.0, "{peak} MB");
}
