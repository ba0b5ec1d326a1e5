//! Computes the values of hot fields for the decoder, which stores them in the batch.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::field_usage::FieldUsage;
use crate::batch::hot_fields::HotFields;
use crate::batch::{Appended, ListWriter, Precompute, Record, Row};
use crate::fields::{
    self, CompiledArgument, FIELDS, FieldExtractor, FieldValue, ListItem, RecordView,
};
use crate::json::{Tape, Value};
use crate::key_table::KeyTable;

impl Precompute for FieldUsage {
    fn hot_fields(&self) -> Arc<HotFields> {
        self.hot()
    }

    fn compute(&self, record: Record<'_>, keys: &mut KeyTable, row: Row<'_>) {
        let view = &mut RecordView {
            tape: record.tape,
            keys,
        };
        row.fill(|number, values| match FIELDS.get(number) {
            Some(field) => append(field.extractor, view, values),
            None => append_with(self, number, view, values),
        });
    }
}

/// Appends the value of a field without an argument.
#[inline]
fn append(extractor: FieldExtractor, view: &mut RecordView<'_>, values: &mut Vec<u8>) -> Appended {
    match fields::extract(extractor, view, values) {
        FieldValue::List => append_list(extractor, None, view, values),
        value => append_single(value, view.tape, values),
    }
}

/// Appends the value of a field with an argument. Apart from [`append`], whose loop is faster without it.
#[inline(never)]
fn append_with(
    usage: &FieldUsage,
    number: usize,
    view: &mut RecordView<'_>,
    values: &mut Vec<u8>,
) -> Appended {
    let Some((extractor, argument)) = usage.argument(number) else {
        return Appended::NotComputed;
    };
    match fields::extract_with(extractor, argument, view) {
        FieldValue::List => append_list(extractor, Some(argument), view, values),
        value => append_single(value, view.tape, values),
    }
}

/// Appends a value that is no list.
#[inline(always)]
fn append_single(value: FieldValue, tape: Tape<'_>, values: &mut Vec<u8>) -> Appended {
    match value {
        FieldValue::None | FieldValue::List => Appended::Nothing,
        FieldValue::Json(value) => match append_value(tape, value, values) {
            true => Appended::Text,
            false => Appended::Nothing,
        },
        FieldValue::Text => Appended::Text,
        FieldValue::Bool(value) => {
            values.extend_from_slice(fields::bool_text(value).to_bytes());
            Appended::Text
        }
        FieldValue::Number(number, _) => Appended::Number(number),
    }
}

/// Appends the items of a list.
#[inline(never)]
fn append_list(
    extractor: FieldExtractor,
    argument: Option<&CompiledArgument>,
    view: &mut RecordView<'_>,
    values: &mut Vec<u8>,
) -> Appended {
    let mut list = ListWriter::new(values);
    let tape = view.tape;
    fields::each_item(extractor, argument, view, &mut |item| {
        list.push(|values| match item {
            ListItem::Json(value) => append_value(tape, value, values),
            ListItem::Text(text) => {
                values.extend_from_slice(text);
                true
            }
        });
    });
    list.finish()
}

/// Appends the text of `value`. Returns `false` if it is null.
#[inline]
fn append_value(tape: Tape<'_>, value: Value, out: &mut Vec<u8>) -> bool {
    match fields::plain_text(tape, value) {
        Some(plain) => {
            append_plain(plain, tape, value, out);
            true
        }
        None => fields::append_text(tape, value, out),
    }
}

