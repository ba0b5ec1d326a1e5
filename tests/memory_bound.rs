//! Memory that a decode thread takes for one object stays within what it asks the budget for.

use cloudtrail::testing::{
    Batch, BatchSender, Content, Decoder, Limits, Log, MemoryBudget, Metrics, Object, THREAD_BYTES,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::write::GzEncoder;

/// The system's allocator, with the bytes in use now and at most.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let now = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: everything is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    // Large blocks are moved by remapping pages, so the old and the new block are never in memory together.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        add(size);
        // SAFETY: passed on.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// One test at a time, or they would count each other's.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const MIB: usize = 1 << 20;

/// Remembers the most that was asked for, and empties batches as a host would.
#[derive(Default)]
struct Claims {
    most: u64,
    events: usize,
}

impl BatchSender for Claims {
    fn flush(&mut self, full: &mut Batch) -> bool {
        self.events += full.len();
        full.clear();
        true
    }

    fn acquire_memory(&mut self, bytes: u64) -> bool {
        self.most = self.most.max(bytes);
        true
    }
}

/// What one object asks the budget for, and what it takes beyond its stored bytes.
struct Taken {
    claimed: usize,
    peak: usize,
    events: usize,
}

fn decode(stored: Vec<u8>) -> Taken {
    let (metrics, log) = (Metrics::default(), Log::default());
    let budget = Arc::new(MemoryBudget::new(u64::MAX));
    let permit = budget.try_acquire(0, 0).expect("room");
    let object = Object {
        name: "123456789012_CloudTrail_us-east-1_20260114T0850Z_x.json.gz".to_owned(),
        content: Content::Memory(stored, permit),
        ack: None,
    };
    let limits = Limits {
        max_object_bytes: 1 << 30,
        insights: false,
    };
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut claims = Claims::default();
    let mut decoder = Decoder::new(limits, &metrics, &log, Batch::default());
    decoder.decode(&object, &mut claims).expect("a sound file");
    claims.flush(&mut decoder.batch);
    Taken {
        claimed: claims.most as usize,
        peak: PEAK.load(Ordering::Relaxed) - before,
        events: claims.events,
    }
}

fn gzip(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in parts {
        std::io::Write::write_all(&mut packed, &part).expect("memory");
    }
    packed.finish().expect("memory")
}

/// A log of so many bytes of ordinary records.
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

/// A log of one record that is `filler` so often.
fn one_record(filler: &str, times: usize) -> Vec<u8> {
    let start = r#"{"Records":[{"eventTime":"2026-01-14T08:50:00Z","requestParameters":["#;
    gzip([
        start.as_bytes().to_vec(),
        filler.repeat(times).into_bytes(),
        b"0]}]}".to_vec(),
    ])
}

#[test]
fn ordinary_10_mib_files_are_decoded_side_by_side_within_32_mib() {
    let _turn = turn();
    let taken = decode(ordinary(10 * MIB));
    assert!(taken.events > 5000);
    assert!(taken.claimed >= 10 * MIB, "{}", taken.claimed);
    assert!(3 * taken.claimed <= 32 * MIB, "{}", taken.claimed);
}

#[test]
fn one_object_takes_what_was_asked_for_and_a_fixed_part() {
    let _turn = turn();
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
    ] {
        let taken = decode(stored);
        assert!(taken.events > 0, "{name}");
        assert!(
            taken.peak <= taken.claimed + THREAD_BYTES,
            "{name}: {} KiB for {} KiB asked for",
            taken.peak >> 10,
            taken.claimed >> 10
        );
    }
}
