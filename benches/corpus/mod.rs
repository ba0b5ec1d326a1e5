//! Synthetic CloudTrail logs for benches: the same on every machine, no real account in them.
//!
//! A record has about 1.6 KB and gzip packs a large file about 5:1. [`Tree`]s are written once to Cargo's folder for
//! temporary files (`target/tmp`) and found there again.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each bench uses its own part")]

mod account;
mod random;
mod record;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use account::Account;
use flate2::{Compression, GzBuilder};
use random::Random;

/// Records of a large file; what a busy account's trail writes every five minutes has more still.
pub const LARGE: usize = 1_000;

/// Records of a small file, which is what a quiet account's trail writes.
pub const SMALL: usize = 5;

/// Accounts that the files are of, one region each.
const ACCOUNTS: u64 = 16;

/// The number of the corpus's version: a change of its contents makes older trees stale.
const VERSION: u32 = 1;

/// One log file's text.
pub struct LogFile {
    /// The text, `{"Records":[…]}`.
    pub text: String,
    /// Its path in a trail's bucket, with `/` between folders.
    pub path: String,
    /// Number of records.
    pub records: usize,
}

/// The file number `number` with that many records.
pub fn log_file(number: u64, records: usize) -> LogFile {
    let account = Account::new(&mut Random::new(number % ACCOUNTS));
    let mut random = Random::new(ACCOUNTS + number);
    let minute = random.below(288) * 5;
    let mut text = String::with_capacity(records * 1700 + 32);
    text.push_str(r#"{"Records":["#);
    for place in 0..records {
        if place > 0 {
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

/// `text` as a gzip file of one member, as AWS writes it.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::new(6));
    writer.write_all(text.as_bytes()).expect("to memory");
    writer.finish().expect("to memory")
}

/// Log files on disk, laid out as in a trail's bucket.
pub struct Tree {
    /// The folder, or the one file.
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
            .map(|entry| entry.expect("a folder that was just written").into_path())
            .find(|path| path.is_file())
            .expect("the file that was just written");
        tree
    }

    fn of(name: &str, files: usize, records: usize) -> Tree {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("logs-{VERSION}-{name}"));
        if !path.is_dir() {
            // The name appears when all is written.
            let unfinished = path.with_extension(std::process::id().to_string());
            for number in 0..files {
                let file = log_file(number as u64, records);
                let to = unfinished.join(&file.path);
                fs::create_dir_all(to.parent().expect("a path of several parts"))
                    .expect("a folder for the corpus");
                fs::write(to, gzip(&file.text)).expect("room for the corpus");
            }
            fs::rename(&unfinished, &path).expect("a place for the corpus");
        }
        Tree {
            path,
            files,
            records: files * records,
        }
    }
}
