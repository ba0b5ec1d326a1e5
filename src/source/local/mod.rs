//! Finds the log files at a local path.
#![forbid(unsafe_code)]

mod follow;

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::{DirEntry, WalkDir};

pub(crate) use self::follow::FollowedFolder;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Log, Severity};
use crate::object::{Content, Object};
use crate::object_key;
use crate::pipeline::ObjectSender;

/// Stored bytes of a job, from which on it takes no further file.
const JOB_BYTES: u64 = 256 << 10;

/// Maximum number of files of a job.
const JOB_FILES: usize = 64;

/// Log files of a path, in delivery order.
#[derive(Debug)]
pub struct LocalFiles {
    files: Vec<LocalFile>,
}

#[derive(Debug)]
struct LocalFile {
    path: PathBuf,
    /// Size in bytes when it was found.
    size: u64,
    /// Time of the last modification; `None` if the file system does not know it.
    modified: Option<SystemTime>,
}

impl LocalFiles {
    /// Finds the file at `path`, or all log files in the directory tree below it, sorted by path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] if `path` does not exist, cannot be read, or has no log file.
    pub fn at(path: &Path, insights: bool, log: &Log) -> Result<LocalFiles> {
        let error = |problem: String| {
            let path = Escaped(path.to_string_lossy());
            Error::new(
                ErrorKind::OpenParams,
                format!("open parameters '{path}': {problem}"),
            )
        };
        let metadata = fs::metadata(path).map_err(|cause| {
            error(format!(
                "cannot be opened: {cause}; use the path of a log file or of a directory of log files"
            ))
        })?;
        if metadata.is_file() {
            File::open(path).map_err(|cause| error(format!("cannot be opened: {cause}")))?;
            return Ok(LocalFiles {
                files: vec![LocalFile {
                    path: path.to_owned(),
                    size: metadata.len(),
                    modified: metadata.modified().ok(),
                }],
            });
        }
        if !metadata.is_dir() {
            return Err(error("is neither a file nor a directory".to_owned()));
        }
        fs::read_dir(path).map_err(|cause| error(format!("cannot be listed: {cause}")))?;
        let files = walk(path, insights, |error| report(error, path, log));
        if files.is_empty() {
            return Err(error(
                "no log file found; log files end in .json, .json.gz or .gz".to_owned(),
            ));
        }
        Ok(LocalFiles { files })
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Stored bytes of all files at the time of listing.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Sends all files to the pipeline.
    pub fn feed(self, mut feed: ObjectSender) {
        if send(self.files, &mut feed) {
            feed.finish();
        }
    }
}

/// Sends files to the pipeline, several small ones in one job. Returns `false` if the source is closed.
fn send(files: impl IntoIterator<Item = LocalFile>, feed: &mut ObjectSender) -> bool {
    let mut job = Vec::new();
    let mut bytes = 0;
    for file in files {
        job.push(Object {
            name: file.path.to_string_lossy().into_owned(),
            content: Content::File(file.path),
            ack: None,
        });
        bytes += file.size;
        if bytes >= JOB_BYTES || job.len() >= JOB_FILES {
            bytes = 0;
            if !feed.push(std::mem::take(&mut job)) {
                return false;
            }
        }
    }
    job.is_empty() || feed.push(job)
}

/// All log files below `root`. Follows symbolic links, but visits each directory once: links can create exponentially
/// many paths. `failed` gets the entries that cannot be read.
fn walk(root: &Path, insights: bool, mut failed: impl FnMut(&walkdir::Error)) -> Vec<LocalFile> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let entries = WalkDir::new(root)
        .follow_links(true)
        // Real entries before links, so that a directory is visited by its own path.
        .sort_by_key(DirEntry::path_is_symlink)
        .into_iter()
        .filter_entry(|entry| {
            let directory = entry
                .file_type()
                .is_dir()
                .then(|| identity(entry))
                .flatten();
            directory.is_none_or(|directory| seen.insert(directory))
        });
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                failed(&error);
                continue;
            }
        };
        if !entry.file_type().is_file()
            || !object_key::is_log(&entry.path().to_string_lossy(), insights)
        {
            continue;
        }
        let metadata = entry.metadata().ok();
        files.push(LocalFile {
            size: metadata.as_ref().map_or(0, |metadata| metadata.len()),
            modified: metadata.and_then(|metadata| metadata.modified().ok()),
            path: entry.into_path(),
        });
    }
    // By bytes, as S3 lists keys; `Path` compares by component.
    files.sort_unstable_by(|a, b| {
        let (a, b) = (a.path.as_os_str(), b.path.as_os_str());
        a.as_encoded_bytes().cmp(b.as_encoded_bytes())
    });
    files
}

/// Logs an entry that cannot be listed.
fn report(error: &walkdir::Error, root: &Path, log: &Log) {
    if error.loop_ancestor().is_some() {
        // Nothing is lost: the link's target is visited by its own path.
        let line = format_args!("{error}; the link is not followed");
        return log.limited("links", Severity::Warning, line);
    }
    let path = error.path().unwrap_or(root).to_string_lossy();
    let cause = match error.io_error() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    log.lost(&path, &cause, "not read");
}

/// Identity of a directory, independent of its path.
#[cfg(unix)]
fn identity(directory: &DirEntry) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = directory.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(directory: &DirEntry) -> Option<PathBuf> {
    directory.path().canonicalize().ok()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn unreachable_files_are_reported_as_lost_and_link_loops_are_not() {
        let directory =
            std::env::temp_dir().join(format!("cloudtrail-{}-walk", std::process::id()));
        fs::create_dir_all(directory.join("inner")).expect("a directory");
        fs::write(directory.join("a.json"), "{}").expect("a file");
        symlink("nowhere", directory.join("gone.json")).expect("a link");
        symlink("..", directory.join("inner/loop")).expect("a link");
        let log = Log::default();
        let files = LocalFiles::at(&directory, false, &log).expect("a log file");
        assert_eq!(files.len(), 1);
        let lines = log.take();
        let lost: Vec<_> = lines
            .iter()
            .filter(|(severity, _)| *severity == Severity::Error)
            .collect();
        assert_eq!(lost.len(), 1, "{lines:?}");
        let line = &lost[0].1;
        assert!(
            line.contains("gone.json: No such file") && line.ends_with("; not read"),
            "{line}"
        );
        fs::remove_dir_all(&directory).expect("the directory is removed");
    }
}
