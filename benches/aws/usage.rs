//! What this process has used so far, as the system counts it.

use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Processor time of all threads of this process, ended ones included.
pub fn process_cpu() -> Duration {
    cpu(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    cpu(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` has room for what is written.
    let failed = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert_eq!(failed, 0, "the system counts processor time");
    // SAFETY: the call did not fail, as checked above, and so has written it.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A line of the kernel's account of this process in KiB, as `VmHWM` (the most memory so far) or `VmRSS` (now).
pub fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let number = found.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
