//! Resynchronization: the search for the next whole record after damage, and limits for the work on it.

use std::ops::Range;

use super::preceding::{Preceding, RecordPlace};
use super::state::{Context, RecordReader, Resync, StepResult, Window};
use super::strings::starts_like_object;
use super::wrapper::{ArrayKind, ObjectKind, TextPlace, classify, looks_like_record};
use super::{Damage, MAX_RECORD, RecordSink};
use crate::json::text::unescaped;
use crate::json::{Scan, Tape};

/// Highest ratio of bytes scanned without finding a record to bytes read, beyond [`FREE_WASTE`].
/// Only a file made for it needs more.
const WASTE_RATIO: u64 = 512;

/// Bytes that may be scanned without finding a record in any case.
const FREE_WASTE: u64 = 64 << 20;

/// Bytes that may be scanned without finding a record at most, however long the text is: about
/// two seconds.
const MAX_WASTE: u64 = 2 << 30;

/// Longest record, in bytes, once half of the limit is used up.
const REDUCED_MAX_RECORD: usize = 512 << 10;

/// Result of a search for a record.
pub(super) enum SearchResult {
    /// A record starts at this offset, or its line does.
    Record(usize),
    /// A record may start at this offset, which has this in front; the next window decides.
    Incomplete(usize, Preceding),
    /// There is none.
    None,
    /// The work limit was reached, or the sink cancelled the search.
    LimitReached,
}

/// Whether a string starts as a record does.
fn may_be_record(tape: Tape<'_>, place: TextPlace) -> bool {
    const START: usize = 32;
    let inside = &tape.text()[place.start..place.start + place.len];
    let start = unescaped(&inside[..inside.len().min(START)]);
    starts_like_object(start.trim_ascii_start())
}

impl RecordReader {
    /// Skips the container at `at`, which `scan` found not to be whole.
    pub(super) fn skip_damaged(&mut self, text: &[u8], at: usize, scan: &Scan) -> StepResult {
        let result = self.start_resync(text, at, self.scanned_len(scan, text, at));
        if let (Scan::TooManyContainers(_), Some(resync)) = (scan, &mut self.resync) {
            resync.damage = Damage::TooLong;
        }
        result
    }

    /// Skips the value at `at` and starts to search for the next record; `wasted` bytes of it were
    /// scanned.
    pub(super) fn start_resync(&mut self, text: &[u8], at: usize, wasted: usize) -> StepResult {
        self.wasted += wasted as u64;
        self.line_time = None;
        self.resync = Some(Resync {
            damage: match text.len() - at < MAX_RECORD {
                true => Damage::Unbalanced,
                false => Damage::TooLong,
            },
            // A record may follow a stray bracket directly, but not a quote.
            preceding: match text[at] {
                b'"' => Preceding::Other,
                _ => Preceding::Separator,
            },
            start: self.consumed + at as u64,
        });
        StepResult::Continue(at + 1)
    }

    /// Ends the reading: all text from `end` on is skipped. What was found to be damaged last starts at `at`.
    pub(super) fn give_up(
        &mut self,
        at: usize,
        end: usize,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        self.context = Context::GivenUp;
        let start = match self.resync.take() {
            Some(resync) => resync.start,
            None => self.consumed + at as u64,
        };
        self.report(Damage::GivenUp, start, sink);
        StepResult::Continue(end)
    }

    /// Searches for the next record from `at` on, and continues there.
    pub(super) fn find_record(
        &mut self,
        resync: Resync,
        window: Window<'_>,
        at: usize,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        let text = window.text;
        match self.search(window, at..text.len(), resync.preceding, false, sink) {
            SearchResult::Record(start) => {
                self.report(resync.damage, resync.start, sink);
                self.resync = None;
                match self.context {
                    // The time in front of a record.
                    _ if text[start] != b'{' => self.context = Context::Top,
                    Context::Wrapper { kind, .. } => self.context = Context::Array(kind),
                    _ => {}
                }
                StepResult::Continue(start)
            }
            SearchResult::Incomplete(start, preceding) => {
                self.resync = Some(Resync {
                    preceding,
                    ..resync
                });
                match start == at {
                    true => StepResult::NeedMore,
                    false => StepResult::Continue(start),
                }
            }
            SearchResult::None => {
                self.resync = Some(Resync {
                    preceding: resync.preceding.after(&text[at..]),
                    ..resync
                });
                StepResult::Continue(text.len())
            }
            SearchResult::LimitReached => self.give_up(at, text.len(), sink),
        }
    }

