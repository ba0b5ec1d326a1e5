//! Decoding stage by stage: inflate, scan to a tape, index a record's keys, assemble a batch.
#![forbid(unsafe_code)]

mod corpus;

use cloudtrail::testing::{
    Batch, Damage, EventPolicy, Inflater, KnownKey, MultiMemberReader, NotALog, RecordIndex,
    RecordOutcome, RecordReader, RecordSink, Scan, Scanner, TapeBuffer, TapeSpan,
};
use std::hint::black_box;
use std::io::Read;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};

use corpus::LogFile;

/// Record sink that keeps only the tapes.
#[derive(Default)]
struct TapeSink {
    tapes: TapeBuffer,
    records: usize,
}

impl RecordSink for TapeSink {
    fn tapes(&mut self) -> &mut TapeBuffer {
        &mut self.tapes
    }

    fn record(&mut self, _: &[u8], _: TapeSpan, _: Option<u64>) -> bool {
        self.records += 1;
        true
    }

    fn not_a_log(&mut self, value: NotALog<'_>) {
        panic!("not a log: {value:?}");
    }

    fn damage(&mut self, damage: Damage, _: u64) {
        panic!("{damage:?} in an undamaged file");
    }
}

/// Record sink that turns records into the events of one batch.
#[derive(Default)]
struct BatchSink {
    batch: Batch,
}

impl RecordSink for BatchSink {
    fn tapes(&mut self) -> &mut TapeBuffer {
        self.batch.tapes()
    }

    fn record(&mut self, text: &[u8], tape: TapeSpan, _: Option<u64>) -> bool {
        let policy = EventPolicy {
            insights: false,
            fallback_time: None,
        };
        assert_eq!(self.batch.push(text, tape, policy), RecordOutcome::Event);
        true
    }

    fn not_a_log(&mut self, value: NotALog<'_>) {
        panic!("not a log: {value:?}");
    }

    fn damage(&mut self, damage: Damage, _: u64) {
        panic!("{damage:?} in an undamaged file");
    }
}

fn throughput(group: &mut BenchmarkGroup<'_, WallTime>, file: &LogFile) {
    group.throughput(Throughput::ElementsAndBytes {
        elements: file.records as u64,
        bytes: file.text.len() as u64,
    });
}

fn files() -> [(&'static str, LogFile); 2] {
    [
        ("large file", corpus::log_file(0, corpus::LARGE)),
        ("small file", corpus::log_file(0, corpus::SMALL)),
    ]
}

fn inflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inflate");
    for (name, file) in files() {
        let stored = corpus::gzip(&file.text);
        throughput(&mut group, &file);
        let mut inflater = Inflater::default();
        assert_eq!(
            inflater.inflate_single_member(&stored, usize::MAX),
            Some(file.text.as_bytes())
        );
        group.bench_function(format!("whole/{name}"), |bencher| {
            bencher.iter(|| {
                inflater
                    .inflate_single_member(black_box(&stored), usize::MAX)
                    .map(<[u8]>::len)
            });
        });
        let mut window = vec![0; file.text.len()];
        MultiMemberReader::new(&stored[..])
            .read_exact(&mut window)
            .expect("an undamaged file");
        assert_eq!(window, file.text.as_bytes());
        group.bench_function(format!("member by member/{name}"), |bencher| {
            bencher.iter(|| MultiMemberReader::new(black_box(&stored[..])).read_exact(&mut window));
        });
        group.bench_function(format!("checksum alone/{name}"), |bencher| {
            bencher.iter(|| crc32fast::hash(black_box(file.text.as_bytes())));
        });
    }
}

fn tape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tape");
    for (name, file) in files() {
        throughput(&mut group, &file);
        for (implementation, scanner) in [
            ("detected", Scanner::default()),
            ("without AVX-512", Scanner::without_avx512()),
            ("baseline", Scanner::baseline()),
        ] {
            let mut sink = TapeSink::default();
            RecordReader::new(scanner).feed(file.text.as_bytes(), true, &mut sink);
            assert_eq!(sink.records, file.records);
            group.bench_function(format!("{implementation}/{name}"), |bencher| {
                bencher.iter(|| {
                    sink.tapes.clear();
                    RecordReader::new(scanner).feed(
                        black_box(file.text.as_bytes()),
                        true,
                        &mut sink,
                    )
                });
            });
        }
        let mut copy = file.text.clone().into_bytes();
        let mut buffers = simd_json::Buffers::new(copy.len());
        // simd-json unescapes in place, so every round needs a fresh copy. The next benchmark measures the copy alone.
        group.bench_function(format!("simd-json with a copy/{name}"), |bencher| {
            bencher.iter(|| {
                copy.copy_from_slice(black_box(file.text.as_bytes()));
                simd_json::to_tape_with_buffers(&mut copy, &mut buffers)
                    .expect("valid JSON")
                    .0
                    .len()
            });
        });
        group.bench_function(format!("copy alone/{name}"), |bencher| {
            bencher.iter(|| copy.copy_from_slice(black_box(file.text.as_bytes())));
        });
    }
}

fn root_walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("root walk");
    let file = corpus::log_file(0, corpus::LARGE);
    let text = file.text.as_bytes();
    let (mut tapes, mut spans, mut at) =
        (TapeBuffer::default(), Vec::new(), r#"{"Records":["#.len());
    while let Scan::Whole { len, tape, .. } = Scanner::default().scan(&text[at..], &mut tapes) {
        spans.push((&text[at..at + len], tape));
        at += len + 1;
    }
    let walk = || {
        let of = |(text, span): &(&[u8], TapeSpan)| RecordIndex::of(tapes.tape(*span, text));
        spans
            .iter()
            .map(of)
            .filter(|slots| slots.value(KnownKey::EventName).is_some())
            .count()
    };
    assert_eq!(walk(), file.records);
    throughput(&mut group, &file);
    group.bench_function("large file", |bencher| bencher.iter(walk));
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text to batch");
    for (name, file) in files() {
        let mut sink = BatchSink::default();
        throughput(&mut group, &file);
        RecordReader::new(Scanner::default()).feed(file.text.as_bytes(), true, &mut sink);
        assert_eq!(sink.batch.len(), file.records);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                sink.batch.clear();
                RecordReader::new(Scanner::default()).feed(
                    black_box(file.text.as_bytes()),
                    true,
                    &mut sink,
                )
            });
        });
    }
}

criterion_group!(benches, inflate, tape, root_walk, batch);
criterion_main!(benches);
