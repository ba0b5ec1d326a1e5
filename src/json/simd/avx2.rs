//! AVX2: two vectors of 32 bytes a block.

use std::arch::x86_64::*;

use super::{BLOCK, Masks, Simd};

/// Needs AVX2, PCLMULQDQ, BMI1 and POPCNT; see [`Avx2::available`].
pub(in crate::json) struct Avx2;

impl Avx2 {
    /// Whether this processor has the instructions.
    pub(in crate::json) fn available() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
    }
}

impl Simd for Avx2 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (number, vector) in block.as_chunks::<32>().0.iter().enumerate() {
            masks.add(32 * number, classify_vector(vector));
        }
        masks
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // The carry-less product with all ones.
        let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0);
        _mm_cvtsi128_si64(product) as u64
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn classify_vector(bytes: &[u8; 32]) -> Masks {
    // SAFETY: the load reads 32 bytes from any alignment, and the parameter's type has 32.
    let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let equal = |bytes, byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
    let is = |byte| equal(bytes, byte);
    // `[` and `]` are `{` and `}` without bit 5, and no other byte becomes one of these with it.
    let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    let bracket = _mm256_or_si256(equal(folded, b'{'), equal(folded, b'}'));
    // The shuffle replaces each byte by the one separator that has the same low four bits, so a
    // separator by itself. Unused entries have a byte with other low bits; bytes that are not
    // ASCII are replaced by 0.
    const NONE: i8 = -1;
    #[rustfmt::skip]
    let by_low_bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        b' ' as i8, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, b'\t' as i8, b'\n' as i8, NONE, b',' as i8, b'\r' as i8, NONE, NONE,
    ));
    let comma_or_space = _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(by_low_bits, bytes));
    let other_separator = _mm256_or_si256(comma_or_space, is(b':'));
    let backslash = is(b'\\');
    let mask = |bytes| u64::from(_mm256_movemask_epi8(bytes) as u32);
    Masks {
        quote: mask(is(b'"')),
        backslash: mask(backslash),
        bracket: mask(bracket),
        separator: mask(_mm256_or_si256(bracket, other_separator)),
        // `movemask` collects the highest bits: of the bytes themselves, those that are not ASCII.
        non_plain: mask(_mm256_or_si256(_mm256_or_si256(backslash, is(0)), bytes)),
    }
}
