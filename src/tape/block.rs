//! Sorts 64 bytes of JSON text into bit masks, one bit a byte. Knows characters, not JSON.
//!
//! On x86-64 the best form that the processor runs is chosen at run time: AVX-512, AVX2 or SSE2.
//! The portable one is what every other architecture runs, and what the tests hold the others
//! against.

/// Bytes that one set of masks describes.
pub(super) const BLOCK: usize = 64;

/// Which of 64 bytes are what; bit 0 is the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// `{ } [ ]`
    pub(super) bracket: u64,
    /// `, :`, brackets and JSON's four white space characters: what can stand between two values.
    pub(super) separator: u64,
    /// `\`, NUL and what is not ASCII: text without these can be shown as it is.
    pub(super) odd: u64,
}

/// A way to compute [`Masks`]; implementors differ in the instructions that they need.
pub(super) trait Classify {
    /// The masks of one block.
    ///
    /// # Safety
    /// The processor has the instructions that the implementor names.
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks;

    /// Each bit becomes the exclusive or of itself and all bits below: between two quotes, ones.
    ///
    /// # Safety
    /// As for [`Classify::masks`].
    unsafe fn prefix_xor(bits: u64) -> u64;

    /// Writes `base` plus the number of each bit that is set, in order; what stands behind these
    /// in `out` is overwritten with anything.
    ///
    /// # Safety
    /// As for [`Classify::masks`].
    #[inline(always)]
    unsafe fn places(base: u32, mut bits: u64, out: &mut [u32; BLOCK]) {
        // Groups of eight without a test for each.
        for group in out.as_chunks_mut::<8>().0 {
            for place in group {
                *place = base.wrapping_add(bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
}

/// Plain integer code; needs nothing.
pub(super) struct Portable;

impl Classify for Portable {
    #[inline(always)]
    unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks {
            quote: 0,
            backslash: 0,
            bracket: 0,
            separator: 0,
            odd: 0,
        };
        for (bit, &byte) in block.iter().enumerate() {
            let class = CLASS[usize::from(byte)];
            masks.quote |= u64::from(class & 1) << bit;
            masks.backslash |= u64::from(class >> 1 & 1) << bit;
            masks.bracket |= u64::from(class >> 2 & 1) << bit;
            masks.separator |= u64::from(class >> 3 & 1) << bit;
            masks.odd |= u64::from(class >> 4 & 1) << bit;
        }
        masks
    }

    #[inline(always)]
    unsafe fn prefix_xor(mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}

/// For each byte value: bit 0 quote, 1 backslash, 2 bracket, 3 separator, 4 odd.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b'"' as usize] = 1;
    class[b'\\' as usize] = 2 | 16;
    class[0] = 16;
    let brackets = b"{}[]";
    let mut i = 0;
    while i < brackets.len() {
        class[brackets[i] as usize] = 4 | 8;
        i += 1;
    }
    let others = b",: \t\r\n";
    i = 0;
    while i < others.len() {
        class[others[i] as usize] = 8;
        i += 1;
    }
    i = 0x80;
    while i < class.len() {
        class[i] = 16;
        i += 1;
    }
    class
};

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::Sse2;

/// What every machine of this architecture has, and so what needs no look at it.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::{BLOCK, Classify, Masks, Portable};
    use std::arch::x86_64::*;

    /// Needs SSE2, which is part of x86-64.
    pub(in crate::tape) struct Sse2;

    impl Classify for Sse2 {
        #[inline(always)]
        unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
            let mut masks = Masks {
                quote: 0,
                backslash: 0,
                bracket: 0,
                separator: 0,
                odd: 0,
            };
            for (number, quarter) in block.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: SSE2 is part of x86-64.
                let part = unsafe { quarter_masks(quarter) };
                masks.quote |= part.quote << (16 * number);
                masks.backslash |= part.backslash << (16 * number);
                masks.bracket |= part.bracket << (16 * number);
                masks.separator |= part.separator << (16 * number);
                masks.odd |= part.odd << (16 * number);
            }
            masks
        }

        #[inline(always)]
        unsafe fn prefix_xor(bits: u64) -> u64 {
            // SAFETY: it needs nothing.
            unsafe { Portable::prefix_xor(bits) }
        }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn quarter_masks(quarter: &[u8; 16]) -> Masks {
        // SAFETY: an unaligned load of the 16 bytes that the reference covers.
        let bytes = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
        let equal = |bytes, c: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c as i8));
        let is = |c| equal(bytes, c);
        let either = |a, b| _mm_or_si128(a, b);
        // Setting bit 5 turns square brackets into curly ones and nothing else into either.
        let folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        let bracket = either(equal(folded, b'{'), equal(folded, b'}'));
        let space = either(either(is(b' '), is(b'\t')), either(is(b'\n'), is(b'\r')));
        let separator = either(either(bracket, space), either(is(b','), is(b':')));
        let mask = |bytes| u64::from(_mm_movemask_epi8(bytes) as u16);
        let backslash = is(b'\\');
        Masks {
            quote: mask(is(b'"')),
            backslash: mask(backslash),
            bracket: mask(bracket),
            separator: mask(separator),
            // A mask is made of the bytes' highest bits.
            odd: mask(either(either(backslash, is(0)), bytes)),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{BLOCK, Classify, Masks};
    use std::arch::x86_64::*;

    /// Needs AVX2 and PCLMULQDQ.
    pub(in crate::tape) struct Avx2;

    impl Avx2 {
        /// Can this machine run it?
        pub(in crate::tape) fn available() -> bool {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt")
        }
    }

    impl Classify for Avx2 {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
            let (low, high) = (half(block, 0), half(block, 32));
            let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
            Masks {
                quote: join(low.quote, high.quote),
                backslash: join(low.backslash, high.backslash),
                bracket: join(low.bracket, high.bracket),
                separator: join(low.separator, high.separator),
                odd: join(low.odd, high.odd),
            }
        }

        #[inline]
        #[target_feature(enable = "pclmulqdq")]
        unsafe fn prefix_xor(bits: u64) -> u64 {
            // A carry-less product with all ones is the running exclusive or.
            let product =
                _mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0);
            _mm_cvtsi128_si64(product) as u64
        }
    }

    /// Masks of 32 bytes.
    struct Half {
        quote: u32,
        backslash: u32,
        bracket: u32,
        separator: u32,
        odd: u32,
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn half(block: &[u8; BLOCK], at: usize) -> Half {
        let bytes: &[u8; 32] = block[at..at + 32].try_into().unwrap_or(&[0; 32]);
        // SAFETY: an unaligned load of the 32 bytes that the array reference above covers.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let is = |c: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c as i8));
        // Setting bit 5 turns square brackets into curly ones and nothing else into either.
        let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        let bracket = _mm256_or_si256(
            _mm256_cmpeq_epi8(folded, _mm256_set1_epi8(b'{' as i8)),
            _mm256_cmpeq_epi8(folded, _mm256_set1_epi8(b'}' as i8)),
        );
        // Look up, by a byte's low four bits, the one separator that it would have to be; the
        // filler and the zero that stands for bytes over 127 match no byte that leads to them.
        let other = -1;
        #[rustfmt::skip]
        let candidates = _mm256_setr_epi8(
            b' ' as i8, other, other, other, other, other, other, other, other, b'\t' as i8, b'\n' as i8, other, b',' as i8, b'\r' as i8, other, other,
            b' ' as i8, other, other, other, other, other, other, other, other, b'\t' as i8, b'\n' as i8, other, b',' as i8, b'\r' as i8, other, other,
        );
        let other_separator = _mm256_or_si256(
            _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(candidates, bytes)),
            is(b':'),
        );
        let backslash = is(b'\\');
        Half {
            quote: mask(is(b'"')),
            backslash: mask(backslash),
            bracket: mask(bracket),
            separator: mask(_mm256_or_si256(bracket, other_separator)),
            // A mask is made of the bytes' highest bits.
            odd: mask(_mm256_or_si256(_mm256_or_si256(backslash, is(0)), bytes)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mask(bytes: __m256i) -> u32 {
        _mm256_movemask_epi8(bytes) as u32
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{Avx2, BLOCK, Classify, Masks};
    use std::arch::x86_64::*;

    /// Needs AVX-512 with its byte instructions (BW, VBMI2), beside what [`Avx2`] needs.
    pub(in crate::tape) struct Avx512;

    impl Avx512 {
        /// Can this machine run it?
        pub(in crate::tape) fn available() -> bool {
            Avx2::available()
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2")
        }
    }

    impl Classify for Avx512 {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        unsafe fn masks(block: &[u8; BLOCK]) -> Masks {
            // SAFETY: an unaligned load of the 64 bytes that the reference covers.
            let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            let equal = |bytes, c: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(c as i8));
            // Setting bit 5 turns square brackets into curly ones and nothing else into either.
            let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
            let bracket = equal(folded, b'{') | equal(folded, b'}');
            // Look up, by a byte's low four bits, the one separator that it would have to be; the
            // filler and the zero that stands for bytes over 127 match no byte that leads to them.
            let other = -1;
            #[rustfmt::skip]
            let candidates = _mm512_broadcast_i32x4(_mm_setr_epi8(
                b' ' as i8, other, other, other, other, other, other, other, other, b'\t' as i8, b'\n' as i8, other, b',' as i8, b'\r' as i8, other, other,
            ));
            let candidate = _mm512_shuffle_epi8(candidates, bytes);
            let backslash = equal(bytes, b'\\');
            Masks {
                quote: equal(bytes, b'"'),
                backslash,
                bracket,
                separator: bracket | _mm512_cmpeq_epi8_mask(bytes, candidate) | equal(bytes, b':'),
                odd: backslash | equal(bytes, 0) | _mm512_movepi8_mask(bytes),
            }
        }

        #[inline]
        #[target_feature(enable = "pclmulqdq")]
        unsafe fn prefix_xor(bits: u64) -> u64 {
            // SAFETY: the caller has what this form needs, and so what the other one needs.
            unsafe { Avx2::prefix_xor(bits) }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
        unsafe fn places(base: u32, bits: u64, out: &mut [u32; BLOCK]) {
            const NUMBERS: [u8; BLOCK] = {
                let mut numbers = [0; BLOCK];
                let mut number = 0;
                while number < BLOCK {
                    numbers[number] = number as u8;
                    number += 1;
                }
                numbers
            };
            // SAFETY: an unaligned load of 64 bytes.
            let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
            let mut set = _mm512_maskz_compress_epi8(bits, numbers);
            let base = _mm512_set1_epi32(base as i32);
            let mut left = bits.count_ones();
            for sixteen in out.as_chunks_mut::<16>().0 {
                let places =
                    _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(set)));
                // SAFETY: an unaligned store to the 64 bytes that the reference covers.
                unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), places) };
                if left <= 16 {
                    break;
                }
                left -= 16;
                // The next sixteen.
                set = _mm512_alignr_epi64(set, set, 2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every place, among bytes that are nothing.
    fn blocks() -> impl Iterator<Item = [u8; BLOCK]> {
        (0..=255).flat_map(|byte| {
            (0..BLOCK).map(move |place| {
                let mut block = [b'x'; BLOCK];
                block[place] = byte;
                block
            })
        })
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn sse2_agrees_with_portable() {
        for block in blocks() {
            // SAFETY: SSE2 is part of x86-64; the portable form needs nothing.
            let (fast, plain) = unsafe { (Sse2::masks(&block), Portable::masks(&block)) };
            assert_eq!(fast, plain, "{block:?}");
        }
    }

    /// The places of bits, by the portable way.
    fn places_of<C: Classify>(bits: u64) -> Vec<u32> {
        let mut out = [0; BLOCK];
        // SAFETY: callers have checked that `C` can run.
        unsafe { C::places(1000, bits, &mut out) };
        out[..bits.count_ones() as usize].to_vec()
    }

    #[test]
    fn places_are_those_of_the_bits() {
        for bits in [
            0,
            1,
            1 << 63,
            0x8421,
            u64::MAX,
            u64::MAX >> 1,
            0x0123_4567_89ab_cdef,
        ] {
            let expected: Vec<u32> = (0..64)
                .filter(|bit| bits >> bit & 1 == 1)
                .map(|bit| 1000 + bit)
                .collect();
            assert_eq!(places_of::<Portable>(bits), expected);
            #[cfg(target_arch = "x86_64")]
            if Avx512::available() {
                assert_eq!(places_of::<Avx512>(bits), expected);
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx512_agrees_with_portable() {
        if !Avx512::available() {
            eprintln!(
                "NOT RUN: this processor has no AVX-512, so the fastest scanner cannot be tested on it"
            );
            return;
        }
        for block in blocks() {
            // SAFETY: availability is checked above; the portable form needs nothing.
            let (fast, plain) = unsafe { (Avx512::masks(&block), Portable::masks(&block)) };
            assert_eq!(fast, plain, "{block:?}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_agrees_with_portable() {
        if !Avx2::available() {
            eprintln!(
                "NOT RUN: this processor has no AVX2, so the fast scanner cannot be tested on it"
            );
            return;
        }
        for block in blocks() {
            // SAFETY: availability is checked above; the portable form needs nothing.
            let (fast, plain) = unsafe { (Avx2::masks(&block), Portable::masks(&block)) };
            assert_eq!(fast, plain, "{block:?}");
        }
        for bits in [0, 1, 1 << 63, 0x8421, u64::MAX, 0x0123_4567_89ab_cdef] {
            // SAFETY: as above.
            let (fast, plain) = unsafe { (Avx2::prefix_xor(bits), Portable::prefix_xor(bits)) };
            assert_eq!(fast, plain);
        }
    }
}
