//! Resynchronization: the search for the next whole record after damage, and limits for the work on it.

use std::ops::Range;

use super::state::{Context, RecordReader, Resync, StepResult, Window};
use super::wrapper::{ArrayKind, ObjectKind, classify, looks_like_record, may_precede_record};
use super::{Damage, MAX_RECORD, RecordSink};
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
    /// A record starts at this offset.
    Record(usize),
    /// A record may start at this offset; the next window decides.
    Incomplete(usize),
    /// There is none.
    None,
    /// The work limit was reached, or the sink cancelled the search.
    LimitReached,
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
            may_start: text[at] != b'"',
        });
        StepResult::Continue(at + 1)
    }

    /// Ends the reading: all text from `end` on is skipped.
    pub(super) fn give_up(&mut self, end: usize, sink: &mut impl RecordSink) -> StepResult {
        self.context = Context::GivenUp;
        self.resync = None;
        sink.damage(Damage::GivenUp);
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
        match self.search(window, at..text.len(), resync.may_start, false, sink) {
            SearchResult::Record(start) => {
                sink.damage(resync.damage);
                self.resync = None;
                if let Context::Wrapper { kind, .. } = self.context {
                    self.context = Context::Array(kind);
                }
                StepResult::Continue(start)
            }
            SearchResult::Incomplete(start) => {
                self.resync = Some(Resync {
                    may_start: true,
                    ..resync
                });
                match start == at {
                    true => StepResult::NeedMore,
                    false => StepResult::Continue(start),
                }
            }
            SearchResult::None => {
                self.resync = Some(Resync {
                    may_start: may_precede_record(&text[at..], resync.may_start),
                    ..resync
                });
                StepResult::Continue(text.len())
            }
            SearchResult::LimitReached => self.give_up(text.len(), sink),
        }
    }

    /// Searches for the first whole record that starts in `range`.
    ///
    /// `may_start` is whether one may start at the range's first byte. `separated` accepts only a
    /// record with separators between all of its values.
    pub(super) fn search(
        &mut self,
        window: Window<'_>,
        range: Range<usize>,
        may_start: bool,
        separated: bool,
        sink: &mut impl RecordSink,
    ) -> SearchResult {
        let text = window.text;
        let mut from = range.start;
        while let Some(offset) = memchr::memchr(b'{', &text[from..range.end]) {
            let start = from + offset;
            from = start + 1;
            if !may_precede_record(&text[range.start..start], may_start) {
                continue;
            }
            let scan = self.scan(text, start, sink);
            if let Scan::Whole {
                len,
                tape,
                separated: is_separated,
            } = scan
            {
                let object = &text[start..start + len];
                let is_record = self.is_resync_target(sink.tapes().tape(tape, object));
                sink.tapes().discard(tape);
                if is_record && (is_separated || !separated) {
                    return SearchResult::Record(start);
                }
            }
            if matches!(scan, Scan::Unfinished) && self.needs_more(window, start) {
                return SearchResult::Incomplete(start);
            }
            self.wasted += self.scanned_len(&scan, text, start) as u64;
            if self.wasted >= self.waste_limit || sink.cancelled() {
                return SearchResult::LimitReached;
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
                | ObjectKind::Detail(..)
                | ObjectKind::Wrapper(ArrayKind::Strings, _) => true,
                ObjectKind::Text(_) => self.reads_strings,
                _ => false,
            },
        }
    }

    /// Number of bytes that a scan from `at` read.
    fn scanned_len(&self, scan: &Scan, text: &[u8], at: usize) -> usize {
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
