//! Storage of tapes: their entries and containers, one record's after the other's.
#![forbid(unsafe_code)]

use super::Tape;

/// One row of a tape's container table; the [module documentation](super) has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// Entry of the opening bracket.
    pub(super) open: u32,
    /// Entry of the closing bracket.
    pub(super) close: u32,
    /// Number of the first container that opens after `close`.
    pub(super) next: u32,
}

/// Stores the tapes of any number of records; a [`Scanner`](super::Scanner) appends to it.
#[derive(Debug, Default)]
pub struct TapeBuffer {
    /// Longer than `used`, so that a block's entries are written without a bounds check for each.
    pub(super) entries: Vec<u32>,
    /// Number of valid `entries`.
    pub(super) used: usize,
    pub(super) containers: Vec<Container>,
}

/// Place of one record's tape in a [`TapeBuffer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TapeSpan {
    /// First entry, and one past the last.
    pub(super) entries: (u32, u32),
    /// First container, and one past the last.
    pub(super) containers: (u32, u32),
    /// See [`Tape::is_plain`].
    pub(super) plain: bool,
}

impl TapeBuffer {
    /// Removes all tapes and keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.containers.clear();
    }

    /// The tape at `span`, over the `text` that it was made from.
    ///
    /// Every access is checked: another text gives wrong values or none, never a panic.
    pub fn tape<'t>(&'t self, span: TapeSpan, text: &'t [u8]) -> Tape<'t> {
        let (entries, containers) = (span.entries, span.containers);
        Tape::new(
            text,
            &self.entries[entries.0 as usize..entries.1 as usize],
            &self.containers[containers.0 as usize..containers.1 as usize],
            span.plain,
        )
    }

    /// Removes the tape at `span` if it is the last one; does nothing otherwise.
    pub fn discard(&mut self, span: TapeSpan) {
        if span.entries.1 as usize == self.used {
            self.used = span.entries.0 as usize;
            self.containers.truncate(span.containers.0 as usize);
        }
    }

    /// Removes all tapes after `last`, or all.
    pub(crate) fn truncate(&mut self, last: Option<TapeSpan>) {
        let (entries, containers) = last.map_or((0, 0), |span| (span.entries.1, span.containers.1));
        self.used = self.used.min(entries as usize);
        self.containers.truncate(containers as usize);
    }

    /// Memory in use, in bytes.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used * size_of::<u32>() + self.containers.len() * size_of::<Container>()
    }

    /// Memory allocated, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u32>()
            + self.containers.capacity() * size_of::<Container>()
    }
}
