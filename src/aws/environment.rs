//! Environment variables.
#![forbid(unsafe_code)]

use std::env;

/// An environment variable that is set and not blank.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
