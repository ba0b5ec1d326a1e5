//! The functions of Falco's plugin API 3.11.0, which the host finds by name. `plugin_api.h` specifies them.
//!
//! SAFETY comments refer to what that header requires of the host: handles are what the plugin returned and are not used
//! after their end, other pointers are NULL or valid during the call, and calls on one instance, and calls that use
//! events on one state, do not overlap.

use std::ffi::c_char;
use std::ptr;

use falco_plugin_api as api;
use falco_plugin_api::{
    ss_instance_t, ss_plugin_event, ss_plugin_event_input, ss_plugin_field_extract_input,
    ss_plugin_init_input, ss_plugin_metric, ss_plugin_rc, ss_plugin_schema_type, ss_plugin_t,
};

use super::guard::{guard, guard_result};
use super::input::{FieldRequest, HostEvent, host_text};
use super::instance::{Instance, NextEvents};
use super::metadata;
use super::state::{HostLog, PluginState};
use crate::error::{Error, ErrorKind};
use crate::event_layout::PLUGIN_ID;

const SUCCESS: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_SUCCESS;
const FAILURE: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
const TIMEOUT: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_TIMEOUT;
const EOF: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_EOF;

/// The state of a handle.
///
/// # Safety
/// `handle` is NULL, or [`plugin_init`] returned it and [`plugin_destroy`] did not get it yet.
unsafe fn state<'call>(handle: *mut ss_plugin_t) -> Option<&'call PluginState> {
    // SAFETY: the pointer must be NULL or valid: the caller's promise, and `plugin_init` made it from a box of this type.
    unsafe { handle.cast::<PluginState>().as_ref() }
}

/// The instance of a handle.
///
/// # Safety
/// `handle` is NULL, or [`plugin_open`] returned it and [`plugin_close`] did not get it yet. No other call uses it.
unsafe fn instance<'call>(handle: *mut ss_instance_t) -> Option<&'call mut Instance> {
    // SAFETY: the pointer must be NULL or valid, and not aliased: the caller's promise, and `plugin_open` made it from a
    // box of this type.
    unsafe { handle.cast::<Instance>().as_mut() }
}

