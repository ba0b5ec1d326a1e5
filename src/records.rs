//! From a log file's text to its records: whole ones, next to whatever damage.
//!
//! A log file is `{"Records":[…]}`; a bare array, one record per line, a single record and an
//! EventBridge envelope (the record is its `detail`) are read too. None of them needs to fit in
//! memory: [`RecordReader::feed`] takes the text in pieces and says how far it got.
//!
//! Where braces do not balance, the reader looks for the next place where a record starts, so
//! that damage costs the record it is in. Knows where records are; must not know their fields
//! beyond what tells a record from another object.
#![forbid(unsafe_code)]

mod search;
mod shape;

use crate::tape::{Scan, Scanner, TapeSpan, Tapes};
use search::{Lost, Search};
use shape::{Around, WrapperStart, around_records, records_inside, string_len, wrapper_start};

/// Longest record that is delivered, in bytes. AWS writes up to 256 KiB.
pub const MAX_RECORD: usize = 64 << 20;

/// How often all text may be scanned for the sake of wrappers, [`WRAPPED_FREE`] bytes aside.
/// Each wrapper is scanned with all that is inside; wrappers in wrappers, again and again.
const WRAPPED_TIMES: u64 = 4;

/// Bytes of wrappers that are scanned at any rate.
const WRAPPED_FREE: u64 = 16 << 20;

/// Takes what a [`RecordReader`] finds.
pub trait RecordSink {
    /// Where tapes are to be written.
    fn tapes(&mut self) -> &mut Tapes;

    /// One record, from its `{` to its `}`, and its tape in [`RecordSink::tapes`]. Answers
    /// whether to go on.
    fn record(&mut self, text: &[u8], tape: TapeSpan) -> bool;

    /// Something that is no record.
    fn damage(&mut self, damage: Damage);

    /// Whether nobody waits for records any more: then long searches end early.
    fn abandoned(&self) -> bool {
        false
    }
}

/// What a [`RecordReader`] could not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Text whose braces or quotes do not balance; one count for each stretch of it.
    Unbalanced,
    /// A value in a record's place that is not an object.
    NotAnObject,
    /// The object's last record is cut off by the end of the text.
    CutOff,
    /// The text ends before its array of records does.
    Unclosed,
    /// A record over [`MAX_RECORD`], or with more than [`MAX_CONTAINERS`](crate::tape::MAX_CONTAINERS) objects and arrays in it.
    TooLong,
    /// The rest of an object with too much damage to look through.
    GivenUp,
}

/// Reads one object's text; make a new one for each.
#[derive(Debug)]
pub struct RecordReader {
    scanner: Scanner,
    place: Place,
    /// Set while the next record is being looked for behind damage.
    lost: Option<Lost>,
    /// Bytes that were scanned in vain, and how many may be.
    in_vain: u64,
    allowed: u64,
    /// Bytes that earlier calls were done with.
    passed: u64,
    /// Bytes of all wrappers that were scanned whole.
    wrappers: u64,
}

/// What surrounds the next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing: the start of the text, or between lines.
    Top,
    /// An array of records.
    Array { wrapped: bool },
    /// Behind the array of a `{"Records":[…]}`, among the wrapper's other keys.
    Wrapper {
        value_follows: bool,
        records_follow: bool,
    },
    /// Text that is not looked at any more.
    Abandoned,
}

/// What to do after one value.
enum Step {
    /// Go on at this offset.
    To(usize),
    /// The rest cannot be judged without more text.
    More,
    /// The sink has had enough.
    Stop,
}

impl RecordReader {
    /// A reader at the start of an object's text.
    pub fn new(scanner: Scanner) -> Self {
        RecordReader {
            scanner,
            place: Place::Top,
            lost: None,
            in_vain: 0,
            allowed: 0,
            passed: 0,
            wrappers: 0,
        }
    }

    /// Reads records from `text`, which goes on where the last call's consumed part ended.
    /// Returns how many bytes are done with; the rest must come again, with more behind it,
    /// unless this was the `last` text.
    pub fn feed(&mut self, text: &[u8], last: bool, sink: &mut impl RecordSink) -> usize {
        self.allow(self.passed + text.len() as u64);
        let done = self.read(text, last, sink);
        self.passed += done as u64;
        done
    }

