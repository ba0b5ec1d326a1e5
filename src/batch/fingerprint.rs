//! Fingerprints of events, by which the pipeline recognizes duplicates.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::Record;
use crate::json::text::unescaped;
use crate::key_table::KnownKey;

/// Identity of an event: 128 bits of a keyed hash of its `eventID` and `eventTime`.
pub type Fingerprint = u128;

/// Stands for an event without `eventID`, which has no duplicates.
const NONE: Fingerprint = 0;

/// Stands for an event that is a duplicate.
const DUPLICATE: Fingerprint = 1;

/// Key of the hash. It is random, so that attackers cannot write records whose fingerprints collide.
#[derive(Clone, Copy, Debug)]
pub struct FingerprintKey(u64, u64);

impl FingerprintKey {
    /// A random key, from the randomness that the operating system gives the standard library.
    pub fn random() -> Self {
        let random = RandomState::new();
        FingerprintKey(random.hash_one(0_u8), random.hash_one(1_u8))
    }

    /// The fingerprint of a record.
    fn of(self, record: Record<'_>) -> Fingerprint {
        let text = |key| {
            let inside = record.tape.string(record.index.value(key)?)?;
            let is_plain = record.tape.is_plain() || !inside.contains(&b'\\');
            Some(match is_plain {
                true => Cow::Borrowed(inside),
                false => Cow::Owned(unescaped(inside)),
            })
        };
        let Some(id) = text(KnownKey::EventId).filter(|id| !id.is_empty()) else {
            return NONE;
        };
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        // With its length, so that no other pair of texts has the same bytes.
        hasher.write_usize(id.len());
        hasher.write(&id);
        if let Some(time) = text(KnownKey::EventTime) {
            hasher.write_u8(1);
            hasher.write(&time);
        }
        hasher.finish128().as_u128().max(DUPLICATE + 1)
    }
}

/// The fingerprints of a batch's events; empty without a key.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    key: Option<FingerprintKey>,
    /// One for each event.
    values: Vec<Fingerprint>,
    duplicates: usize,
}

impl Fingerprints {
    pub(super) fn set_key(&mut self, key: Option<FingerprintKey>) {
        self.key = key;
    }

    #[inline]
    pub(super) fn push(&mut self, record: Record<'_>) {
        if let Some(key) = self.key {
            self.values.push(key.of(record));
        }
    }

    /// Marks the events whose fingerprints `is_new` rejects as duplicates. Returns their number.
    pub(super) fn mark(&mut self, mut is_new: impl FnMut(Fingerprint) -> bool) -> usize {
        for value in &mut self.values {
            if *value > DUPLICATE && !is_new(*value) {
                *value = DUPLICATE;
                self.duplicates += 1;
            }
        }
        self.duplicates
    }

    #[inline]
    pub(super) fn is_duplicate(&self, event: usize) -> bool {
        self.values.get(event) == Some(&DUPLICATE)
    }

    pub(super) fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// Drops all but those of the first `events` events.
    pub(super) fn truncate(&mut self, events: usize) {
        self.values.truncate(events);
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.duplicates = 0;
    }

    /// Bytes in use.
    pub(super) fn used_bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    /// Bytes of memory allocated.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.values.capacity() * size_of::<Fingerprint>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Scan, Scanner, TapeBuffer};
    use crate::key_table::RecordIndex;

    fn fingerprint(key: FingerprintKey, record: &str) -> Fingerprint {
        let mut tapes = TapeBuffer::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(record.as_bytes(), &mut tapes)
        else {
            panic!("not whole: {record}");
        };
        let tape = tapes.tape(tape, record.as_bytes());
        let index = &RecordIndex::of(tape);
        key.of(Record { tape, index })
    }

    #[test]
    fn fingerprint_is_of_id_and_time_however_they_are_written() {
        let key = FingerprintKey::random();
        let of = |record| fingerprint(key, record);
        let first = of(r#"{"eventID":"ab","eventTime":"12","eventName":"x"}"#);
        assert_eq!(
            first,
            of(r#"{ "eventName" : "y", "eventTime": "\u00312", "eventID": "a\u0062" }"#)
        );
        for other in [
            r#"{"eventID":"ab","eventTime":"13"}"#,
            r#"{"eventID":"ac","eventTime":"12"}"#,
            r#"{"eventID":"ab1","eventTime":"2"}"#,
            r#"{"eventID":"ab"}"#,
            r#"{"eventID":"ab","eventTime":""}"#,
        ] {
            assert_ne!(first, of(other), "{other}");
            assert!(of(other) > DUPLICATE);
        }
        for none in [
            r#"{"eventTime":"12"}"#,
            r#"{"eventID":null,"eventTime":"12"}"#,
            r#"{"eventID":"","eventTime":"12"}"#,
            r#"{"eventID":7,"eventTime":"12"}"#,
            r#"{"userIdentity":{"eventID":"ab"},"eventTime":"12"}"#,
        ] {
            assert_eq!(of(none), NONE, "{none}");
        }
    }

    #[test]
    fn each_key_gives_other_fingerprints() {
        let record = r#"{"eventID":"ab","eventTime":"12"}"#;
        let [a, b] = [(); 2].map(|()| fingerprint(FingerprintKey::random(), record));
        assert_ne!(a, b);
    }
}
