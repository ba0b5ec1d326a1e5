//! The functions of Falco's plugin API 3.11.0, as the host finds them by name. What each must do
//! stands in the API's header, `plugin_api.h`.

use std::ffi::c_char;
use std::ptr;
use std::slice;

use falco_plugin_api as api;
use falco_plugin_api::{
    ss_instance_t, ss_plugin_event, ss_plugin_event_input, ss_plugin_field_extract_input,
    ss_plugin_init_input, ss_plugin_metric, ss_plugin_rc, ss_plugin_schema_type, ss_plugin_t,
};

use super::guard::{contained, guarded};
use super::instance::{Handed, Instance};
use super::metadata;
use super::state::{Owner, PluginState, host_text};
use crate::error::{Error, ErrorKind};
use crate::event_layout::PLUGIN_ID;

const SUCCESS: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_SUCCESS;
const FAILURE: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;
const TIMEOUT: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_TIMEOUT;
const EOF: ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_EOF;

/// The state behind a handle of the host's.
///
/// # Safety
/// `handle` is NULL or what [`plugin_init`] returned and [`plugin_destroy`] has not been given.
unsafe fn state<'call>(handle: *mut ss_plugin_t) -> Option<&'call PluginState> {
    // SAFETY: the caller's promise; `plugin_init` made it from a box of this type.
    unsafe { handle.cast::<PluginState>().as_ref() }
}

/// The instance behind a handle of the host's.
///
/// # Safety
/// `handle` is NULL or what [`plugin_open`] returned and [`plugin_close`] has not been given, and
/// no other call with it is under way.
unsafe fn instance<'call>(handle: *mut ss_instance_t) -> Option<&'call mut Instance> {
    // SAFETY: the caller's promise; `plugin_open` made it from a box of this type.
    unsafe { handle.cast::<Instance>().as_mut() }
}

