//! Raw deflate data with libdeflate, which is C and the faster of the two decoders.

use libdeflater::Decompressor;

pub(super) struct LibdeflateDecoder(Decompressor);

impl Default for LibdeflateDecoder {
    fn default() -> Self {
        LibdeflateDecoder(Decompressor::new())
    }
}

impl LibdeflateDecoder {
    /// Inflates `deflated` into `buffer`; `None` if it is damaged or its text has not `len` bytes.
    pub(super) fn inflate<'t>(
        &mut self,
        deflated: &[u8],
        buffer: &'t mut Vec<u8>,
        len: usize,
    ) -> Option<&'t [u8]> {
        // The buffer does not shrink, so that its bytes are zeroed once and not for every file.
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let text = &mut buffer[..len];
        let written = self.0.deflate_decompress(deflated, text).ok()?;
        (written == len).then_some(text)
    }
}
