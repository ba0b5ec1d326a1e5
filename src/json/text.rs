//! JSON text to plain text: strings without escapes, containers without white space.
//!
//! Every input has a result: lone surrogates and invalid UTF-8 become U+FFFD, and an unknown escape
//! stays as it is written.
#![forbid(unsafe_code)]

use memchr::{memchr, memchr2};

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends the text of a string; `inside` is the text between its quotes.
pub fn unescape(inside: &[u8], out: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(backslash) = memchr(b'\\', rest) {
        push_lossy(&rest[..backslash], out);
        let escape = Escape::parse(&rest[backslash..]);
        out.extend_from_slice(escape.text());
        rest = &rest[backslash + escape.read..];
    }
    push_lossy(rest, out);
}

/// The text of a string, written to `buffer`; `inside` is the text between its quotes. Never longer than `inside`,
/// because invalid UTF-8 stays as it is.
///
/// For strings that are JSON themselves, where every quote is escaped. A buffer that grows and never shrinks is zeroed
/// once and not for every string.
pub(crate) fn unescape_into<'b>(inside: &[u8], buffer: &'b mut Vec<u8>) -> &'b [u8] {
    const WORD: usize = 8;
    if buffer.len() < inside.len() + WORD {
        buffer.resize(inside.len() + WORD, 0);
    }
    let (mut read, mut written) = (0, 0);
    while let Some(word) = inside[read..].first_chunk::<WORD>() {
        // Copied whole: what is behind a backslash is overwritten.
        buffer[written..written + WORD].copy_from_slice(word);
        let plain = match first_backslash(u64::from_le_bytes(*word)) {
            None => {
                read += WORD;
                written += WORD;
                continue;
            }
            Some(plain) => plain,
        };
        read += plain;
        written += plain;
        let escaped = inside
            .get(read + 1)
            .map_or(0, |&byte| SIMPLE_ESCAPES[usize::from(byte)]);
        if escaped != 0 {
            buffer[written] = escaped;
            read += 2;
            written += 1;
            continue;
        }
        let escape = Escape::parse(&inside[read..]);
        buffer[written..written + escape.len].copy_from_slice(escape.text());
        read += escape.read;
        written += escape.len;
    }
    while let Some(&byte) = inside.get(read) {
        let escape = match byte {
            b'\\' => Escape::parse(&inside[read..]),
            byte => Escape::byte(byte, 1),
        };
        buffer[written..written + escape.len].copy_from_slice(escape.text());
        read += escape.read;
        written += escape.len;
    }
    &buffer[..written]
}

/// Position of the first backslash among the eight bytes, the lowest first.
#[inline]
fn first_backslash(word: u64) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // Zero bytes; a borrow gives false ones, but only behind the first.
    let differences = word ^ u64::from_le_bytes([b'\\'; 8]);
    let zeros = differences.wrapping_sub(LOW) & !differences & HIGH;
    (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
}

/// The text of a string; see [`unescape`].
pub(crate) fn unescaped(inside: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    unescape(inside, &mut text);
    text
}

/// Whether `text` is the text of the string with this `inside`.
pub(crate) fn unescaped_is(inside: &[u8], text: &[u8]) -> bool {
    if inside == text {
        return true;
    }
    // ASCII without escapes is its own text.
    (inside.contains(&b'\\') || !inside.is_ascii()) && unescaped(inside) == text
}

/// Appends `json` without the white space between its tokens.
pub fn compact(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    loop {
        let quote = memchr(b'"', rest).unwrap_or(rest.len());
        for token in rest[..quote].split(|byte| b" \t\r\n".contains(byte)) {
            push_lossy(token, out);
        }
        rest = &rest[quote..];
        if rest.is_empty() {
            return;
        }
        let string = string_len(rest).unwrap_or(rest.len());
        push_lossy(&rest[..string], out);
        rest = &rest[string..];
    }
}

/// Appends `bytes`, with U+FFFD for invalid UTF-8.
pub(crate) fn push_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_ascii() {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
        }
    }
}

/// Length of the string that `text` starts with, both quotes included; `None` if it does not end.
pub(crate) fn string_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The characters that the escapes of two characters stand for; 0 for others.
static SIMPLE_ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let pairs = *b"\"\"\\\\//b\x08f\x0cn\nr\rt\t";
    let mut at = 0;
    while at < pairs.len() {
        escapes[pairs[at] as usize] = pairs[at + 1];
        at += 2;
    }
    escapes
};

/// An escape: its length, and the character that it stands for, in UTF-8.
struct Escape {
    read: usize,
    utf8: [u8; 4],
    len: usize,
}

