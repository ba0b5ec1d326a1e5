//! Every field has the same value in a live and a detached event, and the oracle's value for valid JSON.
//!
//! Input: a JSON pointer for `ct.value`, `ct.values` and `ct.num`, a newline and the payload.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use cloudtrail::testing::{EventPolicy, Arg, Argument, Batch, Extractor, FIELDS, ExtractedValue, Scan, Scanner};
use libfuzzer_sys::fuzz_target;
use oracle::{Expected, Record};
use std::ffi::{CStr, c_char};
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let line = data.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (pointer, payload) = (String::from_utf8_lossy(&data[..line]), &data[line..]);
    let pointer = pointer.replace('\0', "");
    let payload = payload.strip_prefix(b"\n").unwrap_or(payload);
    let mut detached = Extractor::default();
    detached.select_detached(payload);
    let values = all_values(&mut detached, &pointer);
    let mut batch = Batch::default();
    let Scan::Whole { len, tape, .. } = Scanner::default().scan(payload, batch.tapes()) else {
        return;
    };
    if len != payload.len() {
        return;
    }
    batch.push(
        payload,
        tape,
        EventPolicy {
            insights: true,
            fallback_time: Some(0),
        },
    );
    if !batch.is_empty() {
        let mut live = Extractor::default();
        live.select_live(Arc::new(batch), 0);
        assert_eq!(
            all_values(&mut live, &pointer),
            values,
            "live and detached values differ"
        );
    }
    if serde_json::from_slice::<&serde_json::value::RawValue>(payload).is_err() {
        return;
    }
    let Some(record) = Record::read(payload) else {
        return;
    };
    for (number, field) in FIELDS.iter().enumerate() {
        let argument = match field.arg {
            Arg::RequiredKey => Some(&*pointer),
            _ => None,
        };
        let expected = record.value(field.name, argument);
        assert_eq!(values[number], expected, "{}", field.name);
    }
});

/// The values of all fields, and the event's text.
fn all_values(extractor: &mut Extractor, pointer: &str) -> Vec<Option<Expected>> {
    let mut values = Vec::new();
    for (number, field) in FIELDS.iter().enumerate() {
        let argument = match field.arg {
            Arg::RequiredKey => Argument::Key(pointer),
            _ => Argument::None,
        };
        let extracted = extractor.extract(number, argument, true).expect("a field");
        values.push(match extracted.value() {
            ExtractedValue::None => None,
            ExtractedValue::Text(at) => Some(Expected::Text(text(*at))),
            ExtractedValue::Number(number) => Some(Expected::Number(*number)),
            ExtractedValue::List(list) => Some(Expected::List(list.iter().map(|at| text(*at)).collect())),
        });
    }
    values.push(extractor.summary().map(|at| Expected::Text(text(at))));
    values
}

fn text(at: *const c_char) -> String {
    // SAFETY: the extractor's texts are NUL-terminated and valid until the next event is selected.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().expect("always UTF-8").to_owned()
}
