//! The functions that a library exports. Checks that the required ones exist and that the API version matches.

use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};

use falco_plugin_api as api;
use libloading::Library;

use super::broken;
use crate::error::Result;

/// Identity and capabilities of a plugin, available without initializing it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Name, as used in rules and `falco.yaml`.
    pub name: String,
    /// The plugin's version, `major.minor.patch`.
    pub version: String,
    /// One-line description.
    pub description: String,
    /// The authors' contact address.
    pub contact: String,
    /// Registered id of the plugin's events; 0 for a plugin without an event source of its own.
    pub id: u32,
    /// Event source; empty if `id` is 0.
    pub event_source: String,
    /// Plugin API version that the plugin requires, `major.minor.patch`.
    pub required_api_version: String,
    /// Whether the plugin can be opened and produces events.
    pub has_source: bool,
    /// Whether the plugin extracts fields.
    pub has_extraction: bool,
}

/// A loaded library that has passed the checks. Its function pointers are valid until it is dropped.
pub(super) struct Symbols {
    pub(super) api: api::plugin_api,
    pub(super) info: Info,
    pub(super) path: PathBuf,
    /// Dropped last, because it unloads the code that `api` points to.
    _library: Library,
}

impl Symbols {
    pub(super) fn load(path: &Path) -> Result<Symbols> {
        // The loader would search a name without a slash in the system's library directories.
        let absolute = path.canonicalize().map_err(|e| {
            broken(format!(
                "cannot load plugin library {}: {e}",
                path.display()
            ))
        })?;
        // SAFETY: loading runs the library's initializers. `Plugin::load` documents that the caller must trust it.
        let library = unsafe { Library::new(&absolute) }.map_err(|e| {
            broken(format!(
                "cannot load plugin library {}: {}",
                path.display(),
                loader_message(&e)
            ))
        })?;
        // SAFETY: the caller trusts the library to be a plugin, whose exports have the API's types.
        let api = unsafe { resolve(&library) };
        let shown = path.display();
        check_required(&api).map_err(|name| {
            broken(format!(
                "{shown} is not a Falco plugin: it does not export `{name}`"
            ))
        })?;
        let info = info(&api).map_err(|reason| broken(format!("{shown}: {reason}")))?;
        Ok(Symbols {
            api,
            info,
            path: path.to_owned(),
            _library: library,
        })
    }

    /// Error for a function that the plugin lacks.
    pub(super) fn lacks(&self, consequence: &str) -> crate::error::Error {
        broken(format!(
            "plugin {} ({}) {consequence}",
            self.info.name,
            self.path.display()
        ))
    }

    /// The schema of the init configuration, unparsed.
    pub(super) fn schema(&self) -> Option<String> {
        let mut schema_type = api::ss_plugin_schema_type_SS_PLUGIN_SCHEMA_NONE;
        // SAFETY: the API allows this call before `init`; `schema_type` outlives it, and the text is copied at once.
        unsafe { text(self.api.get_init_schema?(&mut schema_type)) }
    }

    /// The JSON list of fields, unparsed.
    pub(super) fn fields(&self) -> Option<String> {
        // SAFETY: the API allows this call before `init`; the text is copied at once.
        unsafe { text(self.api.__bindgen_anon_2.get_fields?()) }
    }
}

/// Copies a C string and replaces invalid UTF-8; `None` for NULL.
///
/// # Safety
/// `string` must be NULL, or NUL-terminated and unchanged during the call.
pub(super) unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: not NULL as checked above; NUL-terminated and unchanged by this function's contract.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}

/// The dynamic loader's message, without the name of the call that failed.
fn loader_message(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |e| e.to_string())
}

/// Looks up the exported functions; absent ones are `None`.
///
/// # Safety
/// The library's exports with the API's names must have the API's types.
unsafe fn resolve(library: &Library) -> api::plugin_api {
    // The struct's field determines the type of each symbol.
    macro_rules! symbol {
        ($name:literal) => {
            // SAFETY: by this function's contract. A NULL symbol becomes `None`.
            unsafe { library.get(concat!("plugin_", $name)) }
                .ok()
                .and_then(|s| *s)
        };
    }
    api::plugin_api {
        get_required_api_version: symbol!("get_required_api_version"),
        get_init_schema: symbol!("get_init_schema"),
        init: symbol!("init"),
        destroy: symbol!("destroy"),
        get_last_error: symbol!("get_last_error"),
        get_name: symbol!("get_name"),
        get_description: symbol!("get_description"),
        get_contact: symbol!("get_contact"),
        get_version: symbol!("get_version"),
        __bindgen_anon_1: api::plugin_api__bindgen_ty_1 {
            get_id: symbol!("get_id"),
            get_event_source: symbol!("get_event_source"),
            open: symbol!("open"),
            close: symbol!("close"),
            list_open_params: symbol!("list_open_params"),
            get_progress: symbol!("get_progress"),
            event_to_string: symbol!("event_to_string"),
            next_batch: symbol!("next_batch"),
        },
        __bindgen_anon_2: api::plugin_api__bindgen_ty_2 {
            get_extract_event_types: symbol!("get_extract_event_types"),
            get_extract_event_sources: symbol!("get_extract_event_sources"),
            get_fields: symbol!("get_fields"),
            extract_fields: symbol!("extract_fields"),
        },
        // This host supports no other capabilities.
        __bindgen_anon_3: api::plugin_api__bindgen_ty_3 {
            get_parse_event_types: None,
            get_parse_event_sources: None,
            parse_event: None,
        },
        __bindgen_anon_4: api::plugin_api__bindgen_ty_4 {
            get_async_event_sources: None,
            get_async_events: None,
            set_async_event_handler: None,
            dump_state: None,
        },
        set_config: None,
        get_metrics: symbol!("get_metrics"),
        __bindgen_anon_5: api::plugin_api__bindgen_ty_5 {
            capture_open: None,
            capture_close: None,
        },
    }
}

