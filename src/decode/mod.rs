//! One object at a time from its stored bytes to events in batches. Runs on a decode thread.
//!
//! A normal log file is read and inflated whole, into memory that is used again for the next one.
//! A large, damaged or several-member one goes through a window instead, so that memory does not
//! grow with the file. Knows nothing of threads or of order; must not know fields.
//!
//! # Memory for one object
//!
//! Each decode thread takes up to [`THREAD_BYTES`] without asking. Beyond that an object takes what it asks
//! [`BatchSender::large`] for:
//!
//! * its text, up to 32 MiB, where it is inflated whole, and the file's bytes, up to 8 MiB;
//! * for a record over 256 KiB its copy in the batch and its tape, which are mostly once and half its length. The tape is
//!   counted when it has been written, so each thread may be ahead of the budget by one record's tape: up to 200 MiB for
//!   one of nothing but brackets, a few times the record's length at most for anything else;
//! * 512 MiB for an object that is read through the window and has a record over 1 MiB, of which it uses what its longest
//!   record needs.
//!
//! An object from S3 is in memory as it is stored until it is decoded, whatever the budget: one of `n` stored bytes takes
//! `n` plus the above (a 667 MB object of ordinary records takes 667 MB plus [`THREAD_BYTES`]). `maxObjectBytes` is the
//! limit for that; a local file of any size takes the window only.
#![forbid(unsafe_code)]

pub mod gzip;
pub mod records;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use self::gzip::{Inflater, MultiMemberReader};
use self::records::{Damage, MAX_RECORD, RecordReader, RecordSink};
use crate::batch::{Admission, Admitted, Batch};
use crate::error::{Error, ErrorKind};
use crate::json::{Scanner, TapeBuffer, TapeSpan};
use crate::log::{Escaped, Log, Severity};
use crate::metrics::{Counter, Metrics};
use crate::object::{Content, Object};
use crate::object_key;
use crate::timestamp;

/// Stored size up to which an object is read whole.
const WHOLE_STORED: u64 = 8 << 20;

/// Text size up to which an object is inflated whole: busy accounts' files have 10 MiB.
const WHOLE_TEXT: usize = 32 << 20;

/// The window starts with this and doubles for a record that does not fit.
const WINDOW: usize = 1 << 20;

/// Bytes of text that a decode thread may have in memory without asking.
const SMALL: usize = 2 * WINDOW;

/// Bytes of memory that a decode thread may take without asking: small texts and windows, records up to 256 KiB
/// with their tapes, the batch being filled and what buffers keep from one object to the next.
pub const THREAD_BYTES: usize = 16 << 20;

/// Length over which a record is counted by itself. AWS writes up to 256 KiB.
const LONG_RECORD: usize = 256 << 10;

/// A record takes up to so many times its bytes in the window, with its tape and its copy in a batch.
const RECORD_COST: usize = 4;

/// Bytes that the longest record may take up while it is read through a window.
const LONGEST_COST: usize = RECORD_COST * 2 * MAX_RECORD;

/// Bytes of events after which a batch is handed over: batch and tape stay in a core's cache.
const BATCH_BYTES: usize = 512 << 10;

/// Events after which a batch is handed over.
const BATCH_EVENTS: usize = 4096;

/// What decoding needs to know from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Text bytes over which an object is refused.
    pub max_object_bytes: u64,
    /// Deliver `AwsCloudTrailInsight` records.
    pub insights: bool,
}

/// Takes full batches away.
pub trait BatchSender {
    /// Hands over `full` and leaves an empty batch in its place. Answers whether to go on.
    fn flush(&mut self, full: &mut Batch) -> bool;

    /// Waits until the object may take up this many bytes of a decode thread's memory in all.
    /// Answers whether to go on.
    fn large(&mut self, _bytes: u64) -> bool {
        true
    }

    /// Whether the source is closed, so that nobody waits for batches any more.
    fn closed(&self) -> bool {
        false
    }
}

/// A decode thread's own memory and where it reports to.
pub struct Decoder<'a> {
    limits: Limits,
    metrics: &'a Metrics,
    log: &'a Log,
    scanner: Scanner,
    inflater: Option<Inflater>,
    stored: Vec<u8>,
    window: Vec<u8>,
    /// The batch that is being filled; several small objects share one.
    pub batch: Batch,
}

/// Why an object, or the rest of it, is lost.
struct Lost {
    kind: ErrorKind,
    cause: String,
    /// What happens now, or what to do.
    outcome: &'static str,
}

