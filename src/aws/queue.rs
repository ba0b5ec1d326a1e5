//! Resolves the name, ARN or URL of a queue to its URL, and explains failures of requests to it.
#![forbid(unsafe_code)]

use aws_sdk_sqs::config::retry::RetryConfig;

use super::Clients;
use super::arn::{QueueArn, queue_arn};
use super::error::{AwsError, ErrorCause, describe, is_region};
use super::queue_opening::QueueOpening;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;
use crate::log::quote::{quoted, redacted};

impl Clients {
    /// Resolves a queue's name, ARN, or URL with or without its scheme. A name is looked up in `owner_account`, or in the
    /// account of the credentials if that is empty; a URL is not looked up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] with the queue, the region and the service's error code.
    pub(crate) async fn queue_url(
        &self,
        queue: &str,
        owner_account: &str,
        opening: &mut QueueOpening,
    ) -> Result<String> {
        if queue.contains('/') {
            return Ok(with_scheme(queue, &self.shared.endpoint));
        }
        let (queue, owner_account) = match queue_arn(queue) {
            Some(arn) => self.own_arn(queue, arn, owner_account)?,
            None => (queue, owner_account),
        };
        let owner = Some(owner_account).filter(|owner| !owner.is_empty());
        // Fewer attempts than other requests: the user waits for it.
        let quick = aws_sdk_sqs::Config::builder()
            .retry_config(RetryConfig::standard().with_max_attempts(4));
        let request = async || {
            let request = self
                .sqs
                .get_queue_url()
                .queue_name(queue)
                .set_queue_owner_aws_account_id(owner.map(str::to_owned))
                .customize()
                .config_override(quick.clone());
            request.send().await.map_err(|error| describe(&error))
        };
        let of_owner = owner.map_or_else(String::new, |owner| format!(" of account {owner}"));
        let shown = format!("{queue}{of_owner}");
        let output = self.while_opening(&shown, opening, request).await;
        let output = output.map_err(|failure| {
            let hint = match failure.cause {
                ErrorCause::NotFound => "; check the queue's name, its region and sqsOwnerAccount",
                ErrorCause::AccessDenied => {
                    "; allow sqs:GetQueueUrl on the queue, or configure the queue's URL"
                }
                cause => network_hint(cause),
            };
            self.queue_error(&shown, "found", &failure, hint)
        })?;
        output.queue_url.ok_or_else(|| {
            let failure = AwsError::new(
                ErrorCause::ForeignAnswer,
                "NoQueueUrl",
                "no URL in the response",
            );
            self.queue_error(&shown, "found", &failure, "")
        })
    }

    /// Clients that reach the queue at `url`. The SDK sends all requests to the public host of its region. So a queue in
    /// another region is an error, and another host, such as that of a VPC endpoint, becomes the endpoint, unless one was
    /// configured.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OpenParams`] with the queue's region and the one in use.
    pub(crate) fn for_queue(mut self, url: &str) -> Result<Clients> {
        if self.shared.has_sqs_endpoint {
            return Ok(self);
        }
        if let Some(region) = region_of(url).filter(|region| *region != self.region) {
            return Err(wrong_region(&redacted(url), region, &self.region));
        }
        if let Some(endpoint) = endpoint_of(url, self.shared.has_variant_endpoints) {
            for client in [&mut self.sqs, &mut self.uncounted_sqs] {
                let config = client.config().to_builder().endpoint_url(endpoint);
                *client = aws_sdk_sqs::Client::from_conf(config.build());
            }
        }
        Ok(self)
    }

    /// Name and owner in an ARN, if its region and owner match the configuration.
    fn own_arn<'a>(
        &self,
        text: &str,
        arn: QueueArn<'a>,
        owner_account: &str,
    ) -> Result<(&'a str, &'a str)> {
        if arn.region != self.region {
            return Err(wrong_region(text, arn.region, &self.region));
        }
        if !owner_account.is_empty() && owner_account != arn.account {
            return Err(Error::new(
                ErrorKind::OpenParams,
                format!(
                    "queue {} is owned by account {}, but sqsOwnerAccount is {}; remove sqsOwnerAccount",
                    Escaped(text),
                    arn.account,
                    quoted(owner_account)
                ),
            ));
        }
        Ok((arn.name, arn.account))
    }

    /// Error for a failed request to the queue at `url`; `permission` is the one that the request needs.
    pub(crate) fn queue_refused(&self, url: &str, permission: &str, failure: &AwsError) -> Error {
        let hint = match (failure.cause, region_of(url)) {
            (
                ErrorCause::NotFound | ErrorCause::AccessDenied | ErrorCause::WrongRegion,
                Some(region),
            ) if region != self.region => {
                format!("; the queue is in {region}, set aws.region to it")
            }
            (ErrorCause::NotFound, _) => {
                "; check the queue's URL, its region and its account".to_owned()
            }
            (ErrorCause::AccessDenied, _) => format!("; allow {permission} on the queue"),
            (cause, _) => network_hint(cause).to_owned(),
        };
        self.queue_error(url, "read", failure, &hint)
    }

    fn queue_error(&self, queue: &str, verb: &str, failure: &AwsError, hint: &str) -> Error {
        let (queue, place) = (Escaped(redacted(queue)), self.place());
        let message = match proxy_refusal(failure) {
            Some(refusal) => format!("queue {queue} cannot be reached in {place}: {refusal}"),
            None => format!("queue {queue} cannot be {verb} in {place}: {failure}{hint}"),
        };
        Error::new(ErrorKind::OpenParams, message)
    }
}

