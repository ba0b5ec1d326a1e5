//! Open parameters to where the objects are.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use crate::aws::is_queue_arn;
use crate::config::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;
use crate::log::quote::redacted;

/// What the open parameters point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenParams {
    /// A log file, or a folder of them.
    Path(PathBuf),
    /// A bucket and an optional prefix.
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// What the keys start with.
        prefix: String,
    },
    /// A queue's name, URL or ARN.
    Sqs(String),
}

impl OpenParams {
    /// Parses open parameters; every text that is no URL of a known scheme is a path.
    pub fn parse(params: &str) -> Result<OpenParams> {
        let refused = |what: &str| {
            let params = Escaped(redacted(params));
            Error::new(
                ErrorKind::OpenParams,
                format!(
                    "open parameters '{params}': {what}; accepted are s3://<bucket>[/<prefix>], sqs://<queue> and a path"
                ),
            )
        };
        let trimmed = params.trim();
        if trimmed.is_empty() {
            return Err(refused("nothing to open"));
        }
        if let Some(rest) = after_scheme(trimmed, "s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(refused("the bucket's name is missing"));
            }
            return Ok(OpenParams::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
        if let Some(queue) = after_scheme(trimmed, "sqs://") {
            let queue = queue.trim().trim_end_matches('/').trim_end();
            if queue.is_empty() {
                return Err(refused("the queue's name is missing"));
            }
            if queue.starts_with("arn:") && !is_queue_arn(queue) {
                return Err(refused(
                    "the queue's ARN is not arn:aws:sqs:<region>:<account>:<name>",
                ));
            }
            return Ok(OpenParams::Sqs(queue.to_owned()));
        }
        // A file's name may begin or end with a space.
        let exact = PathBuf::from(params);
        let path = if exact.exists() {
            exact
        } else {
            PathBuf::from(trimmed)
        };
        Ok(OpenParams::Path(path))
    }

    /// The kind of source.
    pub fn source(&self) -> Source {
        match self {
            OpenParams::Path(_) => Source::Path,
            OpenParams::S3 { .. } => Source::S3,
            OpenParams::Sqs(_) => Source::Sqs,
        }
    }
}

/// What follows `scheme`, which is matched without regard to case.
fn after_scheme<'p>(params: &'p str, scheme: &str) -> Option<&'p str> {
    let (start, rest) = params.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> OpenParams {
        OpenParams::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn queue(name: &str) -> OpenParams {
        OpenParams::Sqs(name.to_owned())
    }

    #[test]
    fn each_form_is_parsed() {
        assert_eq!(OpenParams::parse("s3://b"), Ok(s3("b", "")));
        assert_eq!(
            OpenParams::parse("s3://b/AWSLogs/"),
            Ok(s3("b", "AWSLogs/"))
        );
        assert_eq!(OpenParams::parse("sqs://q"), Ok(queue("q")));
        assert_eq!(
            OpenParams::parse("/a b"),
            Ok(OpenParams::Path("/a b".into()))
        );
    }

    #[test]
    fn white_space_upper_case_and_trailing_slashes_do_not_matter() {
        assert_eq!(
            OpenParams::parse(" S3://Bucket/Key/ \n"),
            Ok(s3("Bucket", "Key/"))
        );
        for params in ["sqs://q/", " sqs://q ", "\tSQS://q//\n", "Sqs:// q /"] {
            assert_eq!(OpenParams::parse(params), Ok(queue("q")), "{params:?}");
        }
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q";
        assert_eq!(OpenParams::parse(&format!("sqs://{url}/")), Ok(queue(url)));
        assert_eq!(
            OpenParams::parse(" /no/such "),
            Ok(OpenParams::Path("/no/such".into()))
        );
    }

    #[test]
    fn a_queue_may_be_named_by_its_arn() {
        for arn in [
            "arn:aws:sqs:eu-west-1:123456789012:q.fifo",
            "arn:aws-cn:sqs:eu-west-1:123456789012:q.fifo",
        ] {
            assert_eq!(OpenParams::parse(&format!("sqs://{arn}/")), Ok(queue(arn)));
        }
        for arn in [
            "arn:aws:sns:eu-west-1:123456789012:q",
            "arn:aws:sqs:eu-west-1:1234:q",
            "arn:aws:sqs:eu-west-1:123456789012:",
            "arn:aws:sqs::123456789012:q",
            "arn:aws:sqs:eu-west-1:123456789012:q:x",
            "arn:",
        ] {
            let error = OpenParams::parse(&format!("sqs://{arn}"))
                .expect_err(arn)
                .to_string();
            assert!(
                error.contains("arn:aws:sqs:<region>:<account>:<name>"),
                "{error}"
            );
        }
    }

    #[test]
    fn incomplete_parameters_are_refused_with_what_is_accepted() {
        for params in ["", "  ", "s3://", "S3:///prefix", "sqs://", "sqs:// / "] {
            let error = OpenParams::parse(params).expect_err(params).to_string();
            assert!(error.contains("s3://<bucket>"), "{error}");
        }
    }
}
