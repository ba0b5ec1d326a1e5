//! The state of one initialized plugin, and its connection to the host's log.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_char};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falco_plugin_api as api;

use super::extraction::Extraction;
use super::instance::OpenInstances;
use super::live_batches::LiveBatches;
use crate::batch::RecordHooks;
use crate::config::{self, Config};
use crate::error::Error;
use crate::extract::event_filter;
use crate::extract::field_usage::FieldUsage;
use crate::log::Severity;
use crate::source::open::SourceContext;

/// What `plugin_init` creates. A process may have several.
pub(super) struct PluginState {
    /// Shared by its sources.
    pub(super) context: SourceContext,
    pub(super) live: Arc<LiveBatches>,
    pub(super) instances: Arc<OpenInstances>,
    errors: Mutex<Errors>,
    /// Metrics of the last call, which the host reads.
    metrics: Mutex<Vec<api::ss_plugin_metric>>,
    extraction: UnsafeCell<Extraction>,
}

impl PluginState {
    /// A state with this configuration, and whether it is valid. One that is not can only report its error.
    pub(super) fn new(config: &str, host_log: HostLog) -> (PluginState, bool) {
        let parsed = config::parse(config).and_then(|(config, mut warnings)| {
            let (filter, more) = event_filter::compile(&config.drop_events)?;
            warnings.extend(more);
            Ok((config, filter, warnings))
        });
        let ((config, filter, warnings), error) = match parsed {
            Ok(parsed) => (parsed, None),
            Err(error) => ((Config::default(), None, Vec::new()), Some(error)),
        };
        let field_usage = Arc::new(FieldUsage::default());
        let state = PluginState {
            extraction: UnsafeCell::new(Extraction::new(Arc::clone(&field_usage))),
            context: SourceContext {
                config,
                metrics: Arc::default(),
                log: Arc::default(),
                hooks: RecordHooks {
                    precompute: field_usage,
                    filter,
                    fingerprint_key: None,
                },
                host_log: Box::new(move |severity, line| host_log.write(severity, line)),
            },
            live: Arc::default(),
            instances: Arc::default(),
            errors: Mutex::default(),
            metrics: Mutex::default(),
        };
        for warning in warnings {
            state.context.log.line(Severity::Warning, warning);
        }
        state.forward_log();
        let valid = error.is_none();
        if let Some(error) = error {
            state.set_error(&error);
        }
        (state, valid)
    }

    /// A state that can only report `error`.
    pub(super) fn failed(error: &Error, host_log: HostLog) -> PluginState {
        let (state, _) = PluginState::new("", host_log);
        state.set_error(error);
        state
    }

    /// Stores `error` for [`PluginState::last_error`].
    pub(super) fn set_error(&self, error: &Error) {
        // Only a text of the host, such as the configuration, can bring a NUL.
        let text = error.to_string().replace('\0', "\\0");
        lock(&self.errors).last = CString::new(text).unwrap_or_default();
    }

    /// The last error. The text stays until the next call of this method, even if something fails in between.
    pub(super) fn last_error(&self) -> *const c_char {
        let errors = &mut *lock(&self.errors);
        errors.returned.clone_from(&errors.last);
        errors.returned.as_ptr()
    }

    /// Sends the log lines that accumulated to the host. Only on the host's thread.
    pub(super) fn forward_log(&self) {
        self.context.forward_log();
    }

    /// The current metrics: address and number. They stay until the next call.
    pub(super) fn metrics(&self) -> (*mut api::ss_plugin_metric, usize) {
        let mut metrics = lock(&self.metrics);
        metrics.clear();
        metrics.extend(self.context.metrics.snapshot().iter().map(|metric| {
            api::ss_plugin_metric {
                name: metric.name.as_ptr(),
                type_: match metric.monotonic {
                    true => api::ss_plugin_metric_type_SS_PLUGIN_METRIC_TYPE_MONOTONIC,
                    false => api::ss_plugin_metric_type_SS_PLUGIN_METRIC_TYPE_NON_MONOTONIC,
                },
                value: api::ss_plugin_metric_value { u64_: metric.value },
                value_type: api::ss_plugin_metric_value_type_SS_PLUGIN_METRIC_VALUE_TYPE_U64,
            }
        }));
        (metrics.as_mut_ptr(), metrics.len())
    }

    /// The state of field extraction.
    ///
    /// # Safety
    /// No other reference from this method is in use.
    #[allow(clippy::mut_from_ref)] // The contract above excludes aliases.
    pub(super) unsafe fn extraction(&self) -> &mut Extraction {
        // SAFETY: the reference must not be aliased: the caller's promise, and nothing else accesses the cell.
        unsafe { &mut *self.extraction.get() }
    }
}

#[derive(Default)]
struct Errors {
    last: CString,
    /// The text that the host got last.
    returned: CString,
}

/// The host's log function.
#[derive(Clone, Copy)]
pub(super) struct HostLog {
    owner: *mut api::ss_plugin_owner_t,
    log: api::ss_plugin_log_fn_t,
}

impl HostLog {
    /// # Safety
    /// `log` is NULL or may be called with `owner` while the value or a copy of it is in use.
    pub(super) unsafe fn new(
        owner: *mut api::ss_plugin_owner_t,
        log: api::ss_plugin_log_fn_t,
    ) -> Self {
        HostLog { owner, log }
    }

    fn write(&self, severity: Severity, line: &str) {
        let Some(log) = self.log else {
            return;
        };
        let severity = match severity {
            Severity::Error => api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_ERROR,
            Severity::Warning => api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_WARNING,
            Severity::Info => api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_INFO,
        };
        // The log escapes control characters, so there is no NUL.
        let line = CString::new(line).unwrap_or_default();
        let component: *const c_char = std::ptr::null();
        // SAFETY: the function must be callable with this owner: `new` requires it. `line` is a C string that outlives the
        // call; NULL as component stands for the plugin's name.
        unsafe { log(self.owner, component, line.as_ptr(), severity) };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
