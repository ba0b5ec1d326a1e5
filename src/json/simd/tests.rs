//! Every instruction set against the portable code.

use super::portable::Portable;
use super::*;

const BITS: [u64; 7] = [
    0,
    1,
    1 << 63,
    0x8421,
    u64::MAX,
    u64::MAX >> 1,
    0x0123_4567_89ab_cdef,
];

/// Compares all operations of `S` with the portable ones: every byte value at every position, and
/// the bit patterns in [`BITS`].
///
/// # Safety
/// The processor must have the instructions that `S` names.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn assert_equals_portable<S: Simd>() {
    for byte in 0..=255 {
        for position in 0..BLOCK {
            let mut block = [b'x'; BLOCK];
            block[position] = byte;
            // SAFETY: the caller guarantees the instructions of `S`; `Portable` needs none.
            let (fast, portable) = unsafe { (S::classify(&block), Portable::classify(&block)) };
            assert_eq!(fast, portable, "{block:?}");
        }
    }
    for bits in BITS {
        // SAFETY: the caller guarantees the instructions of `S`; `Portable` needs none.
        let (fast, portable) = unsafe { (S::prefix_xor(bits), Portable::prefix_xor(bits)) };
        assert_eq!(fast, portable, "{bits:#x}");
        // SAFETY: the caller guarantees the instructions of `S`.
        unsafe { assert_flattens::<S>(bits) };
    }
}

/// # Safety
/// The processor must have the instructions that `S` names.
unsafe fn assert_flattens<S: Simd>(bits: u64) {
    let expected: Vec<u32> = (0..64)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit| 1000 + bit)
        .collect();
    let mut out = [0; BLOCK];
    // SAFETY: the caller guarantees the instructions of `S`.
    unsafe { S::flatten_bits(1000, bits, &mut out) };
    assert_eq!(out[..expected.len()], expected, "{bits:#x}");
}

#[test]
fn portable_code_flattens_bits_in_ascending_order() {
    for bits in BITS {
        // SAFETY: `Portable` needs no particular instructions.
        unsafe { assert_flattens::<Portable>(bits) };
    }
}

#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn baseline_equals_portable() {
    // SAFETY: SSE2 is part of x86-64, and NEON of AArch64, for which alone this is compiled.
    unsafe { assert_equals_portable::<Baseline>() };
}

#[test]
#[cfg(target_arch = "x86_64")]
fn avx2_equals_portable() {
    if !Avx2::available() {
        eprintln!("NOT RUN: this processor has no AVX2");
        return;
    }
    // SAFETY: `Avx2::available` returned true above.
    unsafe { assert_equals_portable::<Avx2>() };
}

#[test]
#[cfg(target_arch = "x86_64")]
fn avx512_equals_portable() {
    if !Avx512::available() {
        eprintln!("NOT RUN: this processor has no AVX-512");
        return;
    }
    // SAFETY: `Avx512::available` returned true above.
    unsafe { assert_equals_portable::<Avx512>() };
}
