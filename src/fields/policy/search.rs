//! Finds the policies of a request: objects with a member `Statement`, at any depth, also in strings that hold JSON.
//!
//! Strings are read level by level: those of the record first, then those in the JSON that these hold, and so on. Each
//! level's texts are stored one after the other and scanned by the scanner that records are scanned by.
#![forbid(unsafe_code)]

use memchr::{memchr, memchr3_iter};

use super::KEPT_BYTES;
use super::evaluation::Evaluation;
use super::strict::JsonValidator;
use super::values::unescaped;
use crate::json::{Scan, Scanner, Tape, TapeBuffer, Value, ValueType, text};

/// How many encodings deep a policy may stand: each string in JSON, and each URL encoding, is one. AWS needs three: a
/// parameter that is a string, with JSON in it that has the policy as a string, URL-encoded.
const LEVELS: usize = 6;

/// Length of the shortest text with a policy, `{"Statement":{}}`. It bounds the number of texts of a level.
const SHORTEST: usize = 16;

/// The texts of two levels, and what else the search needs.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Texts of this level.
    current: Texts,
    /// Texts of the next level.
    next: Texts,
    tapes: TapeBuffer,
    validator: JsonValidator,
}

/// Texts, one after the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Search {
    /// Evaluates the policies in the parameters of a request.
    pub(super) fn policies(
        &mut self,
        tape: Tape<'_>,
        parameters: Value,
        evaluation: &mut Evaluation<'_>,
    ) {
        let Search {
            current,
            next,
            tapes,
            validator,
        } = self;
        next.clear();
        match tape.value_type(parameters) {
            ValueType::String => next.add_string(tape, parameters),
            _ => read_containers(tape, parameters, next, evaluation),
        }
        for _ in 0..LEVELS {
            if next.ends.is_empty() {
                return;
            }
            std::mem::swap(current, next);
            next.clear();
            for text in current.iter() {
                match validator.json(text) {
                    Some(json) if json.first() == Some(&b'"') => next.add_unescaped(json),
                    Some(json) => {
                        tapes.clear();
                        let scan = Scanner::default().scan(json, tapes);
                        if let Scan::Whole { tape, .. } = scan {
                            let tape = tapes.tape(tape, json);
                            read_containers(tape, Value::ROOT, next, evaluation);
                        }
                    }
                    None => next.add_url_decoded(text),
                }
            }
        }
    }

    /// Frees what a huge record needed.
    pub(super) fn release(&mut self) {
        for texts in [&mut self.current, &mut self.next] {
            let ends = texts.ends.capacity() * size_of::<usize>();
            if texts.bytes.capacity() + ends > KEPT_BYTES {
                *texts = Texts::default();
            }
        }
        if self.tapes.capacity_bytes() > KEPT_BYTES {
            self.tapes = TapeBuffer::default();
        }
        self.validator.release();
    }
}

/// Evaluates the policies among the objects of `root`, and adds the strings that may hold one to `strings`.
fn read_containers(
    tape: Tape<'_>,
    root: Value,
    strings: &mut Texts,
    evaluation: &mut Evaluation<'_>,
) {
    for container in tape.containers(root) {
        let mut statement = None;
        for (name, value) in tape.members(container) {
            if statement.is_none()
                && unescaped(name, evaluation.scratch).eq_ignore_ascii_case(b"Statement")
            {
                statement = Some(value);
            }
            strings.add_string(tape, value);
        }
        for element in tape.elements(container) {
            strings.add_string(tape, element);
        }
        if let Some(statement) = statement
            && matches!(
                tape.value_type(statement),
                ValueType::Object | ValueType::Array
            )
        {
            evaluation.policy(tape, statement);
        }
    }
}

/// Whether this JSON may have a policy: whether it has the word `statement`, in any case, or characters that may be
/// encoded. Nearly all requests have neither.
#[inline]
pub(super) fn may_have_policy(json: &[u8]) -> bool {
    // `m` is the rarest letter of the word.
    for at in memchr3_iter(b'm', b'M', b'%', json) {
        if json[at] == b'%' {
            return true;
        }
        let word = at.checked_sub(5).and_then(|start| json.get(start..at + 4));
        if word.is_some_and(|word| word.eq_ignore_ascii_case(b"statement")) {
            return true;
        }
    }
    // Only `\u` can encode a letter; at deeper levels the backslash of it is encoded in turn.
    memchr(b'\\', json).is_some_and(|first| memchr::memmem::find(&json[first..], b"\\u").is_some())
}

impl Texts {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.bytes[start..end];
            start = end;
            text
        })
    }

    /// Adds the text of a string that may hold a policy; does nothing for other values.
    #[inline]
    fn add_string(&mut self, tape: Tape<'_>, value: Value) {
        let Some(inside) = tape.string(value) else {
            return;
        };
        let Some(&first) = inside.first() else { return };
        // White space may stand before JSON, and an escape may be white space, a quote or a bracket.
        let begins_json = matches!(first, b'{' | b'[' | b'\\') || first.is_ascii_whitespace();
        if inside.len() >= SHORTEST
            && (begins_json || memchr(b'%', inside).is_some())
            && may_have_policy(inside)
        {
            text::unescape(inside, &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    /// Adds the text of a string, given with its quotes.
    fn add_unescaped(&mut self, string: &[u8]) {
        text::unescape(&string[1..string.len() - 1], &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds `text` with its URL encoding undone, if it has one. `+` is a space: an encoder that leaves it alone does not
    /// exist.
    fn add_url_decoded(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        let mut decoded = false;
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            rest = tail;
            let byte = match first {
                b'%' => match tail {
                    [high, low, after @ ..]
                        if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                    {
                        decoded = true;
                        rest = after;
                        hex_digit(*high) << 4 | hex_digit(*low)
                    }
                    _ => b'%',
                },
                b'+' => b' ',
                other => *other,
            };
            self.bytes.push(byte);
        }
        match decoded {
            true => self.ends.push(self.bytes.len()),
            false => self.bytes.truncate(start),
        }
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
