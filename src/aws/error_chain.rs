//! An error and its sources as one line.
#![forbid(unsafe_code)]

use std::error::Error as StdError;

use aws_sdk_s3::error::ErrorMetadata;

use crate::log::Escaped;

/// The error chain of `error` in one line, outermost first, without links that only introduce the next.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let text = match cause.downcast_ref::<ErrorMetadata>() {
            Some(answer) => code_and_message(answer),
            None => cause.to_string(),
        };
        let text = Escaped(text).to_string();
        let is_introduction =
            INTRODUCTIONS.contains(&text.as_str()) || text.starts_with("unhandled error (");
        let introduces = is_introduction && next.is_some();
        if introduces || line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

/// What a service says of an error that the SDK has no type for; the SDK would print it for its developers.
fn code_and_message(answer: &ErrorMetadata) -> String {
    match (answer.code(), answer.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) => "the answer has no error code".to_owned(),
    }
}

/// Links that say nothing if another one follows.
const INTRODUCTIONS: [&str; 12] = [
    "client error (Connect)",
    "dispatch failure",
    "failed to construct request",
    "io error",
    "other",
    "response error",
    "service error",
    "an error occurred while loading credentials",
    "unhandled error",
    "unexpected credentials error",
    "the credentials provider was not properly configured",
    "the credential provider was not enabled",
];

/// The first error of the chain that is a `T`.
pub(super) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
