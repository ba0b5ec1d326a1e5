//! CPU time and memory of this process, as the system counts them.

use std::fs;
use std::mem::MaybeUninit;
use std::process::Child;
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

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resources {
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Context switches of all its threads, voluntary and not.
    pub switches: u64,
}

impl Resources {
    /// Those of this process so far.
    pub fn so_far() -> Resources {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: the pointer is valid for a write of the struct.
        let rc = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        assert_eq!(rc, 0, "the system counts resources");
        // SAFETY: the call returned 0, so it has initialized the struct.
        Resources::of(unsafe { usage.assume_init() })
    }

    /// Waits for `child` to end with success. What it has used in all.
    pub fn of_child(child: Child) -> Resources {
        let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
        // SAFETY: the process is a child of this one that was not waited for; both pointers are valid for a write.
        let waited = unsafe {
            let id = child.id() as libc::pid_t;
            libc::wait4(id, &mut status, 0, usage.as_mut_ptr())
        };
        let ended = waited > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
        assert!(ended, "a measured process failed");
        // SAFETY: `wait4` has succeeded, so it has initialized the struct.
        Resources::of(unsafe { usage.assume_init() })
    }

    fn of(usage: libc::rusage) -> Resources {
        let time =
            |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
        Resources {
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            switches: (usage.ru_nvcsw + usage.ru_nivcsw) as u64,
        }
    }

    /// What was used since `before`.
    pub fn since(self, before: Resources) -> Resources {
        Resources {
            cpu: self.cpu - before.cpu,
            switches: self.switches - before.switches,
        }
    }
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
