//! What is counted and logged of damage, and of files that are no text in UTF-8.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use cloudtrail::host::Plugin;

use crate::support::scratch::{Scratch, gzip};
use crate::{delivered, envelope, metric, records, support};

/// What the plugin delivers of a file with this name and content, and the plugin with its log.
fn read(name: &str, content: &[u8]) -> (Vec<Vec<u8>>, Plugin, String) {
    let lines = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&lines);
    let plugin = Plugin::load_with_log(&support::library(), "", move |_, text| {
        log.lock().expect("lines").push_str(&format!("{text}\n"));
    });
    let plugin = plugin.expect("it loads");
    let scratch = Scratch::new("formats-report");
    let path = scratch.write(name, content);
    let payloads = support::payloads(&plugin, &path);
    let lines = lines.lock().expect("lines").clone();
    (payloads, plugin, lines)
}

fn export(records: &[String]) -> String {
    let line = |record: &String| format!("2026-01-14T09:00:00.000Z {record}\n");
    records.iter().map(line).collect()
}

#[test]
fn damaged_export_line_costs_itself_and_is_counted_and_located() {
    let mut lines = records(100);
    let sound = lines.clone();
    let bad = &sound[10];
    for damaged in [
        bad[..bad.len() / 2].to_owned(),
        bad[..bad.len() - 1].to_owned(),
        bad.replacen("\"1.08\"", "\"1.08", 1),
        bad.replacen("\"1.08\"", "\"1.08\"\"", 1),
        bad.replacen(',', ",{{", 1),
        format!("{bad}}}"),
        "{".to_owned(),
    ] {
        let whole_is_left = damaged.starts_with(bad.as_str());
        lines[10] = damaged;
        let text = export(&lines);
        let at = text.match_indices("Z {").nth(10).expect("the line").0 + 2;
        for (name, content) in [
            ("000000.json", text.clone().into_bytes()),
            ("000000.gz", gzip(text.as_bytes())),
        ] {
            let (payloads, plugin, log) = read(name, &content);
            let expected = sound.iter().enumerate();
            let expected = expected.filter(|(number, _)| *number != 10 || whole_is_left);
            assert!(
                payloads
                    .iter()
                    .eq(expected.map(|(_, record)| record.as_bytes())),
                "{}",
                lines[10]
            );
            assert_eq!(metric(&plugin, "damaged.unbalanced"), "1", "{}", lines[10]);
            let at = at + if whole_is_left { bad.len() } else { 0 };
            let place = format!("at byte {at} of the text");
            assert!(log.contains(&place), "{place}: {log}");
        }
    }
}

#[test]
fn odd_quotes_in_many_export_lines_hide_no_sound_record() {
    let sound = records(400);
    let mut lines = sound.clone();
    for line in lines.iter_mut().step_by(8) {
        *line = line.replacen("\"1.08\"", "\"1.08", 1);
    }
    let plugin = support::plugin("");
    let given = delivered(&plugin, "formats-odd-quotes", export(&lines).as_bytes());
    let is_sound = |number: &usize| !number.is_multiple_of(8);
    let expected: Vec<_> = (0..400)
        .filter(is_sound)
        .map(|n| sound[n].clone())
        .collect();
    assert_eq!(given, expected);
    assert_eq!(metric(&plugin, "damaged.unbalanced"), "50");
}

#[test]
fn log_event_that_is_cut_off_is_not_taken_for_the_end_of_the_file() {
    let mut texts = records(3);
    texts[1].truncate(60);
    let (payloads, plugin, log) = read("log.json", envelope(&texts).as_bytes());
    assert_eq!(payloads.len(), 2);
    assert_eq!(metric(&plugin, "damaged.cut_off"), "0");
    assert_eq!(metric(&plugin, "damaged.unbalanced"), "1");
    assert!(log.contains("a record in a string"), "{log}");
}

#[test]
fn record_that_starts_with_a_list_named_records_is_delivered_as_it_is() {
    let inner = records(1).remove(0);
    let odd = format!(
        r#"{{"Records":[{inner}],"eventVersion":"1.08","eventTime":"2026-01-14T09:00:00Z"}}"#
    );
    let all = [inner.clone(), odd, inner];
    for content in [
        format!(r#"{{"Records":[{}]}}"#, all.join(",")),
        format!("[{}]", all.join(",")),
        all.join("\n"),
        all.concat(),
        export(&all),
        envelope(&all),
    ] {
        let plugin = support::plugin("");
        assert_eq!(
            delivered(&plugin, "formats-odd-key", content.as_bytes()),
            all
        );
        crate::assert_undamaged(&plugin);
    }
}

#[test]
fn content_that_is_no_text_in_utf_8_is_named() {
    let text = format!(r#"{{"Records":[{}]}}"#, records(1)[0]);
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_32: Vec<u8> = text
        .chars()
        .flat_map(|char| u32::from(char).to_be_bytes())
        .collect();
    let layers = |count: usize| (0..count).fold(text.clone().into_bytes(), |text, _| gzip(&text));
    for (content, shape) in [
        (utf_16.clone(), "UTF-16"),
        ([b"\xff\xfe", &utf_16[..]].concat(), "UTF-16"),
        (utf_32, "UTF-32"),
        (b"PK\x03\x04xxxx".to_vec(), "zip"),
        (b"\x28\xb5\x2f\xfdxxxx".to_vec(), "zstd"),
        (b"BZh91AY&SY".to_vec(), "bzip2"),
        (layers(4), "three layers of gzip"),
    ] {
        let (payloads, plugin, log) = read("log.json", &content);
        assert!(payloads.is_empty() && log.contains(shape), "{shape}: {log}");
        assert_eq!(metric(&plugin, "skipped.not_a_log"), "1", "{shape}");
        crate::assert_undamaged(&plugin);
        if shape.ends_with("gzip") {
            continue;
        }
        let (payloads, plugin, log) = read("log.json.gz", &content);
        assert!(payloads.is_empty() && log.contains(shape), "{shape}: {log}");
        assert_eq!(metric(&plugin, "errors.gzip"), "1", "{shape}");
        let (_, plugin, log) = read("log.json.gz", &gzip(&content));
        assert!(log.contains(shape), "{shape}: {log}");
        assert_eq!(metric(&plugin, "skipped.not_a_log"), "1", "{shape}");
    }
    let (payloads, _, _) = read("log.json", &layers(3));
    assert_eq!(payloads.len(), 1);
    let (_, plugin, log) = read("log.json.gz", b"");
    assert!(log.contains("log.json.gz: it is empty"), "{log}");
    assert_eq!(metric(&plugin, "errors.gzip"), "1");
}
