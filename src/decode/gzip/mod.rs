//! gzip to text: small single-member files at once, all others as a stream.
//!
//! [`Inflater`] reads a normal log file at once, with a decoder that is chosen at build time
//! (feature `libdeflate`). It rejects a file with anything unusual or wrong, and
//! [`MultiMemberReader`] reads that one through all members up to the damage.
#![forbid(unsafe_code)]

#[cfg(feature = "libdeflate")]
mod libdeflate;
mod multi_member;
#[cfg(any(test, not(feature = "libdeflate")))]
mod zune;

#[cfg(feature = "libdeflate")]
use libdeflate::LibdeflateDecoder as DeflateBackend;
pub use multi_member::MultiMemberReader;
#[cfg(not(feature = "libdeflate"))]
use zune::ZuneDecoder as DeflateBackend;

/// First bytes of a gzip member: the magic number, and deflate, the only method defined.
const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Bytes of the trailer of a member: CRC-32 and ISIZE, four bytes each.
const TRAILER: usize = 8;

/// Text buffer kept from one file to the next, in bytes. A larger one is freed.
const KEEP_TEXT: usize = 8 << 20;

/// Highest compression ratio of deflate.
const MAX_RATIO: usize = 1032;

/// Whether `bytes` start with gzip's magic number.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MEMBER_START[..2])
}

/// Length of the text in bytes as the last member's ISIZE declares it: modulo 2^32, of that member alone, and
/// unverified.
pub(crate) fn declared_len(file: &[u8]) -> usize {
    let isize = file.last_chunk().map(|len| u32::from_le_bytes(*len));
    isize.map_or(0, |len| len as usize)
}

/// Inflates whole files, into a buffer that is reused.
#[derive(Default)]
pub struct Inflater {
    decoder: DeflateBackend,
    text: Vec<u8>,
}

impl Inflater {
    /// The text of an undamaged file of one member, if it has at most `limit` bytes. `None` for any
    /// other file, which [`MultiMemberReader`] reads.
    pub fn inflate_single_member(&mut self, file: &[u8], limit: usize) -> Option<&[u8]> {
        let header = header_len(file)?;
        let deflated = file.get(header..file.len().checked_sub(TRAILER)?)?;
        let (_, trailer) = file.split_last_chunk::<TRAILER>()?;
        let checksum = u32::from_le_bytes(*trailer.first_chunk()?);
        let len = declared_len(file);
        if len > limit || len > deflated.len().saturating_mul(MAX_RATIO) {
            return None;
        }
        if self.text.len() > KEEP_TEXT {
            self.text = Vec::new();
        }
        let text = self.decoder.inflate(deflated, &mut self.text, len)?;
        let intact = crc32fast::hash(text) == checksum;
        (intact && !trailer_occurs_earlier(file, trailer)).then_some(text)
    }
}

/// Whether the member may end before the file does. The decoders do not return where they stopped,
/// but a member that ends there has the same trailer there.
fn trailer_occurs_earlier(file: &[u8], trailer: &[u8; TRAILER]) -> bool {
    memchr::memchr_iter(trailer[0], &file[..file.len() - TRAILER])
        .any(|at| file[at..].starts_with(trailer))
}

