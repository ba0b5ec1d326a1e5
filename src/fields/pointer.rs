//! JSON pointers (RFC 6901): the arguments of `ct.value`.

use super::value::{RecordView, member};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Tape, Value, ValueType};
use crate::key_table::KnownKey;

/// A compiled JSON pointer.
///
/// The longest prefix that is the path of a [`KnownKey`] is looked up in the record's key table; the rest is
/// followed token by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    known: Option<KnownKey>,
    rest: Vec<Token>,
}

/// One step from an object or array to a value inside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    key: Box<[u8]>,
    /// The key as an array index.
    index: Option<usize>,
}

impl Pointer {
    /// Compiles `text`, which is empty (the whole record) or starts with `/`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with a message that quotes `text`.
    pub fn compile(text: &str) -> Result<Pointer> {
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "ct.value[{text}]: {what}; a JSON pointer looks like /requestParameters/tags/0/key"
                ),
            )
        };
        let Some(path) = text.strip_prefix('/') else {
            return match text {
                "" => Ok(Pointer {
                    known: None,
                    rest: Vec::new(),
                }),
                _ => Err(invalid("the argument does not start with /")),
            };
        };
        let tokens = path
            .split('/')
            .map(|token| Token::compile(token).ok_or_else(|| invalid("~ must be written ~0")))
            .collect::<Result<Vec<_>>>()?;
        let mut known = None;
        let mut resolved = 0;
        while let Some(key) = tokens
            .get(resolved)
            .and_then(|token| KnownKey::find(known, &token.key))
        {
            known = Some(key);
            resolved += 1;
        }
        Ok(Pointer {
            known,
            rest: tokens[resolved..].to_vec(),
        })
    }

    /// The value that the pointer refers to.
    pub(crate) fn value(&self, record: &mut RecordView<'_>) -> Option<Value> {
        let start = match self.known {
            Some(key) => record.keys.value(record.tape, key)?,
            None => Value::ROOT,
        };
        self.rest
            .iter()
            .try_fold(start, |value, token| token.step(record.tape, value))
    }
}

impl Token {
    /// `None` for a `~` that is not part of `~0` or `~1`.
    fn compile(text: &str) -> Option<Token> {
        let mut key = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            key.push(match byte {
                b'~' => match bytes.next()? {
                    b'0' => b'~',
                    b'1' => b'/',
                    _ => return None,
                },
                other => other,
            });
        }
        let is_canonical = text == "0" || !text.starts_with('0');
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(Token {
            index: (is_canonical && is_number)
                .then(|| text.parse().ok())
                .flatten(),
            key: key.into_boxed_slice(),
        })
    }

    fn step(&self, tape: Tape<'_>, value: Value) -> Option<Value> {
        match tape.value_type(value) {
            ValueType::Object => member(tape, value, &self.key),
            ValueType::Array => tape.elements(value).nth(self.index?),
            ValueType::String | ValueType::Scalar => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Scan, Scanner, TapeBuffer};
    use crate::key_table::{KeyTable, RecordIndex};

    /// The example of RFC 6901, section 5, with a known key added.
    const RECORD: &str = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,
        "k\"l":6," ":7,"m~n":8,"userIdentity":{"type":"Root","x":{"y":9}},"0":10}"#;

    fn at(pointer: &str) -> Option<String> {
        let mut tapes = TapeBuffer::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(RECORD.as_bytes(), &mut tapes)
        else {
            panic!("not whole");
        };
        let tape = tapes.tape(tape, RECORD.as_bytes());
        let mut keys = KeyTable::default();
        keys.reset(&RecordIndex::of(tape));
        let mut record = RecordView {
            tape,
            keys: &mut keys,
        };
        let value = Pointer::compile(pointer)
            .expect(pointer)
            .value(&mut record)?;
        Some(String::from_utf8_lossy(tape.raw(value)).into_owned())
    }

    #[test]
    fn the_examples_of_the_rfc_are_resolved() {
        for (pointer, expected) in [
            ("", RECORD),
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
            ("/0", "10"),
        ] {
            assert_eq!(at(pointer).as_deref(), Some(expected), "{pointer}");
        }
    }

    #[test]
    fn a_pointer_may_continue_below_a_known_key() {
        assert_eq!(at("/userIdentity/type").as_deref(), Some(r#""Root""#));
        assert_eq!(at("/userIdentity/x/y").as_deref(), Some("9"));
        assert_eq!(at("/userIdentity/type/x"), None);
    }

    #[test]
    fn an_array_index_has_no_sign_and_no_leading_zero() {
        for pointer in [
            "/foo/2",
            "/foo/00",
            "/foo/-",
            "/foo/+1",
            "/foo/99999999999999999999",
        ] {
            assert_eq!(at(pointer), None, "{pointer}");
        }
    }

    #[test]
    fn malformed_pointers_are_rejected() {
        for pointer in ["a", "/a~", "/a~2b"] {
            assert!(Pointer::compile(pointer).is_err(), "{pointer}");
        }
    }
}
