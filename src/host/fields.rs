//! The list of fields that a plugin exports, parsed and checked.
#![forbid(unsafe_code)]

use falco_plugin_api as api;
use serde::Deserialize;

/// A field that a plugin can extract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its place in the plugin's list, which is how the host asks for it.
    pub id: u32,
    /// The name that rules use.
    pub name: String,
    /// The type of its values.
    pub kind: FieldType,
    /// It gives any number of values per event rather than one or none.
    pub is_list: bool,
    /// The argument in brackets that it takes, if it takes any.
    pub arg: Option<Arg>,
    /// A name for people, where the plugin gives one.
    pub display: Option<String>,
    /// What it means.
    pub desc: String,
    /// Hints for user interfaces: `hidden`, `info`, `conversation`, …
    pub properties: Vec<String>,
}

impl Field {
    /// Whether it can be asked for by its bare name.
    pub fn needs_argument(&self) -> bool {
        self.arg.is_some_and(|arg| arg.is_required)
    }
}

/// The argument that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arg {
    /// A number, `field[0]`.
    pub is_index: bool,
    /// Any text, `field[text]`.
    pub is_key: bool,
    /// The field cannot be asked for without it.
    pub is_required: bool,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldType {
    /// Text without NUL.
    String,
    /// An unsigned number.
    Uint64,
    /// Yes or no.
    Bool,
    /// A span of time in ns.
    RelTime,
    /// A moment in ns since 1970.
    AbsTime,
    /// 4 or 16 bytes of an IP address.
    IpAddr,
    /// 4 or 16 bytes of an IP network's address.
    IpNet,
}

impl FieldType {
    /// The word for it in the plugin's list.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::String => "string",
            FieldType::Uint64 => "uint64",
            FieldType::Bool => "bool",
            FieldType::RelTime => "reltime",
            FieldType::AbsTime => "abstime",
            FieldType::IpAddr => "ipaddr",
            FieldType::IpNet => "ipnet",
        }
    }

    /// The number that goes with an extraction request.
    pub(super) fn code(self) -> api::ss_plugin_field_type {
        match self {
            FieldType::String => api::ss_plugin_field_type_FTYPE_STRING,
            FieldType::Uint64 => api::ss_plugin_field_type_FTYPE_UINT64,
            FieldType::Bool => api::ss_plugin_field_type_FTYPE_BOOL,
            FieldType::RelTime => api::ss_plugin_field_type_FTYPE_RELTIME,
            FieldType::AbsTime => api::ss_plugin_field_type_FTYPE_ABSTIME,
            FieldType::IpAddr => api::ss_plugin_field_type_FTYPE_IPADDR,
            FieldType::IpNet => api::ss_plugin_field_type_FTYPE_IPNET,
        }
    }

    fn from_name(name: &str) -> Option<FieldType> {
        [
            FieldType::String,
            FieldType::Uint64,
            FieldType::Bool,
            FieldType::RelTime,
            FieldType::AbsTime,
            FieldType::IpAddr,
            FieldType::IpNet,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// Reads the JSON that `plugin_get_fields` returns; the error says what is wrong with which field.
pub(super) fn parse(json: &str) -> Result<Vec<Field>, String> {
    let entries: Vec<Entry> = serde_json::from_str(json)
        .map_err(|e| format!("its list of fields is not what the plugin API asks for: {e}"))?;
    (0u32..)
        .zip(entries)
        .map(|(id, entry)| checked(id, entry))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    is_list: bool,
    arg: Option<EntryArg>,
    display: Option<String>,
    desc: String,
    /// Plugins in Go write `null` for an empty list.
    properties: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct EntryArg {
    is_required: bool,
    is_index: bool,
    is_key: bool,
}

fn checked(id: u32, entry: Entry) -> Result<Field, String> {
    let name = entry.name;
    if name.is_empty() || name.contains(['[', ']', '\0']) {
        return Err(format!("field {id} has the name {name:?}"));
    }
    let kind = FieldType::from_name(&entry.kind)
        .ok_or_else(|| format!("field {name} has the unknown type {:?}", entry.kind))?;
    let arg = match entry.arg {
        Some(arg) if arg.is_index || arg.is_key => Some(Arg {
            is_index: arg.is_index,
            is_key: arg.is_key,
            is_required: arg.is_required,
        }),
        Some(arg) if arg.is_required => {
            return Err(format!(
                "field {name} requires an argument that is neither an index nor a key"
            ));
        }
        _ => None,
    };
    Ok(Field {
        id,
        name,
        kind,
        is_list: entry.is_list,
        arg,
        display: entry.display,
        desc: entry.desc,
        properties: entry.properties.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_stands_for_what_is_left_out() {
        let field = r#"{"name":"a","type":"string","desc":"","arg":null,"properties":null}"#;
        let fields = parse(&format!("[{field}]")).expect("a list");
        assert!(fields[0].arg.is_none() && fields[0].properties.is_empty());
    }

    #[test]
    fn lists_that_break_the_api_are_refused() {
        for (json, part) in [
            ("{}", "list of fields"),
            (r#"[{"name":"a","type":"string"}]"#, "desc"),
            (r#"[{"name":"a","type":"text","desc":""}]"#, "unknown type"),
            (r#"[{"name":"","type":"string","desc":""}]"#, "name"),
            (
                r#"[{"name":"a","type":"string","desc":"","arg":{"isRequired":true}}]"#,
                "neither",
            ),
        ] {
            let error = parse(json).expect_err(json);
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
