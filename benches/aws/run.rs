//! Reads a source to its end through the plugin library and measures the cost.
#![forbid(unsafe_code)]

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use cloudtrail::host::{Plugin, Severity, Status, library_beside};

use super::bucket::{Bucket, PREFIX};
use super::server::Server;
use super::usage;

/// Time after which a run has failed.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Open params of the queue. The server accepts any name.
pub const QUEUE: &str = "sqs://bench";

/// Loads the plugin with the AWS endpoint `url`.
pub fn plugin(url: &str, concurrency: usize) -> Plugin {
    let config = serde_json::json!({
        "s3DownloadConcurrency": concurrency,
        "aws": {"endpoint": url, "region": "us-east-1"},
    });
    configured(&config.to_string())
}

/// Loads the plugin, `CLOUDTRAIL_LIBRARY` or the one built with this bench.
pub fn configured(config: &str) -> Plugin {
    let library = match std::env::var_os("CLOUDTRAIL_LIBRARY") {
        Some(path) => path.into(),
        None => {
            let exe = std::env::current_exe().expect("the path of this bench");
            library_beside(&exe, "cloudtrail")
        }
    };
    let log = |severity: Severity, line: &str| {
        if severity <= Severity::Warning {
            eprintln!("{line}");
        }
    };
    Plugin::load_with_log(&library, config, log)
        .unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}

/// Cost of one or several runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Number of runs.
    pub runs: u32,
    /// Objects read.
    pub objects: u64,
    /// Events read.
    pub events: u64,
    /// Bytes of the objects after decompression.
    pub text: u64,
    /// Bytes of the objects as stored.
    pub stored: u64,
    /// Time to open.
    pub open: Duration,
    /// Time from then until all events are read and all messages are deleted.
    pub wall: Duration,
    /// CPU time without the server, including the time to open.
    pub cpu: Duration,
    /// Connections opened.
    pub connections: u64,
    /// Maximum number of messages in flight.
    pub max_in_flight: usize,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.runs += other.runs;
        self.objects += other.objects;
        self.events += other.events;
        self.text += other.text;
        self.stored += other.stored;
        self.open += other.open;
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.connections += other.connections;
        self.max_in_flight = self.max_in_flight.max(other.max_in_flight);
    }
}

impl Usage {
    /// Objects per second.
    pub fn objects_per_second(&self) -> f64 {
        self.objects as f64 / self.wall.as_secs_f64()
    }
}

/// Reads a whole bucket.
pub fn backfill(server: &Server, plugin: &Plugin, name: &'static str) -> Usage {
    let bucket = server.bucket(name);
    let before = Baseline::now(server);
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
        assert!(started.elapsed() < TIMEOUT, "{events} events and no end");
    }
    let wall = started.elapsed();
    assert_eq!(events, bucket.records, "each record is one event");
    before.usage(server, &bucket, bucket.len(), open, wall)
}

/// Fills the queue with `messages`, each of which names one object, and reads until all are deleted. Calls `watch`
/// with the number of deleted messages after each batch.
pub fn follow(
    server: &Server,
    plugin: &Plugin,
    name: &'static str,
    messages: usize,
    mut watch: impl FnMut(usize),
) -> Usage {
    let bucket = server.bucket(name);
    let queue = server.queue();
    queue.fill(name, server.bucket(name), messages);
    let before = Baseline::now(server);
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
        assert!(started.elapsed() < TIMEOUT, "{events} events, and {seen:?}");
    };
    assert_eq!(events, expected, "each record is one event");
    // Not the current time: the last call of `next_batch` may have waited for events.
    let end = seen.last_deleted.unwrap_or_else(Instant::now);
    Usage {
        max_in_flight: seen.max_in_flight,
        ..before.usage(server, &bucket, messages, open, end - started)
    }
}

/// Opens a source.
pub fn opened<'p>(plugin: &'p Plugin, params: &str) -> cloudtrail::host::Capture<'p> {
    plugin
        .open(params)
        .unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// Values of the counters before a run.
pub struct Baseline {
    at: Instant,
    process: Duration,
    server: Duration,
    connections: u64,
}

impl Baseline {
    /// The current values.
    pub fn now(server: &Server) -> Baseline {
        Baseline {
            at: Instant::now(),
            process: usage::process_cpu(),
            server: server.cpu(),
            connections: server.connections(),
        }
    }

    /// CPU time since then, without the server's.
    pub fn cpu(&self, server: &Server) -> Duration {
        let all = usage::process_cpu() - self.process;
        all.saturating_sub(server.cpu() - self.server)
    }

    fn usage(
        &self,
        server: &Server,
        bucket: &Bucket,
        objects: usize,
        open: Duration,
        wall: Duration,
    ) -> Usage {
        // The messages may name each object of the bucket several times.
        let scaled = |total: u64| total * objects as u64 / bucket.len() as u64;
        Usage {
            runs: 1,
            objects: objects as u64,
            events: scaled(bucket.records),
            text: scaled(bucket.text),
            stored: scaled(bucket.stored),
            open,
            wall,
            cpu: self.cpu(server),
            connections: server.connections() - self.connections,
            max_in_flight: 0,
        }
    }
}
