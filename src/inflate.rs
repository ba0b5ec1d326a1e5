//! gzip to text: in one go for a normal log file, piece by piece for large or damaged ones.
//!
//! The fast way only knows one member and gives nothing where anything is wrong; then flate2 goes
//! over the file again, through all members, up to the damage. Which decoder the fast way uses is
//! chosen when the plugin is built: libdeflate, or without that feature zune-inflate, which is
//! slower and all Rust.
#![forbid(unsafe_code)]

#[cfg(feature = "libdeflate")]
mod libdeflate;
#[cfg(any(test, not(feature = "libdeflate")))]
mod zune;

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};
#[cfg(feature = "libdeflate")]
use libdeflate::Deflate;
#[cfg(not(feature = "libdeflate"))]
use zune::Deflate;

/// What every gzip member starts with: the magic number and the only method there is.
const MEMBER: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Bytes of the checksum and the length behind each member.
const TRAILER: usize = 8;

/// Base-2 logarithm of the distance that a deflate stream may look back.
const WINDOW_BITS: u8 = 15;

/// Memory for text that is kept from one file to the next; what a larger one needed is given back.
const KEEP_TEXT: usize = 8 << 20;

/// deflate cannot do better than this.
const MAX_RATIO: usize = 1032;

/// Is this a gzip file, by its content?
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MEMBER[..2])
}

/// Length of the text as a file of one member tells it, which need not be true.
pub fn told_len(file: &[u8]) -> usize {
    let len = file.last_chunk().map(|len| u32::from_le_bytes(*len));
    len.map_or(0, |len| len as usize)
}

/// Inflates whole files, into memory that is used again for the next one.
#[derive(Default)]
pub struct Inflater {
    deflate: Deflate,
    text: Vec<u8>,
}

impl Inflater {
    /// The text of a sound file of one member and at most `limit` bytes of text; `None` for
    /// everything else, which [`Members`] reads.
    pub fn whole(&mut self, file: &[u8], limit: usize) -> Option<&[u8]> {
        let header = header_len(file)?;
        let deflated = file.get(header..file.len().checked_sub(TRAILER)?)?;
        let (_, trailer) = file.split_last_chunk::<TRAILER>()?;
        let checksum = u32::from_le_bytes(*trailer.first_chunk()?);
        let len = told_len(file);
        if len > limit || len > deflated.len().saturating_mul(MAX_RATIO) {
            return None;
        }
        if self.text.len() > KEEP_TEXT {
            self.text = Vec::new();
        }
        let text = self.deflate.inflate(deflated, &mut self.text, len)?;
        let sound = crc32fast::hash(text) == checksum;
        (sound && !ends_earlier(file, trailer)).then_some(text)
    }
}

/// May the member that was read end before the file does? The decoder does not say where it
/// stopped, but there the same trailer stands.
fn ends_earlier(file: &[u8], trailer: &[u8; TRAILER]) -> bool {
    memchr::memchr_iter(trailer[0], &file[..file.len() - TRAILER])
        .any(|at| file[at..].starts_with(trailer))
}

/// Length of a member's header (RFC 1952, section 2.3), if there is nothing rare about it.
fn header_len(file: &[u8]) -> Option<usize> {
    /// A checksum of the header, which nearly nobody writes, and bits that nobody may set.
    const RARE: u8 = 0b1110_0010;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    if !file.starts_with(&MEMBER) {
        return None;
    }
    let flags = *file.get(3)?;
    if flags & RARE != 0 {
        return None;
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        let len = file.get(at..)?.first_chunk()?;
        at += 2 + usize::from(u16::from_le_bytes(*len));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += memchr::memchr(0, file.get(at..)?)? + 1;
        }
    }
    Some(at)
}

/// Reads the text of all members of a gzip file, one behind the other. Whatever is wrong comes
/// as an error after all text that could be read.
pub struct Members<R> {
    file: R,
    member: Decompress,
    place: Place,
}

/// Where in the file the next byte to read stands.
enum Place {
    /// Inside of a member.
    Member,
    /// Behind one.
    Between,
    /// Behind the last byte that can be read. An error there is told once.
    End(Option<io::Error>),
}

impl<R: BufRead> Members<R> {
    /// Starts at the first member.
    pub fn new(file: R) -> Self {
        Members {
            file,
            member: Decompress::new_gzip(WINDOW_BITS),
            place: Place::Member,
        }
    }

