//! The plugin's metrics.

use std::fmt;
use std::slice;
use std::sync::{Mutex, PoisonError};

use falco_plugin_api as api;

use super::symbols::text;

/// A metric and its value at the time of the call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Name, without a prefix for the plugin.
    pub name: String,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Value.
    pub value: MetricValue,
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A counter: never decreases.
    Monotonic,
    /// A gauge.
    NonMonotonic,
}

/// Value of a metric, widened to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// Unsigned.
    U64(u64),
    /// Signed.
    I64(i64),
    /// Floating point.
    F64(f64),
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricValue::U64(value) => value.fmt(f),
            MetricValue::I64(value) => value.fmt(f),
            MetricValue::F64(value) => value.fmt(f),
        }
    }
}

/// Reads the plugin's metrics from any thread, also while another thread extracts fields, as Falco does.
#[derive(Clone, Copy)]
pub struct MetricsReader<'p> {
    pub(super) call: Option<GetMetrics>,
    pub(super) state: *mut api::ss_plugin_t,
    /// Serializes calls until the result is copied: the plugin may reuse the array that it returned.
    pub(super) lock: &'p Mutex<()>,
}

pub(super) type GetMetrics =
    unsafe extern "C-unwind" fn(*mut api::ss_plugin_t, *mut u32) -> *mut api::ss_plugin_metric;

// SAFETY: the state pointer is only passed to `get_metrics`, which the API allows concurrently with calls on other
// threads. `lock` serializes these calls, and `'p` keeps the plugin alive.
unsafe impl Send for MetricsReader<'_> {}
// SAFETY: as above.
unsafe impl Sync for MetricsReader<'_> {}

impl MetricsReader<'_> {
    /// The current metrics; empty if the plugin has none.
    pub fn read(&self) -> Vec<Metric> {
        let Some(call) = self.call else {
            return Vec::new();
        };
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        // SAFETY: the state is alive during `'p`. By the API's contract the array has `count` elements and is valid
        // until the next call, which needs the lock that `_guard` owns.
        unsafe {
            let first = call(self.state, &mut count);
            if first.is_null() || count == 0 {
                return Vec::new();
            }
            slice::from_raw_parts(first, count as usize)
                .iter()
                .map(|raw| metric(raw))
                .collect()
        }
    }
}

/// # Safety
/// `raw.name` must be NULL or NUL-terminated, and the union's member that `raw.value_type` selects must be set.
unsafe fn metric(raw: &api::ss_plugin_metric) -> Metric {
    let value = &raw.value;
    // SAFETY: by this function's contract.
    unsafe {
        Metric {
            name: text(raw.name).unwrap_or_default(),
            kind: match raw.type_ {
                api::ss_plugin_metric_type_SS_PLUGIN_METRIC_TYPE_MONOTONIC => MetricKind::Monotonic,
                _ => MetricKind::NonMonotonic,
            },
            value: match raw.value_type {
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_U32 => {
                    MetricValue::U64(value.u32_.into())
                }
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_S32 => {
                    MetricValue::I64(value.s32.into())
                }
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_S64 => {
                    MetricValue::I64(value.s64)
                }
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_D => {
                    MetricValue::F64(value.d)
                }
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_F => {
                    MetricValue::F64(value.f.into())
                }
                api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_I => {
                    MetricValue::I64(value.i.into())
                }
                _ => MetricValue::U64(value.u64_),
            },
        }
    }
}
