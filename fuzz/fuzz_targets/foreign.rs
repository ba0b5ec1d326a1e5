//! An event that is no live one gives the same answers wherever it stands in memory, and nothing
//! behind its end is read. The first byte says how far it stands from an even address and whether
//! its header is mended, the next sixteen what is asked.
#![no_main]

mod calls;

use calls::*;
use libfuzzer_sys::fuzz_target;
use std::ptr::null_mut;
use std::sync::OnceLock;

/// The one plugin of this process.
static PLUGIN: OnceLock<usize> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let Some(([how, questions @ ..], event)) = data.split_first_chunk::<17>() else {
        return;
    };
    let mut event = event.to_vec();
    event.resize(event.len().max(26), 0);
    // A host says truly how long an event is, and never more.
    let told = u32::from_ne_bytes(event[16..20].try_into().expect("four bytes")) as usize;
    if told > event.len() || how & 0x80 != 0 {
        let len = event.len() as u32;
        event[16..20].copy_from_slice(&len.to_ne_bytes());
    }
    if how & 0x80 != 0 && event.len() >= 38 {
        let payload = event.len() as u32 - 38;
        event[20..22].copy_from_slice(&322_u16.to_ne_bytes());
        event[22..26].copy_from_slice(&2_u32.to_ne_bytes());
        event[26..30].copy_from_slice(&4_u32.to_ne_bytes());
        event[30..34].copy_from_slice(&payload.to_ne_bytes());
    }
    let state = *PLUGIN.get_or_init(|| init(c"").expect("a plugin") as usize) as *mut _;
    let [straight, skewed] = [0, usize::from(how % 8)].map(|skew| {
        // The end of the allocation is the end of the event, so that a byte too far is found out.
        let mut memory = [&[0xAA; 8][..skew], &event].concat().into_boxed_slice();
        let event = memory[skew..].as_mut_ptr().cast();
        // SAFETY: the event is as long as its header says, or longer.
        unsafe {
            // Asked about twice in a row, an event is not read again.
            use_event(state, null_mut(), &mut std::iter::empty());
            use_event(state, event, &mut questions.iter().copied())
        }
    });
    assert_eq!(straight, skewed, "it depends on the address");
});