/// Checks for the functions that every plugin must export. The error is the first missing name.
fn check_required(api: &api::plugin_api) -> std::result::Result<(), &'static str> {
    let required = [
        (
            "plugin_get_required_api_version",
            api.get_required_api_version.is_some(),
        ),
        ("plugin_get_version", api.get_version.is_some()),
        ("plugin_get_name", api.get_name.is_some()),
        ("plugin_get_description", api.get_description.is_some()),
        ("plugin_get_contact", api.get_contact.is_some()),
        ("plugin_get_last_error", api.get_last_error.is_some()),
        ("plugin_init", api.init.is_some()),
        ("plugin_destroy", api.destroy.is_some()),
    ];
    match required.iter().find(|(_, exported)| !exported) {
        Some((name, _)) => Err(name),
        None => Ok(()),
    }
}

/// Reads and checks a plugin's identity and capabilities. The error is the reason, starting with "it" or "the".
fn info(api: &api::plugin_api) -> std::result::Result<Info, String> {
    type TextFn = Option<unsafe extern "C-unwind" fn() -> *const c_char>;
    let text_of = |function: TextFn| {
        // SAFETY: these functions take no arguments and may be called at any time; the text is copied at once.
        function
            .and_then(|call| unsafe { text(call()) })
            .unwrap_or_default()
    };
    let required_api_version = text_of(api.get_required_api_version);
    check_api_version(&required_api_version)?;

    let source = &api.__bindgen_anon_1;
    let (has_source, partial_source) = all_or_some(&[
        source.open.is_some(),
        source.close.is_some(),
        source.next_batch.is_some(),
    ]);
    if partial_source {
        return Err("it exports only some of `plugin_open`, `plugin_close` and `plugin_next_batch`; an event source needs all three".into());
    }
    let extraction = &api.__bindgen_anon_2;
    let (has_extraction, partial_extraction) = all_or_some(&[
        extraction.get_fields.is_some(),
        extraction.extract_fields.is_some(),
    ]);
    if partial_extraction {
        return Err("it exports only one of `plugin_get_fields` and `plugin_extract_fields`; field extraction needs both".into());
    }
    if !has_source && !has_extraction {
        return Err("it has neither an event source nor field extraction".into());
    }

    // SAFETY: the function takes no arguments and may be called at any time.
    let id = source.get_id.map_or(0, |call| unsafe { call() });
    let event_source = text_of(source.get_event_source);
    if has_source && (id == 0) != event_source.is_empty() {
        return Err(format!(
            "its id is {id} and its event source is {event_source:?}; a plugin has both or neither"
        ));
    }
    let info = Info {
        name: text_of(api.get_name),
        version: text_of(api.get_version),
        description: text_of(api.get_description),
        contact: text_of(api.get_contact),
        id,
        event_source,
        required_api_version,
        has_source,
        has_extraction,
    };
    if info.name.is_empty() {
        return Err("it has no name".into());
    }
    if version_numbers(&info.version).is_none() {
        return Err(format!(
            "its version {:?} is not of the form major.minor.patch",
            info.version
        ));
    }
    Ok(info)
}

/// Whether all are true, and whether only some are.
fn all_or_some(exported: &[bool]) -> (bool, bool) {
    let all = exported.iter().all(|it| *it);
    (all, !all && exported.iter().any(|it| *it))
}

fn check_api_version(required: &str) -> std::result::Result<(), String> {
    let (major, minor, patch) = (
        api::PLUGIN_API_VERSION_MAJOR,
        api::PLUGIN_API_VERSION_MINOR,
        api::PLUGIN_API_VERSION_PATCH,
    );
    match version_numbers(required) {
        None => Err(format!(
            "its required plugin API version {required:?} is not of the form major.minor.patch"
        )),
        Some([m, n, p]) if m == major && (n, p) <= (minor, patch) => Ok(()),
        Some(_) => Err(format!(
            "it requires plugin API {required}; this host supports {major}.0.0 to {major}.{minor}.{patch}"
        )),
    }
}

fn version_numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(str::parse);
    let numbers = [
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    ];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_major_api_version_up_to_the_host_s_is_accepted() {
        for accepted in ["3.11.0", "3.0.0", "3.10.7"] {
            assert_eq!(check_api_version(accepted), Ok(()), "{accepted}");
        }
        for rejected in ["3.11.1", "3.12.0", "2.11.0", "4.0.0", "3.11", "", "3.x.0"] {
            assert!(check_api_version(rejected).is_err(), "{rejected}");
        }
    }
}
