//! Open parameters to where the objects are.
#![forbid(unsafe_code)]

pub mod file;
pub mod notification;
pub mod s3;
pub mod sqs;

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};

/// What the open parameters point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A log file, or a folder of them.
    Path(PathBuf),
    /// A bucket and an optional prefix.
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// What the keys start with.
        prefix: String,
    },
    /// A queue's name or URL.
    Sqs(String),
}

impl Location {
    /// Reads open parameters; every text that is no URL of a known scheme is a path.
    pub fn parse(params: &str) -> Result<Location> {
        let incomplete = |what: &str| {
            Error::new(
                ErrorKind::OpenParams,
                format!(
                    "open parameters '{params}': {what}; accepted are s3://<bucket>[/<prefix>], sqs://<queue> and a path"
                ),
            )
        };
        if params.is_empty() {
            return Err(incomplete("nothing to open"));
        }
        if let Some(rest) = params.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(incomplete("the bucket's name is missing"));
            }
            return Ok(Location::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
        if let Some(queue) = params.strip_prefix("sqs://") {
            if queue.is_empty() {
                return Err(incomplete("the queue's name is missing"));
            }
            return Ok(Location::Sqs(queue.to_owned()));
        }
        Ok(Location::Path(PathBuf::from(params)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_told_apart() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(Location::parse("s3://b"), Ok(s3("b", "")));
        assert_eq!(Location::parse("s3://b/AWSLogs/"), Ok(s3("b", "AWSLogs/")));
        assert_eq!(
            Location::parse("sqs://q"),
            Ok(Location::Sqs("q".to_owned()))
        );
        assert_eq!(Location::parse("/a b"), Ok(Location::Path("/a b".into())));
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_is_accepted() {
        for params in ["", "s3://", "s3:///prefix", "sqs://"] {
            let error = Location::parse(params).expect_err(params).to_string();
            assert!(error.contains("s3://<bucket>"), "{error}");
        }
    }
}
