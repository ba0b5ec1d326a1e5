//! The configuration's JSON as it was written: keys in their order, repeated ones too.
#![forbid(unsafe_code)]

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::shortened;

/// A JSON value that forgets none of its keys.
#[derive(Debug)]
pub(super) enum Given {
    /// An object's members as they came.
    Object(Vec<(String, Given)>),
    /// An array's elements.
    Array(Vec<Given>),
    /// Anything else.
    Plain(Value),
}

/// Reads the members of the JSON object in `text`; blank text and `null`, as Falco writes an empty YAML mapping,
/// have none.
pub(super) fn read(text: &str) -> Result<Vec<(String, Given)>> {
    let blank = text.len() - text.trim_start().len();
    if blank == text.len() {
        return Ok(Vec::new());
    }
    match serde_json::from_str(text) {
        Ok(Given::Object(members)) => Ok(members),
        Ok(Given::Plain(Value::Null)) => Ok(Vec::new()),
        Ok(other) => {
            let line = text[..blank].matches('\n').count() + 1;
            let column = blank - text[..blank].rfind('\n').map_or(0, |at| at + 1) + 1;
            Err(refused(format!(
                "{} at line {line} column {column} is not an object",
                other.shown()
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

impl Given {
    /// The value as JSON text, without the end of a long one.
    pub(super) fn shown(&self) -> String {
        let text = self.to_string();
        let head = shortened(&text);
        if head.len() == text.len() {
            text
        } else {
            format!("{head}…")
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Plain(value) => write!(f, "{value}"),
            Given::Array(elements) => {
                f.write_str("[")?;
                for (at, element) in elements.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Given::Object(members) => {
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

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Given, E> {
        Ok(Given::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Given, E> {
        Ok(Given::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Given, E> {
        Ok(Given::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Given, E> {
        Ok(Given::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Given, E> {
        Ok(Given::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Given, E> {
        Ok(Given::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Given, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Given::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Given, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Given::Object(members))
    }
}
