//! Access to the values of one record through its tape.
#![forbid(unsafe_code)]

use super::tape::Container;

/// One record's tape together with the text that it was made from.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'t> {
    text: &'t [u8],
    entries: &'t [u32],
    containers: &'t [Container],
    plain: bool,
}

/// A value of a [`Tape`]: the number of its first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub u32);

impl Value {
    /// The outermost value.
    pub const ROOT: Value = Value(0);
}

/// JSON type of a value, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, `true`, `false`, `null`, or any other unquoted text.
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

    /// Whether the whole text is ASCII without a backslash or a NUL. Then the inside every
    /// string is its text: valid UTF-8, nothing to unescape, no NUL that would end a C string.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The record's text.
    pub fn text(&self) -> &'t [u8] {
        self.text
    }

    /// The type of `value`.
    #[inline]
    pub fn value_type(&self, value: Value) -> ValueType {
        match self.first_byte(value.0) {
            b'"' => ValueType::String,
            b'{' => ValueType::Object,
            b'[' => ValueType::Array,
            _ => ValueType::Scalar,
        }
    }

    /// Offset of `value` in the text, in bytes.
    #[inline]
    pub fn start(&self, value: Value) -> usize {
        self.offset(value.0)
    }

    /// The JSON text of `value`, with a string's quotes and a container's brackets.
    pub fn raw(&self, value: Value) -> &'t [u8] {
        let start = self.offset(value.0);
        let end = match self.first_byte(value.0) {
            b'"' => self.offset(value.0 + 1) + 1,
            b'{' | b'[' => {
                let close = self.container(value).map_or(value.0, |c| c.1.close);
                self.offset(close) + 1
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

    /// The text between the quotes of a string, still escaped; `None` for other types.
    #[inline]
    pub fn string(&self, value: Value) -> Option<&'t [u8]> {
        if self.first_byte(value.0) != b'"' {
            return None;
        }
        let start = self.offset(value.0) + 1;
        self.text.get(start..self.offset(value.0 + 1))
    }

    /// The members of an object, in the text's order; empty for other types.
    #[inline]
    pub fn members(&self, value: Value) -> Members<'t> {
        Members(self.cursor(value, b'{'))
    }

    /// The elements of an array, in the text's order; empty for other types.
    pub fn elements(&self, value: Value) -> Elements<'t> {
        Elements(self.cursor(value, b'['))
    }

    /// The objects and arrays of `value`, itself included, in the order of their opening brackets.
    pub(crate) fn containers(&self, value: Value) -> impl Iterator<Item = Value> + use<'t> {
        let range = match self.container(value) {
            Some((number, container)) => number..container.next as usize,
            None => 0..0,
        };
        let containers = self.containers.get(range).unwrap_or_default();
        containers.iter().map(|container| Value(container.open))
    }

    #[inline]
    fn cursor(&self, value: Value, bracket: u8) -> Cursor<'t> {
        let (entry, end, container) = match self.container(value) {
            Some((number, container)) if self.first_byte(value.0) == bracket => {
                (container.open + 1, container.close, number as u32 + 1)
            }
            _ => (0, 0, 0),
        };
        Cursor {
            tape: *self,
            entry,
            end,
            container,
        }
    }

    /// The container that opens at `value`, and its number.
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

    /// The offset at `entry`; the end of the text if there is no such entry.
    #[inline]
    fn offset(&self, entry: u32) -> usize {
        self.entries
            .get(entry as usize)
            .map_or(self.text.len(), |&offset| offset as usize)
    }

    #[inline]
    fn first_byte(&self, entry: u32) -> u8 {
        self.text.get(self.offset(entry)).copied().unwrap_or(0)
    }
}

/// Position of an iteration over a container's content.
#[derive(Clone, Debug)]
struct Cursor<'t> {
    tape: Tape<'t>,
    /// Entry of the next value.
    entry: u32,
    /// Entry of the closing bracket.
    end: u32,
    /// Number of the first container that opens at `entry` or later.
    container: u32,
}

impl Cursor<'_> {
    /// Moves past the value at `entry`, whose first byte is `first`.
    #[inline(always)]
    fn skip(&mut self, entry: u32, first: u8) {
        self.entry = match first {
            b'"' => entry + 2,
            b'{' | b'[' => match self.tape.containers.get(self.container as usize) {
                Some(container) => {
                    self.container = container.next;
                    container.close + 1
                }
                None => self.end,
            },
            _ => entry + 1,
        };
    }
}

/// Iterator over the members of an object; see [`Tape::members`].
///
/// Skips values without a key and keys without a value.
#[derive(Clone, Debug)]
pub struct Members<'t>(Cursor<'t>);

impl<'t> Iterator for Members<'t> {
    /// The key between its quotes, still escaped, and the value.
    type Item = (&'t [u8], Value);

    // Half of the work on a record is this loop; inlined, it keeps the cursor in registers.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Members(cursor) = self;
        while cursor.entry < cursor.end {
            let key = cursor.entry;
            // A key's quotes and the first byte after them. CloudTrail writes nothing but a colon
            // between key and value, so one bounds check covers all of it.
            let tape = cursor.tape;
            let &[open, close, value] = tape.entries.get(key as usize..)?.first_chunk()?;
            if value == close.wrapping_add(2)
                && key + 2 < cursor.end
                && let [b'"', name @ .., b'"', b':', first] =
                    tape.text.get(open as usize..=value as usize)?
            {
                cursor.skip(key + 2, *first);
                return Some((name, Value(key + 2)));
            }
            if let Some(name) = cursor.irregular_member() {
                return Some((name, Value(key + 2)));
            }
        }
        None
    }
}

impl<'t> Cursor<'t> {
    /// One step over a member with white space around its colon, or over something that is not a
    /// member. Returns the name if it is one.
    #[cold]
    fn irregular_member(&mut self) -> Option<&'t [u8]> {
        let (tape, key, value) = (self.tape, self.entry, self.entry + 2);
        let Some(name) = tape.string(Value(key)) else {
            self.skip(key, tape.first_byte(key));
            return None;
        };
        if value >= self.end {
            self.entry = self.end;
            return None;
        }
        let key_end = tape.offset(key + 1) + 1;
        let between = tape.text.get(key_end..tape.offset(value));
        if between.is_none_or(|between| between.trim_ascii() != b":") {
            self.entry = value;
            return None;
        }
        self.skip(value, tape.first_byte(value));
        Some(name)
    }
}

/// Iterator over the elements of an array; see [`Tape::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'t>(Cursor<'t>);

impl Iterator for Elements<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let Elements(cursor) = self;
        if cursor.entry >= cursor.end {
            return None;
        }
        let value = cursor.entry;
        cursor.skip(value, cursor.tape.first_byte(value));
        Some(Value(value))
    }
}

/// Length of the number, literal or other unquoted text that `text` starts with: up to a separator
/// or quote.
#[inline]
pub(crate) fn scalar_len(text: &[u8]) -> usize {
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
