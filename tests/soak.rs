//! A queue is read through random faults by readers that are killed. At the end every record is delivered, the queue is
//! empty, and memory has not grown.
//!
//! `SOAK_SECONDS` is the duration (default 30), `SOAK_SEED` repeats the random choices of an earlier run.
#![forbid(unsafe_code)]

mod aws;
mod oracle;
mod support;

use std::collections::HashMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws::child::Ctcat;
use aws::fault::{Fault, Rule};
use aws::proxy::Proxy;
use aws::server::ministack;
use aws::service::{Depth, Service};
use aws::settings::Settings;
use serde_json::json;
use support::scratch::{gzip, plain_log};

const NAME: &str = "soak";

/// The queue's visibility timeout in seconds.
const VISIBILITY: u64 = 5;

/// Limit for the queue to become empty after the last fault.
const SETTLING: Duration = Duration::from_secs(120);

/// Maximum lifetime of a reader.
const LIFE: Duration = Duration::from_secs(150);

/// Age of a reader at the first measurement of memory, when its buffers and threads exist.
const WARM: Duration = Duration::from_secs(8);

/// Allowed growth from then on, in KiB: allocators do not return memory at once.
const GROWTH: u64 = 24 << 10;

#[test]
fn random_faults_and_killed_readers_lose_no_record() {
    let time = Duration::from_secs(from_environment("SOAK_SECONDS").unwrap_or(30));
    let seed = from_environment("SOAK_SEED").unwrap_or_else(|| now() | 1);
    println!("{} s with SOAK_SEED={seed}", time.as_secs());
    let mut random = SeededRandom(seed);
    let service = Service::at(ministack().address);
    service.create_bucket(NAME);
    service.create_queue(NAME, json!({"VisibilityTimeout": VISIBILITY.to_string()}));
    let proxy = Proxy::before(ministack().address);
    let settings = Settings::at(proxy.address)
        .with("sqsMaxReceives", 1_000_000)
        .with("sqsWaitSeconds", 2);

    let mut sender = Sender::new(&service);
    let mut readers = Readers::new(&settings);
    let started = Instant::now();
    let (mut calm, mut flips) = (0, 0);
    while started.elapsed() < time {
        proxy.heal();
        match random.below(6) {
            0 => calm += 1,
            _ => flips += add_faults(&proxy, &mut random),
        }
        for _ in 0..random.below(5) {
            sender.send(&mut random);
        }
        thread::sleep(Duration::from_millis(50 + random.below(400)));
        readers.check(started.elapsed() > time / 3);
    }
    proxy.heal();
    sender.put_late_objects();
    let started = Instant::now();
    while service.depth(NAME) != Depth::EMPTY {
        let depth = service.depth(NAME);
        assert!(started.elapsed() < SETTLING, "seed {seed}: {depth:?}");
        thread::sleep(Duration::from_millis(200));
        readers.check(true);
    }

    let (arrived, lives, growth) = readers.finish();
    let lost: Vec<_> = sender
        .ids()
        .filter(|id| !arrived.contains_key(id))
        .collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    let sent = sender.ids().count();
    // A flipped bit is detected by the checksum at the file's end; records before may be garbled, and are delivered again.
    let garbled = arrived.len() - sent;
    assert!(
        garbled == 0 || flips > 0,
        "seed {seed}: {garbled} were never sent"
    );
    assert!(growth < GROWTH, "seed {seed}: memory grew by {growth} KiB");
    let again: usize = arrived.values().map(|times| times - 1).sum();
    println!(
        "{sent} records in {} objects and {} messages, all delivered, {again} more than once, {garbled} garbled at first; {lives} readers, {} requests, {calm} rounds without faults, memory grew by at most {growth} KiB",
        sender.objects,
        sender.messages,
        proxy.seen().len(),
    );
}

/// Adds random faults for a few requests each; returns how many of them flip bits.
fn add_faults(proxy: &Proxy, random: &mut SeededRandom) -> usize {
    let mut flips = 0;
    for _ in 0..=random.below(3) {
        let few = Duration::from_millis(200 + random.below(3000));
        let place = random.below(400) as usize;
        let of_objects = [
            Fault::Refuse(500, "InternalError"),
            Fault::Refuse(503, "SlowDown"),
            Fault::Refuse(403, "AccessDenied"),
            Fault::Refuse(400, "ExpiredToken"),
            Fault::Refuse(404, "NoSuchKey"),
            Fault::Reset,
            Fault::Silence(few),
            Fault::Delay(few),
            Fault::CutAfter(place),
            Fault::StallAfter(place, few),
            Fault::Drip(Duration::from_millis(1)),
            // Not in the first two bytes, which identify gzip; the checksum covers all others.
            Fault::Flip(place + 2),
        ];
        let of_queue = [
            Fault::Refuse(500, "InternalFailure"),
            Fault::Refuse(503, "ServiceUnavailable"),
            Fault::Refuse(403, "AccessDenied"),
            Fault::Reset,
            Fault::Silence(few),
            Fault::Delay(few),
            Fault::CutAfter(place),
        ];
        let (operation, fault) = match random.below(8) {
            0..4 => ("GetObject", random.of(&of_objects)),
            4 | 5 => ("ReceiveMessage", random.of(&of_queue)),
            6 => ("DeleteMessageBatch", random.of(&of_queue)),
            _ => ("ChangeMessageVisibilityBatch", random.of(&of_queue)),
        };
        flips += usize::from(matches!(fault, Fault::Flip(_)));
        let rule = Rule::every(operation, fault).after(random.below(4) as usize);
        proxy.rule(rule.times(1 + random.below(4) as usize));
    }
    flips
}

