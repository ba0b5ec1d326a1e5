//! An object on its way through the pipeline: its bytes, the memory they are accounted for, and the handle that
//! acknowledges it.
#![forbid(unsafe_code)]

pub mod ack;
pub mod memory_budget;

use std::path::PathBuf;

use self::ack::AckHandle;
use self::memory_budget::MemoryPermit;

/// Something that holds records.
#[derive(Debug)]
pub struct Object {
    /// As it is named in the log: a path or a URL.
    pub name: String,
    /// Where its bytes are.
    pub content: Content,
    /// Who wants to know what became of it.
    pub ticket: Option<AckHandle>,
}

/// The stored bytes of an [`Object`].
#[derive(Debug)]
pub enum Content {
    /// In a file.
    File(PathBuf),
    /// In memory, with the permit for it.
    Memory(Vec<u8>, MemoryPermit),
}
