//! The reader's state machine: what surrounds the next value, and what that value is.

use std::ops::Range;

use super::lines::{LineStart, is_json_scalar, line_start};
use super::resync::{Resync, SearchResult};
use super::wrapper::{
    ObjectKind, WrapperStart, array_inside, classify, envelope_start, has_record_key, wrapper_start,
};
use super::{Damage, MAX_RECORD, NotALog, RecordSink};
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
    /// Whether an array of strings was entered.
    pub(super) reads_strings: bool,
    /// Time of last resort for all records of this text.
    pub(super) text_time: Option<u64>,
    /// The same for the next record: the time at the start of its line.
    pub(super) line_time: Option<u64>,
    /// Whether this text is a string of another one. Its strings are not opened.
    pub(super) is_string: bool,
    /// Whether the sink stopped the reading.
    pub(super) stopped: bool,
    /// Buffer for unescaped strings.
    pub(super) unescaped: Vec<u8>,
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

/// An array in which records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrayKind {
    /// Without a wrapper.
    Bare,
    /// `{"Records":[…]}`: every object is a record.
    Records,
    /// Of objects that have records as strings.
    Strings,
}

impl ArrayKind {
    /// The array that is the value of a wrapper's key.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        match key {
            b"Records" => Some(ArrayKind::Records),
            b"logEvents" | b"Events" => Some(ArrayKind::Strings),
            _ => None,
        }
    }
}

