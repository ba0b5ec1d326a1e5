//! CPU time and context switches of an object, of the plugin and of bare clients side by side.
//!
//! Each client is a process of its own, so that the server's work does not count. Clients alternate, so that other load
//! on the machine affects all of them; results are medians over the rounds, ratios medians of the ratio in each round.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::LATENCY;
use super::bucket::Bucket;
use super::server::Server;
use super::tls;
use super::usage::Resources;

/// Name, objects, and records of an object. The number of records stands in the name, where clients read it.
const BUCKETS: [(&str, usize, usize); 2] = [("small-5", 4_000, 5), ("large-1000", 50, 1_000)];

/// Environment variable with a command under which clients run, such as `perf record -o /tmp/perf.data`.
const PROFILER: &str = "CLOUDTRAIL_PROFILER";

/// What is measured at a server.
const CLIENTS: [&str; 4] = ["hyper + aws-sigv4", "aws-sdk-s3", "s3://", "sqs://"];

/// What a run used for each object.
#[derive(Clone, Copy)]
struct Cost {
    /// In µs.
    cpu: f64,
    switches: f64,
    /// Requests to the queue, if there is one.
    requests: Option<f64>,
}

/// Measures and prints everything. `rest`: the number of rounds, and words of the rows to measure.
pub fn run(rest: &[&str]) {
    let rounds = rest.iter().find_map(|word| word.parse().ok());
    let rounds: usize = rounds.unwrap_or(5);
    let words: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| word.parse::<usize>().is_err() && *word != "--bench")
        .collect();
    let buckets = BUCKETS.map(|(name, objects, records)| {
        let bucket = Bucket::new(objects, records);
        (name, Arc::new(bucket))
    });
    let (config, bundle) = tls::server();
    let start = |tls| Server::start(buckets.clone(), tls).expect("a port of 127.0.0.1");
    let servers = [("plain", start(None)), ("TLS", start(Some(config)))];
    println!(
        "| objects | server | client | CPU µs/object | of `gzip -dc` | of local files | context switches/object | queue requests/object |\n|---|---|---|---|---|---|---|---|"
    );
    for (name, bucket) in &buckets {
        let folder = written(name, bucket);
        let mut cases: Vec<Case> = ["gzip -dc", "local"]
            .map(|client| Case::local(client, name, bucket, &folder))
            .into();
        for latency in [Duration::ZERO, LATENCY] {
            for (kind, server) in &servers {
                let bundle = bundle.clone();
                let case = |client| Case {
                    client,
                    name,
                    bucket,
                    latency,
                    place: server.url(),
                    server: Some((kind, server)),
                    bundle: bundle.clone(),
                };
                cases.extend(CLIENTS.map(case));
            }
        }
        // The first two stay: they are what the others are compared with.
        let mut number = 0;
        cases.retain(|case| {
            number += 1;
            number <= 2 || words.iter().all(|word| case.row().contains(word))
        });
        if cases.len() == 2 {
            continue;
        }
        let mut costs = vec![Vec::new(); cases.len()];
        for _ in 0..rounds {
            for (case, costs) in cases.iter().zip(&mut costs) {
                costs.push(case.measure());
            }
        }
        for (case, own) in cases.iter().zip(&costs) {
            let ratio = |to: &[Cost]| median(own.iter().zip(to).map(|(own, to)| own.cpu / to.cpu));
            let requests: Vec<f64> = own.iter().filter_map(|cost| cost.requests).collect();
            let requests = match requests.is_empty() {
                true => String::new(),
                false => format!("{:.2}", median(requests.into_iter())),
            };
            println!(
                "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {requests} |",
                case.row(),
                median(own.iter().map(|cost| cost.cpu)),
                ratio(&costs[0]),
                ratio(&costs[1]),
                median(own.iter().map(|cost| cost.switches)),
            );
        }
    }
}

struct Case<'a> {
    client: &'static str,
    name: &'static str,
    bucket: &'a Arc<Bucket>,
    latency: Duration,
    /// URL of the server, or folder of the files.
    place: String,
    server: Option<(&'static str, &'a Server)>,
    bundle: PathBuf,
}

impl<'a> Case<'a> {
    fn local(
        client: &'static str,
        name: &'static str,
        bucket: &'a Arc<Bucket>,
        folder: &Path,
    ) -> Case<'a> {
        Case {
            client,
            name,
            bucket,
            latency: Duration::ZERO,
            place: folder.to_str().expect("a path that is UTF-8").to_owned(),
            server: None,
            bundle: PathBuf::new(),
        }
    }

    /// The first columns of the table.
    fn row(&self) -> String {
        let server = match self.server {
            Some((kind, _)) => format!("{kind}, {} ms", self.latency.as_millis()),
            None => "files".to_owned(),
        };
        format!("{} | {server} | {}", self.name, self.client)
    }

    fn measure(&self) -> Cost {
        let objects = self.bucket.len();
        let mut command = match self.client {
            "gzip -dc" => {
                let mut command = Command::new("gzip");
                command.arg("-dcr").arg(&self.place).stdout(Stdio::null());
                let child = command.spawn().expect("gzip");
                return Cost::each(Resources::of_child(child), objects);
            }
            _ => self.command(),
        };
        if let Some((kind, server)) = self.server {
            server.set_latency(self.latency);
            let messages = if self.client == "sqs://" { objects } else { 0 };
            server
                .queue()
                .fill(self.name, Arc::clone(self.bucket), messages);
            if kind == "TLS" {
                command.env("AWS_CA_BUNDLE", &self.bundle);
            }
        }
        let child = command
            .args(["client", self.client, &self.place, self.name])
            .arg(objects.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = child.wait_with_output().expect("output");
        assert!(output.status.success(), "{} failed", self.row());
        let line = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(|word| word.parse().expect("a number"))
            .collect();
        let [nanos, switches, result] = numbers[..] else {
            panic!("{}: {line}", self.row());
        };
        // Bare clients report bytes, the plugin events.
        let expected = match self.client {
            "hyper + aws-sigv4" | "aws-sdk-s3" => self.bucket.stored,
            _ => self.bucket.records,
        };
        assert_eq!(result, expected, "{}", self.row());
        let mut requests = None;
        if let ("sqs://", Some((_, server))) = (self.client, self.server) {
            let seen = server.queue().seen();
            assert_eq!(seen.deleted, objects, "{}", self.row());
            requests = Some(seen.requests as f64 / objects as f64);
        }
        let used = Resources {
            cpu: Duration::from_nanos(nanos),
            switches,
        };
        Cost {
            requests,
            ..Cost::each(used, objects)
        }
    }
}

impl Case<'_> {
    /// The process of the client, under the profiler that the environment names for clients of a server.
    fn command(&self) -> Command {
        let bench = std::env::current_exe().expect("the path of this bench");
        let profiler = std::env::var(PROFILER).unwrap_or_default();
        let mut words = profiler.split_whitespace();
        match words.next().filter(|_| self.server.is_some()) {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(bench);
                command
            }
            None => Command::new(bench),
        }
    }
}

impl Cost {
    fn each(used: Resources, objects: usize) -> Cost {
        Cost {
            cpu: used.cpu.as_secs_f64() * 1e6 / objects as f64,
            switches: used.switches as f64 / objects as f64,
            requests: None,
        }
    }
}

/// Writes a bucket's objects as files. Their folder.
fn written(name: &str, bucket: &Bucket) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bucket-{name}"));
    let write = || -> io::Result<()> {
        for (key, bytes) in bucket.objects() {
            let path = folder.join(key);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    };
    write().expect("files below target/tmp");
    folder
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
