//! Escapes untrusted text for terminals, tables and JSON.
//!
//! Every caller of AWS chooses user agents and names in the logs. Control characters could take over the terminal,
//! and bidirectional marks could reorder a line, so both become visible escapes.
#![forbid(unsafe_code)]

use std::io::Write;

/// Appends `text` for a person to read. Backslashes stay as they are, so the result cannot be parsed back.
pub fn plain(out: &mut Vec<u8>, text: &[u8]) {
    escaped(out, text, |_| false);
}

/// Appends `text` as a column of a table. Backslashes are escaped, so the result can be parsed back.
pub fn column(out: &mut Vec<u8>, text: &[u8]) {
    escaped(out, text, |byte| byte == b'\\');
}

/// Appends `text` as the value in `field=value`, in quotes if its end would be ambiguous.
pub fn word(out: &mut Vec<u8>, text: &[u8]) {
    let needs_quotes = text.is_empty()
        || text
            .iter()
            .any(|b| matches!(b, b' ' | b'\'' | b',' | b'(' | b')'));
    if !needs_quotes {
        return column(out, text);
    }
    out.push(b'\'');
    escaped(out, text, |byte| matches!(byte, b'\\' | b'\''));
    out.push(b'\'');
}

/// Appends `text` as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD.
pub fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text
        .iter()
        .all(|b| is_plain(*b) && !matches!(b, b'"' | b'\\'))
    {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => out.extend([b'\\', c as u8]),
                    '\n' => out.extend(br"\n"),
                    '\t' => out.extend(br"\t"),
                    '\r' => out.extend(br"\r"),
                    c => json_char(out, c),
                }
            }
            if !chunk.invalid().is_empty() {
                out.extend("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Appends a record as a JSON value on one line, or as a JSON string if it is not valid JSON.
pub fn json_record(out: &mut Vec<u8>, record: &[u8]) {
    let valid = std::str::from_utf8(record)
        .ok()
        .filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    let Some(text) = valid else {
        return json_string(out, record);
    };
    for c in text.chars() {
        match c {
            // Valid JSON contains these only between tokens.
            '\n' | '\r' | '\t' => out.push(b' '),
            c => json_char(out, c),
        }
    }
}

fn json_char(out: &mut Vec<u8>, c: char) {
    if is_safe(c) {
        push_char(out, c);
    } else {
        // All unsafe characters are below U+10000. Writing into a Vec cannot fail.
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    }
}

fn escaped(out: &mut Vec<u8>, text: &[u8], needs_backslash: impl Fn(u8) -> bool) {
    if text.iter().all(|b| is_plain(*b) && !needs_backslash(*b)) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.extend(br"\n"),
                '\t' => out.extend(br"\t"),
                '\r' => out.extend(br"\r"),
                c if c.is_ascii() && needs_backslash(c as u8) => out.extend([b'\\', c as u8]),
                c if is_safe(c) => push_char(out, c),
                c => {
                    let _ = write!(out, "{}", c.escape_unicode());
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

/// Printable ASCII.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

/// Whether `c` can neither control the terminal nor reorder or break the line.
fn is_safe(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    !(c.is_control() || reorders || breaks_lines)
}

fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped_by(write: impl Fn(&mut Vec<u8>, &[u8]), text: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, text);
        String::from_utf8(out).expect("UTF-8")
    }

    const HOSTILE: &[u8] = b"a\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\n\t\\ \xff\xc3\xa9";

    #[test]
    fn control_and_bidirectional_characters_are_escaped() {
        assert_eq!(
            escaped_by(plain, HOSTILE),
            r"a\u{1b}[2J\u{7f}\u{9b}\u{202e}\n\t\ \xffé"
        );
        assert_eq!(
            escaped_by(column, HOSTILE),
            r"a\u{1b}[2J\u{7f}\u{9b}\u{202e}\n\t\\ \xffé"
        );
        let json = escaped_by(json_string, HOSTILE);
        assert_eq!(json, r#""a\u001b[2J\u007f\u009b\u202e\n\t\\ �é""#);
        assert_eq!(
            serde_json::from_str::<String>(&json).expect("JSON"),
            String::from_utf8_lossy(HOSTILE)
        );
    }

    #[test]
    fn values_with_ambiguous_ends_are_quoted() {
        assert_eq!(escaped_by(word, b"curl/8"), "curl/8");
        assert_eq!(escaped_by(word, b"x ct.user=root"), "'x ct.user=root'");
        assert_eq!(escaped_by(word, b"it's"), r"'it\'s'");
        assert_eq!(escaped_by(word, b""), "''");
    }

    #[test]
    fn records_are_embedded_on_one_line_and_quoted_if_not_json() {
        let pretty = b"{\n \"a\":\t\"\xc2\x9b\\n\" }";
        let line = escaped_by(json_record, pretty);
        assert_eq!(line, r#"{  "a": "\u009b\n" }"#);
        assert_eq!(
            escaped_by(json_record, b"{\"a\":\"\xff\"}"),
            r#""{\"a\":\"�\"}""#
        );
        assert_eq!(escaped_by(json_record, b"{\"a\":"), r#""{\"a\":""#);
    }
}
