//! Collects the objects of one message, and what cannot be one.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use serde_json::Value;

use super::{Notification, ObjectRef, Parsed};
use crate::log::quote::{quoted, shortened};

/// Problems that are reported one by one. A message has room for half a million.
const MOST_PROBLEMS: usize = 1000;

/// Maximum length of a key and of a version ID in bytes, as S3 has it.
const LONGEST: usize = 1024;

/// The parts of one message so far.
#[derive(Default)]
pub(super) struct Objects {
    parsed: Parsed,
    seen: HashSet<(String, String)>,
    /// Problems beyond [`MOST_PROBLEMS`].
    more: usize,
}

impl Objects {
    /// Adds an object, unless it is there already; a problem if no such object can exist.
    pub(super) fn add(
        &mut self,
        bucket: &Value,
        key: &str,
        size: Option<u64>,
        version: Option<&str>,
    ) {
        let Some(name) = bucket.as_str().filter(|name| is_bucket(name)) else {
            return self.unusable(bucket, key, "the bucket name is not valid");
        };
        if key.is_empty() {
            return self.unusable(bucket, key, "the key is empty");
        }
        if key.len() > LONGEST {
            let reason = format!("the key has {} bytes, more than {LONGEST}", key.len());
            return self.unusable(bucket, key, &reason);
        }
        if self.seen.insert((name.to_owned(), key.to_owned())) {
            self.parsed.objects.push(ObjectRef {
                bucket: name.to_owned(),
                key: key.to_owned(),
                size,
                version: version.map(str::to_owned),
            });
        }
    }

    /// Adds a problem: an object that is named but cannot be read.
    pub(super) fn unusable(&mut self, bucket: &Value, key: &str, reason: &str) {
        self.problem(|| format!("bucket {}, key {}: {reason}", excerpt(bucket), quoted(key)));
    }

    /// Adds a problem: an element of a list that names nothing.
    pub(super) fn malformed(&mut self, list: &str, number: usize, reason: &str, part: &Value) {
        self.problem(|| format!("{list}[{number}] {reason}: {}", excerpt(part)));
    }

    fn problem(&mut self, line: impl FnOnce() -> String) {
        match self.parsed.problems.len() < MOST_PROBLEMS {
            true => self.parsed.problems.push(line()),
            false => self.more += 1,
        }
    }

    /// Whether there is neither an object nor a problem.
    pub(super) fn is_empty(&self) -> bool {
        self.parsed.objects.is_empty() && self.parsed.problems.is_empty()
    }

    /// The result; a message without any part is unknown, as `kind` says.
    pub(super) fn finish(mut self, kind: &'static str) -> Notification {
        if self.is_empty() {
            return Notification::Unknown(kind);
        }
        if self.more > 0 {
            let line = format!("{} more parts that cannot be used", self.more);
            self.parsed.problems.push(line);
        }
        Notification::Objects(self.parsed)
    }
}

/// The start of a value as JSON.
fn excerpt(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => quoted(text),
        other => {
            let text = other.to_string();
            let head = shortened(&text);
            let cut = if head.len() < text.len() { "…" } else { "" };
            format!("{head}{cut}")
        }
    }
}

pub(super) fn text<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

/// A version ID. S3 writes `null` for objects of a bucket whose versioning is suspended.
pub(super) fn version_id<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    text(object, key).filter(|version| *version != "null" && (1..=LONGEST).contains(&version.len()))
}

/// Whether a bucket can have this name, including the rules of S3's early days.
fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