impl Escape {
    /// The escape that `text` starts with. The backslash of an unknown one stands for itself.
    fn parse(text: &[u8]) -> Self {
        match text.get(1) {
            Some(b'u') => Escape::unicode(text),
            Some(&byte) if SIMPLE_ESCAPES[usize::from(byte)] != 0 => {
                Escape::byte(SIMPLE_ESCAPES[usize::from(byte)], 2)
            }
            _ => Escape::byte(b'\\', 1),
        }
    }

    fn byte(byte: u8, read: usize) -> Self {
        Escape {
            read,
            utf8: [byte, 0, 0, 0],
            len: 1,
        }
    }

    /// `\uXXXX`, or two of them that are a surrogate pair.
    fn unicode(text: &[u8]) -> Self {
        let Some(first) = code_unit(text) else {
            return Escape::byte(b'\\', 1);
        };
        let second = code_unit(&text[6..]).filter(|_| (0xd800..0xdc00).contains(&first));
        let (code, read) = match second {
            Some(low @ 0xdc00..0xe000) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12)
            }
            _ => (first, 6),
        };
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut utf8 = [0; 4];
        let len = character.encode_utf8(&mut utf8).len();
        Escape { read, utf8, len }
    }

    fn text(&self) -> &[u8] {
        &self.utf8[..self.len]
    }
}

/// The UTF-16 code unit of the `\uXXXX` that `text` starts with.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a string; [`unescape_into`] must give the same at every offset in a word.
    fn text(inside: &[u8]) -> String {
        let text = String::from_utf8(unescaped(inside)).expect("always UTF-8");
        let mut buffer = Vec::new();
        for shift in 0..9 {
            let shifted = [&b"12345678"[..shift], inside].concat();
            let unescaped = unescape_into(&shifted, &mut buffer);
            let unescaped = String::from_utf8_lossy(unescaped);
            assert_eq!(unescaped[shift..], text, "shifted by {shift}");
        }
        text
    }

    #[test]
    fn a_string_unescaped_into_a_buffer_keeps_invalid_utf8() {
        let mut buffer = vec![b'x'; 100];
        let unescaped = unescape_into(b"a\xff\\u00e9\xe2\x82b\\\"", &mut buffer);
        assert_eq!(unescaped, b"a\xff\xc3\xa9\xe2\x82b\"");
        assert_eq!(unescape_into(b"", &mut buffer), b"");
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(
            text(br#"a\"\\\/\b\f\n\r\t\u00e9"#),
            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}"
        );
        assert_eq!(text(br"\ud83d\ude00"), "\u{1f600}");
    }

    #[test]
    fn each_lone_surrogate_becomes_a_replacement_character() {
        assert_eq!(text(br"\ud800x"), "\u{fffd}x");
        assert_eq!(text(br"\ud800\ud800\udc00"), "\u{fffd}\u{10000}");
        assert_eq!(text(br"\udc00\u0041"), "\u{fffd}A");
    }

    #[test]
    fn unknown_escapes_stay_as_written() {
        assert_eq!(text(br"\x\u12g4\u12"), r"\x\u12g4\u12");
        assert_eq!(text(b"end\\"), "end\\");
    }

    #[test]
    fn invalid_utf8_is_replaced_as_by_the_standard_library() {
        let bytes = b"a\xff\xe2\x82b\xf0\x9f\x98";
        assert_eq!(text(bytes), String::from_utf8_lossy(bytes));
    }

    #[test]
    fn compact_keeps_white_space_in_strings() {
        let mut out = Vec::new();
        compact(b"{ \"a b\" :\t[ 1 , \"\\\" x\" ]\r\n}", &mut out);
        assert_eq!(out, b"{\"a b\":[1,\"\\\" x\"]}");
    }

    #[test]
    fn a_text_is_recognized_however_it_is_escaped() {
        for inside in [&b"name"[..], br"n\u0061me", br"\u006eame"] {
            assert!(unescaped_is(inside, b"name"), "{inside:?}");
            assert!(!unescaped_is(inside, b"nam"), "{inside:?}");
        }
        assert!(unescaped_is(b"a\xff", "a\u{fffd}".as_bytes()));
    }

    #[test]
    fn a_string_ends_at_its_first_quote_that_is_not_escaped() {
        assert_eq!(string_len(br#""a\"b\\"c"#), Some(8));
        assert_eq!(string_len(br#""a\""#), None);
        assert_eq!(string_len(br#""a\"#), None);
        assert_eq!(string_len(b"\""), None);
    }
}
