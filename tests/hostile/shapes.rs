//! One small file of each kind: accepted forms, unusual values, damage, and files that are no logs.

use crate::read_source::{read, record, wrap};
use crate::support::scratch::{Scratch, gzip};

/// Name of the file, its bytes, the ids of its good records, and the metrics that are not 0.
type Case = (
    &'static str,
    Vec<u8>,
    &'static str,
    &'static [(&'static str, u64)],
);

#[test]
fn every_shape_of_file_delivers_its_complete_records_and_counts_the_rest() {
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
    let cases: Vec<Case> = vec![
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
            "two without a closing quote, one between them",
            wrap(&[a, r#"{"eventTime":"x}"#, b, r#"{"eventTime":"x}"#]),
            "a b",
            &[("damaged.unbalanced", 1), ("damaged.cut_off", 1)],
        ),
        (
            "the array closed inside of a record",
            text(&[r#"{"Records":["#, a, r#",{"c":d}]e":1,"f":"g"},"#, b, "]}"]),
            "a b",
            &[("skipped.no_time", 1), ("damaged.unbalanced", 1)],
        ),
        (
            "a wrapper's key far after damage",
            text(&[
                r#"{"eventTime":"x]"#,
                "\n",
                a,
                "\n",
                b,
                "\n",
                r#"{"eventTime":1,"c":{"Records":[1]}}"#,
            ]),
            "a b",
            &[("skipped.no_time", 1), ("damaged.unbalanced", 1)],
        ),
        (
            "a key of the wrapper without a value",
            text(&[r#"{"Records":["#, a, r#"],"x":,"#, b, "]}"]),
            "a b",
            none,
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
            unbalanced,
        ),
        (
            "bytes after the end",
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
            cut_off,
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
            &[("skipped.not_a_log", 1)],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, content, ids, errors) in cases {
        for (name, stored) in [
            ("case.json", content.clone()),
            ("case.json.gz", gzip(&content)),
        ] {
            let result = read(&scratch.write(name, &stored), "{}");
            if result.ids.join(" ") != ids || result.errors() != errors {
                wrong.push(format!(
                    "{what}, {name}: {result:?} instead of {ids:?} {errors:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
