//! Raw deflate data with zune-inflate, for builds without C.

use zune_inflate::{DeflateDecoder, DeflateOptions};

/// Room after the text, in bytes. With less, the decoder reallocates its buffer at the end.
const SLACK: usize = 1024;

#[derive(Default)]
pub(super) struct ZuneDecoder;

impl ZuneDecoder {
    /// Inflates `deflated` into a new buffer that replaces `buffer`; `None` if it is damaged or its
    /// text has not `len` bytes.
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
