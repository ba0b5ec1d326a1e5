//! Values of a batch's events that were worked out before anybody asks.
#![forbid(unsafe_code)]

use std::ffi::c_char;
use std::sync::Arc;

use crate::batch::field_usage::HotFields;
use crate::fields::{self, FIELDS, FieldValue, RecordView};
use crate::json::{Tape, Value};

/// Where one value stands: twice its first byte's place, one more for a number.
type Place = u32;

/// The event has no value for the field.
const NOTHING: Place = Place::MAX;

/// The value was not worked out.
const UNKNOWN: Place = Place::MAX - 1;

/// Longest record whose values are worked out ahead, in bytes: the values of a huge one would take
/// its memory many times over.
const LONGEST: usize = 64 << 10;

/// The values of all events, each a text with a NUL behind it or the bytes of a number.
#[derive(Debug, Default)]
pub(super) struct Precomputed {
    wanted: Arc<HotFields>,
    values: Vec<u8>,
    /// Of each wanted field's value, event by event.
    places: Vec<Place>,
}

/// Takes back what was added to the values, up to `rows`: half of an event's places would shift those of all behind it.
struct Row<'a> {
    rows: (usize, usize),
    values: &'a mut Vec<u8>,
    places: &'a mut Vec<Place>,
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.values.truncate(self.rows.0);
        self.places.truncate(self.rows.1);
    }
}

/// What is known of a field of an event.
#[derive(Clone, Copy, Debug)]
pub enum PrecomputedValue {
    /// It has to be looked for.
    Unknown,
    /// There is no value.
    Nothing,
    /// A text, valid as long as the batch is neither cleared nor dropped.
    Text(*const c_char),
    /// A number.
    Number(u64),
}

impl Precomputed {
    /// Chooses the fields, before the first event.
    pub(super) fn want(&mut self, wanted: Arc<HotFields>) {
        self.wanted = wanted;
    }

    /// Forgets all values.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.places.clear();
    }

    /// Whether no field is wanted.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.len() == 0
    }

    /// Adds the next event: all of its values, or none if this panics.
    pub(super) fn push(&mut self, view: &mut RecordView<'_>) {
        if view.tape.text().len() > LONGEST {
            let unknown = self.wanted.fields().map(|_| UNKNOWN);
            self.places.extend(unknown);
            return;
        }
        let mut row = Row {
            rows: (self.values.len(), self.places.len()),
            values: &mut self.values,
            places: &mut self.places,
        };
        let values = &mut *row.values;
        row.places.extend(self.wanted.fields().map(|field| {
            #[cfg(test)]
            tests::fail_on_purpose(view, field);
            let place = 2 * values.len() as Place;
            match fields::extract(FIELDS[field].extractor, view, values) {
                FieldValue::None => return NOTHING,
                FieldValue::Json(value) => match fields::plain_text(view.tape, value) {
                    Some(plain) => push_terminated(plain, view.tape, value, values),
                    None if fields::append_text(view.tape, value, values) => values.push(0),
                    None => return NOTHING,
                },
                FieldValue::Text => values.push(0),
                FieldValue::Bool(value) => {
                    values.extend_from_slice(fields::bool_text(value).to_bytes_with_nul());
                }
                FieldValue::Number(number, _) => {
                    values.extend_from_slice(&number.to_ne_bytes());
                    return place + 1;
                }
            }
            place
        }));
        row.rows = (row.values.len(), row.places.len());
    }

    /// Drops the values of all events from the one with this number on.
    pub(super) fn truncate(&mut self, events: usize) {
        let row = events * self.wanted.len();
        let values = self.places.iter().skip(row).find_map(|&place| {
            let known = place != NOTHING && place != UNKNOWN;
            known.then_some(place as usize / 2)
        });
        self.places.truncate(row);
        if let Some(end) = values {
            self.values.truncate(end);
        }
    }

    /// What is known of a field of the event with this number.
    #[inline]
    pub(super) fn value(&self, event: usize, field: usize) -> PrecomputedValue {
        let Some(column) = self.wanted.place(field) else {
            return PrecomputedValue::Unknown;
        };
        let row = event * self.wanted.len();
        let place = match self.places.get(row + column) {
            None | Some(&UNKNOWN) => return PrecomputedValue::Unknown,
            Some(&NOTHING) => return PrecomputedValue::Nothing,
            Some(&place) => place,
        };
        let value = self.values.get(place as usize / 2..).unwrap_or_default();
        match (place % 2, value.first_chunk()) {
            // Not even a NUL: no pointer may be given to that.
            (0, _) if value.is_empty() => PrecomputedValue::Unknown,
            (0, _) => PrecomputedValue::Text(value.as_ptr().cast()),
            (_, Some(number)) => PrecomputedValue::Number(u64::from_ne_bytes(*number)),
            (_, None) => PrecomputedValue::Unknown,
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.values
    }

    /// Bytes that are in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.values.len() + self.places.len() * size_of::<Place>()
    }

    /// Bytes of memory held.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.values.capacity() + self.places.capacity() * size_of::<Place>()
    }
}

