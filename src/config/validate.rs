//! Validates the parsed JSON and makes a [`Config`] of it. The schema alone defines keys and allowed values, so that this
//! validation and Falco's cannot differ.
#![forbid(unsafe_code)]

use serde_json::{Map, Value};

use super::Config;
use super::json::Json;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::{quoted, truncated};

/// Validates the members of the init object; adds a warning for each unknown or repeated key.
pub(super) fn config(
    members: Vec<(String, Json)>,
    schema: &Value,
    warnings: &mut Vec<String>,
) -> Result<Config> {
    let mut validator = Validator {
        keys: all_keys(schema),
        set_keys: Vec::new(),
        warnings,
    };
    let value = Value::Object(validator.object("", members, schema)?);
    let set_keys = validator.set_keys;
    // The schema is generated from the struct, so this fails only if the two disagree.
    let config = serde_path_to_error::deserialize(value).map_err(|error| {
        let message = format!("{}: {}", error.path(), error.inner());
        Error::new(ErrorKind::Config, message)
    })?;
    Ok(Config { set_keys, ..config })
}

struct Validator<'a> {
    /// All keys of the schema; those of inner objects as `outer.inner`.
    keys: Vec<String>,
    /// Keys that are set, in the same form.
    set_keys: Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Validator<'_> {
    /// Validates one object and renames its members as in the schema; `prefix` precedes its keys in messages.
    fn object(
        &mut self,
        prefix: &str,
        members: Vec<(String, Json)>,
        schema: &Value,
    ) -> Result<Map<String, Value>> {
        let mut last: Vec<(&str, String, Json)> = Vec::new();
        for (key, value) in members {
            let Some(name) = keys(schema).find(|name| name.eq_ignore_ascii_case(&key)) else {
                self.warn_unknown(prefix, &key);
                continue;
            };
            match last.iter_mut().find(|(other, ..)| *other == name) {
                Some(earlier) => {
                    let before = std::mem::replace(&mut earlier.1, key);
                    earlier.2 = value;
                    self.warn_repeated(prefix, name, &before, &earlier.1);
                }
                None => last.push((name, key, value)),
            }
        }
        let mut object = Map::new();
        for (name, _, value) in last {
            let key = format!("{prefix}{name}");
            let value = self.value(&key, value, &schema["properties"][name])?;
            object.insert(name.to_owned(), value);
        }
        Ok(object)
    }

    fn value(&mut self, key: &str, json: Json, schema: &Value) -> Result<Value> {
        if has_keys(schema)
            && let Json::Object(members) = json
        {
            let members = self.object(&format!("{key}."), members, schema)?;
            return Ok(Value::Object(members));
        }
        let value = plain_value(key, json, schema)?;
        self.set_keys.push(key.to_owned());
        Ok(value)
    }

    fn warn_unknown(&mut self, prefix: &str, key: &str) {
        let nearest = nearest(&self.keys, prefix, key);
        let unknown = format!("{prefix}{key}");
        // Documentation writes keys of inner objects with a dot.
        let example = match nearest.split_once('.') {
            Some((object, inner)) if nearest.eq_ignore_ascii_case(&unknown) => {
                format!(", written {{\"{object}\": {{\"{inner}\": …}}}}")
            }
            _ => String::new(),
        };
        self.warnings.push(format!(
            "init configuration: unknown key {} has no effect; the nearest known key is {}{example}",
            quoted(&unknown),
            quoted(nearest)
        ));
    }

    fn warn_repeated(&mut self, prefix: &str, name: &str, before: &str, last: &str) {
        let spelling = if before == last {
            String::new()
        } else {
            format!(", as {} and as {}", quoted(before), quoted(last))
        };
        self.warnings.push(format!(
            "init configuration: key {} is set more than once{spelling}; the last one counts",
            quoted(&format!("{prefix}{name}"))
        ));
    }
}

