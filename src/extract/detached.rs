//! Detached events: those that are not in a live batch, because the host replays or copied them.
//!
//! A batch is live from the call that returns it to the host until the next call on its instance. An event at any
//! other address is detached, and its record is scanned again.
#![forbid(unsafe_code)]

use crate::batch::Record;
use crate::json::{Scan, Scanner, TapeBuffer, TapeSpan};
use crate::key_table::RecordIndex;

/// A private copy of a detached event's payload: the host may reuse its memory after the call.
#[derive(Debug, Default)]
pub(super) struct DetachedEvent {
    payload: Vec<u8>,
    tapes: TapeBuffer,
    /// The parsed record; `None` if the payload is not a JSON object.
    parsed: Option<(TapeSpan, RecordIndex)>,
}

impl DetachedEvent {
    /// Copies and parses `payload`.
    pub(super) fn parse(&mut self, payload: &[u8]) {
        self.payload.clear();
        self.payload.extend_from_slice(payload);
        self.tapes.clear();
        self.parsed = match Scanner::default().scan(&self.payload, &mut self.tapes) {
            Scan::Whole { tape, .. } => {
                let index = RecordIndex::of(self.tapes.tape(tape, &self.payload));
                Some((tape, index))
            }
            Scan::Unfinished | Scan::Mismatch(_) | Scan::TooManyContainers(_) => None,
        };
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn record(&self) -> Option<Record<'_>> {
        let (span, index) = self.parsed.as_ref()?;
        Some(Record {
            tape: self.tapes.tape(*span, &self.payload),
            index,
        })
    }
}
