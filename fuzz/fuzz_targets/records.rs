//! A text yields the same records and the same damage for every window size. Records are balanced; in a text without
//! escapes, so that strings are their own text, they are consecutive slices of it.
//!
//! Input: a byte that sets the window size, and the text.
#![no_main]

mod reading;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&step, text)) = data.split_first() else {
        return;
    };
    let whole = reading::read(text, text.len());
    let mut rest = text;
    let slices = match text.contains(&b'\\') {
        true => &[],
        false => &whole.records[..],
    };
    for record in slices {
        let at = rest.windows(record.len()).position(|slice| slice == record);
        rest = &rest[at.expect("a slice of the text") + record.len()..];
    }
    let pieces = reading::read(text, usize::from(step) + 1);
    assert_eq!(
        whole,
        pieces,
        "through windows of {} bytes",
        usize::from(step) + 1
    );
});
