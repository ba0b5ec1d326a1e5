//! One object at a time, from its stored bytes to events in batches. Runs on a decode thread.
//!
//! A normal log file is read and inflated whole, into memory that the next one reuses. A large, damaged or multi-member
//! one goes through a window ([`window`]), so that memory does not grow with the file. This module knows nothing about
//! threads, order or fields.
//!
//! # Memory for one object
//!
//! Each decode thread may use [`THREAD_BYTES`] freely. For more, an object calls [`BatchSender::acquire_memory`]:
//!
//! * for its text, up to 32 MiB, if it is inflated whole, and for the file's bytes, up to 8 MiB;
//! * for a record over 256 KiB, for its copy in the batch and its tape, which usually have once and half its length. The
//!   tape is accounted after it was written, so each thread may exceed the budget by one record's tape: up to 200 MiB for
//!   a record of nothing but brackets, at most a few times the record's length for any other;
//! * 512 MiB for an object that is read through the window and has a record over 1 MiB. It uses as much of that as its
//!   longest record needs.
//!
//! An object from S3 is in memory as it is stored until it is decoded, whatever the budget: one of `n` stored bytes uses
//! `n` plus the above (a 667 MB object of ordinary records uses 667 MB plus [`THREAD_BYTES`]). `maxObjectBytes` is the
//! limit for that. A local file of any size uses the window only.
#![forbid(unsafe_code)]

mod batch_writer;
pub mod gzip;
pub mod records;
mod shape;
mod window;

use std::fs::File;
use std::io::{self, BufReader, Read};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use self::batch_writer::{BatchWriter, ObjectReport};
use self::gzip::Inflater;
use self::records::RecordReader;
use self::window::WINDOW;
use crate::batch::Batch;
use crate::error::{Error, ErrorKind};
use crate::json::Scanner;
use crate::log::{Escaped, Log};
use crate::metrics::{Counter, Metrics};
use crate::object::{Content, Object};

/// Stored size up to which a file is read whole, in bytes.
const WHOLE_STORED: u64 = 8 << 20;

/// Text size up to which an object is inflated whole, in bytes: busy accounts' files have 10 MiB.
const WHOLE_TEXT: usize = 32 << 20;

/// Text that a decode thread may have in memory without acquiring more, in bytes.
const SMALL: usize = 2 * WINDOW;

/// Memory that a decode thread may use without acquiring more, in bytes: for small texts and windows, records up to
/// 256 KiB with their tapes, the batch that is being filled, and what buffers keep from one object to the next.
pub const THREAD_BYTES: usize = 16 << 20;

/// Settings of the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest text of an object, in bytes.
    pub max_object_bytes: u64,
    /// Deliver `AwsCloudTrailInsight` records.
    pub insights: bool,
}

/// Sends full batches to the host, and accounts memory.
pub trait BatchSender {
    /// Sends `full` and leaves an empty batch in its place. Returns whether to continue.
    fn flush(&mut self, full: &mut Batch) -> bool;

    /// Waits until the object may use this much memory of a decode thread in total, in bytes. Returns whether to continue.
    fn acquire_memory(&mut self, _bytes: u64) -> bool {
        true
    }

    /// Whether the source is closed.
    fn closed(&self) -> bool {
        false
    }
}

/// The memory of a decode thread, and where it reports to.
pub struct Decoder<'a> {
    limits: Limits,
    metrics: &'a Metrics,
    log: &'a Log,
    scanner: Scanner,
    inflater: Option<Inflater>,
    stored: Vec<u8>,
    window: Vec<u8>,
    /// Strings that are records.
    unescaped: Vec<u8>,
    /// The batch that is being filled. Small objects share one.
    pub batch: Batch,
}

/// Why an object, or the rest of it, is lost.
struct ObjectError {
    kind: ErrorKind,
    cause: String,
    /// What happens next, or what to do.
    outcome: &'static str,
}

impl<'a> Decoder<'a> {
    /// A decoder that fills `batch`.
    pub fn new(limits: Limits, metrics: &'a Metrics, log: &'a Log, batch: Batch) -> Self {
        Decoder {
            limits,
            metrics,
            log,
            scanner: Scanner::default(),
            inflater: None,
            stored: Vec::new(),
            window: Vec::new(),
            unescaped: Vec::new(),
            batch,
        }
    }

    /// Decodes `object`. Counts and logs an error, which does not affect whole records around the damage: these are
    /// delivered.
    pub fn decode(&mut self, object: &Object, sender: &mut impl BatchSender) -> Result<(), Error> {
        let result = match &object.content {
            Content::File(path) => self.decode_file(object, path, sender),
            Content::Memory(stored, _) => self.decode_stored(object, stored, sender),
        };
        self.batch.objects += 1;
        self.metrics.objects.add(1);
        result.map_err(|error| {
            let ObjectError {
                kind,
                cause,
                outcome,
            } = error;
            error_counter(self.metrics, kind).add(1);
            self.log.lost(&object.name, &cause, outcome);
            let name = Escaped(&object.name);
            Error::new(kind, format!("{name}: {cause}; {outcome}"))
        })
    }

    /// Drops what a panic in [`Decoder::decode`] may have left incomplete. Complete events stay.
    pub fn recover(&mut self) {
        self.batch.drop_incomplete();
        self.inflater = None;
        self.stored = Vec::new();
        self.window = Vec::new();
        self.unescaped = Vec::new();
    }

