//! Counts allocations: none for an event, whether it is read or asked for fields.
//!
//! What is allocated for a file or for a batch is counted apart and may stay.

#[path = "../benches/corpus/mod.rs"]
mod corpus;

use cloudtrail::testing::{
    Arg, Argument, Batch, BatchSender, Content, Decoder, ExtractedValue, Extractor, FIELDS,
    FieldUsage, Limits, Log, Metrics, Next, Object, Pipeline, Settings,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The system's allocator, with counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of all threads.
static TOTAL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Of this thread.
    static OWN: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    TOTAL.fetch_add(1, Ordering::Relaxed);
    // A thread that ends may still free and allocate; it has no count any more.
    let _ = OWN.try_with(|own| own.set(own.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: passed on.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// One test at a time, or they would count each other's.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocations of this thread during `run`.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = OWN.with(Cell::get);
    run();
    OWN.with(Cell::get) - before
}

const LIMITS: Limits = Limits {
    max_object_bytes: 1 << 30,
    insights: false,
};

/// A log file with that many records, in Cargo's folder for temporary files.
fn log_file(number: u64, records: usize, packed: bool) -> PathBuf {
    let text = corpus::log_file(number, records).text;
    let name = format!(
        "allocations-{number}-{records}.json{}",
        if packed { ".gz" } else { "" }
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let stored = if packed {
        corpus::gzip(&text)
    } else {
        text.into_bytes()
    };
    fs::write(&path, stored).expect("room for a log file");
    path
}

fn object(path: &Path) -> Object {
    Object {
        name: path.display().to_string(),
        content: Content::File(path.to_owned()),
        ack: None,
    }
}

/// Counts the events of batches and empties them.
#[derive(Default)]
struct Drain {
    events: usize,
}

impl BatchSender for Drain {
    fn flush(&mut self, full: &mut Batch) -> bool {
        self.events += full.len();
        full.clear();
        true
    }
}

/// Keeps one batch.
#[derive(Default)]
struct Keep(Batch);

impl BatchSender for Keep {
    fn flush(&mut self, full: &mut Batch) -> bool {
        self.0 = std::mem::take(full);
        false
    }
}

#[test]
fn a_file_s_events_are_decoded_without_an_allocation_for_each() {
    let _turn = turn();
    let (metrics, log) = (Metrics::default(), Log::default());
    for packed in [true, false] {
        let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
        let mut decode = |records| {
            let object = object(&log_file(1, records, packed));
            let mut drain = Drain::default();
            let allocations = allocations(|| {
                decoder.decode(&object, &mut drain).expect("a sound file");
                drain.flush(&mut decoder.batch);
            });
            assert_eq!(drain.events, records);
            allocations
        };
        // The first time buffers get their size.
        decode(2000);
        let (few, many) = (decode(200), decode(2000));
        assert_eq!(
            few, many,
            "allocations for 200 and for 2000 events of one file, packed: {packed}"
        );
        assert!(many < 20, "{many} allocations for one file");
    }
}

#[test]
fn every_field_of_every_event_is_found_without_an_allocation() {
    let _turn = turn();
    let (metrics, log) = (Metrics::default(), Log::default());
    let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
    let mut keep = Keep::default();
    decoder
        .decode(&object(&log_file(2, 1000, true)), &mut keep)
        .expect("a sound file");
    let addresses: Vec<_> = keep.0.addresses().collect();
    assert!(addresses.len() > 200);
    let batch = Arc::new(keep.0);
    let mut questions: Vec<_> = (0..FIELDS.len())
        .filter(|&field| !matches!(FIELDS[field].arg, Arg::RequiredKey))
        .map(|field| (field, Argument::None))
        .collect();
    let number = |name| {
        FIELDS
            .iter()
            .position(|field| field.name == name)
            .expect("a field")
    };
    let keyed = [
        "/userIdentity/arn",
        "/requestParameters",
        "/resources/0/ARN",
        "/no/such/thing",
    ];
    questions.extend(keyed.map(|key| (number("ct.value"), Argument::Key(key))));
    questions.push((number("ec2.imageids"), Argument::Index(0)));

    let mut extractor = Extractor::default();
    let mut ask = || {
        let mut values = 0_usize;
        // As between two batches: what was answered is given up.
        extractor.select_live(Arc::clone(&batch), 0);
        for &address in &addresses {
            assert!(extractor.select_neighbor(address));
            for &(field, argument) in &questions {
                let answer = extractor
                    .extract(field, argument, false)
                    .map(|answer| answer.value());
                values += usize::from(!matches!(answer, None | Some(ExtractedValue::None)));
            }
            values += usize::from(extractor.summary().is_some());
        }
        values
    };
    // At first buffers get their size and arguments are compiled.
    let first = ask();
    ask();
    assert!(first > 15 * addresses.len(), "{first} values");
    let mut second = 0;
    assert_eq!(allocations(|| second = ask()), 0);
    assert_eq!(second, first);
}

#[test]
fn the_whole_pipeline_allocates_for_files_and_batches_only() {
    let _turn = turn();
    /// What a file and a batch may cost, with channels, names and buffers that grow in the beginning.
    const PER_FILE: u64 = 40;
    const PER_BATCH: u64 = 8;
    const START: u64 = 500;

    let files: Vec<PathBuf> = (10..20)
        .map(|number| log_file(number, 2000, true))
        .collect();
    let settings = Settings {
        threads: 2,
        jobs: 6,
        // Few batches, so that most of them have been used before.
        max_buffered_bytes: 4 << 20,
        fail_on_error: true,
        limits: LIMITS,
    };
    let usage = Arc::<FieldUsage>::default();
    let before = TOTAL.load(Ordering::Relaxed);
    let objects: Vec<Object> = files.iter().map(|path| object(path)).collect();
    let mut pipeline = Pipeline::start(
        settings,
        Arc::default(),
        Arc::default(),
        Arc::clone(&usage) as _,
        move |mut feed| {
            for object in objects {
                if !feed.push(vec![object]) {
                    return;
                }
            }
            feed.finish();
        },
    )
    .expect("threads");
    let mut extractor = Extractor::new(Arc::clone(&usage));
    let (mut events, mut batches) = (0, 0);
    loop {
        match pipeline
            .next(Duration::from_millis(100), |_| {})
            .expect("sound files")
        {
            Next::Batch(mut batch) => {
                let addresses: Vec<_> = batch.addresses().collect();
                let batch = Arc::new(batch);
                extractor.select_live(Arc::clone(&batch), 0);
                for address in addresses {
                    assert!(extractor.select_neighbor(address));
                    (0..FIELDS.len()).for_each(|field| {
                        extractor.extract(field, Argument::None, false);
                    });
                }
                events += batch.len();
                batches += 1;
                extractor.select_none();
                pipeline.recycle(Arc::into_inner(batch).expect("nobody else holds it"));
            }
            Next::Timeout => {}
            Next::End => break,
        }
    }
    let allocations = TOTAL.load(Ordering::Relaxed) - before;
    assert_eq!(events, 20_000);
    let allowed = START + files.len() as u64 * PER_FILE + batches * PER_BATCH;
    assert!(
        allocations < allowed,
        "{allocations} allocations for {events} events in {batches} batches, not {allowed}"
    );
}
