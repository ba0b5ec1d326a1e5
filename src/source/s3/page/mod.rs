//! Validates the pages of a listing before their keys are used: a page that is cut, repeated or out of order would
//! otherwise leave a silent gap, or make the listing go round for ever.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use super::ListedObject;
use crate::log::quote::quoted;

/// A page whose keys can be relied on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<ListedObject>,
    /// Common prefixes, each with its `/` at the end.
    pub(super) folders: Vec<String>,
    /// Token of the next page, if there is one.
    pub(super) next: Option<String>,
}

/// What the pages of one listing so far tell about the next one.
#[derive(Debug)]
pub(super) struct Listing {
    prefix: String,
    /// Whether keys behind the next `/` are listed as one common prefix.
    delimited: bool,
    last_key: Option<String>,
    last_folder: Option<String>,
    /// Hashes of the tokens seen: a listing may have a hundred thousand pages.
    tokens: HashSet<u64>,
    hasher: RandomState,
}

impl Listing {
    pub(super) fn new(prefix: &str, delimited: bool) -> Listing {
        Listing {
            prefix: prefix.to_owned(),
            delimited,
            last_key: None,
            last_folder: None,
            tokens: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Checks a page that was requested with this `after` (`start-after`). `complete` says whether its XML is.
    ///
    /// # Errors
    ///
    /// What is wrong with the page. The listing is then unchanged: the page can be requested again.
    pub(super) fn accept(
        &mut self,
        page: &ListObjectsV2Output,
        complete: bool,
        after: Option<&str>,
    ) -> Result<Page, String> {
        if !complete {
            return Err("the XML of the page is incomplete".to_owned());
        }
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        let mut objects = Vec::with_capacity(page.contents().len());
        for object in page.contents() {
            let key = object.key().ok_or("an object without a key")?;
            objects.push(ListedObject {
                key: decoded(key, encoded)?,
                size: object
                    .size()
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or(0),
            });
        }
        let mut folders = Vec::with_capacity(page.common_prefixes().len());
        for folder in page.common_prefixes() {
            let prefix = folder.prefix().ok_or("a common prefix without its text")?;
            folders.push(decoded(prefix, encoded)?);
        }
        let last = self.last_key.as_deref().max(after);
        self.check_order("key", last, objects.iter().map(|object| &object.key))?;
        self.check_order("common prefix", self.last_folder.as_deref(), &folders)?;
        if let Some(folder) = folders
            .iter()
            .find(|folder| !self.delimited || !folder.ends_with('/'))
        {
            let folder = quoted(folder);
            return Err(format!("the common prefix {folder} was not asked for"));
        }
        check_count(page, objects.len() + folders.len())?;
        let next = next_token(page)?.map(str::to_owned);
        if let Some(token) = &next
            && !self.tokens.insert(self.hasher.hash_one(token))
        {
            return Err("the token of the next page was used before in this listing".to_owned());
        }
        if let Some(object) = objects.last() {
            self.last_key = Some(object.key.clone());
        }
        if let Some(folder) = folders.last() {
            self.last_folder = Some(folder.clone());
        }
        Ok(Page {
            objects,
            folders,
            next,
        })
    }

    /// Checks that all `keys` have the prefix and increase strictly by their UTF-8 bytes, the first one from `last`.
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

/// A key or prefix as it is, however the answer writes it.
fn decoded(text: &str, encoded: bool) -> Result<String, String> {
    if !encoded {
        return Ok(text.to_owned());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| format!("the key {} is not UTF-8 after URL decoding", quoted(text)))
}

fn check_count(page: &ListObjectsV2Output, listed: usize) -> Result<(), String> {
    match page.key_count() {
        Some(count) if usize::try_from(count) != Ok(listed) => Err(format!(
            "KeyCount is {count}, but the page lists {listed} keys and common prefixes"
        )),
        _ => Ok(()),
    }
}

/// The token of the next page, which is there exactly if the page is truncated.
fn next_token(page: &ListObjectsV2Output) -> Result<Option<&str>, String> {
    let token = page.next_continuation_token();
    match (page.is_truncated(), token.filter(|token| !token.is_empty())) {
        (Some(true), Some(token)) => Ok(Some(token)),
        (Some(true), None) => Err("IsTruncated is true, but there is no token".to_owned()),
        (Some(false), None) => Ok(None),
        (Some(false), Some(_)) => Err("IsTruncated is false, but there is a token".to_owned()),
        (None, _) => Err("IsTruncated is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests;
