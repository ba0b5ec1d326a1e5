//! The fields that a plugin declares, parsed from its JSON and checked.
#![forbid(unsafe_code)]

use falco_plugin_api as api;
use serde::Deserialize;

/// A field that the plugin can extract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Index in the plugin's list; extraction requests identify the field by it.
    pub id: u32,
    /// Name as used in rules.
    pub name: String,
    /// Type of its values.
    pub field_type: FieldType,
    /// Whether an event can have several values of it.
    pub is_list: bool,
    /// Argument in brackets, if the field takes one.
    pub arg: Option<Arg>,
    /// Display name, if the plugin declares one.
    pub display: Option<String>,
    /// Description.
    pub desc: String,
    /// Hints for user interfaces, such as `hidden`, `info` or `conversation`.
    pub properties: Vec<String>,
}

impl Field {
    /// Whether the field is invalid without an argument.
    pub fn needs_argument(&self) -> bool {
        self.arg.is_some_and(|arg| arg.is_required)
    }
}

/// The argument that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arg {
    /// The argument is a number: `field[0]`.
    pub is_index: bool,
    /// The argument is text: `field[text]`.
    pub is_key: bool,
    /// The field is invalid without the argument.
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
    /// A boolean.
    Bool,
    /// A duration in nanoseconds.
    RelTime,
    /// A time in nanoseconds since 1970.
    AbsTime,
    /// An IP address, 4 or 16 bytes.
    IpAddr,
    /// The address of an IP network, 4 or 16 bytes.
    IpNet,
}

impl FieldType {
    const ALL: [FieldType; 7] = [
        FieldType::String,
        FieldType::Uint64,
        FieldType::Bool,
        FieldType::RelTime,
        FieldType::AbsTime,
        FieldType::IpAddr,
        FieldType::IpNet,
    ];

    /// Name of the type in the plugin's list of fields.
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

    /// Code of the type in an extraction request.
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
        FieldType::ALL
            .into_iter()
            .find(|field_type| field_type.name() == name)
    }
}

/// Parses the JSON of `plugin_get_fields`. The error names the field and the reason.
pub(super) fn parse(json: &str) -> Result<Vec<Field>, String> {
    let declared: Vec<DeclaredField> = serde_json::from_str(json)
        .map_err(|e| format!("its list of fields does not match the plugin API: {e}"))?;
    (0u32..)
        .zip(declared)
        .map(|(id, field)| checked(id, field))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeclaredField {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    is_list: bool,
    arg: Option<DeclaredArg>,
    display: Option<String>,
    desc: String,
    /// Plugins in Go write `null` for an empty list.
    properties: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct DeclaredArg {
    is_required: bool,
    is_index: bool,
    is_key: bool,
}

fn checked(id: u32, declared: DeclaredField) -> Result<Field, String> {
    let name = declared.name;
    if name.is_empty() || name.contains(['[', ']', '\0']) {
        return Err(format!("field {id} has the invalid name {name:?}"));
    }
    let field_type = FieldType::from_name(&declared.type_name)
        .ok_or_else(|| format!("field {name} has the unknown type {:?}", declared.type_name))?;
    let arg = match declared.arg {
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
        field_type,
        is_list: declared.is_list,
        arg,
        display: declared.display,
        desc: declared.desc,
        properties: declared.properties.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_means_absent() {
        let field = r#"{"name":"a","type":"string","desc":"","arg":null,"properties":null}"#;
        let fields = parse(&format!("[{field}]")).expect("a list");
        assert!(fields[0].arg.is_none() && fields[0].properties.is_empty());
    }

    #[test]
    fn malformed_lists_are_rejected() {
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
