//! Integer code for every architecture.

use super::{BLOCK, Masks, Simd};

/// Needs no particular instructions.
pub(in crate::json) struct Portable;

impl Simd for Portable {
    #[inline(always)]
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (bit, &byte) in block.iter().enumerate() {
            let class = CLASSES[usize::from(byte)];
            masks.quote |= u64::from(class & QUOTE != 0) << bit;
            masks.backslash |= u64::from(class & BACKSLASH != 0) << bit;
            masks.bracket |= u64::from(class & BRACKET != 0) << bit;
            masks.separator |= u64::from(class & SEPARATOR != 0) << bit;
            masks.non_plain |= u64::from(class & NON_PLAIN != 0) << bit;
        }
        masks
    }
}

const QUOTE: u8 = 1;
const BACKSLASH: u8 = 2;
const BRACKET: u8 = 4;
const SEPARATOR: u8 = 8;
const NON_PLAIN: u8 = 16;

/// The classes of each byte value.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'"' => QUOTE,
            b'\\' => BACKSLASH | NON_PLAIN,
            b'{' | b'}' | b'[' | b']' => BRACKET | SEPARATOR,
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => SEPARATOR,
            0 | 0x80.. => NON_PLAIN,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
