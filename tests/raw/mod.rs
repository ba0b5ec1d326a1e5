//! Direct calls of the plugin's functions, for cases that a well-behaved host does not produce.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::{null, null_mut};

use falco_plugin_api as api;
use libloading::Library;

/// A loaded library and an initialized plugin.
pub struct Raw {
    pub state: *mut api::ss_plugin_t,
    init: unsafe extern "C-unwind" fn(
        *const api::ss_plugin_init_input,
        *mut api::ss_plugin_rc,
    ) -> *mut api::ss_plugin_t,
    destroy: unsafe extern "C-unwind" fn(*mut api::ss_plugin_t),
    open: unsafe extern "C-unwind" fn(
        *mut api::ss_plugin_t,
        *const c_char,
        *mut api::ss_plugin_rc,
    ) -> *mut api::ss_instance_t,
    close: unsafe extern "C-unwind" fn(*mut api::ss_plugin_t, *mut api::ss_instance_t),
    next_batch: unsafe extern "C-unwind" fn(
        *mut api::ss_plugin_t,
        *mut api::ss_instance_t,
        *mut u32,
        *mut *mut *mut api::ss_plugin_event,
    ) -> api::ss_plugin_rc,
    last_error: unsafe extern "C-unwind" fn(*mut api::ss_plugin_t) -> *const c_char,
    progress: unsafe extern "C-unwind" fn(
        *mut api::ss_plugin_t,
        *mut api::ss_instance_t,
        *mut u32,
    ) -> *const c_char,
    to_string: unsafe extern "C-unwind" fn(
        *mut api::ss_plugin_t,
        *const api::ss_plugin_event_input,
    ) -> *const c_char,
    extract: unsafe extern "C-unwind" fn(
        *mut api::ss_plugin_t,
        *const api::ss_plugin_event_input,
        *const api::ss_plugin_field_extract_input,
    ) -> api::ss_plugin_rc,
    metrics:
        unsafe extern "C-unwind" fn(*mut api::ss_plugin_t, *mut u32) -> *mut api::ss_plugin_metric,
    fields: unsafe extern "C-unwind" fn() -> *const c_char,
    params:
        unsafe extern "C-unwind" fn(*mut api::ss_plugin_t, *mut api::ss_plugin_rc) -> *const c_char,
    /// The last field, so that the code above outlives its users.
    library: Option<Library>,
}

pub const SUCCESS: api::ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_SUCCESS;
pub const TIMEOUT: api::ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_TIMEOUT;

/// A field to extract: its number, and a key if it takes one.
pub type RawField<'a> = (u32, Option<&'a CStr>);

// SAFETY (of every call below): state and instances are alive, pointers outlive the calls, and the types are the API's.
impl Raw {
    pub fn load(library: &Path, config: &CStr) -> Raw {
        // SAFETY: the library is the one under test, and exports the API's functions.
        let mut raw = unsafe {
            let library = Library::new(library).expect("it loads");
            macro_rules! symbol {
                ($name:literal) => {
                    *library.get($name).expect($name)
                };
            }
            Raw {
                state: null_mut(),
                init: symbol!("plugin_init"),
                destroy: symbol!("plugin_destroy"),
                open: symbol!("plugin_open"),
                close: symbol!("plugin_close"),
                next_batch: symbol!("plugin_next_batch"),
                last_error: symbol!("plugin_get_last_error"),
                progress: symbol!("plugin_get_progress"),
                to_string: symbol!("plugin_event_to_string"),
                extract: symbol!("plugin_extract_fields"),
                metrics: symbol!("plugin_get_metrics"),
                fields: symbol!("plugin_get_fields"),
                params: symbol!("plugin_list_open_params"),
                library: Some(library),
            }
        };
        let input = api::ss_plugin_init_input {
            config: config.as_ptr(),
            owner: null_mut(),
            get_owner_last_error: None,
            tables: null(),
            log_fn: None,
        };
        let mut rc = SUCCESS;
        // SAFETY: see above.
        raw.state = unsafe { (raw.init)(&input, &mut rc) };
        assert_eq!(rc, SUCCESS, "{}", text(raw.last_error()));
        raw
    }

    /// Destroys the plugin and leaves the library loaded.
    pub fn into_library(mut self) -> Library {
        self.library.take().expect("only this takes it")
    }

    /// An instance, or NULL.
    pub fn open(&self, params: &str) -> *mut api::ss_instance_t {
        let params = CString::new(params).expect("no NUL");
        let mut rc = SUCCESS;
        // SAFETY: see above.
        let opened = unsafe { (self.open)(self.state, params.as_ptr(), &mut rc) };
        assert_eq!(rc == SUCCESS, !opened.is_null());
        opened
    }

