//! Failed requests to AWS: one line for the log, and one table that decides which failures are transient.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::fmt;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;

pub(super) use super::error_chain::chain;
use super::error_chain::find;
use crate::log::Escaped;
use crate::log::quote::quoted;

/// Response headers of which S3 and SQS always send at least one. An answer without them comes from something in
/// between, such as a captive portal or a proxy.
pub(super) const REQUEST_ID_HEADERS: [&str; 3] =
    ["x-amz-request-id", "x-amzn-requestid", "x-amz-id-2"];

/// Causes of failure, by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCause {
    /// The object, bucket or queue does not exist.
    NotFound,
    /// The credentials are valid but not authorized.
    AccessDenied,
    /// The service refuses the request for a reason that lies in the object or the request, such as an archived object.
    Rejected,
    /// The object is larger than allowed.
    TooLarge,
    /// The credentials are missing, expired or not accepted.
    Credentials,
    /// The KMS key of the object is disabled, pending or missing.
    EncryptionKey,
    /// The bucket or queue lives in another region.
    WrongRegion,
    /// The object was replaced while it was being downloaded.
    Replaced,
    /// The service asks to slow down.
    Throttled,
    /// No answer, or no further byte of it, came in time.
    Timeout,
    /// A server error, or a connection that was refused or reset.
    Unavailable,
    /// The answer does not come from the service: a captive portal or a proxy.
    ForeignAnswer,
}

/// Whether a failed request can succeed later without a change to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Passes for the whole source: network, service, credentials or key management. Waited out.
    TransientSource,
    /// Can pass for this object only: a missing permission. Waited out by `sqs://`, final after a few tries in `s3://`.
    TransientObject,
    /// Can pass within seconds (replication lag), then it is permanent.
    BrieflyTransient,
    /// Does not pass.
    Permanent,
}

impl ErrorCause {
    /// The one table that decides which failures are transient.
    pub fn class(self) -> ErrorClass {
        match self {
            ErrorCause::Throttled
            | ErrorCause::Timeout
            | ErrorCause::Unavailable
            | ErrorCause::ForeignAnswer
            | ErrorCause::Credentials
            | ErrorCause::Replaced
            | ErrorCause::EncryptionKey => ErrorClass::TransientSource,
            ErrorCause::AccessDenied => ErrorClass::TransientObject,
            ErrorCause::NotFound => ErrorClass::BrieflyTransient,
            ErrorCause::Rejected | ErrorCause::TooLarge | ErrorCause::WrongRegion => {
                ErrorClass::Permanent
            }
        }
    }

    /// Whether fewer concurrent requests can help: the service, the network or the link is overloaded.
    pub(crate) fn is_congestion(self) -> bool {
        matches!(
            self,
            ErrorCause::Throttled
                | ErrorCause::Timeout
                | ErrorCause::Unavailable
                | ErrorCause::ForeignAnswer
        )
    }

    /// Whether the failure says something about the service as a whole, rather than about one object or its key.
    pub(crate) fn is_outage(self) -> bool {
        self.is_congestion() || self == ErrorCause::Credentials
    }
}

/// A failed request. Displays as one line with the service's code, its message and the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// What a caller can do about it.
    pub cause: ErrorCause,
    /// The service's own code, such as `AccessDenied`; without an answer `Timeout`, `Connection`, `Credentials` or `Response`.
    pub code: String,
    /// The rest of the line.
    pub message: String,
    /// The region that the answer names as the bucket's.
    pub region: Option<String>,
    /// HTTP status of the answer, where there is one that a service or something in front of it has given.
    pub(super) status: Option<u16>,
}

impl AwsError {
    /// A failure detected on this side.
    pub(crate) fn new(cause: ErrorCause, code: &str, message: impl Into<String>) -> Self {
        AwsError {
            cause,
            code: code.to_owned(),
            message: message.into(),
            region: None,
            status: None,
        }
    }

    /// An answer to `what` that lacks everything by which S3's answers are recognized.
    pub(crate) fn foreign(what: &str) -> Self {
        let message = format!(
            "the answer to {what} is not from the service: it has no request id; check for a captive portal or proxy in between"
        );
        AwsError::new(ErrorCause::ForeignAnswer, "ForeignAnswer", message)
    }

