//! Reads a source to its end through the plugin library, and counts what that takes.
#![forbid(unsafe_code)]

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use cloudtrail::host::{Plugin, Severity, Status, library_beside};

use super::bucket::{Bucket, PREFIX};
use super::server::Server;
use super::usage;

/// No source takes longer, or something is wrong.
const LONGEST: Duration = Duration::from_secs(300);

/// The queue that stands for all.
pub const QUEUE: &str = "sqs://bench";

/// The plugin, told to go to `server`.
pub fn plugin(server: &Server, concurrency: usize) -> Plugin {
    let exe = std::env::current_exe().expect("the path of this bench");
    let library = library_beside(&exe, "cloudtrail");
    let config = serde_json::json!({
        "s3DownloadConcurrency": concurrency,
        "aws": {"endpoint": format!("http://{}", server.address()), "region": "us-east-1"},
    });
    let log = |severity: Severity, line: &str| {
        if severity <= Severity::Warning {
            eprintln!("{line}");
        }
    };
    Plugin::load_with_log(&library, &config.to_string(), log)
        .unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}

/// What reading took. Sums of several add up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// How often it was read.
    pub runs: u32,
    /// Objects read.
    pub objects: u64,
    /// Events handed over.
    pub events: u64,
    /// Bytes of text that these objects hold.
    pub text: u64,
    /// Bytes as they are stored.
    pub stored: u64,
    /// Time to open.
    pub open: Duration,
    /// Time from then to the end: all events taken, and all messages deleted.
    pub wall: Duration,
    /// Processor time of all but the server, opening included.
    pub cpu: Duration,
    /// Connections made.
    pub connections: u64,
    /// The most messages held at a time.
    pub most_leased: usize,
}

impl AddAssign for Taken {
    fn add_assign(&mut self, other: Taken) {
        self.runs += other.runs;
        self.objects += other.objects;
        self.events += other.events;
        self.text += other.text;
        self.stored += other.stored;
        self.open += other.open;
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.connections += other.connections;
        self.most_leased = self.most_leased.max(other.most_leased);
    }
}

impl Taken {
    /// Objects in a second.
    pub fn objects_per_second(&self) -> f64 {
        self.objects as f64 / self.wall.as_secs_f64()
    }
}

/// Reads a whole bucket.
pub fn sweep(server: &Server, plugin: &Plugin, name: &'static str) -> Taken {
    let bucket = server.bucket(name);
    let before = Before::now(server);
    let mut capture = opened(plugin, &format!("s3://{name}/{PREFIX}"));
    let open = before.at.elapsed();
    let started = Instant::now();
    let mut events = 0;
    loop {
        let (status, batch) = capture
            .next_batch()
            .unwrap_or_else(|error| panic!("{error}"));
        events += batch.count() as u64;
        if status == Status::Eof {
            break;
        }
        assert!(started.elapsed() < LONGEST, "{events} events and no end");
    }
    let wall = started.elapsed();
    assert_eq!(events, bucket.records, "each record is one event");
    before.until_now(server, &bucket, bucket.len(), open, wall)
}

/// Reads as many messages as asked for, each of which names one object, until all are deleted. Tells `watch` how
/// many were, again and again.
pub fn follow(
    server: &Server,
    plugin: &Plugin,
    name: &'static str,
    messages: usize,
    mut watch: impl FnMut(usize),
) -> Taken {
    let bucket = server.bucket(name);
    let queue = server.queue();
    queue.fill(name, server.bucket(name), messages);
    let before = Before::now(server);
    let mut capture = opened(plugin, QUEUE);
    let open = before.at.elapsed();
    let started = Instant::now();
    let expected = bucket.records / bucket.len() as u64 * messages as u64;
    let mut events = 0;
    let seen = loop {
        let (status, batch) = capture
            .next_batch()
            .unwrap_or_else(|error| panic!("{error}"));
        events += batch.count() as u64;
        assert_ne!(status, Status::Eof, "a queue has no end");
        let seen = queue.seen();
        watch(seen.deleted);
        if seen.deleted == messages {
            break seen;
        }
        assert!(started.elapsed() < LONGEST, "{events} events, and {seen:?}");
    };
    assert_eq!(events, expected, "each record is one event");
    // The loop notices it late: a call without events waits.
    let end = seen.last_deleted.unwrap_or_else(Instant::now);
    Taken {
        most_leased: seen.most_leased,
        ..before.until_now(server, &bucket, messages, open, end - started)
    }
}

/// An open source.
pub fn opened<'p>(plugin: &'p Plugin, params: &str) -> cloudtrail::host::Capture<'p> {
    plugin
        .open(params)
        .unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// Counters that only grow, as they were.
pub struct Before {
    at: Instant,
    process: Duration,
    server: Duration,
    connections: u64,
}

impl Before {
    /// As they are.
    pub fn now(server: &Server) -> Before {
        Before {
            at: Instant::now(),
            process: usage::process_cpu(),
            server: server.cpu(),
            connections: server.connections(),
        }
    }

    /// Processor time since then that the server has not taken.
    pub fn cpu(&self, server: &Server) -> Duration {
        let all = usage::process_cpu() - self.process;
        all.saturating_sub(server.cpu() - self.server)
    }

    fn until_now(
        &self,
        server: &Server,
        bucket: &Bucket,
        objects: usize,
        open: Duration,
        wall: Duration,
    ) -> Taken {
        // Of several rounds through a bucket each counts as much as another.
        let part = |all: u64| all * objects as u64 / bucket.len() as u64;
        Taken {
            runs: 1,
            objects: objects as u64,
            events: part(bucket.records),
            text: part(bucket.text),
            stored: part(bucket.stored),
            open,
            wall,
            cpu: self.cpu(server),
            connections: server.connections() - self.connections,
            most_leased: 0,
        }
    }
}
