//! Where a record may start in damaged text, judging by the text before it.

use super::line_start::{LineStart, line_start};
use super::wrapper::RECORD_START;

/// Bytes before a record that are searched for the start of its line: a time, and some white space.
const LINE_SEARCHED: usize = 64;

/// What is in front of a place in damaged text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preceding {
    /// A line's start, and white space at most.
    Line,
    /// A separator or a closing bracket: a record may follow.
    Separator,
    /// A colon: a member's value follows.
    Colon,
    /// Anything else, such as the inside of a string.
    Other,
}

/// What surrounds the places that are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Nothing does: records stand by themselves.
    pub(super) top: bool,
    /// Lines may start with a time.
    pub(super) timed_lines: bool,
}

/// Whether a record may start at a brace.
pub(super) enum RecordPlace {
    /// It may; this is where reading continues: at the brace, or at the time in front of it, in a text that has this in front.
    Start(usize, Preceding),
    /// The next window decides.
    Incomplete(usize, Preceding),
    /// Nothing tells a record from another object here.
    No,
}

impl Preceding {
    /// What is in front of the place after `text`, which has this in front.
    pub(super) fn after(self, text: &[u8]) -> Preceding {
        let (last, space) = match text.iter().rposition(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => (Some(text[at]), &text[at + 1..]),
            None => (None, text),
        };
        if space.contains(&b'\n') {
            return Preceding::Line;
        }
        match last {
            None => self,
            Some(b',' | b'[' | b'}' | b']') => Preceding::Separator,
            Some(b':') => Preceding::Colon,
            Some(_) => Preceding::Other,
        }
    }

    /// Whether a record may start at `brace`; the search started at `from`, which has this in front.
    pub(super) fn place(
        self,
        text: &[u8],
        from: usize,
        brace: usize,
        surroundings: Surroundings,
    ) -> RecordPlace {
        let before = &text[from..brace];
        let preceding = self.after(before);
        match preceding {
            Preceding::Line | Preceding::Separator => return RecordPlace::Start(brace, preceding),
            Preceding::Colon => return RecordPlace::No,
            Preceding::Other => {}
        }
        if surroundings.timed_lines
            && let Some(offset) = self.timed_line(before)
        {
            return RecordPlace::Start(from + offset, Preceding::Line);
        }
        // Records without separators between them, of which one is cut off.
        let start = &text[brace..];
        match surroundings.top {
            true if start.starts_with(RECORD_START) => RecordPlace::Start(brace, Preceding::Other),
            true if RECORD_START.starts_with(start) => {
                RecordPlace::Incomplete(brace, Preceding::Other)
            }
            _ => RecordPlace::No,
        }
    }

    /// Offset of the last line of `text`, if it is a time and white space.
    fn timed_line(self, text: &[u8]) -> Option<usize> {
        let start = self.last_line(text)?;
        let line = &text[start..];
        match line_start(line) {
            LineStart::Time(len, _) => line[len..].trim_ascii().is_empty().then_some(start),
            _ => None,
        }
    }

    /// Offset of the last line of `text`, without leading white space, if it may become the time in front of a record.
    pub(super) fn incomplete_line(self, text: &[u8], surroundings: Surroundings) -> Option<usize> {
        if !surroundings.timed_lines {
            return None;
        }
        let start = self.last_line(text)?;
        let of_time = |byte: &u8| byte.is_ascii_digit() || b"-:.+TtZz \t\r".contains(byte);
        let line = &text[start..];
        (!line.is_empty() && line.iter().all(of_time)).then_some(start)
    }

    /// Offset of the last line of `text`, without leading white space, if it is short.
    fn last_line(self, text: &[u8]) -> Option<usize> {
        let near = text.len().saturating_sub(LINE_SEARCHED);
        let start = match memchr::memrchr(b'\n', &text[near..]) {
            Some(at) => near + at + 1,
            None if near == 0 && self == Preceding::Line => 0,
            None => return None,
        };
        let line = &text[start..];
        Some(start + line.len() - line.trim_ascii_start().len())
    }
}

/// Whether a line inside of `object` starts with a record: the object consists of damaged records and those between them.
/// In a sound record, a quote in a string is escaped, and there is a separator before an object.
#[inline(never)]
pub(super) fn has_line_of_record(object: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let indented = |text: &[u8]| text.iter().take_while(|byte| blank(byte)).count();
    memchr::memchr_iter(b'\n', object).any(|end| {
        let line = &object[end + 1..];
        let line = &line[indented(line)..];
        match line_start(line) {
            LineStart::Time(len, _) => {
                line[len + indented(&line[len..])..].starts_with(RECORD_START)
            }
            _ if line.starts_with(RECORD_START) => {
                let last = object[..end].trim_ascii_end().last();
                !matches!(last, Some(b',' | b'[' | b':'))
            }
            _ => false,
        }
    })
}
