//! The file of `s3State`: keeps what was read over restarts.
//!
//! The first line is a JSON object that describes the file; the second one holds the positions. The file is replaced as a
//! whole, so it is never seen half written. A lock on a file beside it refuses a second instance. Both stand beside the
//! file itself, not beside a symbolic link to it.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::positions::{Positions, SavedPositions};
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;
use crate::log::{Log, Severity};
use crate::pipeline::thread_start_error;

/// Version of the format.
const VERSION: u32 = 1;

/// Maximum size of the file in bytes; the bounds of [`Positions`] keep it below.
const MAX_BYTES: u64 = 256 << 20;

/// Shortest time between two saves. A kill repeats what was delivered since the last one.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// A save that takes long delays the next one by this multiple of its duration.
const SAVE_SHARE: u32 = 20;

/// Symbolic links that lead to the file, at most; as many as Linux follows.
const MAX_LINKS: usize = 40;

/// Longest wait for a change, which ends with the source too.
const WAIT: Duration = Duration::from_secs(3600);

/// Steps in which the next save is waited for.
const STEP: Duration = Duration::from_millis(100);

/// What a state file belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateBinding {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    /// Sorted; empty for all accounts.
    pub(crate) accounts: Vec<String>,
    /// Text of `s3Interval`.
    pub(crate) interval: String,
}

/// The first line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// Version of the format.
    s3_state: u32,
    #[serde(flatten)]
    binding: StateBinding,
    /// Start and end of the interval when the file was created, in seconds since the epoch.
    start: Option<i64>,
    end: Option<i64>,
    /// CRC-32 of both lines, with 0 in this place.
    crc32: u32,
}

/// A locked state file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    binding: StateBinding,
    /// Start and end of the interval.
    pub(crate) interval: (Option<i64>, Option<i64>),
    /// Unlocked when it is closed.
    _lock: File,
    saved: Option<SavedPositions>,
}

impl StateFile {
    /// Locks and reads the file at `path`; creates it if there is none, with the interval given as start and end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] if another instance uses the file, or if it is damaged, belongs to something else or cannot
    /// be written.
    pub(crate) fn open(
        path: &str,
        binding: StateBinding,
        interval: (Option<i64>, Option<i64>),
    ) -> Result<StateFile> {
        let shown = quoted(path);
        let error = |problem: String| {
            Error::new(ErrorKind::OpenParams, format!("s3State: {shown} {problem}"))
        };
        let path = resolved(Path::new(path)).map_err(|cause| {
            error(format!(
                "cannot be used: {cause}; name a file in a folder that exists"
            ))
        })?;
        for file in [&path, &beside(&path, ".lock")] {
            if let Some(kind) = special_kind(file) {
                let place = quoted(&file.to_string_lossy());
                return Err(error(format!(
                    "cannot be used: {place} is {kind}; name a regular file, or one that does not exist"
                )));
            }
        }
        let lock = lock(&path).map_err(|cause| match cause {
            TryLockError::WouldBlock => error(
                "is in use by another instance; stop that one, or give each its own file"
                    .to_owned(),
            ),
            TryLockError::Error(cause) => error(format!(
                "cannot be locked: {cause}; name a file in a folder that Falco may write to"
            )),
        })?;
        let mut file = StateFile {
            path,
            binding,
            interval,
            _lock: lock,
            saved: None,
        };
        if let Some(bytes) = read(&file.path).map_err(|cause| {
            error(format!(
                "cannot be read: {cause}; let Falco's user read it, or name another file"
            ))
        })? {
            let remove = "remove it to start anew, or restore it from a backup";
            let (header, saved) = parse(&bytes)
                .map_err(|problem| error(format!("is damaged: {problem}; {remove}")))?;
            if let Some(difference) = header.binding.difference(&file.binding) {
                return Err(error(format!(
                    "belongs to another source: {difference}; name another file, or remove this one to start anew"
                )));
            }
            file.interval = (header.start, header.end);
            file.saved = Some(saved);
        }
        let saved = file.saved.take().unwrap_or_default();
        // Proves now that it can be written.
        file.write(&saved).map_err(|cause| {
            error(format!(
                "cannot be written: {cause}; name a file in a folder that Falco may write to"
            ))
        })?;
        file.saved = Some(saved);
        Ok(file)
    }

    /// What was read, as the file had it when it was opened.
    pub(super) fn take_saved(&mut self) -> SavedPositions {
        self.saved.take().unwrap_or_default()
    }

