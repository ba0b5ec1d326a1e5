//! Warns about keys that have no effect on the opened source.
#![forbid(unsafe_code)]

use super::Config;

/// Kind of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A local file or directory.
    Path,
    /// `s3://`
    S3,
    /// `sqs://` with a queue's name.
    Sqs,
    /// `sqs://` with a queue's URL or ARN, which have the account in them.
    SqsOfAccount,
}

impl Config {
    /// Warning that names the keys that are set but have no effect for `source`; `None` if there are none.
    ///
    /// Keys that exist only for compatibility are not named: existing configurations contain them.
    pub fn ineffective_keys(&self, source: SourceKind) -> Option<String> {
        let keys = self.set_keys.iter().map(String::as_str);
        let keys: Vec<&str> = keys.filter(|key| !has_effect(key, source)).collect();
        let verb = match keys.len() {
            0 => return None,
            1 => "has",
            _ => "have",
        };
        let source = match source {
            SourceKind::Path => "a local path",
            SourceKind::S3 => "s3://",
            SourceKind::Sqs => "sqs://",
            SourceKind::SqsOfAccount => "sqs:// with a queue's URL or ARN",
        };
        Some(format!(
            "init configuration: {} {verb} no effect for {source}",
            keys.join(", ")
        ))
    }
}

fn has_effect(key: &str, source: SourceKind) -> bool {
    let is_queue = matches!(source, SourceKind::Sqs | SourceKind::SqsOfAccount);
    match key {
        _ if key.starts_with("aws.") => source != SourceKind::Path,
        "sqsOwnerAccount" => source == SourceKind::Sqs,
        _ if key.starts_with("sqs") => is_queue,
        "s3AccountList" | "s3DownloadConcurrency" => source != SourceKind::Path,
        "s3Follow" => !is_queue,
        "s3Interval" | "s3RetryFor" | "s3State" => source == SourceKind::S3,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn warning(config: &str, source: SourceKind) -> String {
        let (config, _) = parse(config).expect(config);
        config.ineffective_keys(source).unwrap_or_default()
    }

    #[test]
    fn keys_without_effect_are_named_for_each_source() {
        let all = r#"{"s3interval": "5d", "SQSDELETE": true, "s3AccountList": "", "s3RetryFor": "1h", "s3OnError": "skip",
            "decodeThreads": 1, "useAsync": true, "useS3SNS": true, "lostLog": "x", "aws": {"region": "eu-west-1"}}"#;
        assert_eq!(
            warning(all, SourceKind::Path),
            "init configuration: s3Interval, sqsDelete, s3AccountList, s3RetryFor, aws.region have no effect for a local path"
        );
        assert_eq!(
            warning(all, SourceKind::S3),
            "init configuration: sqsDelete has no effect for s3://"
        );
        assert_eq!(
            warning(all, SourceKind::Sqs),
            "init configuration: s3Interval, s3RetryFor have no effect for sqs://"
        );
    }

    #[test]
    fn owner_account_has_no_effect_for_a_queue_whose_account_is_known() {
        let config = r#"{"sqsOwnerAccount": "123456789012", "sqsDelete": false}"#;
        assert_eq!(warning(config, SourceKind::Sqs), "");
        assert_eq!(
            warning(config, SourceKind::SqsOfAccount),
            "init configuration: sqsOwnerAccount has no effect for sqs:// with a queue's URL or ARN"
        );
    }

    #[test]
    fn unset_keys_are_not_named() {
        for config in [
            "",
            "null",
            "{}",
            r#"{"aws": {}}"#,
            r#"{"s3Intervall": "5d"}"#,
        ] {
            assert_eq!(warning(config, SourceKind::Path), "", "{config}");
        }
    }
}
