//! JSON pointers (RFC 6901): the arguments of `ct.value` and `ct.num`.

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
    rest: Box<[Token]>,
}

/// One step from an object or array to a value inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
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
        Ok(Pointer::of(&tokens("ct.value", text)?))
    }

    /// The pointer with these tokens.
    pub(super) fn of(tokens: &[Token]) -> Pointer {
        let mut known = None;
        let mut resolved = 0;
        while let Some(key) = tokens
            .get(resolved)
            .and_then(|token| KnownKey::find(known, &token.key))
        {
            known = Some(key);
            resolved += 1;
        }
        Pointer {
            known,
            rest: tokens[resolved..].into(),
        }
    }

    /// The value that the pointer refers to.
    pub(crate) fn value(&self, record: &mut RecordView<'_>) -> Option<Value> {
        let start = match self.known {
            Some(key) => record.keys.value(record.tape, key)?,
            None => Value::ROOT,
        };
        follow(record.tape, start, &self.rest)
    }
}

/// Compiles the tokens of `text`, the argument of `field`.
///
/// # Errors
/// [`ErrorKind::Config`] with a message that quotes `text`.
pub(super) fn tokens(field: &str, text: &str) -> Result<Vec<Token>> {
    match text.strip_prefix('/') {
        Some(path) => path
            .split('/')
            .map(|token| {
                Token::compile(token).ok_or_else(|| invalid(field, text, "~ must be written ~0"))
            })
            .collect(),
        None if text.is_empty() => Ok(Vec::new()),
        None => Err(invalid(field, text, "the argument does not start with /")),
    }
}

/// The error for an argument of `field` that cannot be compiled.
pub(super) fn invalid(field: &str, text: &str, problem: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "{field}[{text}]: {problem}; a JSON pointer looks like /requestParameters/tags/0/key"
        ),
    )
}

/// The value that `tokens` lead to from `value`.
pub(super) fn follow(tape: Tape<'_>, value: Value, tokens: &[Token]) -> Option<Value> {
    tokens
        .iter()
        .try_fold(value, |value, token| token.step(tape, value))
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

    /// Whether this is the token `text`, which has no `~`.
    pub(super) fn is(&self, text: &str) -> bool {
        *self.key == *text.as_bytes()
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
pub(super) mod tests {
    use super::*;
    use crate::json::{Scan, Scanner, TapeBuffer};
    use crate::key_table::{KeyTable, RecordIndex};

    /// The example of RFC 6901, section 5, with a known key added.
    const RECORD: &str = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,
        "k\"l":6," ":7,"m~n":8,"userIdentity":{"type":"Root","x":{"y":9}},"0":10}"#;

    /// Runs `test` with a view of a record.
    pub(in crate::fields) fn with_record<T>(
        text: &str,
        test: impl FnOnce(&mut RecordView<'_>) -> T,
    ) -> T {
        let mut tapes = TapeBuffer::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(text.as_bytes(), &mut tapes) else {
            panic!("not whole: {text}");
        };
        let tape = tapes.tape(tape, text.as_bytes());
        let keys = &mut KeyTable::default();
        keys.reset(&RecordIndex::of(tape));
        test(&mut RecordView { tape, keys })
    }

    fn at(pointer: &str) -> Option<String> {
        let pointer = Pointer::compile(pointer).expect(pointer);
        with_record(RECORD, |record| {
            let value = pointer.value(record)?;
            Some(String::from_utf8_lossy(record.tape.raw(value)).into_owned())
        })
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
