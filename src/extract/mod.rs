//! Field values of one event at a time, each worked out once however often it is asked for.
//!
//! Hosts ask for one field a call, and for the same field once for every rule that uses it. So
//! answers are kept for as long as the event stays the same, and a call after the first is a
//! look-up. So is the first one where the answer was worked out ahead and stands in the batch.
//! Other texts are copied once, with the NUL that C wants behind them, into an arena: the
//! event's bytes belong to the host and stay as they are. Nothing is allocated per event once
//! the arena has its size.
#![forbid(unsafe_code)]

mod arena;
mod detached;

use std::ffi::c_char;
use std::sync::Arc;

use arena::{ARENA_BYTES, Arena};
use detached::Detached;

use crate::batch::field_usage::{Asked, FieldUsage};
use crate::batch::{Batch, PrecomputedValue, Record};
use crate::event_layout::PREFIX;
use crate::fields::{self, FIELDS, FieldExtractor, FieldValue, KeyTable, Pointer, RecordView};
use crate::json::{Tape, Value};

/// Different arguments of fields that are kept compiled: the ones that were asked for last.
const ARGUMENTS: usize = 1024;

/// What stands in brackets behind a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Nothing.
    None,
    /// A place in a list.
    Index(u64),
    /// A key.
    Key(&'a str),
}

/// Where a value's raw JSON text stands: its start, counted from the event's first byte, and its
/// length. Zero for a value that stands nowhere as it is.
pub type Extent = (u32, u32);

/// A field's values for one event. Its address does not change while the extractor lives.
#[derive(Debug)]
pub struct Answer {
    /// The event that it is for; see [`Extractor::stamp`].
    stamp: u64,
    values: Values,
    /// Whether the extents are known too.
    located: bool,
    one: Extent,
    /// What a host that asks for a list gets a pointer to.
    texts: Vec<*const c_char>,
    extents: Vec<Extent>,
}

#[derive(Clone, Copy, Debug)]
enum Values {
    None,
    Text(*const c_char),
    Number(u64),
    List,
}

