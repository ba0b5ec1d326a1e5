//! The reader's state, and the types of its steps.

use super::preceding::{Preceding, Surroundings};
use super::wrapper::ArrayKind;
use super::{Damage, RecordSink};
use crate::json::{Scan, Scanner};

/// Reads the records of one text.
#[derive(Debug)]
pub struct RecordReader {
    pub(super) scanner: Scanner,
    pub(super) context: Context,
    /// Set while the next record is searched after damage.
    pub(super) resync: Option<Resync>,
    /// Bytes scanned without finding a record, and the highest allowed number of them.
    pub(super) wasted: u64,
    pub(super) waste_limit: u64,
    /// Bytes consumed by earlier windows.
    pub(super) consumed: u64,
    /// Bytes scanned as wrappers.
    pub(super) wrappers: u64,
    /// Whether a record was found.
    pub(super) found: bool,
    /// Values outside of a list of records that are neither objects nor damage, before the first record. Without any
    /// record, the text is no log.
    pub(super) values: u64,
    /// Offset of the first of them.
    pub(super) first_value: u64,
    /// Whether an array of strings was entered.
    pub(super) reads_strings: bool,
    /// Time of last resort for all records of this text.
    pub(super) text_time: Option<u64>,
    /// The same for the next record: the time at the start of its line.
    pub(super) line_time: Option<u64>,
    /// Whether a line started with a time.
    pub(super) timed_lines: bool,
    /// If this text is a string of another one: offset of the object around it in that. Its own strings are not opened.
    pub(super) outer: Option<u64>,
    pub(super) last: LastToken,
    /// Wrappers around others, whose closing braces come when their context is forgotten.
    pub(super) outer_braces: u64,
    /// Whether the sink stopped the reading.
    pub(super) stopped: bool,
    /// Buffer for unescaped strings.
    pub(super) unescaped: Vec<u8>,
}

/// The last token outside of wrappers that is not white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastToken {
    /// There was none.
    None,
    /// A closing brace that closes nothing.
    StrayBrace,
    /// A value, or the start of one.
    Other,
}

/// What surrounds the next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Nothing: the start of the text, or between lines.
    Top,
    /// An array of records.
    Array(ArrayKind),
    /// The other keys of a wrapper, after its array.
    Wrapper {
        /// The array that was read last.
        kind: ArrayKind,
        /// The next token is a member's value.
        value_follows: bool,
        /// That value is another array of records.
        array_follows: Option<ArrayKind>,
    },
    /// A line that starts with a time, after that.
    TimedLine,
    /// The rest of a line without a record.
    LineRest,
    /// Text that is not read any more.
    GivenUp,
}

impl Context {
    /// In a wrapper, between members.
    pub(super) fn between_members(kind: ArrayKind) -> Context {
        Context::Wrapper {
            kind,
            value_follows: false,
            array_follows: None,
        }
    }
}

/// A search for the next record that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resync {
    /// What is reported when the search ends.
    pub(super) damage: Damage,
    /// What is in front of the next byte.
    pub(super) preceding: Preceding,
    /// Offset of the damage in the whole text.
    pub(super) start: u64,
}

/// Part of the text. It starts where the consumed part of the previous window ended.
#[derive(Clone, Copy)]
pub(super) struct Window<'t> {
    pub(super) text: &'t [u8],
    /// Whether the text ends with it.
    pub(super) last: bool,
}

/// What follows a step.
pub(super) enum StepResult {
    /// The next step, at this offset.
    Continue(usize),
    /// The next window: the rest of this one cannot be judged without it.
    NeedMore,
    /// Nothing: the sink returned `false`.
    Stop,
}

impl RecordReader {
    /// A reader at the start of a text.
    pub fn new(scanner: Scanner) -> Self {
        RecordReader {
            scanner,
            context: Context::Top,
            resync: None,
            wasted: 0,
            waste_limit: 0,
            consumed: 0,
            wrappers: 0,
            found: false,
            values: 0,
            first_value: 0,
            reads_strings: false,
            text_time: None,
            line_time: None,
            timed_lines: false,
            outer: None,
            last: LastToken::None,
            outer_braces: 0,
            stopped: false,
            unescaped: Vec::new(),
        }
    }

    /// Sets the buffer for unescaped strings, so that it is not allocated for each text.
    pub fn with_buffer(mut self, buffer: Vec<u8>) -> Self {
        self.unescaped = buffer;
        self
    }

    /// The buffer for unescaped strings.
    pub fn into_buffer(self) -> Vec<u8> {
        self.unescaped
    }

    /// Whether the value at `at` may continue in the next window without being longer than a record
    /// may be.
    pub(super) fn needs_more(&self, window: Window<'_>, at: usize) -> bool {
        !window.last && window.text.len() - at < self.record_limit()
    }

    /// Scans the container at `at`, up to one byte more than a record may have.
    pub(super) fn scan(&self, text: &[u8], at: usize, sink: &mut impl RecordSink) -> Scan {
        let end = text.len().min(at + self.record_limit() + 1);
        self.scanner.scan(&text[at..end], sink.tapes())
    }

    /// Whether strings are opened here: not in a list of records, nor in a string.
    pub(super) fn opens_strings(&self) -> bool {
        self.outer.is_none() && self.context != Context::Array(ArrayKind::Records)
    }

    /// Reports damage that starts at this offset of the whole text.
    #[cold]
    pub(super) fn report(&self, damage: Damage, start: u64, sink: &mut impl RecordSink) {
        match self.outer {
            None => sink.damage(damage, start),
            Some(outer) => {
                let damage = match damage {
                    Damage::CutOff | Damage::Unclosed => Damage::CutOffString,
                    other => other,
                };
                sink.damage(damage, outer);
            }
        }
    }

    pub(super) fn enter(&mut self, kind: ArrayKind) {
        if let Context::Array(ArrayKind::Records | ArrayKind::Strings) | Context::Wrapper { .. } =
            self.context
        {
            self.outer_braces += 1;
        }
        self.reads_strings |= kind == ArrayKind::Strings;
        self.context = Context::Array(kind);
    }

    /// What surrounds the places where a record may start. A stray bracket in a text with lines looks like the start of an
    /// array.
    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            top: self.context == Context::Top,
            timed_lines: self.timed_lines
                || matches!(self.context, Context::Top | Context::Array(ArrayKind::Bare)),
        }
    }
}
