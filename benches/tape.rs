//! scratch
use cloudtrail::tape::{Scan, Scanner, Tapes, Value};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::io::Read;
fn bench(c: &mut Criterion) {
    let path = std::env::var("LOG").unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_end(&mut text)
        .unwrap();
    let mut group = c.benchmark_group("tape");
    group.throughput(Throughput::Bytes(text.len() as u64));
    // record starts
    let mut tapes = Tapes::default();
    let scanner = Scanner::default();
    let mut starts = vec![];
    let mut at = 12;
    while text[at] == b'{' {
        match scanner.scan(&text[at..], &mut tapes) {
            Scan::Whole { len, .. } => {
                starts.push(at);
                at += len + 1;
                if at >= text.len() {
                    break;
                }
            }
            other => panic!("{other:?} {at}"),
        }
    }
    println!("{} records {} bytes", starts.len(), text.len());
    for (name, scanner) in [("auto", scanner), ("portable", Scanner::baseline())] {
        group.bench_function(format!("scan/{name}"), |b| {
            b.iter(|| {
                tapes.clear();
                for &s in &starts {
                    scanner.scan(&text[s..], &mut tapes);
                }
            })
        });
    }
    tapes.clear();
    let spans: Vec<_> = starts
        .iter()
        .map(|&s| match scanner.scan(&text[s..], &mut tapes) {
            Scan::Whole { len, tape } => (s, len, tape),
            _ => panic!(),
        })
        .collect();
    group.bench_function("walk root", |b| {
        b.iter(|| {
            let mut n = 0;
            for &(s, len, t) in &spans {
                let tape = tapes.tape(t, &text[s..s + len]);
                for (k, v) in tape.members(Value::ROOT) {
                    n += k.len() + v.0 as usize;
                }
            }
            n
        })
    });
    let mut copy = text.clone();
    group.bench_function("memcpy", |b| {
        b.iter(|| {
            copy.copy_from_slice(&text);
            copy[0]
        })
    });
    let mut buffers = simd_json::Buffers::new(text.len());
    group.bench_function("simd-json + memcpy", |b| {
        b.iter(|| {
            copy.copy_from_slice(&text);
            simd_json::to_tape_with_buffers(&mut copy, &mut buffers)
                .unwrap()
                .0
                .len()
        })
    });
}
criterion_group!(benches, bench);
criterion_main!(benches);
