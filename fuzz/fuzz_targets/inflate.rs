//! The single-member inflater yields the same text as the multi-member reader, or fails.
//!
//! Input: a gzip file, or a 0 byte and raw deflate data, to which a valid header and trailer are added.
#![no_main]

use cloudtrail::testing::{Inflater, MultiMemberReader};
use libfuzzer_sys::fuzz_target;
use std::io::Read;

const LIMIT: usize = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let file = match data.split_first() {
        Some((0, deflated)) => gzip_of(deflated),
        _ => data.to_vec(),
    };
    let mut text = Vec::new();
    // Its error is ignored: it also rejects bytes between the deflate data and the trailer.
    let _ = MultiMemberReader::new(&file[..])
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut text);
    if let Some(fast) = Inflater::default().inflate_single_member(&file, LIMIT) {
        assert!(fast == text, "the texts differ");
    }
});

fn gzip_of(deflated: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = flate2::read::DeflateDecoder::new(deflated)
        .take(LIMIT as u64)
        .read_to_end(&mut text);
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    file.extend_from_slice(deflated);
    file.extend_from_slice(&crc32fast::hash(&text).to_le_bytes());
    file.extend_from_slice(&(text.len() as u32).to_le_bytes());
    file
}