    pub fn close(&self, opened: *mut api::ss_instance_t) {
        // SAFETY: see above; the tests close each instance once.
        unsafe { (self.close)(self.state, opened) };
    }

    /// Closes with a NULL state.
    pub fn close_without_state(&self, opened: *mut api::ss_instance_t) {
        // SAFETY: as for `close`; the state may be NULL.
        unsafe { (self.close)(null_mut(), opened) };
    }

    /// The events of one call; none at the end.
    pub fn next_batch(&self, opened: *mut api::ss_instance_t) -> Vec<*mut api::ss_plugin_event> {
        loop {
            let (mut count, mut events) = (0, null_mut());
            // SAFETY: see above.
            let rc = unsafe { (self.next_batch)(self.state, opened, &mut count, &mut events) };
            if rc == TIMEOUT {
                continue;
            }
            // SAFETY: the plugin returns an array of `count` pointers.
            return (0..count as usize)
                .map(|place| unsafe { *events.add(place) })
                .collect();
        }
    }

    pub fn last_error(&self) -> *const c_char {
        // SAFETY: see above.
        unsafe { (self.last_error)(self.state) }
    }

    pub fn progress(&self, opened: *mut api::ss_instance_t) -> *const c_char {
        let mut parts = 0;
        // SAFETY: see above.
        unsafe { (self.progress)(self.state, opened, &mut parts) }
    }

    pub fn event_to_string(&self, event: *const api::ss_plugin_event) -> *const c_char {
        // SAFETY: see above.
        unsafe { (self.to_string)(self.state, &input(event)) }
    }

    /// Each field's text, or NULL.
    pub fn extract(
        &self,
        event: *const api::ss_plugin_event,
        requests: &[RawField<'_>],
    ) -> Vec<*const c_char> {
        let mut fields: Vec<_> = requests
            .iter()
            .map(|&(field, key)| {
                // SAFETY: all-zero bytes are valid for every member.
                let mut request: api::ss_plugin_extract_field = unsafe { std::mem::zeroed() };
                request.field_id = field;
                request.arg_key = key.map_or(null(), CStr::as_ptr);
                request.arg_present = u32::from(key.is_some());
                request
            })
            .collect();
        let requests = api::ss_plugin_field_extract_input {
            owner: null_mut(),
            get_owner_last_error: None,
            num_fields: fields.len() as u32,
            fields: fields.as_mut_ptr(),
            table_reader: api::ss_plugin_table_reader_vtable {
                get_table_name: None,
                get_table_size: None,
                get_table_entry: None,
                read_entry_field: None,
            },
            table_reader_ext: null_mut(),
            value_offsets: null_mut(),
        };
        // SAFETY: see above.
        let rc = unsafe { (self.extract)(self.state, &input(event), &requests) };
        assert_eq!(rc, SUCCESS);
        let texts = fields.iter().map(|field| match field.res_len {
            0 => null(),
            // SAFETY: the requested fields are strings, and `res_len` is at least one.
            _ => unsafe { *field.res.str_ },
        });
        texts.collect()
    }

    pub fn metric(&self, name: &str) -> u64 {
        let mut count = 0;
        // SAFETY: see above; the plugin returns an array of `count` metrics.
        unsafe {
            let metrics = (self.metrics)(self.state, &mut count);
            let all = std::slice::from_raw_parts(metrics, count as usize);
            let metric = all.iter().find(|metric| text(metric.name) == name);
            metric.expect("a metric").value.u64_
        }
    }

    /// Makes the calls that return constant texts.
    pub fn fixed_texts(&self) {
        let mut rc = SUCCESS;
        // SAFETY: see above.
        unsafe {
            assert!(!(self.fields)().is_null());
            assert!(!(self.params)(self.state, &mut rc).is_null());
        }
    }

    /// The index of a field.
    pub fn field(&self, name: &str) -> u32 {
        // SAFETY: see above.
        let json = text(unsafe { (self.fields)() });
        let fields: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let fields = fields.as_array().expect("a list");
        let number = fields.iter().position(|field| field["name"] == name);
        number.expect("a field") as u32
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: see above; no call follows.
        unsafe { (self.destroy)(self.state) };
    }
}

fn input(event: *const api::ss_plugin_event) -> api::ss_plugin_event_input {
    api::ss_plugin_event_input {
        evt: event,
        evtnum: 1,
        evtsrc: c"aws_cloudtrail".as_ptr(),
    }
}

/// Copies a text that the plugin returned.
pub fn text(at: *const c_char) -> String {
    assert!(!at.is_null(), "NULL");
    // SAFETY: not NULL, and the plugin's texts end with a NUL.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_string_lossy().into_owned()
}
