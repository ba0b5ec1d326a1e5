//! The fields that rules are written on: what they are called, and what their values are.
//!
//! Must not know of files, batches or the host: a field is a function of a record.
#![forbid(unsafe_code)]

mod info;
mod pointer;
mod rules;
mod table;
mod value;
mod verbs;

pub use info::summary;
pub use pointer::Pointer;
pub use rules::ec2_image_ids;
pub use table::{Arg, FIELDS, Field, Kind, Property, Rule};
pub use value::{View, append_text, plain_text};

use std::ffi::CStr;

use crate::tape::Value;

/// What a field shows of a record.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// It has no value, or one that depends on an argument.
    Nothing,
    /// What [`append_text`] says of this value.
    Value(Value),
    /// The text that was appended.
    Text,
    /// One of the two texts `true` and `false`.
    Truth(bool),
    /// This number, and the value that says it, if one alone does.
    Number(u64, Option<Value>),
}

/// Applies `rule` to a record. Text that is made of several parts is appended to `out`.
#[inline]
pub fn show(rule: Rule, view: &mut View<'_>, out: &mut Vec<u8>) -> Shown {
    let of = |value: Option<Value>| value.map_or(Shown::Nothing, Shown::Value);
    match rule {
        Rule::Path(slot) => of(view.slots.value(view.tape, slot)),
        Rule::Choice(rule) => of(rule(view)),
        Rule::Told(rule) => rule(view, out),
        Rule::Text(rule) => {
            let before = out.len();
            if rule(view, out) {
                return Shown::Text;
            }
            out.truncate(before);
            Shown::Nothing
        }
        Rule::Number(rule) => {
            rule(view).map_or(Shown::Nothing, |number| Shown::Number(number, None))
        }
        Rule::Amount(slot) => rules::amount(view, slot)
            .map_or(Shown::Nothing, |(amount, value)| {
                Shown::Number(amount, Some(value))
            }),
        Rule::ImageIds | Rule::Pointer => Shown::Nothing,
    }
}

/// What a field shows of what is so or not.
pub fn truth(truth: bool) -> &'static CStr {
    if truth { c"true" } else { c"false" }
}
