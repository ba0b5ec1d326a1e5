//! CPU time and memory of this process, as the system counts them.

use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

/// CPU time of all threads of this process, including those that have ended.
pub fn process_cpu() -> Duration {
    cpu(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    cpu(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for a write of the struct.
    let rc = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert_eq!(rc, 0, "the system counts CPU time");
    // SAFETY: the call returned 0, so it has initialized the struct.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A line of `/proc/self/status` in KiB, such as `VmHWM` (peak resident memory) or `VmRSS` (current).
pub fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let number = found.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
