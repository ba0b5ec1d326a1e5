//! What went wrong at AWS, in one line for a person and in what a caller can act on.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::log::Printable;

/// Causes of failure, by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// There is no such thing.
    Missing,
    /// The credentials are good, and do not allow it.
    Denied,
    /// The service refuses it for good for another reason.
    Refused,
    /// The credentials are missing, expired or not accepted.
    Credentials,
    /// The bucket or queue lives in another region.
    WrongRegion,
    /// The object is larger than allowed.
    TooLarge,
    /// The service asks to slow down.
    Throttled,
    /// No answer came in time.
    Timeout,
    /// Anything else that may pass.
    Transient,
}

/// A failed request. Reads as one line with the service's code, its words and the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What can be done about it.
    pub cause: Cause,
    /// The service's own code, such as `AccessDenied`; for what never came to an answer `Timeout`, `Connection`, `Credentials` or `Response`.
    pub code: String,
    /// The rest of the line.
    pub message: String,
    /// The region that the answer names as the bucket's.
    pub region: Option<String>,
}

impl Described {
    /// A failure that is found on this side.
    pub(crate) fn new(cause: Cause, code: &str, message: impl Into<String>) -> Self {
        Described {
            cause,
            code: code.to_owned(),
            message: message.into(),
            region: None,
        }
    }

    /// Whether the service asks to slow down.
    pub fn is_throttle(&self) -> bool {
        self.cause == Cause::Throttled
    }

    /// Whether a permission is missing.
    pub fn is_denied(&self) -> bool {
        self.cause == Cause::Denied
    }

    /// Whether the same request may succeed later with nothing changed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.cause,
            Cause::Throttled | Cause::Timeout | Cause::Transient
        )
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match self.code.as_str() {
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                f.write_str("; renew the credentials")
            }
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidToken"
            | "UnrecognizedClientException" => {
                f.write_str("; check the access key and where it comes from")
            }
            "SignatureDoesNotMatch" => f.write_str("; check the secret access key"),
            "RequestTimeTooSkewed" => f.write_str("; set this machine's clock"),
            _ => Ok(()),
        }
    }
}

/// Describes an error of any operation of any AWS client.
pub fn describe<E>(error: &SdkError<E>) -> Described
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let status = raw.status().as_u16();
            let (code, message) = (service.err().code(), service.err().message());
            let region = raw
                .headers()
                .get("x-amz-bucket-region")
                .filter(|name| is_region(name));
            of_service(status, code, message, region)
        }
        SdkError::TimeoutError(_) => {
            Described::new(Cause::Timeout, "Timeout", "no answer came in time")
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let message = format!("{} (HTTP {status})", chain(error));
            Described::new(of_status(status, Cause::Transient), "Response", message)
        }
        other => undelivered(other),
    }
}

/// A request that never went out, or came to no answer.
fn undelivered<E>(error: &SdkError<E>) -> Described
where
    E: StdError + 'static,
{
    if let Some(credentials) = find::<CredentialsError>(error) {
        return Described::new(Cause::Credentials, "Credentials", chain(credentials));
    }
    match error {
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Described::new(Cause::Timeout, "Timeout", chain(error))
        }
        SdkError::DispatchFailure(failure) if !failure.is_user() => {
            Described::new(Cause::Transient, "Connection", chain(error))
        }
        _ => Described::new(Cause::Refused, "Request", chain(error)),
    }
}

/// An answer with an error in it; `code` and `message` are empty for requests whose answers have no body.
fn of_service(
    status: u16,
    code: Option<&str>,
    message: Option<&str>,
    region: Option<&str>,
) -> Described {
    let code = match code.filter(|code| !code.is_empty()) {
        Some(code) => Printable(code).to_string(),
        None => format!("HTTP{status}"),
    };
    let message = match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{} (HTTP {status})", Printable(message)),
        None => format!("(HTTP {status})"),
    };
    Described {
        cause: of_code(&code).unwrap_or_else(|| of_status(status, Cause::Refused)),
        code,
        message,
        region: region.map(str::to_owned),
    }
}