/// Writes through a pointer of the host's, unless it is NULL.
///
/// # Safety
/// `to` is NULL or may be written to.
unsafe fn put<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: not NULL, as checked, so the caller's promise holds.
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
    guarded(ptr::null(), || metadata::FIELDS_JSON.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_init_schema(
    kind: *mut ss_plugin_schema_type,
) -> *const c_char {
    guarded(ptr::null(), || {
        // SAFETY: the API's promise for an output parameter.
        unsafe { put(kind, api::ss_plugin_schema_type_SS_PLUGIN_SCHEMA_JSON) };
        metadata::SCHEMA.as_ptr()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_init(
    input: *const ss_plugin_init_input,
    rc: *mut ss_plugin_rc,
) -> *mut ss_plugin_t {
    // SAFETY: the API's promise for an output parameter.
    let report = |code| unsafe { put(rc, code) };
    report(FAILURE);
    guarded(ptr::null_mut(), || {
        // SAFETY: the API passes NULL or an input that lives through the call.
        let Some(input) = (unsafe { input.as_ref() }) else {
            return ptr::null_mut();
        };
        // SAFETY: the API's promise for the configuration.
        let config = unsafe { host_text(input.config) };
        // SAFETY: the API allows to keep both for the plugin's whole life.
        let owner = unsafe { Owner::new(input.owner, input.log_fn) };
        let made = contained("plugin_init", || Ok(PluginState::new(&config, owner)));
        let (state, sound) = match made {
            Ok(made) => made,
            Err(error) => (PluginState::failed(&error, owner), false),
        };
        if sound {
            report(SUCCESS);
        }
        // Returned either way: the host asks it for the error, and destroys it.
        Box::into_raw(Box::new(state)).cast()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_destroy(handle: *mut ss_plugin_t) {
    guarded((), || {
        if handle.is_null() {
            return;
        }
        // SAFETY: made by `plugin_init` from a box, and given back once.
        let state = unsafe { Box::from_raw(handle.cast::<PluginState>()) };
        for left in state.instances.take() {
            // SAFETY: made by `plugin_open` from a box and not closed, and the host may not use
            // it any more.
            unsafe { Box::from_raw(left) }.close();
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_last_error(handle: *mut ss_plugin_t) -> *const c_char {
    let unknown = c"the plugin could not be initialised".as_ptr();
    guarded(unknown, || {
        // SAFETY: the API's promise for a state.
        unsafe { state(handle) }.map_or(unknown, PluginState::last_error)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_get_metrics(
    handle: *mut ss_plugin_t,
    count: *mut u32,
) -> *mut ss_plugin_metric {
    guarded(ptr::null_mut(), || {
        // SAFETY: the API's promise for a state.
        let (metrics, len) = match unsafe { state(handle) } {
            Some(state) => state.metrics(),
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: the API's promise for an output parameter.
        unsafe { put(count, len as u32) };
        metrics
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_list_open_params(
    _handle: *mut ss_plugin_t,
    rc: *mut ss_plugin_rc,
) -> *const c_char {
    guarded(ptr::null(), || {
        // SAFETY: the API's promise for an output parameter.
        unsafe { put(rc, SUCCESS) };
        metadata::OPEN_PARAMS.as_ptr()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_open(
    handle: *mut ss_plugin_t,
    params: *const c_char,
    rc: *mut ss_plugin_rc,
) -> *mut ss_instance_t {
    // SAFETY: the API's promise for an output parameter.
    let report = |code| unsafe { put(rc, code) };
    report(FAILURE);
    guarded(ptr::null_mut(), || {
        // SAFETY: the API's promises for a state and for the parameters.
        let (Some(state), params) = (unsafe { (state(handle), host_text(params)) }) else {
            return ptr::null_mut();
        };
        let opened = contained("plugin_open", || Instance::open(state, &params));
        state.forward_log();
        match opened {
            Ok(instance) => {
                let opened = Box::into_raw(Box::new(instance));
                state.instances.opened(opened);
                report(SUCCESS);
                opened.cast()
            }
            Err(error) => {
                state.fail(&error);
                ptr::null_mut()
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_close(handle: *mut ss_plugin_t, opened: *mut ss_instance_t) {
    guarded((), || {
        if opened.is_null() {
            return;
        }
        // SAFETY: made by `plugin_open` from a box, and given back once.
        let instance = unsafe { Box::from_raw(opened.cast::<Instance>()) };
        instance.known.closed(opened.cast());
        let elsewhere = instance.is_elsewhere();
        instance.close();
        // SAFETY: the API's promise for a state, which may be NULL here.
        let state = unsafe { state(handle) };
        // In a forked process, a thread that is not there may hold the log's lock.
        if let Some(state) = state.filter(|_| !elsewhere) {
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
    guarded(ptr::null(), || {
        // SAFETY: the API's promise for an instance.
        let (parts, text) = match unsafe { instance(opened) } {
            Some(instance) => {
                let (parts, text) = instance.progress();
                (parts, text.as_ptr())
            }
            None => (0, ptr::null()),
        };
        // SAFETY: the API's promise for an output parameter.
        unsafe { put(progress, parts) };
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
    // SAFETY: the API's promises for output parameters.
    let hand_over = |len: usize, pointers| unsafe {
        put(count, len as u32);
        put(events, pointers);
    };
    hand_over(0, ptr::null_mut());
    guarded(FAILURE, || {
        // SAFETY: the API's promises for a state and an instance.
        let (Some(state), Some(instance)) = (unsafe { (state(handle), instance(opened)) }) else {
            return FAILURE;
        };
        let handed = contained("plugin_next_batch", || instance.next(state));
        let rc = match handed {
            Ok(Handed::Events(pointers)) => {
                hand_over(pointers.len(), pointers.as_mut_ptr());
                SUCCESS
            }
            Ok(Handed::Timeout) => TIMEOUT,
            Ok(Handed::End) => EOF,
            Err(error) => {
                state.fail(&error);
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
    guarded(ptr::null(), || {
        // SAFETY: the API's promises for a state and an event, which it shows and extracts from
        // on one thread.
        unsafe {
            let (Some(state), Some(event)) = (state(handle), event.as_ref()) else {
                return ptr::null();
            };
            state.extraction().summary(&state.live, event.evt.cast())
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn plugin_extract_fields(
    handle: *mut ss_plugin_t,
    event: *const ss_plugin_event_input,
    input: *const ss_plugin_field_extract_input,
) -> ss_plugin_rc {
    // SAFETY: the API's promises for a state and its inputs.
    let inputs = unsafe { (state(handle), event.as_ref(), input.as_ref()) };
    let (Some(state), Some(event), Some(input)) = inputs else {
        return FAILURE;
    };
    if input.num_fields == 0 || input.fields.is_null() {
        return SUCCESS;
    }
    let answered = guarded(false, || {
        // SAFETY: the API's promises for an event, for the fields with their arguments, and for
        // the place of the offsets; it extracts and shows events on one thread.
        unsafe {
            let fields = slice::from_raw_parts_mut(input.fields, input.num_fields as usize);
            let extraction = state.extraction();
            extraction.select(&state.live, event.evt.cast());
            extraction.answer(fields, input.value_offsets.as_mut());
        }
        true
    });
    if !answered {
        state.fail(&Error::new(
            ErrorKind::Internal,
            "extracting a field failed; it has no value for this event",
        ));
        return FAILURE;
    }
    SUCCESS
}

/// Does not compile unless every export has the very type that the API gives it.
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
