//! Writes an object's records into the decoder's batch, and reports those that are skipped.
#![forbid(unsafe_code)]

use std::fmt::Display;

use super::records::{Damage, NotALog, RecordSink};
use super::{BatchSender, Decoder, shape};
use crate::batch::{EventPolicy, RecordOutcome};
use crate::json::{TapeBuffer, TapeSpan};
use crate::log::{Escaped, Log, Severity};
use crate::metrics::Metrics;
use crate::object::Object;
use crate::{object_key, timestamp};

/// Bytes of events after which a batch is full: batch and tapes stay in a core's cache.
const BATCH_BYTES: usize = 512 << 10;

/// Events after which a batch is full.
const BATCH_EVENTS: usize = 4096;

/// Length over which the memory of a record is accounted separately, in bytes. AWS writes at most 256 KiB.
const LONG_RECORD: usize = 256 << 10;

/// Sink of the record reader for one object, or one window of it.
pub(super) struct BatchWriter<'d, 'a, S> {
    decoder: &'d mut Decoder<'a>,
    object: &'d Object,
    /// Bytes of the object that are in memory: its text, and its stored bytes if the decoder has them.
    in_memory: usize,
    report: &'d mut ObjectReport,
    sender: &'d mut S,
    policy: EventPolicy,
    records: u64,
    /// Records that the filter dropped.
    dropped: u64,
    /// The source is closed.
    pub(super) stopped: bool,
}

/// What was found in one object, in all windows of it.
#[derive(Debug, Default)]
pub(super) struct ObjectReport {
    /// Kinds of problems that were logged.
    logged: Vec<&'static str>,
    pub(super) records: u64,
    pub(super) damaged: bool,
    /// Sound values that are not records, and what the first one appears to be.
    pub(super) not_a_log: u64,
    shape: String,
    /// Memory for unescaped strings, in bytes.
    buffer: usize,
}

impl ObjectReport {
    /// The report of an object that is not read, because of what its text appears to be.
    pub(super) fn of_unread(shape: &str) -> Self {
        ObjectReport {
            not_a_log: 1,
            shape: shape.to_owned(),
            ..ObjectReport::default()
        }
    }

    /// What the object appears to hold instead of a log, if that was found out.
    pub(super) fn shape(&self) -> Option<&str> {
        (self.not_a_log > 0).then_some(&self.shape)
    }

    /// Counts and logs the values of `object` that are not records.
    pub(super) fn finish(self, object: &Object, metrics: &Metrics, log: &Log) {
        if self.not_a_log == 0 {
            return;
        }
        metrics.skipped_not_a_log.add(1);
        let (name, shape) = (Escaped(&object.name), self.shape);
        let line = match (self.records, self.not_a_log) {
            (0, _) => format!("{name}: no CloudTrail record; it appears to hold {shape}; skipped"),
            (_, 1) => format!("{name}: {shape} among the records is skipped"),
            (_, n) => format!(
                "{name}: {n} values among the records, which are no records, are skipped; the first is {shape}"
            ),
        };
        log.limited("not_a_log", Severity::Warning, line);
    }
}

impl<'d, 'a, S: BatchSender> BatchWriter<'d, 'a, S> {
    pub(super) fn new(
        decoder: &'d mut Decoder<'a>,
        object: &'d Object,
        in_memory: usize,
        report: &'d mut ObjectReport,
        sender: &'d mut S,
    ) -> Self {
        let policy = EventPolicy {
            insights: decoder.limits.insights,
            fallback_time: object_key::time(&object.name).and_then(timestamp::nanoseconds),
        };
        BatchWriter {
            decoder,
            object,
            in_memory,
            report,
            sender,
            policy,
            records: 0,
            dropped: 0,
            stopped: false,
        }
    }

    /// Adds the records to the metrics.
    pub(super) fn finish(self) {
        self.decoder.metrics.records.add(self.records);
        self.report.records += self.records;
        if self.dropped > 0 {
            self.decoder.metrics.skipped_dropped.add(self.dropped);
        }
    }

    /// Logs a problem, once of each kind for the object.
    fn log(&mut self, kind: &'static str, problem: impl Display) {
        if self.report.logged.contains(&kind) {
            return;
        }
        self.report.logged.push(kind);
        let name = Escaped(&self.object.name);
        let line = format_args!("{name}: {problem}");
        self.decoder.log.limited(kind, Severity::Error, line);
    }

    /// Acquires the memory for a long record, which has its tape already and is about to be copied. Returns whether to
    /// continue.
    #[cold]
    fn acquire_memory(&mut self, len: usize) -> bool {
        let bytes = self.in_memory + self.report.buffer + len + self.decoder.batch.capacity_bytes();
        self.stopped |= !self.sender.acquire_memory(bytes as u64);
        !self.stopped
    }

    fn flush_if_full(&mut self) {
        let batch = &mut self.decoder.batch;
        if batch.event_bytes() >= BATCH_BYTES || batch.len() >= BATCH_EVENTS {
            self.stopped |= !self.sender.flush(batch);
        }
    }
}

impl<S: BatchSender> RecordSink for BatchWriter<'_, '_, S> {
    fn tapes(&mut self) -> &mut TapeBuffer {
        self.decoder.batch.tapes()
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan, time: Option<u64>) -> bool {
        self.records += 1;
        if text.len() > LONG_RECORD && !self.acquire_memory(text.len()) {
            return false;
        }
        let metrics = self.decoder.metrics;
        let policy = EventPolicy {
            fallback_time: time.or(self.policy.fallback_time),
            ..self.policy
        };
        match self.decoder.batch.push(text, tape, policy) {
            RecordOutcome::Event => self.flush_if_full(),
            RecordOutcome::Dropped => self.dropped += 1,
            RecordOutcome::Insight => metrics.skipped_insight.add(1),
            RecordOutcome::Digest => metrics.skipped_digest.add(1),
            RecordOutcome::NoTime => {
                metrics.skipped_no_time.add(1);
                self.log(
                    "no_time",
                    "a record without a time is skipped: it has none of its own, and there is none in what contains it or in the object's name",
                );
            }
        }
        !self.stopped
    }

    #[cold]
    fn not_a_log(&mut self, value: NotALog<'_>) {
        if self.report.not_a_log == 0 {
            self.report.shape = match value {
                NotALog::Object(text, span) => shape::of_object(self.tapes().tape(span, text)),
                NotALog::Text => "another log's text".to_owned(),
                NotALog::Value => "JSON without objects".to_owned(),
            };
        }
        self.report.not_a_log += 1;
    }

    #[cold]
    fn acquire_buffer(&mut self, bytes: usize) -> bool {
        self.report.buffer = self.report.buffer.max(bytes);
        self.acquire_memory(0)
    }

    fn cancelled(&self) -> bool {
        self.sender.closed()
    }

    fn damage(&mut self, damage: Damage, at: u64) {
        self.report.damaged = true;
        let metrics = self.decoder.metrics;
        let (counter, kind, problem) = match damage {
            Damage::Unbalanced => (
                &metrics.damaged_unbalanced,
                "unbalanced",
                "a record, or text between records, whose braces or quotes do not balance is skipped",
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
            Damage::CutOffString => (
                &metrics.damaged_unbalanced,
                "cut_off_string",
                "a record in a string, as of a log event, is cut off and skipped",
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
                "so much is damaged that the rest is skipped",
            ),
        };
        counter.add(1);
        self.log(kind, format_args!("{problem}, at byte {at} of the text"));
    }
}
