//! Classification of 64 bytes of text into bit masks, one bit a byte; one file an instruction set.
//!
//! Each file implements [`Simd`]. The choice between them, and the algorithm that they share, is in
//! [`scanner`](super::Scanner). Portable code serves other architectures than x86-64 and AArch64, and
//! is what the tests compare the others with. To add an instruction set: a file here, and a variant of
//! the scanner's `InstructionSet`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon as Baseline;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use portable::Portable as Baseline;
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::Sse2 as Baseline;

/// Bytes that one set of masks describes.
pub(super) const BLOCK: usize = 64;

/// Classes of the bytes of one block. Bit 0 stands for the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// `{ } [ ]`
    pub(super) bracket: u64,
    /// `, :`, brackets, and JSON's four white space characters.
    pub(super) separator: u64,
    /// `\`, NUL, and bytes that are not ASCII: a string without these is its own text.
    pub(super) non_plain: u64,
}

impl Masks {
    /// Adds the masks of the block's bytes from `at` on; `part` has theirs from bit 0 on.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn add(&mut self, at: usize, part: Masks) {
        self.quote |= part.quote << at;
        self.backslash |= part.backslash << at;
        self.bracket |= part.bracket << at;
        self.separator |= part.separator << at;
        self.non_plain |= part.non_plain << at;
    }
}

/// The operations on a block that depend on the instruction set.
pub(super) trait Simd {
    /// Classifies the bytes of `block`.
    ///
    /// # Safety
    /// The processor must have the instructions that the implementing type names.
    unsafe fn classify(block: &[u8; BLOCK]) -> Masks;

    /// Replaces each bit by the exclusive or of itself and all lower bits. Applied to the quote
    /// mask, this sets the bits from each opening quote up to its closing one.
    ///
    /// # Safety
    /// The processor must have the instructions that the implementing type names.
    #[inline(always)]
    unsafe fn prefix_xor(mut bits: u64) -> u64 {
        // Each step doubles the number of bits that are summed up.
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    /// Writes `base` plus its position for each set bit, in ascending order. The elements of `out`
    /// after these have no defined value.
    ///
    /// # Safety
    /// The processor must have the instructions that the implementing type names.
    #[inline(always)]
    unsafe fn flatten_bits(base: u32, mut bits: u64, out: &mut [u32; BLOCK]) {
        // Eight at a time: one branch for all of them instead of one each.
        for group in out.as_chunks_mut::<8>().0 {
            for position in group {
                *position = base.wrapping_add(bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
}