impl<'a> Decoder<'a> {
    /// A decoder with no memory yet.
    pub fn new(limits: Limits, metrics: &'a Metrics, log: &'a Log, batch: Batch) -> Self {
        Decoder {
            limits,
            metrics,
            log,
            scanner: Scanner::default(),
            inflater: None,
            stored: Vec::new(),
            window: Vec::new(),
            batch,
        }
    }

    /// Decodes `object`. Whole records around damage have been delivered even where this is an
    /// error, which is counted and logged here.
    pub fn decode(&mut self, object: &Object, outlet: &mut impl BatchSender) -> Result<(), Error> {
        let result = match &object.content {
            Content::File(path) => self.file(object, path, outlet),
            Content::Memory(stored, _) => self.memory(object, stored, outlet),
        };
        self.batch.objects += 1;
        self.metrics.objects.add(1);
        result.map_err(|lost| {
            let Lost {
                kind,
                cause,
                outcome,
            } = lost;
            error_counter(self.metrics, kind).add(1);
            self.log.lost(&object.name, &cause, outcome);
            let name = Escaped(&object.name);
            Error::new(kind, format!("{name}: {cause}; {outcome}"))
        })
    }

    /// To be called after a panic in [`Decoder::decode`]: drops what it may have left half-written. Events before that
    /// are whole and stay.
    pub fn recover(&mut self) {
        self.batch.drop_unfinished();
        self.inflater = None;
        self.stored = Vec::new();
        self.window = Vec::new();
    }

    fn file(
        &mut self,
        object: &Object,
        path: &Path,
        outlet: &mut impl BatchSender,
    ) -> Result<(), Lost> {
        let unreadable = |error: io::Error| Lost {
            kind: ErrorKind::Read,
            cause: format!("cannot be read: {error}"),
            outcome: "skipped",
        };
        let file = open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > WHOLE_STORED {
            return self.stream(object, BufReader::with_capacity(256 << 10, file), outlet);
        }
        let mut stored = std::mem::take(&mut self.stored);
        stored.clear();
        stored.reserve(size as usize + 1);
        // It may grow faster than it is read.
        let most = self.limits.max_object_bytes.saturating_add(1);
        let read = file.take(most).read_to_end(&mut stored);
        let read = read.map_err(unreadable);
        let result = read.and_then(|_| self.memory(object, &stored, outlet));
        self.stored = stored;
        result
    }

    /// An object whose stored bytes are in memory.
    fn memory(
        &mut self,
        object: &Object,
        stored: &[u8],
        outlet: &mut impl BatchSender,
    ) -> Result<(), Lost> {
        let text = match gzip::is_gzip(stored) {
            true => gzip::declared_len(stored),
            false => stored.len(),
        };
        let in_memory = match &object.content {
            Content::File(_) if gzip::is_gzip(stored) => text + stored.len(),
            _ => text,
        };
        if text > SMALL && text <= WHOLE_TEXT && !outlet.large(in_memory as u64) {
            return Ok(());
        }
        if !gzip::is_gzip(stored) {
            if stored.len() as u64 > self.limits.max_object_bytes {
                return Err(self.too_large());
            }
            self.count_bytes(stored.len() as u64, stored.len() as u64);
            let sound = self.text(object, stored, in_memory, outlet);
            // A page of some server, say, or nothing at all.
            if !sound && object.name.ends_with(".gz") {
                return Err(Lost {
                    kind: ErrorKind::Gzip,
                    cause: "is no gzip data, as its name says, and holds no record".to_owned(),
                    outcome: "skipped",
                });
            }
            return Ok(());
        }
        let limit = usize::try_from(self.limits.max_object_bytes).unwrap_or(usize::MAX);
        let mut inflater = self.inflater.take().unwrap_or_default();
        let whole = match inflater.inflate_single_member(stored, limit.min(WHOLE_TEXT)) {
            Some(text) => {
                self.count_bytes(stored.len() as u64, text.len() as u64);
                self.text(object, text, in_memory, outlet);
                true
            }
            None => false,
        };
        self.inflater = Some(inflater);
        match whole {
            true => Ok(()),
            false => self.stream(object, stored, outlet),
        }
    }

