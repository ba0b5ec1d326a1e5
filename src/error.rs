//! The kinds of errors that the plugin reports, and nothing about how they are shown.
#![forbid(unsafe_code)]

use std::fmt;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The init configuration is not a JSON object, or one of its values is not allowed.
    Config,
    /// The open parameters name nothing that can be read.
    OpenParams,
    /// A file or object could not be read.
    Read,
    /// A gzip stream is damaged or cut off.
    Gzip,
    /// An object decompresses to more than `maxObjectBytes`.
    TooLarge,
    /// The host called in a way that the plugin API does not allow.
    Host,
}

impl ErrorKind {
    /// A short stable name, as used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::OpenParams => "open_params",
            ErrorKind::Read => "read",
            ErrorKind::Gzip => "gzip",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Host => "host",
        }
    }
}

/// One line for a person: the thing, its value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of `kind` that reads as `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
        }
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A result whose error is this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
