//! The C ABI under calls in any order that a host may make: several open sources, events live,
//! copied and made up, fields and arguments of any kind. The part behind the first empty line is
//! the log file that is read, plain or gzip.
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
    let folder = tempfile::Builder::new()
        .tempdir_in("/dev/shm")
        .expect("a folder");
    for name in ["a.json", "b.json.gz"] {
        std::fs::write(folder.path().join(name), file).expect("a file");
    }
    let params = CString::new(folder.path().to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: below, every pointer is alive, and every call one that the API allows.
    unsafe {
        let mut rc = 0;
        let state = init(c"{\"decodeThreads\":1,\"maxObjectBytes\":1000000}").expect("a plugin");
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