/// Codes that say more than their status, of S3, SQS and STS.
fn of_code(code: &str) -> Option<Cause> {
    // SQS spoke another protocol once, whose codes still appear with this in front.
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    Some(match code {
        "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchVersion"
        | "NotFound"
        | "MethodNotAllowed"
        | "QueueDoesNotExist"
        | "NonExistentQueue"
        | "QueueDeletedRecently" => Cause::Missing,
        "AccessDenied" | "AccessDeniedException" | "KMS.AccessDeniedException" => Cause::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "NotSignedUp" => Cause::Credentials,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Cause::WrongRegion,
        // An archived object, which would have to be restored first.
        "InvalidObjectState" => Cause::Refused,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "KmsThrottled"
        | "KMS.ThrottlingException"
        | "OverLimit" => Cause::Throttled,
        "RequestTimeout"
        | "RequestTimeoutException"
        | "RequestTimeTooSkewed"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "OperationAborted" => Cause::Transient,
        _ => return None,
    })
}

fn of_status(status: u16, otherwise: Cause) -> Cause {
    match status {
        301 | 307 | 308 => Cause::WrongRegion,
        403 => Cause::Denied,
        404 | 410 => Cause::Missing,
        429 => Cause::Throttled,
        408 | 425 | 500..=599 => Cause::Transient,
        _ => otherwise,
    }
}

/// Whether `name` has the shape of a region's. It comes out of an answer, and goes into host names.
pub(super) fn is_region(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The causes of `error` in one line, the outermost first, without those that only introduce another.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let text = Printable(cause.to_string()).to_string();
        let introduces = INTRODUCTIONS.contains(&text.as_str()) && next.is_some();
        if introduces || line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

const INTRODUCTIONS: [&str; 12] = [
    "client error (Connect)",
    "dispatch failure",
    "failed to construct request",
    "io error",
    "other",
    "response error",
    "service error",
    "an error occurred while loading credentials",
    "unhandled error",
    "unexpected credentials error",
    "the credentials provider was not properly configured",
    "the credential provider was not enabled",
];

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(status: u16, code: &str) -> Cause {
        of_service(status, Some(code), Some("m"), None).cause
    }

    #[test]
    fn what_lasts_and_what_passes_are_told_apart() {
        for (status, code, expected) in [
            (404, "NoSuchKey", Cause::Missing),
            (404, "", Cause::Missing),
            (405, "MethodNotAllowed", Cause::Missing),
            (
                400,
                "AWS.SimpleQueueService.NonExistentQueue",
                Cause::Missing,
            ),
            (403, "AccessDenied", Cause::Denied),
            (403, "InvalidObjectState", Cause::Refused),
            (400, "KMS.DisabledException", Cause::Refused),
            (403, "", Cause::Denied),
            (400, "ExpiredToken", Cause::Credentials),
            (403, "InvalidAccessKeyId", Cause::Credentials),
            (301, "PermanentRedirect", Cause::WrongRegion),
            (400, "AuthorizationHeaderMalformed", Cause::WrongRegion),
            (301, "", Cause::WrongRegion),
            (503, "SlowDown", Cause::Throttled),
            (429, "", Cause::Throttled),
            (400, "RequestTimeout", Cause::Transient),
            (403, "RequestTimeTooSkewed", Cause::Transient),
            (500, "InternalError", Cause::Transient),
            (502, "", Cause::Transient),
        ] {
            assert_eq!(cause(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn only_what_passes_is_transient() {
        for (cause, transient) in [
            (Cause::Missing, false),
            (Cause::Denied, false),
            (Cause::Refused, false),
            (Cause::Credentials, false),
            (Cause::WrongRegion, false),
            (Cause::TooLarge, false),
            (Cause::Throttled, true),
            (Cause::Timeout, true),
            (Cause::Transient, true),
        ] {
            assert_eq!(
                Described::new(cause, "c", "m").is_transient(),
                transient,
                "{cause:?}"
            );
        }
    }

    #[test]
    fn an_answer_reads_as_one_line() {
        let denied = of_service(403, Some("AccessDenied"), Some("Access\nDenied"), None);
        assert_eq!(
            denied.to_string(),
            "AccessDenied: Access\\nDenied (HTTP 403)"
        );
        let empty = of_service(404, None, None, None);
        assert_eq!(empty.to_string(), "HTTP404: (HTTP 404)");
        let expired = of_service(400, Some("ExpiredToken"), Some("x"), None);
        assert!(
            expired.to_string().ends_with("renew the credentials"),
            "{expired}"
        );
    }

    #[test]
    fn only_names_of_regions_are_followed() {
        assert!(is_region("eu-central-1") && is_region("us-gov-west-1"));
        for name in ["", "evil.example/", "EU", "a b", &"x".repeat(33)] {
            assert!(!is_region(name), "{name}");
        }
    }
}
