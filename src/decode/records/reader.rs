//! The reader's state machine: what surrounds the next value, and what that value is.

use super::resync::{Resync, SearchResult};
use super::wrapper::{Envelope, WrapperStart, envelope, records_inside, wrapper_start};
use super::{Damage, MAX_RECORD, RecordSink};
use crate::json::text::string_len;
use crate::json::{Scan, Scanner, TapeSpan, scalar_len};

/// Highest ratio of text scanned as wrappers to text read, beyond [`FREE_WRAPPERS`]. A wrapper is
/// scanned with all that it contains before its records are; in nested wrappers that multiplies.
const WRAPPER_RATIO: u64 = 4;

/// Text that may be scanned as wrappers in any case, in bytes.
const FREE_WRAPPERS: u64 = 16 << 20;

/// Reads the records of one text.
#[derive(Debug)]
pub struct RecordReader {
    scanner: Scanner,
    pub(super) context: Context,
    /// Set while the next record is searched after damage.
    pub(super) resync: Option<Resync>,
    /// Bytes scanned without finding a record, and the highest allowed number of them.
    pub(super) wasted: u64,
    pub(super) waste_limit: u64,
    /// Bytes consumed by earlier windows.
    consumed: u64,
    /// Bytes scanned as wrappers.
    wrappers: u64,
}

/// What surrounds the next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Nothing: the start of the text, or between lines.
    Top,
    /// An array of records; `wrapped` in `{"Records":…}` or bare.
    Array { wrapped: bool },
    /// The other keys of a wrapper, after its array.
    Wrapper {
        /// The next token is a member's value.
        value_follows: bool,
        /// That value is of the key `Records`.
        records_follow: bool,
    },
    /// Text that is not read any more.
    GivenUp,
}

