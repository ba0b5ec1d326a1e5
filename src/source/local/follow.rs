//! `s3Follow` for a folder: polls it for new files.
#![forbid(unsafe_code)]

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{LocalFile, send, walk};
use crate::log::{Escaped, Log, Severity};
use crate::pipeline::ObjectSender;

/// Maximum number of files whose state is remembered: 64 MiB.
const MAX_FILES: usize = 1_000_000;

/// Maximum number of paths of which it is known that their failure was logged.
const MAX_FAILING: usize = 10_000;

/// Interval at which a waiting poll checks whether the source was closed.
const CHECK_CLOSED: Duration = Duration::from_millis(50);

/// A folder that is read as files appear in it.
pub(crate) struct FollowedFolder {
    root: PathBuf,
    insights: bool,
    interval: Duration,
    log: Arc<Log>,
    seen: SeenFiles,
    /// Hashes of the paths that failed in the last poll, which was logged.
    failing: HashSet<u64>,
}

/// The files of the last poll, by the hash of their path: two paths with one hash are as good as impossible.
struct SeenFiles {
    files: HashMap<u64, SeenFile>,
    hasher: RandomState,
    limit: usize,
    /// Number of the poll.
    poll: u32,
}

#[derive(Clone, Copy)]
struct SeenFile {
    size: u64,
    modified: Option<SystemTime>,
    /// The poll that found it last.
    poll: u32,
    /// It was read as it is.
    read: bool,
}

/// What a poll makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Complete, and to be read.
    Read,
    /// Read before, or perhaps still being written.
    Wait,
    /// There are too many files.
    TooMany,
}

impl FollowedFolder {
    /// The folder at `path`; `None` if that is a single file or cannot be listed, which opening it without `s3Follow`
    /// reports.
    pub(crate) fn at(
        path: &Path,
        insights: bool,
        interval: Duration,
        log: &Arc<Log>,
    ) -> Option<FollowedFolder> {
        fs::read_dir(path).ok()?;
        Some(FollowedFolder {
            root: path.to_owned(),
            insights,
            interval,
            log: Arc::clone(log),
            seen: SeenFiles::new(MAX_FILES),
            failing: HashSet::new(),
        })
    }

    /// Sends files to the pipeline until the source is closed. Blocks its thread.
    pub(crate) fn feed(mut self, mut feed: ObjectSender) {
        loop {
            let began = Instant::now();
            let new = self.poll();
            if !send(new, &mut feed) {
                return;
            }
            while began.elapsed() < self.interval {
                if feed.closed() {
                    return;
                }
                let left = self.interval.saturating_sub(began.elapsed());
                thread::sleep(left.min(CHECK_CLOSED));
            }
        }
    }

    /// The files to read now, by path.
    fn poll(&mut self) -> Vec<LocalFile> {
        let mut complete = true;
        let mut failures = Failures {
            log: &self.log,
            interval: self.interval,
            hasher: &self.seen.hasher.clone(),
            before: std::mem::take(&mut self.failing),
            now: HashSet::new(),
        };
        let mut files = walk(&self.root, self.insights, |error| {
            if error.loop_ancestor().is_some() {
                return;
            }
            complete = false;
            let path = error.path().unwrap_or(&self.root);
            match error.io_error() {
                Some(cause) => failures.add(path, cause),
                None => failures.add(path, error),
            }
        });
        let now = SystemTime::now();
        self.seen.poll = self.seen.poll.wrapping_add(1);
        files.retain(|file| match self.seen.update(file, now, self.interval) {
            Outcome::Read => match File::open(&file.path) {
                Ok(_) => true,
                Err(cause) => {
                    self.seen.was_not_read(file);
                    failures.add(&file.path, &cause);
                    false
                }
            },
            Outcome::Wait => false,
            Outcome::TooMany => {
                let line = format!(
                    "{}: more than {MAX_FILES} files are followed; it and further ones are not read, move old files away",
                    file.path.display()
                );
                self.log.once("followed files", Severity::Error, Escaped(line));
                false
            }
        });
        self.failing = failures.now;
        if complete {
            self.seen.forget_missing();
        }
        files
    }
}

/// Logs what cannot be read, once for each path until it can be read again.
struct Failures<'a> {
    log: &'a Log,
    interval: Duration,
    hasher: &'a RandomState,
    /// Hashes of the paths of the last poll, and of this one.
    before: HashSet<u64>,
    now: HashSet<u64>,
}

impl Failures<'_> {
    fn add(&mut self, path: &Path, cause: &dyn Display) {
        let hash = self.hasher.hash_one(path);
        if self.now.len() < MAX_FAILING {
            self.now.insert(hash);
        }
        if self.before.contains(&hash) {
            return;
        }
        let line = format!(
            "{}: {cause}; tried again every {} s",
            path.display(),
            self.interval.as_secs()
        );
        self.log
            .limited("followed folders", Severity::Warning, Escaped(line));
    }
}

impl SeenFiles {
    fn new(limit: usize) -> SeenFiles {
        SeenFiles {
            files: HashMap::new(),
            hasher: RandomState::new(),
            limit,
            poll: 0,
        }
    }

