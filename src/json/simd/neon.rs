//! NEON: four vectors of 16 bytes a block. Every AArch64 processor has it.

use std::arch::aarch64::*;

use super::{BLOCK, Masks, Simd};

/// Needs NEON, which is part of AArch64.
pub(in crate::json) struct Neon;

impl Simd for Neon {
    #[inline(always)]
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: `classify_block` needs NEON, which this file's `cfg(target_arch = "aarch64")` in
        // simd/mod.rs guarantees.
        unsafe { classify_block(block) }
    }
}

/// A class of bytes that the tables below tell apart, one bit each.
const COMMA: u8 = 1;
const COLON: u8 = 2;
const BRACKET: u8 = 4;
const CONTROL_SPACE: u8 = 8;
const SPACE: u8 = 16;

/// Classes that bytes with these low four bits can have.
#[rustfmt::skip]
const BY_LOW_BITS: [u8; 16] = [
    SPACE, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL_SPACE, COLON | CONTROL_SPACE, BRACKET, COMMA, BRACKET | CONTROL_SPACE, 0, 0,
];

/// Classes that bytes with these high four bits can have. A byte has the classes of both tables.
#[rustfmt::skip]
const BY_HIGH_BITS: [u8; 16] = [
    CONTROL_SPACE, 0, COMMA | SPACE, COLON, 0, BRACKET, 0, BRACKET, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Each byte's bit in a mask of eight.
const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

#[inline]
#[target_feature(enable = "neon")]
fn classify_block(block: &[u8; BLOCK]) -> Masks {
    let low_bits = load(&BY_LOW_BITS);
    let high_bits = load(&BY_HIGH_BITS);
    let bits = load(&BITS);
    let (vectors, _) = block.as_chunks::<16>();
    let bytes = [0, 1, 2, 3].map(|number| load(&vectors[number]));
    let classes = bytes.map(|bytes| {
        let low = vqtbl1q_u8(low_bits, vandq_u8(bytes, vdupq_n_u8(0x0f)));
        let high = vqtbl1q_u8(high_bits, vshrq_n_u8::<4>(bytes));
        vandq_u8(low, high)
    });
    let is = |byte: u8| bytes.map(|bytes| vceqq_u8(bytes, vdupq_n_u8(byte)));
    let has = |class: u8| classes.map(|classes| vtstq_u8(classes, vdupq_n_u8(class)));
    let non_ascii_or_nul = bytes.map(|bytes| {
        let bytes = vreinterpretq_s8_u8(bytes);
        vclezq_s8(bytes)
    });
    let mask = |matches: [uint8x16_t; 4]| {
        let [a, b, c, d] = matches.map(|matches| vandq_u8(matches, bits));
        // Each addition of neighbors halves the number of bytes; after the third, each has the bits
        // of eight.
        let sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)))
    };
    let backslash = mask(is(b'\\'));
    Masks {
        quote: mask(is(b'"')),
        backslash,
        bracket: mask(has(BRACKET)),
        separator: mask(has(COMMA | COLON | BRACKET | CONTROL_SPACE | SPACE)),
        // As signed numbers, NUL and bytes that are not ASCII are those up to 0.
        non_plain: backslash | mask(non_ascii_or_nul),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the load reads 16 bytes from any alignment, and the parameter's type has 16.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
