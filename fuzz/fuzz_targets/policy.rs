//! The fields that read policies have the oracle's values, also after another record.
//!
//! Input: a byte that chooses the request, and the text of its parameters, which is JSON or goes into a string.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use cloudtrail::testing::{Argument, ExtractedValue, Extractor, FIELDS};
use libfuzzer_sys::fuzz_target;
use oracle::{Expected, Record};
use std::cell::RefCell;
use std::ffi::{CStr, c_char};

const REQUESTS: [(&str, &str); 8] = [
    ("s3", "PutBucketPolicy"),
    ("iam", "PutRolePolicy"),
    ("iam", "AttachRolePolicy"),
    ("sso", "PutInlinePolicyToPermissionSet"),
    ("sso", "AttachManagedPolicyToPermissionSet"),
    ("lambda", "AddPermission20150331v2"),
    ("ec2", "CreateVpcEndpoint"),
    ("ec2", "Other"),
];

thread_local! {
    /// Used for all inputs, so that memory of one record would show in the next.
    static EXTRACTOR: RefCell<Extractor> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, parameters)) = data.split_first() else {
        return;
    };
    let (service, name) = REQUESTS[usize::from(choice) % REQUESTS.len()];
    let parameters = String::from_utf8_lossy(parameters);
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&parameters).is_ok();
    let parameters = match is_json && choice < 128 {
        true => parameters.into_owned(),
        false => serde_json::json!({ "policy": parameters }).to_string(),
    };
    let record = format!(
        r#"{{"eventSource":"{service}.amazonaws.com","eventName":"{name}","recipientAccountId":"111122223333","requestParameters":{parameters}}}"#
    );
    let expected = Record::read(record.as_bytes()).expect("an object");
    EXTRACTOR.with_borrow_mut(|extractor| {
        extractor.select_detached(record.as_bytes());
        for (number, field) in FIELDS.iter().enumerate() {
            if !field.name.starts_with("ct.policy.") {
                continue;
            }
            let extracted = extractor.extract(number, Argument::None, true);
            let value = match extracted.expect("a field").value() {
                ExtractedValue::None => None,
                ExtractedValue::Text(at) => Some(Expected::Text(text(*at))),
                ExtractedValue::List(list) => {
                    Some(Expected::List(list.iter().map(|at| text(*at)).collect()))
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(value, expected.value(field.name, None), "{} of {record}", field.name);
        }
    });
});

fn text(at: *const c_char) -> String {
    // SAFETY: the extractor's texts are NUL-terminated and valid until the next event is selected.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().expect("always UTF-8").to_owned()
}
