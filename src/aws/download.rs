//! One object's bytes, over as many requests as it takes: a download that broke off is resumed at its last byte.
#![forbid(unsafe_code)]

use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::timeout;

use super::Clients;
use super::answer::Answer;
use super::direct::Get;
use super::error::{AwsError, ErrorCause};
use crate::log::{Escaped, Severity};

/// Silence, before or within an answer, after which a download is broken off. Slowness alone never ends one.
const SILENCE: Duration = Duration::from_secs(20);

/// Bytes reserved before they arrive: a response header may promise what no memory holds.
const MAX_RESERVED: u64 = 32 << 20;

/// Names an object and the version to fall back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectId {
    /// Its bucket.
    pub(crate) bucket: String,
    /// Its key.
    pub(crate) key: String,
    /// The version that a notification named: it still reads after the object was deleted or replaced.
    pub(crate) version: Option<String>,
}

/// What a request brought that met no error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Downloaded {
    /// All bytes of the object.
    Whole(Vec<u8>),
    /// The object has, or may have, this many bytes, for which there is no room now.
    NoRoom(u64),
}

/// What an object may take up in memory.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    /// Stored bytes over which an object is refused.
    pub(crate) max_bytes: u64,
    /// Reserves room for this many bytes in all, unless there is none now. Called before the bytes are downloaded, or
    /// piece by piece where the server does not announce a length.
    pub(crate) reserve: &'a (dyn Fn(u64) -> bool + Sync),
}

/// An object being downloaded.
#[derive(Debug)]
pub(crate) struct Download<'a> {
    object: &'a ObjectId,
    /// Read the named version, as the plain request does not find or may not read the object.
    versioned: bool,
    partial: Option<Partial>,
}

/// The first bytes of an object, and what proves that the rest belongs to them.
#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    etag: String,
    /// The object's length, where it is known.
    total: Option<u64>,
}

impl ObjectId {
    /// The object as a URL, for messages.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", Escaped(&self.bucket), Escaped(&self.key))
    }
}

impl<'a> Download<'a> {
    /// A download of `object` that has not begun.
    pub(crate) fn new(object: &'a ObjectId) -> Self {
        Download {
            object,
            versioned: false,
            partial: None,
        }
    }

    /// Bytes that are kept for the next request.
    pub(crate) fn kept(&self) -> u64 {
        self.partial
            .as_ref()
            .map_or(0, |partial| partial.bytes.len() as u64)
    }

    /// Forgets the bytes that have arrived.
    pub(crate) fn discard(&mut self) {
        self.partial = None;
    }

    /// Makes one request, which continues where the last one broke off. Falls back to the named version where the
    /// plain request finds nothing or is denied.
    ///
    /// # Errors
    ///
    /// One failed request. What has arrived until then is kept for the next.
    pub(crate) async fn request(
        &mut self,
        clients: &Clients,
        room: Room<'_>,
    ) -> Result<Downloaded, AwsError> {
        let object = self.object;
        let plain = match self.request_once(clients, room).await {
            Err(error)
                if !self.versioned
                    && object.version.is_some()
                    && matches!(error.cause, ErrorCause::NotFound | ErrorCause::AccessDenied) =>
            {
                error
            }
            other => return other,
        };
        self.versioned = true;
        self.discard();
        let result = self.request_once(clients, room).await;
        match &result {
            Ok(_) => return result,
            Err(error) if error.is_denied() => clients.shared.log.once(
                "version_denied",
                Severity::Warning,
                format_args!(
                    "{}: the version named in the notification cannot be read: {error}; s3:GetObjectVersion has to be allowed",
                    object.url()
                ),
            ),
            // The version may still read with the next request.
            Err(error) if error.is_transient() => return result,
            Err(_) => {}
        }
        self.versioned = false;
        Err(plain)
    }

