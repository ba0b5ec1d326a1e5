//! The plugin's owner: what a plugin can call back, which is the log.

use std::ffi::c_char;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use falco_plugin_api as api;

use super::symbols::text;

/// How grave a log line of a plugin is. The order goes from the gravest to the most talkative, so
/// `severity <= Severity::Warning` selects warnings and worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The process cannot go on.
    Fatal,
    /// A part of the plugin cannot go on.
    Critical,
    /// Something was lost or refused.
    Error,
    /// Something unexpected that lost nothing.
    Warning,
    /// Normal but worth knowing.
    Notice,
    /// A step of normal work.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Severity {
    /// The lower-case word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Fatal => "fatal",
            Severity::Critical => "critical",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
            Severity::Debug => "debug",
            Severity::Trace => "trace",
        }
    }

    /// A number that the API does not know counts as `Error`: it must not be filtered away as mere trace.
    fn from_code(code: api::ss_plugin_log_severity) -> Severity {
        match code {
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_FATAL => Severity::Fatal,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_CRITICAL => Severity::Critical,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_WARNING => Severity::Warning,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_NOTICE => Severity::Notice,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_INFO => Severity::Info,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_DEBUG => Severity::Debug,
            api::ss_plugin_log_severity_SS_PLUGIN_LOG_SEV_TRACE => Severity::Trace,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

type LogFn = dyn Fn(Severity, &str) + Send + Sync;

/// Lives at one address from before `init` until after `destroy`.
pub(super) struct Owner {
    log: Box<LogFn>,
}

impl Owner {
    pub(super) fn new(log: impl Fn(Severity, &str) + Send + Sync + 'static) -> Owner {
        Owner { log: Box::new(log) }
    }
}

/// The function that a plugin logs through, from any of its threads.
///
/// # Safety
/// `owner` must be an [`Owner`] that is alive; the strings must be NULL or NUL-terminated.
pub(super) unsafe extern "C-unwind" fn log(
    owner: *mut api::ss_plugin_owner_t,
    component: *const c_char,
    message: *const c_char,
    severity: api::ss_plugin_log_severity,
) {
    let owner = owner.cast::<Owner>().cast_const();
    // SAFETY: the caller passes the pointer that `init` was given, which is an Owner that outlives the plugin.
    let Some(owner) = (unsafe { owner.as_ref() }) else {
        return;
    };
    // SAFETY: NULL or NUL-terminated by this function's contract, and alive during the call.
    let (component, message) = unsafe { (text(component), text(message)) };
    let message = message.unwrap_or_default();
    let line = match component {
        Some(component) if !component.is_empty() => format!("{component}: {message}"),
        _ => message,
    };
    // A panic of the log function must not unwind into a plugin, whose own frames it would tear down.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        (owner.log)(Severity::from_code(severity), &line);
    }));
}
