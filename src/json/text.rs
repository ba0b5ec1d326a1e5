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
        let escape = &rest[backslash..];
        rest = &escape[push_escape(escape, out)..];
    }
    push_lossy(rest, out);
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

/// Appends the character that the escape at the start of `text` stands for; returns the escape's length.
fn push_escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let byte = match text.get(1) {
        Some(b'"') => b'"',
        Some(b'\\') => b'\\',
        Some(b'/') => b'/',
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return push_unicode_escape(text, out),
        _ => {
            out.push(b'\\');
            return 1;
        }
    };
    out.push(byte);
    2
}

/// `\uXXXX`, or two of them that are a surrogate pair.
fn push_unicode_escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(first) = code_unit(text) else {
        out.push(b'\\');
        return 1;
    };
    let second = code_unit(&text[6..]).filter(|_| (0xd800..0xdc00).contains(&first));
    let (code, len) = match second {
        Some(low @ 0xdc00..0xe000) => (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), 12),
        _ => (first, 6),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    len
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

    fn text(inside: &[u8]) -> String {
        String::from_utf8(unescaped(inside)).expect("always UTF-8")
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
