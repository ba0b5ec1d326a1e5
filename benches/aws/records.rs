//! Records in messages: the time from the message to the event, and the CPU time of 10,000 records a minute.
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use cloudtrail::host::Capture;

use super::run::{self, Baseline, QUEUE};
use super::server::Server;

/// Messages of which the time is measured, one after the other.
const MESSAGES: usize = 301;

/// Pause before each of them, in which the queue is idle.
const PAUSE: Duration = Duration::from_millis(30);

/// Records a minute, and seconds of measuring.
const RATE: u32 = 10_000;
const SECONDS: u32 = 30;

/// Runs both measurements and prints the results.
pub fn run(server: &Server) {
    server.set_latency(Duration::ZERO);
    time_to_event(server);
    cpu(server);
}

fn events_of(capture: &mut Capture<'_>) -> usize {
    let (_, events) = capture
        .next_batch()
        .unwrap_or_else(|error| panic!("{error}"));
    events.count()
}

/// The host asks for events without a pause, as Falco does.
fn time_to_event(server: &Server) {
    let plugin = run::plugin(&server.url(), 32);
    let queue = server.queue();
    queue.empty();
    let mut capture = run::opened(&plugin, QUEUE);
    let mut times = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let (time, events) = thread::scope(|scope| {
            let sent = scope.spawn(|| {
                thread::sleep(PAUSE);
                let at = Instant::now();
                queue.push_record();
                at
            });
            let mut events = 0;
            while events == 0 {
                events = events_of(&mut capture);
            }
            let received = Instant::now();
            (received - sent.join().expect("a time"), events)
        });
        assert_eq!(events, 1, "each record is one event");
        times.push(time);
    }
    times.sort_unstable();
    let at = |share: usize| times[(MESSAGES - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "message to event, idle queue: median {:.1} ms, 99 % {:.1} ms",
        at(50),
        at(99)
    );
}

fn cpu(server: &Server) {
    let plugin = run::plugin(&server.url(), 32);
    let queue = server.queue();
    queue.empty();
    let mut capture = run::opened(&plugin, QUEUE);
    let before = Baseline::now(server);
    let (started, total) = (Instant::now(), (RATE * SECONDS / 60) as usize);
    let mut events = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..total as u32 {
                let due = Duration::from_secs(60) * number / RATE;
                thread::sleep(due.saturating_sub(started.elapsed()));
                queue.push_record();
            }
        });
        while events < total {
            events += events_of(&mut capture);
        }
    });
    assert_eq!(events, total, "each record is one event");
    let (cpu, wall) = (before.cpu(server), started.elapsed());
    println!(
        "{RATE} records a minute: {:.1} % of a core, {:.0} µs a record, {} requests to the queue",
        cpu.as_secs_f64() / wall.as_secs_f64() * 100.0,
        cpu.as_secs_f64() * 1e6 / total as f64,
        queue.seen().requests
    );
}