impl Context {
    /// In a wrapper, between members.
    const BETWEEN_MEMBERS: Context = Context::Wrapper {
        value_follows: false,
        records_follow: false,
    };
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
        }
    }

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

    fn read(&mut self, window: Window<'_>, sink: &mut impl RecordSink) -> usize {
        let Window { text, last } = window;
        let mut at = 0;
        while at < text.len() {
            if self.context == Context::GivenUp {
                return text.len();
            }
            match self.step(window, at, sink) {
                StepResult::Continue(next) => at = next,
                StepResult::NeedMore => break,
                StepResult::Stop => return text.len(),
            }
        }
        if last && let Some(resync) = self.resync.take() {
            sink.damage(match resync.damage {
                Damage::Unbalanced => Damage::CutOff,
                other => other,
            });
        } else if last
            && matches!(
                self.context,
                Context::Array { .. } | Context::Wrapper { .. }
            )
        {
            sink.damage(Damage::Unclosed);
        }
        at
    }

    /// Reads the token or value at `at`.
    fn step(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        if let Some(resync) = self.resync {
            return self.find_record(resync, window, at, sink);
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
                Context::Array { wrapped: true } => self.context = Context::BETWEEN_MEMBERS,
                Context::Array { wrapped: false } => self.context = Context::Top,
                _ => {}
            },
            b'}' => match self.context {
                Context::Wrapper { .. } => self.context = Context::Top,
                Context::Array { .. } => sink.damage(Damage::Unbalanced),
                Context::Top | Context::GivenUp => {}
            },
            b'{' => return self.object(window, at, sink),
            b'[' => return self.array(window, at, sink),
            b'"' => return self.string(window, at, sink),
            // A byte order mark.
            0xef if self.context == Context::Top
                && window.text[at..].starts_with(b"\xef\xbb\xbf") =>
            {
                return StepResult::Continue(at + 3);
            }
            _ => return self.scalar(window, at, sink),
        }
        StepResult::Continue(at + 1)
    }

    /// Reads a `{`: a record, a wrapper or an envelope.
    fn object(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        let text = window.text;
        if let Context::Wrapper { value_follows, .. } = self.context {
            if value_follows {
                return self.skip_value(window, at, sink);
            }
            // Only a record can be here, after a damaged one that closed the array.
            self.context = Context::Array { wrapped: true };
        }
        match wrapper_start(&text[at..]) {
            WrapperStart::Array(offset) => {
                self.context = Context::Array { wrapped: true };
                return StepResult::Continue(at + offset);
            }
            WrapperStart::Incomplete if self.needs_more(window, at) => return StepResult::NeedMore,
            _ => {}
        }
        match self.scan(text, at, sink) {
            Scan::Whole {
                len,
                tape,
                separated,
            } => {
                if !separated {
                    // It may balance only because two quotes are missing, with records between.
                    match self.search(window, at + 1..at + len, false, true, sink) {
                        SearchResult::Record(_) => {
                            sink.tapes().discard(tape);
                            return self.start_resync(text, at, len);
                        }
                        SearchResult::Incomplete(_) => {
                            sink.tapes().discard(tape);
                            return StepResult::NeedMore;
                        }
                        SearchResult::None | SearchResult::LimitReached => {}
                    }
                }
                self.whole_object(&text[at..at + len], at, tape, sink)
            }
            Scan::Unfinished if self.needs_more(window, at) => StepResult::NeedMore,
            scan => {
                let balanced = match scan {
                    Scan::Mismatch(len) | Scan::TooManyContainers(len) => &text[at..at + len],
                    _ => &text[at..],
                };
                if self.context == Context::Top
                    && let Some(offset) = records_inside(balanced)
                {
                    self.context = Context::Array { wrapped: true };
                    return StepResult::Continue(at + offset);
                }
                self.skip_damaged(text, at, &scan)
            }
        }
    }

    /// Delivers an object whose brackets balance, or the record in it, or enters its array of records.
    fn whole_object(
        &mut self,
        object: &[u8],
        at: usize,
        span: TapeSpan,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        let end = at + object.len();
        if object.len() > MAX_RECORD {
            sink.tapes().discard(span);
            sink.damage(Damage::TooLong);
            return StepResult::Continue(end);
        }
        let proceed = match envelope(sink.tapes().tape(span, object)) {
            Envelope::None => sink.record(object, span),
            // In an array of records, an object with a key `Records` is a record.
            Envelope::NoArray { .. } if matches!(self.context, Context::Array { .. }) => {
                sink.record(object, span)
            }
            Envelope::NoArray { null } => {
                sink.tapes().discard(span);
                if !null {
                    sink.damage(Damage::NotAnObject);
                }
                true
            }
            Envelope::Array(offset) => {
                sink.tapes().discard(span);
                self.wrappers += object.len() as u64;
                let read = self.consumed + end as u64;
                if self.wrappers > WRAPPER_RATIO * read + FREE_WRAPPERS {
                    return self.give_up(end, sink);
                }
                self.context = Context::Array { wrapped: true };
                return StepResult::Continue(at + offset + 1);
            }
            Envelope::Detail(offset, len) => {
                let detail = &object[offset..offset + len];
                match self.scanner.scan(detail, sink.tapes()) {
                    Scan::Whole { tape, .. } => sink.record(detail, tape),
                    _ => true,
                }
            }
        };
        match proceed {
            true => StepResult::Continue(end),
            false => StepResult::Stop,
        }
    }

    /// Reads a `[`: the array of records, or a value in place of a record.
    fn array(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        match self.context {
            Context::Wrapper {
                records_follow: true,
                ..
            } => {
                self.context = Context::Array { wrapped: true };
                StepResult::Continue(at + 1)
            }
            Context::Wrapper { .. } => self.skip_value(window, at, sink),
            Context::Array { .. } => match self.scan(window.text, at, sink) {
                Scan::Whole { len, tape, .. } => {
                    sink.tapes().discard(tape);
                    sink.damage(Damage::NotAnObject);
                    StepResult::Continue(at + len)
                }
                Scan::Unfinished if self.needs_more(window, at) => StepResult::NeedMore,
                scan => self.skip_damaged(window.text, at, &scan),
            },
            Context::Top | Context::GivenUp => {
                self.context = Context::Array { wrapped: false };
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
                records_follow,
            } => {
                let is_key = !*value_follows;
                *records_follow = is_key && &text[at..at + len] == b"\"Records\"";
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
        if !matches!(self.context, Context::Wrapper { .. }) {
            sink.damage(Damage::NotAnObject);
        }
        StepResult::Continue(at + len)
    }

    /// Reads a number, a literal or other unquoted text.
    fn scalar(&mut self, window: Window<'_>, at: usize, sink: &mut impl RecordSink) -> StepResult {
        let text = window.text;
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
            _ => sink.damage(Damage::NotAnObject),
        }
        StepResult::Continue(at + len)
    }

    /// Skips an object or array that is the value of another key of the wrapper.
    fn skip_value(
        &mut self,
        window: Window<'_>,
        at: usize,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        match self.scan(window.text, at, sink) {
            Scan::Whole { len, tape, .. } => {
                sink.tapes().discard(tape);
                self.context = Context::BETWEEN_MEMBERS;
                StepResult::Continue(at + len)
            }
            Scan::Unfinished if self.needs_more(window, at) => StepResult::NeedMore,
            scan => self.skip_damaged(window.text, at, &scan),
        }
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
}
