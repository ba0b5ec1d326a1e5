//! Tests of rate limits, bounds and the lost log.

use super::*;
use std::fs;
use std::path::PathBuf;

#[test]
fn lines_of_one_kind_are_rate_limited() {
    let (log, start) = (Log::default(), Instant::now());
    let damaged = |seconds: u64| {
        let now = start + Duration::from_secs(seconds);
        log.limited_at(now, "gzip", Severity::Error, &"damaged");
    };
    (0..2000).for_each(|_| damaged(0));
    let lines = log.take();
    assert_eq!(lines.len(), BURST as usize);
    assert_eq!(lines[0].1, "damaged");
    assert!(lines[99].1.contains("one a second"), "{lines:?}");
    damaged(1);
    damaged(1);
    let lines = log.take();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].1, "damaged (1,900 similar messages suppressed)");
    (0..2000).for_each(|_| damaged(100_000));
    assert_eq!(log.take().len(), BURST as usize);
    let later = start + Duration::from_secs(100_000) + FLUSH;
    let lines = log.take_at(later);
    assert_eq!(lines[0].1, "gzip: 1,900 similar messages suppressed");
    assert!(log.take_at(later + FLUSH).is_empty());
}

#[test]
fn numbers_have_thousands_separators() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (1_234_567, "1,234,567"),
    ] {
        assert_eq!(grouped(number), text);
    }
    assert_eq!(similar(1), "1 similar message suppressed");
}

#[test]
fn line_logged_once_does_not_suppress_other_kinds() {
    let log = Log::default();
    for _ in 0..3 {
        log.once("one", Severity::Error, "one");
        log.once("two", Severity::Error, "two");
    }
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].1.starts_with("one (further"), "{lines:?}");
}

#[test]
fn queue_is_bounded_and_dropped_lines_are_counted() {
    let log = Log::default();
    for _ in 0..MAX_LINES + 3 {
        log.line(Severity::Info, "x");
    }
    let lines = log.take();
    assert_eq!(lines.len(), MAX_LINES + 1);
    assert!(
        lines[MAX_LINES].1.starts_with("3 log lines dropped"),
        "{lines:?}"
    );
}

#[test]
fn every_lost_object_is_logged_even_if_the_queue_is_full() {
    let log = Log::default();
    for _ in 0..2 * MAX_LINES {
        log.line(Severity::Info, "x");
    }
    for number in 0..2000 {
        log.lost(&format!("s3://b/{number}"), "AccessDenied", "skipped");
    }
    // Other lines have their own bound.
    let lines = log.take();
    assert_eq!(lines.len(), MAX_LINES + 2000 + 1);
    for number in 0..2000 {
        let (severity, line) = &lines[MAX_LINES + number];
        assert_eq!(*severity, Severity::Error);
        assert_eq!(*line, format!("s3://b/{number}: AccessDenied; skipped"));
    }
    log.lost("s3://b/next", "NoSuchKey", "skipped");
    assert_eq!(log.take().len(), 1);
}

#[test]
fn lost_object_lines_are_bounded() {
    let log = Log::default();
    for _ in 0..MAX_LOST_LINES + 1000 {
        log.lost("k", "c", "o");
    }
    log.line(Severity::Info, "still room");
    let lines = log.take();
    assert_eq!(lines.len(), MAX_LOST_LINES + 2);
    let (severity, line) = &lines[MAX_LOST_LINES + 1];
    assert_eq!(*severity, Severity::Error);
    assert!(
        line.starts_with("1,000 lines about lost objects dropped"),
        "{line}"
    );
}

#[test]
fn control_characters_are_escaped_and_long_lines_truncated() {
    let log = Log::default();
    log.line(Severity::Info, "a\u{1b}[31m\nb");
    log.lost(&"é".repeat(10_000), "c", "o");
    let lines = log.take();
    assert_eq!(lines[0].1, "a\\u{1b}[31m\\nb");
    assert_eq!(lines[1].1, format!("{}…", "é".repeat(MAX_LINE_BYTES / 2)));
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("cloudtrail-{}-{name}", std::process::id()))
}

#[test]
fn lost_log_records_every_loss_and_the_log_is_rate_limited() {
    let path = temporary("lost-log");
    fs::write(&path, "earlier\n").expect("a file");
    let log = Log::default();
    log.set_lost_log("").expect("nothing to open");
    log.set_lost_log(path.to_str().expect("UTF-8"))
        .expect("a file that can be written");
    for number in 0..2000 {
        log.lost(
            &format!("s3://b/{number}\n\""),
            "AccessDenied: no",
            "skipped",
        );
    }
    let lines = log.take();
    assert_eq!(lines.len(), BURST as usize);
    assert_eq!(lines[7].1, "s3://b/7\\n\": AccessDenied: no; skipped");
    let text = fs::read_to_string(&path).expect("the file");
    fs::remove_file(&path).expect("the file is removed");
    let mut recorded = text.lines();
    assert_eq!(recorded.next(), Some("earlier"), "the file is appended to");
    let recorded: Vec<serde_json::Value> = recorded
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(recorded.len(), 2000);
    assert_eq!(recorded[1999]["object"], "s3://b/1999\n\"");
    assert_eq!(recorded[1999]["cause"], "AccessDenied: no");
    assert_eq!(recorded[1999]["outcome"], "skipped");
    let time = recorded[0]["time"].as_str().expect("a time");
    assert!(crate::timestamp::parse(time.as_bytes()).is_some(), "{time}");
}

#[test]
fn unopenable_lost_log_is_an_error_with_path_and_cause() {
    let error = Log::default()
        .set_lost_log("/no/such/folder/lost")
        .expect_err("no folder");
    let message = error.to_string();
    assert!(
        message.contains("\"/no/such/folder/lost\"") && message.contains("No such file"),
        "{message}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn loss_that_cannot_be_recorded_is_logged() {
    let log = Log::default();
    log.set_lost_log("/dev/full").expect("it opens");
    for number in 0..1000 {
        log.lost(&format!("s3://b/{number}"), "NoSuchKey", "skipped");
    }
    let lines = log.take();
    assert_eq!(
        lines.len(),
        1001,
        "one line for each loss, and one for the full file"
    );
    assert!(
        lines[0]
            .1
            .starts_with("lostLog: \"/dev/full\" cannot be written: "),
        "{lines:?}"
    );
    assert_eq!(lines[1000].1, "s3://b/999: NoSuchKey; skipped");
}
