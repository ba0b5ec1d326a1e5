//! What one initialised plugin keeps, and its line to the host's log.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falco_plugin_api as api;

use super::extraction::Extraction;
use super::instance::Instance;
use crate::batch::Batch;
use crate::batch::field_usage::FieldUsage;
use crate::config::{self, Config};
use crate::error::Error;
use crate::log::Severity;
use crate::source::open::SourceContext;

/// One plugin state, as `init` makes it. Several may live in one process.
pub(super) struct PluginState {
    /// What its sources share.
    pub(super) context: SourceContext,
    pub(super) live: Arc<Live>,
    /// What is open.
    pub(super) instances: Arc<Instances>,
    owner: Owner,
    errors: Mutex<Errors>,
    reported: Mutex<Vec<api::ss_plugin_metric>>,
    extraction: UnsafeCell<Extraction>,
}

impl PluginState {
    /// A state with this configuration; an error leaves a state that can only tell it.
    pub(super) fn new(config: &str, owner: Owner) -> (PluginState, bool) {
        let (parsed, error) = match config::parse(config) {
            Ok(parsed) => (parsed, None),
            Err(error) => ((Config::default(), Vec::new()), Some(error)),
        };
        let (config, warnings) = parsed;
        let field_usage = Arc::new(FieldUsage::default());
        let state = PluginState {
            extraction: UnsafeCell::new(Extraction::new(Arc::clone(&field_usage))),
            context: SourceContext {
                config,
                metrics: Arc::default(),
                log: Arc::default(),
                field_usage,
            },
            live: Arc::default(),
            instances: Arc::default(),
            owner,
            errors: Mutex::default(),
            reported: Mutex::default(),
        };
        for warning in warnings {
            state.context.log.line(Severity::Warning, warning);
        }
        state.forward_log();
        let sound = error.is_none();
        if let Some(error) = error {
            state.fail(&error);
        }
        (state, sound)
    }

    /// A state that can only report `error`.
    pub(super) fn failed(error: &Error, owner: Owner) -> PluginState {
        let (state, _) = PluginState::new("", owner);
        state.fail(error);
        state
    }

    /// Keeps `error` for [`PluginState::last_error`].
    pub(super) fn fail(&self, error: &Error) {
        // A NUL can only come from the host's own text.
        let text = error.to_string().replace('\0', "\\0");
        lock(&self.errors).last = CString::new(text).unwrap_or_default();
    }

    /// The last error. The text stays until the next call of this, whatever fails meanwhile.
    pub(super) fn last_error(&self) -> *const c_char {
        let errors = &mut *lock(&self.errors);
        errors.given.clone_from(&errors.last);
        errors.given.as_ptr()
    }

    /// Hands the lines that have gathered to the host. Only the host's own thread may do this.
    pub(super) fn forward_log(&self) {
        for (severity, line) in self.context.log.take() {
            self.owner.log(severity, &line);
        }
    }

    /// The figures now, valid until the next call.
    pub(super) fn metrics(&self) -> (*mut api::ss_plugin_metric, usize) {
        let mut reported = lock(&self.reported);
        reported.clear();
        reported.extend(self.context.metrics.snapshot().iter().map(|metric| {
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
        (reported.as_mut_ptr(), reported.len())
    }

    /// The state of field extraction.
    ///
    /// # Safety
    /// Only the functions that extract and show events may call this, and only once at a time.
    /// The host does: it calls them for one state from the thread that processes its events.
    #[allow(clippy::mut_from_ref)] // That is what the contract above is for.
    pub(super) unsafe fn extraction(&self) -> &mut Extraction {
        // SAFETY: the caller promises that no other reference is alive.
        unsafe { &mut *self.extraction.get() }
    }
}

#[derive(Default)]
struct Errors {
    last: CString,
    /// What the host was given last.
    given: CString,
}

/// The instances that were opened and not closed. A host that destroys the plugin all the same
/// must not be left with threads that run on in unloaded code.
#[derive(Default)]
pub(super) struct Instances(
    /// Atomics only because a bare pointer may not move between threads; Relaxed, as the lock orders every access.
    Mutex<Vec<AtomicPtr<Instance>>>,
);

impl Instances {
    pub(super) fn opened(&self, instance: *mut Instance) {
        lock(&self.0).push(AtomicPtr::new(instance));
    }

    pub(super) fn closed(&self, instance: *mut Instance) {
        lock(&self.0).retain(|open| open.load(Ordering::Relaxed) != instance);
    }

    /// Takes all of them out.
    pub(super) fn take(&self) -> Vec<*mut Instance> {
        let open = std::mem::take(&mut *lock(&self.0));
        open.into_iter().map(AtomicPtr::into_inner).collect()
    }
}

/// The batches whose events the host holds, one for each open instance.
#[derive(Default)]
pub(super) struct Live {
    /// Grows with every change, so that a look at it tells whether anything changed. Release and Acquire: who sees the new
    /// number sees the change before it. The batches themselves are read under the lock; what is looked at without it is
    /// the batch that extraction keeps alive itself.
    epoch: AtomicU64,
    batches: Mutex<Vec<Arc<Batch>>>,
}

impl Live {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes `old` out and puts `new` in.
    pub(super) fn replace(&self, old: Option<&Arc<Batch>>, new: Option<&Arc<Batch>>) {
        let mut batches = lock(&self.batches);
        if let Some(old) = old {
            batches.retain(|batch| !Arc::ptr_eq(batch, old));
        }
        batches.extend(new.cloned());
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The batch with an event at this address, and the event's number.
    pub(super) fn find(&self, address: *const u8) -> Option<(Arc<Batch>, usize)> {
        lock(&self.batches).iter().find_map(|batch| {
            let number = batch.find(address, 0)?;
            Some((Arc::clone(batch), number))
        })
    }
}

/// The host's log function.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    handle: *mut api::ss_plugin_owner_t,
    log: api::ss_plugin_log_fn_t,
}

impl Owner {
    /// # Safety
    /// `log`, if there is one, may be called with `handle` for as long as the value lives.
    pub(super) unsafe fn new(
        handle: *mut api::ss_plugin_owner_t,
        log: api::ss_plugin_log_fn_t,
    ) -> Self {
        Owner { handle, log }
    }

    fn log(&self, severity: Severity, line: &str) {
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
        // SAFETY: `new`'s caller vouches for the function and its owner; the line outlives the
        // call, and NULL stands for the plugin's own name.
        unsafe { log(self.handle, component, line.as_ptr(), severity) };
    }
}

/// A copy of a host's text, invalid UTF-8 replaced; empty for NULL.
///
/// # Safety
/// `text` is NULL or a C string that nobody changes during the call.
pub(super) unsafe fn host_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, as checked above, so the caller's promise holds.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