    /// One step inside of a member: how much text came out.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.file.fill_buf()?;
        let at_end = input.is_empty();
        let (total_in, total_out) = (self.member.total_in(), self.member.total_out());
        let status = self.member.decompress(input, out, FlushDecompress::None);
        let read = (self.member.total_in() - total_in) as usize;
        let written = (self.member.total_out() - total_out) as usize;
        self.file.consume(read);
        // An error does not undo what was inflated before it.
        match status {
            Err(error) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                self.place = Place::End(Some(error));
            }
            Ok(Status::StreamEnd) => self.place = Place::Between,
            Ok(Status::Ok | Status::BufError) if read == 0 && written == 0 && at_end => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut off");
                self.place = Place::End(Some(error));
            }
            Ok(Status::Ok | Status::BufError) => {}
        }
        Ok(written)
    }

    /// Behind a member: another one, the end of the file, or neither.
    fn next_member(&mut self) -> io::Result<()> {
        loop {
            let rest = self.file.fill_buf()?;
            self.place = match rest {
                [] => Place::End(None),
                [first, ..] if *first == MEMBER[0] => {
                    self.member = Decompress::new_gzip(WINDOW_BITS);
                    Place::Member
                }
                // Some writers pad with zeros.
                [0, ..] => {
                    let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
                    self.file.consume(zeros);
                    continue;
                }
                _ => Place::End(Some(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "bytes that are no gzip data behind the last member",
                ))),
            };
            return Ok(());
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.place {
                Place::Member => {
                    let written = self.inflate(out)?;
                    if written > 0 {
                        return Ok(written);
                    }
                }
                Place::Between => self.next_member()?,
                Place::End(error) => return error.take().map_or(Ok(0), Err),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
        writer.write_all(text).expect("to memory");
        writer.finish().expect("to memory")
    }

    fn whole(file: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut inflater = Inflater::default();
        inflater.whole(file, limit).map(<[u8]>::to_vec)
    }

    fn read_all(file: &[u8]) -> (Vec<u8>, Option<io::Error>) {
        let mut text = Vec::new();
        let error = Members::new(file).read_to_end(&mut text).err();
        (text, error)
    }

    #[test]
    fn a_normal_file_is_read_in_one_go() {
        let text = b"{\"Records\":[]}".repeat(1000);
        assert_eq!(whole(&gzip(&text), 1 << 20), Some(text));
    }

    #[test]
    fn both_fast_ways_give_the_same() {
        for len in [0, 1, 2, 100, 40_000, 1_000_000] {
            let text: Vec<u8> = (0..len).map(|n: usize| (n * n / 7) as u8 & 31).collect();
            let file = gzip(&text);
            let deflated = &file[10..file.len() - TRAILER];
            let mut zune = Vec::new();
            let zune = zune::Deflate.inflate(deflated, &mut zune, len);
            let mut own = Vec::new();
            let own = Deflate::default()
                .inflate(deflated, &mut own, len)
                .map(<[u8]>::to_vec);
            assert_eq!(zune, Some(&text[..]));
            assert_eq!(own, Some(text));
            let cut = &deflated[..deflated.len() / 2];
            assert_eq!(Deflate::default().inflate(cut, &mut Vec::new(), len), None);
        }
    }

    #[test]
    fn a_smaller_file_behind_a_larger_one_is_read_alone() {
        let mut inflater = Inflater::default();
        for text in [&b"a longer text"[..], b"short"] {
            assert_eq!(inflater.whole(&gzip(text), 100), Some(text));
        }
    }

    #[test]
    fn all_header_fields_are_passed_over() {
        let mut writer = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), Compression::best());
        writer.write_all(b"text").expect("to memory");
        let file = writer.finish().expect("to memory");
        assert_eq!(whole(&file, 100).as_deref(), Some(&b"text"[..]));
    }

    /// Found by fuzzing: a header whose own checksum is wrong was passed over by one way and refused by the other.
    #[test]
    fn a_header_with_a_checksum_is_left_to_the_thorough_way() {
        let plain = gzip(b"text");
        let mut header = plain[..10].to_vec();
        header[3] = 2;
        let checksum = (crc32fast::hash(&header) as u16).to_le_bytes();
        let right = [&header[..], &checksum, &plain[10..]].concat();
        let wrong = [&header[..], &[!checksum[0], checksum[1]], &plain[10..]].concat();
        assert_eq!((whole(&right, 100), whole(&wrong, 100)), (None, None));
        let (text, error) = read_all(&right);
        assert_eq!((&text[..], error.is_none()), (&b"text"[..], true));
        let (text, error) = read_all(&wrong);
        assert_eq!((&text[..], error.is_some()), (&b""[..], true));
    }

    #[test]
    fn several_members_are_not_mistaken_for_the_first() {
        let (same, other) = (gzip(b"same"), gzip(b"other"));
        for between in [
            &b""[..],
            b"\0",
            &other,
            &[b"\0\0", &other[..], b"\0"].concat(),
        ] {
            let file = [&same[..], between, &same].concat();
            assert_eq!(whole(&file, 100), None);
            let (text, error) = read_all(&file);
            assert!(text.starts_with(b"same") && text.ends_with(b"same") && text.len() > 4);
            assert!(error.is_none(), "{error:?}");
        }
        let trailer = &same[same.len() - TRAILER..];
        let file = [&same[..], b"xxx", trailer].concat();
        assert_eq!(whole(&file, 100), None);
        assert!(read_all(&file).1.is_some());
        // An empty text's trailer is zeros, which say nothing.
        assert_eq!(whole(&gzip(b""), 100), None);
    }

    #[test]
    fn damage_is_told_after_the_text_before_it() {
        let text = b"0123456789".repeat(10_000);
        let good = gzip(&text);
        let mut bad_checksum = good.clone();
        let at = good.len() - 8;
        bad_checksum[at] ^= 1;
        let mut trailing = good.clone();
        trailing.extend_from_slice(b"rubbish");
        for file in [&bad_checksum, &trailing] {
            assert_eq!(whole(file, 1 << 20), None);
            let (read, error) = read_all(file);
            assert!(read == text && error.is_some());
        }
        let (read, error) = read_all(&good[..good.len() - 20]);
        assert!(!read.is_empty() && text.starts_with(&read) && error.is_some());
    }

    #[test]
    fn zeros_behind_the_last_member_are_padding() {
        let mut file = gzip(b"text");
        file.extend_from_slice(&[0; 100]);
        let (text, error) = read_all(&file);
        assert_eq!((&text[..], error.is_none()), (&b"text"[..], true));
    }

    #[test]
    fn a_lie_about_the_length_costs_no_memory() {
        let mut file = gzip(b"text");
        let at = file.len() - 4;
        file[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(whole(&file, usize::MAX), None);
    }
}
