//! Checks that a text is JSON (RFC 8259). The scanner alone accepts much more, as it must for damaged records.
#![forbid(unsafe_code)]

use super::KEPT_BYTES;

/// Checks texts without recursion.
#[derive(Debug, Default)]
pub(super) struct JsonValidator {
    /// Brackets of the containers that are open.
    open: Vec<u8>,
}

impl JsonValidator {
    /// `text` without white space around it, if it is a JSON object, array or string.
    pub(super) fn json<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        let end = text.iter().rposition(|&byte| !is_space(byte))?;
        let start = text.iter().position(|&byte| !is_space(byte))?;
        let json = &text[start..=end];
        let starts = matches!(json.first(), Some(b'{' | b'[' | b'"'));
        (starts && self.is_json(json)).then_some(json)
    }

    /// Frees what a huge text needed.
    pub(super) fn release(&mut self) {
        if self.open.capacity() > KEPT_BYTES {
            self.open = Vec::new();
        }
    }

    fn is_json(&mut self, text: &[u8]) -> bool {
        self.open.clear();
        let unread = &mut Unread(text);
        self.value(unread).is_some_and(|()| unread.0.is_empty())
    }

    /// Passes over one value; `None` if it is malformed.
    fn value(&mut self, unread: &mut Unread<'_>) -> Option<()> {
        loop {
            let first = unread.token()?;
            let empty = match first {
                b'{' | b'[' => {
                    // In ASCII a closing bracket is its opening one plus 2.
                    let close = first + 2;
                    self.open.push(close);
                    let empty = unread.skip_if(close);
                    if !empty && first == b'{' {
                        unread.key()?;
                    }
                    empty
                }
                _ => {
                    unread.scalar(first)?;
                    true
                }
            };
            if !empty {
                continue;
            }
            if matches!(first, b'{' | b'[') {
                self.open.pop();
            }
            // After a value: the ends of containers, up to a comma.
            loop {
                let Some(&close) = self.open.last() else {
                    return Some(());
                };
                match unread.token()? {
                    b',' if close == b'}' => break unread.key()?,
                    b',' => break,
                    end if end == close => self.open.pop(),
                    _ => return None,
                };
            }
        }
    }
}

/// The text that is left.
struct Unread<'t>(&'t [u8]);

impl Unread<'_> {
    /// The next byte that is not white space.
    fn token(&mut self) -> Option<u8> {
        let at = self.0.iter().position(|&byte| !is_space(byte))?;
        let byte = self.0[at];
        self.0 = &self.0[at + 1..];
        Some(byte)
    }

    /// Passes over `token` if it is the next one.
    fn skip_if(&mut self, token: u8) -> bool {
        let rest = self.0;
        if self.token() == Some(token) {
            return true;
        }
        self.0 = rest;
        false
    }

    /// Passes over a key and its colon.
    fn key(&mut self) -> Option<()> {
        (self.token()? == b'"').then_some(())?;
        self.string()?;
        (self.token()? == b':').then_some(())
    }

    /// Passes over the rest of a value that starts with `first`.
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.string(),
            b't' => self.literal(b"rue"),
            b'f' => self.literal(b"alse"),
            b'n' => self.literal(b"ull"),
            _ => self.number(first),
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(rest)?;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        loop {
            let at = self
                .0
                .iter()
                .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')?;
            let special = self.0[at];
            self.0 = &self.0[at + 1..];
            match special {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let (&escape, rest) = self.0.split_first()?;
        self.0 = match escape {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => rest,
            b'u' => {
                let (digits, rest) = rest.split_first_chunk::<4>()?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)?
            }
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = match first {
            b'-' => {
                let (&digit, rest) = self.0.split_first()?;
                self.0 = rest;
                digit
            }
            digit => digit,
        };
        match first {
            b'0' => {}
            b'1'..=b'9' => {
                self.digits();
            }
            _ => return None,
        }
        if let Some(rest) = self.0.strip_prefix(b".") {
            self.0 = rest;
            (self.digits() > 0).then_some(())?;
        }
        if let [b'e' | b'E', rest @ ..] = self.0 {
            self.0 = match rest {
                [b'+' | b'-', rest @ ..] => rest,
                rest => rest,
            };
            (self.digits() > 0).then_some(())?;
        }
        Some(())
    }

    /// Passes over digits; returns how many.
    fn digits(&mut self) -> usize {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.0 = &self.0[count..];
        count
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_texts_are_json_as_for_serde_json() {
        let texts = [
            r#"{}"#,
            r#"[]"#,
            r#" {"a" : [1, -0.5e+3, true, false, null, "x\u00e9\n"]} "#,
            r#"[[],{},[{}]]"#,
            r#"{"a":1,}"#,
            r#"[1,]"#,
            r#"[,1]"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{a:1}"#,
            r#"{"a":1 "b":2}"#,
            r#"[1 2]"#,
            r#"[01]"#,
            r#"[1.]"#,
            r#"[.5]"#,
            r#"[1e]"#,
            r#"[-]"#,
            r#"[+1]"#,
            r#"[tru]"#,
            r#"[truex]"#,
            r#"["\x"]"#,
            r#"["\u12g4"]"#,
            "[\"\t\"]",
            r#"["a]"#,
            r#"{]"#,
            r#"[}"#,
            r#"[]]"#,
            r#"[] x"#,
            r#"["#,
            r#""a""#,
            r#""a" "#,
            r#""a"b"#,
            "{\"a\":1,\"a\":2}",
            "\u{feff}{}",
            "[1]\0",
            r#"["\ud800"]"#,
            r#"{"a":{"b":[{"c":[]}]}}"#,
            "[nul",
        ];
        let mut validator = JsonValidator::default();
        for text in texts {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(
                validator.json(text.as_bytes()).is_some(),
                expected,
                "{text}"
            );
        }
        assert_eq!(validator.json(b" 1 "), None, "a number holds no policy");
        assert_eq!(validator.json(b""), None);
    }
}
