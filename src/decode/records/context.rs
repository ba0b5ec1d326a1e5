//! What surrounds the next value of a text.

use super::wrapper::ArrayKind;

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

    /// Whether lines may start with a time here. A stray bracket in such a text looks like the start of an array.
    pub(super) fn has_lines(self) -> bool {
        matches!(self, Context::Top | Context::Array(ArrayKind::Bare))
    }
}
