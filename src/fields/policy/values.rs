//! JSON values as policies use them: names without regard to case, and a value in place of a list of one.
#![forbid(unsafe_code)]

use memchr::memchr;

use crate::json::{Tape, Value, ValueType, text};

/// The text of a string; `inside` is the text between its quotes. Uses `scratch` if there are escapes.
pub(super) fn unescaped<'a>(inside: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr(b'\\', inside).is_none() {
        return inside;
    }
    scratch.clear();
    text::unescape(inside, scratch);
    scratch
}

/// The text of a string, number or boolean.
pub(super) fn text_of<'a>(
    tape: Tape<'a>,
    value: Value,
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    match tape.value_type(value) {
        ValueType::String => Some(unescaped(tape.string(value)?, scratch)),
        ValueType::Scalar if tape.is_null(value) => None,
        ValueType::Scalar => Some(tape.raw(value)),
        ValueType::Object | ValueType::Array => None,
    }
}

/// Calls `each` with the text of `value`, or with those of its elements if it is an array; with `None` for elements that
/// have no text. Ends when `each` returns `false`.
pub(super) fn each_text(
    tape: Tape<'_>,
    value: Value,
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(Option<&[u8]>) -> bool,
) {
    if tape.value_type(value) != ValueType::Array {
        each(text_of(tape, value, scratch));
        return;
    }
    for element in tape.elements(value) {
        if !each(text_of(tape, element, scratch)) {
            return;
        }
    }
}

/// Whether `value` is the text `expected`, or a list that contains it.
pub(super) fn contains(
    tape: Tape<'_>,
    value: Value,
    expected: &[u8],
    scratch: &mut Vec<u8>,
) -> bool {
    let mut found = false;
    each_text(tape, value, scratch, |text| {
        found = text == Some(expected);
        !found
    });
    found
}

/// The values of the members of `object` with these names, compared without case; `None` if missing or null. The first of
/// two equal names counts.
pub(super) fn members<const N: usize>(
    tape: Tape<'_>,
    object: Value,
    names: [&str; N],
    scratch: &mut Vec<u8>,
) -> [Option<Value>; N] {
    let mut values = [None; N];
    for (name, value) in tape.members(object) {
        let name = unescaped(name, scratch);
        let number = names
            .iter()
            .position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if let Some(found) = number.and_then(|number| values.get_mut(number))
            && found.is_none()
        {
            *found = Some(value);
        }
    }
    values.map(|value| value.filter(|value| !tape.is_null(*value)))
}