    fn decode_file(
        &mut self,
        object: &Object,
        path: &Path,
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        let unreadable = |error: io::Error| ObjectError {
            kind: ErrorKind::Read,
            cause: format!("cannot be read: {error}"),
            outcome: "skipped",
        };
        let file = open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > WHOLE_STORED {
            let file = BufReader::with_capacity(256 << 10, file);
            return self.decode_in_windows(object, file, sender);
        }
        let mut stored = std::mem::take(&mut self.stored);
        stored.clear();
        stored.reserve(size as usize + 1);
        // The file may grow faster than it is read.
        let limit = self.limits.max_object_bytes.saturating_add(1);
        let read = file.take(limit).read_to_end(&mut stored);
        let result = read
            .map_err(unreadable)
            .and_then(|_| self.decode_stored(object, &stored, sender));
        self.stored = stored;
        result
    }

    /// Decodes an object whose stored bytes are in memory.
    fn decode_stored(
        &mut self,
        object: &Object,
        stored: &[u8],
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        if !gzip::is_gzip(stored) {
            return self.decode_plain(object, stored, sender);
        }
        let text = gzip::declared_len(stored);
        let in_memory = match &object.content {
            Content::File(_) => text + stored.len(),
            // These have a permit of their own.
            Content::Memory(..) => text,
        };
        if !acquire(text, in_memory, sender) {
            return Ok(());
        }
        let limit = usize::try_from(self.limits.max_object_bytes).unwrap_or(usize::MAX);
        let mut inflater = self.inflater.take().unwrap_or_default();
        let inflated = match inflater.inflate_single_member(stored, limit.min(WHOLE_TEXT)) {
            // The stream has a layer more.
            Some(text) if gzip::is_gzip(text) => false,
            Some(text) => {
                self.count_bytes(stored.len() as u64, text.len() as u64);
                let report = self.decode_text(object, text, in_memory, sender);
                report.finish(object, self.metrics, self.log);
                true
            }
            None => false,
        };
        self.inflater = Some(inflater);
        match inflated {
            true => Ok(()),
            false => self.decode_in_windows(object, stored, sender),
        }
    }

    /// Decodes an object that is not compressed.
    fn decode_plain(
        &mut self,
        object: &Object,
        text: &[u8],
        sender: &mut impl BatchSender,
    ) -> Result<(), ObjectError> {
        let len = text.len();
        if !acquire(len, len, sender) {
            return Ok(());
        }
        if len as u64 > self.limits.max_object_bytes {
            return Err(self.too_large());
        }
        self.count_bytes(len as u64, len as u64);
        let report = self.decode_text(object, text, len, sender);
        let empty = text.trim_ascii().is_empty();
        // Otherwise a record, or an undamaged list without any.
        let invalid = report.records == 0 && (report.damaged || report.not_a_log > 0 || empty);
        // An error page of a proxy, for example, or an empty file.
        if invalid && object.name.ends_with(".gz") {
            let cause = match report.shape() {
                _ if empty => "it is empty".to_owned(),
                Some(shape) => format!("its name ends in .gz, but it holds {shape}, and no record"),
                None => "its name ends in .gz, but it is not gzip and has no record".to_owned(),
            };
            return Err(ObjectError {
                kind: ErrorKind::Gzip,
                cause,
                outcome: "skipped",
            });
        }
        report.finish(object, self.metrics, self.log);
        Ok(())
    }

    /// Decodes the whole text of an object.
    fn decode_text(
        &mut self,
        object: &Object,
        text: &[u8],
        in_memory: usize,
        sender: &mut impl BatchSender,
    ) -> ObjectReport {
        if let Some(shape) = shape::of_start(text) {
            return ObjectReport::of_unread(shape);
        }
        let mut reader = self.record_reader();
        let mut report = ObjectReport::default();
        let mut writer = BatchWriter::new(self, object, in_memory, &mut report, sender);
        reader.feed(text, true, &mut writer);
        writer.finish();
        self.unescaped = reader.into_buffer();
        report
    }

    fn record_reader(&mut self) -> RecordReader {
        RecordReader::new(self.scanner).with_buffer(std::mem::take(&mut self.unescaped))
    }

    fn count_bytes(&mut self, stored: u64, text: u64) {
        self.batch.bytes_in += stored;
        self.metrics.bytes_in.add(stored);
        self.metrics.bytes_out.add(text);
    }

    fn too_large(&self) -> ObjectError {
        let limit = self.limits.max_object_bytes;
        ObjectError {
            kind: ErrorKind::TooLarge,
            cause: format!("decompresses to more than {limit} bytes and is refused"),
            outcome: "raise maxObjectBytes if it is a log file",
        }
    }
}

/// Acquires the memory for a text that is decoded whole, unless it is small. Returns whether to continue.
fn acquire(text: usize, in_memory: usize, sender: &mut impl BatchSender) -> bool {
    text <= SMALL || text > WHOLE_TEXT || sender.acquire_memory(in_memory as u64)
}

/// Opens a regular file. The path was one when it was listed; by now it may be a pipe, which would block or never end.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    options.custom_flags(libc::O_NONBLOCK);
    let file = options.read(true).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file any more")),
    }
}

/// The metric that counts errors of this kind.
fn error_counter(metrics: &Metrics, kind: ErrorKind) -> &Counter {
    match kind {
        ErrorKind::Gzip => &metrics.errors_gzip,
        ErrorKind::TooLarge => &metrics.errors_too_large,
        ErrorKind::Read => &metrics.errors_read,
        _ => &metrics.errors_internal,
    }
}
