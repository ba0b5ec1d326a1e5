//! Reads values through a tape: what kind, where, and what is inside.
#![forbid(unsafe_code)]

use super::Container;

/// One record's tape together with the text that it was made from.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'t> {
    text: &'t [u8],
    entries: &'t [u32],
    containers: &'t [Container],
    plain: bool,
}

/// A value of a [`Tape`], by the number of its first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub u32);

impl Value {
    /// The outermost value.
    pub const ROOT: Value = Value(0);
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, `true`, `false`, `null`, or whatever else stands there unquoted.
    Scalar,
}

impl<'t> Tape<'t> {
    pub(super) fn new(
        text: &'t [u8],
        entries: &'t [u32],
        containers: &'t [Container],
        plain: bool,
    ) -> Self {
        Tape {
            text,
            entries,
            containers,
            plain,
        }
    }

    /// Whether the text is ASCII without a backslash or a NUL, so that every string in it can be
    /// shown as it stands there.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The text that the tape is of.
    pub fn text(&self) -> &'t [u8] {
        self.text
    }

    /// What `value` is.
    #[inline]
    pub fn kind(&self, value: Value) -> Kind {
        match self.first_byte(value.0) {
            b'"' => Kind::String,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            _ => Kind::Scalar,
        }
    }

    /// Where in the text `value` starts, in bytes.
    #[inline]
    pub fn start(&self, value: Value) -> usize {
        self.place(value.0)
    }

    /// The text of `value` as it stands there: the quotes of a string and the brackets of a
    /// container included.
    pub fn raw(&self, value: Value) -> &'t [u8] {
        let start = self.place(value.0);
        let end = match self.first_byte(value.0) {
            b'"' => self.place(value.0 + 1) + 1,
            b'{' | b'[' => {
                let close = self.container(value).map_or(value.0, |c| c.1.close);
                self.place(close) + 1
            }
            _ => start + scalar_len(self.text.get(start..).unwrap_or_default()),
        };
        self.text.get(start..end).unwrap_or_default()
    }

    /// What stands between the quotes of a string, escapes and all; `None` for other kinds.
    #[inline]
    pub fn string(&self, value: Value) -> Option<&'t [u8]> {
        if self.first_byte(value.0) != b'"' {
            return None;
        }
        let start = self.place(value.0) + 1;
        self.text.get(start..self.place(value.0 + 1))
    }

    /// The members of an object in their order; none for other kinds.
    #[inline]
    pub fn members(&self, value: Value) -> Members<'t> {
        let inside = match self.first_byte(value.0) {
            b'{' => self.inside(value),
            _ => Inside::default(),
        };
        Members {
            tape: *self,
            inside,
        }
    }

    /// The elements of an array in their order; none for other kinds.
    pub fn elements(&self, value: Value) -> Elements<'t> {
        let inside = match self.first_byte(value.0) {
            b'[' => self.inside(value),
            _ => Inside::default(),
        };
        Elements {
            tape: *self,
            inside,
        }
    }

    fn inside(&self, value: Value) -> Inside {
        match self.container(value) {
            Some((number, container)) => Inside {
                next: container.open + 1,
                end: container.close,
                container: number as u32 + 1,
            },
            None => Inside::default(),
        }
    }

    /// The container that opens at `value`, and its number. They are sorted by where they open.
    #[inline]
    fn container(&self, value: Value) -> Option<(usize, Container)> {
        let number = if value == Value::ROOT {
            0
        } else {
            self.containers
                .binary_search_by_key(&value.0, |container| container.open)
                .ok()?
        };
        Some((number, *self.containers.get(number)?))
    }

    #[inline]
    fn place(&self, entry: u32) -> usize {
        self.entries
            .get(entry as usize)
            .map_or(self.text.len(), |&place| place as usize)
    }

    #[inline]
    fn first_byte(&self, entry: u32) -> u8 {
        self.text.get(self.place(entry)).copied().unwrap_or(0)
    }

    /// Whether nothing but white space and exactly one colon stands between two places.
    #[inline]
    fn colon_between(&self, from: usize, to: usize) -> bool {
        match self.text.get(from..to) {
            Some(b":") => true,
            Some(between) => between.trim_ascii() == b":",
            None => false,
        }
    }
}

/// Where a walk through a container stands.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    /// Entry of the next value.
    next: u32,
    /// Entry of the closing bracket.
    end: u32,
    /// Number of the first container that starts at or behind `next`.
    container: u32,
}

impl Inside {
    /// Passes over the value at `entry`.
    #[inline]
    fn skip(&mut self, tape: &Tape<'_>, entry: u32) {
        self.next = match tape.first_byte(entry) {
            b'"' => entry + 2,
            b'{' | b'[' => match tape.containers.get(self.container as usize) {
                Some(container) => {
                    self.container = container.after;
                    container.close + 1
                }
                None => self.end,
            },
            _ => entry + 1,
        };
    }
}

/// Iterates over the members of an object; made by [`Tape::members`].
///
/// What is no member (a value without a key, a key without a value) is passed over.
#[derive(Clone, Debug)]
pub struct Members<'t> {
    tape: Tape<'t>,
    inside: Inside,
}

impl<'t> Iterator for Members<'t> {
    /// The key as it stands between its quotes, and the value.
    type Item = (&'t [u8], Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.inside.next < self.inside.end {
            let key = self.inside.next;
            let Some(name) = self.tape.string(Value(key)) else {
                self.inside.skip(&self.tape, key);
                continue;
            };
            let value = key + 2;
            if value >= self.inside.end {
                break;
            }
            let behind_key = self.tape.place(key + 1) + 1;
            if !self.tape.colon_between(behind_key, self.tape.place(value)) {
                self.inside.next = value;
                continue;
            }
            self.inside.skip(&self.tape, value);
            return Some((name, Value(value)));
        }
        None
    }
}

/// Iterates over the elements of an array; made by [`Tape::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'t> {
    tape: Tape<'t>,
    inside: Inside,
}

impl Iterator for Elements<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        if self.inside.next >= self.inside.end {
            return None;
        }
        let value = self.inside.next;
        self.inside.skip(&self.tape, value);
        Some(Value(value))
    }
}

/// Length of a number or literal: up to the next character that can stand behind one.
#[inline]
fn scalar_len(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| {
            matches!(
                byte,
                b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | b' ' | b'\t' | b'\r' | b'\n'
            )
        })
        .unwrap_or(text.len())
}
