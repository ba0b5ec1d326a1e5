//! What takes a minute to see: an idle queue, closing while nothing answers, memory over many messages.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::bucket::PREFIX;
use super::run::{self, Before, QUEUE};
use super::server::Server;
use super::usage;

/// How long a queue is idle.
const IDLE: Duration = Duration::from_secs(60);

/// Messages over which memory has to stay as it is.
const MESSAGES: usize = 20_000;

/// What the first ones may need, for buffers and threads.
const WARM: usize = 4_000;

/// Measures and prints all.
pub fn run(server: &Server) {
    server.set_latency(Duration::ZERO);
    memory(server);
    closing(server);
    idle(server);
}

fn idle(server: &Server) {
    let plugin = run::plugin(server, 32);
    server.queue().fill("small", server.bucket("small"), 0);
    let mut capture = run::opened(&plugin, QUEUE);
    let opening = server.queue().seen().requests;
    let before = Before::now(server);
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
    let sweep = format!("s3://small/{PREFIX}");
    for (what, params, objects, deletions) in [
        ("s3, nothing in the way", sweep.as_str(), false, false),
        ("s3, downloads hang", sweep.as_str(), true, false),
        ("sqs, idle", QUEUE, false, false),
        ("sqs, downloads hang", QUEUE, true, false),
        ("sqs, deletions hang", QUEUE, false, true),
    ] {
        for concurrency in [1, 32] {
            let plugin = run::plugin(server, concurrency);
            let messages = if objects || deletions { 400 } else { 0 };
            server
                .queue()
                .fill("small", server.bucket("small"), messages);
            server.set_silent(objects, deletions);
            let asked = server.objects();
            let mut capture = run::opened(&plugin, params);
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(800) {
                // A sweep may be over: then there is nothing in the way.
                let _ = capture
                    .next_batch()
                    .unwrap_or_else(|error| panic!("{error}"));
            }
            let asked = server.objects() - asked;
            let started = Instant::now();
            drop(capture);
            let closed = started.elapsed();
            server.set_silent(false, false);
            println!(
                "close, {what}, {concurrency} at a time ({asked} objects asked for): {:.0} ms",
                closed.as_secs_f64() * 1e3
            );
        }
    }
}

fn memory(server: &Server) {
    let plugin = run::plugin(server, 32);
    let mut at = Vec::new();
    let mut next = WARM;
    let taken = run::follow(server, &plugin, "small", MESSAGES, |deleted| {
        if deleted >= next {
            at.push((deleted, usage::memory("VmHWM"), usage::memory("VmRSS")));
            next = deleted + WARM;
        }
    });
    println!(
        "{MESSAGES} messages: {:.0} messages/s, {:.0} µs CPU each, at most {} held at a time, {} connections",
        taken.objects_per_second(),
        taken.cpu.as_secs_f64() * 1e6 / taken.objects as f64,
        taken.most_leased,
        taken.connections,
    );
    for (deleted, most, now) in at {
        println!(
            "  after {deleted}: {:.1} MiB at most, {:.1} MiB now",
            mebibytes(most),
            mebibytes(now)
        );
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
