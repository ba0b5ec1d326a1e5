//! Throughput of S3 and SQS sources through the plugin library. A server in this process responds at once or
//! after 30 ms.
//!
//! ```sh
//! cargo bench --bench aws                  # throughput with 1 and 32 concurrent downloads
//! cargo bench --bench aws -- cost [ROUNDS] # CPU and context switches of an object, beside bare clients
//! cargo bench --bench aws -- records       # records in messages: time to the event, CPU of 10,000 a minute
//! cargo bench --bench aws -- soak          # idle queue, time to close, memory; takes two minutes
//! ```
//! The server shares the CPUs with the plugin; its CPU time is measured separately and subtracted. `cost` runs what it
//! measures in processes of their own instead. `CLOUDTRAIL_LIBRARY` names another library to measure.

#[path = "aws/bucket.rs"]
mod bucket;
#[path = "aws/client.rs"]
mod client;
#[path = "aws/cost.rs"]
mod cost;
#[path = "aws/queue.rs"]
mod queue;
#[path = "aws/records.rs"]
mod records;
#[path = "aws/run.rs"]
mod run;
#[path = "aws/server.rs"]
mod server;
#[path = "aws/soak.rs"]
mod soak;
#[path = "aws/tls.rs"]
mod tls;
#[path = "aws/usage.rs"]
mod usage;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

use self::bucket::Bucket;
use self::run::Usage;
use self::server::Server;

/// Latency of S3 within a region: the round trip and the service's processing time.
const LATENCY: Duration = Duration::from_millis(30);

/// The default of `s3DownloadConcurrency`.
const MANY: usize = 32;

/// A combination of parameters to measure.
#[derive(Clone, Copy)]
struct Case {
    source: Source,
    bucket: &'static str,
    latency: Duration,
    concurrency: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    S3,
    Sqs,
}

fn main() {
    prepare_environment();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["client", client, url, bucket, objects] => {
            return client::run(client, url, bucket, objects);
        }
        ["cost", ref rest @ ..] => return cost::run(rest),
        _ => {}
    }
    let buckets = [
        ("small", Bucket::new(400, 5)),
        ("many", Bucket::new(4_000, 5)),
        ("large", Bucket::new(16, 8_000)),
    ];
    let buckets = buckets.map(|(name, bucket)| (name, Arc::new(bucket)));
    let server = Server::start(buckets, None).expect("a port of 127.0.0.1");
    if arguments.contains(&"records") {
        records::run(&server);
        return;
    }
    if arguments.contains(&"soak") {
        soak::run(&server);
        return;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .configure_from_args();
    let measured: Vec<(Case, Usage)> = cases()
        .map(|case| (case, measure(&mut criterion, &server, case)))
        .filter(|(_, usage)| usage.runs > 0)
        .collect();
    criterion.final_summary();
    print(&measured);
}

fn cases() -> impl Iterator<Item = Case> {
    [Source::S3, Source::Sqs].into_iter().flat_map(|source| {
        [
            ("small", Duration::ZERO, 1),
            ("small", Duration::ZERO, MANY),
            ("small", LATENCY, 1),
            ("small", LATENCY, MANY),
            ("many", LATENCY, MANY),
            ("large", Duration::ZERO, 1),
            ("large", Duration::ZERO, MANY),
            ("large", LATENCY, MANY),
        ]
        .map(|(bucket, latency, concurrency)| Case {
            source,
            bucket,
            latency,
            concurrency,
        })
    })
}

impl Case {
    fn name(self) -> &'static str {
        match self.source {
            Source::S3 => "s3",
            Source::Sqs => "sqs",
        }
    }
}

fn measure(criterion: &mut Criterion, server: &Server, case: Case) -> Usage {
    let bucket = server.bucket(case.bucket);
    let plugin = run::plugin(&server.url(), case.concurrency);
    server.set_latency(case.latency);
    let mut group = criterion.benchmark_group(format!("{}/{}", case.name(), case.bucket));
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(match case.bucket {
        "large" => Throughput::BytesDecimal(bucket.text),
        _ => Throughput::Elements(bucket.len() as u64),
    });
    let mut all = Usage::default();
    let id = BenchmarkId::new(format!("{} ms", case.latency.as_millis()), case.concurrency);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|times| {
            let mut usage = Usage::default();
            for _ in 0..times {
                usage += match case.source {
                    Source::S3 => run::backfill(server, &plugin, case.bucket),
                    Source::Sqs => run::follow(server, &plugin, case.bucket, bucket.len(), |_| {}),
                };
            }
            all += usage;
            usage.wall
        });
    });
    group.finish();
    all
}

fn print(measured: &[(Case, Usage)]) {
    println!(
        "{:<6} {:<6} {:>7} {:>9} {:>10} {:>10} {:>11} {:>12} {:>13} {:>6} {:>11}",
        "source",
        "bucket",
        "latency",
        "downloads",
        "objects/s",
        "events/s",
        "text MB/s",
        "stored MB/s",
        "CPU µs/object",
        "cores",
        "connections"
    );
    for (case, usage) in measured {
        let (wall, cpu) = (usage.wall.as_secs_f64(), usage.cpu.as_secs_f64());
        let per_second = |amount: u64| amount as f64 / wall;
        println!(
            "{:<6} {:<6} {:>4} ms {:>9} {:>10.1} {:>10.0} {:>11.1} {:>12.2} {:>13.0} {:>6.2} {:>11}",
            case.name(),
            case.bucket,
            case.latency.as_millis(),
            case.concurrency,
            usage.objects_per_second(),
            per_second(usage.events),
            per_second(usage.text) / 1e6,
            per_second(usage.stored) / 1e6,
            cpu * 1e6 / usage.objects as f64,
            cpu / wall,
            usage.connections / u64::from(usage.runs),
        );
    }
    for source in [Source::S3, Source::Sqs] {
        let speed = |concurrency: usize, bucket: &str| {
            let matches = |case: &Case| {
                case.source == source
                    && case.concurrency == concurrency
                    && case.bucket == bucket
                    && case.latency == LATENCY
            };
            let (_, usage) = measured.iter().find(|(case, _)| matches(case))?;
            Some(usage.objects_per_second())
        };
        if let (Some(one), Some(many)) = (speed(1, "small"), speed(MANY, "small")) {
            let name = if source == Source::S3 { "s3" } else { "sqs" };
            println!(
                "{name}, 400 objects at {} ms each: {MANY} concurrent downloads are {:.1} times as fast as one",
                LATENCY.as_millis(),
                many / one
            );
        }
    }
}

/// Sets credentials for the server and removes all settings that could lead to another one.
fn prepare_environment() {
    let settings = [
        ("AWS_ACCESS_KEY_ID", "AKIABENCHEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let others = [
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
    ];
    // SAFETY: called at the start of `main`, while this process has a single thread.
    unsafe {
        for name in others {
            env::remove_var(name);
        }
        for (name, value) in settings {
            env::set_var(name, value);
        }
    }
}
