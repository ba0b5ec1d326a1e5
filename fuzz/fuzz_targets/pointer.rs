//! A JSON pointer is accepted if RFC 6901 allows it, with wildcards too, and every field that takes one has the
//! oracle's value.
//!
//! Input: the pointer, a newline and a record.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use cloudtrail::testing::{Arg, Argument, ExtractedValue, Extractor, FIELDS, Pattern, Pointer};
use libfuzzer_sys::fuzz_target;
use oracle::{Expected, Record};
use std::ffi::{CStr, c_char};

fuzz_target!(|data: &[u8]| {
    let line = data.iter().position(|&byte| byte == b'\n');
    let (pointer, record) = data.split_at(line.unwrap_or(data.len()));
    let record = record.get(1..).unwrap_or(b"{}");
    let Ok(pointer) = std::str::from_utf8(pointer) else {
        return;
    };
    let mut after_tildes = pointer.split('~').skip(1);
    let valid_escapes = after_tildes.all(|rest| rest.starts_with(['0', '1']));
    let is_valid = pointer.is_empty() || pointer.starts_with('/') && valid_escapes;
    assert_eq!(Pointer::compile(pointer).is_ok(), is_valid);
    let few_wildcards = pointer.split('/').filter(|token| *token == "*").count() <= 64;
    assert_eq!(Pattern::compile(pointer).is_ok(), is_valid && few_wildcards);
    if serde_json::from_slice::<&serde_json::value::RawValue>(record).is_err() {
        return;
    }
    let Some(oracle) = Record::read(record) else {
        return;
    };
    let mut extractor = Extractor::default();
    extractor.select_detached(record);
    for (number, field) in FIELDS.iter().enumerate() {
        if field.arg != Arg::RequiredKey {
            continue;
        }
        let expected = is_valid
            .then(|| oracle.value(field.name, Some(pointer)))
            .flatten();
        let extracted = extractor.extract(number, Argument::Key(pointer), true);
        let value = match extracted.expect("a field").value() {
            ExtractedValue::None => None,
            ExtractedValue::Text(at) => Some(Expected::Text(text(*at))),
            ExtractedValue::Number(number) => Some(Expected::Number(*number)),
            ExtractedValue::List(list) => {
                Some(Expected::List(list.iter().map(|at| text(*at)).collect()))
            }
        };
        assert_eq!(value, expected, "{}", field.name);
    }
});

fn text(at: *const c_char) -> String {
    // SAFETY: the extractor's texts are NUL-terminated and valid until the next event is selected.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().expect("always UTF-8").to_owned()
}
