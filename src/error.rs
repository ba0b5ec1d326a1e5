//! The crate's error: a kind that a caller can act on, and a message for people.
#![forbid(unsafe_code)]

use std::fmt;

/// Class of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The init configuration, or a setting that completes it (environment, shared AWS files), is invalid.
    Config,
    /// The open parameters are invalid, or name a source that cannot be opened.
    OpenParams,
    /// A file, object or listing could not be read.
    Read,
    /// A gzip stream is damaged or truncated.
    Gzip,
    /// An object decompresses to more than `maxObjectBytes`.
    TooLarge,
    /// The operating system refused a thread or a file descriptor.
    Resources,
    /// A fault of the plugin itself, such as a contained panic.
    Internal,
    /// A library is not a plugin, or breaks a rule of the plugin API.
    Api,
    /// A function of a loaded plugin reported failure.
    Plugin,
    /// A requested field does not exist, or its argument is invalid.
    Field,
}

/// An error with a one-line message: the affected thing, the cause, and a remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// Creates an error of `kind` with `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
        }
    }

    /// The error's class.
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

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