fn wrong_region(queue: &str, region: &str, used: &str) -> Error {
    let (queue, region) = (Escaped(queue), Escaped(region));
    Error::new(
        ErrorKind::OpenParams,
        format!(
            "queue {queue} is in region {region}, but the region in use is {used}; set aws.region to the queue's region"
        ),
    )
}

/// Hint for requests without a response from the service.
pub(super) const CHECK_NETWORK: &str =
    "; check the network, the proxy, the region and aws.endpoint";

fn network_hint(cause: ErrorCause) -> &'static str {
    match cause {
        ErrorCause::Timeout | ErrorCause::Unavailable | ErrorCause::ForeignAnswer => CHECK_NETWORK,
        _ => "",
    }
}

/// Message for a request that a proxy rejected; `None` for other failures.
fn proxy_refusal(failure: &AwsError) -> Option<&'static str> {
    let line = failure.to_string();
    // The first two are responses to a plain request, the last one to a tunnel.
    let refused = ["HTTP407", "(HTTP 407)", "proxy authorization required"]
        .iter()
        .any(|part| line.contains(part));
    refused.then_some(
        "the proxy requires authentication (HTTP 407); set user and password in HTTPS_PROXY or HTTP_PROXY",
    )
}

/// The host of a URL with its scheme and credentials, and the host alone.
fn host_of(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let end = url[start..].find('/').map_or(url.len(), |len| start + len);
    let host = &url[start..end];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some((&url[..end], host))
}

/// The region in the host of a queue's URL.
fn region_of(url: &str) -> Option<&str> {
    let (_, host) = host_of(url)?;
    let labels: Vec<&str> = host.split('.').collect();
    let region = match labels[..] {
        ["sqs" | "sqs-fips", region, "amazonaws" | "api", ..]
        | [region, "queue", "amazonaws", ..]
        | [_, "sqs" | "sqs-fips", region, "vpce", ..] => region,
        _ => return None,
    };
    Some(region).filter(|region| is_region(region))
}

/// Scheme and host of a queue's URL, unless the host is one to which the SDK sends requests by itself. Those of FIPS and of
/// dual stack are, if the configuration `has_variants`: it then decides which of them.
fn endpoint_of(url: &str, has_variants: bool) -> Option<&str> {
    let (endpoint, host) = host_of(url)?;
    let is_dual_stack = [".api.aws", ".api.amazonwebservices.com.cn"]
        .iter()
        .any(|suffix| host.ends_with(suffix));
    let is_public = is_dual_stack
        || [".amazonaws.com", ".amazonaws.com.cn"]
            .iter()
            .any(|suffix| host.ends_with(suffix));
    let is_private = host.contains(".vpce.") || !is_public;
    let is_variant = is_dual_stack || host.starts_with("sqs-fips.");
    (is_private || is_variant && !has_variants).then_some(endpoint)
}

/// Adds a missing scheme: that of the configured endpoint if the host is the same, else `https`.
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
    fn region_is_read_from_a_queue_url() {
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
            ("https://sqs.eu-west-1.api.aws/1/q", Some("eu-west-1")),
            ("https://u:p@sqs.eu-west-1.api.aws/1/q", Some("eu-west-1")),
            (
                "https://sqs-fips.us-west-2.amazonaws.com/1/q",
                Some("us-west-2"),
            ),
            ("https://sqs-fips.us-west-2.api.aws/1/q", Some("us-west-2")),
            (
                "https://vpce-1-2.sqs.us-west-2.vpce.amazonaws.com/1/q",
                Some("us-west-2"),
            ),
            (
                "https://sqs.cn-north-1.api.amazonwebservices.com.cn/1/q",
                Some("cn-north-1"),
            ),
            ("https://queue.amazonaws.com/1/q", None),
            ("http://127.0.0.1:4566/1/q", None),
            ("q", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }

    #[test]
    fn host_of_a_vpc_endpoint_is_the_endpoint() {
        for (url, endpoint) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/q", None),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", None),
            ("https://queue.amazonaws.com/1/q", None),
            (
                "https://vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com/1/q",
                Some("https://vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com"),
            ),
            ("http://127.0.0.1:4566/1/q", Some("http://127.0.0.1:4566")),
        ] {
            for has_variants in [false, true] {
                assert_eq!(endpoint_of(url, has_variants), endpoint, "{url}");
            }
        }
    }

    #[test]
    fn fips_and_dual_stack_hosts_are_used_unless_the_configuration_decides() {
        for host in [
            "https://sqs-fips.us-west-2.amazonaws.com",
            "https://sqs.us-west-2.api.aws",
            "https://sqs-fips.us-west-2.api.aws",
            "https://sqs.cn-north-1.api.amazonwebservices.com.cn",
        ] {
            let url = format!("{host}/1/q");
            assert_eq!(endpoint_of(&url, false), Some(host));
            assert_eq!(endpoint_of(&url, true), None, "{host}");
        }
    }

    #[test]
    fn proxy_authentication_is_distinguished_from_a_missing_queue() {
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
    fn missing_scheme_is_added() {
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
