//! A JSON pointer is taken where RFC 6901 allows it, and leads to what the slow oracle finds. The
//! first line is the pointer, the rest a record.
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
    let mut behind = pointer.split('~').skip(1);
    let escapes = behind.all(|rest| rest.starts_with(['0', '1']));
    let allowed = pointer.is_empty() || pointer.starts_with('/') && escapes;
    assert_eq!(Pointer::compile(pointer).is_ok(), allowed);
    if serde_json::from_slice::<&serde_json::value::RawValue>(record).is_err() {
        return;
    }
    let Some(oracle) = Record::read(record) else {
        return;
    };
    let expected = allowed
        .then(|| oracle.value("ct.value", Some(pointer)))
        .flatten();
    let number = FIELDS.iter().position(|field| field.name == "ct.value");
    let mut extractor = Extractor::default();
    extractor.select_detached(record);
    let extracted = extractor.extract(number.expect("a field"), Argument::Key(pointer), true);
    let given = match extracted.expect("a field").value() {
        ExtractedValue::None => None,
        // SAFETY: a C string that lives until the next event is selected.
        ExtractedValue::Text(text) => Some(unsafe { CStr::from_ptr(*text) }),
        other => panic!("{other:?}"),
    };
    let given = given.map(|text| Expected::Text(text.to_str().expect("UTF-8").to_owned()));
    assert_eq!(given, expected);
});
