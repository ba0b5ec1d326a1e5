//! The JSON schema of the init configuration, as hosts can read it.
#![forbid(unsafe_code)]

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::Config;

/// The JSON schema (draft 7) of the init configuration, generated from [`Config`].
pub fn schema() -> String {
    let mut schema = value();
    prepare_for_dialogs(&mut schema);
    accept_null(&mut schema);
    format!("{schema:#}")
}

/// The same as a JSON value, without what hosts need beyond the standard.
pub(super) fn value() -> Value {
    SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(PlainKeywords)
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// Schema of `dropEvents`, whose keys are the names of fields: the extraction side knows them, this module does not.
pub(super) fn drop_events(_: &mut SchemaGenerator) -> Schema {
    let texts = ["string", "boolean", "integer"];
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": {
                "type": ["string", "boolean", "integer", "null", "array"],
                "items": { "type": texts },
            },
        },
    })
}

/// Accepts `null`: Falco passes it for an empty YAML mapping, after validating it against the schema.
fn accept_null(schema: &mut Value) {
    schema["type"] = json!(["object", "null"]);
}

/// Adds what Stratoshark's falcodump needs to make a dialog of a schema.
///
/// It reads the default of a number or boolean from the end of its description only, and shows 0 or false otherwise. It
/// takes the first `"type": "…"` within a key for the key's type: types of a list's elements are written as lists, so that
/// it leaves keys with lists out instead of passing them on as texts.
fn prepare_for_dialogs(schema: &mut Value) {
    let Some(Value::Object(keys)) = schema.get_mut("properties") else {
        return;
    };
    for key in keys.values_mut() {
        prepare_for_dialogs(key);
        if let default @ (Value::Bool(_) | Value::Number(_)) = &key["default"]
            && let Some(description) = key["description"].as_str()
        {
            key["description"] = format!("{description} (Default: {default})").into();
        }
        if let Some(element) = key.pointer_mut("/items/type") {
            *element = json!([element.take()]);
        }
    }
}

/// Rewrites keywords that Falco's validator may not support: choices become an `enum`, and formats such as `uint32` are
/// removed.
#[derive(Clone)]
struct PlainKeywords;

impl Transform for PlainKeywords {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        schema.remove("format");
        if let Some(Value::Array(choices)) = schema.remove("oneOf") {
            let names = choices.iter().filter_map(|choice| choice.get("const"));
            schema.insert("enum".into(), names.cloned().collect());
            schema.insert("type".into(), "string".into());
        }
        transform_subschemas(self, schema);
    }
}
