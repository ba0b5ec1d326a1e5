//! Parses JSON without losing repeated keys, so that they can be reported.
#![forbid(unsafe_code)]

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::truncated;

/// A JSON value that keeps all members of objects.
#[derive(Debug)]
pub(super) enum Json {
    /// Members in order, repeated keys included.
    Object(Vec<(String, Json)>),
    /// Elements.
    Array(Vec<Json>),
    /// Any other value.
    Value(Value),
}

/// Parses a JSON object into its members. Blank text and `null`, which Falco passes for an empty YAML mapping, have none.
pub(super) fn parse_object(text: &str) -> Result<Vec<(String, Json)>> {
    let blank = text.len() - text.trim_start().len();
    if blank == text.len() {
        return Ok(Vec::new());
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(Json::Value(Value::Null)) => Ok(Vec::new()),
        Ok(other) => {
            let line = text[..blank].matches('\n').count() + 1;
            let column = blank - text[..blank].rfind('\n').map_or(0, |at| at + 1) + 1;
            Err(refused(format!(
                "{} at line {line} column {column} is not an object",
                truncated(&other.to_string())
            )))
        }
        Err(error) => Err(refused(format!("cannot be read as JSON: {error}"))),
    }
}

fn refused(why: String) -> Error {
    let message = format!(
        "init configuration: {why}; allowed is one JSON object, e.g. {{\"s3Interval\": \"5d\"}}, or empty text"
    );
    Error::new(ErrorKind::Config, message)
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Value(value) => write!(f, "{value}"),
            Json::Array(elements) => {
                f.write_str("[")?;
                for (at, element) in elements.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Json, E> {
        Ok(Json::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
        Ok(Json::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
        Ok(Json::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Json, E> {
        Ok(Json::Value(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Json, E> {
        Ok(Json::Value(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
