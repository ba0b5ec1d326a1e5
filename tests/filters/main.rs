//! Events that Falco does not get: those that `dropEvents` names, and duplicates.
#![forbid(unsafe_code)]

mod dedup_window;
mod drop_events;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use cloudtrail::host::{OwnedValue, Plugin};
use support::field_reader::FieldReader;

/// Current value of a metric.
fn metric(plugin: &Plugin, name: &str) -> u64 {
    let metrics = plugin.metrics().into_iter();
    let mut values = metrics.filter(|metric| metric.name == name);
    let value = values.next().unwrap_or_else(|| panic!("no metric {name}"));
    value.value.to_string().parse().expect("a number")
}

/// All events below `path`: payload, and the values of all fields.
fn events_with_values(plugin: &Plugin, path: &Path) -> Vec<(Vec<u8>, Vec<Option<OwnedValue>>)> {
    let mut reader = FieldReader::new(plugin, &["/eventName", "/requestParameters"]);
    let mut events = Vec::new();
    support::each_event(plugin, path, |event| {
        let values = reader.values(event);
        events.push((event.payload().to_vec(), values));
    });
    events
}
