//! No allocation per event, neither for decoding nor for extraction; some per file and per batch.
#![forbid(unsafe_code)]

use cloudtrail::testing::{
    Arg, Argument, Batch, BatchSender, Content, Decoder, ExtractedValue, Extractor, FIELDS,
    FieldUsage, FingerprintKey, Log, Metrics, Next, Object, Pipeline, RecordHooks, Settings,
    compile_filter,
};
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::LIMITS;
use crate::allocator::{lock_counters, own_allocations, total_allocations};
use crate::corpus;

/// Writes a log file with `records` records to Cargo's folder for temporary files.
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

/// Records with policies, as an object, as text and URL-encoded.
fn log_file_with_policies(records: usize) -> PathBuf {
    let policy = r#"{"\u0053tatement":[{"Effect":"Allow","Principal":{"AWS":["444455556666","\u002a"]},"Action":"*",
        "Resource":"*"},{"Effect":"Allow","Action":["s3:Get*","iam:\u002a"],"Resource":["arn:aws:iam::*:user/*","*"]}]}"#;
    let text = serde_json::Value::from(policy).to_string();
    let encoded = policy
        .replace('"', "%22")
        .replace('\\', "%5C")
        .replace('\n', "%0A");
    let policies = [policy, text.as_str(), &format!("\"{encoded}\"")];
    let record = |number: usize| {
        format!(
            r#"{{"eventTime":"2026-01-14T09:15:00Z","eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","requestParameters":{{"policy":{}}}}}"#,
            policies[number % policies.len()]
        )
    };
    let all: Vec<_> = (0..records).map(record).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("allocations-policies.json");
    fs::write(&path, format!(r#"{{"Records":[{}]}}"#, all.join(","))).expect("room for a file");
    path
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

/// Checks that decoding a file takes as many allocations for 2,000 events as for 200, and fewer than `limit`. `file`
/// writes one with this number of records.
fn assert_no_allocation_per_event(what: &str, file: impl Fn(usize) -> PathBuf, limit: u64) {
    let (metrics, log) = (Metrics::default(), Log::default());
    let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
    let mut decode = |records| {
        let object = object(&file(records));
        let mut drain = Drain::default();
        let allocations = own_allocations(|| {
            decoder.decode(&object, &mut drain).expect("a sound file");
            drain.flush(&mut decoder.batch);
        });
        assert_eq!(drain.events, records);
        allocations
    };
    // The first run grows the buffers.
    decode(2000);
    let (few, many) = (decode(200), decode(2000));
    assert_eq!(few, many, "for 200 and for 2000 events of one file, {what}");
    assert!(many < limit, "{many} allocations for one file, {what}");
}

#[test]
fn decoding_allocates_per_file_and_not_per_event() {
    let _lock = lock_counters();
    for packed in [true, false] {
        let what = format!("packed: {packed}");
        assert_no_allocation_per_event(&what, |records| log_file(1, records, packed), 20);
    }
}

/// Writes a file of CloudWatch Logs envelopes, of 20 records each, that is packed as often as this.
fn envelope_file(records: usize, packed: usize) -> PathBuf {
    let log = corpus::log_file(1, records).text;
    let log: serde_json::Value = serde_json::from_str(&log).expect("a log");
    let messages: Vec<String> = log["Records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| {
            serde_json::json!({"id": "1", "timestamp": 1, "message": record.to_string()})
                .to_string()
        })
        .collect();
    let envelopes: Vec<String> = messages
        .chunks(20)
        .map(|events| {
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logEvents":[{}]}}"#,
                events.join(",")
            )
        })
        .collect();
    let mut content = envelopes.concat().into_bytes();
    for _ in 0..packed {
        let mut writer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(&content).expect("memory");
        content = writer.finish().expect("memory");
    }
    let name = format!("allocations-envelopes-{records}-{packed}.json");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("room for a file");
    path
}

#[test]
fn decoding_of_cloudwatch_envelopes_allocates_per_file_and_not_per_event() {
    let _lock = lock_counters();
    for packed in 0..3 {
        let what = format!("packed {packed} times");
        assert_no_allocation_per_event(&what, |records| envelope_file(records, packed), 40);
    }
}

#[test]
fn filter_and_fingerprints_allocate_nothing_per_event() {
    let _lock = lock_counters();
    let (metrics, log) = (Metrics::default(), Log::default());
    let objects = serde_json::json!([
        {"ct.src": ["a", "b*", "*c*d"], "ct.name": "x", "ct.error": "*"},
        {"ct.shortsrc": "*", "ct.readonly": true, "ct.info": "*x", "ct.user": ["*", "z"], "s3.bytes": 1,
            "ec2.imageids": "*y", "ct.value[/resources/0/ARN]": "*z"},
        {"ct.src": "s3.amazonaws.com", "ct.name": "*Object"},
    ]);
    let objects: Vec<_> = serde_json::from_value(objects).expect("objects");
    let hooks = RecordHooks {
        precompute: Arc::new(FieldUsage::default()),
        filter: compile_filter(&objects).expect("a valid filter").0,
        fingerprint_key: Some(FingerprintKey::random()),
    };
    let mut batch = Batch::default();
    batch.hook_with(&hooks);
    let mut decoder = Decoder::new(LIMITS, &metrics, &log, batch);
    let mut decode = |records| {
        let object = object(&log_file(1, records, true));
        let mut drain = Drain::default();
        let allocations = own_allocations(|| {
            decoder.decode(&object, &mut drain).expect("a sound file");
            drain.flush(&mut decoder.batch);
        });
        assert!(
            drain.events < records,
            "{} of {records} remain",
            drain.events
        );
        allocations
    };
    decode(2000);
    assert_eq!(decode(200), decode(2000));
}

