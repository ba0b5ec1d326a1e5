//! The C ABI accepts calls in every order that a host may use: several open sources; live, copied and
//! invented events; any fields and arguments.
//!
//! Input: the calls, an empty line, and the log file to read, plain or gzip.
#![no_main]

mod calls;

use calls::*;
use falco_plugin_api::*;
use libfuzzer_sys::fuzz_target;
use std::ffi::{CStr, CString};
use std::ptr::null_mut;

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
    let directory = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a directory");
    for name in ["a.json", "b.json.gz"] {
        std::fs::write(directory.path().join(name), file).expect("a file");
    }
    let params = CString::new(directory.path().to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: all pointers passed below are valid, and the plugin API allows all calls. Sources are closed before
    // the plugin is destroyed, and nothing is used afterwards.
    unsafe {
        let mut rc = 0;
        let state = init(c"{\"decodeThreads\":1,\"maxObjectBytes\":1000000}").expect("a plugin");
        let mut sources: Vec<Source> = Vec::new();
        let mut bytes = calls.iter().copied();
        while let (Some(call), Some(which)) = (bytes.next(), bytes.next()) {
            let (open, index) = (sources.len(), usize::from(which) % sources.len().max(1));
            match (call % 10, sources.get_mut(index)) {
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
                (3, Some(_)) => plugin_close(state, sources.swap_remove(index).instance),
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
                    let mut invented = [file, &[0; 26]].concat();
                    invented.truncate(file.len().max(26));
                    let len = (invented.len() as u32).to_le_bytes();
                    invented[16..20].copy_from_slice(&len);
                    if which & 1 == 0 {
                        invented[20..26].copy_from_slice(&[0x42, 1, 2, 0, 0, 0]);
                    }
                    use_event(
                        state,
                        invented.into_boxed_slice().as_mut_ptr().cast(),
                        &mut bytes,
                    );
                }
                (8, Some(source)) => {
                    let mut parts = 0;
                    let text = plugin_get_progress(state, source.instance, &mut parts);
                    assert!(parts <= 10_000 && !text.is_null());
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

/// Gets the next batch of `source` and sets the events' thread ids, as a host does.
///
/// # Safety
/// `state` and the source's instance must be alive.
unsafe fn next(state: *mut ss_plugin_t, source: &mut Source) {
    let (mut count, mut events) = (0, null_mut());
    // SAFETY: by this function's contract. By the API's contract `events` has `count` pointers to events that the
    // host may write.
    unsafe {
        let rc = plugin_next_batch(state, source.instance, &mut count, &mut events);
        assert_ne!(rc, ss_plugin_rc_SS_PLUGIN_FAILURE);
        source.events = (0..count as usize).map(|at| *events.add(at)).collect();
        for event in &source.events {
            (&raw mut (**event).tid).write_unaligned(7);
        }
    }
}