    /// Whether the service asks to slow down.
    pub fn is_throttle(&self) -> bool {
        self.cause == ErrorCause::Throttled
    }

    /// Whether the service answered, and has a problem of its own.
    pub(crate) fn is_server_error(&self) -> bool {
        self.cause == ErrorCause::Unavailable && self.has_server_status()
    }

    /// Whether the status of the answer is one for problems of the server, be that the service or a gateway.
    pub(super) fn has_server_status(&self) -> bool {
        self.status.is_some_and(|status| status >= 500)
    }

    /// Whether the answer is that the bucket is in another region than `region`, or may be.
    pub(super) fn is_elsewhere(&self, region: &str) -> bool {
        let named = self.region.as_deref();
        let redirected = matches!(
            self.code.as_str(),
            "TemporaryRedirect" | "Redirect" | "HTTP307"
        );
        self.cause == ErrorCause::WrongRegion || redirected && named.is_some_and(|it| it != region)
    }

    /// Whether a permission is missing.
    pub fn is_denied(&self) -> bool {
        self.cause == ErrorCause::AccessDenied
    }

    /// Whether the same request can succeed later with nothing changed on this side.
    pub fn is_transient(&self) -> bool {
        self.cause.class() == ErrorClass::TransientSource
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if !self.message.is_empty() {
            match self.message.starts_with('(') {
                true => write!(f, " {}", self.message)?,
                false => write!(f, ": {}", self.message)?,
            }
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

impl StdError for AwsError {}

/// Describes an error of any operation of any AWS client.
pub fn describe<E>(error: &SdkError<E>) -> AwsError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        // The SDK reports an answer that it cannot parse as a service error with the status of a success.
        SdkError::ServiceError(service) if service.raw().status().is_success() => {
            unparsable(service.raw())
        }
        SdkError::ResponseError(response) => unparsable(response.raw()),
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let (code, message) = (service.err().code(), service.err().message());
            let mut described = of_service(raw.status().as_u16(), code, message);
            described.region = region_in(raw);
            // A server that speaks S3's or SQS's own error codes is one, with or without a request id.
            let coded = code.is_some_and(|code| of_code(code).is_some());
            if !coded && !has_request_id(raw) {
                described.cause = ErrorCause::ForeignAnswer;
                if raw.status().as_u16() == 407 {
                    described.code = "ProxyAuthentication".to_owned();
                    described.message = "the proxy asks for credentials (HTTP 407)".to_owned();
                } else {
                    let status = raw.status().as_u16();
                    let foreign = AwsError::foreign(&format!("a request (HTTP {status})"));
                    return AwsError {
                        status: Some(status),
                        ..foreign
                    };
                }
            }
            described
        }
        SdkError::TimeoutError(_) => no_answer(),
        other => unanswered(other),
    }
}

/// An answer that the SDK cannot parse. The parser's own words say nothing to an operator.
fn unparsable(response: &HttpResponse) -> AwsError {
    unusable(response, "is cut off or malformed")
}

/// An answer with a status of success that was cut off on the way, or is not the service's; `problem` is what it is.
pub(super) fn unusable(response: &HttpResponse, problem: &str) -> AwsError {
    let status = response.status().as_u16();
    let encoding = response.headers().get("content-encoding");
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let message = format!(
            "the answer has Content-Encoding {}, which was not requested; check for a proxy in between that compresses answers (HTTP {status})",
            quoted(encoding)
        );
        return AwsError::new(ErrorCause::ForeignAnswer, "Response", message);
    }
    if !has_request_id(response) {
        return AwsError::foreign(&format!("a request (HTTP {status})"));
    }
    let message = format!("the answer {problem} (HTTP {status})");
    AwsError::new(ErrorCause::Unavailable, "Response", message)
}

pub(super) fn has_request_id(response: &HttpResponse) -> bool {
    let headers = response.headers();
    REQUEST_ID_HEADERS
        .iter()
        .any(|name| headers.get(*name).is_some())
}

