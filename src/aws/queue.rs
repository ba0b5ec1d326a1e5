//! From what a person calls a queue to its URL.
#![forbid(unsafe_code)]

use aws_sdk_sqs::config::retry::RetryConfig;

use super::Clients;
use super::arn::{QueueArn, queue_arn};
use super::error::{AwsError, ErrorCause, describe, is_region};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;
use crate::log::quote::{quoted, redacted};

impl Clients {
    /// Finds the URL of a queue by its name, its ARN, or the URL itself, with or without its scheme. A name is looked up in
    /// `owner_account`, or in the account of the credentials if that is empty; a URL is not looked up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] with the queue, the region and the service's own code.
    pub async fn queue_url(&self, queue: &str, owner_account: &str) -> Result<String> {
        if queue.contains('/') {
            return Ok(with_scheme(queue, &self.shared.endpoint));
        }
        let (queue, owner_account) = match queue_arn(queue) {
            Some(arn) => self.own_arn(queue, arn, owner_account)?,
            None => (queue, owner_account),
        };
        let owner = Some(owner_account).filter(|owner| !owner.is_empty());
        // A person waits for this one, so it is not tried as often as others.
        let quick = aws_sdk_sqs::Config::builder()
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        let answer = self
            .sqs
            .get_queue_url()
            .queue_name(queue)
            .set_queue_owner_aws_account_id(owner.map(str::to_owned))
            .customize()
            .config_override(quick)
            .send()
            .await;
        let refused = |what: String| {
            let (queue, place) = (Escaped(queue), self.place());
            let owner = owner.map_or_else(String::new, |owner| format!(" of account {owner}"));
            Error::new(
                ErrorKind::OpenParams,
                format!("queue {queue}{owner} cannot be found in {place}: {what}"),
            )
        };
        let answer = answer.map_err(|error| {
            let failure = describe(&error);
            if let Some(refusal) = proxy_refusal(&failure) {
                let (queue, place) = (Escaped(queue), self.place());
                let line = format!("queue {queue} cannot be reached in {place}: {refusal}");
                return Error::new(ErrorKind::OpenParams, line);
            }
            let hint = match failure.cause {
                ErrorCause::NotFound => "; check the queue's name, its region and sqsOwnerAccount",
                ErrorCause::AccessDenied => {
                    "; sqs:GetQueueUrl on the queue has to be allowed, or give the queue's URL"
                }
                ErrorCause::Timeout | ErrorCause::Unavailable | ErrorCause::ForeignAnswer => {
                    "; check the network, the proxy, the region and aws.endpoint"
                }
                _ => "",
            };
            refused(format!("{failure}{hint}"))
        })?;
        answer
            .queue_url
            .ok_or_else(|| refused("the answer holds no URL".to_owned()))
    }

    /// The name and owner in an ARN, if the queue can be reached with these clients and nothing contradicts it.
    fn own_arn<'a>(
        &self,
        text: &str,
        arn: QueueArn<'a>,
        owner_account: &str,
    ) -> Result<(&'a str, &'a str)> {
        let refused = |why: String| {
            let queue = Escaped(text);
            Error::new(ErrorKind::OpenParams, format!("queue {queue} {why}"))
        };
        if arn.region != self.region {
            return Err(refused(format!(
                "is in region {}, but the region in use is {}; set aws.region to the queue's",
                Escaped(arn.region),
                self.region
            )));
        }
        if !owner_account.is_empty() && owner_account != arn.account {
            return Err(refused(format!(
                "is owned by account {}, but sqsOwnerAccount is {}; leave out sqsOwnerAccount",
                arn.account,
                quoted(owner_account)
            )));
        }
        Ok((arn.name, arn.account))
    }
}

