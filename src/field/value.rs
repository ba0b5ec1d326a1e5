//! A JSON value to the text that a field shows.

use crate::slots::{Slot, Slots};
use crate::tape::{Kind, Tape, Value};
use crate::text;
use std::borrow::Cow;

/// One record, as field rules look at it.
#[derive(Debug)]
pub struct View<'r> {
    /// The record's tape.
    pub tape: Tape<'r>,
    /// Where its keys are.
    pub slots: &'r mut Slots,
}

impl<'r> View<'r> {
    /// The value at `slot`, unless it is missing or null.
    pub fn value(&mut self, slot: Slot) -> Option<Value> {
        let value = self.slots.value(self.tape, slot)?;
        (!self.tape.is_null(value)).then_some(value)
    }

    /// Appends the text of the value at `slot`. `false`: there is none.
    pub fn append(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        match self.slots.value(self.tape, slot) {
            Some(value) => append_text(self.tape, value, out),
            None => false,
        }
    }

    /// The text of the value at `slot`, to compare it with something.
    pub fn text(&mut self, slot: Slot) -> Option<Cow<'r, [u8]>> {
        let value = self.slots.value(self.tape, slot)?;
        text_of(self.tape, value)
    }
}

/// Appends what a field shows of a value: a string's unescaped text, a number or literal as it is
/// written, a container without white space between its tokens. All end at an embedded NUL, as C
/// strings do. `false`: it is null.
pub fn append_text(tape: Tape<'_>, value: Value, out: &mut Vec<u8>) -> bool {
    if let Some(plain) = plain_text(tape, value) {
        out.extend_from_slice(plain);
        return true;
    }
    let start = out.len();
    match tape.kind(value) {
        Kind::String => match tape.string(value) {
            Some(inside) => text::unescape(inside, out),
            None => return false,
        },
        Kind::Scalar if tape.is_null(value) => return false,
        Kind::Scalar => text::push_lossy(tape.raw(value), out),
        Kind::Object | Kind::Array => text::compact(tape.raw(value), out),
    }
    if let Some(nul) = memchr::memchr(0, &out[start..]) {
        out.truncate(start + nul);
    }
    true
}

/// The bytes of a string that can be shown as they stand there: valid UTF-8 without an escape or
/// a NUL. That is nearly every string.
#[inline]
pub fn plain_text<'r>(tape: Tape<'r>, value: Value) -> Option<&'r [u8]> {
    let inside = tape.string(value)?;
    (tape.is_plain() || is_plain(inside)).then_some(inside)
}

#[inline]
fn is_plain(inside: &[u8]) -> bool {
    // Without an early exit the loop compiles to vector code.
    let (mut odd, mut not_ascii) = (false, false);
    for &byte in inside {
        odd |= byte == b'\\' || byte == 0;
        not_ascii |= byte >= 0x80;
    }
    !odd && (!not_ascii || std::str::from_utf8(inside).is_ok())
}

/// The text of a value, borrowed where that is possible.
pub(super) fn text_of<'r>(tape: Tape<'r>, value: Value) -> Option<Cow<'r, [u8]>> {
    if let Some(plain) = plain_text(tape, value) {
        return Some(Cow::Borrowed(plain));
    }
    if tape.kind(value) == Kind::Scalar
        && let raw = tape.raw(value)
        && is_plain(raw)
    {
        return (!tape.is_null(value)).then_some(Cow::Borrowed(raw));
    }
    let mut out = Vec::new();
    append_text(tape, value, &mut out).then_some(Cow::Owned(out))
}

/// The first member of `object` with this key.
pub(super) fn member(tape: Tape<'_>, object: Value, name: &str) -> Option<Value> {
    tape.members(object)
        .find(|(key, _)| key_is(key, name.as_bytes()))
        .map(|(_, value)| value)
}

/// Does the inside of a key say `name`?
pub(super) fn key_is(key: &[u8], name: &[u8]) -> bool {
    if key == name {
        return true;
    }
    if !key.contains(&b'\\') && key.is_ascii() {
        return false;
    }
    let mut text = Vec::new();
    text::unescape(key, &mut text);
    text == name
}
