//! Events that are not from a live batch: replayed, or copied by the host.

use crate::batch::Record;
use crate::fields::RecordIndex;
use crate::json::{Scan, Scanner, TapeBuffer, TapeSpan};

/// A private copy of an event that is not from a live batch: hosts use the memory again.
#[derive(Debug, Default)]
pub(super) struct Detached {
    pub(super) payload: Vec<u8>,
    tapes: TapeBuffer,
    parsed: Option<(TapeSpan, RecordIndex)>,
}

impl Detached {
    pub(super) fn read(&mut self, payload: &[u8]) {
        self.payload.clear();
        self.payload.extend_from_slice(payload);
        self.tapes.clear();
        self.parsed = match Scanner::default().scan(&self.payload, &mut self.tapes) {
            Scan::Whole { tape, .. } => {
                let slots = RecordIndex::of(self.tapes.tape(tape, &self.payload));
                Some((tape, slots))
            }
            Scan::Unfinished | Scan::Mismatch(_) | Scan::TooManyContainers(_) => None,
        };
    }

    pub(super) fn record(&self) -> Option<Record<'_>> {
        let (span, slots) = self.parsed.as_ref()?;
        Some(Record {
            tape: self.tapes.tape(*span, &self.payload),
            slots,
        })
    }
}