/// Validates a value that has no keys of the schema's own.
fn plain_value(key: &str, json: Json, schema: &Value) -> Result<Value> {
    let rejected = match json {
        Json::Object(members) if has_type(schema, "object") && !has_keys(schema) => {
            return object_of_any_keys(key, members, &schema["additionalProperties"]);
        }
        Json::Array(elements) if has_type(schema, "array") => {
            let elements = elements.into_iter().enumerate();
            let elements = elements.map(|(at, element)| {
                plain_value(&format!("{key}[{at}]"), element, &schema["items"])
            });
            return elements.collect::<Result<Vec<Value>>>().map(Value::Array);
        }
        Json::Value(value) => {
            let mut types = types(schema);
            match types.find_map(|value_type| accept(&value, value_type, schema)) {
                Some(accepted) => return Ok(accepted),
                None => Json::Value(value),
            }
        }
        json => json,
    };
    let message = format!(
        "{key}: {} is not allowed; allowed is {}",
        truncated(&rejected.to_string()),
        allowed(schema)
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// Validates an object whose keys the schema does not name. A repeated key would hide the first one's value.
fn object_of_any_keys(key: &str, members: Vec<(String, Json)>, schema: &Value) -> Result<Value> {
    let mut object = Map::new();
    for (name, value) in members {
        let path = format!("{key}[{}]", quoted(&name));
        if object.contains_key(&name) {
            let message = format!("{path} is set more than once; use a list of values");
            return Err(Error::new(ErrorKind::Config, message));
        }
        object.insert(name, plain_value(&path, value, schema)?);
    }
    Ok(Value::Object(object))
}

/// The types that the schema allows.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let types = &schema["type"];
    let one = types.as_str();
    one.into_iter().chain(
        types
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
    )
}

fn has_type(schema: &Value, value_type: &str) -> bool {
    types(schema).any(|allowed| allowed == value_type)
}

fn has_keys(schema: &Value) -> bool {
    schema["properties"].is_object()
}

/// Normalizes a boolean, string, integer or null that the schema of type `value_type` allows.
fn accept(value: &Value, value_type: &str, schema: &Value) -> Option<Value> {
    let is_allowed = match value_type {
        "boolean" => value.is_boolean(),
        "string" => {
            let choices = schema["enum"].as_array();
            value.is_string() && choices.is_none_or(|choices| choices.contains(value))
        }
        "integer" => match integer(value) {
            Some(number) if in_range(number, schema) => return Some(number.into()),
            None if value.is_i64() => schema["minimum"].is_null(),
            _ => false,
        },
        "null" => value.is_null(),
        _ => false,
    };
    is_allowed.then(|| value.clone())
}

/// A non-negative integer. `20.0` is one, as in JSON schema.
fn integer(value: &Value) -> Option<u64> {
    /// 2^53: larger integers are not exact as a float.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&float)).then_some(float as u64)
    })
}

fn in_range(number: u64, schema: &Value) -> bool {
    schema["minimum"]
        .as_u64()
        .is_none_or(|minimum| minimum <= number)
        && schema["maximum"]
            .as_u64()
            .is_none_or(|maximum| number <= maximum)
}

/// Describes the allowed values, for messages.
fn allowed(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("boolean") => "true or false, without quotes".to_owned(),
        Some("array") => format!(
            "a list in which each element is {}",
            allowed(&schema["items"])
        ),
        Some("object") if !has_keys(schema) => "an object of field names and values".to_owned(),
        None => {
            "a text, true, false, an integer".to_owned()
                + match has_type(schema, "null") {
                    true => ", null or a list of texts",
                    false => " (in quotes, if it is another number)",
                }
        }
        Some("integer") => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(minimum), Some(maximum)) => {
                format!("an integer from {minimum} to {maximum}, without quotes")
            }
            (minimum, _) => format!(
                "an integer of at least {}, without quotes",
                minimum.unwrap_or(0)
            ),
        },
        Some("object") => {
            let keys: Vec<&str> = keys(schema).collect();
            format!("an object with some of the keys {}", keys.join(", "))
        }
        _ => match schema["enum"].as_array() {
            Some(choices) => {
                let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
                choices.join(" or ")
            }
            None => "a string, in quotes".to_owned(),
        },
    }
}

fn keys(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
}

fn all_keys(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for key in keys(schema) {
        all.push(key.to_owned());
        let inner = keys(&schema["properties"][key]);
        all.extend(inner.map(|inner| format!("{key}.{inner}")));
    }
    all
}

/// The key most similar to an unknown one. Considers all levels, as `region` may be written next to `aws`; on a tie, a key
/// of the same level wins.
fn nearest<'a>(keys: &'a [String], prefix: &str, key: &str) -> &'a str {
    let key = key.to_ascii_lowercase();
    let mut best = (f64::MIN, "");
    for candidate in keys {
        let (level, name) = match candidate.rsplit_once('.') {
            Some((level, name)) => (level, name),
            None => ("", candidate.as_str()),
        };
        let similarity = strsim::normalized_damerau_levenshtein(&key, &name.to_ascii_lowercase());
        let same_level = level == prefix.trim_end_matches('.');
        let score = similarity + if same_level { 0.01 } else { 0.0 };
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}