impl Context {
    /// In a wrapper, between members.
    fn between_members(kind: ArrayKind) -> Context {
        Context::Wrapper {
            kind,
            value_follows: false,
            array_follows: None,
        }
    }
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
            reads_strings: false,
            text_time: None,
            line_time: None,
            is_string: false,
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
            self.report_end(sink);
        }
        match self.context {
            Context::GivenUp => text.len(),
            _ => at,
        }
    }

    /// Reports what the end of the text leaves open.
    fn report_end(&mut self, sink: &mut impl RecordSink) {
        if let Some(resync) = self.resync.take() {
            sink.damage(match resync.damage {
                Damage::Unbalanced => Damage::CutOff,
                other => other,
            });
        } else if matches!(self.context, Context::Array(_) | Context::Wrapper { .. }) {
            sink.damage(Damage::Unclosed);
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
                Context::Array(_) => sink.damage(Damage::Unbalanced),
                _ => {}
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
        if let Context::Wrapper {
            kind,
            value_follows,
            ..
        } = self.context
        {
            if value_follows {
                return self.skip_value(window, at, sink);
            }
            // Only a record can be here, after a damaged one that closed the array.
            self.context = Context::Array(kind);
        }
        let mut start = (wrapper_start(&text[at..]), ArrayKind::Records);
        if self.opens_strings() && matches!(start.0, WrapperStart::No) {
            start = (envelope_start(&text[at..]), ArrayKind::Strings);
        }
        match start {
            (WrapperStart::Array(offset), kind) => {
                self.enter(kind);
                return StepResult::Continue(at + offset);
            }
            (WrapperStart::Incomplete, _) if self.needs_more(window, at) => {
                return StepResult::NeedMore;
            }
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
                    && let Some((offset, kind)) = array_inside(balanced)
                    && (kind == ArrayKind::Records || self.opens_strings())
                {
                    self.enter(kind);
                    return StepResult::Continue(at + offset);
                }
                self.skip_damaged(text, at, &scan)
            }
        }
    }

    /// Whether strings are opened here: not in a list of records, nor in a string.
    fn opens_strings(&self) -> bool {
        !self.is_string && self.context != Context::Array(ArrayKind::Records)
    }

    fn enter(&mut self, kind: ArrayKind) {
        self.reads_strings |= kind == ArrayKind::Strings;
        self.context = Context::Array(kind);
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
        let in_records = self.context == Context::Array(ArrayKind::Records);
        let kind = classify(sink.tapes().tape(span, object));
        let proceed = match kind {
            ObjectKind::Record => self.deliver(object, span, sink),
            ObjectKind::Wrapper(ArrayKind::Strings, _)
            | ObjectKind::ControlMessage
            | ObjectKind::Text(_)
                if in_records =>
            {
                self.deliver(object, span, sink)
            }
            ObjectKind::Wrapper(kind, offset)
                if kind == ArrayKind::Records || self.opens_strings() =>
            {
                sink.tapes().discard(span);
                self.wrappers += object.len() as u64;
                let read = self.consumed + end as u64;
                if self.wrappers > WRAPPER_RATIO * read + FREE_WRAPPERS {
                    return self.give_up(end, sink);
                }
                self.enter(kind);
                return StepResult::Continue(at + offset + 1);
            }
            // In an array of records, an object with a key `Records` is a record.
            ObjectKind::NoArray { .. } if matches!(self.context, Context::Array(_)) => {
                self.deliver_if_record(object, span, sink)
            }
            ObjectKind::NoArray { null } => {
                sink.tapes().discard(span);
                if !null {
                    sink.damage(Damage::NotAnObject);
                }
                true
            }
            ObjectKind::Detail(offset, len) => {
                self.detail(object, span, offset..offset + len, sink)
            }
            ObjectKind::ControlMessage => {
                sink.tapes().discard(span);
                true
            }
            ObjectKind::Text(place) if self.opens_strings() => {
                sink.tapes().discard(span);
                let inside = &object[place.start..place.start + place.len];
                self.string_record(inside, place.time.or(self.line_time), sink)
            }
            ObjectKind::Wrapper(..) | ObjectKind::Text(_) | ObjectKind::Other => {
                self.deliver_if_record(object, span, sink)
            }
        };
        self.line_time = None;
        match proceed {
            true => StepResult::Continue(end),
            false => StepResult::Stop,
        }
    }

    /// Delivers the record in an EventBridge envelope.
    fn detail(
        &mut self,
        envelope: &[u8],
        span: TapeSpan,
        detail: Range<usize>,
        sink: &mut impl RecordSink,
    ) -> bool {
        let detail = &envelope[detail];
        match self.scanner.scan(detail, sink.tapes()) {
            Scan::Whole { tape, .. } if has_record_key(sink.tapes().tape(tape, detail)) => {
                self.deliver(detail, tape, sink)
            }
            Scan::Whole { tape, .. } => {
                sink.tapes().discard(tape);
                self.deliver_if_record(envelope, span, sink)
            }
            _ => self.deliver_if_record(envelope, span, sink),
        }
    }

    /// Delivers an object that is in a list of records, or has a record's key.
    fn deliver_if_record(
        &mut self,
        object: &[u8],
        span: TapeSpan,
        sink: &mut impl RecordSink,
    ) -> bool {
        let in_records = self.context == Context::Array(ArrayKind::Records);
        if in_records || has_record_key(sink.tapes().tape(span, object)) {
            return self.deliver(object, span, sink);
        }
        sink.not_a_log(NotALog::Object(object, span));
        sink.tapes().discard(span);
        true
    }

    fn deliver(&mut self, record: &[u8], span: TapeSpan, sink: &mut impl RecordSink) -> bool {
        self.found = true;
        if self.values > 0 {
            self.report_values(sink);
        }
        sink.record(record, span, self.line_time.or(self.text_time))
    }

    /// Reports the values before the first record: in a log they are damage.
    #[cold]
    fn report_values(&mut self, sink: &mut impl RecordSink) {
        for _ in 0..std::mem::take(&mut self.values) {
            sink.damage(Damage::NotAnObject);
        }
    }

    /// Reports a value in place of a record.
    fn no_object(&mut self, is_json: bool, sink: &mut impl RecordSink) {
        let listed = matches!(
            self.context,
            Context::Array(ArrayKind::Records | ArrayKind::Strings)
        );
        match is_json && !listed && !self.found {
            true => self.values += 1,
            false => sink.damage(Damage::NotAnObject),
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
            Context::Wrapper { .. } => self.skip_value(window, at, sink),
            Context::Array(_) => match self.scan(window.text, at, sink) {
                Scan::Whole { len, tape, .. } => {
                    sink.tapes().discard(tape);
                    self.no_object(true, sink);
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
                if !self.string_record(inside, None, sink) {
                    return StepResult::Stop;
                }
            }
            _ => self.no_object(true, sink),
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
            _ => self.no_object(is_json_scalar(&text[at..at + len]), sink),
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
                if let Context::Wrapper { kind, .. } = self.context {
                    self.context = Context::between_members(kind);
                }
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
