//! Asks the plugin for every field of an event, in all the ways a host may, and compares with the oracle.
#![forbid(unsafe_code)]

use cloudtrail::host::{Event, OwnedValue as Value, Plugin, Request, Requests};

use crate::oracle::{self, Expected, Record};

/// All fields of the plugin, ready to be asked for.
pub struct Asker<'p> {
    plugin: &'p Plugin,
    asked: Vec<Asked>,
    together: Requests,
}

struct Asked {
    field: String,
    argument: Option<String>,
    alone: Requests,
}

/// What one field gave: its value and offsets.
type Answer = (Option<Value>, Vec<(u32, u32)>);

impl<'p> Asker<'p> {
    /// Every field without an argument where one may be left out, indexed fields at 0, 1 and 7 too, and `ct.value`
    /// at each of `pointers`.
    pub fn new(plugin: &'p Plugin, pointers: &[&str]) -> Asker<'p> {
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
        Asker {
            plugin,
            together: set(specs.iter().map(|(f, a)| request(f, *a)).collect()),
            asked: specs
                .into_iter()
                .map(|(field, argument)| Asked {
                    field: field.to_owned(),
                    argument: argument.map(str::to_owned),
                    alone: set(vec![request(field, argument)]),
                })
                .collect(),
        }
    }

    /// The specs of all that is asked for, e.g. `ct.name`, `ec2.imageids[0]`.
    pub fn specs(&self) -> impl Iterator<Item = &str> {
        self.together.as_slice().iter().map(Request::spec)
    }

    /// The value of every field, asked one by one as Falco does.
    pub fn values(&mut self, event: Event) -> Vec<Option<Value>> {
        let mut values = Vec::with_capacity(self.asked.len());
        for asked in &mut self.asked {
            values.push(ask(self.plugin, event, &mut asked.alone, false).remove(0).0);
        }
        values
    }

    /// Every way in which what the plugin says about `event` differs from the oracle: fields one by one, with and
    /// without offsets, all in one call, and the event as a line. Empty if none does.
    pub fn differences(&mut self, event: Event, record: &Record) -> Vec<String> {
        let mut found = Vec::new();
        let plain = self.values(event);
        let all = ask(self.plugin, event, &mut self.together, false);
        let all_with_offsets = ask(self.plugin, event, &mut self.together, true);
        for (place, asked) in self.asked.iter_mut().enumerate() {
            let spec = asked.alone.as_slice()[0].spec().to_owned();
            let argument = asked.argument.as_deref();
            let expected = record.value(&asked.field, argument).map(value);
            let (alone, offsets) = ask(self.plugin, event, &mut asked.alone, true).remove(0);
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
            let extents = record.extents(&asked.field, argument);
            let mut right: Vec<_> = extents
                .iter()
                .map(|extent| ((payload_at + extent.start) as u32, extent.len() as u32))
                .collect();
            // What is computed stands nowhere.
            right.resize(count, (0, 0));
            if offsets != right {
                found.push(format!(
                    "offsets of {spec} alone: {offsets:?} instead of {right:?}"
                ));
            }
            // One pair for each field, which cannot tell several places.
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

/// The names of the plugin's fields and those that the oracle knows, sorted.
pub fn field_names(plugin: &Plugin) -> (Vec<&str>, Vec<&str>) {
    let mut given: Vec<&str> = plugin.fields().iter().map(|f| f.name.as_str()).collect();
    let mut known: Vec<&str> = oracle::fields().collect();
    given.sort_unstable();
    known.sort_unstable();
    (given, known)
}

fn ask(plugin: &Plugin, event: Event, requests: &mut Requests, offsets: bool) -> Vec<Answer> {
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

/// The oracle's value as the host gives it.
pub fn value(expected: Expected) -> Value {
    match expected {
        Expected::Text(text) => Value::Str(text.into_bytes()),
        Expected::Number(number) => Value::U64(number),
        Expected::List(list) => Value::StrList(list.into_iter().map(String::into_bytes).collect()),
    }
}

/// A value for a person.
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
