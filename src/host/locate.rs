//! Finds the plugin library that was built or installed with an executable.
#![forbid(unsafe_code)]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Path of the library `name` (a file `lib<name>.so`, or `.dylib` on macOS) that belongs to the executable `exe`.
///
/// Searches the executable's directory and the `deps` directory in it, where Cargo leaves a library that it built
/// only as a dependency of a binary or test. The newer file wins, because the other may be left from an older
/// build. Executables in `deps` or `examples`, such as tests and benches, start from the parent directory. If
/// neither file exists, the result is the path next to the executable, for the loader's error message.
pub fn library_beside(exe: &Path, name: &str) -> PathBuf {
    let file = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    let mut directory = exe.parent().unwrap_or(Path::new("."));
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory = directory.parent().unwrap_or(directory);
    }
    let beside = directory.join(&file);
    [beside.clone(), directory.join("deps").join(&file)]
        .into_iter()
        .filter_map(|path| Some((modified(&path)?, path)))
        .max()
        .map_or(beside, |(_, path)| path)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
