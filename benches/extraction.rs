//! Cost of extracting fields: in the extractor alone, and through the C ABI as in Falco.
//!
//! The events are those of one live batch, in order. Times are per event.
#![forbid(unsafe_code)]

mod corpus;
mod plugin;

use cloudtrail::testing::{
    Argument, Batch, Damage, EventPolicy, ExtractedValue, Extractor, FIELDS, FieldUsage, NotALog,
    Precompute, RecordReader, RecordSink, Scanner, TapeBuffer, TapeSpan,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudtrail::host::{Event, Plugin, Requests};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value as Json;

/// Events per batch, about as many as the pipeline puts into one.
const EVENTS: usize = 320;

/// Fields to extract from each event.
struct Case {
    name: &'static str,
    fields: &'static [&'static str],
}

const CASES: [Case; 10] = [
    Case {
        name: "first touch, ct.name",
        fields: &["ct.name"],
    },
    Case {
        name: "ct.info",
        fields: &["ct.info"],
    },
    Case {
        name: "s3.uri",
        fields: &["s3.uri"],
    },
    Case {
        name: "ct.value with a named field's path",
        fields: &["ct.value[/userIdentity/arn]"],
    },
    Case {
        name: "the named field of the same path, ct.user.arn",
        fields: &["ct.user.arn"],
    },
    Case {
        name: "ct.value with a path of its own",
        fields: &["ct.value[/requestParameters/instancesSet/items/0/imageId]"],
    },
    Case {
        name: "ct.values with a path of its own",
        fields: &["ct.values[/requestParameters/tagSpecificationSet/items/*/tags/*/value]"],
    },
    Case {
        name: "ct.resources.arn, a list",
        fields: &["ct.resources.arn"],
    },
    Case {
        name: "ct.request, an object",
        fields: &["ct.request"],
    },
    Case {
        name: "12 fields as in a rule set",
        fields: &plugin::RULE_SET,
    },
];

fn file() -> corpus::LogFile {
    corpus::log_file(0, EVENTS)
}

/// Number of values of `fields`, computed with serde_json. `None` if a field is not the value at a single path.
fn expected(text: &str, fields: &[&str]) -> Option<u64> {
    let log: Json = serde_json::from_str(text).expect("valid JSON");
    let path = |field: &str| -> Option<String> {
        let simple = [
            ("ct.name", "/eventName"),
            ("ct.user.arn", "/userIdentity/arn"),
            ("ct.request", "/requestParameters"),
        ];
        match field.strip_prefix("ct.value[") {
            Some(pointer) => Some(pointer.trim_end_matches(']').to_owned()),
            None => Some(simple.iter().find(|(name, _)| *name == field)?.1.to_owned()),
        }
    };
    let records = log["Records"].as_array().expect("records");
    fields
        .iter()
        .map(|field| {
            let path = path(field)?;
            let values = records.iter().filter_map(|record| record.pointer(&path));
            Some(values.filter(|value| !value.is_null()).count() as u64)
        })
        .sum()
}

fn check(case: &Case, values: u64) {
    let expected = expected(&file().text, case.fields);
    assert!(
        expected.is_none_or(|expected| expected == values),
        "{}: {values}, not {expected:?}",
        case.name
    );
    assert!(values > 0, "{}: no values", case.name);
}

/// Calls `run` with `iterations` events, starting over at the end of the batch. Returns the time it takes.
fn cycle(iterations: u64, events: usize, mut run: impl FnMut(usize)) -> Duration {
    let mut remaining = iterations as usize;
    let start = Instant::now();
    while remaining > 0 {
        let round = remaining.min(events);
        (0..round).for_each(&mut run);
        remaining -= round;
    }
    start.elapsed()
}

/// Record sink that turns records into the events of one batch.
#[derive(Default)]
struct BatchSink(Batch);

impl RecordSink for BatchSink {
    fn tapes(&mut self) -> &mut TapeBuffer {
        self.0.tapes()
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan, _: Option<u64>) -> bool {
        let policy = EventPolicy {
            insights: false,
            fallback_time: None,
        };
        self.0.push(text, tape, policy);
        true
    }

    fn not_a_log(&mut self, value: NotALog<'_>) {
        panic!("not a log: {value:?}");
    }

    fn damage(&mut self, damage: Damage, _: u64) {
        panic!("{damage:?} in an undamaged file");
    }
}

/// A live batch with precomputed values of the hot fields, and the addresses of its events.
fn batch(usage: &Arc<FieldUsage>) -> (Arc<Batch>, Vec<*mut u8>) {
    let mut sink = BatchSink::default();
    let usage: Arc<dyn Precompute> = Arc::clone(usage) as _;
    sink.0.precompute_with(&usage);
    RecordReader::new(Scanner::default()).feed(file().text.as_bytes(), true, &mut sink);
    assert_eq!(sink.0.len(), EVENTS);
    let addresses = sink.0.addresses().collect();
    (Arc::new(sink.0), addresses)
}

