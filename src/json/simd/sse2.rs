//! SSE2: four vectors of 16 bytes a block. Every x86-64 processor has it.

use std::arch::x86_64::*;

use super::{BLOCK, Masks, Simd};

/// Needs SSE2, which is part of x86-64.
pub(in crate::json) struct Sse2;

impl Simd for Sse2 {
    #[inline(always)]
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (number, vector) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: `classify_vector` needs SSE2, which this file's `cfg(target_arch = "x86_64")`
            // in simd/mod.rs guarantees.
            masks.add(16 * number, unsafe { classify_vector(vector) });
        }
        masks
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn classify_vector(bytes: &[u8; 16]) -> Masks {
    // SAFETY: the load reads 16 bytes from any alignment, and the parameter's type has 16.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let equal = |bytes, byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
    let is = |byte| equal(bytes, byte);
    let either = |a, b| _mm_or_si128(a, b);
    // `[` and `]` are `{` and `}` without bit 5, and no other byte becomes one of these with it.
    let folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    let bracket = either(equal(folded, b'{'), equal(folded, b'}'));
    let space = either(either(is(b' '), is(b'\t')), either(is(b'\n'), is(b'\r')));
    let separator = either(either(bracket, space), either(is(b','), is(b':')));
    let backslash = is(b'\\');
    let mask = |bytes| u64::from(_mm_movemask_epi8(bytes) as u16);
    Masks {
        quote: mask(is(b'"')),
        backslash: mask(backslash),
        bracket: mask(bracket),
        separator: mask(separator),
        // `movemask` collects the highest bits: of the bytes themselves, those that are not ASCII.
        non_plain: mask(either(either(backslash, is(0)), bytes)),
    }
}
