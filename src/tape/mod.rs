//! The tape: where everything in a JSON text stands, found in one pass, read on demand.
//!
//! A tape holds, for each value, the places of its structural characters and nothing else: a
//! string its two quotes, a number or literal its first byte, a container its two brackets with
//! the distance to skip it. Strings are unescaped and numbers converted by whoever asks for them.
//! That is why no byte inside a value can make a record unreadable: only braces, brackets and
//! quotes are looked at here.
//!
//! Knows JSON; must not know CloudTrail.

mod block;
mod scan;
mod value;

pub use scan::{MAX_CONTAINERS, Scan, Scanner};
pub use value::{Elements, Kind, Members, Tape, Value};

/// A container's brackets as places in the tape, and how to pass over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Entry of the opening bracket.
    open: u32,
    /// Entry of the closing bracket. While the container is open: the container around it.
    close: u32,
    /// Number of the first container that starts behind this one.
    after: u32,
}

/// Owns the entries of any number of tapes, one behind the other; see [`Scanner`].
#[derive(Debug, Default)]
pub struct Tapes {
    /// Places in the text, counted from the start of the tape's own text. The vector is longer
    /// than what is in use, so that a whole block's entries can be written without a check each.
    entries: Vec<u32>,
    used: usize,
    containers: Vec<Container>,
}

/// Where one tape stands in a [`Tapes`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TapeSpan {
    entries: (u32, u32),
    containers: (u32, u32),
    plain: bool,
}

impl Tapes {
    /// Forgets all tapes and keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.containers.clear();
    }

    /// The tape at `span` over the text that it was made from.
    ///
    /// Every access is checked, so a wrong text gives wrong values or none, never a fault.
    pub fn tape<'t>(&'t self, span: TapeSpan, text: &'t [u8]) -> Tape<'t> {
        let (entries, containers) = (span.entries, span.containers);
        Tape::new(
            text,
            &self.entries[entries.0 as usize..entries.1 as usize],
            &self.containers[containers.0 as usize..containers.1 as usize],
            span.plain,
        )
    }

    /// Takes back the tape at `span`, if it is the last one.
    pub fn discard(&mut self, span: TapeSpan) {
        if span.entries.1 as usize == self.used {
            self.used = span.entries.0 as usize;
            self.containers.truncate(span.containers.0 as usize);
        }
    }

    /// Drops all tapes behind `last`, or all.
    pub fn truncate(&mut self, last: Option<TapeSpan>) {
        let (entries, containers) = last.map_or((0, 0), |span| (span.entries.1, span.containers.1));
        self.used = self.used.min(entries as usize);
        self.containers.truncate(containers as usize);
    }

    /// Bytes of memory in use.
    pub fn used_bytes(&self) -> usize {
        self.used * size_of::<u32>() + self.containers.len() * size_of::<Container>()
    }

    /// Bytes of memory held.
    pub fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u32>()
            + self.containers.capacity() * size_of::<Container>()
    }
}
