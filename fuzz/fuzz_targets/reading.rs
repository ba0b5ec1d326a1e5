//! What the targets on log files share: reading a text through a window.

use cloudtrail::testing::{Damage, RecordReader, RecordSink, Scan, Scanner, TapeBuffer, TapeSpan};
use std::fmt;

/// What was found in a text.
#[derive(Default, PartialEq, Eq)]
pub struct ListedObject {
    pub records: Vec<Vec<u8>>,
    pub damage: Vec<Damage>,
}

impl fmt::Debug for ListedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self
            .records
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect();
        write!(f, "{texts:#?} {:?}", self.damage)
    }
}

struct Sink {
    tapes: TapeBuffer,
    found: ListedObject,
}

impl RecordSink for Sink {
    fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan) -> bool {
        assert_eq!(self.tapes.tape(tape, text).text(), text);
        let again = Scanner::baseline().scan(text, &mut TapeBuffer::default());
        assert!(matches!(again, Scan::Whole { len, .. } if len == text.len() && text[0] == b'{'));
        self.found.records.push(text.to_vec());
        self.tapes.clear();
        true
    }

    fn damage(&mut self, damage: Damage) {
        self.found.damage.push(damage);
    }
}

/// Reads `text` through a window that starts with `step` bytes and grows by as many whenever
/// nothing in it could be used.
pub fn read(text: &[u8], step: usize) -> ListedObject {
    let mut sink = Sink {
        tapes: TapeBuffer::default(),
        found: ListedObject::default(),
    };
    let mut reader = RecordReader::new(Scanner::default());
    let (mut start, mut end) = (0, 0);
    while end < text.len() {
        end = text.len().min(end + step.max(1));
        let used = reader.feed(&text[start..end], end == text.len(), &mut sink);
        assert!(used <= end - start);
        start += used;
    }
    sink.found
}
