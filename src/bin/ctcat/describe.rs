//! `ctcat fields`, `schema`, `info` and `params`: print the plugin's declarations.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::{self, Write};

use cloudtrail::host::{Description, Field, Plugin};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{FieldsArgs, InfoArgs, LibraryArgs, ListFormat, ParamsArgs};
use crate::{Stop, library};

/// Runs `ctcat fields`.
pub fn fields(args: FieldsArgs) -> Result<(), Stop> {
    let fields = Description::read(&library(&args.library)?)?.fields;
    print(&match args.output {
        ListFormat::Text => text_table(&fields),
        ListFormat::Json => pretty(&Value::from_iter(fields.iter().map(field_json))),
        ListFormat::Tsv => tsv_table(&fields),
        ListFormat::Markdown => markdown_table(&fields),
    })
}

/// Runs `ctcat schema`.
pub fn schema(args: LibraryArgs) -> Result<(), Stop> {
    let path = library(&args)?;
    let Some(schema) = Plugin::init_schema(&path)? else {
        return Err(Stop::Error(format!(
            "plugin {} has no configuration schema",
            path.display()
        )));
    };
    let schema: Value = serde_json::from_str(&schema)
        .map_err(|e| Stop::Error(format!("the plugin's schema is not JSON: {e}")))?;
    print(&pretty(&schema))
}

/// Runs `ctcat info`.
pub fn info(args: InfoArgs) -> Result<(), Stop> {
    let path = library(&args.library)?;
    let Description { info, fields, .. } = Description::read(&path)?;
    let rows = [
        ("library", json!(path.display().to_string())),
        ("name", json!(info.name)),
        ("version", json!(info.version)),
        ("description", json!(info.description)),
        ("contact", json!(info.contact)),
        ("id", json!(info.id)),
        ("event_source", json!(info.event_source)),
        ("required_api_version", json!(info.required_api_version)),
        ("fields", json!(fields.len())),
    ];
    if args.json {
        return print(&pretty(&Value::from_iter(rows)));
    }
    print(&rows.iter().fold(String::new(), |mut out, (name, value)| {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        let _ = writeln!(out, "{name:<22}{value}");
        out
    }))
}

/// Runs `ctcat params`.
pub fn params(args: ParamsArgs) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Param {
        value: String,
        #[serde(default)]
        desc: String,
    }
    let config = args.config.load()?;
    let plugin = Plugin::load(&library(&args.library)?, &config)?;
    let params: Vec<Param> = serde_json::from_str(&plugin.open_params()?).map_err(|e| {
        Stop::Error(format!(
            "the plugin's list of open parameters is malformed: {e}"
        ))
    })?;
    let width = params.iter().map(|p| p.value.chars().count()).max();
    let width = width.unwrap_or(0);
    print(&params.iter().fold(String::new(), |mut out, param| {
        let line = format!("{:width$}  {}", param.value, param.desc);
        let _ = writeln!(out, "{}", line.trim_end());
        out
    }))
}

fn text_table(fields: &[Field]) -> String {
    let names: Vec<String> = fields.iter().map(usage).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    fields
        .iter()
        .zip(names)
        .fold(String::new(), |mut out, (field, name)| {
            let _ = writeln!(
                out,
                "{name:width$}  {:11}  {}",
                type_name(field),
                field.desc
            );
            out
        })
}

fn tsv_table(fields: &[Field]) -> String {
    let head = "field\ttype\targument\tproperties\tdisplay\tdescription\n".to_owned();
    fields.iter().fold(head, |mut out, field| {
        let _ = writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}",
            field.name,
            type_name(field),
            argument(field),
            field.properties.join(","),
            field.display.as_deref().unwrap_or_default(),
            field.desc
        );
        out
    })
}

fn markdown_table(fields: &[Field]) -> String {
    let head = "| Field | Type | Argument | Description |\n|---|---|---|---|\n".to_owned();
    fields.iter().fold(head, |mut out, field| {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            field.name,
            type_name(field),
            argument(field),
            field.desc.replace('|', "\\|")
        );
        out
    })
}

fn field_json(field: &Field) -> Value {
    json!({
        "name": field.name,
        "type": field.field_type.name(),
        "isList": field.is_list,
        "arg": field.arg.map(|arg| json!({
            "isIndex": arg.is_index,
            "isKey": arg.is_key,
            "isRequired": arg.is_required,
        })),
        "display": field.display,
        "desc": field.desc,
        "properties": field.properties,
    })
}

/// The field's syntax: `name`, `name[key]`, or `name[index]?` if the argument is optional.
fn usage(field: &Field) -> String {
    let Some(arg) = field.arg else {
        return field.name.clone();
    };
    let argument = if arg.is_key { "key" } else { "index" };
    let mark = if arg.is_required { "" } else { "?" };
    format!("{}[{argument}]{mark}", field.name)
}

fn type_name(field: &Field) -> String {
    let list = if field.is_list { " list" } else { "" };
    format!("{}{list}", field.field_type.name())
}

fn argument(field: &Field) -> String {
    let Some(arg) = field.arg else {
        return String::new();
    };
    let kind = if arg.is_key { "key" } else { "index" };
    let presence = if arg.is_required {
        "required"
    } else {
        "optional"
    };
    format!("{kind}, {presence}")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn print(text: &str) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
