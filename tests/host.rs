//! Tests of the host against a fake plugin, which violates the plugin API on request.

mod fixtures;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use cloudtrail::host::{
    Capture, MetricKind, MetricValue, OwnedEvent, OwnedValue, Plugin, Requests, Severity, Status,
    ValueRef,
};

/// The fake plugin's id.
const PLUGIN_ID: u32 = 999;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: forwards every call to the system allocator, which fulfills the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller fulfills the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller fulfills the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static LIBRARY: LazyLock<std::path::PathBuf> =
    LazyLock::new(|| fixtures::library("fake_plugin", &["WITH_FAULTS"]));

fn plugin() -> Plugin {
    Plugin::load(&LIBRARY, "").expect("the fake plugin loads")
}

/// Status and number of events of the next batch, or the error message.
fn batch(capture: &mut Capture<'_>) -> Result<(Status, usize), String> {
    match capture.next_batch() {
        Ok((status, events)) => Ok((status, events.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn load_error(library: &Path, config: &str) -> String {
    match Plugin::load(library, config) {
        Ok(_) => panic!("the plugin must not load"),
        Err(error) => error.to_string(),
    }
}

/// The host must work with any plugin, so its source must not mention the one in this crate.
#[test]
fn host_source_does_not_mention_cloudtrail() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host");
    let mut files = 0;
    for entry in std::fs::read_dir(host).expect("a directory") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source file");
        // Doc tests have to name the crate itself.
        let text = text
            .replace("# use cloudtrail::", "")
            .replace("-> cloudtrail::", "");
        let text = text.to_lowercase();
        for word in [
            "cloudtrail",
            "aws",
            "event_layout::plugin_id",
            "\"ct.",
            "`ct.",
            "s3.",
            "ec2",
        ] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
        let imports = text
            .split(';')
            .filter(|it| it.contains("use crate::event_layout"));
        for import in imports {
            let mut names = import.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(names.all(|name| name != "plugin_id"), "{}", path.display());
        }
        files += 1;
    }
    assert!(files > 10, "only {files} files were read");
}

#[test]
fn libraries_that_are_not_plugins_of_a_supported_api_are_rejected() {
    let error = load_error(&fixtures::library("fake_plugin", &["WITHOUT_DESTROY"]), "");
    assert!(error.contains("plugin_destroy"), "{error}");
    let error = load_error(
        &fixtures::library("fake_plugin", &["API_VERSION=\"3.12.0\""]),
        "",
    );
    assert!(error.contains("3.12.0"), "{error}");
    let error = load_error(Path::new("/no/such.so"), "");
    assert!(error.contains("/no/such.so"), "{error}");
    assert_eq!(load_error(&LIBRARY, "bad"), "the config is bad");
}

#[test]
fn identity_schema_and_open_params_come_from_the_plugin() {
    let plugin = plugin();
    let info = plugin.info();
    assert_eq!(
        (info.name.as_str(), info.version.as_str()),
        ("fake", "1.2.3")
    );
    assert_eq!((info.id, info.event_source.as_str()), (999, "fake_source"));
    assert!(info.has_source && info.has_extraction);
    assert!(plugin.open_params().is_ok_and(|p| p.contains("normal")));
    let schema = Plugin::init_schema(&LIBRARY).expect("it loads");
    assert_eq!(schema.as_deref(), Some("{\"type\":\"object\"}"));
}

#[test]
fn log_lines_of_the_plugin_reach_the_log_function() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let log = move |severity: Severity, line: &str| {
        sink.lock()
            .expect("unpoisoned")
            .push((severity, line.to_owned()));
    };
    drop(Plugin::load_with_log(&LIBRARY, "", log).expect("it loads"));
    let lines = lines.lock().expect("unpoisoned");
    assert_eq!(lines[0].0, Severity::Warning);
    assert_eq!(lines[1], (Severity::Debug, "part: a debug line".to_owned()));
}

#[test]
fn events_of_a_batch_precede_its_failure() {
    let plugin = plugin();
    let mut normal = plugin.open("normal").expect("it opens");
    assert_eq!(normal.progress(), (0.25, "call 0".to_owned()));
    assert_eq!(batch(&mut normal), Ok((Status::Success, 3)));
    assert_eq!(batch(&mut normal), Ok((Status::Timeout, 0)));
    assert_eq!(batch(&mut normal), Ok((Status::Success, 3)));
    assert_eq!(batch(&mut normal), Ok((Status::Eof, 0)));

    let mut ends = plugin.open("end-with-events").expect("it opens");
    assert_eq!(batch(&mut ends), Ok((Status::Eof, 3)));

    let broke = Err("the source broke".to_owned());
    let mut fails = plugin.open("fail").expect("it opens");
    assert_eq!(batch(&mut fails), broke);
    let mut fails = plugin.open("fail-with-events").expect("it opens");
    assert_eq!(batch(&mut fails), Ok((Status::Success, 3)), "events first");
    assert_eq!(batch(&mut fails), broke);
    let rejected = plugin.open("no-such").err().map(|e| e.to_string());
    assert_eq!(rejected.as_deref(), Some("cannot open no-such"));
}

#[test]
fn batches_and_events_that_violate_the_api_are_errors() {
    let plugin = plugin();

    for (kind, part) in [
        ("empty-success", "without any event"),
        ("unset-count", "unset"),
    ] {
        let mut capture = plugin.open(kind).expect("it opens");
        let error = batch(&mut capture).expect_err(kind);
        assert!(error.contains(part), "{error}");
    }
    for (kind, part) in [("other-id", "plugin id 5"), ("bad-length", "1000000")] {
        let mut capture = plugin.open(kind).expect("it opens");
        assert_eq!(
            batch(&mut capture),
            Ok((Status::Success, 1)),
            "the events before the bad one"
        );
        let error = batch(&mut capture).expect_err(kind);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn plugin_id_thread_id_time_and_number_of_events_are_filled_in() {
    let plugin = plugin();
    let mut capture = plugin.open("normal").expect("it opens");
    let mut numbers = Vec::new();
    for _ in 0..3 {
        for event in capture.next_batch().expect("a batch").1 {
            assert_eq!(
                (event.plugin_id(), event.thread_id()),
                (PLUGIN_ID, u64::MAX)
            );
            assert!(event.payload().starts_with(b"{\"kind\":\"normal\""));
            numbers.push(event.number());
        }
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let mut capture = plugin.open("no-time").expect("it opens");
    let (_, mut events) = capture.next_batch().expect("a batch");
    let ts = events.next().expect("an event").ts();
    assert!((1_600_000_000_000_000_000..u64::MAX).contains(&ts), "{ts}");
}

#[test]
fn values_of_every_type_are_extracted() {
    let plugin = plugin();
    let owned = OwnedEvent::new(PLUGIN_ID, 1, b"{}");
    let event = owned.as_event().with_number(7);
    let words = |words: &[&str]| {
        Some(OwnedValue::StrList(
            words.iter().map(|w| w.as_bytes().to_vec()).collect(),
        ))
    };
    for (spec, value) in [
        ("fake.kind", Some(OwnedValue::from("fake"))),
        ("fake.number", Some(OwnedValue::U64(7))),
        ("fake.odd", Some(OwnedValue::Bool(true))),
        ("fake.list", words(&["one", "two, three"])),
        ("fake.list[1]", words(&["two, three"])),
        ("fake.none", None),
        ("fake.key[a[0],b]", Some(OwnedValue::from("a[0],b"))),
    ] {
        let request = plugin.request(spec).expect(spec);
        let got = plugin
            .extract_values(event, &[&request], false)
            .expect(spec);
        assert_eq!(got[0].value, value, "{spec}");
        assert!(got[0].offsets.is_empty());
    }
    assert_eq!(
        plugin
            .event_to_string(event)
            .map(|t| t.starts_with("event 7 of fake_source")),
        Some(true)
    );
}

#[test]
fn offsets_are_per_value_for_one_field_and_per_field_for_several() {
    let plugin = plugin();
    let owned = OwnedEvent::new(PLUGIN_ID, 1, b"{}");
    let [kind, list, none] =
        ["fake.kind", "fake.list", "fake.none"].map(|spec| plugin.request(spec).expect(spec));
    let alone = plugin
        .extract_values(owned.as_event(), &[&list], true)
        .expect("values");
    assert_eq!(alone[0].offsets, [(41, 2), (77, 7)]);
    let together = plugin
        .extract_values(owned.as_event(), &[&kind, &none, &list], true)
        .expect("values");
    let offsets: Vec<_> = together.iter().map(|e| e.offsets.as_slice()).collect();
    assert_eq!(offsets, [&[(38, 2)][..], &[], &[(41, 2)]]);
}

#[test]
fn extraction_results_that_violate_the_api_are_errors() {
    let plugin = plugin();
    let owned = OwnedEvent::new(PLUGIN_ID, 1, b"{}");
    for (spec, part) in [
        ("fake.unset", "unset"),
        ("fake.several", "not a list"),
        ("fake.null", "NULL"),
        ("fake.fail", "this field fails"),
    ] {
        let request = plugin.request(spec).expect(spec);
        let error = plugin
            .extract_values(owned.as_event(), &[&request], false)
            .expect_err(spec)
            .to_string();
        assert!(error.contains(part), "{spec}: {error}");
    }
}

#[test]
fn invalid_requests_are_rejected_without_calling_the_plugin() {
    let plugin = plugin();
    for (spec, part) in [
        ("fake.kinds", "nearest is fake.kind"),
        ("other", "no field"),
        ("fake.kind[a]", "takes no argument"),
        ("fake.key", "needs an argument"),
        ("fake.list[x]", "number"),
        ("fake.list[0", "`]`"),
    ] {
        let error = plugin.request(spec).expect_err(spec).to_string();
        assert!(error.contains(part), "{spec}: {error}");
    }
    let other = self::plugin();
    let mut of_other =
        Requests::new(vec![other.request("fake.kind").expect("known")]).expect("one");
    let owned = OwnedEvent::new(PLUGIN_ID, 1, b"{}");
    assert!(
        plugin
            .extract(owned.as_event(), &mut of_other, false)
            .is_err()
    );
    assert!(Requests::new(Vec::new()).is_err());
}

#[test]
fn extraction_fails_while_earlier_results_are_in_use() {
    let plugin = plugin();
    let owned = OwnedEvent::new(PLUGIN_ID, 1, b"{}");
    let one = || Requests::new(vec![plugin.request("fake.kind").expect("known")]).expect("one");
    let (mut first, mut second) = (one(), one());
    let values = plugin
        .extract(owned.as_event(), &mut first, false)
        .expect("values");
    assert!(
        plugin
            .extract(owned.as_event(), &mut second, false)
            .is_err()
    );
    drop(values);
    assert!(plugin.extract(owned.as_event(), &mut second, false).is_ok());
}

#[test]
fn reading_events_and_values_allocates_nothing() {
    let plugin = plugin();
    let requests = ["fake.kind", "fake.list[1]"].map(|spec| plugin.request(spec).expect(spec));
    let mut requests = Requests::new(requests.to_vec()).expect("two");
    let mut capture = plugin.open("many").expect("it opens");
    let mut text = Vec::with_capacity(1024);
    let before = ALLOCATIONS.get();
    let mut bytes = 0;
    for _ in 0..10 {
        for event in capture.next_batch().expect("a batch").1 {
            let values = plugin.extract(event, &mut requests, true).expect("values");
            for index in 0..values.len() {
                for value in values.field(index) {
                    if let ValueRef::Str(text) = value {
                        bytes += text.len();
                    }
                }
                bytes += values.offsets(index).count();
            }
            text.clear();
            assert!(plugin.append_event_text(event, &mut text));
        }
    }
    assert_eq!(ALLOCATIONS.get(), before);
    assert_eq!(bytes, 30 * ("fake".len() + "two, three".len() + 2));
}

#[test]
fn metrics_can_be_read_from_another_thread() {
    let plugin = plugin();
    let reader = plugin.metrics_reader();
    let metrics = std::thread::scope(|scope| scope.spawn(|| reader.read()).join());
    let metrics = metrics.expect("the thread ends");
    assert_eq!(metrics[0].name, "fake.extractions");
    assert_eq!(
        (metrics[0].kind, metrics[0].value),
        (MetricKind::Monotonic, MetricValue::U64(0))
    );
    assert_eq!(
        (metrics[1].kind, metrics[1].value),
        (MetricKind::NonMonotonic, MetricValue::F64(0.5))
    );
}
