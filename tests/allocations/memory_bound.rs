//! A decode thread allocates no more for an object than it acquires from the memory budget, and a fixed part.
#![forbid(unsafe_code)]

use cloudtrail::testing::{
    Batch, BatchSender, Content, Decoder, Log, MemoryBudget, Metrics, Object, THREAD_BYTES,
};
use std::sync::Arc;

use flate2::write::GzEncoder;

use crate::LIMITS;
use crate::allocator::{lock_counters, peak_bytes};

const MIB: usize = 1 << 20;

/// Records the largest request to the budget, and empties batches as a host would.
#[derive(Default)]
struct BudgetRecorder {
    largest: u64,
    events: usize,
}

impl BatchSender for BudgetRecorder {
    fn flush(&mut self, full: &mut Batch) -> bool {
        self.events += full.len();
        full.clear();
        true
    }

    fn acquire_memory(&mut self, bytes: u64) -> bool {
        self.largest = self.largest.max(bytes);
        true
    }
}

/// Memory for one object: requested from the budget, and allocated beyond its stored bytes.
struct MemoryUse {
    requested: usize,
    peak: usize,
    events: usize,
}

fn decode(stored: Vec<u8>) -> MemoryUse {
    let (metrics, log) = (Metrics::default(), Log::default());
    let budget = Arc::new(MemoryBudget::new(u64::MAX));
    let permit = budget.try_acquire(0, 0).expect("room");
    let object = Object {
        name: "123456789012_CloudTrail_us-east-1_20260114T0850Z_x.json.gz".to_owned(),
        content: Content::Memory(stored, permit),
        ack: None,
    };
    let mut recorder = BudgetRecorder::default();
    let peak = peak_bytes(|| {
        let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
        decoder
            .decode(&object, &mut recorder)
            .expect("a sound file");
        recorder.flush(&mut decoder.batch);
    });
    MemoryUse {
        requested: recorder.largest as usize,
        peak,
        events: recorder.events,
    }
}

fn gzip(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in parts {
        std::io::Write::write_all(&mut packed, &part).expect("memory");
    }
    packed.finish().expect("memory")
}

/// A log of ordinary records, `bytes` long.
fn ordinary(bytes: usize) -> Vec<u8> {
    let record = |number: usize| {
        let mut record = format!(
            r#"{{"eventVersion":"1.11","eventTime":"2026-01-14T08:50:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","eventID":"{number}","userIdentity":{{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::123456789012:user/alice"}},"requestParameters":{{"bucketName":"example","key":"{number:0900}"}},"resources":[{{"ARN":"arn:aws:s3:::example"}}]}},"#
        );
        if number == 0 {
            record.insert_str(0, r#"{"Records":["#);
        }
        record.into_bytes()
    };
    let count = bytes / record(1).len();
    let end = br#"{"eventTime":"2026-01-14T08:50:00Z"}]}"#.to_vec();
    gzip((0..count).map(record).chain([end]))
}

/// A log of one record that repeats `filler`.
fn one_record(filler: &str, times: usize) -> Vec<u8> {
    let start = r#"{"Records":[{"eventTime":"2026-01-14T08:50:00Z","requestParameters":["#;
    gzip([
        start.as_bytes().to_vec(),
        filler.repeat(times).into_bytes(),
        b"0]}]}".to_vec(),
    ])
}

/// A CloudWatch Logs envelope with `count` messages, which are records of this length.
fn envelope(count: usize, bytes: usize) -> Vec<u8> {
    let message = format!(
        r#""message":"{{\"eventTime\":\"2026-01-14T08:50:00Z\",\"userAgent\":\"{}\"}}""#,
        r#"\\\"x"#.repeat(bytes / 6)
    );
    let start = br#"{"messageType":"DATA_MESSAGE","logEvents":["#.to_vec();
    let events = (0..count).map(|_| format!("{{{message}}},").into_bytes());
    let end = format!("{{{message}}}]}}").into_bytes();
    gzip([start].into_iter().chain(events).chain([end]))
}

#[test]
fn three_ordinary_10_mib_files_fit_into_32_mib_at_once() {
    let _lock = lock_counters();
    let memory = decode(ordinary(10 * MIB));
    assert!(memory.events > 5000);
    assert!(memory.requested >= 10 * MIB, "{}", memory.requested);
    assert!(3 * memory.requested <= 32 * MIB, "{}", memory.requested);
}

#[test]
fn one_object_allocates_its_budget_and_a_fixed_part_at_most() {
    let _lock = lock_counters();
    for (name, stored) in [
        ("ordinary, 1 MiB", ordinary(MIB)),
        ("ordinary, 10 MiB", ordinary(10 * MIB)),
        ("ordinary, 100 MiB", ordinary(100 * MIB)),
        (
            "one record of 20 MiB",
            one_record("\"some text\",", 20 * MIB / 12),
        ),
        ("one record of numbers", one_record("1,", 10 * MIB / 2)),
        ("one record of containers", one_record("[],", 10 * MIB / 3)),
        ("one small record of containers", one_record("[],", MIB / 3)),
        (
            "one streamed record",
            one_record("\"some text\",", 50 * MIB / 12),
        ),
        ("envelope, 10 MiB", envelope(5 * MIB / 1000, 2000)),
        ("envelope, 100 MiB", envelope(50 * MIB / 1000, 2000)),
        ("messages of 500 KiB", envelope(30, MIB / 2)),
        ("message of 10 MiB", envelope(0, 10 * MIB)),
        ("two streamed messages", envelope(1, 20 * MIB)),
    ] {
        let memory = decode(stored);
        assert!(memory.events > 0, "{name}");
        assert!(
            memory.peak <= memory.requested + THREAD_BYTES,
            "{name}: {} KiB allocated, {} KiB requested",
            memory.peak >> 10,
            memory.requested >> 10
        );
    }
}