/// Appends `plain`, the inside of `string`, with a NUL behind it.
#[inline]
fn push_terminated(plain: &[u8], tape: Tape<'_>, string: Value, out: &mut Vec<u8>) {
    /// Most texts are shorter. A copy of a fixed length is one instruction or two, any other a call.
    const SHORT: usize = 32;
    let more = tape.text().get(tape.start(string) + 1..);
    match more.and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(more) if plain.len() < SHORT => {
            let end = out.len() + plain.len();
            out.extend_from_slice(more);
            out.truncate(end);
        }
        _ => out.extend_from_slice(plain),
    }
    out.push(0);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::batch::{Admission, Batch};
    use crate::fields::FieldExtractor;
    use crate::json::{Scan, Scanner};

    /// A record with this text in it panics at its third field.
    pub(crate) const FAILS: &str = "fails on purpose";

    pub(super) fn fail_on_purpose(view: &RecordView<'_>, field: usize) {
        let fails = || memchr::memmem::find(view.tape.text(), FAILS.as_bytes()).is_some();
        assert!(!(field == 2 && fails()), "{FAILS}");
    }

    /// The text that is known of a field.
    fn known(batch: &Batch, number: usize, name: &str) -> Option<String> {
        let field = FIELDS.iter().position(|field| field.name == name);
        let column = batch.ahead.wanted.place(field?)?;
        let place = batch.ahead.places[number * batch.ahead.wanted.len() + column];
        let text = batch.ahead.values.get(place as usize / 2..)?;
        let end = text.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&text[..end]).into_owned())
    }

    fn batch(wanted: HotFields, records: &[&str]) -> Batch {
        let mut batch = Batch::default();
        batch.work_ahead(Arc::new(wanted));
        for text in records {
            let Scan::Whole { tape, .. } = Scanner::default().scan(text.as_bytes(), batch.tapes())
            else {
                panic!("not whole: {text}");
            };
            let admission = Admission {
                insights: false,
                file_time: Some(0),
            };
            batch.push(text.as_bytes(), tape, admission);
        }
        batch
    }

    #[test]
    fn what_is_wanted_is_known_of_every_event_and_nothing_else_is() {
        let record = r#"{"eventName":"GetObject","additionalEventData":{"bytesTransferredIn":7}}"#;
        let (mut texts, mut numbers) = (0, 0);
        for wanted in [true, false] {
            let batch = batch(HotFields::of(|_| wanted), &[record]);
            for (number, field) in FIELDS.iter().enumerate() {
                let argument = matches!(
                    field.extractor,
                    FieldExtractor::ImageIds | FieldExtractor::Pointer
                );
                let known = batch.known(0, number);
                assert_eq!(
                    matches!(known, PrecomputedValue::Unknown),
                    !wanted || argument,
                    "{}",
                    field.name
                );
                texts += usize::from(matches!(known, PrecomputedValue::Text(_)));
                numbers += usize::from(matches!(known, PrecomputedValue::Number(7)));
            }
        }
        assert!(
            texts > 3 && numbers == 2,
            "{texts} texts, {numbers} numbers"
        );
    }

    /// A rule that does more than append would show here.
    #[test]
    fn each_event_has_the_values_that_it_has_alone() {
        const RECORD: &str = r#"{"eventVersion":"1.11","eventName":"PutObject","eventSource":"s3.amazonaws.com",
            "userIdentity":{"type":"AssumedRole","arn":"a/b/c"},"sourceIPAddress":"192.0.2.1","readOnly":false,
            "requestParameters":{"bucketName":"b\u0000x","key":"k","tagSpecificationSet":{"items":[{"resourceType":
            "instance","tags":[{"key":"Name","value":"web"}]}]}},"additionalEventData":{"bytesTransferredIn":1.5},
            "resources":[{"ARN":"one"}, {"ARN": "two"}]}"#;
        let alone = batch(HotFields::of(|_| true), &[RECORD]);
        let many = batch(HotFields::of(|_| true), &[RECORD; 3]);
        assert_eq!(many.ahead.values, alone.ahead.values.repeat(3));
    }

    #[test]
    fn event_after_a_panic_has_its_own_values() {
        let record = |id: &str, name: &str| format!(r#"{{"eventID":"{id}","eventName":"{name}"}}"#);
        let mut batch = batch(HotFields::of(|_| true), &[&record("1", "One")]);
        let push = |batch: &mut Batch, text: &str| {
            let Scan::Whole { tape, .. } = Scanner::default().scan(text.as_bytes(), batch.tapes())
            else {
                panic!("not whole: {text}");
            };
            let admission = Admission {
                insights: false,
                file_time: Some(0),
            };
            batch.push(text.as_bytes(), tape, admission)
        };
        let (bytes, tapes) = (batch.event_bytes(), batch.tapes().used_bytes());
        let failing = std::panic::AssertUnwindSafe(|| push(&mut batch, &record("2", FAILS)));
        assert!(std::panic::catch_unwind(failing).is_err());
        batch.drop_unfinished();
        assert_eq!(batch.len(), 1);
        assert_eq!(
            (batch.event_bytes(), batch.tapes().used_bytes()),
            (bytes, tapes)
        );
        push(&mut batch, &record("3", "Three"));
        for (number, id, name) in [(0, "1", "One"), (1, "3", "Three")] {
            assert_eq!(known(&batch, number, "ct.id").as_deref(), Some(id));
            assert_eq!(known(&batch, number, "ct.name").as_deref(), Some(name));
        }
    }

    #[test]
    fn a_huge_record_is_left_to_the_moment_when_it_is_asked_for() {
        let record = format!(r#"{{"eventName":"{}"}}"#, "x".repeat(LONGEST));
        let batch = batch(HotFields::of(|_| true), &[&record]);
        assert!(
            (0..FIELDS.len())
                .all(|field| matches!(batch.known(0, field), PrecomputedValue::Unknown))
        );
    }
}