    /// Replaces the content of the file.
    fn write(&self, saved: &SavedPositions) -> io::Result<()> {
        let header = Header {
            s3_state: VERSION,
            binding: self.binding.clone(),
            start: self.interval.0,
            end: self.interval.1,
            crc32: 0,
        };
        let text = encode(header, saved)?;
        let draft = beside(&self.path, ".tmp");
        // A draft of a killed instance, or a symbolic link, whose target must not be written.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let place = quoted(&draft.to_string_lossy());
                return Err(io::Error::other(format!(
                    "{place} cannot be removed: {error}"
                )));
            }
            _ => {}
        }
        let mut file = guarded(OpenOptions::new().write(true).create_new(true)).open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&draft, &self.path)?;
        sync_folder(&self.path)
    }

    /// Removes the file and its lock.
    fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        fs::remove_file(beside(&self.path, ".lock"))
    }
}

impl StateBinding {
    /// Describes the first difference to `other`, which is what the configuration says.
    fn difference(&self, other: &StateBinding) -> Option<String> {
        let accounts = |binding: &StateBinding| binding.accounts.join(",");
        let pairs = [
            ("bucket", self.bucket.clone(), other.bucket.clone()),
            ("prefix", self.prefix.clone(), other.prefix.clone()),
            ("s3AccountList", accounts(self), accounts(other)),
            ("s3Interval", self.interval.clone(), other.interval.clone()),
        ];
        let different = pairs.into_iter().find(|(_, saved, new)| saved != new);
        different.map(|(name, saved, new)| {
            format!(
                "its {name} is {}, the source's is {}",
                quoted(&saved),
                quoted(&new)
            )
        })
    }
}

/// Saves positions on a thread of its own whenever they change. The last save is made on drop.
pub(super) struct Saver {
    positions: Arc<Positions>,
    stop: Arc<AtomicBool>,
    finished: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    pub(super) fn start(
        file: StateFile,
        positions: &Arc<Positions>,
        log: &Arc<Log>,
    ) -> Result<Saver> {
        let stop = Arc::new(AtomicBool::new(false));
        let finished = Arc::new(AtomicBool::new(false));
        let (positions, log) = (Arc::clone(positions), Arc::clone(log));
        let shared = (
            Arc::clone(&positions),
            Arc::clone(&stop),
            Arc::clone(&finished),
        );
        let thread = thread::Builder::new()
            .name("ct-state".to_owned())
            .spawn(move || {
                let (positions, stop, finished) = shared;
                save_until(&file, &positions, &log, &stop, &finished);
            })
            .map_err(|error| Error::new(ErrorKind::Resources, thread_start_error(&error)))?;
        Ok(Saver {
            positions,
            stop,
            finished,
            thread: Some(thread),
        })
    }

    /// Removes the file instead of a last save: everything was read.
    pub(super) fn finish(self) {
        self.finished.store(true, Ordering::Release);
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.positions.end_waits();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn save_until(
    file: &StateFile,
    positions: &Positions,
    log: &Log,
    stop: &AtomicBool,
    finished: &AtomicBool,
) {
    let mut saved_version = 0;
    let mut next = Instant::now();
    let mut failing = false;
    loop {
        let stopped = stop.load(Ordering::Acquire);
        if stopped && finished.load(Ordering::Acquire) {
            if let Err(error) = file.remove() {
                let path = quoted(&file.path.to_string_lossy());
                log.line(
                    Severity::Warning,
                    format_args!("s3State: {path} cannot be removed: {error}; remove it before the next sweep"),
                );
            }
            return;
        }
        let now = Instant::now();
        let version = match now < next && !stopped {
            // Not yet: waits in short steps, so that a stop is noticed.
            true => {
                thread::sleep((next - now).min(STEP));
                continue;
            }
            false if stopped => positions.wait_changed(saved_version, Duration::ZERO),
            false => positions.wait_changed(saved_version, WAIT),
        };
        if version != saved_version {
            let began = Instant::now();
            let (snapshot, version) = positions.snapshot();
            match file.write(&snapshot) {
                Ok(()) => {
                    saved_version = version;
                    if std::mem::take(&mut failing) {
                        log.line(Severity::Info, "s3State: the file is written again");
                    }
                }
                Err(error) => {
                    failing = true;
                    let path = quoted(&file.path.to_string_lossy());
                    log.limited(
                        "s3State",
                        Severity::Error,
                        format_args!("s3State: {path} cannot be written: {error}; retrying, a restart would repeat events"),
                    );
                }
            }
            next = Instant::now() + SAVE_INTERVAL.max(began.elapsed() * SAVE_SHARE);
        }
        if stopped {
            return;
        }
    }
}

/// The content of a file.
fn encode(mut header: Header, saved: &SavedPositions) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(saved)?;
    header.crc32 = checksum(&mut header, &body)?;
    let mut text = serde_json::to_vec(&header)?;
    text.push(b'\n');
    text.extend(body);
    text.push(b'\n');
    Ok(text)
}

/// The checksum of a file. A damaged key of the header would otherwise be a missing one.
fn checksum(header: &mut Header, body: &[u8]) -> io::Result<u32> {
    header.crc32 = 0;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&serde_json::to_vec(header)?);
    hasher.update(body);
    Ok(hasher.finalize())
}

