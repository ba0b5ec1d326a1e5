//! What a field costs per event: in the engine alone, and through the C ABI as Falco pays for it.
//!
//! Events come one after the other out of one live batch. The times are for one event.
#![forbid(unsafe_code)]

mod corpus;
mod plugin;

use cloudtrail::testing::{
    Argument, Batch, Damage, EventPolicy, ExtractedValue, Extractor, FIELDS, FieldUsage,
    Precompute, RecordReader, RecordSink, Scanner, TapeBuffer, TapeSpan,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudtrail::host::{Event, Plugin, Requests};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value as Json;

/// Events of the batch: about what the pipeline puts into one.
const EVENTS: usize = 320;

/// What is asked of each event, and how often.
struct Case {
    name: &'static str,
    fields: &'static [&'static str],
}

const CASES: [Case; 8] = [
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
        name: "the named field beside it, ct.user.arn",
        fields: &["ct.user.arn"],
    },
    Case {
        name: "ct.value with a path of its own",
        fields: &["ct.value[/requestParameters/instancesSet/items/0/imageId]"],
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

/// How many values the answers to `fields` have, read in a slow way of its own; `None` where that would need more
/// than looking at one path.
fn expected(text: &str, fields: &[&str]) -> Option<u64> {
    let log: Json = serde_json::from_str(text).expect("sound JSON");
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

/// Calls `run` for as many events as criterion asks for, over and over the batch.
fn cycle(iterations: u64, events: usize, mut run: impl FnMut(usize)) -> Duration {
    let mut left = iterations as usize;
    let start = Instant::now();
    while left > 0 {
        let round = left.min(events);
        (0..round).for_each(&mut run);
        left -= round;
    }
    start.elapsed()
}

#[derive(Default)]
struct Assembly(Batch);

impl RecordSink for Assembly {
    fn tapes(&mut self) -> &mut TapeBuffer {
        self.0.tapes()
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan) -> bool {
        let policy = EventPolicy {
            insights: false,
            file_time: None,
        };
        self.0.push(text, tape, policy);
        true
    }

    fn damage(&mut self, damage: Damage) {
        panic!("{damage:?} in a sound file");
    }
}

/// A live batch with precomputed values of these fields, and the addresses of its events.
fn batch(usage: FieldUsage) -> (Arc<Batch>, Vec<*mut u8>) {
    let mut sink = Assembly::default();
    let usage: Arc<dyn Precompute> = Arc::new(usage);
    sink.0.precompute_with(&usage);
    RecordReader::new(Scanner::default()).feed(file().text.as_bytes(), true, &mut sink);
    assert_eq!(sink.0.len(), EVENTS);
    let addresses = sink.0.addresses().collect();
    (Arc::new(sink.0), addresses)
}

/// A field as the engine is asked for it.
fn question(spec: &'static str) -> (usize, Argument<'static>) {
    let (name, argument) = match spec.split_once('[') {
        Some((name, key)) => (name, Argument::Key(key.trim_end_matches(']'))),
        None => (spec, Argument::None),
    };
    let number = FIELDS.iter().position(|field| field.name == name);
    (number.expect("a field of ours"), argument)
}

fn ask(extractor: &mut Extractor, questions: &[(usize, Argument<'_>)]) -> u64 {
    let mut values = 0;
    for &(field, argument) in questions {
        let answer = extractor.extract(field, argument, false);
        values += match black_box(answer).map(|answer| answer.value()) {
            None | Some(ExtractedValue::None) => 0,
            Some(ExtractedValue::Text(_) | ExtractedValue::Number(_)) => 1,
            Some(ExtractedValue::List(texts)) => texts.len() as u64,
        };
    }
    values
}

fn engine(criterion: &mut Criterion) {
    questions(criterion, "engine", FieldUsage::default());
    questions(criterion, "engine, precomputed", FieldUsage::with(|_| true));
}

fn questions(criterion: &mut Criterion, name: &str, usage: FieldUsage) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    let (batch, addresses) = batch(usage);
    let mut extractor = Extractor::default();
    extractor.select_live(batch, 0);
    for case in &CASES {
        let questions: Vec<_> = case.fields.iter().map(|spec| question(spec)).collect();
        let mut values = 0;
        for &address in &addresses {
            assert!(extractor.select_neighbor(address));
            values += ask(&mut extractor, &questions);
        }
        check(case, values);
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|iterations| {
                cycle(iterations, EVENTS, |event| {
                    extractor.select_neighbor(addresses[event]);
                    ask(&mut extractor, &questions);
                })
            });
        });
    }
    for (name, spec) in [
        ("again, ct.name", "ct.name"),
        ("again, ct.value", "ct.value[/userIdentity/type]"),
    ] {
        let question = [question(spec)];
        assert_eq!(ask(&mut extractor, &question), 1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| ask(&mut extractor, &question))
        });
    }
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
    // No events may still be on their way.
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
        again(&plugin, events[0], &mut requests);
        group.bench_function(name, |bencher| {
            bencher.iter(|| again(&plugin, events[0], &mut requests))
        });
    }
}

fn again(plugin: &Plugin, event: Event<'_>, requests: &mut [Requests]) {
    assert_eq!(plugin::extract(plugin, event, requests), 1);
}

criterion_group!(benches, engine, through_the_abi);
criterion_main!(benches);
