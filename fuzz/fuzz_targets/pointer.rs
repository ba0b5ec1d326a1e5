//! A JSON pointer is accepted if RFC 6901 allows it, and yields the oracle's value.
//!
//! Input: the pointer, a newline and a record.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use cloudtrail::testing::{Argument, Extractor, FIELDS, ExtractedValue, Pointer};
use libfuzzer_sys::fuzz_target;
use oracle::{Expected, Record};
use std::ffi::CStr;

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
    if serde_json::from_slice::<&serde_json::value::RawValue>(record).is_err() {
        return;
    }
    let Some(oracle) = Record::read(record) else {
        return;
    };
    let expected = is_valid
        .then(|| oracle.value("ct.value", Some(pointer)))
        .flatten();
    let number = FIELDS.iter().position(|field| field.name == "ct.value");
    let mut extractor = Extractor::default();
    extractor.select_detached(record);
    let extracted = extractor.extract(number.expect("a field"), Argument::Key(pointer), true);
    let text = match extracted.expect("a field").value() {
        ExtractedValue::None => None,
        // SAFETY: NUL-terminated and valid until the next event is selected.
        ExtractedValue::Text(text) => Some(unsafe { CStr::from_ptr(*text) }),
        other => panic!("{other:?}"),
    };
    let value = text.map(|text| Expected::Text(text.to_str().expect("UTF-8").to_owned()));
    assert_eq!(value, expected);
});
