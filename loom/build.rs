//! Takes the plugin's own source files and replaces the standard library's locks, atomics and threads by loom's.

use std::env;
use std::fs;
use std::path::Path;

/// A file, and what stands in it and in the copy.
const FILES: [(&str, &[(&str, &str)]); 2] = [
    (
        "memory_budget/mod.rs",
        &[
            (
                "use std::sync::atomic::{AtomicU64, Ordering::Relaxed};",
                "use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};",
            ),
            // `Waker` needs the standard library's `Arc`.
            (
                "use std::sync::{Arc, Mutex, MutexGuard, PoisonError};",
                "use loom::sync::{Mutex, MutexGuard};\nuse std::sync::{Arc, PoisonError};",
            ),
            (
                "use std::thread::{self, Thread};",
                "use loom::thread::{self, Thread};",
            ),
            // loom has no `get_mut`.
            ("*self.bytes.get_mut()", "self.bytes.load(Relaxed)"),
        ],
    ),
    (
        "ack.rs",
        &[(
            "use std::sync::{Arc, Mutex, PoisonError};",
            "use loom::sync::{Arc, Mutex};\nuse std::sync::PoisonError;",
        )],
    ),
];

fn main() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/object");
    let target = env::var("OUT_DIR").expect("Cargo sets it");
    println!("cargo:rerun-if-changed=build.rs");
    for (name, replacements) in FILES {
        let path = sources.join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        let mut text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (from, to) in replacements {
            assert_eq!(text.matches(from).count(), 1, "{}: {from}", path.display());
            text = text.replace(from, to);
        }
        // Unit tests run without loom. Comments and attributes of the file are not allowed in an included one.
        let (code, _tests) = text.split_once("#[cfg(test)]").expect("tests at the end");
        let code: String = code
            .lines()
            .filter(|line| !line.starts_with("//!") && !line.starts_with("#!["))
            .map(|line| format!("{line}\n"))
            .collect();
        let copy = Path::new(&target).join(name.replace('/', "_"));
        fs::write(&copy, code).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    }
}