#[test]
fn extraction_of_every_field_allocates_nothing() {
    let _lock = lock_counters();
    let (metrics, log) = (Metrics::default(), Log::default());
    let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
    let mut keep = Keep::default();
    decoder
        .decode(&object(&log_file(2, 1000, true)), &mut keep)
        .expect("a sound file");
    let addresses: Vec<_> = keep.0.addresses().collect();
    assert!(addresses.len() > 200);
    let batch = Arc::new(keep.0);
    let mut requests: Vec<_> = (0..FIELDS.len())
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
    requests.extend(keyed.map(|key| (number("ct.value"), Argument::Key(key))));
    requests.push((number("ec2.imageids"), Argument::Index(0)));

    let mut extractor = Extractor::default();
    let mut extract = || {
        let mut values = 0_usize;
        // As between two batches: earlier values are released.
        extractor.select_live(Arc::clone(&batch), 0);
        for &address in &addresses {
            assert!(extractor.select_neighbor(address));
            for &(field, argument) in &requests {
                let answer = extractor
                    .extract(field, argument, false)
                    .map(|answer| answer.value());
                values += usize::from(!matches!(answer, None | Some(ExtractedValue::None)));
            }
            values += usize::from(extractor.summary().is_some());
        }
        values
    };
    // The first runs grow the buffers and compile the arguments.
    let first = extract();
    extract();
    assert!(first > 15 * addresses.len(), "{first} values");
    let mut second = 0;
    assert_eq!(own_allocations(|| second = extract()), 0);
    assert_eq!(second, first);
}

#[test]
fn pipeline_allocates_per_file_and_new_batch_only() {
    let _lock = lock_counters();
    /// Allocations allowed per file, and for channels and names at the start.
    const PER_FILE: u64 = 40;
    const START: u64 = 500;
    /// Batches that exist at once, at most: three quarters of the memory are for those that wait, of half a MiB each; two
    /// are filled, two more wait for room, one is with the host, one on its way back. How many of them there are is up to
    /// the threads' timing. Each allocates until its buffers have grown, and is then used again.
    const BATCHES_AT_ONCE: u64 = 6 + 2 + 2 + 1 + 1;
    const PER_NEW_BATCH: u64 = 80;

    let files: Vec<PathBuf> = (10..20)
        .map(|number| log_file(number, 2000, true))
        .collect();
    let settings = Settings {
        threads: 2,
        jobs: 6,
        jobs_gap: 0,
        gather: Duration::ZERO,
        gather_objects: 0,
        // Small, so that most batches are used again.
        max_buffered_bytes: 4 << 20,
        fail_on_error: true,
        limits: LIMITS,
    };
    let usage = Arc::<FieldUsage>::default();
    let hooks = RecordHooks {
        precompute: Arc::clone(&usage) as _,
        filter: None,
        fingerprint_key: None,
    };
    let before = total_allocations();
    let objects: Vec<Object> = files.iter().map(|path| object(path)).collect();
    let mut pipeline = Pipeline::start(
        settings,
        Arc::default(),
        Arc::default(),
        hooks,
        move |mut sender| {
            for object in objects {
                if !sender.push(vec![object]) {
                    return;
                }
            }
            sender.finish();
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
                pipeline.recycle(Arc::into_inner(batch).expect("the only reference"));
            }
            Next::Timeout => {}
            Next::End => break,
        }
    }
    let allocations = total_allocations() - before;
    assert_eq!(events, 20_000);
    let allowed = START + files.len() as u64 * PER_FILE + BATCHES_AT_ONCE * PER_NEW_BATCH;
    assert!(
        batches * PER_NEW_BATCH > 2 * allowed,
        "{batches} batches are too few to show that they are used again"
    );
    assert!(
        allocations < allowed,
        "{allocations} allocations for {events} events in {batches} batches, allowed {allowed}"
    );
}

#[test]
fn extraction_from_policies_allocates_nothing() {
    let _lock = lock_counters();
    let (metrics, log) = (Metrics::default(), Log::default());
    let mut decoder = Decoder::new(LIMITS, &metrics, &log, Batch::default());
    let mut keep = Keep::default();
    let file = object(&log_file_with_policies(300));
    decoder.decode(&file, &mut keep).expect("a sound file");
    if keep.0.is_empty() {
        keep.flush(&mut decoder.batch);
    }
    let addresses: Vec<_> = keep.0.addresses().collect();
    assert!(addresses.len() > 100);
    let batch = Arc::new(keep.0);
    let fields: Vec<_> = (0..FIELDS.len())
        .filter(|&field| FIELDS[field].name.starts_with("ct.policy."))
        .collect();
    assert_eq!(fields.len(), 4);
    let mut extractor = Extractor::default();
    let mut extract = || {
        let mut values = 0_usize;
        extractor.select_live(Arc::clone(&batch), 0);
        for &address in &addresses[1..] {
            assert!(extractor.select_neighbor(address));
            for &field in &fields {
                let answer = extractor.extract(field, Argument::None, false);
                let answer = answer.map(|answer| answer.value());
                values += usize::from(!matches!(answer, None | Some(ExtractedValue::None)));
            }
        }
        values
    };
    assert_eq!(
        extract(),
        4 * (addresses.len() - 1),
        "each field has a value"
    );
    extract();
    assert_eq!(
        own_allocations(|| {
            extract();
        }),
        0
    );
}
