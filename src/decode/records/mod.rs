//! The records of a log file's text, also around damage.
//!
//! A log file is `{"Records":[…]}`. A bare array, one record per line, a single record, and an
//! EventBridge envelope (the record is its `detail`) are read too, and so are containers of records as
//! strings: CloudWatch Logs envelopes and export lines, and the output of `lookup-events`. The text comes
//! in windows, so that it never needs to fit in memory: [`RecordReader::feed`] returns how much of one it
//! consumed.
//!
//! A caller of AWS chooses what is inside a record, so only the keys of the outermost objects decide what
//! is opened: an envelope in a record's request parameters is a part of that record.
//!
//! Where brackets or quotes do not balance, the reader resynchronizes: it looks for the next place
//! where a whole record starts, so that damage costs the record that it is in. This module finds
//! records and reads only the keys that distinguish a record from another object.
#![forbid(unsafe_code)]

mod line_start;
mod lines;
mod object;
mod preceding;
mod reader;
mod resync;
mod state;
mod strings;
#[cfg(test)]
mod tests;
mod wrapper;

pub use state::RecordReader;

use crate::json::{TapeBuffer, TapeSpan};

/// Longest record that is delivered, in bytes. AWS writes at most 256 KiB.
pub(crate) const MAX_RECORD: usize = 64 << 20;

/// Length of a string over which the memory to unescape it is accounted separately, in bytes.
const LONG_STRING: usize = 256 << 10;

/// Receives what a [`RecordReader`] finds.
pub trait RecordSink {
    /// The buffer to write tapes to.
    fn tapes(&mut self) -> &mut TapeBuffer;

    /// Receives a record, from `{` to `}`, and the location of its tape in [`RecordSink::tapes`].
    /// `time` is the time of last resort that a container of the record gives, in nanoseconds since
    /// 1970. Returns whether to continue.
    fn record(&mut self, text: &[u8], tape: TapeSpan, time: Option<u64>) -> bool;

    /// Receives a value that is sound and no record.
    fn not_a_log(&mut self, value: NotALog<'_>);

    /// Waits until a buffer of this many bytes may be allocated. Returns whether to continue.
    fn acquire_buffer(&mut self, _bytes: usize) -> bool {
        true
    }

    /// Receives a piece of text that is not a record, and its offset in the text. In a string that holds records, it is
    /// the offset of the object around the string.
    fn damage(&mut self, damage: Damage, at: u64);

    /// Whether the records are not needed any more. A long search for the next record checks it.
    fn cancelled(&self) -> bool {
        false
    }
}

/// A sound value outside of a list of records that is not a record.
#[derive(Clone, Copy, Debug)]
pub enum NotALog<'t> {
    /// An object without any key of a record, and the location of its tape.
    Object(&'t [u8], TapeSpan),
    /// A text in which a log event should be.
    Text,
    /// A string, number, literal or array.
    Value,
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
    /// A string of a container ends within its record.
    CutOffString,
    /// The text ends within its array of records, but between two of them.
    Unclosed,
    /// A record longer than 64 MiB, or with more than 4 Mi objects and arrays.
    TooLong,
    /// The rest of the text, after too much work was spent on damage.
    GivenUp,
}
