//! Where the plugin library lies that belongs to an executable.
#![forbid(unsafe_code)]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The path of `libcloudtrail.so` (`.dylib` on macOS) that was installed or built together with `exe`: beside it,
/// or in the `deps` folder beside it, where Cargo leaves a library that it built only because a binary or a test
/// needs it. Of several the newest wins, since an older build may lie in the other place. Tests and benches live
/// in `deps` themselves and are served too. Where there is none, the path beside the executable is returned, so
/// that the error of loading it names that.
pub fn library_beside(exe: &Path) -> PathBuf {
    let file = format!("{DLL_PREFIX}cloudtrail{DLL_SUFFIX}");
    let mut folder = exe.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().unwrap_or(folder);
    }
    let beside = folder.join(&file);
    [beside.clone(), folder.join("deps").join(&file)]
        .into_iter()
        .filter_map(|path| Some((modified(&path)?, path)))
        .max()
        .map_or(beside, |(_, path)| path)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
