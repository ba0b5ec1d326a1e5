//! Fork with an open source: the child may close it, and the parent still reads it to the end.

use std::time::{Duration, Instant};
use std::{ptr, thread};

use crate::process;
use crate::raw::Raw;
use crate::support;
use crate::support::scratch::{Scratch, gzip, plain_log};

#[test]
fn forked_child_closes_a_source_that_the_parent_reads_to_the_end() {
    let _lock = process::lock();
    let scratch = Scratch::new("fork");
    for number in 0..20 {
        let log = plain_log(&format!("{number}-"), 2000);
        scratch.write(&format!("{number}.json.gz"), &gzip(&log));
    }
    let raw = Raw::load(&support::library(), c"{}");
    for _ in 0..10 {
        let opened = raw.open(scratch.path().to_str().expect("UTF-8"));
        let mut events = raw.next_batch(opened).len();
        // SAFETY: the child calls only functions of the plugin, which support that, and then `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork failed");
        if child == 0 {
            raw.close(opened);
            drop(raw);
            // SAFETY: `_exit` is always safe; it skips the parent's destructors and exit handlers.
            unsafe { libc::_exit(0) };
        }
        let started = Instant::now();
        let mut status = -1;
        // SAFETY: `status` outlives the call.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            if started.elapsed() > Duration::from_secs(10) {
                // SAFETY: the child is not reaped yet, so its id is not reused.
                unsafe { libc::kill(child, libc::SIGKILL) };
                // SAFETY: a NULL status pointer is allowed.
                unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
                panic!("close hangs in the child");
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(status, 0, "exit status of the child");
        loop {
            match raw.next_batch(opened).len() {
                0 => break,
                more => events += more,
            }
        }
        assert_eq!(events, 20 * 2000);
        raw.close(opened);
    }
}
