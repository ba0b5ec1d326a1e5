//! Validates the pages of a listing before their keys are used. A truncated, repeated or unordered page would leave a
//! silent gap or loop forever.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::ListedObject;
use crate::aws::ListAnswer;
use crate::log::quote::quoted;
use crate::object_key;

/// Empty pages in a row that a listing may have. S3 sends some where many objects were deleted; without a bound, a server
/// that sends nothing else would never come to an end.
const MAX_EMPTY_PAGES: u32 = 1000;

/// A validated page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<ListedObject>,
    /// Common prefixes, each with a trailing `/`.
    pub(super) common_prefixes: Vec<String>,
    /// Continuation token; `None` on the last page.
    pub(super) next_token: Option<String>,
}

/// Validates the pages of one listing, each against those before it.
#[derive(Debug)]
pub(super) struct PageValidator {
    prefix: String,
    /// Whether the listing has common prefixes.
    delimited: bool,
    last_key: Option<String>,
    last_common_prefix: Option<String>,
    /// Hashes of all tokens: whole tokens of a hundred thousand pages would take much memory.
    tokens: HashSet<u64>,
    hasher: RandomState,
    empty_pages: u32,
}

impl PageValidator {
    pub(super) fn new(prefix: &str, delimited: bool) -> PageValidator {
        PageValidator {
            prefix: prefix.to_owned(),
            delimited,
            last_key: None,
            last_common_prefix: None,
            tokens: HashSet::new(),
            hasher: RandomState::new(),
            empty_pages: 0,
        }
    }

    /// Validates a page that was requested with `start-after` set to `after`.
    ///
    /// # Errors
    ///
    /// The problem of the page. The validator is then unchanged, so the page can be requested again.
    pub(super) fn accept(&mut self, page: ListAnswer, after: Option<&str>) -> Result<Page, String> {
        if !page.is_complete {
            return Err("the XML of the page is incomplete".to_owned());
        }
        let mut objects = Vec::with_capacity(page.objects.len());
        for object in page.objects {
            let key = object.key.ok_or("an object without a key")?;
            objects.push(ListedObject {
                key: decoded(key, page.is_encoded)?,
                size: object.size,
                modified: object.modified,
            });
        }
        let mut common_prefixes = Vec::with_capacity(page.common_prefixes.len());
        for common in page.common_prefixes {
            let prefix = common.ok_or("a common prefix without its text")?;
            common_prefixes.push(decoded(prefix, page.is_encoded)?);
        }
        let last = self.last_key.as_deref().max(after);
        self.check_order("key", last, objects.iter().map(|object| &object.key))?;
        self.check_order(
            "common prefix",
            self.last_common_prefix.as_deref(),
            &common_prefixes,
        )?;
        if let Some(prefix) = common_prefixes
            .iter()
            .find(|prefix| !self.delimited || !prefix.ends_with('/'))
        {
            let prefix = quoted(prefix);
            return Err(format!("the common prefix {prefix} was not requested"));
        }
        check_count(page.key_count, objects.len() + common_prefixes.len())?;
        let empty = objects.is_empty() && common_prefixes.is_empty();
        if empty && self.empty_pages >= MAX_EMPTY_PAGES {
            return Err(format!("more than {MAX_EMPTY_PAGES} empty pages in a row"));
        }
        let next_token = next_token(page.is_truncated, page.next_token)?;
        if let Some(token) = &next_token
            && !self.tokens.insert(self.hasher.hash_one(token))
        {
            return Err("the continuation token was already used in this listing".to_owned());
        }
        self.empty_pages = match empty {
            true => self.empty_pages + 1,
            false => 0,
        };
        if let Some(object) = objects.last() {
            self.last_key = Some(object.key.clone());
        }
        if let Some(prefix) = common_prefixes.last() {
            self.last_common_prefix = Some(prefix.clone());
        }
        Ok(Page {
            objects,
            common_prefixes,
            next_token,
        })
    }

    /// Checks that all `keys` have the prefix and strictly increase by their UTF-8 bytes, starting after `last`.
    fn check_order<'k>(
        &self,
        what: &str,
        mut last: Option<&'k str>,
        keys: impl IntoIterator<Item = &'k String>,
    ) -> Result<(), String> {
        for key in keys {
            if !key.starts_with(&self.prefix) {
                return Err(format!(
                    "the {what} {} does not have the prefix",
                    quoted(key)
                ));
            }
            if let Some(last) = last
                && last.as_bytes() >= key.as_bytes()
            {
                let (key, last) = (quoted(key), quoted(last));
                return Err(format!(
                    "the {what} {key} is not in order: it follows {last}"
                ));
            }
            last = Some(key);
        }
        Ok(())
    }
}

/// URL-decodes a key or prefix if the page is `encoded`.
fn decoded(text: String, encoded: bool) -> Result<String, String> {
    // Most keys have nothing to decode.
    if !encoded || !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(text);
    }
    object_key::url_decoded(&text)
        .ok_or_else(|| format!("the key {} is not UTF-8 after URL decoding", quoted(&text)))
}

fn check_count(count: Option<i32>, listed: usize) -> Result<(), String> {
    match count {
        Some(count) if usize::try_from(count) != Ok(listed) => Err(format!(
            "KeyCount is {count}, but the page lists {listed} keys and common prefixes"
        )),
        _ => Ok(()),
    }
}

/// The continuation token, which must be present exactly if the page is truncated.
fn next_token(is_truncated: Option<bool>, token: Option<String>) -> Result<Option<String>, String> {
    match (is_truncated, token.filter(|token| !token.is_empty())) {
        (Some(true), Some(token)) => Ok(Some(token)),
        (Some(true), None) => {
            Err("IsTruncated is true, but there is no continuation token".to_owned())
        }
        (Some(false), None) => Ok(None),
        (Some(false), Some(_)) => {
            Err("IsTruncated is false, but there is a continuation token".to_owned())
        }
        (None, _) => Err("IsTruncated is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests;
