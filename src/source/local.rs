//! Finds the log files at a local path.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Log, Severity};
use crate::object::{Content, Object};
use crate::object_key;
use crate::pipeline::ObjectSender;

/// Stored bytes after which a job takes no further file.
const JOB_BYTES: u64 = 256 << 10;

/// Files after which a job takes no further one.
const JOB_FILES: usize = 64;

/// Log files in the order in which they are read.
#[derive(Debug)]
pub struct Files {
    files: Vec<(PathBuf, u64)>,
}

impl Files {
    /// The file at `path`, or all log files in the folders below it, sorted by path.
    ///
    /// Fails where there is nothing at `path`, nothing that can be read, or no log file.
    pub fn at(path: &Path, insights: bool, log: &Log) -> Result<Files> {
        let refused = |what: String| {
            let path = Escaped(path.to_string_lossy());
            Error::new(
                ErrorKind::OpenParams,
                format!("open parameters '{path}': {what}"),
            )
        };
        let metadata = fs::metadata(path).map_err(|error| {
            let wanted = match path.to_string_lossy().contains("://") {
                true => "s3://<bucket>[/<prefix>] and sqs://<queue> are known, all else is a path",
                false => "give a log file or a folder of log files",
            };
            refused(format!("cannot be opened: {error}; {wanted}"))
        })?;
        if metadata.is_file() {
            File::open(path).map_err(|error| refused(format!("cannot be opened: {error}")))?;
            return Ok(Files {
                files: vec![(path.to_owned(), metadata.len())],
            });
        }
        if !metadata.is_dir() {
            return Err(refused("is neither a file nor a folder".to_owned()));
        }
        fs::read_dir(path).map_err(|error| refused(format!("cannot be listed: {error}")))?;
        let files = walk(path, insights, log);
        if files.is_empty() {
            return Err(refused(
                "holds no log file; log files end in .json, .json.gz or .gz".to_owned(),
            ));
        }
        Ok(Files { files })
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Stored bytes of all files, as far as it was known when they were listed.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Pushes all files, small ones several to a job.
    pub fn feed(self, mut feed: ObjectSender) {
        let mut job = Vec::new();
        let mut bytes = 0;
        for (path, size) in self.files {
            job.push(Object {
                name: path.to_string_lossy().into_owned(),
                content: Content::File(path),
                ack: None,
            });
            bytes += size;
            if bytes >= JOB_BYTES || job.len() >= JOB_FILES {
                bytes = 0;
                if !feed.push(std::mem::take(&mut job)) {
                    return;
                }
            }
        }
        if job.is_empty() || feed.push(job) {
            feed.finish();
        }
    }
}

/// All log files below `root`. Links are followed, but no folder is read twice: links can make more paths than there is
/// time for.
fn walk(root: &Path, insights: bool, log: &Log) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let entries = WalkDir::new(root)
        .follow_links(true)
        // A folder's own before what it links to.
        .sort_by_key(DirEntry::path_is_symlink)
        .into_iter()
        .filter_entry(|entry| {
            let folder = entry
                .file_type()
                .is_dir()
                .then(|| identity(entry))
                .flatten();
            folder.is_none_or(|folder| seen.insert(folder))
        });
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                note(&error, root, log);
                continue;
            }
        };
        if !entry.file_type().is_file()
            || !object_key::is_log(&entry.path().to_string_lossy(), insights)
        {
            continue;
        }
        let size = entry.metadata().map_or(0, |metadata| metadata.len());
        files.push((entry.into_path(), size));
    }
    // Byte by byte, as S3 lists keys; a path's own order would compare folder by folder.
    files.sort_unstable_by(|(a, _), (b, _)| {
        a.as_os_str()
            .as_encoded_bytes()
            .cmp(b.as_os_str().as_encoded_bytes())
    });
    files
}

/// Logs what cannot be listed.
fn note(error: &walkdir::Error, root: &Path, log: &Log) {
    if error.loop_ancestor().is_some() {
        // The folder that the link leads back to is read.
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

/// What tells one folder from all others, by whatever path it was found.
#[cfg(unix)]
fn identity(folder: &DirEntry) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = folder.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(folder: &DirEntry) -> Option<PathBuf> {
    folder.path().canonicalize().ok()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_that_cannot_be_reached_are_named_as_lost_and_loops_are_not() {
        let folder = std::env::temp_dir().join(format!("cloudtrail-{}-walk", std::process::id()));
        fs::create_dir_all(folder.join("inner")).expect("a folder");
        fs::write(folder.join("a.json"), "{}").expect("a file");
        symlink("nowhere", folder.join("gone.json")).expect("a link");
        symlink("..", folder.join("inner/loop")).expect("a link");
        let log = Log::default();
        let files = Files::at(&folder, false, &log).expect("a log file");
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
        fs::remove_dir_all(&folder).expect("my own folder");
    }
}