    /// Records a file that the current poll found.
    fn update(&mut self, file: &LocalFile, now: SystemTime, interval: Duration) -> Outcome {
        let mut found = SeenFile {
            size: file.size,
            modified: file.modified,
            poll: self.poll,
            read: false,
        };
        let age = |modified| now.duration_since(modified).unwrap_or_default();
        let is_old = file
            .modified
            .is_some_and(|modified| age(modified) >= interval);
        let is_full = self.files.len() >= self.limit;
        match self.files.entry(self.hasher.hash_one(&file.path)) {
            Entry::Vacant(_) if is_full => return Outcome::TooMany,
            Entry::Vacant(entry) => {
                found.read = is_old;
                entry.insert(found);
            }
            Entry::Occupied(mut entry) => {
                let before = *entry.get();
                let same = (before.size, before.modified) == (found.size, found.modified);
                if same && before.read {
                    entry.get_mut().poll = self.poll;
                    return Outcome::Wait;
                }
                found.read = same || is_old;
                entry.insert(found);
            }
        }
        match found.read {
            true => Outcome::Read,
            false => Outcome::Wait,
        }
    }

    /// Corrects an update: the file could not be read, so the next poll tries it again.
    fn was_not_read(&mut self, file: &LocalFile) {
        if let Some(seen) = self.files.get_mut(&self.hasher.hash_one(&file.path)) {
            seen.read = false;
        }
    }

    /// Forgets the files that the current poll did not find.
    fn forget_missing(&mut self) {
        let poll = self.poll;
        self.files.retain(|_, file| file.poll == poll);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn file(path: &str, size: u64, age: Duration, now: SystemTime) -> LocalFile {
        LocalFile {
            path: path.into(),
            size,
            modified: Some(now - age),
        }
    }

    #[test]
    fn file_is_read_once_it_has_settled_and_again_when_it_changes() {
        let now = SystemTime::now();
        let mut seen = SeenFiles::new(10);
        let mut poll = |size, age| {
            seen.poll += 1;
            seen.update(&file("a", size, age, now), now, MINUTE)
        };
        let fresh = Duration::from_secs(1);
        assert_eq!(poll(5, fresh), Outcome::Wait, "perhaps still being written");
        assert_eq!(poll(9, Duration::ZERO), Outcome::Wait, "it has grown");
        assert_eq!(poll(9, Duration::ZERO), Outcome::Read);
        assert_eq!(poll(9, Duration::ZERO), Outcome::Wait, "it was read");
        assert_eq!(poll(9, MINUTE), Outcome::Read, "it was replaced");
        assert_eq!(poll(9, MINUTE), Outcome::Wait);
    }

    #[test]
    fn file_that_could_not_be_read_is_tried_at_each_poll() {
        let now = SystemTime::now();
        let mut seen = SeenFiles::new(10);
        let unreadable = file("a", 5, MINUTE, now);
        for _ in 0..3 {
            seen.poll += 1;
            assert_eq!(seen.update(&unreadable, now, MINUTE), Outcome::Read);
            seen.was_not_read(&unreadable);
        }
        assert_eq!(seen.update(&unreadable, now, MINUTE), Outcome::Read);
        assert_eq!(seen.update(&unreadable, now, MINUTE), Outcome::Wait);
    }

    #[cfg(unix)]
    #[test]
    fn failing_path_is_logged_once_until_it_recovers() {
        let folder =
            std::env::temp_dir().join(format!("cloudtrail-{}-failing", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let log = Arc::new(Log::default());
        let mut followed =
            FollowedFolder::at(&folder, false, Duration::ZERO, &log).expect("a folder");
        let place = folder.join("gone.json");
        let mut poll = || {
            let files = followed.poll().len();
            (files, log.take().len())
        };
        for _ in 0..2 {
            std::os::unix::fs::symlink("nowhere", &place).expect("a link");
            assert_eq!(poll(), (0, 1));
            assert_eq!(poll(), (0, 0));
            fs::remove_file(&place).expect("the link");
            fs::write(&place, "{}").expect("a file");
            assert_eq!(poll(), (1, 0));
            fs::remove_file(&place).expect("the file");
        }
        fs::remove_dir_all(&folder).expect("the folder");
    }

    #[test]
    fn old_file_is_read_at_once() {
        let now = SystemTime::now();
        let mut seen = SeenFiles::new(10);
        assert_eq!(
            seen.update(&file("a", 5, 2 * MINUTE, now), now, MINUTE),
            Outcome::Read
        );
    }

    #[test]
    fn remembered_files_are_bounded_by_those_that_exist() {
        let now = SystemTime::now();
        let mut seen = SeenFiles::new(2);
        for (path, expected) in [
            ("a", Outcome::Read),
            ("b", Outcome::Read),
            ("c", Outcome::TooMany),
        ] {
            assert_eq!(
                seen.update(&file(path, 5, MINUTE, now), now, MINUTE),
                expected
            );
        }
        seen.poll += 1;
        assert_eq!(
            seen.update(&file("a", 5, MINUTE, now), now, MINUTE),
            Outcome::Wait
        );
        seen.forget_missing();
        assert_eq!(
            seen.update(&file("c", 5, MINUTE, now), now, MINUTE),
            Outcome::Read
        );
    }
}
