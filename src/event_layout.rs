//! Layout of a plugin event in libscap's format, shared by the plugin and the host side.
//!
//! | Offset | Size | Content |
//! |---|---|---|
//! | 0 | 8 | timestamp, in nanoseconds since 1970 |
//! | 8 | 8 | thread id; all ones for none |
//! | 16 | 4 | length of the event |
//! | 20 | 2 | type |
//! | 22 | 4 | number of parameters |
//! | 26 | 4 | length of parameter 1 |
//! | 30 | 4 | length of parameter 2 |
//! | 34 | 4 | parameter 1: plugin id |
//! | 38 | | parameter 2: payload |
//!
//! Packed, in host byte order. An event may be at any address.
#![forbid(unsafe_code)]

/// `PPME_PLUGINEVENT_E`, the type of a plugin event.
pub(crate) const PLUGIN_EVENT: u16 = 322;

/// The id that the Falco project's registry assigns to the cloudtrail plugin.
pub(crate) const PLUGIN_ID: u32 = 2;

/// Length of the header that all events have, in bytes.
pub(crate) const HEADER: usize = 26;

/// Offset of the plugin id.
pub(crate) const PLUGIN_ID_AT: usize = HEADER + 4 + 4;

/// Length of everything before the payload, in bytes.
pub(crate) const PREFIX: usize = PLUGIN_ID_AT + 4;

/// All of an event but its payload. The payload must be shorter than 4 GiB.
pub(crate) fn prefix(plugin_id: u32, timestamp: u64, payload_len: usize) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    let length = (PREFIX + payload_len) as u32;
    prefix[0..8].copy_from_slice(&timestamp.to_ne_bytes());
    prefix[8..16].copy_from_slice(&u64::MAX.to_ne_bytes());
    prefix[16..20].copy_from_slice(&length.to_ne_bytes());
    prefix[20..22].copy_from_slice(&PLUGIN_EVENT.to_ne_bytes());
    prefix[22..26].copy_from_slice(&2_u32.to_ne_bytes());
    prefix[26..30].copy_from_slice(&4_u32.to_ne_bytes());
    prefix[30..34].copy_from_slice(&(payload_len as u32).to_ne_bytes());
    prefix[34..38].copy_from_slice(&plugin_id.to_ne_bytes());
    prefix
}

/// Appends an event at the next multiple of eight bytes; returns its offset.
pub(crate) fn push(bytes: &mut Vec<u8>, plugin_id: u32, timestamp: u64, payload: &[u8]) -> usize {
    let start = bytes.len().next_multiple_of(8);
    bytes.reserve(start - bytes.len() + PREFIX + payload.len());
    bytes.resize(start, 0);
    bytes.extend_from_slice(&prefix(plugin_id, timestamp, payload.len()));
    bytes.extend_from_slice(payload);
    start
}

/// The timestamp of the event at `start`; 0 if `bytes` end before it.
pub(crate) fn timestamp(bytes: &[u8], start: usize) -> u64 {
    let bytes = bytes.get(start..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Length of the event that its header declares, in bytes; `None` if `event` ends before that field.
pub(crate) fn total_len(event: &[u8]) -> Option<usize> {
    let bytes = event.get(16..20)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes) as usize)
}

/// Length of the payload in bytes, if `prefix` is that of a plugin event: two parameters, the first a
/// plugin id, and lengths that add up.
pub(crate) fn payload_len(prefix: &[u8; PREFIX]) -> Option<usize> {
    let u32_at = |at: usize| {
        let bytes = prefix.get(at..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    let event_type = u16::from_ne_bytes([prefix[20], prefix[21]]);
    let payload = u32_at(30)?;
    let valid = event_type == PLUGIN_EVENT
        && u32_at(22)? == 2
        && u32_at(26)? == 4
        && u64::from(u32_at(16)?) == PREFIX as u64 + u64::from(payload);
    valid.then_some(payload as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_event_reads_back() {
        let mut bytes = vec![1, 2, 3];
        let start = push(&mut bytes, PLUGIN_ID, 7, b"{}");
        assert_eq!(start, 8);
        let prefix: &[u8; PREFIX] = bytes[start..].first_chunk().expect("long enough");
        assert_eq!(payload_len(prefix), Some(2));
        assert_eq!(total_len(prefix), Some(PREFIX + 2));
        assert_eq!(&bytes[start + PREFIX..], b"{}");
    }

    #[test]
    fn invalid_prefixes_are_rejected() {
        let mut bytes = Vec::new();
        push(&mut bytes, PLUGIN_ID, 7, b"{}");
        let valid: [u8; PREFIX] = *bytes.first_chunk().expect("long enough");
        for at in 16..34 {
            let mut invalid = valid;
            invalid[at] ^= 0x40;
            assert_eq!(payload_len(&invalid), None, "byte {at}");
        }
    }
}
