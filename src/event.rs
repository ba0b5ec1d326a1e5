//! The bytes of a plugin event, as libscap lays them out: written for our own, read unaligned for others'.
//!
//! A packed header (timestamp u64, thread id u64, length u32, type u16, parameters u32), the two
//! parameters' lengths (u32 each), the plugin id (u32) and the payload; host byte order.
#![forbid(unsafe_code)]

/// libscap's `PPME_PLUGINEVENT_E`.
const PLUGIN_EVENT: u16 = 322;

/// The id that the Falco project's registry assigns to this plugin.
pub const PLUGIN_ID: u32 = 2;

/// Bytes of the packed header, up to the parameters' lengths.
pub const HEADER: usize = 26;

/// Bytes in front of the payload.
pub const PREFIX: usize = HEADER + 4 + 4 + 4;

/// Appends an event at the next multiple of eight bytes and returns where it starts.
///
/// `timestamp` is in nanoseconds since 1970; the payload must be shorter than 4 GiB.
pub fn push(bytes: &mut Vec<u8>, timestamp: u64, payload: &[u8]) -> usize {
    let start = bytes.len().next_multiple_of(8);
    bytes.reserve(start - bytes.len() + PREFIX + payload.len());
    bytes.resize(start, 0);
    let mut prefix = [0; PREFIX];
    let length = (PREFIX + payload.len()) as u32;
    prefix[0..8].copy_from_slice(&timestamp.to_ne_bytes());
    prefix[8..16].copy_from_slice(&u64::MAX.to_ne_bytes());
    prefix[16..20].copy_from_slice(&length.to_ne_bytes());
    prefix[20..22].copy_from_slice(&PLUGIN_EVENT.to_ne_bytes());
    prefix[22..26].copy_from_slice(&2_u32.to_ne_bytes());
    prefix[26..30].copy_from_slice(&4_u32.to_ne_bytes());
    prefix[30..34].copy_from_slice(&(payload.len() as u32).to_ne_bytes());
    prefix[34..38].copy_from_slice(&PLUGIN_ID.to_ne_bytes());
    bytes.extend_from_slice(&prefix);
    bytes.extend_from_slice(payload);
    start
}

/// The length that an event's header states, the header included.
pub fn total_len(header: &[u8]) -> Option<usize> {
    let bytes = header.get(16..20)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes) as usize)
}

/// The length of a plugin event's payload, if its first [`PREFIX`] bytes are sound: two
/// parameters, the first a plugin id, and lengths that add up.
pub fn payload_len(prefix: &[u8; PREFIX]) -> Option<usize> {
    let word = |at: usize| {
        let bytes = prefix.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let kind = u16::from_ne_bytes([prefix[20], prefix[21]]);
    let payload = word(30)?;
    let sound = kind == PLUGIN_EVENT
        && word(22)? == 2
        && word(26)? == 4
        && u64::from(word(16)?) == PREFIX as u64 + u64::from(payload);
    sound.then_some(payload as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_event_reads_back() {
        let mut bytes = vec![1, 2, 3];
        let start = push(&mut bytes, 7, b"{}");
        assert_eq!(start, 8);
        let prefix: &[u8; PREFIX] = bytes[start..].first_chunk().expect("long enough");
        assert_eq!(payload_len(prefix), Some(2));
        assert_eq!(&bytes[start + PREFIX..], b"{}");
    }

    #[test]
    fn unsound_prefixes_are_refused() {
        let mut bytes = Vec::new();
        push(&mut bytes, 7, b"{}");
        let good: [u8; PREFIX] = *bytes.first_chunk().expect("long enough");
        for at in 16..34 {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert_eq!(payload_len(&bad), None, "byte {at}");
        }
    }
}
