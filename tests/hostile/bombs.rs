//! Files that want more memory than they should get.

use crate::given::{read_apart, record, wrap};
use crate::support::scratch::{Scratch, gzip, plain_log};

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
    assert!(peak < 450.0, "{peak} MB");
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
    assert!(peak < 200.0, "{peak} MB");
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
    assert!(peak < 60.0, "{peak} MB");
}
