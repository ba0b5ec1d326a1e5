//! Decodes an object of any size and state through a window of its text, so that memory does not grow with the object.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use super::batch_writer::BatchWriter;
use super::gzip::{self, MultiMemberReader};
use super::records::{MAX_RECORD, RecordReader};
use super::{BatchSender, Decoder, ObjectError, SMALL};
use crate::error::ErrorKind;
use crate::object::Object;

/// Initial size of the window, in bytes. It doubles for a record that does not fit.
pub(super) const WINDOW: usize = 1 << 20;

/// Factor from a record's length in the window to the memory that it uses, with its tape and its copy in a batch.
const RECORD_COST: usize = 4;

/// Memory for the longest record in the largest window, in bytes.
const LONGEST_COST: usize = RECORD_COST * 2 * MAX_RECORD;

impl Decoder<'_> {
    pub(super) fn decode_in_windows(
        &mut self,
        object: &Object,
        mut stored: impl BufRead,
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        let mut window = std::mem::take(&mut self.window);
        let is_gzip = stored.fill_buf().map(gzip::is_gzip);
        let stored_bytes = &Cell::new(0);
        let stored = CountingReader {
            inner: stored,
            count: stored_bytes,
        };
        let mut stream = match is_gzip {
            Ok(true) => TextStream {
                text: &mut MultiMemberReader::new(stored),
                error_kind: ErrorKind::Gzip,
                stored_bytes,
            },
            // An error occurs again at the next read.
            _ => TextStream {
                text: &mut { stored },
                error_kind: ErrorKind::Read,
                stored_bytes,
            },
        };
        let result = self.decode_stream(object, &mut stream, &mut window, sender);
        // A window that grew for a huge record is freed.
        if window.len() <= SMALL {
            self.window = window;
        }
        result
    }

    fn decode_stream(
        &mut self,
        object: &Object,
        stream: &mut TextStream<'_>,
        window: &mut Vec<u8>,
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        let mut reader = RecordReader::new(self.scanner);
        let mut logged = Vec::new();
        let mut result = Ok(());
        let (mut filled, mut total) = (0, 0_u64);
        if window.is_empty() {
            window.resize(WINDOW, 0);
        }
        loop {
            let mut end = false;
            while filled < window.len() && !end {
                match stream.text.read(&mut window[filled..]) {
                    Ok(0) => end = true,
                    Ok(read) => {
                        filled += read;
                        total += read as u64;
                        self.count_bytes(stream.stored_bytes.take(), read as u64);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        result = Err(incomplete(stream.error_kind, &error));
                        end = true;
                    }
                }
            }
            if total > self.limits.max_object_bytes {
                return Err(self.too_large());
            }
            if sender.closed() {
                return Ok(());
            }
            let mut writer = BatchWriter::new(self, object, window.len(), &mut logged, sender);
            let used = reader.feed(&window[..filled], end, &mut writer);
            let stopped = writer.stopped;
            writer.finish();
            if end || stopped {
                return result;
            }
            window.copy_within(used..filled, 0);
            filled -= used;
            // Doubling bounds the repeated scans of an incomplete record by its length.
            if filled > window.len() / 2 {
                let longer = (window.len() * 2).min(2 * MAX_RECORD);
                // All at once: two objects that each have a part of it could wait for each other.
                if longer > SMALL && !sender.acquire_memory(LONGEST_COST as u64) {
                    return Ok(());
                }
                window.resize(longer, 0);
            }
        }
    }
}

/// The text of an object as a stream.
struct TextStream<'a> {
    text: &'a mut dyn Read,
    /// Kind of an error while reading the text.
    error_kind: ErrorKind,
    /// Stored bytes read and not yet added to the metrics.
    stored_bytes: &'a Cell<u64>,
}

fn incomplete(kind: ErrorKind, error: &io::Error) -> ObjectError {
    let problem = match kind {
        ErrorKind::Gzip => "its gzip data is damaged or cut off",
        _ => "it could not be read to its end",
    };
    ObjectError {
        kind,
        cause: format!("{problem} ({error})"),
        outcome: "the records before that are delivered",
    }
}

/// Counts the bytes that are read.
struct CountingReader<'a, R> {
    inner: R,
    count: &'a Cell<u64>,
}

impl<R> CountingReader<'_, R> {
    fn add(&self, read: usize) {
        self.count.set(self.count.get() + read as u64);
    }
}

impl<R: Read> Read for CountingReader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.add(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for CountingReader<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.add(amount);
    }
}
