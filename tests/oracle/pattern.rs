//! Pointers in which `*` stands for every element or member.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::child;
use super::json::{Json, Kind};

/// The first 1,024 values at `pattern` that are not null.
pub fn values<'j, 'a>(record: &'j Json<'a>, pattern: &str) -> Vec<&'j Json<'a>> {
    let mut parts = pattern.split('/');
    if parts.next() != Some("") || parts.clone().filter(|part| *part == "*").count() > 64 {
        return Vec::new();
    }
    let mut found = vec![record];
    for part in parts {
        found = match part {
            "*" => found.into_iter().flat_map(children).collect(),
            _ => found.into_iter().filter_map(|it| child(it, part)).collect(),
        };
    }
    found.retain(|value| value.text().is_some());
    found.truncate(1024);
    found
}

/// All elements, or the members with different names.
fn children<'j, 'a>(value: &'j Json<'a>) -> Vec<&'j Json<'a>> {
    match &value.kind {
        Kind::Array(elements) => elements.iter().collect(),
        Kind::Object(members) => {
            let mut names = HashSet::new();
            let members = members.iter().filter(|(name, _)| names.insert(name));
            members.map(|(_, value)| value).collect()
        }
        _ => Vec::new(),
    }
}