    /// Searches for the first whole record that starts in `range`.
    ///
    /// `preceding` is what the range has in front. `separated` accepts only a record with separators between all of its
    /// values.
    pub(super) fn search(
        &mut self,
        window: Window<'_>,
        range: Range<usize>,
        preceding: Preceding,
        separated: bool,
        sink: &mut impl RecordSink,
    ) -> SearchResult {
        let text = window.text;
        let surroundings = self.surroundings();
        let mut from = range.start;
        while let Some(offset) = memchr::memchr(b'{', &text[from..range.end]) {
            let brace = from + offset;
            from = brace + 1;
            let (start, before) = match preceding.place(text, range.start, brace, surroundings) {
                RecordPlace::Start(start, before) => (start, before),
                RecordPlace::Incomplete(start, before) if self.needs_more(window, brace) => {
                    return SearchResult::Incomplete(start, before);
                }
                RecordPlace::Incomplete(..) | RecordPlace::No => continue,
            };
            match text[brace + 1..].trim_ascii_start().first() {
                Some(b'"') => {}
                None if self.needs_more(window, brace) => {
                    return SearchResult::Incomplete(start, before);
                }
                // Without a key it is no record: not worth a scan.
                _ => continue,
            }
            let scan = self.scan(text, brace, sink);
            if let Scan::Whole {
                len,
                tape,
                separated: is_separated,
            } = scan
            {
                let object = &text[brace..brace + len];
                let is_record = self.is_resync_target(sink.tapes().tape(tape, object));
                sink.tapes().discard(tape);
                if is_record && (is_separated || !separated) {
                    return SearchResult::Record(start);
                }
            }
            if matches!(scan, Scan::Unfinished) && self.needs_more(window, brace) {
                return SearchResult::Incomplete(start, before);
            }
            self.wasted += self.scanned_len(&scan, text, brace) as u64;
            if self.wasted >= self.waste_limit || sink.cancelled() {
                return SearchResult::LimitReached;
            }
        }
        if !window.last && range.end == text.len() {
            let searched = &text[range.clone()];
            if let Some(offset) = preceding.incomplete_line(searched, surroundings) {
                return SearchResult::Incomplete(range.start + offset, Preceding::Line);
            }
        }
        SearchResult::None
    }

    /// Whether the search ends at this object.
    fn is_resync_target(&self, tape: Tape<'_>) -> bool {
        match self.context {
            // Objects inside a damaged record may look like anything else.
            Context::Array(ArrayKind::Records)
            | Context::Wrapper {
                kind: ArrayKind::Records,
                ..
            } => looks_like_record(tape),
            _ => match classify(tape) {
                ObjectKind::Record
                | ObjectKind::Detail(_)
                | ObjectKind::Wrapper(ArrayKind::Strings, _) => true,
                // A log event is found even if the damage is in its envelope's start.
                ObjectKind::Text(place) => self.reads_strings || may_be_record(tape, place),
                _ => false,
            },
        }
    }

    /// Number of bytes that a scan from `at` read.
    pub(super) fn scanned_len(&self, scan: &Scan, text: &[u8], at: usize) -> usize {
        match scan {
            Scan::Whole { len, .. } => *len,
            Scan::Mismatch(offset) | Scan::TooManyContainers(offset) => *offset,
            Scan::Unfinished => self.record_limit().min(text.len() - at),
        }
    }

    /// Longest record accepted now, in bytes. After much damage it is reduced to little more than
    /// AWS writes, or each of thousands of records without an end would cost a scan of all the rest.
    pub(super) fn record_limit(&self) -> usize {
        match self.wasted <= self.waste_limit / 2 {
            true => MAX_RECORD,
            false => REDUCED_MAX_RECORD,
        }
    }

    /// Sets the limit for wasted work in proportion to the bytes `read` so far.
    pub(super) fn set_waste_limit(&mut self, read: u64) {
        self.waste_limit = read
            .saturating_mul(WASTE_RATIO)
            .saturating_add(FREE_WASTE)
            .min(MAX_WASTE);
    }
}
