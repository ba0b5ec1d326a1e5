//! The records of a log file's text, also around damage.
//!
//! A log file is `{"Records":[…]}`. A bare array, one record per line, a single record, and an
//! EventBridge envelope (the record is its `detail`) are read too. The text comes in windows, so
//! that it never needs to fit in memory: [`RecordReader::feed`] returns how much of one it consumed.
//!
//! Where brackets or quotes do not balance, the reader resynchronizes: it looks for the next place
//! where a whole record starts, so that damage costs the record that it is in. This module finds
//! records and reads only the keys that distinguish a record from another object.
#![forbid(unsafe_code)]

mod reader;
mod resync;
#[cfg(test)]
mod tests;
mod wrapper;

pub use reader::RecordReader;

use crate::json::{TapeBuffer, TapeSpan};

/// Longest record that is delivered, in bytes. AWS writes at most 256 KiB.
pub(crate) const MAX_RECORD: usize = 64 << 20;

/// Receives what a [`RecordReader`] finds.
pub trait RecordSink {
    /// The buffer to write tapes to.
    fn tapes(&mut self) -> &mut TapeBuffer;

    /// Receives a record, from `{` to `}`, and the location of its tape in [`RecordSink::tapes`].
    /// Returns whether to continue.
    fn record(&mut self, text: &[u8], tape: TapeSpan) -> bool;

    /// Receives a piece of text that is not a record.
    fn damage(&mut self, damage: Damage);

    /// Whether the records are not needed any more. A long search for the next record checks it.
    fn cancelled(&self) -> bool {
        false
    }
}

/// What could not be read as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Text whose brackets or quotes do not balance; once for each stretch of it.
    Unbalanced,
    /// A value in place of a record that is not an object.
    NotAnObject,
    /// The text ends within its last record.
    CutOff,
    /// The text ends within its array of records, but between two of them.
    Unclosed,
    /// A record longer than 64 MiB, or with more than 4 Mi objects and arrays.
    TooLong,
    /// The rest of the text, after too much work was spent on damage.
    GivenUp,
}
