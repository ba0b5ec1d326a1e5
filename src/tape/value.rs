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

    /// Whether `value` is the literal `null`.
    #[inline]
    pub fn is_null(&self, value: Value) -> bool {
        self.first_byte(value.0) == b'n' && self.raw(value) == b"null"
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
        Members(self.inside(value, b'{'))
    }

    /// The elements of an array in their order; none for other kinds.
    pub fn elements(&self, value: Value) -> Elements<'t> {
        Elements(self.inside(value, b'['))
    }

    #[inline]
    fn inside(&self, value: Value, bracket: u8) -> Inside<'t> {
        let (next, end, container) = match self.container(value) {
            Some((number, container)) if self.first_byte(value.0) == bracket => {
                (container.open + 1, container.close, number as u32 + 1)
            }
            _ => (0, 0, 0),
        };
        Inside {
            tape: *self,
            next,
            end,
            container,
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
}

/// Where a walk through a container stands.
#[derive(Clone, Debug)]
struct Inside<'t> {
    tape: Tape<'t>,
    /// Entry of the next value.
    next: u32,
    /// Entry of the closing bracket.
    end: u32,
    /// Number of the first container that starts at or behind `next`.
    container: u32,
}

impl Inside<'_> {
    /// Passes over the value at `entry`, which starts with this byte.
    #[inline(always)]
    fn skip(&mut self, entry: u32, first: u8) {
        self.next = match first {
            b'"' => entry + 2,
            b'{' | b'[' => match self.tape.containers.get(self.container as usize) {
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
pub struct Members<'t>(Inside<'t>);

impl<'t> Iterator for Members<'t> {
    /// The key as it stands between its quotes, and the value.
    type Item = (&'t [u8], Value);

    // Half of the work on a record is this loop. Inlined, its state stays in registers.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Members(inside) = self;
        while inside.next < inside.end {
            let key = inside.next;
            // The key's two quotes and the first byte of what follows. Nearly always that is its
            // value, behind a colon and nothing else: one check for all of it.
            let tape = inside.tape;
            let &[open, close, value] = tape.entries.get(key as usize..)?.first_chunk()?;
            if value == close.wrapping_add(2)
                && key + 2 < inside.end
                && let [b'"', name @ .., b'"', b':', first] =
                    tape.text.get(open as usize..=value as usize)?
            {
                inside.skip(key + 2, *first);
                return Some((name, Value(key + 2)));
            }
            if let Some(name) = inside.odd_member() {
                return Some((name, Value(key + 2)));
            }
        }
        None
    }
}

impl<'t> Inside<'t> {
    /// A step of [`Members`] where something stands between key and value, or one of them is
    /// missing: the member's name, if it is one.
    #[cold]
    fn odd_member(&mut self) -> Option<&'t [u8]> {
        let (tape, key, value) = (self.tape, self.next, self.next + 2);
        let Some(name) = tape.string(Value(key)) else {
            self.skip(key, tape.first_byte(key));
            return None;
        };
        if value >= self.end {
            self.next = self.end;
            return None;
        }
        let behind_key = tape.place(key + 1) + 1;
        let between = tape.text.get(behind_key..tape.place(value));
        if between.is_none_or(|between| between.trim_ascii() != b":") {
            self.next = value;
            return None;
        }
        self.skip(value, tape.first_byte(value));
        Some(name)
    }
}

/// Iterates over the elements of an array; made by [`Tape::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'t>(Inside<'t>);

impl Iterator for Elements<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let Elements(inside) = self;
        if inside.next >= inside.end {
            return None;
        }
        let value = inside.next;
        inside.skip(value, inside.tape.first_byte(value));
        Some(Value(value))
    }
}

/// Length of a number or literal: up to the next character that can stand behind one.
#[inline]
fn scalar_len(text: &[u8]) -> usize {
    text.iter()
        .position(|&byte| ENDS_SCALAR[usize::from(byte)])
        .unwrap_or(text.len())
}

static ENDS_SCALAR: [bool; 256] = {
    let mut ends = [false; 256];
    let bytes = b",:]}[{\" \t\r\n";
    let mut at = 0;
    while at < bytes.len() {
        ends[bytes[at] as usize] = true;
        at += 1;
    }
    ends
};
