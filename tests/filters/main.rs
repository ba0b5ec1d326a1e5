//! Events that Falco does not get: those that `dropEvents` names.
#![forbid(unsafe_code)]

mod drop_events;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../support/mod.rs"]
mod support;

use cloudtrail::host::Plugin;

/// Current value of a metric.
fn metric(plugin: &Plugin, name: &str) -> u64 {
    let metrics = plugin.metrics().into_iter();
    let mut values = metrics.filter(|metric| metric.name == name);
    let value = values.next().unwrap_or_else(|| panic!("no metric {name}"));
    value.value.to_string().parse().expect("a number")
}