impl Clients {
    /// Why a queue whose URL is known cannot be read; `permission` is what the request needs.
    pub(crate) fn queue_refused(&self, url: &str, permission: &str, failure: &AwsError) -> Error {
        if let Some(refusal) = proxy_refusal(failure) {
            let (queue, place) = (Escaped(redacted(url)), self.place());
            let line = format!("queue {queue} cannot be reached in {place}: {refusal}");
            return Error::new(ErrorKind::OpenParams, line);
        }
        let hint = match (failure.cause, region_of(url)) {
            (
                ErrorCause::NotFound | ErrorCause::AccessDenied | ErrorCause::WrongRegion,
                Some(region),
            ) if region != self.region => {
                format!("; the queue is one of {region}, set aws.region to that")
            }
            (ErrorCause::NotFound, _) => {
                "; check the queue's URL, its region and its account".to_owned()
            }
            (ErrorCause::AccessDenied, _) => {
                format!("; {permission} on the queue has to be allowed")
            }
            (ErrorCause::Timeout | ErrorCause::Unavailable | ErrorCause::ForeignAnswer, _) => {
                "; check the network, the proxy, the region and aws.endpoint".to_owned()
            }
            _ => String::new(),
        };
        let (queue, place) = (redacted(url), self.place());
        let queue = Escaped(queue);
        Error::new(
            ErrorKind::OpenParams,
            format!("queue {queue} cannot be read in {place}: {failure}{hint}"),
        )
    }
}

/// What a proxy that refuses the request asks for; `None` if the failure is another one.
fn proxy_refusal(failure: &AwsError) -> Option<&'static str> {
    let line = failure.to_string();
    // The first two are answers to a plain request, the last one that to a tunnel.
    let refused = ["HTTP407", "(HTTP 407)", "proxy authorization required"]
        .iter()
        .any(|part| line.contains(part));
    refused.then_some(
        "the proxy requires authentication (HTTP 407); set user and password in HTTPS_PROXY or HTTP_PROXY",
    )
}

/// The region that AWS writes into the host of a queue's URL.
fn region_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let mut labels = rest.split('/').next()?.split('.');
    let region = match (labels.next()?, labels.next()?, labels.next()?) {
        ("sqs", region, "amazonaws") | (region, "queue", "amazonaws") => region,
        _ => return None,
    };
    Some(region).filter(|region| is_region(region))
}

/// A URL without a scheme gets `https`, or that of the configured endpoint where it has the same host.
fn with_scheme(queue: &str, endpoint: &str) -> String {
    if queue.contains("://") {
        return queue.to_owned();
    }
    let host = queue.split('/').next().unwrap_or_default();
    let same_host = endpoint
        .strip_prefix("http://")
        .is_some_and(|rest| rest.trim_end_matches('/') == host);
    match same_host {
        true => format!("http://{queue}"),
        false => format!("https://{queue}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_aws_tells_its_region() {
        for (url, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1")),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
                Some("cn-north-1"),
            ),
            (
                "https://eu-west-1.queue.amazonaws.com/1/q",
                Some("eu-west-1"),
            ),
            ("https://queue.amazonaws.com/1/q", None),
            ("http://127.0.0.1:4566/1/q", None),
            ("q", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }

    #[test]
    fn a_proxy_that_requires_authentication_is_not_a_missing_queue() {
        for (code, message, expected) in [
            ("HTTP407", "(HTTP 407)", true),
            ("Response", "syntax error (HTTP 407)", true),
            (
                "Connection",
                "tunnel error: proxy authorization required",
                true,
            ),
            ("QueueDoesNotExist", "no such queue (HTTP 400)", false),
            ("HTTP404", "(HTTP 404)", false),
        ] {
            let failure = AwsError::new(ErrorCause::Rejected, code, message);
            assert_eq!(proxy_refusal(&failure).is_some(), expected, "{failure}");
        }
    }

    #[test]
    fn a_url_gets_the_scheme_that_it_lacks() {
        for (queue, endpoint, url) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/1/q",
                "",
                "https://sqs.eu-west-1.amazonaws.com/1/q",
            ),
            (
                "sqs.eu-west-1.amazonaws.com/1/q",
                "",
                "https://sqs.eu-west-1.amazonaws.com/1/q",
            ),
            (
                "127.0.0.1:4566/1/q",
                "http://127.0.0.1:4566/",
                "http://127.0.0.1:4566/1/q",
            ),
            (
                "127.0.0.1:4566/1/q",
                "https://127.0.0.1:4566",
                "https://127.0.0.1:4566/1/q",
            ),
        ] {
            assert_eq!(with_scheme(queue, endpoint), url);
        }
    }
}
