//! An initialized plugin, from `init` to `destroy`.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::null;
use std::sync::{Arc, Mutex};

use falco_plugin_api as api;

use super::event::Event;
use super::fields::{self, Field};
use super::metrics::{Metric, MetricsReader};
use super::owner::{self, Owner, Severity};
use super::request::Request;
use super::symbols::{Info, Symbols, text};
use super::{broken, tables};
use crate::error::{Error, ErrorKind, Result};

/// An initialized plugin. Dropping it destroys the plugin's state, then unloads the library.
///
/// `Send` but not `Sync`: as in Falco, one thread at a time uses it. Other threads can read its metrics through
/// [`Plugin::metrics_reader`].
pub struct Plugin {
    pub(super) state: *mut api::ss_plugin_t,
    pub(super) fields: Arc<[Field]>,
    /// Whether results of an extraction exist, which another extraction would overwrite.
    pub(super) values_in_use: Cell<bool>,
    event_source: CString,
    metrics_lock: Mutex<()>,
    /// The plugin may log until `destroy` has returned. The `Arc` keeps its address stable.
    owner: Arc<Owner>,
    /// Dropped last, because it unloads the plugin's code.
    pub(super) symbols: Symbols,
}

// SAFETY: the API does not bind a state to the thread that created it (Falco opens and reads on another thread).
// `Plugin` is not `Sync`, so that calls cannot overlap; the owner's log function is `Send + Sync`.
unsafe impl Send for Plugin {}

/// The declarations of a plugin, available without initializing it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Name, version, event source and capabilities.
    pub info: Info,
    /// The fields, by id.
    pub fields: Vec<Field>,
    /// JSON schema of the init configuration, if the plugin has one.
    pub schema: Option<String>,
}

impl Description {
    /// Loads the library, reads its declarations and unloads it.
    ///
    /// # Errors
    /// As [`Plugin::load`], except for the configuration. Its note on trust applies here too.
    pub fn read(library: &Path) -> Result<Description> {
        let symbols = Symbols::load(library)?;
        Ok(Description {
            fields: read_fields(&symbols)?,
            schema: symbols.schema(),
            info: symbols.info,
        })
    }
}

impl Plugin {
    /// Loads the library and initializes the plugin with `config`, which may be empty. Discards the plugin's log.
    ///
    /// The library's code runs in this process: load only libraries that you trust as much as the program itself.
    ///
    /// # Errors
    /// The file cannot be loaded or is not a plugin, requires another API version, has a malformed list of fields,
    /// or rejects `config` (the message is the plugin's).
    pub fn load(library: &Path, config: &str) -> Result<Plugin> {
        Plugin::load_with_log(library, config, |_, _| {})
    }

    /// As [`Plugin::load`], but passes the plugin's log lines to `log`, from any thread.
    pub fn load_with_log(
        library: &Path,
        config: &str,
        log: impl Fn(Severity, &str) + Send + Sync + 'static,
    ) -> Result<Plugin> {
        let symbols = Symbols::load(library)?;
        let fields = read_fields(&symbols)?.into();
        let config = CString::new(config)
            .map_err(|_| Error::new(ErrorKind::Config, "the configuration contains a NUL"))?;
        let event_source = CString::new(symbols.info.event_source.as_str()).unwrap_or_default();
        let owner = Arc::new(Owner::new(log));
        let state = init(&symbols, &owner, &config)?;
        Ok(Plugin {
            state,
            fields,
            values_in_use: Cell::new(false),
            event_source,
            metrics_lock: Mutex::new(()),
            owner,
            symbols,
        })
    }

    /// JSON schema of a plugin's configuration, without initializing it; `None` if the plugin has none.
    ///
    /// # Errors
    /// The file cannot be loaded or is not a plugin.
    pub fn init_schema(library: &Path) -> Result<Option<String>> {
        Ok(Symbols::load(library)?.schema())
    }

    /// Name, version, event source and capabilities.
    pub fn info(&self) -> &Info {
        &self.symbols.info
    }

    /// The fields, by id; empty if the plugin extracts none.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The open parameters that the plugin suggests, a JSON array of `{"value", "desc"}`; `[]` if there are none.
    ///
    /// # Errors
    /// The plugin reports a failure.
    pub fn open_params(&self) -> Result<String> {
        let Some(list) = self.symbols.api.__bindgen_anon_1.list_open_params else {
            return Ok("[]".into());
        };
        let mut rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
        // SAFETY: the state is alive; the text is copied before another call can replace it.
        let json = unsafe { text(list(self.state, &mut rc)) };
        match (rc, json) {
            (api::ss_plugin_rc_SS_PLUGIN_SUCCESS, Some(json)) => Ok(json),
            (api::ss_plugin_rc_SS_PLUGIN_SUCCESS, None) => Ok("[]".into()),
            (rc, _) => Err(Error::new(ErrorKind::Plugin, self.last_error_or(rc))),
        }
    }

    /// The plugin's current metrics.
    pub fn metrics(&self) -> Vec<Metric> {
        self.metrics_reader().read()
    }

