//! All intact records before and after a damaged one are delivered, in each form of log file.
//!
//! Input: a byte that selects the form, and the damaged record without its opening brace.
#![no_main]

mod reading;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&form, damaged)) = data.split_first() else {
        return;
    };
    let good = |id: u32| {
        format!(r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root"}},"eventTime":"2026-01-14T12:00:00Z","resources":[{{"ARN":"a"}}],"eventID":"{id}"}}"#).into_bytes()
    };
    let (open, between) = match form % 4 {
        0 => (r#"{"Records":["#, ","),
        1 => ("[", ","),
        2 => ("", "\n"),
        _ => ("2026-01-14T12:00:00Z ", "\n2026-01-14T12:00:00Z "),
    };
    let parts = [
        good(1),
        good(2),
        [b"{", damaged].concat(),
        good(3),
        good(4),
        good(5),
    ];
    // Without the end of the array, because a damaged record that lacks its own end could extend up to there.
    let text = [open.as_bytes(), &parts.join(between.as_bytes())].concat();
    for window in [text.len(), 64] {
        let content = reading::read(&text, window);
        let mut records = content.records.iter();
        for id in 1..=5 {
            assert!(
                records.any(|record| *record == good(id)),
                "record {id} is lost: {content:?}"
            );
        }
    }
});