/// Length of the member's header (RFC 1952, section 2.3); `None` if it is invalid or has a header
/// checksum.
fn header_len(file: &[u8]) -> Option<usize> {
    /// FHCRC, which hardly any writer sets, and the reserved bits.
    const UNSUPPORTED: u8 = 0b1110_0010;
    const FEXTRA: u8 = 4;
    const FNAME: u8 = 8;
    const FCOMMENT: u8 = 16;
    if !file.starts_with(&MEMBER_START) {
        return None;
    }
    let flags = *file.get(3)?;
    if flags & UNSUPPORTED != 0 {
        return None;
    }
    let mut at = 10;
    if flags & FEXTRA != 0 {
        let len = file.get(at..)?.first_chunk()?;
        at += 2 + usize::from(u16::from_le_bytes(*len));
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            at += memchr::memchr(0, file.get(at..)?)? + 1;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::{self, Read, Write};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
        writer.write_all(text).expect("to memory");
        writer.finish().expect("to memory")
    }

    fn single_member(file: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut inflater = Inflater::default();
        inflater
            .inflate_single_member(file, limit)
            .map(<[u8]>::to_vec)
    }

    fn read_all(file: &[u8]) -> (Vec<u8>, Option<io::Error>) {
        let mut text = Vec::new();
        let error = MultiMemberReader::new(file).read_to_end(&mut text).err();
        (text, error)
    }

    #[test]
    fn a_normal_file_is_inflated_at_once() {
        let text = b"{\"Records\":[]}".repeat(1000);
        assert_eq!(single_member(&gzip(&text), 1 << 20), Some(text));
    }

    #[test]
    fn both_decoders_give_the_same_text() {
        for len in [0, 1, 2, 100, 40_000, 1_000_000] {
            let text: Vec<u8> = (0..len).map(|n: usize| (n * n / 7) as u8 & 31).collect();
            let file = gzip(&text);
            let deflated = &file[10..file.len() - TRAILER];
            let mut zune = Vec::new();
            let zune = zune::ZuneDecoder.inflate(deflated, &mut zune, len);
            let mut own = Vec::new();
            let own = DeflateBackend::default()
                .inflate(deflated, &mut own, len)
                .map(<[u8]>::to_vec);
            assert_eq!(zune, Some(&text[..]));
            assert_eq!(own, Some(text));
            let cut = &deflated[..deflated.len() / 2];
            assert_eq!(
                DeflateBackend::default().inflate(cut, &mut Vec::new(), len),
                None
            );
        }
    }

    #[test]
    fn a_smaller_file_after_a_larger_one_has_only_its_own_text() {
        let mut inflater = Inflater::default();
        for text in [&b"a longer text"[..], b"short"] {
            assert_eq!(inflater.inflate_single_member(&gzip(text), 100), Some(text));
        }
    }

    #[test]
    fn all_header_fields_are_skipped() {
        let mut writer = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), Compression::best());
        writer.write_all(b"text").expect("to memory");
        let file = writer.finish().expect("to memory");
        assert_eq!(single_member(&file, 100).as_deref(), Some(&b"text"[..]));
    }

    /// Found by fuzzing: one decoder ignored a wrong header checksum, the other rejected it.
    #[test]
    fn a_header_with_a_checksum_is_left_to_the_multi_member_reader() {
        let plain = gzip(b"text");
        let mut header = plain[..10].to_vec();
        header[3] = 2;
        let checksum = (crc32fast::hash(&header) as u16).to_le_bytes();
        let right = [&header[..], &checksum, &plain[10..]].concat();
        let wrong = [&header[..], &[!checksum[0], checksum[1]], &plain[10..]].concat();
        assert_eq!(
            (single_member(&right, 100), single_member(&wrong, 100)),
            (None, None)
        );
        let (text, error) = read_all(&right);
        assert_eq!((&text[..], error.is_none()), (&b"text"[..], true));
        let (text, error) = read_all(&wrong);
        assert_eq!((&text[..], error.is_some()), (&b""[..], true));
    }

    #[test]
    fn a_file_of_several_members_is_not_taken_for_its_first_or_last() {
        let (same, other) = (gzip(b"same"), gzip(b"other"));
        for between in [
            &b""[..],
            b"\0",
            b"\n",
            b"\r\n",
            &other,
            &[b"\0\0", &other[..], b"\0"].concat(),
        ] {
            let file = [&same[..], between, &same].concat();
            assert_eq!(single_member(&file, 100), None);
            let (text, error) = read_all(&file);
            assert!(text.starts_with(b"same") && text.ends_with(b"same") && text.len() > 4);
            assert!(error.is_none(), "{error:?}");
        }
        let trailer = &same[same.len() - TRAILER..];
        let file = [&same[..], b"xxx", trailer].concat();
        assert_eq!(single_member(&file, 100), None);
        assert!(read_all(&file).1.is_some());
        // The trailer of an empty text is all zeros, which occur earlier.
        assert_eq!(single_member(&gzip(b""), 100), None);
    }

    #[test]
    fn an_error_comes_after_the_text_before_the_damage() {
        let text = b"0123456789".repeat(10_000);
        let good = gzip(&text);
        let mut bad_checksum = good.clone();
        let at = good.len() - 8;
        bad_checksum[at] ^= 1;
        let mut trailing = good.clone();
        trailing.extend_from_slice(b"rubbish");
        for file in [&bad_checksum, &trailing] {
            assert_eq!(single_member(file, 1 << 20), None);
            let (read, error) = read_all(file);
            assert!(read == text && error.is_some());
        }
        let (read, error) = read_all(&good[..good.len() - 20]);
        assert!(!read.is_empty() && text.starts_with(&read) && error.is_some());
    }

    #[test]
    fn zeros_and_line_breaks_after_the_last_member_are_ignored() {
        for padding in [&[0; 100][..], b"\n", b"\r\n\0"] {
            let file = [&gzip(b"text")[..], padding].concat();
            let (text, error) = read_all(&file);
            assert_eq!((&text[..], error.is_none()), (&b"text"[..], true));
        }
    }

    #[test]
    fn a_declared_length_beyond_the_highest_ratio_is_not_allocated() {
        let mut file = gzip(b"text");
        let at = file.len() - 4;
        file[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(single_member(&file, usize::MAX), None);
    }
}
