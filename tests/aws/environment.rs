//! A private Python environment with the test servers, installed once for all test binaries.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const MINISTACK: &str = "ministack==1.5.33";
const MOTO: &str = "moto[server]==5.2.5";

/// The Python with the servers, installed by the first call.
pub fn python() -> &'static Path {
    static PYTHON: LazyLock<PathBuf> = LazyLock::new(installed);
    &PYTHON
}

fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-servers");
    let python = folder.join("bin/python");
    let complete = folder.join(format!("complete-{MINISTACK}-{MOTO}"));
    // Test binaries may run concurrently, also from several checkouts that share a target directory.
    let lock = File::create(folder.with_extension("lock")).expect("a file to lock");
    lock.lock().expect("a lock on that file");
    if complete.is_file() {
        return python;
    }
    let pip = ["-m", "pip", "install", "--quiet", MINISTACK, MOTO];
    let done = run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))
    .and_then(|()| run(Command::new(&python).args(pip)))
    .and_then(|()| fs::write(&complete, "").map_err(|error| error.to_string()));
    if let Err(reason) = done {
        panic!(
            "the test servers cannot be installed: {reason}\nAfter correcting the cause, check with the command that installs them:\n  \
             python3 -m venv --clear {folder} && {python} -m pip install {MINISTACK} '{MOTO}' && touch '{complete}'",
            folder = folder.display(),
            python = python.display(),
            complete = complete.display(),
        );
    }
    python
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
