//! A slow and tolerant JSON reader. Unlike `serde_json` it keeps the offsets of every value and the text of numbers, and
//! accepts text that strict JSON refuses.
#![forbid(unsafe_code)]

/// A value with the bytes that it was read from.
pub struct Json<'a> {
    source: &'a [u8],
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
    /// The kind of value.
    pub kind: Kind<'a>,
}

/// The kinds of values.
pub enum Kind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, or any other bare word; its text is in the source.
    Number,
    /// A string, unescaped, with U+FFFD for invalid Unicode.
    Str(String),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object's members in file order, repeated keys included.
    Object(Vec<(String, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The value that begins at `at` or after white space there; None if it is malformed.
    pub fn read(source: &'a [u8], at: usize) -> Option<Json<'a>> {
        let start = skip_white_space(source, at);
        let (kind, end) = match *source.get(start)? {
            b'{' => read_object(source, start)?,
            b'[' => read_array(source, start)?,
            b'"' => {
                let end = string_end(source, start)?;
                (Kind::Str(unescape(&source[start + 1..end - 1])), end)
            }
            _ => read_word(source, start)?,
        };
        Some(Json {
            source,
            start,
            end,
            kind,
        })
    }

    /// The bytes it was read from.
    pub fn raw(&self) -> &'a [u8] {
        &self.source[self.start..self.end]
    }

    /// The first member called `key`; None if this is no object or has no such member.
    pub fn member(&self, key: &str) -> Option<&Json<'a>> {
        let Kind::Object(members) = &self.kind else {
            return None;
        };
        members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The value at a path of keys separated by dots.
    pub fn at(&self, path: &str) -> Option<&Json<'a>> {
        path.split('.')
            .try_fold(self, |value, key| value.member(key))
    }

    /// Its elements, if it is an array.
    pub fn elements(&self) -> Option<&[Json<'a>]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Its text as a field value: none for `null`, cut at an embedded NUL.
    pub fn text(&self) -> Option<String> {
        let text = match &self.kind {
            Kind::Null => return None,
            Kind::Str(text) => text.clone(),
            _ => self.compact(),
        };
        Some(cut_at_nul(text))
    }

    /// Its JSON text without white space outside strings.
    pub fn compact(&self) -> String {
        let mut out = Vec::new();
        let raw = self.raw();
        let mut at = 0;
        while at < raw.len() {
            if raw[at] == b'"' {
                let end = string_end(raw, at).expect("it was read before");
                out.extend_from_slice(&raw[at..end]);
                at = end;
            } else {
                if !is_white_space(raw[at]) {
                    out.push(raw[at]);
                }
                at += 1;
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// `text` up to its first NUL.
pub fn cut_at_nul(text: String) -> String {
    match text.split_once('\0') {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}

/// The offset of the first byte at or after `at` that is not JSON white space.
pub fn skip_white_space(source: &[u8], at: usize) -> usize {
    source[at..]
        .iter()
        .position(|&byte| !is_white_space(byte))
        .map_or(source.len(), |skipped| at + skipped)
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn read_object(source: &[u8], start: usize) -> Option<(Kind<'_>, usize)> {
    let mut members = Vec::new();
    let mut at = skip_white_space(source, start + 1);
    while *source.get(at)? != b'}' {
        let key_end = string_end(source, at)?;
        let key = unescape(&source[at + 1..key_end - 1]);
        at = skip_white_space(source, key_end);
        if *source.get(at)? != b':' {
            return None;
        }
        let value = Json::read(source, at + 1)?;
        at = behind_comma(source, value.end, b'}')?;
        members.push((key, value));
    }
    Some((Kind::Object(members), at + 1))
}

fn read_array(source: &[u8], start: usize) -> Option<(Kind<'_>, usize)> {
    let mut elements = Vec::new();
    let mut at = skip_white_space(source, start + 1);
    while *source.get(at)? != b']' {
        let element = Json::read(source, at)?;
        at = behind_comma(source, element.end, b']')?;
        elements.push(element);
    }
    Some((Kind::Array(elements), at + 1))
}

/// The offset of the next member or of the closing byte.
fn behind_comma(source: &[u8], at: usize, close: u8) -> Option<usize> {
    let at = skip_white_space(source, at);
    match *source.get(at)? {
        b',' => Some(skip_white_space(source, at + 1)),
        byte if byte == close => Some(at),
        _ => None,
    }
}

fn read_word(source: &[u8], start: usize) -> Option<(Kind<'_>, usize)> {
    let length = source[start..]
        .iter()
        .position(|&byte| is_white_space(byte) || b",:{}[]\"".contains(&byte))
        .unwrap_or(source.len() - start);
    let kind = match &source[start..start + length] {
        b"" => return None,
        b"null" => Kind::Null,
        b"true" => Kind::Bool(true),
        b"false" => Kind::Bool(false),
        _ => Kind::Number,
    };
    Some((kind, start + length))
}

/// The offset after the closing quote of the string that begins at `start`.
fn string_end(source: &[u8], start: usize) -> Option<usize> {
    if source.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        match *source.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The text of a string: U+FFFD for a lone surrogate and for each invalid UTF-8 sequence; unknown escapes stay as they
/// are.
fn unescape(raw: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = raw;
    while let Some(slash) = rest.iter().position(|&byte| byte == b'\\') {
        text.push_str(&String::from_utf8_lossy(&rest[..slash]));
        rest = &rest[slash..];
        let (char, used) = match rest.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(&same @ (b'"' | b'\\' | b'/')) => (char::from(same), 2),
            _ => match (code_unit(rest), rest.get(6..).and_then(code_unit)) {
                (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000)) => {
                    let point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(point).unwrap_or('\u{fffd}'), 12)
                }
                (Some(unit), _) => (char::from_u32(unit).unwrap_or('\u{fffd}'), 6),
                (None, _) => ('\\', 1),
            },
        };
        text.push(char);
        rest = &rest[used..];
    }
    text + &String::from_utf8_lossy(rest)
}

/// The value of the `\uXXXX` that `raw` begins with.
fn code_unit(raw: &[u8]) -> Option<u32> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
