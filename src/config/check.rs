//! From what was given to a [`Config`]: which keys are known and which values are allowed stands in
//! the schema alone, so that Falco's check of it and this one cannot differ.
#![forbid(unsafe_code)]

use serde_json::{Map, Value};

use super::Config;
use super::given::Given;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;

/// Makes a configuration of the members of an init object; adds a line to `warnings` for each
/// unknown or repeated key.
pub(super) fn config(
    given: Vec<(String, Given)>,
    schema: &Value,
    warnings: &mut Vec<String>,
) -> Result<Config> {
    let mut check = Check {
        known: known_keys(schema),
        given: Vec::new(),
        warnings,
    };
    let value = Value::Object(check.object("", given, schema)?);
    let given = check.given;
    // What the schema lets through fits the struct that it was made of; the path is for the day when it does not.
    let config = serde_path_to_error::deserialize(value).map_err(|error| {
        let message = format!("{}: {}", error.path(), error.inner());
        Error::new(ErrorKind::Config, message)
    })?;
    Ok(Config { given, ..config })
}

struct Check<'a> {
    /// All known keys, those of inner objects as `outer.inner`.
    known: Vec<String>,
    /// The known keys that are set, likewise.
    given: Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Check<'_> {
    /// The members of one object under the names that the schema has for them; `prefix` is what
    /// stands before its keys in messages.
    fn object(
        &mut self,
        prefix: &str,
        given: Vec<(String, Given)>,
        schema: &Value,
    ) -> Result<Map<String, Value>> {
        let mut last: Vec<(&str, String, Given)> = Vec::new();
        for (key, value) in given {
            let Some(name) = keys(schema).find(|name| name.eq_ignore_ascii_case(&key)) else {
                self.warn_unknown(prefix, &key);
                continue;
            };
            match last.iter_mut().find(|(known, ..)| *known == name) {
                Some(earlier) => {
                    let before = std::mem::replace(&mut earlier.1, key);
                    earlier.2 = value;
                    self.warn_repeated(prefix, name, &before, &earlier.1);
                }
                None => last.push((name, key, value)),
            }
        }
        let mut members = Map::new();
        for (name, _, value) in last {
            let key = format!("{prefix}{name}");
            let value = self.value(&key, value, &schema["properties"][name])?;
            members.insert(name.to_owned(), value);
        }
        Ok(members)
    }

    fn value(&mut self, key: &str, given: Given, schema: &Value) -> Result<Value> {
        let allowed = match (given, schema["type"].as_str()) {
            (Given::Object(members), Some("object")) => {
                let members = self.object(&format!("{key}."), members, schema)?;
                return Ok(Value::Object(members));
            }
            (Given::Plain(value), Some(kind)) => match plain(value, kind, schema) {
                Ok(value) => {
                    self.given.push(key.to_owned());
                    return Ok(value);
                }
                Err(value) => Given::Plain(value),
            },
            (given, _) => given,
        };
        let message = format!(
            "{key}: {} is not allowed; allowed is {}",
            allowed.shown(),
            what_is_allowed(schema)
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    fn warn_unknown(&mut self, prefix: &str, key: &str) {
        let nearest = nearest(&self.known, prefix, key);
        let unknown = format!("{prefix}{key}");
        // Tables of the keys, and this warning, write the same with a dot.
        let place = match nearest.split_once('.') {
            Some((object, inner)) if nearest.eq_ignore_ascii_case(&unknown) => {
                format!(", written {{\"{object}\": {{\"{inner}\": …}}}}")
            }
            _ => String::new(),
        };
        self.warnings.push(format!(
            "init configuration: unknown key {} has no effect; the nearest known key is {}{place}",
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
            "init configuration: key {} is given more than once{spelling}; the last one counts",
            quoted(&format!("{prefix}{name}"))
        ));
    }
}

/// `value` if a plain schema of type `kind` allows it, else the value back.
fn plain(value: Value, kind: &str, schema: &Value) -> std::result::Result<Value, Value> {
    let fits = match kind {
        "boolean" => value.is_boolean(),
        "string" => {
            let choices = schema["enum"].as_array();
            value.is_string() && choices.is_none_or(|choices| choices.contains(&value))
        }
        "integer" => match integer(&value) {
            Some(number) if in_range(number, schema) => return Ok(number.into()),
            _ => false,
        },
        _ => false,
    };
    if fits { Ok(value) } else { Err(value) }
}

/// A whole number that is not negative; `20.0` is one, as it is for JSON schemas.
fn integer(value: &Value) -> Option<u64> {
    /// Above it, not every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && (0.0..=EXACT).contains(&float)).then_some(float as u64)
    })
}

fn in_range(number: u64, schema: &Value) -> bool {
    schema["minimum"]
        .as_u64()
        .is_none_or(|least| least <= number)
        && schema["maximum"].as_u64().is_none_or(|most| number <= most)
}

fn what_is_allowed(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("boolean") => "true or false, without quotes".to_owned(),
        Some("integer") => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(least), Some(most)) => {
                format!("a whole number from {least} to {most}, without quotes")
            }
            (least, _) => format!(
                "a whole number of at least {}, without quotes",
                least.unwrap_or(0)
            ),
        },
        Some("object") => {
            let known: Vec<&str> = keys(schema).collect();
            format!("an object with some of the keys {}", known.join(", "))
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

fn known_keys(schema: &Value) -> Vec<String> {
    let mut known = Vec::new();
    for key in keys(schema) {
        known.push(key.to_owned());
        let inner = keys(&schema["properties"][key]);
        known.extend(inner.map(|inner| format!("{key}.{inner}")));
    }
    known
}

/// The key that was most likely meant. Keys of another level count as well, for `region` that was
/// written beside `aws`; between two that are as near the one of the same level wins.
fn nearest<'a>(known: &'a [String], prefix: &str, key: &str) -> &'a str {
    let key = key.to_ascii_lowercase();
    let mut best = (f64::MIN, "");
    for candidate in known {
        let (level, name) = match candidate.rsplit_once('.') {
            Some((level, name)) => (level, name),
            None => ("", candidate.as_str()),
        };
        let likeness = strsim::normalized_damerau_levenshtein(&key, &name.to_ascii_lowercase());
        let same_level = level == prefix.trim_end_matches('.');
        let score = likeness + if same_level { 0.01 } else { 0.0 };
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}
