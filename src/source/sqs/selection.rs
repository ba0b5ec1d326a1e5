//! What a message may have the plugin read: `sqsAllowedBuckets`, `s3AccountList`, `sqsMaxAge`, and log files only.
#![forbid(unsafe_code)]

use std::fmt::Display;

use super::Queue;
use super::notification::ObjectRef;
use crate::config::Config;
use crate::log::{Escaped, Severity};
use crate::metrics::Counter;
use crate::source::s3::is_of_account;
use crate::{object_key, timestamp};

/// Selects among the objects that messages name.
#[derive(Debug)]
pub(super) struct ObjectSelection {
    insights: bool,
    /// Names and globs; empty allows all buckets.
    buckets: Vec<String>,
    /// Account IDs; empty selects all.
    accounts: Vec<String>,
    /// In seconds.
    max_age: Option<i64>,
}

/// What is done with an object that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Read,
    /// It is not selected, and acknowledged.
    Skip,
    /// The message fails permanently, for this reason.
    Refuse(String),
}

/// Why an object is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipped {
    Digest,
    Insight,
    NotALog,
    Account,
    Old,
}

impl ObjectSelection {
    pub(super) fn new(config: &Config) -> Self {
        let accounts = config.s3_accounts().into_iter();
        ObjectSelection {
            insights: config.include_insights,
            buckets: config.sqs_allowed_buckets.clone(),
            accounts: accounts.map(str::to_owned).collect(),
            max_age: config
                .sqs_max_age()
                .map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    fn allows(&self, bucket: &str) -> bool {
        let mut allowed = self.buckets.iter();
        self.buckets.is_empty() || allowed.any(|pattern| matches_glob(pattern, bucket))
    }

    /// Why the object at `key` is not read; `now` is in seconds since the epoch.
    fn skipped(&self, key: &str, now: i64) -> Option<Skipped> {
        if !object_key::is_log(key, self.insights) {
            return Some(match key {
                key if key.contains("/CloudTrail-Digest/") => Skipped::Digest,
                key if object_key::is_log(key, true) => Skipped::Insight,
                _ => Skipped::NotALog,
            });
        }
        if !is_of_account(&self.accounts, key) {
            return Some(Skipped::Account);
        }
        let oldest = now.saturating_sub(self.max_age?);
        object_key::time(key)
            .is_some_and(|time| time < oldest)
            .then_some(Skipped::Old)
    }
}

impl Queue {
    /// Decides whether a named object is read. One that is not is counted and logged.
    pub(super) fn judge(&self, object: &ObjectRef<'_>) -> Verdict {
        let name = format_args!("s3://{}/{}", Escaped(&object.bucket), Escaped(&object.key));
        if !self.selection.allows(&object.bucket) {
            self.metrics.errors_bucket.add(1);
            let reason = format!("{name}: the bucket is not among sqsAllowedBuckets; not read");
            self.log
                .limited("buckets that are not allowed", Severity::Error, &reason);
            return Verdict::Refuse(reason);
        }
        match self.selection.skipped(&object.key, timestamp::now()) {
            None => Verdict::Read,
            Some(skipped) => {
                self.report_skipped(skipped, name);
                Verdict::Skip
            }
        }
    }

    fn report_skipped(&self, skipped: Skipped, name: impl Display) {
        let metrics = &self.metrics;
        let (counter, reason): (&Counter, _) = match skipped {
            Skipped::Digest => (&metrics.skipped_digest, "a digest file"),
            Skipped::Insight => (
                &metrics.skipped_insight,
                "an Insights log (includeInsights is false)",
            ),
            Skipped::NotALog => (
                &metrics.skipped_not_a_log,
                "not the name of a CloudTrail log",
            ),
            Skipped::Account => (
                &metrics.skipped_account,
                "of an account that is not in s3AccountList",
            ),
            Skipped::Old => (&metrics.skipped_old, "older than sqsMaxAge by its name"),
        };
        counter.add(1);
        let line = format_args!("{name}: {reason}; skipped");
        match skipped {
            Skipped::Account | Skipped::Old => self.log.limited(reason, Severity::Info, line),
            // These depend on the bucket's content alone, and are ordinary.
            Skipped::Digest | Skipped::Insight | Skipped::NotALog => {
                self.log.once(reason, Severity::Info, line);
            }
        }
    }
}

/// Whether a name matches a pattern, in which `*` stands for any characters and `?` for one.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of_name) = (0, 0);
    // The last star, and what of the name it stands for ends here: one byte more with each return to it.
    let mut star: Option<(usize, usize)> = None;
    while of_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of_name));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[of_name] => {
                at += 1;
                of_name += 1;
            }
            _ => match &mut star {
                Some((star, end)) => {
                    *end += 1;
                    (at, of_name) = (*star + 1, *end);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, expected) in [
            ("trail", "trail", true),
            ("trail", "trail-2", false),
            ("trail", "a-trail", false),
            ("trail-*", "trail-", true),
            ("trail-*", "trail-eu", true),
            ("*", "anything", true),
            ("*-logs", "a-logs-b-logs", true),
            ("*-logs", "a-logs-b", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXcX", false),
            ("trail-?", "trail-1", true),
            ("trail-?", "trail-", false),
            ("**", "", true),
        ] {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn objects_are_selected_by_account_and_age_in_their_key() {
        let selection = |config: &str| {
            let (config, _) = crate::config::parse(config).expect(config);
            ObjectSelection::new(&config)
        };
        let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T0850Z_q3Jm0aXo8ZtBn1Ld.json.gz";
        let written = object_key::time(key).expect("a time");
        for (config, key, now, expected) in [
            ("{}", key, i64::MAX, None),
            (r#"{"s3AccountList": "111122223333"}"#, key, written, None),
            (
                r#"{"s3AccountList": "444455556666"}"#,
                key,
                written,
                Some(Skipped::Account),
            ),
            (
                r#"{"s3AccountList": "444455556666"}"#,
                "exports/events.json",
                written,
                None,
            ),
            (r#"{"sqsMaxAge": "1h"}"#, key, written + 3600, None),
            (
                r#"{"sqsMaxAge": "1h"}"#,
                key,
                written + 3601,
                Some(Skipped::Old),
            ),
            (r#"{"sqsMaxAge": "1h"}"#, key, written - 3600, None),
            (
                r#"{"sqsMaxAge": "1h"}"#,
                "exports/events.json",
                i64::MAX,
                None,
            ),
        ] {
            assert_eq!(
                selection(config).skipped(key, now),
                expected,
                "{config} {key}"
            );
        }
    }
}
