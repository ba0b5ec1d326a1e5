//! Collects the objects and the problems of one message.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashSet;

use super::json::{excerpt, string};
use super::{Notification, ObjectRef, Parsed};
use crate::json::{Tape, Value};
use crate::log::quote::quoted_up_to;

/// Problems that are listed; further ones are counted. A message has room for half a million.
const MAX_PROBLEMS: usize = 1000;

/// S3's maximum length of a key and of a version ID in bytes.
pub(super) const MAX_LENGTH: usize = 1024;

/// Maximum length of a bucket's name in bytes, from before S3's stricter rules.
const MAX_BUCKET: usize = 255;

/// Builds the [`Parsed`] of one message.
pub(super) struct Collector<'b> {
    tape: Tape<'b>,
    parsed: Parsed<'b>,
}

impl<'b> Collector<'b> {
    pub(super) fn new(tape: Tape<'b>) -> Self {
        Collector {
            tape,
            parsed: Parsed::default(),
        }
    }

    /// Adds an object; adds a problem if its bucket or key is invalid.
    pub(super) fn add(
        &mut self,
        bucket: Option<Value>,
        key: Cow<'b, str>,
        size: Option<u64>,
        version: Option<Cow<'b, str>>,
    ) {
        let Some(name) = string(self.tape, bucket).filter(|name| is_bucket(name)) else {
            return self.unusable(bucket, &key, "the bucket name is not valid");
        };
        if key.is_empty() {
            return self.unusable(bucket, &key, "the key is empty");
        }
        if key.len() > MAX_LENGTH {
            let reason = format!("the key has {} bytes, more than {MAX_LENGTH}", key.len());
            return self.unusable(bucket, &key, &reason);
        }
        self.parsed.objects.push(ObjectRef {
            bucket: name,
            key,
            size,
            version,
        });
    }

    /// Adds a problem: a named object that cannot be read.
    pub(super) fn unusable(&mut self, bucket: Option<Value>, key: &str, reason: &str) {
        let tape = self.tape;
        self.problem(|| {
            let bucket = match string(tape, bucket) {
                Some(name) => quoted_up_to(&name, MAX_BUCKET),
                None => excerpt(tape, bucket),
            };
            format!(
                "bucket {bucket}, key {}: {reason}",
                quoted_up_to(key, MAX_LENGTH)
            )
        });
    }

    /// Adds a problem: a list element that names no object.
    pub(super) fn malformed(
        &mut self,
        list: &str,
        number: usize,
        reason: &str,
        part: Option<Value>,
    ) {
        let tape = self.tape;
        self.problem(|| format!("{list}[{number}] {reason}: {}", excerpt(tape, part)));
    }

    fn problem(&mut self, line: impl FnOnce() -> String) {
        match self.parsed.problems.len() < MAX_PROBLEMS {
            true => self.parsed.problems.push(line()),
            false => self.parsed.more_problems += 1,
        }
    }

    /// Whether there is neither an object nor a problem.
    pub(super) fn is_empty(&self) -> bool {
        self.parsed.objects.is_empty() && self.parsed.problems.is_empty()
    }

    /// Returns the result; without any object or problem, [`Notification::Unknown`] with `reason`.
    pub(super) fn finish(mut self, reason: &'static str) -> Notification<'b> {
        if self.is_empty() {
            return Notification::Unknown(reason);
        }
        remove_duplicates(&mut self.parsed.objects);
        Notification::Objects(self.parsed)
    }
}

/// Removes objects of the same bucket and key but the first of each.
fn remove_duplicates(objects: &mut Vec<ObjectRef<'_>>) {
    if objects.len() < 2 {
        return;
    }
    let mut seen = HashSet::with_capacity(objects.len());
    let first: Vec<bool> = objects
        .iter()
        .map(|object| seen.insert((&*object.bucket, &*object.key)))
        .collect();
    let mut first = first.into_iter();
    objects.retain(|_| first.next() == Some(true));
}

/// Whether `name` is a valid bucket name, including names from before S3's stricter rules.
fn is_bucket(name: &str) -> bool {
    (3..=MAX_BUCKET).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
