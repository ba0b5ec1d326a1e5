//! Records that are strings in other JSON: unescaped into a buffer that is reused, then read like any text.

use super::state::{RecordReader, Window};
use super::{LONG_STRING, NotALog, RecordSink};
use crate::json::text::unescape_into;

/// Buffer kept from one string to the next, in bytes. A larger one is freed.
const KEEP: usize = 2 * LONG_STRING;

impl RecordReader {
    /// Reads the record that a string should be; `inside` is the text between its quotes, `at` the offset in the window of
    /// the object around it. `time` is the time of last resort. Returns whether to continue.
    pub(super) fn string_record(
        &mut self,
        inside: &[u8],
        at: usize,
        time: Option<u64>,
        sink: &mut impl RecordSink,
    ) -> bool {
        if inside.len() > LONG_STRING && !sink.acquire_buffer(inside.len()) {
            return false;
        }
        let mut buffer = std::mem::take(&mut self.unescaped);
        let text = unescape_into(inside, &mut buffer).trim_ascii();
        let proceed = match starts_like_object(text) {
            true => self.read_string(text, at, time, sink),
            false => {
                sink.not_a_log(NotALog::Text);
                true
            }
        };
        if buffer.len() <= KEEP {
            self.unescaped = buffer;
        }
        proceed
    }

    /// Reads the text of a string with a reader of its own, which shares the limits for wasted work.
    fn read_string(
        &mut self,
        text: &[u8],
        at: usize,
        time: Option<u64>,
        sink: &mut impl RecordSink,
    ) -> bool {
        let mut reader = RecordReader::new(self.scanner);
        reader.outer = Some(self.consumed + at as u64);
        reader.text_time = time.or(self.text_time);
        (reader.consumed, reader.wrappers) = (self.consumed, self.wrappers);
        (reader.wasted, reader.waste_limit) = (self.wasted, self.waste_limit);
        reader.read(Window { text, last: true }, sink);
        (self.wasted, self.wrappers) = (reader.wasted, reader.wrappers);
        if reader.found {
            self.found = true;
        }
        !reader.stopped
    }
}

/// Whether `text` starts with a brace and a key, or is an empty object. Other logs' texts may start with a brace, too.
pub(super) fn starts_like_object(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), Some(b'"' | b'}')))
}
