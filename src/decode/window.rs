//! Decodes an object of any size and state through a window of its text, so that memory does not grow with the object.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use super::batch_writer::{BatchWriter, ObjectReport};
use super::gzip::{self, MultiMemberReader};
use super::records::{MAX_RECORD, RecordReader};
use super::{BatchSender, Decoder, ObjectError, SMALL, shape};
use crate::error::ErrorKind;
use crate::object::Object;

/// Initial size of the window, in bytes. It doubles for a record that does not fit.
pub(super) const WINDOW: usize = 1 << 20;

/// gzip layers that are unpacked: Firehose packs what CloudWatch Logs has packed already.
const MAX_LAYERS: usize = 3;

/// Buffer of a layer, in bytes. Larger reads bypass it.
const LAYER_BUFFER: usize = 64 << 10;

/// Factor from a record's length in the window to the memory that it uses, with its tape and its copy in a batch.
const RECORD_COST: usize = 4;

/// Memory for the longest record in the largest window, in bytes.
const LONGEST_COST: usize = RECORD_COST * 2 * MAX_RECORD;

impl Decoder<'_> {
    pub(super) fn decode_in_windows(
        &mut self,
        object: &Object,
        stored: impl BufRead,
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        let (stored_bytes, exceeded) = (&Cell::new(0), &Cell::new(false));
        let mut stream = TextStream {
            text: Box::new(CountingReader {
                inner: stored,
                count: stored_bytes,
            }),
            error_kind: ErrorKind::Read,
            stored_bytes,
            exceeded,
        };
        for _ in 0..MAX_LAYERS {
            match is_gzip(&mut stream.text) {
                Ok(true) => stream = stream.unpacked(self.limits.max_object_bytes),
                Ok(false) => break,
                // There is no text before it.
                Err(error) => {
                    self.count_bytes(stored_bytes.take(), 0);
                    return Err(self.stream_error(&stream, &error));
                }
            }
        }
        let mut window = std::mem::take(&mut self.window);
        let mut reader = self.record_reader();
        let mut report = ObjectReport::default();
        let result = self.decode_stream(
            object,
            &mut stream,
            &mut window,
            (&mut reader, &mut report),
            sender,
        );
        report.finish(object, self.metrics, self.log);
        self.unescaped = reader.into_buffer();
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
        (reader, report): (&mut RecordReader, &mut ObjectReport),
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
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
                        result = Err(self.stream_error(stream, &error));
                        end = true;
                    }
                }
            }
            if total > self.limits.max_object_bytes || stream.exceeded.get() {
                return Err(self.too_large());
            }
            if sender.closed() {
                return Ok(());
            }
            if total == filled as u64
                && let Some(shape) = shape::of_start(&window[..filled])
            {
                *report = ObjectReport::of_unread(shape);
                return result;
            }
            let mut writer = BatchWriter::new(self, object, window.len(), report, sender);
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

    fn stream_error(&self, stream: &TextStream<'_>, error: &io::Error) -> ObjectError {
        match stream.exceeded.get() {
            true => self.too_large(),
            false => incomplete(stream.error_kind, error),
        }
    }
}

/// The text of an object as a stream.
struct TextStream<'a> {
    text: Box<dyn BufRead + 'a>,
    /// Kind of an error while reading the text.
    error_kind: ErrorKind,
    /// Stored bytes read and not yet added to the metrics.
    stored_bytes: &'a Cell<u64>,
    /// Whether a layer has more bytes than an object may have.
    exceeded: &'a Cell<bool>,
}

impl<'a> TextStream<'a> {
    /// The content of the gzip data that this text is.
    fn unpacked(self, max_bytes: u64) -> Self {
        let unpacked = LimitedReader {
            inner: MultiMemberReader::new(self.text),
            left: max_bytes.saturating_add(1),
            exceeded: self.exceeded,
        };
        TextStream {
            text: Box::new(BufReader::with_capacity(LAYER_BUFFER, unpacked)),
            error_kind: ErrorKind::Gzip,
            ..self
        }
    }
}

/// Whether the text of `stream` is gzip data.
fn is_gzip(stream: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match stream.fill_buf() {
            Ok(start) => return Ok(gzip::is_gzip(start)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn incomplete(kind: ErrorKind, error: &io::Error) -> ObjectError {
    let (problem, outcome) = match kind {
        ErrorKind::Gzip => (
            "its gzip data is damaged or cut off",
            "the records before that are delivered, the last of them without a check of their bytes",
        ),
        _ => (
            "it could not be read to its end",
            "the records before that are delivered",
        ),
    };
    ObjectError {
        kind,
        cause: format!("{problem} ({error})"),
        outcome,
    }
}

/// Limits the bytes of a gzip layer. A layer inside of another one may be zeros that are skipped, and never reach the
/// window.
struct LimitedReader<'a, R> {
    inner: R,
    left: u64,
    exceeded: &'a Cell<bool>,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.exceeded.set(true);
            return Err(io::Error::other("too much text"));
        }
        let len = out
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut out[..len])?;
        self.left -= read as u64;
        Ok(read)
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
