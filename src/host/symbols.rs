//! The library's exported functions: which must be there, and whether the API version fits.

use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};

use falco_plugin_api as api;
use libloading::Library;

use super::broken;
use crate::error::Result;

/// What a plugin says about itself without being initialised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The name that rules and `falco.yaml` use.
    pub name: String,
    /// The plugin's own version, `major.minor.patch`.
    pub version: String,
    /// One line on what it does.
    pub description: String,
    /// Where to reach its authors.
    pub contact: String,
    /// The registered id of its events; 0 for a plugin that has no event source of its own.
    pub id: u32,
    /// The event source; empty where `id` is 0.
    pub event_source: String,
    /// The plugin API that it asks for, `major.minor.patch`.
    pub required_api_version: String,
    /// It can be opened and gives events.
    pub has_source: bool,
    /// It extracts fields.
    pub has_extraction: bool,
}

/// A loaded library that passed the checks. The function pointers must not be called after it is dropped.
pub(super) struct Symbols {
    pub(super) api: api::plugin_api,
    pub(super) info: Info,
    pub(super) path: PathBuf,
    /// Last, so that nothing above outlives the code it points to.
    _library: Library,
}

impl Symbols {
    pub(super) fn load(path: &Path) -> Result<Symbols> {
        // A name without a slash would be searched for in the system's library folders.
        let full = path.canonicalize().map_err(|e| {
            broken(format!(
                "cannot load plugin library {}: {e}",
                path.display()
            ))
        })?;
        // SAFETY: loading runs the library's initialisers. That the file is a plugin and not something hostile
        // is for the person to know who names it; this is stated at `Plugin::load`.
        let library = unsafe { Library::new(&full) }.map_err(|e| {
            broken(format!(
                "cannot load plugin library {}: {}",
                path.display(),
                source_text(&e)
            ))
        })?;
        // SAFETY: a library that exports the API's names gives them the API's types; a plugin is defined by that.
        let api = unsafe { resolve(&library) };
        let here = path.display();
        check_required(&api).map_err(|name| {
            broken(format!(
                "{here} is not a Falco plugin: it does not export `{name}`"
            ))
        })?;
        let info = info(&api).map_err(|why| broken(format!("{here}: {why}")))?;
        Ok(Symbols {
            api,
            info,
            path: path.to_owned(),
            _library: library,
        })
    }

    /// The error for a function that this plugin does not have.
    pub(super) fn lacks(&self, what: &str) -> crate::error::Error {
        broken(format!(
            "plugin {} ({}) {what}",
            self.info.name,
            self.path.display()
        ))
    }

    /// The config schema as the plugin gives it.
    pub(super) fn schema(&self) -> Option<String> {
        let mut kind = api::ss_plugin_schema_type_SS_PLUGIN_SCHEMA_NONE;
        // SAFETY: the API allows this call before `init`; `kind` lives through it, and the text is copied at once.
        unsafe { text(self.api.get_init_schema?(&mut kind)) }
    }

    /// The JSON list of fields as the plugin gives it.
    pub(super) fn fields(&self) -> Option<String> {
        // SAFETY: the API allows this call before `init`; the text is copied at once.
        unsafe { text(self.api.__bindgen_anon_2.get_fields?()) }
    }
}

/// A copy of a C string, invalid UTF-8 replaced; `None` for NULL.
///
/// # Safety
/// `at` must be NULL or point to a NUL-terminated string that nobody changes during the call.
pub(super) unsafe fn text(at: *const c_char) -> Option<String> {
    if at.is_null() {
        return None;
    }
    // SAFETY: not NULL as checked above, the rest is this function's contract.
    let at = unsafe { CStr::from_ptr(at) };
    Some(at.to_string_lossy().into_owned())
}

/// The loader's own words, without the name of the call that failed.
fn source_text(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |e| e.to_string())
}

/// # Safety
/// What the library exports under the API's names must have the API's types.
unsafe fn resolve(library: &Library) -> api::plugin_api {
    // The type of each symbol is that of the struct's field, so it cannot be mistaken here.
    macro_rules! symbol {
        ($name:literal) => {
            // SAFETY: this function's contract; a symbol of value NULL becomes `None`.
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
        // The other capabilities are not driven by this host.
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

/// The name of the first function that is missing of those that every plugin must have.
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
    match required.iter().find(|(_, there)| !there) {
        Some((name, _)) => Err(name),
        None => Ok(()),
    }
}

/// Asks a plugin who it is; the error says which rule of the API its answer breaks.
fn info(api: &api::plugin_api) -> std::result::Result<Info, String> {
    type Text = Option<unsafe extern "C-unwind" fn() -> *const c_char>;
    let ask = |function: Text| {
        // SAFETY: these functions take nothing and may be called at any time; the text is copied at once.
        function
            .and_then(|call| unsafe { text(call()) })
            .unwrap_or_default()
    };
    let required_api_version = ask(api.get_required_api_version);
    check_api_version(&required_api_version)?;

    let source = &api.__bindgen_anon_1;
    let (has_source, half_source) = all_or_some(&[
        source.open.is_some(),
        source.close.is_some(),
        source.next_batch.is_some(),
    ]);
    if half_source {
        return Err("of `plugin_open`, `plugin_close` and `plugin_next_batch` it exports some only; an event source needs all three".into());
    }
    let extraction = &api.__bindgen_anon_2;
    let (has_extraction, half_extraction) = all_or_some(&[
        extraction.get_fields.is_some(),
        extraction.extract_fields.is_some(),
    ]);
    if half_extraction {
        return Err("of `plugin_get_fields` and `plugin_extract_fields` it exports one only; extraction needs both".into());
    }
    if !has_source && !has_extraction {
        return Err("it has neither an event source nor field extraction".into());
    }

    // SAFETY: takes nothing and may be called at any time.
    let id = source.get_id.map_or(0, |call| unsafe { call() });
    let event_source = ask(source.get_event_source);
    if has_source && (id == 0) != event_source.is_empty() {
        return Err(format!(
            "its id is {id} and its event source is {event_source:?}; an id needs a source and a source an id"
        ));
    }
    let info = Info {
        name: ask(api.get_name),
        version: ask(api.get_version),
        description: ask(api.get_description),
        contact: ask(api.get_contact),
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

/// Whether all are there, and whether only a part is.
fn all_or_some(there: &[bool]) -> (bool, bool) {
    let all = there.iter().all(|t| *t);
    (all, !all && there.iter().any(|t| *t))
}

fn check_api_version(asked: &str) -> std::result::Result<(), String> {
    let (major, minor, patch) = (
        api::PLUGIN_API_VERSION_MAJOR,
        api::PLUGIN_API_VERSION_MINOR,
        api::PLUGIN_API_VERSION_PATCH,
    );
    match version_numbers(asked) {
        None => Err(format!(
            "the plugin API version that it asks for, {asked:?}, is not of the form major.minor.patch"
        )),
        Some([m, n, p]) if m == major && (n, p) <= (minor, patch) => Ok(()),
        Some(_) => Err(format!(
            "it asks for plugin API {asked}; this host has {major}.{minor}.{patch} and runs {major}.x.y up to that"
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
    fn api_versions_up_to_ours_are_accepted() {
        for accepted in ["3.11.0", "3.0.0", "3.10.7"] {
            assert_eq!(check_api_version(accepted), Ok(()), "{accepted}");
        }
        for refused in ["3.11.1", "3.12.0", "2.11.0", "4.0.0", "3.11", "", "3.x.0"] {
            assert!(check_api_version(refused).is_err(), "{refused}");
        }
    }
}
