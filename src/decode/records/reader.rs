//! The reader's state machine: what surrounds the next value, and what that value is.

use super::line_start::{LineStart, line_start};
use super::lines::is_json_scalar;
use super::preceding::Preceding;
use super::resync::SearchResult;
use super::state::{Context, LastToken, RecordReader, StepResult, Window};
use super::wrapper::ArrayKind;
use super::{Damage, NotALog, RecordSink};
use crate::json::text::string_len;
use crate::json::{Scan, scalar_len};

impl RecordReader {
    /// Reads the records of the next window of the text; `last` if the text ends with it.
    ///
    /// Returns the number of bytes consumed. The next window starts with the others, with more
    /// text after them.
    pub fn feed(&mut self, text: &[u8], last: bool, sink: &mut impl RecordSink) -> usize {
        self.set_waste_limit(self.consumed + text.len() as u64);
        let consumed = self.read(Window { text, last }, sink);
        self.consumed += consumed as u64;
        consumed
    }

    pub(super) fn read(&mut self, window: Window<'_>, sink: &mut impl RecordSink) -> usize {
        let Window { text, last } = window;
        let mut at = 0;
        while at < text.len() {
            if self.context == Context::GivenUp {
                break;
            }
            match self.step(window, at, sink) {
                StepResult::Continue(next) => at = next,
                StepResult::NeedMore => break,
                StepResult::Stop => {
                    self.stopped = true;
                    return text.len();
                }
            }
        }
        if last {
            self.report_end(at, sink);
        }
        match self.context {
            Context::GivenUp => text.len(),
            _ => at,
        }
    }

    /// Reports what the end of the text leaves open.
    fn report_end(&mut self, end: usize, sink: &mut impl RecordSink) {
        if let Some(resync) = self.resync.take() {
            let damage = match resync.damage {
                Damage::Unbalanced => Damage::CutOff,
                other => other,
            };
            self.report(damage, resync.start, sink);
        } else if matches!(self.context, Context::Array(_) | Context::Wrapper { .. }) {
            self.report(Damage::Unclosed, self.consumed + end as u64, sink);
        }
        for _ in 0..std::mem::take(&mut self.values) {
            sink.not_a_log(NotALog::Value);
        }
    }

    /// Reads the token or value at `at`.
    fn step(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        if let Some(resync) = self.resync {
            return self.find_record(resync, window, at, sink);
        }
        if let Context::TimedLine | Context::LineRest = self.context {
            return self.line(window, at, sink);
        }
        match window.text[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b',' => {
                if let Context::Wrapper { value_follows, .. } = &mut self.context {
                    *value_follows = false;
                }
            }
            b':' => {
                if let Context::Wrapper { value_follows, .. } = &mut self.context {
                    *value_follows = true;
                }
            }
            b']' => match self.context {
                Context::Array(ArrayKind::Bare) => self.context = Context::Top,
                Context::Array(kind) => self.context = Context::between_members(kind),
                _ => {}
            },
            b'}' => match self.context {
                Context::Wrapper { .. } => self.context = Context::Top,
                Context::Array(_) => {
                    self.report(Damage::Unbalanced, self.consumed + at as u64, sink)
                }
                _ => self.stray_brace(at, sink),
            },
            first @ (b'{' | b'[' | b'"') => {
                let result = match first {
                    b'{' => self.object(window, at, sink),
                    b'[' => self.array(window, at, sink),
                    _ => self.string(window, at, sink),
                };
                if let StepResult::Continue(_) = result {
                    self.last = LastToken::Other;
                }
                return result;
            }
            // A byte order mark.
            0xef if self.context == Context::Top
                && window.text[at..].starts_with(b"\xef\xbb\xbf") =>
            {
                return StepResult::Continue(at + 3);
            }
            _ => {
                let result = self.scalar(window, at, sink);
                if let StepResult::Continue(_) = result {
                    self.last = LastToken::Other;
                }
                return result;
            }
        }
        StepResult::Continue(at + 1)
    }

    /// Reports a closing brace that closes nothing, once for several in a row.
    #[cold]
    fn stray_brace(&mut self, at: usize, sink: &mut impl RecordSink) {
        if self.outer_braces > 0 {
            self.outer_braces -= 1;
            return;
        }
        if self.last != LastToken::StrayBrace {
            self.report(Damage::Unbalanced, self.consumed + at as u64, sink);
        }
        self.last = LastToken::StrayBrace;
    }

    /// Reports a value in place of a record.
    fn no_object(&mut self, is_json: bool, at: usize, sink: &mut impl RecordSink) {
        let listed = matches!(
            self.context,
            Context::Array(ArrayKind::Records | ArrayKind::Strings)
        );
        match is_json && !listed && !self.found {
            true => {
                if self.values == 0 {
                    self.first_value = self.consumed + at as u64;
                }
                self.values += 1;
            }
            false => self.report(Damage::NotAnObject, self.consumed + at as u64, sink),
        }
    }

