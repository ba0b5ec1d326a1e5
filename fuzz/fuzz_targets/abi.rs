//! The C ABI under calls in any order that a host may make: several open sources, events live,
//! copied and made up, fields and arguments of any kind. The part behind the first empty line is
//! the log file that is read, plain or gzip.
#![no_main]

use cloudtrail as _;
use falco_plugin_api::*;
use libfuzzer_sys::fuzz_target;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut};

unsafe extern "C-unwind" {
    fn plugin_init(input: *const ss_plugin_init_input, rc: *mut ss_plugin_rc) -> *mut ss_plugin_t;
    fn plugin_destroy(state: *mut ss_plugin_t);
    fn plugin_get_last_error(state: *mut ss_plugin_t) -> *const c_char;
    fn plugin_get_metrics(state: *mut ss_plugin_t, count: *mut u32) -> *mut ss_plugin_metric;
    fn plugin_open(
        state: *mut ss_plugin_t,
        params: *const c_char,
        rc: *mut ss_plugin_rc,
    ) -> *mut ss_instance_t;
    fn plugin_close(state: *mut ss_plugin_t, instance: *mut ss_instance_t);
    fn plugin_get_progress(
        state: *mut ss_plugin_t,
        instance: *mut ss_instance_t,
        progress: *mut u32,
    ) -> *const c_char;
    fn plugin_next_batch(
        state: *mut ss_plugin_t,
        instance: *mut ss_instance_t,
        count: *mut u32,
        events: *mut *mut *mut ss_plugin_event,
    ) -> ss_plugin_rc;
    fn plugin_event_to_string(
        state: *mut ss_plugin_t,
        event: *const ss_plugin_event_input,
    ) -> *const c_char;
    fn plugin_extract_fields(
        state: *mut ss_plugin_t,
        event: *const ss_plugin_event_input,
        input: *const ss_plugin_field_extract_input,
    ) -> ss_plugin_rc;
}

/// A source and the events of its last batch.
struct Source {
    instance: *mut ss_instance_t,
    events: Vec<*mut ss_plugin_event>,
}