/// An [`Answer`] as the host is to be given it.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// No value.
    None,
    /// One text.
    Text(&'a *const c_char),
    /// One number.
    Number(&'a u64),
    /// Any number of texts.
    List(&'a [*const c_char]),
}

impl Answer {
    fn empty() -> Self {
        Answer {
            stamp: 0,
            values: Values::None,
            located: false,
            one: (0, 0),
            texts: Vec::new(),
            extents: Vec::new(),
        }
    }

    /// The values, where they stand.
    pub fn given(&self) -> Given<'_> {
        match &self.values {
            Values::None => Given::None,
            Values::Text(text) => Given::Text(text),
            Values::Number(number) => Given::Number(number),
            Values::List => Given::List(&self.texts),
        }
    }

    /// One extent for each value, if they were asked for.
    pub fn extents(&self) -> &[Extent] {
        match self.values {
            Values::None => &[],
            Values::Text(_) | Values::Number(_) => std::slice::from_ref(&self.one),
            Values::List => &self.extents,
        }
    }
}

/// A field with an argument, and its answer.
#[derive(Debug)]
struct WithArgument {
    field: usize,
    argument: OwnedArgument,
    answer: Answer,
    /// The call that asked for it last.
    call: u64,
}

#[derive(Debug)]
enum OwnedArgument {
    Index(u64),
    /// A key, and the pointer that it was compiled to; `None` if it is no pointer.
    Key(Box<str>, Option<Pointer>),
}

/// Answers for the event that was selected last.
#[derive(Debug)]
pub struct Extractor {
    current: Current,
    foreign: Detached,
    /// Counts the events selected. An answer with another stamp is for another event.
    stamp: u64,
    asked: Asked,
    slots: KeyTable,
    /// The event that the slots are of.
    slots_of: u64,
    answers: Box<[Answer]>,
    // Boxed, since answers must not move when there are more of them.
    #[allow(clippy::vec_box)]
    with_arguments: Vec<Box<WithArgument>>,
    arena: Arena,
    scratch: Vec<u8>,
    summary: Vec<u8>,
    /// Counts the calls.
    call: u64,
    /// An answer with an argument was replaced, or added beyond what is kept.
    replaced: bool,
}

#[derive(Debug)]
enum Current {
    None,
    Live(Arc<Batch>, usize),
    Detached,
}

impl Default for Extractor {
    fn default() -> Self {
        Extractor::new(Arc::default())
    }
}

impl Extractor {
    /// With no event yet; `demand` is told what is asked of most.
    pub fn new(demand: Arc<FieldUsage>) -> Self {
        Extractor {
            current: Current::None,
            foreign: Detached::default(),
            stamp: 0,
            asked: Asked::new(demand),
            slots: KeyTable::default(),
            slots_of: 0,
            answers: FIELDS.iter().map(|_| Answer::empty()).collect(),
            with_arguments: Vec::new(),
            arena: Arena::default(),
            scratch: Vec::new(),
            summary: Vec::new(),
            call: 0,
            replaced: false,
        }
    }

    /// Asks from now on about event `number` of `batch`.
    pub fn select_live(&mut self, batch: Arc<Batch>, number: usize) {
        self.asked.batch();
        self.asked.event();
        self.start_event(false);
        self.current = Current::Live(batch, number);
    }

    /// Asks from now on about the event at this address, if it is in the batch of the live event
    /// that was selected last. Hosts go from one event to the next.
    #[inline]
    pub fn select_neighbour(&mut self, address: *const u8) -> bool {
        let Current::Live(batch, current) = &mut self.current else {
            return false;
        };
        let Some(number) = batch.find(address, *current + 1) else {
            return false;
        };
        *current = number;
        self.asked.event();
        self.start_event(true);
        true
    }

    /// Asks from now on about an event with this payload that is not from a live batch.
    pub fn select_detached(&mut self, payload: &[u8]) {
        if self.is_foreign(payload) {
            return;
        }
        self.start_event(false);
        // Copied before the batch is let go of: a host may ask about an event of the batch that it has given back.
        self.foreign.read(payload);
        self.current = Current::Detached;
    }

    /// Whether an event with this payload is selected that is not from a live batch.
    pub fn is_foreign(&self, payload: &[u8]) -> bool {
        matches!(self.current, Current::Detached) && self.foreign.payload == payload
    }

    /// Asks from now on about an event that cannot be read: no field has a value.
    pub fn select_none(&mut self) {
        self.start_event(false);
        self.current = Current::None;
    }

    /// Begins a call: answers of the one before need not stay any more, those of this one stay together.
    #[inline]
    pub fn start_call(&mut self) {
        self.call += 1;
        if self.replaced {
            self.trim();
        }
    }

    #[cold]
    fn trim(&mut self) {
        self.replaced = false;
        // A call with very many arguments has added more than are kept.
        self.with_arguments.truncate(ARGUMENTS);
        // Texts of answers that were replaced are still in the arena, and the event may stay the same for ever.
        if self.arena.used > ARENA_BYTES {
            self.start_event(false);
        }
    }

    /// The value of a field, by its number in [`FIELDS`], and where it stands if it is to be
    /// `located`. An unknown field and an argument that cannot be used have none.
    #[inline]
    pub fn answer(
        &mut self,
        field: usize,
        argument: Argument<'_>,
        located: bool,
    ) -> Option<&Answer> {
        if argument != Argument::None {
            return self.answer_with(field, argument);
        }
        let answer = self.answers.get(field)?;
        if answer.stamp == self.stamp && (answer.located || !located) {
            return self.answers.get(field);
        }
        self.find(field, located)
    }

    /// The selected event in one line, as hosts show it. The text stays until the next call of this.
    pub fn summary(&mut self) -> Option<*const c_char> {
        let record = record(&self.current, &self.foreign)?;
        let view = &mut view(record, &mut self.slots, &mut self.slots_of, self.stamp);
        if self.summary.capacity() > ARENA_BYTES {
            self.summary = Vec::new();
        }
        self.summary.clear();
        fields::summary(view, &mut self.summary);
        self.summary.push(0);
        Some(self.summary.as_ptr().cast())
    }

    fn start_event(&mut self, same_batch: bool) {
        self.stamp += 1;
        if !same_batch || self.arena.used > ARENA_BYTES {
            self.arena.empty();
        }
    }

    fn find(&mut self, number: usize, located: bool) -> Option<&Answer> {
        self.asked.field(number);
        let known = match &self.current {
            Current::Live(batch, event) if !located => batch.known(*event, number),
            _ => PrecomputedValue::Unknown,
        };
        let values = match known {
            PrecomputedValue::Nothing => Values::None,
            PrecomputedValue::Text(text) => Values::Text(text),
            PrecomputedValue::Number(number) => Values::Number(number),
            PrecomputedValue::Unknown => return self.look(number),
        };
        let answer = self.answers.get_mut(number)?;
        answer.stamp = self.stamp;
        answer.located = false;
        answer.set(values);
        Some(answer)
    }

    /// Looks into the record.
    fn look(&mut self, number: usize) -> Option<&Answer> {
        let answer = self.answers.get_mut(number)?;
        answer.stamp = self.stamp;
        answer.located = true;
        answer.set(Values::None);
        let Some(record) = record(&self.current, &self.foreign) else {
            return Some(answer);
        };
        let view = &mut view(record, &mut self.slots, &mut self.slots_of, self.stamp);
        let finder = &mut Finder {
            arena: &mut self.arena,
            scratch: &mut self.scratch,
        };
        finder.scratch.clear();
        match FIELDS.get(number)?.extractor {
            FieldExtractor::ImageIds => finder.image_ids(view, None, answer),
            extractor => match fields::extract(extractor, view, finder.scratch) {
                FieldValue::None => {}
                FieldValue::Json(value) => finder.value(record.tape, Some(value), answer),
                FieldValue::Text => answer.set(Values::Text(finder.arena.text(finder.scratch))),
                FieldValue::Bool(value) => {
                    answer.set(Values::Text(fields::bool_text(value).as_ptr()))
                }
                FieldValue::Number(number, value) => {
                    answer.set(Values::Number(number));
                    answer.one = value.map_or((0, 0), |value| extent(record.tape, value));
                }
            },
        }
        Some(answer)
    }

    fn answer_with(&mut self, number: usize, argument: Argument<'_>) -> Option<&Answer> {
        let place = self.place_of(number, argument)?;
        let entry = self.with_arguments.get_mut(place)?;
        entry.call = self.call;
        if entry.answer.stamp != self.stamp {
            entry.answer.stamp = self.stamp;
            entry.answer.values = Values::None;
            if let Some(record) = record(&self.current, &self.foreign) {
                let view = &mut view(record, &mut self.slots, &mut self.slots_of, self.stamp);
                let mut finder = Finder {
                    arena: &mut self.arena,
                    scratch: &mut self.scratch,
                };
                match &entry.argument {
                    OwnedArgument::Index(index) => {
                        finder.image_ids(view, Some(*index), &mut entry.answer);
                    }
                    OwnedArgument::Key(_, pointer) => {
                        let value = pointer.as_ref().and_then(|pointer| pointer.value(view));
                        finder.value(record.tape, value, &mut entry.answer);
                    }
                }
            }
        }
        Some(&entry.answer)
    }

    /// Where this field with this argument is kept, now if not before.
    fn place_of(&mut self, field: usize, argument: Argument<'_>) -> Option<usize> {
        let same = |entry: &WithArgument| {
            entry.field == field
                && match (&entry.argument, argument) {
                    (OwnedArgument::Index(a), Argument::Index(b)) => *a == b,
                    (OwnedArgument::Key(a, _), Argument::Key(b)) => **a == *b,
                    _ => false,
                }
        };
        if let Some(place) = self.with_arguments.iter().position(|entry| same(entry)) {
            return Some(place);
        }
        let argument = match (FIELDS.get(field)?.extractor, argument) {
            (FieldExtractor::ImageIds, Argument::Index(index)) => OwnedArgument::Index(index),
            (FieldExtractor::Pointer, Argument::Key(key)) => {
                OwnedArgument::Key(key.into(), Pointer::compile(key).ok())
            }
            _ => return None,
        };
        let entry = Box::new(WithArgument {
            field,
            argument,
            answer: Answer::empty(),
            call: self.call,
        });
        if self.with_arguments.len() < ARGUMENTS {
            self.with_arguments.push(entry);
            return Some(self.with_arguments.len() - 1);
        }
        self.replaced = true;
        // The one that was asked for least lately, but none of this call.
        let entries = self.with_arguments.iter().enumerate();
        let oldest = entries.min_by_key(|(_, entry)| entry.call);
        match oldest.filter(|(_, oldest)| oldest.call < self.call) {
            Some((place, _)) => {
                self.with_arguments[place] = entry;
                Some(place)
            }
            None => {
                self.with_arguments.push(entry);
                Some(self.with_arguments.len() - 1)
            }
        }
    }
}

fn record<'e>(current: &'e Current, foreign: &'e Detached) -> Option<Record<'e>> {
    match current {
        Current::None => None,
        Current::Live(batch, number) => batch.record(*number),
        Current::Detached => foreign.record(),
    }
}

/// The record of the event with this stamp, and its slots.
fn view<'r>(
    record: Record<'r>,
    slots: &'r mut KeyTable,
    slots_of: &mut u64,
    stamp: u64,
) -> RecordView<'r> {
    if *slots_of != stamp {
        *slots_of = stamp;
        slots.reset(record.slots);
    }
    RecordView {
        tape: record.tape,
        keys: slots,
    }
}

