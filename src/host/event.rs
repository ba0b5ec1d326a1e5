//! Events as the host sees them. [`event_layout`] defines their bytes; no alignment is assumed.
#![forbid(unsafe_code)]

use super::broken;
use crate::error::Result;
use crate::event_layout::{self, HEADER, PLUGIN_ID_AT, PREFIX};

/// A borrowed event. An event of a [`Capture`](super::Capture) is valid until its next batch.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// At least a header, and of the length that the header declares.
    bytes: &'a [u8],
    number: u64,
}

impl<'a> Event<'a> {
    /// `bytes` must contain at least a header.
    pub(super) fn new(bytes: &'a [u8], number: u64) -> Event<'a> {
        Event { bytes, number }
    }

    /// The same event with another number.
    pub fn with_number(self, number: u64) -> Event<'a> {
        Event { number, ..self }
    }

    /// Number of the event within its capture, from 1. Every capture starts over, so the number alone does not
    /// identify an event.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Timestamp, in nanoseconds since 1970.
    pub fn ts(self) -> u64 {
        u64::from_ne_bytes(self.array(0))
    }

    /// Thread id; all ones for an event without a thread.
    pub fn thread_id(self) -> u64 {
        u64::from_ne_bytes(self.array(8))
    }

    /// Id of the plugin that produced the event; 0 if the event is too short to have one.
    pub fn plugin_id(self) -> u32 {
        u32::from_ne_bytes(self.array(PLUGIN_ID_AT))
    }

    /// The payload; empty if the event has none.
    pub fn payload(self) -> &'a [u8] {
        self.bytes.get(PREFIX..).unwrap_or_default()
    }

    /// The whole event, header included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }
}

/// An event in memory of its own, as when a host replays a capture file. It usually starts at an odd address,
/// because the plugin API guarantees no alignment.
#[derive(Clone, Debug)]
pub struct OwnedEvent {
    /// One byte of padding, then the event.
    padded: Vec<u8>,
}

impl OwnedEvent {
    /// An event of the plugin `plugin_id` at `ts` (nanoseconds since 1970).
    pub fn new(plugin_id: u32, ts: u64, payload: &[u8]) -> OwnedEvent {
        let mut padded = Vec::with_capacity(1 + PREFIX + payload.len());
        padded.push(0);
        padded.extend(event_layout::prefix(plugin_id, ts, payload.len()));
        padded.extend(payload);
        OwnedEvent { padded }
    }

    /// An event of arbitrary bytes. Like every host, it guarantees only a header with the right length; all else
    /// may be invalid.
    ///
    /// # Errors
    /// `raw` is shorter than a header, or its header declares another length.
    pub fn from_bytes(raw: &[u8]) -> Result<OwnedEvent> {
        if raw.len() < HEADER || event_layout::total_len(raw) != Some(raw.len()) {
            return Err(broken(format!(
                "{} bytes are not an event: the header is missing or declares another length",
                raw.len()
            )));
        }
        let mut padded = Vec::with_capacity(1 + raw.len());
        padded.push(0);
        padded.extend(raw);
        Ok(OwnedEvent { padded })
    }

    /// The event, with the number 1.
    pub fn as_event(&self) -> Event<'_> {
        Event::new(self.padded.get(1..).unwrap_or_default(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_event_has_its_arguments_and_survives_a_copy() {
        let owned = OwnedEvent::new(7, 12, b"{}");
        let event = owned.as_event();
        assert_eq!(
            (event.ts(), event.plugin_id(), event.payload()),
            (12, 7, b"{}".as_slice())
        );
        assert_eq!(event.thread_id(), u64::MAX);
        let copy = OwnedEvent::from_bytes(event.as_bytes()).expect("an event");
        assert_eq!(copy.as_event().as_bytes(), event.as_bytes());
        assert!(OwnedEvent::from_bytes(&event.as_bytes()[1..]).is_err());
        assert!(OwnedEvent::from_bytes(b"").is_err());
    }
}
