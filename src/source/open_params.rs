//! Parses open parameters.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use crate::aws::is_queue_arn;
use crate::config::SourceKind;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;
use crate::log::quote::redacted;
use crate::object_key::is_account;

/// Parsed open parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenParams {
    /// A log file, or a directory of log files.
    Path(PathBuf),
    /// A bucket and an optional prefix.
    S3 {
        /// Bucket name.
        bucket: String,
        /// Prefix of the keys.
        prefix: String,
    },
    /// Name, URL or ARN of a queue.
    Sqs(String),
}

impl OpenParams {
    /// Parses open parameters. Any text without a known scheme is a path.
    pub fn parse(params: &str) -> Result<OpenParams> {
        let error = |problem: &str| {
            let params = Escaped(redacted(params));
            Error::new(
                ErrorKind::OpenParams,
                format!(
                    "open parameters '{params}': {problem}; accepted are s3://<bucket>[/<prefix>], sqs://<queue> and a path"
                ),
            )
        };
        let trimmed = params.trim();
        if trimmed.is_empty() {
            return Err(error("empty"));
        }
        if let Some(rest) = after_scheme(trimmed, "s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(error("the bucket name is missing"));
            }
            if bucket.contains('@') {
                return Err(error(
                    "a bucket name has no @; credentials come from the AWS configuration",
                ));
            }
            return Ok(OpenParams::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            });
        }
        if let Some(queue) = after_scheme(trimmed, "sqs://") {
            let queue = queue.trim().trim_end_matches('/').trim_end();
            if queue.is_empty() {
                return Err(error("the queue name is missing"));
            }
            if queue.starts_with('/') || queue.contains(":///") {
                return Err(error("the queue's URL has no host"));
            }
            if queue.starts_with("arn:") && !is_queue_arn(queue) {
                return Err(error(
                    "the queue ARN is not of the form arn:aws:sqs:<region>:<account>:<name>",
                ));
            }
            if queue.contains('/') && !is_queue_url(queue) {
                return Err(error(
                    "this names no queue; give its name, its URL as https://sqs.<region>.amazonaws.com/<account>/<name>, or its ARN as arn:aws:sqs:<region>:<account>:<name>",
                ));
            }
            return Ok(OpenParams::Sqs(queue.to_owned()));
        }
        // A file name may start or end with a space.
        let exact = PathBuf::from(params);
        if exact.exists() {
            return Ok(OpenParams::Path(exact));
        }
        let path = PathBuf::from(trimmed);
        if !path.exists() {
            if is_queue_arn(trimmed) {
                return Err(error("a queue's ARN needs sqs:// in front"));
            }
            if trimmed.contains("://") {
                return Err(error("there is no such scheme"));
            }
        }
        Ok(OpenParams::Path(path))
    }

    /// Kind of the source.
    pub fn source_kind(&self) -> SourceKind {
        match self {
            OpenParams::Path(_) => SourceKind::Path,
            OpenParams::S3 { .. } => SourceKind::S3,
            OpenParams::Sqs(queue) if queue.contains('/') || is_queue_arn(queue) => {
                SourceKind::SqsOfAccount
            }
            OpenParams::Sqs(_) => SourceKind::Sqs,
        }
    }
}

/// Whether a text with a slash is the URL of a queue, with or without its scheme. Servers other than AWS may have paths
/// of their own.
fn is_queue_url(queue: &str) -> bool {
    let (scheme, rest) = queue.split_once("://").unwrap_or(("", queue));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host_is_clear = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => !host.is_empty(),
        "" => host.contains(['.', ':']) || host == "localhost",
        _ => false,
    };
    let (account, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_aws = host.contains(".amazonaws.com") || host.ends_with(".api.aws");
    let is_named = !name.is_empty() && (!account.is_empty() || !is_aws && !is_account(name));
    host_is_clear && is_named
}

/// The text after `scheme`, which matches case-insensitively.
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
    fn white_space_case_and_trailing_slashes_are_ignored() {
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
    fn queue_arn_is_accepted() {
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
    fn queue_url_has_a_host_and_a_name() {
        for url in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
            "sqs.eu-west-1.amazonaws.com/123456789012/q.fifo",
            "HTTP://localhost:4566/000000000000/q",
            "http://localhost:9324/queue/q",
            "http://u:p@localhost/q",
            "localhost/000000000000/q",
            "127.0.0.1:4566/queue/us-east-1/000000000000/q",
        ] {
            assert_eq!(OpenParams::parse(&format!("sqs://{url}")), Ok(queue(url)));
        }
        for other in [
            "111122223333/q",
            "a/b",
            "https://sqs.eu-west-1.amazonaws.com",
            "https://sqs.eu-west-1.amazonaws.com/",
            "https://sqs.eu-west-1.amazonaws.com/123456789012",
            "https://sqs.eu-west-1.amazonaws.com/q",
            "http://localhost:4566/000000000000/",
            "ftp://sqs.eu-west-1.amazonaws.com/123456789012/q",
        ] {
            let error = OpenParams::parse(&format!("sqs://{other}"))
                .expect_err(other)
                .to_string();
            for part in [
                other,
                "<region>.amazonaws.com/<account>/<name>",
                "arn:aws:sqs:",
            ] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn account_is_known_of_a_url_and_of_an_arn() {
        for (params, kind) in [
            ("sqs://q", SourceKind::Sqs),
            (
                "sqs://http://localhost:4566/000000000000/q",
                SourceKind::SqsOfAccount,
            ),
            (
                "sqs://arn:aws:sqs:eu-west-1:123456789012:q",
                SourceKind::SqsOfAccount,
            ),
        ] {
            let params = OpenParams::parse(params).expect(params);
            assert_eq!(params.source_kind(), kind, "{params:?}");
        }
    }

    #[test]
    fn unknown_schemes_are_an_error_without_the_credentials_in_them() {
        for params in [
            "https://user:S3cr3t@host/queue",
            "s3://user:S3cr3t@bucket/prefix",
            "file:///no/such",
            "arn:aws:sqs:eu-west-1:123456789012:q",
        ] {
            let error = OpenParams::parse(params).expect_err(params).to_string();
            assert!(!error.contains("S3cr3t"), "{error}");
            assert!(error.contains("sqs://"), "{error}");
        }
    }

    #[test]
    fn incomplete_parameters_are_an_error_with_the_accepted_forms() {
        for params in [
            "",
            "  ",
            "s3://",
            "S3:///prefix",
            "sqs://",
            "sqs:// / ",
            "sqs:///q",
        ] {
            let error = OpenParams::parse(params).expect_err(params).to_string();
            assert!(error.contains("s3://<bucket>"), "{error}");
        }
    }
}
