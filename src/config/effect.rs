//! Which keys have an effect for which source, to warn about the others.
#![forbid(unsafe_code)]

use super::Config;

/// Kinds of sources, by their open parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or a folder.
    Path,
    /// `s3://`
    S3,
    /// `sqs://`
    Sqs,
}

impl Config {
    /// A warning that names the keys of the init configuration that have no effect for `source`; `None` if all have.
    ///
    /// Keys that are accepted for compatibility only are not named: existing configurations have them.
    pub fn without_effect(&self, source: Source) -> Option<String> {
        let keys = self.given.iter().map(String::as_str);
        let keys: Vec<&str> = keys.filter(|key| !has_effect(key, source)).collect();
        if keys.is_empty() {
            return None;
        }
        let (has, kind) = match (keys.len(), source) {
            (1, Source::Path) => ("has", "a local path"),
            (_, Source::Path) => ("have", "a local path"),
            (1, Source::S3) => ("has", "s3://"),
            (_, Source::S3) => ("have", "s3://"),
            (1, Source::Sqs) => ("has", "sqs://"),
            (_, Source::Sqs) => ("have", "sqs://"),
        };
        Some(format!(
            "init configuration: {} {has} no effect for {kind}",
            keys.join(", ")
        ))
    }
}

fn has_effect(key: &str, source: Source) -> bool {
    match key {
        _ if key.starts_with("aws.") => source != Source::Path,
        _ if key.starts_with("sqs") => source == Source::Sqs,
        "s3AccountList" | "s3DownloadConcurrency" => source != Source::Path,
        "s3Interval" | "s3RetryFor" => source == Source::S3,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn warning(config: &str, source: Source) -> String {
        let (config, _) = parse(config).expect(config);
        config.without_effect(source).unwrap_or_default()
    }

    #[test]
    fn keys_without_effect_are_named_for_each_source() {
        let all = r#"{"s3interval": "5d", "SQSDELETE": true, "s3AccountList": "", "s3RetryFor": "1h", "s3OnError": "skip",
            "decodeThreads": 1, "useAsync": true, "useS3SNS": true, "lostLog": "x", "aws": {"region": "eu-west-1"}}"#;
        assert_eq!(
            warning(all, Source::Path),
            "init configuration: s3Interval, sqsDelete, s3AccountList, s3RetryFor, aws.region have no effect for a local path"
        );
        assert_eq!(
            warning(all, Source::S3),
            "init configuration: sqsDelete has no effect for s3://"
        );
        assert_eq!(
            warning(all, Source::Sqs),
            "init configuration: s3Interval, s3RetryFor have no effect for sqs://"
        );
    }

    #[test]
    fn keys_that_are_not_given_are_not_named() {
        for config in [
            "",
            "null",
            "{}",
            r#"{"aws": {}}"#,
            r#"{"s3Intervall": "5d"}"#,
        ] {
            assert_eq!(warning(config, Source::Path), "", "{config}");
        }
    }
}
