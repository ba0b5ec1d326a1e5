//! Damage at any offset and in any number of records.

use std::time::{Duration, Instant};

use crate::read_source::{read, record, wrap};
use crate::support::scratch::{Scratch, gzip, plain_log};

#[test]
fn damaged_gzip_delivers_the_records_before_the_damage_and_counts_an_error() {
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
        let result = read(&scratch.write("case.json.gz", &content), "{}");
        assert!(
            result.ids.len() >= at_least,
            "{what}: {} records",
            result.ids.len()
        );
        let sorted = result
            .ids
            .iter()
            .enumerate()
            .all(|(at, id)| *id == format!("r-{}", at % 50));
        assert!(sorted, "{what}: {result:?}");
        assert_eq!(result.metric("errors.gzip"), 1, "{what}: {result:?}");
    }
    let zeros = [&sound[..], &[0; 512]].concat();
    let padded = read(&scratch.write("case.json.gz", &zeros), "{}");
    assert_eq!(
        (padded.ids.len(), padded.errors()),
        (50, vec![]),
        "zeros behind it"
    );
}

#[test]
fn file_cut_at_any_byte_delivers_its_complete_records() {
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
    let result = read(scratch.path(), "{}");
    assert_eq!(result.ids, expected);
    assert_eq!(result.metric("objects"), whole.len() as u64 + 1);
}

#[test]
fn a_thousand_damaged_records_lose_no_other_and_take_little_time() {
    let scratch = Scratch::new("hostile-thousand");
    let bad = [
        r#"{"eventTime":"x","a":{"b":1}"#,
        r#"{"eventTime":"x","a":[}"#,
        r#"{"a":1}}"#,
        "\"",
        r#"{"a":"b"c"}"#,
        r#"{"eventTime":"x}"#,
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
        let result = read(&path, "{}");
        let took = started.elapsed();
        let lost = expected
            .iter()
            .filter(|id| !result.ids.contains(id))
            .count()
            .min(1);
        assert_eq!(lost, 0, "{form}: whole records are lost");
        let damaged: u64 = result.errors().iter().map(|(_, count)| count).sum();
        assert!(
            (830..=2000).contains(&damaged),
            "{form}: {damaged} counted, {:?}",
            result.errors()
        );
        assert!(took < Duration::from_secs(10), "{form}: {took:?}");
    }
}
