//! Parses queue ARNs.
#![forbid(unsafe_code)]

use crate::object_key::is_account;

/// Parts of a queue's ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueArn<'a> {
    pub(super) region: &'a str,
    /// Account that owns the queue.
    pub(super) account: &'a str,
    pub(super) name: &'a str,
}

/// Parses `arn:<partition>:sqs:<region>:<account>:<name>`.
pub(super) fn queue_arn(arn: &str) -> Option<QueueArn<'_>> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "sqs", region, account, name] = parts[..] else {
        return None;
    };
    let complete = !partition.is_empty() && !region.is_empty() && !name.is_empty();
    (complete && is_account(account)).then_some(QueueArn {
        region,
        account,
        name,
    })
}

/// Whether `text` is the ARN of a queue.
pub(crate) fn is_queue_arn(text: &str) -> bool {
    queue_arn(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_arn_has_region_account_and_name() {
        let expected = QueueArn {
            region: "eu-west-1",
            account: "123456789012",
            name: "q.fifo",
        };
        for partition in ["aws", "aws-cn", "aws-us-gov"] {
            let arn = format!("arn:{partition}:sqs:eu-west-1:123456789012:q.fifo");
            assert_eq!(queue_arn(&arn), Some(expected));
        }
        for other in [
            "",
            "q",
            "arn:aws:sqs:eu-west-1:123456789012",
            "arn:aws:s3:::bucket",
        ] {
            assert_eq!(queue_arn(other), None, "{other}");
        }
    }
}
