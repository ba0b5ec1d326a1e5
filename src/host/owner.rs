//! The plugin's owner: receives the log lines of a plugin.

use std::ffi::c_char;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use falco_plugin_api as api;

use super::symbols::text;

/// Severity of a plugin's log line, from the most to the least severe: `severity <= Severity::Warning` selects
/// warnings and worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The process cannot continue.
    Fatal,
    /// A component cannot continue.
    Critical,
    /// Something was lost or rejected.
    Error,
    /// Unexpected, but nothing was lost.
    Warning,
    /// Normal but significant.
    Notice,
    /// Informational.
    Info,
    /// For debugging.
    Debug,
    /// Every detail.
    Trace,
}

impl Severity {
    /// All severities, most severe first.
    pub const ALL: [Severity; 8] = [
        Severity::Fatal,
        Severity::Critical,
        Severity::Error,
        Severity::Warning,
        Severity::Notice,
        Severity::Info,
        Severity::Debug,
        Severity::Trace,
    ];

    /// Name in lower case.
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

    /// Maps unknown codes to `Error`, so that a filter does not hide them.
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

/// The state that log callbacks receive. Must not move between `init` and the end of `destroy`.
pub(super) struct Owner {
    log: Box<LogFn>,
}

impl Owner {
    pub(super) fn new(log: impl Fn(Severity, &str) + Send + Sync + 'static) -> Owner {
        Owner { log: Box::new(log) }
    }
}

/// The plugin's log function. Plugins call it from any thread.
///
/// # Safety
/// `owner` must be NULL or point to a live [`Owner`]; the strings must be NULL or NUL-terminated.
pub(super) unsafe extern "C-unwind" fn log(
    owner: *mut api::ss_plugin_owner_t,
    component: *const c_char,
    message: *const c_char,
    severity: api::ss_plugin_log_severity,
) {
    let owner = owner.cast::<Owner>().cast_const();
    // SAFETY: NULL or a live `Owner` by this function's contract.
    let Some(owner) = (unsafe { owner.as_ref() }) else {
        return;
    };
    // SAFETY: NULL or NUL-terminated by this function's contract.
    let (component, message) = unsafe { (text(component), text(message)) };
    let message = message.unwrap_or_default();
    let line = match component {
        Some(component) if !component.is_empty() => format!("{component}: {message}"),
        _ => message,
    };
    // A panic in the log function must not unwind through the plugin's frames.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        (owner.log)(Severity::from_code(severity), &line);
    }));
}
