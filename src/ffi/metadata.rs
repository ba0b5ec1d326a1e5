//! Constant texts that describe the plugin to the host.
#![forbid(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config;
use crate::fields::{Arg, FIELDS, Field, FieldType, Property};

/// The plugin API version that the host must support: that of Falco 0.41.
pub(super) const REQUIRED_API: &CStr = c"3.11.0";

/// Name in `falco.yaml` and in `required_plugin_versions` of rules files.
pub(super) const NAME: &CStr = c"cloudtrail";

pub(super) const DESCRIPTION: &CStr =
    c"Reads AWS CloudTrail logs from files, S3 and SQS, and extracts fields from their records";

pub(super) const CONTACT: &CStr = c"the maintainers of cloudtrail for Falco (see SECURITY.md)";

/// Event source, as rules name it.
pub(super) const EVENT_SOURCE: &CStr = c"aws_cloudtrail";

/// Event sources that fields are extracted from.
pub(super) const EXTRACT_SOURCES: &CStr = c"[\"aws_cloudtrail\"]";

/// The package's version.
pub(super) const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no NUL"),
    };

/// A C string of at most `ROOM - 1` bytes in static memory, which unloading the library frees. Allocated memory would leak
/// each time that a host loads the library again.
pub(super) type StaticText<const ROOM: usize> = LazyLock<[c_char; ROOM]>;

/// JSON schema of the configuration.
pub(super) static SCHEMA: StaticText<16_384> = StaticText::new(|| text(&config::schema()));

/// All fields, in the API's JSON format.
pub(super) static FIELDS_JSON: StaticText<49_152> = StaticText::new(|| {
    let fields: Vec<Value> = FIELDS.iter().map(field).collect();
    text(&Value::from(fields).to_string())
});

/// Examples of open params.
pub(super) static OPEN_PARAMS: StaticText<1024> = StaticText::new(|| {
    let params = json!([
        {"value": "/path/to/logs", "desc": "a log file, or a folder with log files at any depth"},
        {"value": "s3://bucket/prefix", "desc": "all log files in a bucket whose keys start with the prefix"},
        {"value": "sqs://queue", "desc": "log files as they are written, from the notifications in a queue"},
    ]);
    text(&params.to_string())
});

fn field(field: &Field) -> Value {
    let mut json = json!({
        "type": match field.field_type {
            FieldType::String => "string",
            FieldType::Uint64 => "uint64",
        },
        "name": field.name,
        "display": field.display,
        "desc": field.description,
    });
    if field.list {
        json["isList"] = true.into();
    }
    match field.arg {
        Arg::None => {}
        Arg::OptionalIndex => json["arg"] = json!({"isRequired": false, "isIndex": true}),
        Arg::RequiredKey => json["arg"] = json!({"isRequired": true, "isKey": true}),
    }
    if let Some(property) = field.property {
        json["properties"] = json!([match property {
            Property::Hidden => "hidden",
            Property::Conversation => "conversation",
            Property::Info => "info",
        }]);
    }
    json
}

/// Panics if the text and its NUL do not fit; every test that loads the plugin would show that.
fn text<const ROOM: usize>(text: &str) -> [c_char; ROOM] {
    assert!(text.len() < ROOM, "{} bytes in {ROOM}", text.len());
    let mut chars = [0; ROOM];
    for (char, byte) in chars.iter_mut().zip(text.bytes()) {
        *char = byte as c_char;
    }
    chars
}