    fn read(&mut self, text: &[u8], last: bool, sink: &mut impl RecordSink) -> usize {
        let mut at = 0;
        while at < text.len() {
            if self.place == Place::Abandoned {
                return text.len();
            }
            match self.step(text, at, last, sink) {
                Step::To(next) => at = next,
                Step::More => break,
                Step::Stop => return text.len(),
            }
        }
        if last && let Some(lost) = self.lost.take() {
            sink.damage(match lost.damage {
                Damage::Unbalanced => Damage::CutOff,
                other => other,
            });
        } else if last && matches!(self.place, Place::Array { .. } | Place::Wrapper { .. }) {
            sink.damage(Damage::Unclosed);
        }
        at
    }

    fn step(&mut self, text: &[u8], at: usize, last: bool, sink: &mut impl RecordSink) -> Step {
        if let Some(lost) = self.lost {
            return self.find_record(lost, text, at, last, sink);
        }
        match text[at] {
            b' ' | b'\t' | b'\r' | b'\n' => Step::To(at + 1),
            b',' => {
                if let Place::Wrapper { value_follows, .. } = &mut self.place {
                    *value_follows = false;
                }
                Step::To(at + 1)
            }
            b'{' => self.object(text, at, last, sink),
            b'[' => self.array(text, at, last, sink),
            b']' => {
                if let Place::Array { wrapped } = self.place {
                    self.place = match wrapped {
                        true => Place::Wrapper {
                            value_follows: false,
                            records_follow: false,
                        },
                        false => Place::Top,
                    };
                }
                Step::To(at + 1)
            }
            b'}' => {
                match self.place {
                    Place::Wrapper { .. } => self.place = Place::Top,
                    Place::Array { .. } => sink.damage(Damage::Unbalanced),
                    Place::Top | Place::Abandoned => {}
                }
                Step::To(at + 1)
            }
            b':' => {
                if let Place::Wrapper { value_follows, .. } = &mut self.place {
                    *value_follows = true;
                }
                Step::To(at + 1)
            }
            b'"' => self.string(text, at, last, sink),
            // A byte order mark.
            0xef if self.place == Place::Top && text[at..].starts_with(b"\xef\xbb\xbf") => {
                Step::To(at + 3)
            }
            _ => self.scalar(text, at, last, sink),
        }
    }

    /// `{`: a record, or something around records.
    fn object(&mut self, text: &[u8], at: usize, last: bool, sink: &mut impl RecordSink) -> Step {
        if let Place::Wrapper { value_follows, .. } = self.place {
            if value_follows {
                return self.skip_value(text, at, last, sink);
            }
            // Only a record can stand here, behind an array that was closed too early.
            self.place = Place::Array { wrapped: true };
        }
        match wrapper_start(&text[at..]) {
            WrapperStart::Array(offset) => {
                self.place = Place::Array { wrapped: true };
                return Step::To(at + offset);
            }
            WrapperStart::Unclear if !last && text.len() - at < self.reach() => return Step::More,
            _ => {}
        }
        match self.scan(text, at, sink) {
            Scan::Whole { len, tape, sound } => {
                if !sound {
                    // Perhaps it balances only because two quotes are missing.
                    match self.search(text, at + 1..at + len, false, true, last, sink) {
                        Search::Record(_) => {
                            sink.tapes().discard(tape);
                            return self.lose(text, at, len);
                        }
                        Search::Unclear(_) => {
                            sink.tapes().discard(tape);
                            return Step::More;
                        }
                        Search::None | Search::TooMuch => {}
                    }
                }
                self.whole(&text[at..at + len], at, tape, sink)
            }
            Scan::Unfinished if !last && text.len() - at < self.reach() => Step::More,
            scan => {
                let sound = match scan {
                    Scan::Mismatch(offset) | Scan::TooMany(offset) => &text[at..at + offset],
                    _ => &text[at..],
                };
                if self.place == Place::Top
                    && let Some(offset) = records_inside(sound)
                {
                    self.place = Place::Array { wrapped: true };
                    return Step::To(at + offset);
                }
                self.refuse(text, at, &scan)
            }
        }
    }

