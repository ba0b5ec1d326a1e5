//! An object on its way through the pipeline: its bytes, the memory they are accounted for, and the handle that
//! acknowledges it.
#![forbid(unsafe_code)]

pub mod ack;
pub mod memory_budget;

use std::path::PathBuf;

use self::ack::AckHandle;
use self::memory_budget::MemoryPermit;

/// A log file: a local file or an object in a bucket.
#[derive(Debug)]
pub struct Object {
    /// Path or URL, as log lines name it.
    pub name: String,
    /// Its stored bytes.
    pub content: Content,
    /// Acknowledges it to its source, if that is a queue.
    pub ack: Option<AckHandle>,
}

/// The stored bytes of an [`Object`].
#[derive(Debug)]
pub enum Content {
    /// In a file.
    File(PathBuf),
    /// In memory, with the permit for that memory.
    Memory(Vec<u8>, MemoryPermit),
}
