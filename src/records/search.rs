//! Behind damage: the next place where a whole record starts.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::shape::{looks_like_record, may_start};
use super::{Damage, MAX_RECORD, Place, RecordReader, RecordSink, Step};
use crate::tape::Scan;

/// How often a text may be scanned in vain while looking for records behind damage, [`FREE`]
/// bytes aside. A file made to need more is given up from there on.
const TIMES: u64 = 512;

/// Bytes that may be scanned in vain at any rate.
const FREE: u64 = 64 << 20;

/// Bytes that may be scanned in vain at most, however long the text is: two seconds' work.
const MOST: u64 = 2 << 30;

/// Longest record in an object with a lot of damage, in bytes.
const CAREFUL_RECORD: usize = 512 << 10;

/// A search for the next record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) damage: Damage,
    /// Whether a record may start with the next byte, by what stood before it.
    may_start: bool,
}

/// What a search for a record came to.
pub(super) enum Search {
    /// One starts here.
    Record(usize),
    /// One may start here, but more text is needed to tell.
    Unclear(usize),
    /// There is none.
    None,
    /// The budget is used up.
    TooMuch,
}

impl RecordReader {
    /// Gives up the container at `at`, which cannot be read whole.
    pub(super) fn refuse(&mut self, text: &[u8], at: usize, scan: &Scan) -> Step {
        let step = self.lose(text, at, self.spent(scan, text, at));
        if let (Scan::TooMany(_), Some(lost)) = (scan, &mut self.lost) {
            lost.damage = Damage::TooLong;
        }
        step
    }

    /// Gives up the value at `at`, on which `spent` bytes were scanned in vain, and looks for the
    /// next record from there on.
    pub(super) fn lose(&mut self, text: &[u8], at: usize, spent: usize) -> Step {
        self.in_vain += spent as u64;
        self.lost = Some(Lost {
            damage: match text.len() - at < MAX_RECORD {
                true => Damage::Unbalanced,
                false => Damage::TooLong,
            },
            // Nothing but a stray bracket can stand directly before another one.
            may_start: text[at] != b'"',
        });
        Step::To(at + 1)
    }

    /// Reads nothing from `end` on either.
    pub(super) fn give_up(&mut self, end: usize, sink: &mut impl RecordSink) -> Step {
        self.place = Place::Abandoned;
        self.lost = None;
        sink.damage(Damage::GivenUp);
        Step::To(end)
    }

    /// Goes on at the first place from `at` on where a whole record starts.
    pub(super) fn find_record(
        &mut self,
        lost: Lost,
        text: &[u8],
        at: usize,
        last: bool,
        sink: &mut impl RecordSink,
    ) -> Step {
        match self.search(text, at..text.len(), lost.may_start, false, last, sink) {
            Search::Record(start) => {
                sink.damage(lost.damage);
                self.lost = None;
                if let Place::Wrapper { .. } = self.place {
                    self.place = Place::Array { wrapped: true };
                }
                Step::To(start)
            }
            Search::Unclear(start) => {
                self.lost = Some(Lost {
                    may_start: true,
                    ..lost
                });
                match start == at {
                    true => Step::More,
                    false => Step::To(start),
                }
            }
            Search::None => {
                self.lost = Some(Lost {
                    may_start: may_start(&text[at..], lost.may_start),
                    ..lost
                });
                Step::To(text.len())
            }
            Search::TooMuch => self.give_up(text.len(), sink),
        }
    }

    /// Looks for the first whole record that starts in `places`. `before` tells whether one may
    /// start with the first of them; `sound` asks for one without an oddity.
    pub(super) fn search(
        &mut self,
        text: &[u8],
        places: Range<usize>,
        before: bool,
        sound: bool,
        last: bool,
        sink: &mut impl RecordSink,
    ) -> Search {
        let mut from = places.start;
        while let Some(offset) = memchr::memchr(b'{', &text[from..places.end]) {
            let start = from + offset;
            from = start + 1;
            if !may_start(&text[places.start..start], before) {
                continue;
            }
            let scan = self.scan(text, start, sink);
            if let Scan::Whole {
                len,
                tape,
                sound: is_sound,
            } = scan
            {
                let record = &text[start..start + len];
                let found = looks_like_record(sink.tapes().tape(tape, record));
                sink.tapes().discard(tape);
                if found && (is_sound || !sound) {
                    return Search::Record(start);
                }
            }
            if let Scan::Unfinished = scan
                && !last
                && text.len() - start < self.reach()
            {
                return Search::Unclear(start);
            }
            self.in_vain += self.spent(&scan, text, start) as u64;
            if self.in_vain >= self.allowed || sink.abandoned() {
                return Search::TooMuch;
            }
        }
        Search::None
    }

    /// How far a scan from `at` went.
    fn spent(&self, scan: &Scan, text: &[u8], at: usize) -> usize {
        match scan {
            Scan::Whole { len, .. } => *len,
            Scan::Mismatch(offset) | Scan::TooMany(offset) => *offset,
            Scan::Unfinished => self.reach().min(text.len() - at),
        }
    }

    /// Bytes that a record may have. Once much was scanned in vain, that is what AWS writes and
    /// some more: else each of thousands of records without an end would cost a scan of the rest.
    pub(super) fn reach(&self) -> usize {
        match self.in_vain <= self.allowed / 2 {
            true => MAX_RECORD,
            false => CAREFUL_RECORD,
        }
    }

    /// How much may be scanned in vain, with this many bytes of text seen.
    pub(super) fn allow(&mut self, seen: u64) {
        self.allowed = seen.saturating_mul(TIMES).saturating_add(FREE).min(MOST);
    }
}
