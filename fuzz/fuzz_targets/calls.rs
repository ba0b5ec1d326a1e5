//! Helpers for the targets of the C ABI: its functions, an initialized plugin, and extraction from an event.
#![allow(dead_code, reason = "each target uses a part")]

use cloudtrail::testing::{FIELDS, FieldType};
use falco_plugin_api::*;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

unsafe extern "C-unwind" {
    pub fn plugin_init(
        input: *const ss_plugin_init_input,
        rc: *mut ss_plugin_rc,
    ) -> *mut ss_plugin_t;
    pub fn plugin_destroy(state: *mut ss_plugin_t);
    pub fn plugin_get_last_error(state: *mut ss_plugin_t) -> *const c_char;
    pub fn plugin_get_metrics(state: *mut ss_plugin_t, count: *mut u32) -> *mut ss_plugin_metric;
    pub fn plugin_open(
        state: *mut ss_plugin_t,
        params: *const c_char,
        rc: *mut ss_plugin_rc,
    ) -> *mut ss_instance_t;
    pub fn plugin_close(state: *mut ss_plugin_t, instance: *mut ss_instance_t);
    pub fn plugin_get_progress(
        state: *mut ss_plugin_t,
        instance: *mut ss_instance_t,
        progress: *mut u32,
    ) -> *const c_char;
    pub fn plugin_next_batch(
        state: *mut ss_plugin_t,
        instance: *mut ss_instance_t,
        count: *mut u32,
        events: *mut *mut *mut ss_plugin_event,
    ) -> ss_plugin_rc;
    pub fn plugin_event_to_string(
        state: *mut ss_plugin_t,
        event: *const ss_plugin_event_input,
    ) -> *const c_char;
    pub fn plugin_extract_fields(
        state: *mut ss_plugin_t,
        event: *const ss_plugin_event_input,
        input: *const ss_plugin_field_extract_input,
    ) -> ss_plugin_rc;
}

/// Initializes a plugin. `None` if it rejects the configuration; then it must provide an error message.
pub fn init(config: &CStr) -> Option<*mut ss_plugin_t> {
    let input = ss_plugin_init_input {
        config: config.as_ptr(),
        owner: null_mut(),
        get_owner_last_error: None,
        tables: null(),
        log_fn: Some(log),
    };
    let mut rc = 0;
    // SAFETY: everything that `input` points to outlives the call.
    let state = unsafe { plugin_init(&input, &mut rc) };
    if rc == ss_plugin_rc_SS_PLUGIN_SUCCESS {
        return Some(state);
    }
    // SAFETY: the state comes from `plugin_init` and is not used afterwards.
    unsafe {
        assert!(!CStr::from_ptr(plugin_get_last_error(state)).is_empty());
        plugin_destroy(state);
    }
    None
}

/// An event's text, and the values of each field; numbers are in decimal.
pub type EventValues = (Option<String>, Vec<Vec<String>>);

/// Gets the event's text and extracts fields from it. `bytes` choose number, fields and arguments.
///
/// # Safety
/// `state` must be alive; `evt` must be NULL or point to an event of the length that its header declares.
pub unsafe fn use_event(
    state: *mut ss_plugin_t,
    evt: *mut ss_plugin_event,
    bytes: &mut impl Iterator<Item = u8>,
) -> EventValues {
    let event = ss_plugin_event_input {
        evt,
        evtnum: 1,
        evtsrc: c"aws_cloudtrail".as_ptr(),
    };
    let mut byte = || bytes.next().unwrap_or(0);
    let shape = byte();
    let key = CString::new([b'/', byte(), byte()].map(|it| it.max(1))).expect("no NUL");
    let mut fields: Vec<_> = (0..shape % 8)
        .map(|_| ss_plugin_extract_field {
            res: ss_plugin_extract_field__bindgen_ty_1 { u64_: null_mut() },
            res_len: u64::MAX,
            field_id: u32::from(byte()),
            field: null(),
            arg_key: if byte() & 1 == 0 {
                key.as_ptr()
            } else {
                null()
            },
            arg_index: u64::from(byte()),
            arg_present: u32::from(byte() & 1),
            ftype: 0,
            flist: 0,
        })
        .collect();
    let mut offsets = ss_plugin_extract_value_offsets {
        start: null_mut(),
        length: null_mut(),
    };
    let input = ss_plugin_field_extract_input {
        owner: null_mut(),
        get_owner_last_error: None,
        num_fields: fields.len() as u32,
        fields: fields.as_mut_ptr(),
        table_reader: ss_plugin_table_reader_vtable {
            get_table_name: None,
            get_table_size: None,
            get_table_entry: None,
            read_entry_field: None,
        },
        table_reader_ext: null_mut(),
        value_offsets: if shape & 128 == 0 {
            null_mut()
        } else {
            &mut offsets
        },
    };
    // SAFETY: by this function's contract. Results are read with the type of the field, as the API requires.
    unsafe {
        let line = plugin_event_to_string(state, &event);
        let line = (!line.is_null()).then(|| text(line));
        assert_eq!(
            plugin_extract_fields(state, &event, &input),
            ss_plugin_rc_SS_PLUGIN_SUCCESS
        );
        let mut all_values = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            assert_ne!(field.res_len, u64::MAX, "a result is not set");
            let Some(known) = FIELDS.get(field.field_id as usize) else {
                assert_eq!(field.res_len, 0);
                continue;
            };
            let values = 0..field.res_len as usize;
            all_values.push(match known.field_type {
                FieldType::String => values
                    .clone()
                    .map(|at| text(*field.res.str_.add(at)))
                    .collect(),
                FieldType::Uint64 => values
                    .clone()
                    .map(|at| (*field.res.u64_.add(at)).to_string())
                    .collect(),
            });
            for value in values.filter(|_| !offsets.start.is_null()) {
                let pair = if fields.len() == 1 { value } else { at };
                let (start, length) = (*offsets.start.add(pair), *offsets.length.add(pair));
                let end = u64::from(start) + u64::from(length);
                assert!(end <= u64::from((&raw const (*evt).len).read_unaligned()));
            }
        }
        (line, all_values)
    }
}

/// # Safety
/// `at` must point to a NUL-terminated string.
unsafe fn text(at: *const c_char) -> String {
    // SAFETY: by this function's contract.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().expect("always UTF-8").to_owned()
}

unsafe extern "C-unwind" fn log(
    _: *mut ss_plugin_owner_t,
    _: *const c_char,
    line: *const c_char,
    _: ss_plugin_log_severity,
) {
    // SAFETY: NUL-terminated by the API's contract.
    assert!(!unsafe { CStr::from_ptr(line) }.is_empty());
}
