//! Helpers for the targets of log files: reads a text through a window.

use cloudtrail::testing::{Damage, NotALog, RecordReader, RecordSink, Scan, Scanner, TapeBuffer, TapeSpan};
use std::fmt;

/// Records and damage of a text.
#[derive(Default, PartialEq, Eq)]
pub struct Content {
    pub records: Vec<Vec<u8>>,
    /// Times of last resort.
    pub times: Vec<Option<u64>>,
    pub damage: Vec<Damage>,
    pub not_a_log: usize,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self
            .records
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect();
        write!(f, "{texts:#?} {:?} {:?} {}", self.times, self.damage, self.not_a_log)
    }
}

struct Sink {
    tapes: TapeBuffer,
    content: Content,
}

impl RecordSink for Sink {
    fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan, time: Option<u64>) -> bool {
        assert_eq!(self.tapes.tape(tape, text).text(), text);
        let baseline = Scanner::baseline().scan(text, &mut TapeBuffer::default());
        assert!(matches!(baseline, Scan::Whole { len, .. } if len == text.len() && text[0] == b'{'));
        self.content.records.push(text.to_vec());
        self.content.times.push(time);
        self.tapes.clear();
        true
    }

    fn not_a_log(&mut self, _: NotALog<'_>) {
        self.content.not_a_log += 1;
    }

    fn damage(&mut self, damage: Damage, _: u64) {
        self.content.damage.push(damage);
    }
}

/// Reads `text` through a window that moves on by `step` bytes at its end, and at its start by the bytes that the
/// reader has consumed.
pub fn read(text: &[u8], step: usize) -> Content {
    let mut sink = Sink {
        tapes: TapeBuffer::default(),
        content: Content::default(),
    };
    let mut reader = RecordReader::new(Scanner::default());
    let (mut start, mut end) = (0, 0);
    while end < text.len() {
        end = text.len().min(end + step.max(1));
        let used = reader.feed(&text[start..end], end == text.len(), &mut sink);
        assert!(used <= end - start);
        start += used;
    }
    sink.content
}
