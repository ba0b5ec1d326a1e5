//! Synthetic CloudTrail logs for benches. Identical on every machine; all accounts are invented.
//!
//! A record has about 1.6 KB, and gzip compresses a large file about 5:1. [`Tree`]s are written once to Cargo's
//! directory for temporary files (`target/tmp`) and reused.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each bench uses a part")]

mod account;
mod random;
mod record;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use account::Account;
use flate2::{Compression, GzBuilder};
use random::Random;

/// Records in a large file. Busy accounts write larger ones.
pub const LARGE: usize = 1_000;

/// Records in a small file, as quiet accounts write them.
pub const SMALL: usize = 5;

/// Number of accounts; each has one region.
const ACCOUNTS: u64 = 16;

/// Version of the corpus. Increase it with every change of the content, so that existing trees are not reused.
const VERSION: u32 = 1;

/// A log file.
pub struct LogFile {
    /// The uncompressed text, `{"Records":[…]}`.
    pub text: String,
    /// Key in a trail's bucket.
    pub path: String,
    /// Number of records.
    pub records: usize,
}

/// The log file `number`, with `records` records.
pub fn log_file(number: u64, records: usize) -> LogFile {
    let account = Account::new(&mut Random::new(number % ACCOUNTS));
    let mut random = Random::new(ACCOUNTS + number);
    let minute = random.below(288) * 5;
    let mut text = String::with_capacity(records * 1700 + 32);
    text.push_str(r#"{"Records":["#);
    for index in 0..records {
        if index > 0 {
            text.push(',');
        }
        let second = minute * 60 + random.below(300);
        record::push(&mut text, &mut random, &account, second);
    }
    text.push_str("]}");
    let (id, region) = (&account.id, account.region);
    let path = format!(
        "AWSLogs/{id}/CloudTrail/{region}/2024/03/15/{id}_CloudTrail_{region}_20240315T{:02}{:02}Z_{}.json.gz",
        minute / 60,
        minute % 60,
        random.upper(16)
    );
    LogFile {
        text,
        path,
        records,
    }
}

/// Compresses `text` to a gzip file with a single member, as AWS does.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::new(6));
    writer
        .write_all(text.as_bytes())
        .expect("writing to memory cannot fail");
    writer.finish().expect("writing to memory cannot fail")
}

/// Log files on disk, laid out as in a trail's bucket.
pub struct Tree {
    /// The directory, or the only file.
    pub path: PathBuf,
    /// Number of files.
    pub files: usize,
    /// Records in all files.
    pub records: usize,
}

impl Tree {
    /// 50 files of 1,000 records: 80 MB of text.
    pub fn large() -> Tree {
        Tree::of("large", 50, LARGE)
    }

    /// 10,000 files of 5 records: 80 MB of text.
    pub fn small() -> Tree {
        Tree::of("small", 10_000, SMALL)
    }

    /// One file of 220,000 records: 350 MB of text.
    pub fn huge() -> Tree {
        let mut tree = Tree::of("huge", 1, 220_000);
        tree.path = walkdir::WalkDir::new(&tree.path)
            .into_iter()
            .map(|entry| entry.expect("a readable directory").into_path())
            .find(|path| path.is_file())
            .expect("a log file");
        tree
    }

    fn of(name: &str, files: usize, records: usize) -> Tree {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("logs-{VERSION}-{name}"));
        if !path.is_dir() {
            // Renamed at the end, so that an interrupted run leaves no incomplete tree.
            let unfinished = path.with_extension(std::process::id().to_string());
            for number in 0..files {
                let file = log_file(number as u64, records);
                let to = unfinished.join(&file.path);
                fs::create_dir_all(to.parent().expect("a key with slashes"))
                    .expect("a directory for the corpus");
                fs::write(to, gzip(&file.text)).expect("a file of the corpus");
            }
            fs::rename(&unfinished, &path).expect("the corpus is renamed");
        }
        Tree {
            path,
            files,
            records: files * records,
        }
    }
}
