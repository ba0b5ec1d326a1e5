//! JSON pointers (RFC 6901), compiled once for each distinct argument of `ct.value`.

use super::value::{View, key_is};
use crate::error::{Error, ErrorKind, Result};
use crate::slots::Slot;
use crate::tape::{Kind, Tape, Value};

/// A compiled pointer. What it shares with the paths of the named fields is looked up as theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    known: Option<Slot>,
    rest: Vec<Token>,
}

/// One step from a value to a value inside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    key: Box<[u8]>,
    /// The same as a place in an array.
    index: Option<usize>,
}

impl Pointer {
    /// Compiles `text`, which is empty (the whole record) or starts with `/`.
    pub fn compile(text: &str) -> Result<Pointer> {
        let refused = |what: &str| {
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
                _ => Err(refused("the argument does not start with /")),
            };
        };
        let tokens = path
            .split('/')
            .map(|token| Token::compile(token).ok_or_else(|| refused("~ must be written ~0")))
            .collect::<Result<Vec<_>>>()?;
        let mut known = None;
        let mut resolved = 0;
        while let Some(slot) = tokens
            .get(resolved)
            .and_then(|token| Slot::find(known, &token.key))
        {
            known = Some(slot);
            resolved += 1;
        }
        Ok(Pointer {
            known,
            rest: tokens[resolved..].to_vec(),
        })
    }

    /// The value that the pointer leads to.
    pub fn value(&self, view: &mut View<'_>) -> Option<Value> {
        let start = match self.known {
            Some(slot) => view.slots.value(view.tape, slot)?,
            None => Value::ROOT,
        };
        self.rest
            .iter()
            .try_fold(start, |value, token| token.step(view.tape, value))
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
        let is_index = text == "0" || !text.starts_with('0');
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Some(Token {
            index: (is_index && digits).then(|| text.parse().ok()).flatten(),
            key: key.into_boxed_slice(),
        })
    }

    fn step(&self, tape: Tape<'_>, value: Value) -> Option<Value> {
        match tape.kind(value) {
            Kind::Object => tape
                .members(value)
                .find(|(key, _)| key_is(key, &self.key))
                .map(|(_, member)| member),
            Kind::Array => tape.elements(value).nth(self.index?),
            Kind::String | Kind::Scalar => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::{RecordSlots, Slots};
    use crate::tape::{Scan, Scanner, Tapes};

    /// RFC 6901, section 5, inside of a record.
    const RECORD: &str = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,
        "k\"l":6," ":7,"m~n":8,"userIdentity":{"type":"Root","x":{"y":9}},"0":10}"#;

    fn at(pointer: &str) -> Option<String> {
        let mut tapes = Tapes::default();
        let Scan::Whole { tape, .. } = Scanner::default().scan(RECORD.as_bytes(), &mut tapes)
        else {
            panic!("not whole");
        };
        let tape = tapes.tape(tape, RECORD.as_bytes());
        let mut slots = Slots::default();
        slots.reset(&RecordSlots::of(tape));
        let mut view = View {
            tape,
            slots: &mut slots,
        };
        let value = Pointer::compile(pointer).expect(pointer).value(&mut view)?;
        Some(String::from_utf8_lossy(tape.raw(value)).into_owned())
    }

    #[test]
    fn the_standard_s_examples_hold() {
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
    fn known_and_unknown_keys_mix() {
        assert_eq!(at("/userIdentity/type").as_deref(), Some(r#""Root""#));
        assert_eq!(at("/userIdentity/x/y").as_deref(), Some("9"));
        assert_eq!(at("/userIdentity/type/x"), None);
    }

    #[test]
    fn array_places_are_plain_numbers() {
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
    fn what_is_no_pointer_is_refused() {
        for pointer in ["a", "/a~", "/a~2b"] {
            assert!(Pointer::compile(pointer).is_err(), "{pointer}");
        }
    }
}
