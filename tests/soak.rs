//! A queue is followed while faults come and go at random and the reader is killed now and then. In the end every
//! record that the services took has arrived, the queue is empty, and memory has stayed as it was.
//!
//! `SOAK_SECONDS` is how long (30 unless told), `SOAK_SEED` repeats the choices of an earlier run.
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

/// Seconds after which the queue gives a message out again.
const LEASE: u64 = 5;

/// How long the queue may take to become empty when the faults are gone.
const SETTLING: Duration = Duration::from_secs(120);

/// How long one reader lives at most.
const LIFE: Duration = Duration::from_secs(150);

/// What a reader has grown to is only looked at when its buffers and threads are there.
const WARM: Duration = Duration::from_secs(8);

/// What memory may grow by from then on, in KiB: allocators do not give back at once.
const GROWTH: u64 = 24 << 10;

#[test]
fn nothing_is_lost_in_a_storm_of_faults() {
    let time = Duration::from_secs(told("SOAK_SECONDS").unwrap_or(30));
    let seed = told("SOAK_SEED").unwrap_or_else(|| now() | 1);
    println!("{} s with SOAK_SEED={seed}", time.as_secs());
    let mut chance = Chance(seed);
    let service = Service::at(ministack().address);
    service.create_bucket(NAME);
    service.create_queue(NAME, json!({"VisibilityTimeout": LEASE.to_string()}));
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
        match chance.below(6) {
            0 => calm += 1,
            _ => flips += storm(&proxy, &mut chance),
        }
        for _ in 0..chance.below(5) {
            sender.send(&mut chance);
        }
        thread::sleep(Duration::from_millis(50 + chance.below(400)));
        readers.look(started.elapsed() > time / 3);
    }
    proxy.heal();
    sender.put_what_is_late();
    let empty = Depth {
        visible: 0,
        in_flight: 0,
    };
    let started = Instant::now();
    while service.depth(NAME) != empty {
        let depth = service.depth(NAME);
        assert!(started.elapsed() < SETTLING, "seed {seed}: {depth:?}");
        thread::sleep(Duration::from_millis(200));
        readers.look(true);
    }

    let (arrived, lives, growth) = readers.finish();
    let lost: Vec<_> = sender
        .ids()
        .filter(|id| !arrived.contains_key(id))
        .collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    let sent = sender.ids().count();
    // A flipped bit is known by the checksum at a file's end; what came before it may be garbled, and comes again.
    let garbled = arrived.len() - sent;
    assert!(
        garbled == 0 || flips > 0,
        "seed {seed}: {garbled} were never sent"
    );
    assert!(growth < GROWTH, "seed {seed}: memory grew by {growth} KiB");
    let again: usize = arrived.values().map(|times| times - 1).sum();
    println!(
        "{sent} records in {} objects and {} messages, all arrived, {again} more than once, {garbled} garbled at first; {lives} readers, {} requests, {calm} calm spells, memory grew by at most {growth} KiB",
        sender.objects,
        sender.messages,
        proxy.seen().len(),
    );
}

/// Faults for the next moments: each may meet a few requests, then it is used up. Says how many flip bits.
fn storm(proxy: &Proxy, chance: &mut Chance) -> usize {
    let mut flips = 0;
    for _ in 0..=chance.below(3) {
        let few = Duration::from_millis(200 + chance.below(3000));
        let place = chance.below(400) as usize;
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
            // The first two bytes say whether it is gzip at all; all others are covered by its checksum.
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
        let (operation, fault) = match chance.below(8) {
            0..4 => ("GetObject", chance.of(&of_objects)),
            4 | 5 => ("ReceiveMessage", chance.of(&of_queue)),
            6 => ("DeleteMessageBatch", chance.of(&of_queue)),
            _ => ("ChangeMessageVisibilityBatch", chance.of(&of_queue)),
        };
        flips += usize::from(matches!(fault, Fault::Flip(_)));
        let rule = Rule::every(operation, fault).after(chance.below(4) as usize);
        proxy.rule(rule.times(1 + chance.below(4) as usize));
    }
    flips
}

/// Writes objects and tells the queue, as trails do and as they do not.
struct Sender<'s> {
    service: &'s Service,
    objects: usize,
    messages: usize,
    records: Vec<usize>,
    /// Objects that were told of before they are there.
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

    /// A few messages that name new objects, or news of no object, or one message twice.
    fn send(&mut self, chance: &mut Chance) {
        if chance.below(4) == 0 {
            self.put_what_is_late();
        }
        let mut keys = Vec::new();
        for _ in 0..1 + chance.below(4) {
            let number = self.objects;
            self.objects += 1;
            self.records.push(1 + chance.below(60) as usize);
            match chance.below(12) {
                0 => self.late.push(number),
                _ => self.put(number),
            }
            keys.push(key(number));
        }
        let mut bodies = match chance.below(3) {
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
        if chance.below(8) == 0 {
            bodies.push(bodies[0].clone());
        }
        if chance.below(8) == 0 {
            bodies.push(json!({"Event": "s3:TestEvent"}));
        }
        self.messages += bodies.len();
        self.service
            .send(NAME, bodies.iter().map(ToString::to_string));
    }

    fn put_what_is_late(&mut self) {
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

/// One reader after the other, each killed without warning.
struct Readers<'s> {
    settings: &'s Settings,
    current: Ctcat,
    since: Instant,
    lives: usize,
    /// What the current one had in use when it was warm.
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

    /// Looks at the memory of the current one; kills it if it is old, or the first one if it `may` be.
    fn look(&mut self, may: bool) {
        assert!(self.current.is_running(), "it has ended by itself");
        let age = self.since.elapsed();
        if age > WARM {
            let used = self.current.memory();
            let warm = *self.warm.get_or_insert(used);
            self.growth = self.growth.max(used.saturating_sub(warm));
        }
        if age > LIFE || may && self.lives == 1 {
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

    /// How often each eventID arrived, how many readers there were, and the most that one has grown by.
    fn finish(mut self) -> (HashMap<String, usize>, usize, u64) {
        self.kill();
        (self.arrived, self.lives, self.growth)
    }
}

/// A number of the environment.
fn told(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} is {text} and not a number")))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_millis() as u64
}

/// Chance that comes again with its seed (xorshift64*).
struct Chance(u64);

impl Chance {
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