    /// All of an object's text at once. Whether there was a record, or a sound list of none.
    fn text(
        &mut self,
        object: &Object,
        text: &[u8],
        in_memory: usize,
        outlet: &mut impl BatchSender,
    ) -> bool {
        let mut reader = RecordReader::new(self.scanner);
        let mut told = Vec::new();
        let mut sink = Sink::new(self, object, in_memory, &mut told, outlet);
        reader.feed(text, true, &mut sink);
        let nothing = text.trim_ascii().is_empty();
        let sound = sink.records > 0 || !(sink.damaged || nothing);
        sink.finish();
        sound
    }

    /// An object of any size and state, through the window.
    fn stream(
        &mut self,
        object: &Object,
        mut stored: impl BufRead,
        outlet: &mut impl BatchSender,
    ) -> Result<(), Lost> {
        let mut window = std::mem::take(&mut self.window);
        let gzip = stored.fill_buf().map(gzip::is_gzip);
        let count = &Cell::new(0);
        let mut stored = Counted { stored, count };
        let result = match gzip {
            Ok(true) => {
                let members = &mut MultiMemberReader::new(stored);
                self.windows(object, members, ErrorKind::Gzip, count, &mut window, outlet)
            }
            // An error comes again with the next read.
            _ => self.windows(
                object,
                &mut stored,
                ErrorKind::Read,
                count,
                &mut window,
                outlet,
            ),
        };
        // A window that grew for one huge record is not kept.
        if window.len() <= SMALL {
            self.window = window;
        }
        result
    }

    fn windows(
        &mut self,
        object: &Object,
        source: &mut impl Read,
        kind: ErrorKind,
        stored: &Cell<u64>,
        window: &mut Vec<u8>,
        outlet: &mut impl BatchSender,
    ) -> Result<(), Lost> {
        let mut reader = RecordReader::new(self.scanner);
        let mut told = Vec::new();
        let mut result = Ok(());
        let (mut filled, mut total) = (0, 0_u64);
        if window.is_empty() {
            window.resize(WINDOW, 0);
        }
        loop {
            let mut end = false;
            while filled < window.len() && !end {
                match source.read(&mut window[filled..]) {
                    Ok(0) => end = true,
                    Ok(read) => {
                        filled += read;
                        total += read as u64;
                        self.count_bytes(stored.take(), read as u64);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        result = Err(broken(kind, &error));
                        end = true;
                    }
                }
            }
            if total > self.limits.max_object_bytes {
                return Err(self.too_large());
            }
            if outlet.closed() {
                return Ok(());
            }
            let mut sink = Sink::new(self, object, window.len(), &mut told, outlet);
            let used = reader.feed(&window[..filled], end, &mut sink);
            let stopped = sink.stopped;
            sink.finish();
            if end || stopped {
                return result;
            }
            window.copy_within(used..filled, 0);
            filled -= used;
            // Doubling keeps the work of scanning an unfinished record again in proportion.
            if filled > window.len() / 2 {
                let longer = (window.len() * 2).min(2 * MAX_RECORD);
                // All at once: who has a part of it already would keep that while waiting.
                if longer > SMALL && !outlet.large(LONGEST_COST as u64) {
                    return Ok(());
                }
                window.resize(longer, 0);
            }
        }
    }

    fn count_bytes(&mut self, stored: u64, text: u64) {
        self.batch.bytes_in += stored;
        self.metrics.bytes_in.add(stored);
        self.metrics.bytes_out.add(text);
    }

    fn too_large(&self) -> Lost {
        let limit = self.limits.max_object_bytes;
        Lost {
            kind: ErrorKind::TooLarge,
            cause: format!("decompresses to more than {limit} bytes and is refused"),
            outcome: "raise maxObjectBytes if it is a log file",
        }
    }
}

fn broken(kind: ErrorKind, error: &io::Error) -> Lost {
    let what = match kind {
        ErrorKind::Gzip => "its gzip data is damaged or cut off",
        _ => "it could not be read to its end",
    };
    Lost {
        kind,
        cause: format!("{what} ({error})"),
        outcome: "the records before that are delivered",
    }
}

/// Opens a file, which was one when it was listed; by now it may be a pipe, which would be waited for, or endless.
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

/// Which figure counts errors of this kind.
fn error_counter(metrics: &Metrics, kind: ErrorKind) -> &Counter {
    match kind {
        ErrorKind::Gzip => &metrics.errors_gzip,
        ErrorKind::TooLarge => &metrics.errors_too_large,
        ErrorKind::Read => &metrics.errors_read,
        _ => &metrics.errors_internal,
    }
}

/// Counts stored bytes as they are used up.
struct Counted<'a, R> {
    stored: R,
    count: &'a Cell<u64>,
}

