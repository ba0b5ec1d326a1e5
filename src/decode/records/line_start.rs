//! The time at the start of a line.

use crate::timestamp;

/// Whether a text starts with a time.
pub(super) enum LineStart {
    /// It does: length of the time, and the time in nanoseconds since 1970.
    Time(usize, u64),
    /// It does not.
    No,
    /// The text ends too early to decide.
    Incomplete,
}

/// Recognizes the time at the start of a line, which white space follows.
pub(super) fn line_start(text: &[u8]) -> LineStart {
    /// Longest time that is recognized, in bytes.
    const LONGEST: usize = 40;
    let start = &text[..text.len().min(LONGEST)];
    match start.iter().position(u8::is_ascii_whitespace) {
        Some(len) => match timestamp::parse(&text[..len]) {
            Some(time) => LineStart::Time(len, time),
            None => LineStart::No,
        },
        None if text.len() < LONGEST => LineStart::Incomplete,
        None => LineStart::No,
    }
}
