//! The fast way with zune-inflate, for builds without C. Its own checksum is left off: it is slower
//! than the rest of the work.

use zune_inflate::{DeflateDecoder, DeflateOptions};

/// Room that the decoder wants for its unchecked copies, or it grows the buffer at the end.
const SLACK: usize = 1024;

/// A decoder for raw deflate data.
#[derive(Default)]
pub(super) struct Deflate;

impl Deflate {
    /// The text of `deflated`, if it is `len` bytes long. The decoder brings a buffer of its own,
    /// which becomes `buffer`.
    pub(super) fn inflate<'t>(
        &mut self,
        deflated: &[u8],
        buffer: &'t mut Vec<u8>,
        len: usize,
    ) -> Option<&'t [u8]> {
        let options = DeflateOptions::default()
            .set_size_hint(len + SLACK)
            .set_limit(len + SLACK);
        *buffer = DeflateDecoder::new_with_options(deflated, options)
            .decode_deflate()
            .ok()?;
        (buffer.len() == len).then_some(buffer)
    }
}
