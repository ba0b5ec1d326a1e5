//! A private Python environment with the test servers, made once for all test binaries.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const MINISTACK: &str = "ministack==1.5.33";
const MOTO: &str = "moto[server]==5.2.5";

/// The Python that has the servers, installed at the first call on this machine.
pub fn python() -> &'static Path {
    static PYTHON: LazyLock<PathBuf> = LazyLock::new(installed);
    &PYTHON
}

fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-servers");
    let python = folder.join("bin/python");
    let complete = folder.join(format!("complete-{MINISTACK}-{MOTO}"));
    // Test binaries run beside each other, from other checkouts too where they share a target directory.
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
            "the servers for these tests cannot be installed: {reason}\nPut it right, and check with this command, which is all there is to it:\n  \
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