    /// A handle that reads the metrics from another thread, concurrently with all other calls.
    pub fn metrics_reader(&self) -> MetricsReader<'_> {
        MetricsReader {
            call: self.symbols.api.get_metrics,
            state: self.state,
            lock: &self.metrics_lock,
        }
    }

    /// Parses a field as written in a rule: `name`, `name[0]` or `name[key]`.
    ///
    /// # Errors
    /// The plugin has no such field (the message suggests the nearest one), or the argument is missing, not
    /// allowed or not a number.
    pub fn request(&self, spec: &str) -> Result<Request> {
        Request::parse(&self.fields, spec)
    }

    /// The plugin's one-line text for an event; `None` if it provides none.
    pub fn event_to_string(&self, event: Event<'_>) -> Option<String> {
        let mut text = Vec::new();
        self.append_event_text(event, &mut text)
            .then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// Appends the plugin's one-line text for an event to `out`. Returns `false` if the plugin provides none.
    pub fn append_event_text(&self, event: Event<'_>, out: &mut Vec<u8>) -> bool {
        let Some(event_to_string) = self.symbols.api.__bindgen_anon_1.event_to_string else {
            return false;
        };
        let input = self.event_input(event);
        // SAFETY: state and event are alive; the text is copied before another call can replace it.
        unsafe {
            let at = event_to_string(self.state, &input);
            if at.is_null() {
                return false;
            }
            out.extend_from_slice(CStr::from_ptr(at).to_bytes());
        }
        true
    }

    /// The plugin's message for its last failure; empty if it has none.
    pub fn last_error(&self) -> String {
        last_error(&self.symbols, self.state)
    }

    /// The plugin's message for its last failure, or the code `rc` if it has none.
    pub(super) fn last_error_or(&self, rc: api::ss_plugin_rc) -> String {
        or_code(self.last_error(), rc)
    }

    /// The event as an argument of a call. Its pointers are valid while the event and the plugin are.
    pub(super) fn event_input(&self, event: Event<'_>) -> api::ss_plugin_event_input {
        api::ss_plugin_event_input {
            evt: event.as_bytes().as_ptr().cast(),
            evtnum: event.number(),
            evtsrc: self.event_source.as_ptr(),
        }
    }

    pub(super) fn owner(&self) -> *mut api::ss_plugin_owner_t {
        Arc::as_ptr(&self.owner).cast_mut().cast()
    }

    /// `instance` must come from this plugin's `open` and must not be used afterwards.
    pub(super) fn close(&self, instance: *mut api::ss_instance_t) {
        if let Some(close) = self.symbols.api.__bindgen_anon_1.close {
            // SAFETY: the state is alive. Both callers (a failed `open`, the drop of a `Capture`) own the instance and
            // do not use it afterwards.
            unsafe { close(self.state, instance) };
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Some(destroy) = self.symbols.api.destroy {
            // SAFETY: the state came from `init`. Every `Capture` borrows `self`, so that all are closed. This is the
            // last call.
            unsafe { destroy(self.state) };
        }
    }
}

fn init(symbols: &Symbols, owner: &Arc<Owner>, config: &CStr) -> Result<*mut api::ss_plugin_t> {
    let Some(init) = symbols.api.init else {
        return Err(symbols.lacks("cannot be initialized"));
    };
    let tables = tables::init_input();
    let input = api::ss_plugin_init_input {
        config: config.as_ptr(),
        owner: Arc::as_ptr(owner).cast_mut().cast(),
        get_owner_last_error: Some(tables::last_error),
        tables: if symbols.info.has_extraction {
            &tables
        } else {
            null()
        },
        log_fn: Some(owner::log),
    };
    let mut rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
    // SAFETY: everything that `input` points to outlives the call, and the owner also outlives `destroy`.
    let state = unsafe { init(&input, &mut rc) };
    if rc == api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
        return Ok(state);
    }
    // A failed `init` may return a state that is only good for `get_last_error` and `destroy`.
    let mut message = String::new();
    if !state.is_null() {
        message = last_error(symbols, state);
        if let Some(destroy) = symbols.api.destroy {
            // SAFETY: the state came from `init` and is not used afterwards.
            unsafe { destroy(state) };
        }
    }
    Err(Error::new(ErrorKind::Config, or_code(message, rc)))
}

/// `state` must be alive.
fn last_error(symbols: &Symbols, state: *mut api::ss_plugin_t) -> String {
    symbols
        .api
        .get_last_error
        // SAFETY: the callers pass a live state; the text is copied before another call can replace it.
        .and_then(|call| unsafe { text(call(state)) })
        .unwrap_or_default()
}

fn or_code(message: String, rc: api::ss_plugin_rc) -> String {
    if message.is_empty() {
        format!("the plugin failed with code {rc} and without an error message")
    } else {
        message
    }
}

fn read_fields(symbols: &Symbols) -> Result<Vec<Field>> {
    if !symbols.info.has_extraction {
        return Ok(Vec::new());
    }
    fields::parse(&symbols.fields().unwrap_or_default())
        .map_err(|reason| broken(format!("{}: {reason}", symbols.path.display())))
}