impl<R> Counted<'_, R> {
    fn add(&self, read: usize) {
        self.count.set(self.count.get() + read as u64);
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.stored.read(out)?;
        self.add(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stored.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.stored.consume(amount);
        self.add(amount);
    }
}

/// Puts an object's records into the decoder's batch.
struct Sink<'d, 'a, O> {
    decoder: &'d mut Decoder<'a>,
    object: &'d Object,
    /// Bytes of its text, and of what else there is of it, that are in memory.
    in_memory: usize,
    /// Kinds of trouble that were logged for this object.
    told: &'d mut Vec<&'static str>,
    outlet: &'d mut O,
    admission: Admission,
    records: u64,
    damaged: bool,
    stopped: bool,
}

impl<'d, 'a, O: BatchSender> Sink<'d, 'a, O> {
    fn new(
        decoder: &'d mut Decoder<'a>,
        object: &'d Object,
        in_memory: usize,
        told: &'d mut Vec<&'static str>,
        outlet: &'d mut O,
    ) -> Self {
        let admission = Admission {
            insights: decoder.limits.insights,
            file_time: object_key::time(&object.name).and_then(timestamp::nanoseconds),
        };
        Sink {
            decoder,
            object,
            in_memory,
            told,
            outlet,
            admission,
            records: 0,
            damaged: false,
            stopped: false,
        }
    }

    fn finish(self) {
        self.decoder.metrics.records.add(self.records);
    }

    /// Logs trouble of this kind, once for the object.
    fn tell(&mut self, kind: &'static str, what: &str) {
        if self.told.contains(&kind) {
            return;
        }
        self.told.push(kind);
        let name = Escaped(&self.object.name);
        let line = format_args!("{name}: {what}");
        self.decoder.log.limited(kind, Severity::Error, line);
    }

    /// Has the memory for a long record counted, whose tape is there and whose copy will be. Answers whether to go on.
    #[cold]
    fn count_long(&mut self, len: usize) -> bool {
        let bytes = self.in_memory + len + self.decoder.batch.capacity_bytes();
        self.stopped |= !self.outlet.large(bytes as u64);
        !self.stopped
    }

    fn flush_if_full(&mut self) {
        let batch = &mut self.decoder.batch;
        if batch.event_bytes() >= BATCH_BYTES || batch.len() >= BATCH_EVENTS {
            self.stopped |= !self.outlet.flush(batch);
        }
    }
}

impl<O: BatchSender> RecordSink for Sink<'_, '_, O> {
    fn tapes(&mut self) -> &mut TapeBuffer {
        self.decoder.batch.tapes()
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan) -> bool {
        self.records += 1;
        if text.len() > LONG_RECORD && !self.count_long(text.len()) {
            return false;
        }
        let metrics = self.decoder.metrics;
        match self.decoder.batch.push(text, tape, self.admission) {
            Admitted::Event => self.flush_if_full(),
            Admitted::Insight => metrics.skipped_insight.add(1),
            Admitted::Digest => metrics.skipped_digest.add(1),
            Admitted::NoTime => {
                metrics.skipped_no_time.add(1);
                self.tell(
                    "no_time",
                    "a record without a time is skipped: it has no eventTime, and the file's name has none either",
                );
            }
        }
        !self.stopped
    }

    fn cancelled(&self) -> bool {
        self.outlet.closed()
    }

    fn damage(&mut self, damage: Damage) {
        self.damaged = true;
        let metrics = self.decoder.metrics;
        let (counter, kind, what) = match damage {
            Damage::Unbalanced => (
                &metrics.damaged_unbalanced,
                "unbalanced",
                "a record whose braces or quotes do not balance is skipped",
            ),
            Damage::NotAnObject => (
                &metrics.damaged_not_an_object,
                "not_an_object",
                "a value that is not a record is skipped",
            ),
            Damage::CutOff => (
                &metrics.damaged_cut_off,
                "cut_off",
                "the last record is cut off and skipped",
            ),
            Damage::Unclosed => (
                &metrics.damaged_cut_off,
                "unclosed",
                "it ends before its list of records does; what should follow is missing",
            ),
            Damage::TooLong => (
                &metrics.damaged_too_long,
                "too_long",
                "a record over 64 MiB, or of over four million objects and arrays, is skipped",
            ),
            Damage::GivenUp => (
                &metrics.damaged_given_up,
                "given_up",
                "so much is damaged that the rest is given up",
            ),
        };
        counter.add(1);
        self.tell(kind, what);
    }
}
