//! Events on the host's side. [`event_layout`] defines their bytes; no alignment is assumed.
#![forbid(unsafe_code)]

use super::broken;
use crate::error::Result;
use crate::event_layout::{self, HEADER, PLUGIN_ID_AT, PREFIX};

/// A borrowed event. One of a [`Capture`](super::Capture) lives until its next batch.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// At least a header, and as long as that declares.
    bytes: &'a [u8],
    number: u64,
}

impl<'a> Event<'a> {
    /// `bytes` must have at least a header.
    pub(super) fn new(bytes: &'a [u8], number: u64) -> Event<'a> {
        Event { bytes, number }
    }

    /// The same event with another number.
    pub fn with_number(self, number: u64) -> Event<'a> {
        Event { number, ..self }
    }

    /// The event's number in the capture, from 1. Captures repeat numbers, so it does not identify the event.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Timestamp, in nanoseconds since 1970.
    pub fn ts(self) -> u64 {
        u64::from_ne_bytes(self.array(0))
    }

    /// The thread id; all ones for an event that no thread made.
    pub fn thread_id(self) -> u64 {
        u64::from_ne_bytes(self.array(8))
    }

    /// The id of the plugin that produced it; 0 if the event is too short to have one.
    pub fn plugin_id(self) -> u32 {
        u32::from_ne_bytes(self.array(PLUGIN_ID_AT))
    }

    /// The payload; empty if there is none.
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

/// An event in its own memory, as when a host replays a capture file. It starts at an odd address, because the
/// plugin API guarantees no alignment.
#[derive(Clone, Debug)]
pub struct OwnedEvent {
    /// One byte of padding, then the event.
    padded: Vec<u8>,
}

impl OwnedEvent {
    /// An event of this crate's plugin (id 2) at `ts` (ns since 1970).
    pub fn new(ts: u64, payload: &[u8]) -> OwnedEvent {
        OwnedEvent::of_plugin(event_layout::PLUGIN_ID, ts, payload)
    }

    /// An event of the plugin with that id.
    pub fn of_plugin(plugin_id: u32, ts: u64, payload: &[u8]) -> OwnedEvent {
        let mut padded = Vec::with_capacity(1 + PREFIX + payload.len());
        padded.push(0);
        padded.extend(event_layout::prefix(plugin_id, ts, payload.len()));
        padded.extend(payload);
        OwnedEvent { padded }
    }

    /// An event of arbitrary bytes. They must have a header that declares their number, as hosts guarantee;
    /// anything else may be invalid.
    ///
    /// # Errors
    /// If the declared length is another, or there is no header.
    pub fn from_bytes(raw: &[u8]) -> Result<OwnedEvent> {
        let length = raw.get(16..HEADER).and_then(|rest| rest.first_chunk());
        if length.map(|l| u32::from_ne_bytes(*l) as usize) != Some(raw.len()) {
            return Err(broken(format!(
                "{} bytes are no event: the length in the header differs, or there is no header",
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
    fn an_event_reads_back_as_it_was_made() {
        let owned = OwnedEvent::of_plugin(7, 12, b"{}");
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
