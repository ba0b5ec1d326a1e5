//! Helpers for benches that call the plugin through the C ABI.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each bench uses a part")]

use std::path::{Path, PathBuf};

use cloudtrail::host::{Event, Plugin, Requests, Status, ValueRef, library_beside};

/// Fields as the conditions of a typical rule set use them.
pub const RULE_SET: [&str; 12] = [
    "ct.name",
    "ct.src",
    "ct.error",
    "ct.user",
    "ct.user.identitytype",
    "ct.user.arn",
    "ct.srcip",
    "ct.region",
    "ct.useragent",
    "ct.readonly",
    "s3.bucket",
    "ct.request.functionname",
];

/// The library to measure: `CLOUDTRAIL_LIBRARY`, or the one built with this bench.
pub fn library() -> PathBuf {
    match std::env::var_os("CLOUDTRAIL_LIBRARY") {
        Some(path) => path.into(),
        None => library_beside(
            &std::env::current_exe().expect("the path of this bench"),
            "cloudtrail",
        ),
    }
}

/// Loads `library` with the init configuration `config`.
pub fn load(library: &Path, config: &str) -> Plugin {
    Plugin::load(library, config).unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}

/// Requests for `fields`, one field per call as in Falco.
pub fn one_by_one(plugin: &Plugin, fields: &[&str]) -> Vec<Requests> {
    fields
        .iter()
        .map(|field| {
            let request = plugin
                .request(field)
                .unwrap_or_else(|error| panic!("{error}"));
            Requests::new(vec![request]).expect("one request")
        })
        .collect()
}

/// Extracts each of `requests` and reads the first byte of each value. Returns the number of values.
#[inline]
pub fn extract(plugin: &Plugin, event: Event<'_>, requests: &mut [Requests]) -> u64 {
    let mut values = 0;
    for request in requests {
        let fields = plugin.extract(event, request, false).expect("values");
        for value in fields.field(0) {
            values += 1;
            if let ValueRef::Str(text) = value {
                std::hint::black_box(text.first());
            }
        }
    }
    values
}

/// Totals over a whole source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub events: u64,
    pub bytes: u64,
    pub values: u64,
}

/// Reads `source` to its end and extracts `requests` from each event.
pub fn read(plugin: &Plugin, source: &Path, requests: &mut [Requests]) -> Totals {
    let mut totals = Totals::default();
    let mut capture = plugin
        .open(source.to_str().expect("a path that is UTF-8"))
        .unwrap_or_else(|error| panic!("{error}"));
    loop {
        let (status, events) = capture.next_batch().expect("events");
        for event in events {
            totals.events += 1;
            totals.bytes += event.payload().len() as u64;
            totals.values += extract(plugin, event, requests);
        }
        if status == Status::Eof {
            return totals;
        }
    }
}
