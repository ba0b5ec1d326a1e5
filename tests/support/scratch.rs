//! A folder for the files of one test, deleted on drop.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A temporary folder.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates an empty folder with the name of the test.
    pub fn new(name: &str) -> Scratch {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder in the target directory");
        Scratch { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, creates the folders in `name`, and returns its path.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `text` as a gzip file of one member.
pub fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(text)
        .and_then(|()| encoder.finish())
        .expect("memory to write to")
}

/// A log file of `count` plain records, whose eventIDs are `<prefix>0`, `<prefix>1`, …
pub fn plain_log(prefix: &str, count: usize) -> Vec<u8> {
    let records = (0..count)
        .map(|number| {
            format!(
                r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","userName":"alice"}},"eventTime":"2026-01-14T12:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"us-east-1","eventID":"{prefix}{number}","eventType":"AwsApiCall"}}"#
            )
        })
        .collect::<Vec<_>>();
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}
