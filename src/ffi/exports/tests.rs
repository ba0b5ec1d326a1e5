//! Errors that the host gets for calls that panic.

use std::ffi::{CStr, CString};
use std::ptr;

use super::super::guard::tests::FAILS;
use super::*;

fn last_error(handle: *mut ss_plugin_t) -> String {
    // SAFETY: the text stays until the next call, and is copied here.
    let text = unsafe { CStr::from_ptr(plugin_get_last_error(handle)) };
    text.to_string_lossy().into_owned()
}

fn init() -> (*mut ss_plugin_t, ss_plugin_rc) {
    let config = c"{}";
    let input = ss_plugin_init_input {
        config: config.as_ptr(),
        owner: ptr::null_mut(),
        get_owner_last_error: None,
        tables: ptr::null(),
        log_fn: None,
    };
    let mut rc = SUCCESS;
    // SAFETY: everything that the input points to outlives the call.
    let handle = unsafe { plugin_init(&input, &mut rc) };
    (handle, rc)
}

#[test]
fn panics_in_init_open_and_next_batch_leave_an_error_that_names_the_call() {
    FAILS.set("plugin_init");
    let (failed, rc) = init();
    assert_eq!(rc, FAILURE);
    let error = last_error(failed);
    assert!(error.starts_with("plugin_init failed"), "{error}");

    let (handle, rc) = init();
    assert_eq!(rc, SUCCESS);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/logs");
    let path = CString::new(path).expect("no NUL");
    let mut rc = SUCCESS;
    FAILS.set("plugin_open");
    // SAFETY: the state is alive, and the parameters outlive the call.
    let opened = unsafe { plugin_open(handle, path.as_ptr(), &mut rc) };
    assert!(opened.is_null() && rc == FAILURE);
    let error = last_error(handle);
    assert!(error.starts_with("plugin_open failed"), "{error}");

    // SAFETY: as above.
    let opened = unsafe { plugin_open(handle, path.as_ptr(), &mut rc) };
    assert_eq!(rc, SUCCESS);
    let (mut count, mut events) = (0, ptr::null_mut());
    FAILS.set("plugin_next_batch");
    // SAFETY: state and instance are alive.
    let rc = unsafe { plugin_next_batch(handle, opened, &mut count, &mut events) };
    assert_eq!((rc, count), (FAILURE, 0));
    let error = last_error(handle);
    assert!(error.starts_with("plugin_next_batch failed"), "{error}");

    // SAFETY: each is given back once.
    unsafe {
        plugin_close(handle, opened);
        plugin_destroy(handle);
        plugin_destroy(failed);
    }
}
