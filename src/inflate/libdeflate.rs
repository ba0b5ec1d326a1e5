//! The fast way with libdeflate: it writes into a buffer of ours.

use libdeflater::Decompressor;

/// A decoder for raw deflate data.
pub(super) struct Deflate(Decompressor);

impl Default for Deflate {
    fn default() -> Self {
        Deflate(Decompressor::new())
    }
}

impl Deflate {
    /// The text of `deflated`, in `buffer`, if it is `len` bytes long.
    pub(super) fn inflate<'t>(
        &mut self,
        deflated: &[u8],
        buffer: &'t mut Vec<u8>,
        len: usize,
    ) -> Option<&'t [u8]> {
        // It only grows: every byte is zeroed once, not for every file.
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let text = &mut buffer[..len];
        let written = self.0.deflate_decompress(deflated, text).ok()?;
        (written == len).then_some(text)
    }
}