    async fn request_once(
        &mut self,
        clients: &Clients,
        room: Room<'_>,
    ) -> Result<Downloaded, AwsError> {
        let object = self.object;
        let answer = clients
            .in_region(&object.bucket, |client| self.get(clients, client))
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if error.cause == ErrorCause::Replaced {
                    self.discard();
                }
                return Err(error);
            }
        };
        let total = self.align(&answer)?;
        self.body(answer, total, room).await
    }

    async fn get(&self, clients: &Clients, client: Client) -> Result<Answer, AwsError> {
        let object = self.object;
        let get = Get {
            bucket: &object.bucket,
            key: &object.key,
            version: object.version.as_deref().filter(|_| self.versioned),
            rest: self
                .partial
                .as_ref()
                .map(|partial| (partial.bytes.len() as u64, partial.etag.as_str())),
        };
        match timeout(SILENCE, clients.get(client, get)).await {
            Ok(answer) => answer,
            Err(_) => Err(silent("no answer")),
        }
    }

    /// Checks that the answer continues what is kept, or begins anew. The object's length, where it is known.
    fn align(&mut self, answer: &Answer) -> Result<Option<u64>, AwsError> {
        let length = answer.length;
        let kept = self.kept();
        let Some(range) = &answer.range else {
            let total = self.partial.as_ref().and_then(|partial| partial.total);
            // The whole object, as the request was for that or the server ignores ranges. A part that does not say
            // which one it is cannot be used.
            let whole = total.is_none_or(|total| length.is_none_or(|length| length == total));
            self.discard();
            return match whole {
                true => Ok(length),
                false => {
                    let message = "the answer has a part of the object without its range";
                    Err(AwsError::new(ErrorCause::Replaced, "Range", message))
                }
            };
        };
        let same = |partial: &Partial| answer.etag == partial.etag;
        match content_range(range) {
            Some((start, total)) if start == kept && self.partial.as_ref().is_some_and(same) => {
                Ok(total.or_else(|| Some(length? + kept)))
            }
            Some((start, _)) if start == kept => {
                self.discard();
                let message = "the answer is of another version of the object (ETag)";
                Err(AwsError::new(ErrorCause::Replaced, "Range", message))
            }
            _ => {
                self.discard();
                let message = format!(
                    "the answer has the range {}, not the one requested",
                    Escaped(range)
                );
                Err(AwsError::new(ErrorCause::Replaced, "Range", message))
            }
        }
    }

    async fn body(
        &mut self,
        answer: Answer,
        total: Option<u64>,
        room: Room<'_>,
    ) -> Result<Downloaded, AwsError> {
        let max_bytes = room.max_bytes;
        if let Some(total) = total.filter(|total| *total > max_bytes) {
            return Err(too_large(total, max_bytes));
        }
        if let Some(total) = total.filter(|total| !(room.reserve)(*total)) {
            return Ok(Downloaded::NoRoom(total));
        }
        let etag = answer.etag;
        let mut bytes = self
            .partial
            .take()
            .map(|partial| partial.bytes)
            .unwrap_or_default();
        let expected = total.unwrap_or(0).min(MAX_RESERVED) as usize;
        bytes.reserve_exact(expected.saturating_sub(bytes.len()));
        let mut body = answer.body;
        let failure = loop {
            let received = bytes.len() as u64;
            let chunk = match timeout(SILENCE, body.next()).await {
                Ok(None) if total.is_none_or(|total| total == received) => {
                    return Ok(Downloaded::Whole(bytes));
                }
                Ok(None) => {
                    let message = format!(
                        "the body ended after {received} of {} bytes",
                        total.unwrap_or_default()
                    );
                    break AwsError::new(ErrorCause::Unavailable, "Body", message);
                }
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => {
                    let message = format!("the body broke off after {received} bytes: {error}");
                    break AwsError::new(ErrorCause::Unavailable, "Body", message);
                }
                Err(_) => break silent(&format!("no byte after {received}")),
            };
            let received = received + chunk.len() as u64;
            if received > max_bytes {
                return Err(too_large(received, max_bytes));
            }
            if total.is_none() && !(room.reserve)(received) {
                // The length is unknown; the next request gets twice the room.
                return Ok(Downloaded::NoRoom(
                    received.saturating_mul(2).min(max_bytes),
                ));
            }
            bytes.extend_from_slice(&chunk);
        };
        // More than the object has, or all of it with a wrong checksum: not the object's bytes. Weak tags prove nothing.
        let complete = total.is_some_and(|total| bytes.len() as u64 >= total);
        if !bytes.is_empty() && !complete && !etag.starts_with("W/") {
            self.partial = Some(Partial { bytes, etag, total });
        }
        Err(failure)
    }
}

/// Start and total length of a `Content-Range: bytes <start>-<end>/<total>`.
fn content_range(range: &str) -> Option<(u64, Option<u64>)> {
    let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = span.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}

fn silent(what: &str) -> AwsError {
    let message = format!("{what} within {} s", SILENCE.as_secs());
    AwsError::new(ErrorCause::Timeout, "Timeout", message)
}

fn too_large(bytes: u64, max_bytes: u64) -> AwsError {
    let message =
        format!("has at least {bytes} bytes, more than maxObjectBytes allows ({max_bytes})");
    AwsError::new(ErrorCause::TooLarge, "TooLarge", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed() {
        assert_eq!(content_range("bytes 10-19/100"), Some((10, Some(100))));
        assert_eq!(content_range("bytes 10-19/*"), Some((10, None)));
        for other in ["", "bytes */100", "bytes 10/100", "items 1-2/3"] {
            assert_eq!(content_range(other), None, "{other}");
        }
    }
}
