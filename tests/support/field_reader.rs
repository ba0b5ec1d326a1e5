//! Extracts every field of an event in every way that a host may, and compares the values with the oracle's.
#![forbid(unsafe_code)]

use cloudtrail::host::{Event, OwnedValue as Value, Plugin, Request, Requests};

use crate::oracle::{self, Expected, Record};

/// Prepared requests for all fields of the plugin.
pub struct FieldReader<'p> {
    plugin: &'p Plugin,
    fields: Vec<FieldRequest>,
    together: Requests,
}

struct FieldRequest {
    field: String,
    argument: Option<String>,
    alone: Requests,
}

/// The value and offsets of a field.
type Extracted = (Option<Value>, Vec<(u32, u32)>);

impl<'p> FieldReader<'p> {
    /// Requests every field without an argument where that is optional, indexed fields also at 0, 1 and 7, and fields that
    /// take a pointer with each of `pointers`.
    pub fn new(plugin: &'p Plugin, pointers: &[&str]) -> FieldReader<'p> {
        let mut specs = Vec::new();
        for field in plugin.fields() {
            let name = field.name.as_str();
            if !field.needs_argument() {
                specs.push((name, None));
            }
            match field.arg {
                Some(arg) if arg.is_index => {
                    specs.extend(["0", "1", "7"].map(|index| (name, Some(index))));
                }
                Some(_) => specs.extend(pointers.iter().map(|pointer| (name, Some(*pointer)))),
                None => {}
            }
        }
        let request = |field: &str, argument: Option<&str>| -> Request {
            let spec = match argument {
                Some(argument) => format!("{field}[{argument}]"),
                None => field.to_owned(),
            };
            plugin
                .request(&spec)
                .unwrap_or_else(|error| panic!("{error}"))
        };
        let set = |requests| Requests::new(requests).expect("requests of one plugin");
        FieldReader {
            plugin,
            together: set(specs.iter().map(|(f, a)| request(f, *a)).collect()),
            fields: specs
                .into_iter()
                .map(|(field, argument)| FieldRequest {
                    field: field.to_owned(),
                    argument: argument.map(str::to_owned),
                    alone: set(vec![request(field, argument)]),
                })
                .collect(),
        }
    }

    /// The specs of all requests, e.g. `ct.name`, `ec2.imageids[0]`.
    pub fn specs(&self) -> impl Iterator<Item = &str> {
        self.together.as_slice().iter().map(Request::spec)
    }

    /// The value of every field, extracted one by one as Falco does.
    pub fn values(&mut self, event: Event) -> Vec<Option<Value>> {
        let mut values = Vec::with_capacity(self.fields.len());
        for request in &mut self.fields {
            values.push(
                extract(self.plugin, event, &mut request.alone, false)
                    .remove(0)
                    .0,
            );
        }
        values
    }

    /// All differences between plugin and oracle for `event`: fields one by one, with and without offsets, all in one call,
    /// and the text of event_to_string.
    pub fn differences(&mut self, event: Event, record: &Record) -> Vec<String> {
        let mut found = Vec::new();
        let plain = self.values(event);
        let all = extract(self.plugin, event, &mut self.together, false);
        let all_with_offsets = extract(self.plugin, event, &mut self.together, true);
        for (place, request) in self.fields.iter_mut().enumerate() {
            let spec = request.alone.as_slice()[0].spec().to_owned();
            let argument = request.argument.as_deref();
            let expected = record.value(&request.field, argument).map(value);
            let (alone, offsets) = extract(self.plugin, event, &mut request.alone, true).remove(0);
            let (in_all, in_all_offsets) = &all_with_offsets[place];
            for (way, given) in [
                ("alone", &plain[place]),
                ("alone with offsets", &alone),
                ("in one call", &all[place].0),
                ("in one call with offsets", in_all),
            ] {
                if *given != expected {
                    found.push(format!(
                        "{spec} {way}: {} instead of {}",
                        show(given),
                        show(&expected)
                    ));
                }
            }
            let count = match &alone {
                None => 0,
                Some(Value::StrList(list)) => list.len(),
                Some(_) => 1,
            };
            let payload_at = event.as_bytes().len() - event.payload().len();
            let extents = record.extents(&request.field, argument);
            let mut right: Vec<_> = extents
                .iter()
                .map(|extent| ((payload_at + extent.start) as u32, extent.len() as u32))
                .collect();
            // Computed values have no offsets.
            right.resize(count, (0, 0));
            if offsets != right {
                found.push(format!(
                    "offsets of {spec} alone: {offsets:?} instead of {right:?}"
                ));
            }
            // One pair per field: lists of several values have none.
            let right = match &right[..] {
                [] | [_] => right,
                _ => vec![(0, 0)],
            };
            if *in_all_offsets != right {
                found.push(format!(
                    "offsets of {spec} in one call: {in_all_offsets:?} instead of {right:?}"
                ));
            }
        }
        let expected = record.line();
        let given = self.plugin.event_to_string(event);
        if given.as_deref() != Some(expected.as_str()) {
            found.push(format!(
                "event_to_string: {given:?} instead of {expected:?}"
            ));
        }
        found
    }
}

/// The names of the plugin's fields and of the oracle's, sorted.
pub fn field_names(plugin: &Plugin) -> (Vec<&str>, Vec<&str>) {
    let mut given: Vec<&str> = plugin.fields().iter().map(|f| f.name.as_str()).collect();
    let mut known: Vec<&str> = oracle::fields().collect();
    given.sort_unstable();
    known.sort_unstable();
    (given, known)
}

fn extract(
    plugin: &Plugin,
    event: Event,
    requests: &mut Requests,
    offsets: bool,
) -> Vec<Extracted> {
    let values = plugin
        .extract(event, requests, offsets)
        .unwrap_or_else(|error| panic!("extraction failed: {error}"));
    (0..values.len())
        .map(|place| {
            let value = values.field(place).to_value();
            (value, values.offsets(place).collect())
        })
        .collect()
}

/// The oracle's value as a value of the host.
pub fn value(expected: Expected) -> Value {
    match expected {
        Expected::Text(text) => Value::Str(text.into_bytes()),
        Expected::Number(number) => Value::U64(number),
        Expected::List(list) => Value::StrList(list.into_iter().map(String::into_bytes).collect()),
    }
}

/// A value for a failure message.
pub fn show(value: &Option<Value>) -> String {
    match value {
        None => "no value".to_owned(),
        Some(Value::Str(text)) => format!("{:?}", String::from_utf8_lossy(text)),
        Some(Value::StrList(list)) => {
            let texts: Vec<_> = list
                .iter()
                .map(|text| String::from_utf8_lossy(text))
                .collect();
            format!("{texts:?}")
        }
        Some(other) => format!("{other:?}"),
    }
}
