//! A plugin from `init` to `destroy`.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::null;
use std::sync::{Arc, Mutex};

use falco_plugin_api as api;

use super::capture::Capture;
use super::event::Event;
use super::fields::{self, Field};
use super::metrics::{Metric, MetricsReader};
use super::owner::{self, Owner, Severity};
use super::request::Request;
use super::symbols::{Info, Symbols, text};
use super::{broken, tables};
use crate::error::{Error, ErrorKind, Result};

/// An initialised plugin; dropping it destroys the plugin's state and then unloads the library.
///
/// It can move to another thread but be used from one at a time, as the real host does; only metrics can be read
/// from elsewhere meanwhile, through [`Plugin::metrics_reader`].
pub struct Plugin {
    pub(super) state: *mut api::ss_plugin_t,
    pub(super) fields: Arc<[Field]>,
    /// Set while the results of an extraction are being read: another call would overwrite them.
    pub(super) values_in_use: Cell<bool>,
    event_source: CString,
    metrics_turn: Mutex<()>,
    /// The plugin may log until `destroy` has returned. Shared ownership keeps it at its address.
    owner: Arc<Owner>,
    /// Last: the code of everything above.
    pub(super) symbols: Symbols,
}

// SAFETY: the API does not bind a state to the thread that made it (Falco opens and reads on another one), and
// `Plugin` is not `Sync`, so calls cannot overlap; the owner's log function is `Send + Sync`.
unsafe impl Send for Plugin {}

/// What a plugin says before it is initialised.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Who it is.
    pub info: Info,
    /// The fields that it extracts, by id.
    pub fields: Vec<Field>,
    /// The JSON schema of its init configuration, as text.
    pub schema: Option<String>,
}

impl Description {
    /// Loads the library, asks, and unloads it. See [`Plugin::load`] for errors and for whom to trust.
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
    /// Loads the library and initialises the plugin with `config`, which may be empty. What the plugin logs is dropped.
    ///
    /// The library's code runs in this process: load only what you trust as much as the program itself.
    ///
    /// Errors: the file cannot be loaded, it is no plugin, it asks for another API version, its list of fields is
    /// malformed, or it refuses `config`, in its own words.
    pub fn load(library: &Path, config: &str) -> Result<Plugin> {
        Plugin::load_with_log(library, config, |_, _| {})
    }

    /// As [`Plugin::load`], with a function that receives what the plugin logs, from any thread.
    pub fn load_with_log(
        library: &Path,
        config: &str,
        log: impl Fn(Severity, &str) + Send + Sync + 'static,
    ) -> Result<Plugin> {
        let symbols = Symbols::load(library)?;
        let fields = read_fields(&symbols)?.into();
        let config = CString::new(config)
            .map_err(|_| Error::new(ErrorKind::Config, "the configuration holds a NUL"))?;
        let event_source = CString::new(symbols.info.event_source.as_str()).unwrap_or_default();
        let owner = Arc::new(Owner::new(log));
        let state = init(&symbols, &owner, &config)?;
        Ok(Plugin {
            state,
            fields,
            values_in_use: Cell::new(false),
            event_source,
            metrics_turn: Mutex::new(()),
            owner,
            symbols,
        })
    }

    /// The JSON schema of a plugin's configuration, without initialising it; `None` if it has none.
    pub fn init_schema(library: &Path) -> Result<Option<String>> {
        Ok(Symbols::load(library)?.schema())
    }

    /// Who the plugin is.
    pub fn info(&self) -> &Info {
        &self.symbols.info
    }

    /// The fields that it extracts, by id; empty if it extracts none.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The open parameters that the plugin suggests, a JSON array of `{"value", "desc"}`; `[]` if it suggests none.
    pub fn open_params(&self) -> Result<String> {
        let Some(list) = self.symbols.api.__bindgen_anon_1.list_open_params else {
            return Ok("[]".into());
        };
        let mut rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
        // SAFETY: the state is alive; the text is copied before any other call can replace it.
        let json = unsafe { text(list(self.state, &mut rc)) };
        match (rc, json) {
            (api::ss_plugin_rc_SS_PLUGIN_SUCCESS, Some(json)) => Ok(json),
            (api::ss_plugin_rc_SS_PLUGIN_SUCCESS, None) => Ok("[]".into()),
            (rc, _) => Err(Error::new(ErrorKind::Plugin, self.last_error_or(rc))),
        }
    }

    /// The plugin's metrics now.
    pub fn metrics(&self) -> Vec<Metric> {
        self.metrics_reader().read()
    }