    /// Reads a `[`: the array of records, or a value in place of a record.
    fn array(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        match self.context {
            Context::Wrapper {
                array_follows: Some(kind),
                ..
            } => {
                self.enter(kind);
                StepResult::Continue(at + 1)
            }
            // A list instead of a key: what should have been one list.
            Context::Wrapper {
                kind,
                value_follows: false,
                ..
            } => {
                self.report(Damage::Unbalanced, self.consumed + at as u64, sink);
                self.context = Context::Array(kind);
                StepResult::Continue(at + 1)
            }
            Context::Wrapper { .. } => self.skip_value(window, at, sink),
            Context::Array(_) => match self.scan(window.text, at, sink) {
                Scan::Whole { len, tape, .. } => {
                    sink.tapes().discard(tape);
                    match window.text[at + len..].trim_ascii_start().first() {
                        Some(b',' | b']') => {}
                        None if self.needs_more(window, at) => return StepResult::NeedMore,
                        // The list has ended: this may be the rest of it, after a bracket too many.
                        _ => {
                            let inside = at + 1..at + len;
                            match self.search(window, inside, Preceding::Separator, false, sink) {
                                SearchResult::Record(_) => {
                                    return self.start_resync(window.text, at, 0);
                                }
                                SearchResult::Incomplete(..) => return StepResult::NeedMore,
                                SearchResult::None | SearchResult::LimitReached => {}
                            }
                        }
                    }
                    self.no_object(true, at, sink);
                    StepResult::Continue(at + len)
                }
                Scan::Unfinished if self.needs_more(window, at) => StepResult::NeedMore,
                scan => self.skip_damaged(window.text, at, &scan),
            },
            _ => {
                self.context = Context::Array(ArrayKind::Bare);
                StepResult::Continue(at + 1)
            }
        }
    }

    /// Reads a `"`: a key or value of the wrapper, or a value in place of a record.
    fn string(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        let text = window.text;
        let Some(len) = string_len(&text[at..]) else {
            if self.needs_more(window, at) {
                return StepResult::NeedMore;
            }
            return self.start_resync(text, at, 0);
        };
        let rest = text[at + len..].trim_ascii_start();
        let next = rest.first();
        if next.is_none() && self.needs_more(window, at) {
            return StepResult::NeedMore;
        }
        let space = &text[at + len..text.len() - rest.len()];
        let expected = match &mut self.context {
            Context::Wrapper {
                value_follows,
                array_follows,
                ..
            } => {
                let is_key = !*value_follows;
                let kind = ArrayKind::of_key(&text[at + 1..at + len - 1]);
                *array_follows = kind.filter(|_| is_key);
                *value_follows = false;
                match is_key {
                    true => matches!(next, Some(b':')),
                    false => matches!(next, None | Some(b',' | b'}')),
                }
            }
            Context::Top if space.contains(&b'\n') => true,
            _ => matches!(next, None | Some(b',' | b']')),
        };
        if !expected {
            // A stray quote. Taken for the start of a string, it would exchange what is inside and
            // what is outside of all strings after it.
            return self.start_resync(text, at, 0);
        }
        let inside = &text[at + 1..at + len - 1];
        match self.context {
            Context::Wrapper { .. } => {}
            // The strings of `lookup-events` without the objects around them.
            _ if self.opens_strings() && inside.starts_with(b"{") => {
                if !self.string_record(inside, at, None, sink) {
                    return StepResult::Stop;
                }
            }
            _ => self.no_object(true, at, sink),
        }
        StepResult::Continue(at + len)
    }

    /// Reads a number, a literal or other unquoted text.
    fn scalar(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        let text = window.text;
        if self.context == Context::Top && text[at].is_ascii_digit() {
            match line_start(&text[at..]) {
                LineStart::Time(len, time) => {
                    self.line_time = Some(time);
                    self.timed_lines = true;
                    self.context = Context::TimedLine;
                    return StepResult::Continue(at + len);
                }
                LineStart::Incomplete if self.needs_more(window, at) => {
                    return StepResult::NeedMore;
                }
                _ => {}
            }
        }
        let len = scalar_len(&text[at..]);
        if at + len == text.len() && self.needs_more(window, at) {
            return StepResult::NeedMore;
        }
        match &mut self.context {
            Context::Wrapper {
                value_follows: false,
                ..
            } => return self.start_resync(text, at, 0),
            Context::Wrapper { value_follows, .. } => *value_follows = false,
            _ => self.no_object(is_json_scalar(&text[at..at + len]), at, sink),
        }
        StepResult::Continue(at + len)
    }
}
