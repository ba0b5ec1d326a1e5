//! What this process has: threads of the plugin, descriptors and memory.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Serializes the tests that open sources, because these figures are the process's.
pub fn lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads of the plugin.
pub fn plugin_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ct-")).count()
}

/// All threads.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// Open file descriptors.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// Resident memory in KiB.
pub fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let used = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let used = used.and_then(|used| used.trim().strip_suffix(" kB"));
    used.expect("VmRSS in kB").parse().expect("a number")
}
