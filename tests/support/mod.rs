//! Shared by all tests of the plugin library: finds and loads it, and reads a source to its end.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod falco;
pub mod field_reader;
pub mod rules;
pub mod scratch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cloudtrail::host::{Event, Plugin, Status, library_beside};

/// The plugin library that was built with this test.
pub fn library() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this test");
    let path = library_beside(&exe, "cloudtrail");
    assert!(
        path.is_file(),
        "{} is missing; run `cargo build --lib`",
        path.display()
    );
    path
}

/// The plugin with this init configuration.
pub fn plugin(config: &str) -> Plugin {
    let library = library();
    Plugin::load(&library, config).unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}

/// A path below `testdata/`.
pub fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(path)
}

/// All files below a folder, sorted by path.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect::<Vec<_>>();
    files.sort();
    files
}

/// Opens `path`, passes every event to `visit`, and returns their number.
pub fn each_event(plugin: &Plugin, path: &Path, mut visit: impl FnMut(Event)) -> usize {
    let open_params = path.to_str().expect("a path that is UTF-8");
    let mut capture = plugin
        .open(open_params)
        .unwrap_or_else(|error| panic!("{open_params}: {error}"));
    let started = Instant::now();
    let mut count = 0;
    loop {
        let (status, events) = capture
            .next_batch()
            .unwrap_or_else(|error| panic!("{open_params}: next_batch failed: {error}"));
        for event in events {
            visit(event);
            count += 1;
        }
        if status == Status::Eof {
            return count;
        }
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{open_params}: no end after two minutes"
        );
    }
}

/// The payloads of all events below `path`.
pub fn payloads(plugin: &Plugin, path: &Path) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    each_event(plugin, path, |event| {
        payloads.push(event.payload().to_vec());
    });
    payloads
}