    /// An object whose braces balance.
    fn whole(
        &mut self,
        text: &[u8],
        at: usize,
        span: TapeSpan,
        sink: &mut impl RecordSink,
    ) -> Step {
        if text.len() > MAX_RECORD {
            sink.tapes().discard(span);
            sink.damage(Damage::TooLong);
            return Step::To(at + text.len());
        }
        let inside = match around_records(sink.tapes().tape(span, text)) {
            Around::Nothing => None,
            // Among records it can only be one.
            Around::NoRecords { .. } if matches!(self.place, Place::Array { .. }) => None,
            Around::NoRecords { null } => {
                sink.tapes().discard(span);
                if !null {
                    sink.damage(Damage::NotAnObject);
                }
                return Step::To(at + text.len());
            }
            Around::Records(start) => {
                sink.tapes().discard(span);
                self.wrappers += text.len() as u64;
                let seen = self.passed + (at + text.len()) as u64;
                if self.wrappers > WRAPPED_TIMES * seen + WRAPPED_FREE {
                    return self.give_up(at + text.len(), sink);
                }
                self.place = Place::Array { wrapped: true };
                return Step::To(at + start + 1);
            }
            Around::Detail(start, len) => Some((start, len)),
        };
        let go_on = match inside {
            None => sink.record(text, span),
            Some((start, len)) => {
                let detail = &text[start..start + len];
                match self.scanner.scan(detail, sink.tapes()) {
                    Scan::Whole { tape, .. } => sink.record(detail, tape),
                    _ => true,
                }
            }
        };
        match go_on {
            true => Step::To(at + text.len()),
            false => Step::Stop,
        }
    }

    /// `[`: the array of records, or a value in a record's place.
    fn array(&mut self, text: &[u8], at: usize, last: bool, sink: &mut impl RecordSink) -> Step {
        match self.place {
            Place::Wrapper {
                records_follow: true,
                ..
            } => {
                self.place = Place::Array { wrapped: true };
                Step::To(at + 1)
            }
            Place::Wrapper { .. } => self.skip_value(text, at, last, sink),
            Place::Array { .. } => match self.scan(text, at, sink) {
                Scan::Whole { len, tape, .. } => {
                    sink.tapes().discard(tape);
                    sink.damage(Damage::NotAnObject);
                    Step::To(at + len)
                }
                Scan::Unfinished if !last && text.len() - at < self.reach() => Step::More,
                scan => self.refuse(text, at, &scan),
            },
            Place::Top | Place::Abandoned => {
                self.place = Place::Array { wrapped: false };
                Step::To(at + 1)
            }
        }
    }

    /// `"`: a key of the wrapper, or a value in a record's place.
    fn string(&mut self, text: &[u8], at: usize, last: bool, sink: &mut impl RecordSink) -> Step {
        let Some(len) = string_len(&text[at..]) else {
            if !last && text.len() - at < self.reach() {
                return Step::More;
            }
            return self.lose(text, at, 0);
        };
        let behind = text[at + len..].trim_ascii_start();
        let next = behind.first();
        if next.is_none() && !last && text.len() - at < self.reach() {
            return Step::More;
        }
        let between = &text[at + len..text.len() - behind.len()];
        let expected = match &mut self.place {
            Place::Wrapper {
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
            Place::Top if between.contains(&b'\n') => true,
            _ => matches!(next, None | Some(b',' | b']')),
        };
        if !expected {
            // A stray quote: with it, every string behind would be taken for what is between.
            return self.lose(text, at, 0);
        }
        if !matches!(self.place, Place::Wrapper { .. }) {
            sink.damage(Damage::NotAnObject);
        }
        Step::To(at + len)
    }

    /// A number, a literal or garbage.
    fn scalar(&mut self, text: &[u8], at: usize, last: bool, sink: &mut impl RecordSink) -> Step {
        let len = text[at..]
            .iter()
            .position(|byte| b",:]}[{\" \t\r\n".contains(byte))
            .unwrap_or(text.len() - at);
        if at + len == text.len() && !last && len < self.reach() {
            return Step::More;
        }
        match &mut self.place {
            Place::Wrapper {
                value_follows: false,
                ..
            } => return self.lose(text, at, 0),
            Place::Wrapper { value_follows, .. } => *value_follows = false,
            _ => sink.damage(Damage::NotAnObject),
        }
        Step::To(at + len)
    }

    /// A container among the wrapper's other keys.
    fn skip_value(
        &mut self,
        text: &[u8],
        at: usize,
        last: bool,
        sink: &mut impl RecordSink,
    ) -> Step {
        match self.scan(text, at, sink) {
            Scan::Whole { len, tape, .. } => {
                sink.tapes().discard(tape);
                self.place = Place::Wrapper {
                    value_follows: false,
                    records_follow: false,
                };
                Step::To(at + len)
            }
            Scan::Unfinished if !last && text.len() - at < self.reach() => Step::More,
            scan => self.refuse(text, at, &scan),
        }
    }

    /// Scans at most one record's length and leaves no tape but a whole one.
    fn scan(&self, text: &[u8], at: usize, sink: &mut impl RecordSink) -> Scan {
        let end = text.len().min(at + self.reach() + 1);
        self.scanner.scan(&text[at..end], sink.tapes())
    }
}

#[cfg(test)]
mod tests;