/// Appends `plain`, the text between the quotes of `string`.
#[inline]
fn append_plain(plain: &[u8], tape: Tape<'_>, string: Value, out: &mut Vec<u8>) {
    /// Most texts are shorter. A copy of fixed length compiles to one or two instructions, any other to a call.
    const SHORT: usize = 32;
    let longer = tape.text().get(tape.start(string) + 1..);
    match longer.and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(longer) if plain.len() < SHORT => {
            let end = out.len() + plain.len();
            out.extend_from_slice(longer);
            out.truncate(end);
        }
        _ => out.extend_from_slice(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, EventPolicy, PrecomputedValue};
    use crate::fields::Arg;
    use crate::json::{Scan, Scanner};

    /// A batch of `records` in which the fields that `is_hot` selects are precomputed.
    fn batch(is_hot: impl Fn(usize) -> bool, records: &[&str]) -> Batch {
        let mut batch = Batch::default();
        let usage: Arc<dyn Precompute> = Arc::new(FieldUsage::with(is_hot));
        batch.precompute_with(&usage);
        for text in records {
            let Scan::Whole { tape, .. } = Scanner::default().scan(text.as_bytes(), batch.tapes())
            else {
                panic!("not whole: {text}");
            };
            let policy = EventPolicy {
                insights: false,
                fallback_time: Some(0),
            };
            batch.push(text.as_bytes(), tape, policy);
        }
        batch
    }

    #[test]
    fn hot_fields_are_precomputed_for_every_event_and_others_are_not() {
        let record = r#"{"eventName":"GetObject","additionalEventData":{"bytesTransferredIn":7}}"#;
        let (mut texts, mut numbers) = (0, 0);
        for hot in [true, false] {
            let batch = batch(|_| hot, &[record]);
            for (number, field) in FIELDS.iter().enumerate() {
                let on_demand = field.arg == Arg::RequiredKey
                    || matches!(field.extractor, FieldExtractor::Policy(_));
                let value = batch.precomputed(0, number);
                assert_eq!(
                    matches!(value, PrecomputedValue::NotComputed),
                    !hot || on_demand,
                    "{}",
                    field.name
                );
                texts += usize::from(matches!(value, PrecomputedValue::Text(_)));
                numbers += usize::from(matches!(value, PrecomputedValue::Number(7)));
            }
        }
        assert!(
            texts > 3 && numbers == 2,
            "{texts} texts, {numbers} numbers"
        );
    }

    /// An extractor that does more than append would show here.
    #[test]
    fn values_of_an_event_do_not_depend_on_the_events_before_it() {
        const RECORD: &str = r#"{"eventVersion":"1.11","eventName":"PutObject","eventSource":"s3.amazonaws.com",
            "userIdentity":{"type":"AssumedRole","arn":"a/b/c"},"sourceIPAddress":"192.0.2.1","readOnly":false,
            "requestParameters":{"bucketName":"b\u0000x","key":"k","tagSpecificationSet":{"items":[{"resourceType":
            "instance","tags":[{"key":"Name","value":"web"}]}]}},"additionalEventData":{"bytesTransferredIn":1.5},
            "resources":[{"ARN":"one"}, {"arn": "two", "type": null}]}"#;
        let one = batch(|_| true, &[RECORD]);
        let three = batch(|_| true, &[RECORD; 3]);
        assert_eq!(three.precomputed_bytes(), one.precomputed_bytes().repeat(3));
    }

    #[test]
    fn lists_are_precomputed_with_all_of_their_texts() {
        let resources =
            r#"{"resources":[{"ARN":"one"},{"type":"x"},{"arn":"\u0074wo"},{"ARN":3}]}"#;
        let batch = batch(|_| true, &[resources, "{}"]);
        let field = FIELDS.iter().position(|it| it.name == "ct.resources.arn");
        let field = field.expect("a field");
        let PrecomputedValue::List(texts) = batch.precomputed(0, field) else {
            panic!("no list");
        };
        let expected = [&b"one\0"[..], b"two\0", b"3\0"].concat();
        let all = batch.precomputed_bytes();
        let start = all.windows(expected.len()).position(|at| at == expected);
        let start = all[start.expect("all texts in order")..].as_ptr();
        let offsets = texts.map(|text| text as usize - start as usize);
        assert_eq!(offsets.collect::<Vec<_>>(), [0, 4, 8]);
        let none = batch.precomputed(1, field);
        assert!(matches!(none, PrecomputedValue::None), "{none:?}");
    }
}