/// Writes objects and sends notifications, including unusual ones.
struct Sender<'s> {
    service: &'s Service,
    objects: usize,
    messages: usize,
    records: Vec<usize>,
    /// Objects whose notification was sent before they exist.
    late: Vec<usize>,
}

impl Sender<'_> {
    fn new(service: &Service) -> Sender<'_> {
        Sender {
            service,
            objects: 0,
            messages: 0,
            records: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Sends messages for a few new objects, at random also a test event or a duplicate.
    fn send(&mut self, random: &mut SeededRandom) {
        if random.below(4) == 0 {
            self.put_late_objects();
        }
        let mut keys = Vec::new();
        for _ in 0..1 + random.below(4) {
            let number = self.objects;
            self.objects += 1;
            self.records.push(1 + random.below(60) as usize);
            match random.below(12) {
                0 => self.late.push(number),
                _ => self.put(number),
            }
            keys.push(key(number));
        }
        let mut bodies = match random.below(3) {
            0 => vec![json!({"s3Bucket": NAME, "s3ObjectKey": keys})],
            1 => keys
                .iter()
                .map(|key| json!({"s3Bucket": NAME, "s3ObjectKey": [key]}))
                .collect(),
            _ => {
                let record = |key| json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": NAME}, "object": {"key": key}}});
                vec![json!({"Records": keys.iter().map(record).collect::<Vec<_>>()})]
            }
        };
        if random.below(8) == 0 {
            bodies.push(bodies[0].clone());
        }
        if random.below(8) == 0 {
            bodies.push(json!({"Event": "s3:TestEvent"}));
        }
        self.messages += bodies.len();
        self.service
            .send(NAME, bodies.iter().map(ToString::to_string));
    }

    fn put_late_objects(&mut self) {
        for number in std::mem::take(&mut self.late) {
            self.put(number);
        }
    }

    fn put(&self, number: usize) {
        let log = plain_log(&format!("{number}-"), self.records[number]);
        self.service.put(NAME, &key(number), gzip(&log));
    }

    fn ids(&self) -> impl Iterator<Item = String> {
        let of = |(number, records): (usize, &usize)| {
            (0..*records).map(move |it| format!("{number}-{it}"))
        };
        self.records.iter().enumerate().flat_map(of)
    }
}

fn key(number: usize) -> String {
    format!("AWSLogs/{number}.json.gz")
}

/// Consecutive readers, each killed without warning.
struct Readers<'s> {
    settings: &'s Settings,
    current: Ctcat,
    since: Instant,
    lives: usize,
    /// Memory of the current reader at age [`WARM`].
    warm: Option<u64>,
    growth: u64,
    arrived: HashMap<String, usize>,
}

impl Readers<'_> {
    fn new(settings: &Settings) -> Readers<'_> {
        Readers {
            settings,
            current: Ctcat::start(settings, &format!("sqs://{NAME}")),
            since: Instant::now(),
            lives: 1,
            warm: None,
            growth: 0,
            arrived: HashMap::new(),
        }
    }

    /// Measures the current reader; replaces it if it is old, or if it is the first one and `replace_first`.
    fn check(&mut self, replace_first: bool) {
        assert!(self.current.is_running(), "the reader ended by itself");
        let age = self.since.elapsed();
        if age > WARM {
            let used = self.current.memory();
            let warm = *self.warm.get_or_insert(used);
            self.growth = self.growth.max(used.saturating_sub(warm));
        }
        if age > LIFE || replace_first && self.lives == 1 {
            self.kill();
            self.current = Ctcat::start(self.settings, &format!("sqs://{NAME}"));
            self.since = Instant::now();
            self.lives += 1;
            self.warm = None;
        }
    }

    fn kill(&mut self) {
        self.current.kill();
        for id in self.current.ids() {
            *self.arrived.entry(id).or_default() += 1;
        }
    }

    /// Deliveries of each eventID, the number of readers, and the largest growth of one.
    fn finish(mut self) -> (HashMap<String, usize>, usize, u64) {
        self.kill();
        (self.arrived, self.lives, self.growth)
    }
}

/// A number from an environment variable.
fn from_environment(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} is {text} and not a number")))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_millis() as u64
}

/// Reproducible random numbers (xorshift64*).
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }
}