/// A field's index and argument, the form in which the extractor takes it.
fn field(spec: &'static str) -> (usize, Argument<'static>) {
    let (name, argument) = match spec.split_once('[') {
        Some((name, key)) => (name, Argument::Key(key.trim_end_matches(']'))),
        None => (spec, Argument::None),
    };
    let index = FIELDS.iter().position(|field| field.name == name);
    (index.expect("a field of the plugin"), argument)
}

/// Extracts `fields` from the selected event. Returns the number of values.
fn extract(extractor: &mut Extractor, fields: &[(usize, Argument<'_>)]) -> u64 {
    let mut values = 0;
    for &(field, argument) in fields {
        let value = extractor.extract(field, argument, false);
        values += match black_box(value).map(|value| value.value()) {
            None | Some(ExtractedValue::None) => 0,
            Some(ExtractedValue::Text(_) | ExtractedValue::Number(_)) => 1,
            Some(ExtractedValue::List(texts)) => texts.len() as u64,
        };
    }
    values
}

fn extractor(criterion: &mut Criterion) {
    let usage = Arc::new(FieldUsage::default());
    extractor_group(criterion, "extractor", &usage);
    // All fields of the first group are hot now.
    extractor_group(criterion, "extractor, precomputed", &usage);
}

fn extractor_group(criterion: &mut Criterion, name: &str, usage: &Arc<FieldUsage>) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    let (batch, addresses) = batch(usage);
    let mut extractor = Extractor::new(Arc::clone(usage));
    extractor.select_live(Arc::clone(&batch), 0);
    for case in &CASES {
        let fields: Vec<_> = case.fields.iter().map(|spec| field(spec)).collect();
        let mut values = 0;
        for &address in &addresses {
            assert!(extractor.select_neighbor(address));
            values += extract(&mut extractor, &fields);
        }
        check(case, values);
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|iterations| {
                cycle(iterations, EVENTS, |event| {
                    extractor.select_neighbor(addresses[event]);
                    extract(&mut extractor, &fields);
                })
            });
        });
    }
    for (name, spec) in [
        ("again, ct.name", "ct.name"),
        ("again, ct.value", "ct.value[/userIdentity/type]"),
    ] {
        let field = [field(spec)];
        assert_eq!(extract(&mut extractor, &field), 1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| extract(&mut extractor, &field))
        });
    }
    extractor.select_live(batch, 0);
    for &address in &addresses {
        assert!(extractor.select_neighbor(address));
        for case in &CASES {
            let fields: Vec<_> = case.fields.iter().map(|spec| field(spec)).collect();
            extract(&mut extractor, &fields);
        }
    }
    extractor.select_live(self::batch(usage).0, 0);
}

fn through_the_abi(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("through the C ABI");
    group.throughput(Throughput::Elements(1));
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("extraction.json.gz");
    std::fs::write(&log, corpus::gzip(&file().text)).expect("room for a log file");
    let library = plugin::library();
    eprintln!("measuring {}", library.display());
    let plugin = plugin::load(&library, "{}");
    let mut capture = plugin
        .open(log.to_str().expect("a path that is UTF-8"))
        .expect("a readable file");
    // The first batches may be empty while the file is being decoded.
    let events: Vec<Event> = loop {
        let (_, events) = capture.next_batch().expect("events");
        if events.len() > 0 {
            break events.collect();
        }
    };
    for case in &CASES {
        let mut requests = plugin::one_by_one(&plugin, case.fields);
        let values: u64 = events
            .iter()
            .map(|&event| plugin::extract(&plugin, event, &mut requests))
            .sum();
        if events.len() == EVENTS {
            check(case, values);
        }
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|iterations| {
                cycle(iterations, events.len(), |event| {
                    plugin::extract(&plugin, events[event], &mut requests);
                })
            });
        });
    }
    for (name, spec) in [
        ("again, ct.name", "ct.name"),
        ("again, ct.value", "ct.value[/userIdentity/type]"),
    ] {
        let mut requests = plugin::one_by_one(&plugin, &[spec]);
        extract_one(&plugin, events[0], &mut requests);
        group.bench_function(name, |bencher| {
            bencher.iter(|| extract_one(&plugin, events[0], &mut requests))
        });
    }
}

fn extract_one(plugin: &Plugin, event: Event<'_>, requests: &mut [Requests]) {
    assert_eq!(plugin::extract(plugin, event, requests), 1);
}

criterion_group!(benches, extractor, through_the_abi);
criterion_main!(benches);
