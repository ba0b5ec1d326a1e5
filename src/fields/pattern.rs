//! JSON pointers with wildcards: the arguments of `ct.values`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::pointer::{self, Pointer, Token};
use super::value::RecordView;
use crate::error::Result;
use crate::json::text::unescaped;
use crate::json::{Tape, Value, ValueType};

/// Most values that a pattern yields; further ones are left out. A rule compares with each of them.
const MAX_VALUES: usize = 1024;

/// Most wildcards of a pattern: each is a call deep.
const MAX_WILDCARDS: usize = 64;

/// A compiled pointer in which `*` stands for every element of an array, or every member of an object.
///
/// The work for a record is bounded by its length times the number of wildcards: no value is visited twice at one
/// place of the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What is before the first wildcard.
    start: Pointer,
    /// What follows each wildcard, up to the next.
    rest: Vec<Box<[Token]>>,
}

impl Pattern {
    /// Compiles `text`: a JSON pointer some of whose tokens are `*`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::error::ErrorKind) with a message that quotes `text`.
    pub fn compile(text: &str) -> Result<Pattern> {
        let field = "ct.values";
        let tokens = pointer::tokens(field, text)?;
        let mut parts = tokens.split(|token| token.is("*"));
        let start = Pointer::of(parts.next().unwrap_or_default());
        let rest: Vec<Box<[Token]>> = parts.map(Into::into).collect();
        if rest.len() > MAX_WILDCARDS {
            let problem = format!("more than {MAX_WILDCARDS} wildcards");
            return Err(pointer::invalid(field, text, &problem));
        }
        Ok(Pattern { start, rest })
    }

    /// Calls `each` with the values that the pattern matches and that are not null, in the record's order.
    pub(crate) fn values(&self, record: &mut RecordView<'_>, each: &mut dyn FnMut(Value)) {
        if let Some(start) = self.start.value(record) {
            let mut remaining = MAX_VALUES;
            let each = &mut |value| {
                if record.tape.is_null(value) {
                    return ControlFlow::Continue(());
                }
                each(value);
                remaining -= 1;
                match remaining {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            };
            let _ = visit(record.tape, start, &self.rest, each);
        }
    }
}

/// Calls `each` with the values that `rest` matches below `value`, until it breaks.
fn visit(
    tape: Tape<'_>,
    value: Value,
    rest: &[Box<[Token]>],
    each: &mut dyn FnMut(Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some((tokens, rest)) = rest.split_first() else {
        return each(value);
    };
    let mut child = |value| match pointer::follow(tape, value, tokens) {
        Some(value) => visit(tape, value, rest, each),
        None => ControlFlow::Continue(()),
    };
    match tape.value_type(value) {
        ValueType::Array => tape.elements(value).try_for_each(child),
        ValueType::Object => {
            let mut names = Names::default();
            tape.members(value)
                .try_for_each(|(name, value)| match names.insert(tape, name) {
                    true => child(value),
                    false => ControlFlow::Continue(()),
                })
        }
        ValueType::String | ValueType::Scalar => ControlFlow::Continue(()),
    }
}

/// The names of an object's members so far: of two members with one name, the first counts.
#[derive(Default)]
struct Names<'t> {
    /// The first ones; most objects have no more.
    few: [&'t [u8]; Names::FEW],
    len: usize,
    /// All, if there are more.
    many: HashSet<Cow<'t, [u8]>>,
}

impl<'t> Names<'t> {
    const FEW: usize = 16;

    /// Adds a name, as it stands between its quotes. Returns whether it is new.
    fn insert(&mut self, tape: Tape<'t>, name: &'t [u8]) -> bool {
        let plain = tape.is_plain() || name.is_ascii() && !name.contains(&b'\\');
        if plain && self.many.is_empty() {
            if self.few[..self.len].contains(&name) {
                return false;
            }
            if let Some(free) = self.few.get_mut(self.len) {
                *free = name;
                self.len += 1;
                return true;
            }
        }
        if self.many.is_empty() {
            let few = self.few[..self.len].iter();
            self.many.extend(few.map(|name| Cow::Borrowed(*name)));
        }
        self.many.insert(match plain {
            true => Cow::Borrowed(name),
            false => Cow::Owned(unescaped(name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::pointer::tests::with_record;

    fn values(record: &str, pattern: &str) -> Vec<String> {
        let pattern = Pattern::compile(pattern).expect(pattern);
        with_record(record, |record| {
            let (mut values, tape) = (Vec::new(), record.tape);
            pattern.values(record, &mut |value| {
                values.push(String::from_utf8_lossy(tape.raw(value)).into_owned());
            });
            values
        })
    }

    #[test]
    fn wildcard_stands_for_every_element_and_every_member() {
        let record = r#"{"a":[{"b":1},{"c":2},3,{"b":null},{"b":[4]}],"d":{"x":5,"y":6}}"#;
        assert_eq!(values(record, "/a/*/b"), ["1", "[4]"]);
        assert_eq!(values(record, "/d/*"), ["5", "6"]);
        assert_eq!(values(record, "/*/4/b"), ["[4]"]);
        assert_eq!(values(record, "/a/*/*"), ["1", "2", "[4]"]);
        assert_eq!(values(record, "/a/*/b/*"), ["4"]);
        assert_eq!(values(record, "/d/x/*"), [""; 0]);
    }

    #[test]
    fn pattern_without_wildcard_yields_one_value() {
        assert_eq!(values(r#"{"a":[1,2]}"#, "/a/1"), ["2"]);
        assert_eq!(values(r#"{"a":null}"#, "/a"), [""; 0]);
        assert_eq!(values("{}", ""), ["{}"]);
    }

    #[test]
    fn first_of_two_equal_members_counts_escaped_or_not() {
        let record = r#"{"a":{"k":1,"\u006b":2,"l":3,"k":4}}"#;
        assert_eq!(values(record, "/a/*"), ["1", "3"]);
        let many: Vec<_> = (0..40).map(|at| format!(r#""{}":{at}"#, at % 30)).collect();
        let record = format!(r#"{{"a":{{{}}}}}"#, many.join(","));
        assert_eq!(values(&record, "/a/*").len(), 30);
    }

    #[test]
    fn values_are_limited_in_number() {
        let record = format!(r#"{{"a":[[{}0],[1]]}}"#, "0,".repeat(5000));
        assert_eq!(values(&record, "/a/*/*").len(), MAX_VALUES);
    }

    #[test]
    fn malformed_patterns_are_rejected() {
        for pattern in ["*", "a/*", "/~/*", &"/*".repeat(65)] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }
}