/// The bucket's region, from the header or from the body's `<Region>`: some answers have only one of them.
fn region_in(response: &HttpResponse) -> Option<String> {
    let header = response.headers().get("x-amz-bucket-region");
    let in_body = || {
        let body = std::str::from_utf8(response.body().bytes()?).ok()?;
        let (_, rest) = body.split_once("<Region>")?;
        rest.split_once("</Region>").map(|(region, _)| region)
    };
    header
        .or_else(in_body)
        .filter(|name| is_region(name))
        .map(str::to_owned)
}

/// Describes a request over the bare client that was not sent, or not answered.
pub(super) fn unsent(error: &(dyn StdError + 'static)) -> AwsError {
    if is_timeout(error) {
        return no_answer();
    }
    let line = chain(error);
    match line.contains(CANCELLED) {
        true => cancelled(),
        false => AwsError::new(ErrorCause::Unavailable, "Connection", line),
    }
}

/// The same as the SDK's own client reports it.
pub(super) fn unsent_to_sdk(error: hyper_util::client::legacy::Error) -> ConnectorError {
    match (is_timeout(&error), error.is_connect()) {
        (true, _) => ConnectorError::timeout(error.into()),
        (false, true) => ConnectorError::io(error.into()).never_connected(),
        (false, false) => ConnectorError::io(error.into()),
    }
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    find::<io::Error>(error).is_some_and(timed_out)
}

pub(super) fn no_answer() -> AwsError {
    AwsError::new(ErrorCause::Timeout, "Timeout", "no answer came in time")
}

/// What hyper says of a request whose runtime shuts down.
const CANCELLED: &str = "dispatch task is gone";

/// A request that is cancelled while the source closes, which says nothing about its object.
fn cancelled() -> AwsError {
    let message = "the request was cancelled";
    AwsError::new(ErrorCause::Unavailable, "Cancelled", message)
}

/// A request that was not sent, or not answered.
fn unanswered<E>(error: &SdkError<E>) -> AwsError
where
    E: StdError + 'static,
{
    if let Some(described) = find::<AwsError>(error) {
        return described.clone();
    }
    if let Some(credentials) = find::<CredentialsError>(error) {
        return AwsError::new(ErrorCause::Credentials, "Credentials", chain(credentials));
    }
    match error {
        SdkError::DispatchFailure(failure) if failure.is_timeout() => no_answer(),
        SdkError::DispatchFailure(_) if chain(error).contains(CANCELLED) => cancelled(),
        SdkError::DispatchFailure(failure) if !failure.is_user() => {
            AwsError::new(ErrorCause::Unavailable, "Connection", chain(error))
        }
        _ => AwsError::new(ErrorCause::Rejected, "Request", chain(error)),
    }
}

/// An error answer; `code` and `message` are empty for requests whose answers have no body.
fn of_service(status: u16, code: Option<&str>, message: Option<&str>) -> AwsError {
    let code = match code.filter(|code| !code.is_empty()) {
        Some(code) => Escaped(code).to_string(),
        None => format!("HTTP{status}"),
    };
    let message = match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{} (HTTP {status})", Escaped(message)),
        None if code.starts_with("HTTP") => String::new(),
        None => format!("(HTTP {status})"),
    };
    AwsError {
        cause: of_code(&code).unwrap_or_else(|| of_status(status)),
        code,
        message,
        region: None,
        status: Some(status),
    }
}