impl Answer {
    fn set(&mut self, values: Values) {
        self.values = values;
        self.one = (0, 0);
    }
}

/// Where texts are made.
struct Finder<'e> {
    arena: &'e mut Arena,
    scratch: &'e mut Vec<u8>,
}

impl Finder<'_> {
    /// The answer is what a field shows of `value`.
    #[inline]
    fn value(&mut self, tape: Tape<'_>, value: Option<Value>, answer: &mut Answer) {
        if let Some(value) = value
            && let Some(text) = self.text(tape, value)
        {
            answer.values = Values::Text(text);
            answer.one = extent(tape, value);
        }
    }

    /// `None`: the value is null.
    #[inline]
    fn text(&mut self, tape: Tape<'_>, value: Value) -> Option<*const c_char> {
        if fields::plain_text(tape, value).is_some() {
            // With the closing quote, in whose copy's place the NUL goes.
            return Some(self.arena.terminated(&tape.raw(value)[1..]));
        }
        self.scratch.clear();
        fields::append_text(tape, value, self.scratch).then(|| self.arena.text(self.scratch))
    }

    fn image_ids(&mut self, view: &mut RecordView<'_>, index: Option<u64>, answer: &mut Answer) {
        let tape = view.tape;
        answer.texts.clear();
        answer.extents.clear();
        fields::ec2_image_ids(view, |place, id| {
            if index.is_none_or(|index| index == place as u64)
                && let Some(text) = self.text(tape, id)
            {
                answer.texts.push(text);
                answer.extents.push(extent(tape, id));
            }
        });
        answer.values = match answer.texts.is_empty() {
            true => Values::None,
            false => Values::List,
        };
    }
}

fn extent(tape: Tape<'_>, value: Value) -> Extent {
    let start = PREFIX + tape.start(value);
    (start as u32, tape.raw(value).len() as u32)
}

#[cfg(test)]
mod tests;
