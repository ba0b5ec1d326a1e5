//! A detached event has the same values at every address, and nothing after its end is read.
//!
//! Input: a byte that sets the distance from an aligned address and whether the header is repaired, 16 bytes that
//! choose the fields, and the event.
#![no_main]

mod calls;

use calls::*;
use libfuzzer_sys::fuzz_target;
use std::ptr::null_mut;
use std::sync::OnceLock;

/// The one plugin of this process.
static PLUGIN: OnceLock<usize> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let Some(([flags, choices @ ..], event)) = data.split_first_chunk::<17>() else {
        return;
    };
    let mut event = event.to_vec();
    event.resize(event.len().max(26), 0);
    // The header must not declare more than the event's length: hosts guarantee that.
    let declared = u32::from_ne_bytes(event[16..20].try_into().expect("four bytes")) as usize;
    if declared > event.len() || flags & 0x80 != 0 {
        let len = event.len() as u32;
        event[16..20].copy_from_slice(&len.to_ne_bytes());
    }
    if flags & 0x80 != 0 && event.len() >= 38 {
        let payload = event.len() as u32 - 38;
        event[20..22].copy_from_slice(&322_u16.to_ne_bytes());
        event[22..26].copy_from_slice(&2_u32.to_ne_bytes());
        event[26..30].copy_from_slice(&4_u32.to_ne_bytes());
        event[30..34].copy_from_slice(&payload.to_ne_bytes());
    }
    let state = *PLUGIN.get_or_init(|| init(c"").expect("a plugin") as usize) as *mut _;
    let [aligned, skewed] = [0, usize::from(flags % 8)].map(|skew| {
        // The allocation ends with the event, so that AddressSanitizer detects a read after its end.
        let mut memory = [&[0xAA; 8][..skew], &event].concat().into_boxed_slice();
        let event = memory[skew..].as_mut_ptr().cast();
        // SAFETY: the state is never destroyed, and the event is at least as long as its header declares.
        unsafe {
            // The plugin caches the last event, so select another one first.
            use_event(state, null_mut(), &mut std::iter::empty());
            use_event(state, event, &mut choices.iter().copied())
        }
    });
    assert_eq!(aligned, skewed, "the values depend on the address");
});