fuzz_target!(|data: &[u8]| {
    let split = data
        .windows(2)
        .position(|two| two == b"\n\n")
        .unwrap_or(data.len());
    let (calls, file) = (&data[..split], data.get(split + 2..).unwrap_or_default());
    let folder = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder");
    for name in ["a.json", "b.json.gz"] {
        std::fs::write(folder.path().join(name), file).expect("a file");
    }
    let params = CString::new(folder.path().to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: below, every pointer is alive, and every call one that the API allows.
    unsafe {
        let config = c"{\"decodeThreads\":1,\"maxObjectBytes\":1000000}";
        let input = ss_plugin_init_input {
            config: config.as_ptr(),
            owner: null_mut(),
            get_owner_last_error: None,
            tables: null(),
            log_fn: Some(log),
        };
        let mut rc = 0;
        let state = plugin_init(&input, &mut rc);
        assert_eq!(rc, ss_plugin_rc_SS_PLUGIN_SUCCESS);
        let mut sources: Vec<Source> = Vec::new();
        let mut bytes = calls.iter().copied();
        while let (Some(call), Some(which)) = (bytes.next(), bytes.next()) {
            let (open, place) = (sources.len(), usize::from(which) % sources.len().max(1));
            match (call % 10, sources.get_mut(place)) {
                (0, _) if open < 4 => {
                    let instance = plugin_open(state, params.as_ptr(), &mut rc);
                    assert!(
                        !instance.is_null(),
                        "{:?}",
                        CStr::from_ptr(plugin_get_last_error(state))
                    );
                    sources.push(Source {
                        instance,
                        events: Vec::new(),
                    });
                }
                (1 | 2, Some(source)) => next(state, source),
                (3, Some(_)) => plugin_close(state, sources.swap_remove(place).instance),
                (4 | 5, Some(source)) if !source.events.is_empty() => {
                    let number = usize::from(bytes.next().unwrap_or(0)) % source.events.len();
                    use_event(state, source.events[number], &mut bytes);
                }
                (6, Some(source)) if !source.events.is_empty() => {
                    let event = source.events[usize::from(which) % source.events.len()];
                    let len = (*event).len as usize;
                    let copy = std::slice::from_raw_parts(event.cast::<u8>(), len).to_vec();
                    use_event(state, copy.as_ptr().cast_mut().cast(), &mut bytes);
                }
                (7, _) => {
                    let mut made = [file, &[0; 26]].concat();
                    made.truncate(file.len().max(26));
                    let len = (made.len() as u32).to_le_bytes();
                    made[16..20].copy_from_slice(&len);
                    if which & 1 == 0 {
                        made[20..26].copy_from_slice(&[0x42, 1, 2, 0, 0, 0]);
                    }
                    use_event(
                        state,
                        made.into_boxed_slice().as_mut_ptr().cast(),
                        &mut bytes,
                    );
                }
                (8, Some(source)) => {
                    let mut parts = 0;
                    let words = plugin_get_progress(state, source.instance, &mut parts);
                    assert!(parts <= 10_000 && !words.is_null());
                }
                (9, _) => {
                    let mut count = 0;
                    let metrics = plugin_get_metrics(state, &mut count);
                    assert!(count > 0 && !(*metrics).name.is_null());
                    assert!(!plugin_get_last_error(state).is_null());
                    use_event(state, null_mut(), &mut bytes);
                }
                _ => {}
            }
        }
        for source in sources {
            plugin_close(state, source.instance);
        }
        plugin_destroy(state);
    }
});

unsafe fn next(state: *mut ss_plugin_t, source: &mut Source) {
    let (mut count, mut events) = (0, null_mut());
    // SAFETY: the caller's; the events' headers may be written to.
    unsafe {
        let rc = plugin_next_batch(state, source.instance, &mut count, &mut events);
        assert_ne!(rc, ss_plugin_rc_SS_PLUGIN_FAILURE);
        source.events = (0..count as usize).map(|at| *events.add(at)).collect();
        for event in &source.events {
            (&raw mut (**event).tid).write_unaligned(7);
        }
    }
}

unsafe fn use_event(
    state: *mut ss_plugin_t,
    evt: *mut ss_plugin_event,
    bytes: &mut impl Iterator<Item = u8>,
) {
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
    // SAFETY: the caller's; results are read as the API says, with the type by the field's number.
    unsafe {
        let line = plugin_event_to_string(state, &event);
        assert!(line.is_null() || CStr::from_ptr(line).to_str().is_ok());
        assert_eq!(
            plugin_extract_fields(state, &event, &input),
            ss_plugin_rc_SS_PLUGIN_SUCCESS
        );
        for (at, field) in fields.iter().enumerate() {
            assert_ne!(field.res_len, u64::MAX, "a result is not set");
            let Some(known) = cloudtrail::field::FIELDS.get(field.field_id as usize) else {
                assert_eq!(field.res_len, 0);
                continue;
            };
            for value in 0..field.res_len as usize {
                match known.kind {
                    cloudtrail::field::Kind::String => {
                        assert!(CStr::from_ptr(*field.res.str_.add(value)).to_str().is_ok())
                    }
                    cloudtrail::field::Kind::Uint64 => drop(*field.res.u64_.add(value)),
                }
                if !offsets.start.is_null() {
                    let pair = if fields.len() == 1 { value } else { at };
                    let end =
                        u64::from(*offsets.start.add(pair)) + u64::from(*offsets.length.add(pair));
                    assert!(end <= u64::from((&raw const (*evt).len).read_unaligned()));
                }
            }
        }
    }
}

unsafe extern "C-unwind" fn log(
    _: *mut ss_plugin_owner_t,
    _: *const c_char,
    line: *const c_char,
    _: ss_plugin_log_severity,
) {
    // SAFETY: a C string, by the API.
    assert!(!unsafe { CStr::from_ptr(line) }.is_empty());
}
