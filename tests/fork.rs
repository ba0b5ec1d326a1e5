//! A process that forks while a source is open: the child may close it, and the parent reads on.

mod oracle;
mod raw;
mod support;

use std::time::{Duration, Instant};
use std::{ptr, thread};

use raw::Raw;
use support::scratch::{Scratch, gzip, plain_log};

#[test]
fn forked_child_closes_the_source_at_once_and_the_parent_reads_it_to_the_end() {
    let scratch = Scratch::new("fork");
    for number in 0..20 {
        let log = plain_log(&format!("{number}-"), 2000);
        scratch.write(&format!("{number}.json.gz"), &gzip(&log));
    }
    let raw = Raw::load(&support::library(), c"{}");
    for _ in 0..10 {
        let opened = raw.open(scratch.path().to_str().expect("UTF-8"));
        let mut events = raw.next_batch(opened).len();
        // SAFETY: the child calls the plugin's functions only, which must bear that, and ends without more.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "no child");
        if child == 0 {
            raw.close(opened);
            drop(raw);
            // SAFETY: ends this process without running what belongs to the parent.
            unsafe { libc::_exit(0) };
        }
        let started = Instant::now();
        let mut status = -1;
        // SAFETY: waits for the child above, with a pointer that may be NULL or lives.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            if started.elapsed() > Duration::from_secs(10) {
                // SAFETY: the child above, which has not been waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                // SAFETY: as above.
                unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
                panic!("closing hangs in the child");
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(status, 0, "the child ends by itself");
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