fn parse(bytes: &[u8]) -> std::result::Result<(Header, SavedPositions), String> {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (head, body) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let mut header: Header = serde_json::from_slice(head)
        .map_err(|error| format!("its first line is no header ({error})"))?;
    if header.s3_state != VERSION {
        let version = header.s3_state;
        return Err(format!(
            "its version is {version}, this plugin reads {VERSION}"
        ));
    }
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let stated = header.crc32;
    if checksum(&mut header, body).ok() != Some(stated) {
        return Err("its checksum does not match".to_owned());
    }
    let saved = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok((header, saved))
}

/// The content of the file; `None` if there is no such file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match guarded(OpenOptions::new().read(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    Ok(Some(bytes))
}

/// Locks the file beside `path`. Another instance may remove that file between its opening and its locking, so the locked
/// file must still be the one in place.
fn lock(path: &Path) -> std::result::Result<File, TryLockError> {
    let place = beside(path, ".lock");
    loop {
        let file =
            guarded(OpenOptions::new().write(true).create(true).truncate(false)).open(&place);
        let file = file.map_err(TryLockError::Error)?;
        file.try_lock()?;
        if is_in_place(&file, &place) {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_in_place(file: &File, place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(place)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_in_place(_: &File, place: &Path) -> bool {
    place.exists()
}

/// Options for files of this module. Names of keys may be confidential: only the owner reads them. Links were resolved
/// before, so one that appears later is not followed, and a pipe does not block.
#[cfg(unix)]
fn guarded(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
}

#[cfg(not(unix))]
fn guarded(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// The file that `path` leads to, which may not exist yet, by a path without symbolic links.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        // An error: it is no link, or there is nothing.
        if let Ok(target) = fs::read_link(&path) {
            path = folder_of(&path).join(target);
            continue;
        }
        let name = path.file_name();
        let name = name.ok_or_else(|| io::Error::other("it names no file"))?;
        return Ok(fs::canonicalize(folder_of(&path))?.join(name));
    }
    Err(io::Error::other("it is a symbolic link that leads nowhere"))
}

/// Whether the state file at `state`, or one that stands beside it, is the file at `other`.
pub(crate) fn is_used_by_state(state: &str, other: &str) -> bool {
    let (Ok(state), Ok(other)) = (resolved(Path::new(state)), resolved(Path::new(other))) else {
        return false;
    };
    let beside = [".tmp", ".lock"].map(|suffix| beside(&state, suffix));
    other == state || beside.contains(&other)
}

/// What stands at `path` instead of a regular file.
fn special_kind(path: &Path) -> Option<&'static str> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    match (kind.is_file(), kind.is_dir(), kind.is_symlink()) {
        (true, ..) => None,
        (_, true, _) => Some("a directory"),
        (_, _, true) => Some("a symbolic link"),
        _ => Some("a pipe, socket or device"),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the renaming of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        let header = Header {
            s3_state: VERSION,
            binding: StateBinding {
                bucket: "trail".to_owned(),
                prefix: "AWSLogs/".to_owned(),
                accounts: vec!["111122223333".to_owned()],
                interval: "1d".to_owned(),
            },
            start: Some(1_768_381_200),
            end: None,
            crc32: 0,
        };
        encode(header, &SavedPositions::default()).expect("memory")
    }

    #[test]
    fn damaged_byte_is_noticed_or_changes_nothing() {
        let content = content();
        let (_, saved) = parse(&content).expect("a sound file");
        assert_eq!(saved, SavedPositions::default());
        // The last byte is the end of the last line, which may be missing.
        for at in 0..content.len() - 1 {
            for bit in 0..8 {
                let mut damaged = content.clone();
                damaged[at] ^= 1 << bit;
                let shown = String::from_utf8_lossy(&damaged);
                if let Ok((header, saved)) = parse(&damaged) {
                    // The key of a member that is null anyway.
                    let same = encode(header, &saved).expect("memory");
                    assert!(same == content, "byte {at}: {shown}");
                }
            }
            assert!(parse(&content[..at]).is_err(), "cut at {at}");
        }
    }
}