    /// A handle that reads the metrics from another thread while this one works.
    pub fn metrics_reader(&self) -> MetricsReader<'_> {
        MetricsReader {
            call: self.symbols.api.get_metrics,
            state: self.state,
            turn: &self.metrics_turn,
        }
    }

    /// Opens the event source with the given parameters. Errors are the plugin's own words.
    pub fn open(&self, params: &str) -> Result<Capture<'_>> {
        let Some(open) = self.symbols.api.__bindgen_anon_1.open else {
            return Err(self.symbols.lacks("has no event source to open"));
        };
        let params = CString::new(params)
            .map_err(|_| Error::new(ErrorKind::OpenParams, "the open parameters hold a NUL"))?;
        let mut rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
        // SAFETY: the state is alive, and `params` and `rc` live through the call.
        let instance = unsafe { open(self.state, params.as_ptr(), &mut rc) };
        if rc != api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
            let error = Error::new(ErrorKind::OpenParams, self.last_error_or(rc));
            if !instance.is_null() {
                self.close(instance);
            }
            return Err(error);
        }
        Ok(Capture::new(self, instance))
    }

    /// Understands a field as written in a rule: `ct.name`, `ec2.imageids[0]`, `ct.value[/a/b]`.
    ///
    /// Errors: a field that the plugin does not have (the nearest is named), an argument that is missing, unwanted or
    /// no number where one is due.
    pub fn request(&self, spec: &str) -> Result<Request> {
        Request::parse(&self.fields, spec)
    }

    /// The plugin's text for an event; `None` if it gives none.
    pub fn event_to_string(&self, event: Event<'_>) -> Option<String> {
        let mut text = Vec::new();
        self.append_event_text(event, &mut text)
            .then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// Appends the plugin's text for an event to `out`; `false` if it gives none.
    pub fn append_event_text(&self, event: Event<'_>, out: &mut Vec<u8>) -> bool {
        let Some(event_to_string) = self.symbols.api.__bindgen_anon_1.event_to_string else {
            return false;
        };
        let input = self.event_input(event);
        // SAFETY: state and event are alive; the text stays until the next call and is copied before that.
        unsafe {
            let at = event_to_string(self.state, &input);
            if at.is_null() {
                return false;
            }
            out.extend_from_slice(CStr::from_ptr(at).to_bytes());
        }
        true
    }

    /// The plugin's words for what failed last; empty if it has none.
    pub fn last_error(&self) -> String {
        last_error(&self.symbols, self.state)
    }

    /// The plugin's words for a failure, or the bare code if it has none.
    pub(super) fn last_error_or(&self, rc: api::ss_plugin_rc) -> String {
        or_code(self.last_error(), rc)
    }

    /// The form of an event in a call; valid as long as the event and the plugin are.
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

    /// `instance` came from `open` of this plugin and is not used again.
    pub(super) fn close(&self, instance: *mut api::ss_instance_t) {
        if let Some(close) = self.symbols.api.__bindgen_anon_1.close {
            // SAFETY: the state is alive, and the callers (a failed open, the end of a Capture) own the instance.
            unsafe { close(self.state, instance) };
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Some(destroy) = self.symbols.api.destroy {
            // SAFETY: the state came from `init`, every Capture borrows from `self` and is closed, and this is the last call.
            unsafe { destroy(self.state) };
        }
    }
}

fn init(symbols: &Symbols, owner: &Arc<Owner>, config: &CStr) -> Result<*mut api::ss_plugin_t> {
    let Some(init) = symbols.api.init else {
        return Err(symbols.lacks("cannot be initialised"));
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
    // SAFETY: everything behind `input` lives through the call, and the owner until after `destroy`.
    let state = unsafe { init(&input, &mut rc) };
    if rc == api::ss_plugin_rc_SS_PLUGIN_SUCCESS {
        return Ok(state);
    }
    // A failed init may return a state whose only use is to tell why.
    let mut why = String::new();
    if !state.is_null() {
        why = last_error(symbols, state);
        if let Some(destroy) = symbols.api.destroy {
            // SAFETY: the state came from `init` and is not used again.
            unsafe { destroy(state) };
        }
    }
    Err(Error::new(ErrorKind::Config, or_code(why, rc)))
}

/// `state` is alive.
fn last_error(symbols: &Symbols, state: *mut api::ss_plugin_t) -> String {
    symbols
        .api
        .get_last_error
        // SAFETY: the callers hold a live state; the text is copied before any other call can replace it.
        .and_then(|call| unsafe { text(call(state)) })
        .unwrap_or_default()
}

fn or_code(words: String, rc: api::ss_plugin_rc) -> String {
    if words.is_empty() {
        format!("the plugin failed with code {rc} and gives no reason")
    } else {
        words
    }
}

fn read_fields(symbols: &Symbols) -> Result<Vec<Field>> {
    if !symbols.info.has_extraction {
        return Ok(Vec::new());
    }
    fields::parse(&symbols.fields().unwrap_or_default())
        .map_err(|why| broken(format!("{}: {why}", symbols.path.display())))
}
