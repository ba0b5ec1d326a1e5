//! Collects the objects and the problems of one message.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use serde_json::Value;

use super::{Notification, ObjectRef, Parsed};
use crate::log::quote::{quoted, truncated};

/// Problems that are listed; further ones are counted. A message has room for half a million.
const MAX_PROBLEMS: usize = 1000;

/// S3's maximum length of a key and of a version ID in bytes.
const MAX_LENGTH: usize = 1024;

/// Builds the [`Parsed`] of one message.
#[derive(Default)]
pub(super) struct Collector {
    parsed: Parsed,
    seen: HashSet<(String, String)>,
    /// Problems beyond [`MAX_PROBLEMS`].
    omitted: usize,
}

impl Collector {
    /// Adds an object unless it is a duplicate; adds a problem if its bucket or key is invalid.
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
        if key.len() > MAX_LENGTH {
            let reason = format!("the key has {} bytes, more than {MAX_LENGTH}", key.len());
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

    /// Adds a problem: a named object that cannot be read.
    pub(super) fn unusable(&mut self, bucket: &Value, key: &str, reason: &str) {
        self.problem(|| format!("bucket {}, key {}: {reason}", excerpt(bucket), quoted(key)));
    }

    /// Adds a problem: a list element that names no object.
    pub(super) fn malformed(&mut self, list: &str, number: usize, reason: &str, part: &Value) {
        self.problem(|| format!("{list}[{number}] {reason}: {}", excerpt(part)));
    }

    fn problem(&mut self, line: impl FnOnce() -> String) {
        match self.parsed.problems.len() < MAX_PROBLEMS {
            true => self.parsed.problems.push(line()),
            false => self.omitted += 1,
        }
    }

    /// Whether there is neither an object nor a problem.
    pub(super) fn is_empty(&self) -> bool {
        self.parsed.objects.is_empty() && self.parsed.problems.is_empty()
    }

    /// Returns the result; without any object or problem, [`Notification::Unknown`] with `reason`.
    pub(super) fn finish(mut self, reason: &'static str) -> Notification {
        if self.is_empty() {
            return Notification::Unknown(reason);
        }
        if self.omitted > 0 {
            let line = format!("{} more unusable parts", self.omitted);
            self.parsed.problems.push(line);
        }
        Notification::Objects(self.parsed)
    }
}

/// The start of a value as JSON, for logs.
fn excerpt(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => quoted(text),
        other => truncated(&other.to_string()),
    }
}

/// A string member of an object.
pub(super) fn text<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

/// A version ID member. S3 writes `null` for objects of a bucket whose versioning is suspended.
pub(super) fn version_id<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    text(object, key)
        .filter(|version| *version != "null" && (1..=MAX_LENGTH).contains(&version.len()))
}

/// Whether `name` is a valid bucket name, including names from before S3's stricter rules.
fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
