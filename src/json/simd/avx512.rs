//! AVX-512: one vector of 64 bytes a block.

use std::arch::x86_64::*;

use super::{Avx2, BLOCK, Masks, Simd};

/// Needs AVX-512 F, BW and VBMI2, and what [`Avx2`] needs; see [`Avx512::available`].
pub(in crate::json) struct Avx512;

impl Avx512 {
    /// Whether this processor has the instructions.
    pub(in crate::json) fn available() -> bool {
        Avx2::available()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi2")
    }
}

impl Simd for Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: the load reads 64 bytes from any alignment, and `BLOCK` is 64.
        let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        let equal = |bytes, byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
        // `[` and `]` are `{` and `}` without bit 5, and no other byte becomes one of these with it.
        let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
        let bracket = equal(folded, b'{') | equal(folded, b'}');
        // The shuffle replaces each byte by the one separator that has the same low four bits, so a
        // separator by itself. Unused entries have a byte with other low bits; bytes that are not
        // ASCII are replaced by 0.
        const NONE: i8 = -1;
        #[rustfmt::skip]
        let by_low_bits = _mm512_broadcast_i32x4(_mm_setr_epi8(
            b' ' as i8, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, b'\t' as i8, b'\n' as i8, NONE, b',' as i8, b'\r' as i8, NONE, NONE,
        ));
        let comma_or_space = _mm512_cmpeq_epi8_mask(bytes, _mm512_shuffle_epi8(by_low_bits, bytes));
        let backslash = equal(bytes, b'\\');
        Masks {
            quote: equal(bytes, b'"'),
            backslash,
            bracket,
            separator: bracket | comma_or_space | equal(bytes, b':'),
            non_plain: backslash | equal(bytes, 0) | _mm512_movepi8_mask(bytes),
        }
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: it needs PCLMULQDQ, which the attribute above enables here.
        unsafe { Avx2::prefix_xor(bits) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    unsafe fn flatten_bits(base: u32, bits: u64, out: &mut [u32; BLOCK]) {
        const POSITIONS: [u8; BLOCK] = {
            let mut positions = [0; BLOCK];
            let mut bit = 0;
            while bit < BLOCK {
                positions[bit] = bit as u8;
                bit += 1;
            }
            positions
        };
        // SAFETY: the load reads 64 bytes from any alignment, and `POSITIONS` has 64.
        let positions = unsafe { _mm512_loadu_si512(POSITIONS.as_ptr().cast()) };
        // The positions of the set bits, moved together.
        let mut compressed = _mm512_maskz_compress_epi8(bits, positions);
        let base = _mm512_set1_epi32(base as i32);
        let mut remaining = bits.count_ones();
        for group in out.as_chunks_mut::<16>().0 {
            let offsets = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(compressed));
            let offsets = _mm512_add_epi32(base, offsets);
            // SAFETY: the store writes 64 bytes at any alignment, and `group` is 16 `u32`.
            unsafe { _mm512_storeu_si512(group.as_mut_ptr().cast(), offsets) };
            if remaining <= 16 {
                break;
            }
            remaining -= 16;
            // Moves the next 16 positions to the front.
            compressed = _mm512_alignr_epi64(compressed, compressed, 2);
        }
    }
}
