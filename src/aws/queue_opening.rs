//! Waits out throttling and server errors while a queue is opened: such a failure ends within seconds, and would end Falco.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::Clients;
use super::backoff::Backoff;
use super::error::{AwsError, ErrorCause};
use crate::log::quote::redacted;
use crate::log::{Escaped, Severity};

/// Time limit for one request with the SDK's own retries. Later requests take longer: they wait for messages.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long throttling and server errors are waited out, from the first request that fails so. The SDK's own retries of
/// the last one may take some seconds more.
const PATIENCE: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The wait for one queue to be opened, which all of its requests share.
#[derive(Debug)]
pub(crate) struct QueueOpening {
    pauses: Backoff,
    /// When failures are no longer waited out; `None` before the first one.
    end: Option<Instant>,
}

impl QueueOpening {
    pub(crate) fn new() -> Self {
        QueueOpening {
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            end: None,
        }
    }
}

impl Clients {
    /// Makes a request about `queue`, again while its failure is one that passes soon. All others are returned at once.
    pub(crate) async fn while_opening<T>(
        &self,
        queue: &str,
        opening: &mut QueueOpening,
        mut request: impl AsyncFnMut() -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        loop {
            let requested = Instant::now();
            let failure = match timeout(REQUEST_TIMEOUT, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let message = format!("no response within {} s", REQUEST_TIMEOUT.as_secs());
                    AwsError::new(ErrorCause::Timeout, "Timeout", message)
                }
            };
            if !passes_soon(&failure) {
                return Err(failure);
            }
            let now = Instant::now();
            let end = *opening.end.get_or_insert_with(|| {
                self.shared.log.line(
                    Severity::Warning,
                    format_args!(
                        "queue {}: {failure}; waiting up to {} s",
                        Escaped(redacted(queue)),
                        PATIENCE.as_secs()
                    ),
                );
                requested + PATIENCE
            });
            if now >= end {
                return Err(failure);
            }
            sleep(opening.pauses.pause().min(end - now)).await;
        }
    }
}

/// Whether the service, or what is in front of it, asks to slow down or has a problem of its own.
fn passes_soon(failure: &AwsError) -> bool {
    failure.is_throttle() || failure.has_server_status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_and_server_errors_pass_soon_and_nothing_else_does() {
        use ErrorCause::*;
        for (cause, code, status, expected) in [
            (Throttled, "RequestThrottled", Some(400), true),
            (Unavailable, "InternalFailure", Some(500), true),
            (Unavailable, "HTTP503", Some(503), true),
            (ForeignAnswer, "ForeignAnswer", Some(503), true),
            (ForeignAnswer, "ForeignAnswer", Some(200), false),
            (Unavailable, "Connection", None, false),
            (Timeout, "Timeout", None, false),
            (AccessDenied, "AccessDenied", Some(403), false),
            (Credentials, "ExpiredToken", Some(403), false),
            (NotFound, "QueueDoesNotExist", Some(400), false),
        ] {
            let failure = AwsError {
                status,
                ..AwsError::new(cause, code, "m")
            };
            assert_eq!(passes_soon(&failure), expected, "{failure}");
        }
    }
}
