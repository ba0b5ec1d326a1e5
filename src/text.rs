//! JSON text to what a person reads: strings without escapes, containers without white space.
//!
//! Whatever the bytes are, there is an answer: a lone surrogate and invalid UTF-8 become U+FFFD,
//! an unknown escape stays as it is written.
#![forbid(unsafe_code)]

use memchr::memchr;

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends what the inside of a JSON string says.
pub fn unescape(inside: &[u8], out: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(backslash) = memchr(b'\\', rest) {
        push_lossy(&rest[..backslash], out);
        let escape = &rest[backslash..];
        rest = &escape[push_escape(escape, out)..];
    }
    push_lossy(rest, out);
}

/// Appends `json` without the white space between its tokens.
pub fn compact(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    loop {
        // Outside of strings white space goes; strings are taken whole.
        let quote = memchr(b'"', rest).unwrap_or(rest.len());
        for token in rest[..quote].split(|byte| b" \t\r\n".contains(byte)) {
            push_lossy(token, out);
        }
        rest = &rest[quote..];
        if rest.is_empty() {
            return;
        }
        let end = string_end(rest);
        push_lossy(&rest[..end], out);
        rest = &rest[end..];
    }
}

/// Appends `bytes`, with U+FFFD for what is not UTF-8.
pub fn push_lossy(bytes: &[u8], out: &mut Vec<u8>) {
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

/// One past the closing quote of the string that `text` starts with.
fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(offset) = text
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += offset;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Appends what the escape at the start of `text` stands for; returns its length.
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

/// The four hex digits of the `\uXXXX` that `text` starts with.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(inside: &[u8]) -> String {
        let mut out = Vec::new();
        unescape(inside, &mut out);
        String::from_utf8(out).expect("always UTF-8")
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(
            unescaped(br#"a\"\\\/\b\f\n\r\t\u00e9"#),
            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}"
        );
        assert_eq!(unescaped(br"\ud83d\ude00"), "\u{1f600}");
    }

    #[test]
    fn surrogates_without_a_partner_are_replaced_one_by_one() {
        assert_eq!(unescaped(br"\ud800x"), "\u{fffd}x");
        assert_eq!(unescaped(br"\ud800\ud800\udc00"), "\u{fffd}\u{10000}");
        assert_eq!(unescaped(br"\udc00\u0041"), "\u{fffd}A");
    }

    #[test]
    fn what_is_no_escape_stays_as_written() {
        assert_eq!(unescaped(br"\x\u12g4\u12"), r"\x\u12g4\u12");
        assert_eq!(unescaped(b"end\\"), "end\\");
    }

    #[test]
    fn bad_utf8_is_replaced_as_the_standard_library_does_it() {
        let bytes = b"a\xff\xe2\x82b\xf0\x9f\x98";
        assert_eq!(unescaped(bytes), String::from_utf8_lossy(bytes));
    }

    #[test]
    fn compacting_keeps_strings_untouched() {
        let mut out = Vec::new();
        compact(b"{ \"a b\" :\t[ 1 , \"\\\" x\" ]\r\n}", &mut out);
        assert_eq!(out, b"{\"a b\":[1,\"\\\" x\"]}");
    }
}
