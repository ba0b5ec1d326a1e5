//! What the reader makes of an object: a record, or the records in a wrapper or an envelope.

use std::ops::Range;

use super::preceding::{Preceding, has_line_of_record};
use super::resync::SearchResult;
use super::state::{Context, LastToken, RecordReader, StepResult, Window};
use super::wrapper::{
    ArrayKind, ObjectKind, WrapperStart, array_inside, classify, envelope_start, has_record_key,
    names_a_call, starts_with_records_key, wrapper_start,
};
use super::{Damage, MAX_RECORD, NotALog, RecordSink};
use crate::json::{Scan, TapeSpan};

/// Highest ratio of text scanned as wrappers to text read, beyond [`FREE_WRAPPERS`]. A wrapper is
/// scanned with all that it contains before its records are; in nested wrappers that multiplies.
const WRAPPER_RATIO: u64 = 4;

/// Text that may be scanned as wrappers in any case, in bytes.
const FREE_WRAPPERS: u64 = 16 << 20;

/// Length of an object in bytes over which it may be two damaged records with sound ones between them, although its
/// brackets and quotes balance. Records of AWS have 600 and more.
const SEVERAL_RECORDS: usize = 1536;

impl RecordReader {
    /// Reads a `{`: a record, a wrapper or an envelope.
    pub(super) fn object(
        &mut self,
        window: Window<'_>,
        at: usize,
        sink: &mut impl RecordSink,
    ) -> StepResult {
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
        let mut array = None;
        match start {
            (WrapperStart::Array { offset, certain }, kind) => {
                if certain || self.last == LastToken::None && self.outer.is_none() {
                    self.enter(kind);
                    return StepResult::Continue(at + offset);
                }
                // After other values, only its other keys tell a wrapper from a record with such a key in front.
                array = Some((offset, kind));
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
                if self.context == Context::Top
                    && (!separated || len > SEVERAL_RECORDS)
                    && has_line_of_record(&text[at..at + len])
                {
                    sink.tapes().discard(tape);
                    return self.start_resync(text, at, len);
                }
                let ends_list = match self.context {
                    Context::Array(ArrayKind::Records | ArrayKind::Strings) => {
                        match text[at + len..].trim_ascii_start().first() {
                            Some(b',' | b']') => false,
                            None if self.needs_more(window, at) => {
                                sink.tapes().discard(tape);
                                return StepResult::NeedMore;
                            }
                            _ => true,
                        }
                    }
                    _ => false,
                };
                if !separated || ends_list {
                    // It may balance only because two quotes are missing, with records between, or because the list's
                    // brackets have closed what it left open.
                    match self.search(window, at + 1..at + len, Preceding::Other, !separated, sink)
                    {
                        SearchResult::Record(_) => {
                            sink.tapes().discard(tape);
                            return self.start_resync(text, at, len);
                        }
                        SearchResult::Incomplete(..) => {
                            sink.tapes().discard(tape);
                            return StepResult::NeedMore;
                        }
                        SearchResult::None | SearchResult::LimitReached => {}
                    }
                }
                self.whole_object(text, at..at + len, tape, sink)
            }
            Scan::Unfinished if self.needs_more(window, at) => StepResult::NeedMore,
            scan => {
                let balanced = match scan {
                    Scan::Mismatch(len) | Scan::TooManyContainers(len) => &text[at..at + len],
                    _ => &text[at..],
                };
                if array.is_none() && self.context == Context::Top {
                    array = array_inside(balanced)
                        .filter(|(_, kind)| *kind == ArrayKind::Records || self.opens_strings());
                }
                if let Some((offset, kind)) = array {
                    // Nested arrays without an end are each scanned to the text's end.
                    self.wasted += self.scanned_len(&scan, text, at) as u64;
                    if self.wasted >= self.waste_limit {
                        return self.give_up(at, text.len(), sink);
                    }
                    self.enter(kind);
                    return StepResult::Continue(at + offset);
                }
                self.skip_damaged(text, at, &scan)
            }
        }
    }

    /// Delivers an object whose brackets balance, or the record in it, or enters its array of records.
    fn whole_object(
        &mut self,
        text: &[u8],
        place: Range<usize>,
        span: TapeSpan,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        let Range { start: at, end } = place;
        let object = &text[place];
        if object.len() > MAX_RECORD {
            sink.tapes().discard(span);
            self.report(Damage::TooLong, self.consumed + at as u64, sink);
            return StepResult::Continue(end);
        }
        let in_records = self.context == Context::Array(ArrayKind::Records);
        let kind = classify(sink.tapes().tape(span, object));
        let proceed = match kind {
            ObjectKind::Record => self.deliver(object, span, sink),
            ObjectKind::Wrapper(ArrayKind::Strings, _)
            | ObjectKind::ControlMessage
            | ObjectKind::DamagedEnvelope
            | ObjectKind::Text(_)
                if in_records =>
            {
                self.deliver(object, span, sink)
            }
            ObjectKind::Wrapper(kind, offset)
                if (kind == ArrayKind::Records || self.opens_strings())
                    && !names_a_call(sink.tapes().tape(span, object)) =>
            {
                sink.tapes().discard(span);
                self.wrappers += object.len() as u64;
                let read = self.consumed + end as u64;
                if self.wrappers > WRAPPER_RATIO * read + FREE_WRAPPERS {
                    return self.give_up(at, end, sink);
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
                    self.report(Damage::NotAnObject, self.consumed + at as u64, sink);
                }
                true
            }
            ObjectKind::Detail(detail) => {
                self.line_time = detail.time.or(self.line_time);
                let inside = detail.start..detail.start + detail.len;
                self.detail(object, span, inside, sink)
            }
            ObjectKind::ControlMessage => {
                sink.tapes().discard(span);
                true
            }
            ObjectKind::DamagedEnvelope if self.opens_strings() => {
                sink.tapes().discard(span);
                return self.start_resync(text, at, end - at);
            }
            // The key has no value.
            ObjectKind::Other if !in_records && starts_with_records_key(object) => {
                sink.tapes().discard(span);
                return self.start_resync(text, at, end - at);
            }
            ObjectKind::Text(place) if self.opens_strings() => {
                sink.tapes().discard(span);
                let inside = &object[place.start..place.start + place.len];
                self.string_record(inside, at, place.time.or(self.line_time), sink)
            }
            ObjectKind::Wrapper(..)
            | ObjectKind::Text(_)
            | ObjectKind::DamagedEnvelope
            | ObjectKind::Other => self.deliver_if_record(object, span, sink),
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
            self.report(Damage::NotAnObject, self.first_value, sink);
        }
    }

    /// Skips an object or array that is the value of another key of the wrapper.
    pub(super) fn skip_value(
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
}
