//! The part of YAML that Falco's configuration and rules use: block mappings and sequences, flow sequences, folded
//! texts, quoted and plain scalars, comments. Anything else is an error, so that an example cannot be misread.
#![forbid(unsafe_code)]

use serde_json::{Map, Value};

/// Reads a document.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let content = without_comment(line);
        if content.contains('\t') {
            return Err(format!("a tab: {line}"));
        }
        if !content.trim().is_empty() {
            let indent = content.len() - content.trim_start().len();
            lines.push((indent, content.trim().to_owned()));
        }
    }
    let mut parser = Parser { lines, at: 0 };
    let value = parser.node(0)?;
    match parser.lines.get(parser.at) {
        None => Ok(value),
        Some((_, line)) => Err(format!("not part of the structure: {line}")),
    }
}

struct Parser {
    /// Indentation and content.
    lines: Vec<(usize, String)>,
    at: usize,
}

impl Parser {
    /// The block at the current line, which must be indented by at least `least`.
    fn node(&mut self, least: usize) -> Result<Value, String> {
        match self.lines.get(self.at) {
            Some(&(indent, ref line)) if indent >= least => {
                if line.starts_with("- ") {
                    self.sequence(indent)
                } else {
                    self.mapping(indent)
                }
            }
            _ => Ok(Value::Null),
        }
    }

    fn sequence(&mut self, indent: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some((at, line)) = self.lines.get_mut(self.at) {
            if *at != indent || !line.starts_with("- ") {
                break;
            }
            // The item's content is a block of its own, two columns further in.
            let content = line[2..].trim_start().to_owned();
            if key_of(&content).is_some() {
                *at += line.len() - content.len();
                *line = content;
                items.push(self.mapping(indent + 2)?);
            } else {
                self.at += 1;
                items.push(flow(&content)?);
            }
        }
        Ok(Value::Array(items))
    }

    fn mapping(&mut self, indent: usize) -> Result<Value, String> {
        let mut members = Map::new();
        while let Some((at, line)) = self.lines.get(self.at) {
            if *at != indent || line.starts_with("- ") {
                break;
            }
            let (key, rest) = key_of(line).ok_or_else(|| format!("no key: {line}"))?;
            let (key, rest) = (key.to_owned(), rest.to_owned());
            self.at += 1;
            let value = match rest.as_str() {
                "" => self.node(indent + 1)?,
                ">" => self.folded(indent)?,
                _ => flow(&rest)?,
            };
            if members.insert(key.clone(), value).is_some() {
                return Err(format!("{key} occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }

    fn folded(&mut self, indent: usize) -> Result<Value, String> {
        let mut text = Vec::new();
        while let Some((at, line)) = self.lines.get(self.at) {
            if *at <= indent {
                break;
            }
            text.push(line.clone());
            self.at += 1;
        }
        match text.is_empty() {
            true => Err("an empty folded text".to_owned()),
            false => Ok(Value::from(text.join(" "))),
        }
    }
}

/// Key and value of a mapping's line.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line
        .split_once(": ")
        .or_else(|| Some((line.strip_suffix(':')?, "")))?;
    let is_key = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
    (is_key && !key.is_empty()).then_some((key, rest.trim()))
}

/// A scalar or a flow sequence of scalars.
fn flow(text: &str) -> Result<Value, String> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner
            .strip_suffix(']')
            .ok_or_else(|| format!("no closing bracket: {text}"))?;
        let items = inner
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        return items
            .map(scalar)
            .collect::<Result<_, _>>()
            .map(Value::Array);
    }
    scalar(text)
}

fn scalar(text: &str) -> Result<Value, String> {
    if text.starts_with('"') {
        return serde_json::from_str(text).map_err(|error| format!("{text}: {error}"));
    }
    if let Some(inner) = text.strip_prefix('\'') {
        return match inner.strip_suffix('\'') {
            Some(inner) if !inner.contains('\'') => Ok(Value::from(inner)),
            _ => Err(format!("a quote too many or too few: {text}")),
        };
    }
    if text.starts_with(|c: char| "{}[]&*!|>%@`,".contains(c)) || text.contains(": ") {
        return Err(format!("must be quoted: {text}"));
    }
    Ok(match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" | "~" => Value::Null,
        _ => text.parse::<i64>().map_or(Value::from(text), Value::from),
    })
}

/// The line without a comment, which starts at a `#` outside of quotes and behind white space.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' && before == ' ' => return line[..at].trim_end(),
            // A quote inside of a plain text opens nothing.
            None if (c == '"' || c == '\'') && " [".contains(before) => quote = Some(c),
            None => {}
        }
        before = c;
    }
    line.trim_end()
}
