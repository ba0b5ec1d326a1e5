//! Measurements that take a minute: an idle queue, closing while the server hangs, memory over many messages.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::bucket::PREFIX;
use super::run::{self, Baseline, QUEUE};
use super::server::Server;
use super::usage;

/// Duration of the idle queue.
const IDLE: Duration = Duration::from_secs(60);

/// Messages to read while watching memory.
const MESSAGES: usize = 20_000;

/// Messages between two measurements of memory. The first one follows the allocation of buffers and threads.
const INTERVAL: usize = 4_000;

/// Runs all measurements and prints the results.
pub fn run(server: &Server) {
    server.set_latency(Duration::ZERO);
    memory(server);
    closing(server);
    idle(server);
}

fn idle(server: &Server) {
    let plugin = run::plugin(&server.url(), 32);
    server.queue().fill("small", server.bucket("small"), 0);
    let mut capture = run::opened(&plugin, QUEUE);
    let opening = server.queue().seen().requests;
    let before = Baseline::now(server);
    let started = Instant::now();
    while started.elapsed() < IDLE {
        let (_, events) = capture
            .next_batch()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(events.count(), 0, "the queue is empty");
    }
    let cpu = before.cpu(server);
    let seen = server.queue().seen();
    println!(
        "idle queue, {} s: {} requests ({} for messages), {:.1} ms CPU ({:.3} % of a core)",
        IDLE.as_secs(),
        seen.requests - opening,
        seen.receives,
        cpu.as_secs_f64() * 1e3,
        cpu.as_secs_f64() / IDLE.as_secs_f64() * 100.0,
    );
}

fn closing(server: &Server) {
    let backfill = format!("s3://small/{PREFIX}");
    for (what, params, objects, deletions) in [
        ("s3, no fault", backfill.as_str(), false, false),
        ("s3, downloads hang", backfill.as_str(), true, false),
        ("sqs, idle", QUEUE, false, false),
        ("sqs, downloads hang", QUEUE, true, false),
        ("sqs, deletions hang", QUEUE, false, true),
    ] {
        for concurrency in [1, 32] {
            let plugin = run::plugin(&server.url(), concurrency);
            let messages = if objects || deletions { 400 } else { 0 };
            server
                .queue()
                .fill("small", server.bucket("small"), messages);
            server.set_silent(objects, deletions);
            let before = server.objects();
            let mut capture = run::opened(&plugin, params);
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(800) {
                // The end of a backfill does not matter here.
                let _ = capture
                    .next_batch()
                    .unwrap_or_else(|error| panic!("{error}"));
            }
            let requested = server.objects() - before;
            let started = Instant::now();
            drop(capture);
            let closed = started.elapsed();
            server.set_silent(false, false);
            println!(
                "close, {what}, {concurrency} downloads ({requested} objects requested): {:.0} ms",
                closed.as_secs_f64() * 1e3
            );
        }
    }
}

fn memory(server: &Server) {
    let plugin = run::plugin(&server.url(), 32);
    let mut measured = Vec::new();
    let mut next = INTERVAL;
    let total = run::follow(server, &plugin, "small", MESSAGES, |deleted| {
        if deleted >= next {
            measured.push((deleted, usage::memory("VmHWM"), usage::memory("VmRSS")));
            next = deleted + INTERVAL;
        }
    });
    println!(
        "{MESSAGES} messages: {:.0} messages/s, {:.0} µs CPU each, at most {} in flight, {} connections",
        total.objects_per_second(),
        total.cpu.as_secs_f64() * 1e6 / total.objects as f64,
        total.max_in_flight,
        total.connections,
    );
    for (deleted, peak, current) in measured {
        println!(
            "  after {deleted}: peak {:.1} MiB, current {:.1} MiB",
            mebibytes(peak),
            mebibytes(current)
        );
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