/// The cause of an error code of S3, SQS, KMS or STS that says more than its HTTP status.
fn of_code(code: &str) -> Option<ErrorCause> {
    // The older query protocol of SQS put this in front, and some servers still do.
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    Some(match code {
        "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchVersion"
        | "NotFound"
        | "MethodNotAllowed"
        | "QueueDoesNotExist"
        | "NonExistentQueue"
        | "QueueDeletedRecently" => ErrorCause::NotFound,
        "AccessDenied" | "AccessDeniedException" | "KMS.AccessDeniedException" => {
            ErrorCause::AccessDenied
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "NotSignedUp" => ErrorCause::Credentials,
        "KMS.DisabledException"
        | "KMS.KMSInvalidStateException"
        | "KMS.InvalidStateException"
        | "KMS.NotFoundException"
        | "KMS.InternalException"
        | "KMS.KMSInternalException"
        | "KMS.DependencyTimeoutException"
        | "KmsDisabled"
        | "KmsInvalidState"
        | "KmsNotFound" => ErrorCause::EncryptionKey,
        "KmsAccessDenied" => ErrorCause::AccessDenied,
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => ErrorCause::WrongRegion,
        // An archived object has to be restored first.
        "InvalidObjectState" => ErrorCause::Rejected,
        "PreconditionFailed" | "ConditionalRequestConflict" => ErrorCause::Replaced,
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
        | "KMS.ThrottlingException"
        | "KmsThrottled"
        | "OverLimit" => ErrorCause::Throttled,
        // S3 redirects for some hours after a bucket was created, until its name is known everywhere.
        "TemporaryRedirect"
        | "Redirect"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "RequestTimeTooSkewed"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "OperationAborted" => ErrorCause::Unavailable,
        _ if code.starts_with("KMS.") => ErrorCause::EncryptionKey,
        _ => return None,
    })
}

fn of_status(status: u16) -> ErrorCause {
    match status {
        301 | 308 => ErrorCause::WrongRegion,
        403 => ErrorCause::AccessDenied,
        404 | 410 => ErrorCause::NotFound,
        412 | 416 => ErrorCause::Replaced,
        429 => ErrorCause::Throttled,
        302..=304 | 307 | 407 | 408 | 425 | 500..=599 => ErrorCause::Unavailable,
        _ => ErrorCause::Rejected,
    }
}

/// Whether `name` has the shape of a region's name. It comes from an answer and goes into host names.
pub(super) fn is_region(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether a service from which credentials come answered that it is busy or has a problem of its own, or gave an answer
/// that is none.
pub(super) fn is_service_problem(error: &(dyn StdError + 'static)) -> bool {
    find::<ErrorMetadata>(error).is_some_and(|answer| {
        let cause = answer.code().map(of_code);
        let passes = [ErrorCause::Throttled, ErrorCause::Unavailable];
        cause.is_none_or(|cause| cause.is_some_and(|cause| passes.contains(&cause)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorCause::*;

    #[test]
    fn codes_and_statuses_map_to_causes() {
        for (status, code, expected) in [
            (404, "NoSuchKey", NotFound),
            (404, "", NotFound),
            (405, "MethodNotAllowed", NotFound),
            (400, "AWS.SimpleQueueService.NonExistentQueue", NotFound),
            (403, "AccessDenied", AccessDenied),
            (403, "", AccessDenied),
            (400, "KMS.AccessDeniedException", AccessDenied),
            (403, "InvalidObjectState", Rejected),
            (400, "InvalidArgument", Rejected),
            (400, "KMS.DisabledException", EncryptionKey),
            (400, "KMS.KMSInvalidStateException", EncryptionKey),
            (400, "KMS.NotFoundException", EncryptionKey),
            (400, "KMS.ThrottlingException", Throttled),
            (400, "KMS.SomethingNew", EncryptionKey),
            (400, "ExpiredToken", Credentials),
            (403, "InvalidAccessKeyId", Credentials),
            (403, "SignatureDoesNotMatch", Credentials),
            (301, "PermanentRedirect", WrongRegion),
            (400, "AuthorizationHeaderMalformed", WrongRegion),
            (301, "", WrongRegion),
            (307, "TemporaryRedirect", Unavailable),
            (307, "", Unavailable),
            (302, "", Unavailable),
            (304, "", Unavailable),
            (412, "PreconditionFailed", Replaced),
            (416, "", Replaced),
            (503, "SlowDown", Throttled),
            (429, "", Throttled),
            (400, "RequestTimeout", Unavailable),
            (403, "RequestTimeTooSkewed", Unavailable),
            (500, "InternalError", Unavailable),
            (502, "", Unavailable),
            (407, "", Unavailable),
        ] {
            let cause = of_service(status, Some(code), Some("m")).cause;
            assert_eq!(cause, expected, "{status} {code}");
        }
    }

    #[test]
    fn each_cause_has_its_class() {
        for (cause, class) in [
            (Throttled, ErrorClass::TransientSource),
            (Timeout, ErrorClass::TransientSource),
            (Unavailable, ErrorClass::TransientSource),
            (ForeignAnswer, ErrorClass::TransientSource),
            (Credentials, ErrorClass::TransientSource),
            (EncryptionKey, ErrorClass::TransientSource),
            (Replaced, ErrorClass::TransientSource),
            (AccessDenied, ErrorClass::TransientObject),
            (NotFound, ErrorClass::BrieflyTransient),
            (Rejected, ErrorClass::Permanent),
            (TooLarge, ErrorClass::Permanent),
            (WrongRegion, ErrorClass::Permanent),
        ] {
            assert_eq!(cause.class(), class, "{cause:?}");
        }
    }

    #[test]
    fn temporary_redirect_leads_to_another_region_only_if_it_names_one() {
        let mut redirect = of_service(307, Some("TemporaryRedirect"), None);
        assert!(!redirect.is_elsewhere("eu-west-1"));
        redirect.region = Some("eu-west-1".to_owned());
        assert!(!redirect.is_elsewhere("eu-west-1"));
        assert!(redirect.is_elsewhere("us-east-1"));
        assert!(of_service(301, None, None).is_elsewhere("eu-west-1"));
    }

    #[test]
    fn error_answer_displays_as_one_line() {
        let denied = of_service(403, Some("AccessDenied"), Some("Access\nDenied"));
        assert_eq!(
            denied.to_string(),
            "AccessDenied: Access\\nDenied (HTTP 403)"
        );
        assert_eq!(of_service(404, None, None).to_string(), "HTTP404");
        assert_eq!(
            of_service(404, Some("NoSuchKey"), None).to_string(),
            "NoSuchKey (HTTP 404)"
        );
        let expired = of_service(400, Some("ExpiredToken"), Some("x"));
        assert!(
            expired.to_string().ends_with("renew the credentials"),
            "{expired}"
        );
    }

    #[test]
    fn unusable_answer_is_named_by_its_encoding_its_origin_or_its_content() {
        let answer = |headers: &[(&'static str, &'static str)]| {
            let mut answer = HttpResponse::new(200.try_into().expect("a status"), "".into());
            for (name, value) in headers {
                answer.headers_mut().insert(*name, *value);
            }
            unusable(&answer, "is empty")
        };
        let id = ("x-amzn-requestid", "1");
        for (headers, cause, part) in [
            (&[id][..], Unavailable, "the answer is empty (HTTP 200)"),
            (
                &[id, ("content-encoding", "Identity")],
                Unavailable,
                "the answer is empty (HTTP 200)",
            ),
            (&[], ForeignAnswer, "is not from the service"),
            (
                &[id, ("content-encoding", "gzip")],
                ForeignAnswer,
                "Content-Encoding \"gzip\"",
            ),
        ] {
            let error = answer(headers);
            assert_eq!(error.cause, cause, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.is_transient());
        }
    }

    #[test]
    fn error_of_a_credentials_service_is_its_code_and_message() {
        let answer = |code: &str, message: &str| {
            let answer = ErrorMetadata::builder().code(code).message(message);
            CredentialsError::provider_error(answer.custom("request_id", "1").build())
        };
        let denied = answer("AccessDenied", "not\nallowed");
        assert_eq!(chain(&denied), "AccessDenied: not\\nallowed");
        assert!(!is_service_problem(&denied));
        for code in ["Throttling", "InternalFailure", "ServiceUnavailable"] {
            assert!(is_service_problem(&answer(code, "m")), "{code}");
        }
        let none = CredentialsError::provider_error(ErrorMetadata::builder().build());
        assert_eq!(chain(&none), "the answer has no error code");
        assert!(is_service_problem(&none));
        let other = CredentialsError::provider_error("a program failed");
        assert_eq!(chain(&other), "a program failed");
        assert!(!is_service_problem(&other));
    }

    #[test]
    fn only_region_names_are_followed() {
        assert!(is_region("eu-central-1") && is_region("us-gov-west-1"));
        for name in ["", "evil.example/", "EU", "a b", &"x".repeat(33)] {
            assert!(!is_region(name), "{name}");
        }
    }
}