/// Writes an output parameter, unless it is NULL.
///
/// # Safety
/// `to` is NULL or valid for writes.
unsafe fn write<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: `to` must be valid for writes: the caller's promise, as it is not NULL (checked above).
        unsafe { to.write(value) };
    }
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_required_api_version() -> *const c_char {
    metadata::REQUIRED_API.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_name() -> *const c_char {
    metadata::NAME.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_description() -> *const c_char {
    metadata::DESCRIPTION.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_contact() -> *const c_char {
    metadata::CONTACT.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_version() -> *const c_char {
    metadata::VERSION.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_id() -> u32 {
    PLUGIN_ID
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_event_source() -> *const c_char {
    metadata::EVENT_SOURCE.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_extract_event_sources() -> *const c_char {
    metadata::EXTRACT_SOURCES.as_ptr()
}

#[unsafe(no_mangle)]
extern "C-unwind" fn plugin_get_fields() -> *const c_char {
    guard(ptr::null(), || metadata::FIELDS_JSON.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_init_schema(
    schema_type: *mut ss_plugin_schema_type,
) -> *const c_char {
    guard(ptr::null(), || {
        // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
        unsafe {
            write(
                schema_type,
                api::ss_plugin_schema_type_SS_PLUGIN_SCHEMA_JSON,
            )
        };
        metadata::SCHEMA.as_ptr()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_init(
    input: *const ss_plugin_init_input,
    rc: *mut ss_plugin_rc,
) -> *mut ss_plugin_t {
    // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
    let set_rc = |code| unsafe { write(rc, code) };
    set_rc(FAILURE);
    guard(ptr::null_mut(), || {
        // SAFETY: the pointer must be NULL or valid; the API requires it of inputs.
        let Some(input) = (unsafe { input.as_ref() }) else {
            return ptr::null_mut();
        };
        // SAFETY: `host_text` needs NULL or a C string; the API requires it of the configuration.
        let config = unsafe { host_text(input.config) };
        // SAFETY: `HostLog` needs a function that may be called with `owner` during its life; the API requires both to stay
        // valid until `plugin_destroy`, which drops the state that owns the `HostLog`.
        let host_log = unsafe { HostLog::new(input.owner, input.log_fn) };
        let result = guard_result("plugin_init", || Ok(PluginState::new(&config, host_log)));
        let (state, valid) = match result {
            Ok(result) => result,
            Err(error) => (PluginState::failed(&error, host_log), false),
        };
        if valid {
            set_rc(SUCCESS);
        }
        // Also after a failure: the host gets the error from the state, and destroys it.
        Box::into_raw(Box::new(state)).cast()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_destroy(handle: *mut ss_plugin_t) {
    guard((), || {
        if handle.is_null() {
            return;
        }
        // SAFETY: the pointer must be that of a box that nothing else owns: `plugin_init` made it from one, and the API
        // requires that the host passes it here once.
        let state = unsafe { Box::from_raw(handle.cast::<PluginState>()) };
        for open in state.instances.take_all() {
            // SAFETY: the pointer must be that of a box that nothing else owns: `plugin_open` made it from one,
            // `plugin_close` removes those that it gets from the list, and the host must not use an instance after this call.
            unsafe { Box::from_raw(open) }.close();
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_last_error(handle: *mut ss_plugin_t) -> *const c_char {
    let unknown = c"the plugin could not be initialized".as_ptr();
    guard(unknown, || {
        // SAFETY: `state` needs a live handle or NULL; the API requires it.
        unsafe { state(handle) }.map_or(unknown, PluginState::last_error)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_metrics(
    handle: *mut ss_plugin_t,
    count: *mut u32,
) -> *mut ss_plugin_metric {
    guard(ptr::null_mut(), || {
        // SAFETY: `state` needs a live handle or NULL; the API requires it.
        let (metrics, len) = match unsafe { state(handle) } {
            Some(state) => state.metrics(),
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
        unsafe { write(count, len as u32) };
        metrics
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_list_open_params(
    _handle: *mut ss_plugin_t,
    rc: *mut ss_plugin_rc,
) -> *const c_char {
    guard(ptr::null(), || {
        // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
        unsafe { write(rc, SUCCESS) };
        metadata::OPEN_PARAMS.as_ptr()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_open(
    handle: *mut ss_plugin_t,
    params: *const c_char,
    rc: *mut ss_plugin_rc,
) -> *mut ss_instance_t {
    // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
    let set_rc = |code| unsafe { write(rc, code) };
    set_rc(FAILURE);
    guard(ptr::null_mut(), || {
        // SAFETY: `state` needs a live handle or NULL, `host_text` NULL or a C string; the API requires both.
        let (Some(state), params) = (unsafe { (state(handle), host_text(params)) }) else {
            return ptr::null_mut();
        };
        let result = guard_result("plugin_open", || {
            Instance::open(&state.context, &state.live, &state.instances, &params)
        });
        state.forward_log();
        match result {
            Ok(instance) => {
                let opened = Box::into_raw(Box::new(instance));
                state.instances.add(opened);
                set_rc(SUCCESS);
                opened.cast()
            }
            Err(error) => {
                state.set_error(&error);
                ptr::null_mut()
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_close(handle: *mut ss_plugin_t, opened: *mut ss_instance_t) {
    guard((), || {
        if opened.is_null() {
            return;
        }
        // SAFETY: the pointer must be that of a box that nothing else owns: `plugin_open` made it from one, and the API
        // requires that the host passes it here once.
        let instance = unsafe { Box::from_raw(opened.cast::<Instance>()) };
        instance.open_instances.remove(opened.cast());
        let forked = instance.is_forked();
        instance.close();
        // SAFETY: `state` needs a live handle or NULL; the API requires it.
        let state = unsafe { state(handle) };
        // In a forked process, the log's lock may belong to a thread that does not exist there.
        if let Some(state) = state.filter(|_| !forked) {
            state.forward_log();
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_progress(
    _handle: *mut ss_plugin_t,
    opened: *mut ss_instance_t,
    progress: *mut u32,
) -> *const c_char {
    guard(ptr::null(), || {
        // SAFETY: `instance` needs a live handle or NULL that no other call uses; the API requires it.
        let (parts, text) = match unsafe { instance(opened) } {
            Some(instance) => {
                let (parts, text) = instance.progress();
                (parts, text.as_ptr())
            }
            None => (0, ptr::null()),
        };
        // SAFETY: `write` needs a pointer that is NULL or writable; the API requires it of output parameters.
        unsafe { write(progress, parts) };
        text
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_next_batch(
    handle: *mut ss_plugin_t,
    opened: *mut ss_instance_t,
    count: *mut u32,
    events: *mut *mut *mut ss_plugin_event,
) -> ss_plugin_rc {
    // SAFETY: `write` needs pointers that are NULL or writable; the API requires it of output parameters.
    let set_events = |len: usize, pointers| unsafe {
        write(count, len as u32);
        write(events, pointers);
    };
    set_events(0, ptr::null_mut());
    guard(FAILURE, || {
        // SAFETY: `state` and `instance` need live handles or NULL, and no other call may use the instance; the API requires
        // both.
        let (Some(state), Some(instance)) = (unsafe { (state(handle), instance(opened)) }) else {
            return FAILURE;
        };
        let result = guard_result("plugin_next_batch", || instance.next(&state.context));
        let rc = match result {
            Ok(NextEvents::Events(pointers)) => {
                set_events(pointers.len(), pointers.as_mut_ptr());
                SUCCESS
            }
            Ok(NextEvents::Timeout) => TIMEOUT,
            Ok(NextEvents::End) => EOF,
            Err(error) => {
                state.set_error(&error);
                FAILURE
            }
        };
        state.forward_log();
        rc
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_event_to_string(
    handle: *mut ss_plugin_t,
    event: *const ss_plugin_event_input,
) -> *const c_char {
    guard(ptr::null(), || {
        // SAFETY: `state` needs a live handle or NULL, `as_ref` NULL or a valid pointer; the API requires both.
        let (Some(state), Some(input)) = (unsafe { (state(handle), event.as_ref()) }) else {
            return ptr::null();
        };
        // SAFETY: `HostEvent` needs NULL or an event that stays as it is during the call; the API requires it.
        let event = unsafe { HostEvent::new(input.evt.cast()) };
        // SAFETY: no other reference to the extraction may exist: the API requires that calls with events do not overlap,
        // and only these use it.
        let extraction = unsafe { state.extraction() };
        extraction.event_line(&state.live, event)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_extract_fields(
    handle: *mut ss_plugin_t,
    event: *const ss_plugin_event_input,
    input: *const ss_plugin_field_extract_input,
) -> ss_plugin_rc {
    let rc = guard(None, || {
        // SAFETY: `state` needs a live handle or NULL, `as_ref` NULL or valid pointers; the API requires both.
        let inputs = unsafe { (state(handle), event.as_ref(), input.as_ref()) };
        let (Some(state), Some(event), Some(input)) = inputs else {
            return Some(FAILURE);
        };
        // SAFETY: `HostEvent` needs NULL or an event that stays as it is during the call; the API requires it.
        let event = unsafe { HostEvent::new(event.evt.cast()) };
        // SAFETY: `slice` needs `num_fields` fields with C strings as keys, for this call alone; the API requires it.
        let requests = unsafe { FieldRequest::slice(input.fields, input.num_fields) };
        if requests.is_empty() {
            return Some(SUCCESS);
        }
        // SAFETY: the pointer must be NULL or valid and not aliased; the API requires it of output parameters.
        let offsets = unsafe { input.value_offsets.as_mut() };
        // SAFETY: no other reference to the extraction may exist: the API requires that calls with events do not overlap,
        // and only these use it.
        let extraction = unsafe { state.extraction() };
        extraction.extract(&state.live, event, requests, offsets);
        Some(SUCCESS)
    });
    rc.unwrap_or_else(|| {
        // SAFETY: `state` needs a live handle or NULL; the API requires it.
        if let Some(state) = unsafe { state(handle) } {
            state.set_error(&Error::new(
                ErrorKind::Internal,
                "plugin_extract_fields failed: internal error; the field has no value for this event",
            ));
        }
        FAILURE
    })
}

/// Compile-time check that every export has the type that the API declares.
const _: () = {
    let _ = api::plugin_api {
        get_required_api_version: Some(plugin_get_required_api_version),
        get_init_schema: Some(plugin_get_init_schema),
        init: Some(plugin_init),
        destroy: Some(plugin_destroy),
        get_last_error: Some(plugin_get_last_error),
        get_name: Some(plugin_get_name),
        get_description: Some(plugin_get_description),
        get_contact: Some(plugin_get_contact),
        get_version: Some(plugin_get_version),
        __bindgen_anon_1: api::plugin_api__bindgen_ty_1 {
            get_id: Some(plugin_get_id),
            get_event_source: Some(plugin_get_event_source),
            open: Some(plugin_open),
            close: Some(plugin_close),
            list_open_params: Some(plugin_list_open_params),
            get_progress: Some(plugin_get_progress),
            event_to_string: Some(plugin_event_to_string),
            next_batch: Some(plugin_next_batch),
        },
        __bindgen_anon_2: api::plugin_api__bindgen_ty_2 {
            get_extract_event_types: None,
            get_extract_event_sources: Some(plugin_get_extract_event_sources),
            get_fields: Some(plugin_get_fields),
            extract_fields: Some(plugin_extract_fields),
        },
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
        get_metrics: Some(plugin_get_metrics),
        __bindgen_anon_5: api::plugin_api__bindgen_ty_5 {
            capture_open: None,
            capture_close: None,
        },
    };
};

#[cfg(test)]
mod tests;
