//! The numbers that a plugin reports about itself.

use std::fmt;
use std::slice;
use std::sync::{Mutex, PoisonError};

use falco_plugin_api as api;

use super::symbols::text;

/// A number with a name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// What it counts or measures.
    pub name: String,
    /// How it moves.
    pub kind: MetricKind,
    /// Its value when it was asked for.
    pub value: MetricValue,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A counter, it only grows.
    Monotonic,
    /// A gauge.
    NonMonotonic,
}

/// The value of a metric, widened to the largest type of its sort.
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

/// Reads the metrics of a plugin from any thread, also while another one extracts fields, as Falco does.
#[derive(Clone, Copy)]
pub struct MetricsReader<'p> {
    pub(super) call: Option<GetMetrics>,
    pub(super) state: *mut api::ss_plugin_t,
    /// The plugin may reuse the array that it returned, so calls take turns until the copy is made.
    pub(super) turn: &'p Mutex<()>,
}

pub(super) type GetMetrics =
    unsafe extern "C-unwind" fn(*mut api::ss_plugin_t, *mut u32) -> *mut api::ss_plugin_metric;

// SAFETY: the state pointer is only handed to `get_metrics`, which the API allows beside calls on other threads;
// `turn` keeps two of them apart, and `'p` keeps the plugin from being destroyed.
unsafe impl Send for MetricsReader<'_> {}
// SAFETY: as above.
unsafe impl Sync for MetricsReader<'_> {}

impl MetricsReader<'_> {
    /// All metrics now; none if the plugin has none.
    pub fn read(&self) -> Vec<Metric> {
        let Some(call) = self.call else {
            return Vec::new();
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = 0;
        // SAFETY: the state is alive during `'p`; the array has `count` elements and stays until the next call, which has
        // to wait for `_turn`.
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
/// The name must be NULL or NUL-terminated, and the member of the union that `value_type` names must be set.
unsafe fn metric(raw: &api::ss_plugin_metric) -> Metric {
    let value = &raw.value;
    // SAFETY: this function's contract.
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
