//! The rules file, parsed line by line as far as the tests need it, and the sample records of its rules.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A rule, macro or list of the rules file.
pub struct Item {
    /// `rule`, `macro` or `list`.
    pub kind: String,
    pub name: String,
    keys: BTreeMap<String, String>,
    order: Vec<String>,
}

/// The purpose of the records in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Records {
    /// Each record raises an alert of the rule, and of no other.
    Match,
    /// Each record almost matches the rule, and raises no alert.
    Miss,
}

/// The rules file.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/cloudtrail_rules.yaml")
}

/// The items of the rules file, in its order.
pub fn items() -> Vec<Item> {
    let text = fs::read_to_string(file()).expect("the rules file is there");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let mut items: Vec<Item> = Vec::new();
    let mut last_key = String::new();
    for line in lines {
        let starts_item = line.starts_with("- ");
        let starts_key = line.starts_with("  ") && !line[2..].starts_with([' ', '-']);
        if !starts_item && !starts_key {
            let item = items.last_mut().expect("a key before its value");
            let value = item.keys.get_mut(&last_key).expect("the key of this value");
            *value = format!("{value} {}", line.trim());
            continue;
        }
        let (key, value) = line[2..]
            .split_once(':')
            .unwrap_or_else(|| panic!("no key and value: {line}"));
        let value = value.trim().trim_start_matches('>').to_owned();
        last_key = key.to_owned();
        if starts_item {
            items.push(Item {
                kind: key.to_owned(),
                name: value.clone(),
                keys: BTreeMap::new(),
                order: Vec::new(),
            });
        }
        let item = items.last_mut().expect("an item before its keys");
        if !starts_item {
            item.order.push(key.to_owned());
        }
        let before = item.keys.insert(key.to_owned(), value);
        assert!(before.is_none(), "{}: {key} appears twice", item.name);
    }
    items.retain(|item| !item.kind.starts_with("required_"));
    items
}

/// The items of one kind.
pub fn items_of(kind: &str) -> Vec<Item> {
    let mut items = items();
    items.retain(|item| item.kind == kind);
    items
}

impl Item {
    /// The value of a key, on one line.
    pub fn value(&self, key: &str) -> &str {
        let value = self.keys.get(key).map(|value| value.trim());
        value.unwrap_or_else(|| panic!("{} {:?} has no {key}", self.kind, self.name))
    }

    /// The keys after the first, in the order of the file.
    pub fn keys_in_order(&self) -> &[String] {
        &self.order
    }

    /// The tags of a rule.
    pub fn tags(&self) -> Vec<String> {
        list_items(self.value("tags"))
    }

    /// The words of a condition, without quoted texts, operators and brackets.
    pub fn words(&self) -> Vec<String> {
        let outside_quotes = without_quoted(self.value("condition"));
        outside_quotes
            .split(|c: char| c.is_whitespace() || "()=!,".contains(c))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The fields in the condition.
    pub fn condition_fields(&self) -> Vec<String> {
        let is_field = |word: &String| {
            let class = word.split('.').next().unwrap_or_default();
            word.contains('.')
                && ["ct", "s3", "ec2", "ecr", "iam"].contains(&class)
                && !word.ends_with(".amazonaws.com")
        };
        let mut words = self.words();
        words.retain(is_field);
        words
    }

    /// The fields in a rule's output.
    pub fn output_fields(&self) -> Vec<String> {
        let fields = self.value("output").split('%').skip(1).map(|rest| {
            let end = rest.find([' ', ')', ',']).unwrap_or(rest.len());
            rest[..end].to_owned()
        });
        fields.collect()
    }
}

/// The folder of a rule's records: its name in lower case, with dashes.
pub fn folder(rule: &str) -> PathBuf {
    let name: String = rule
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    super::testdata("rules").join(name)
}

/// The eventIDs of a rule's records: those written by hand, and those of `testdata/rules/generate.py`.
pub fn event_ids(rule: &str, records: Records) -> Vec<String> {
    let names = match records {
        Records::Match => ["match.json", "generated-match.json"],
        Records::Miss => ["miss.json", "generated-miss.json"],
    };
    let mut ids = Vec::new();
    for path in names.map(|name| folder(rule).join(name)) {
        let Ok(text) = fs::read(&path) else {
            continue;
        };
        let log: Value = serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let records = log["Records"].as_array().expect("an array of records");
        let id = |record: &Value| record["eventID"].as_str().expect("an eventID").to_owned();
        ids.extend(records.iter().map(id));
    }
    ids
}

/// The items of a list, written as `[a, "b"]` or one on each line.
pub fn list_items(text: &str) -> Vec<String> {
    let text = text.trim();
    let items: Vec<&str> = match text.strip_prefix('[') {
        Some(inner) => inner.trim_end_matches(']').split(',').collect(),
        None => text.split("- ").collect(),
    };
    let items = items
        .into_iter()
        .map(|item| item.trim().trim_matches(['"', '\'']).to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

/// `T1078`, `T1078.004`
pub fn is_technique(tag: &str) -> bool {
    let Some(number) = tag.strip_prefix('T') else {
        return false;
    };
    let (technique, part) = number.split_once('.').unwrap_or((number, "000"));
    let is_number = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    is_number(technique, 4) && is_number(part, 3)
}

fn without_quoted(text: &str) -> String {
    let mut outside = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => outside.push(c),
        }
    }
    outside
}
