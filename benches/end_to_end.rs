//! Whole captures through the C ABI: reads every event of a directory of log files.
//!
//! Measures wall time. `versus` measures CPU time and memory, and compares with gzip and other plugins.
#![forbid(unsafe_code)]

mod corpus;
mod plugin;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

use corpus::Tree;

fn end_to_end(criterion: &mut Criterion) {
    let library = plugin::library();
    eprintln!("measuring {}", library.display());
    let plugin = plugin::load(&library, "{}");
    let mut group = criterion.benchmark_group("end to end");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (name, tree) in [
        ("large files", Tree::large()),
        ("small files", Tree::small()),
    ] {
        for (extraction, fields) in [
            ("no extraction", &[][..]),
            ("12 fields", &plugin::RULE_SET[..]),
        ] {
            let mut requests = plugin::one_by_one(&plugin, fields);
            let totals = plugin::read(&plugin, &tree.path, &mut requests);
            assert_eq!(totals.events, tree.records as u64);
            assert_eq!(totals.values > 0, !fields.is_empty());
            group.throughput(Throughput::ElementsAndBytes {
                elements: totals.events,
                bytes: totals.bytes,
            });
            group.bench_function(format!("{name}/{extraction}"), |bencher| {
                bencher.iter(|| plugin::read(&plugin, &tree.path, &mut requests));
            });
        }
    }
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
