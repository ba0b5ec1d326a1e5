//! One object's bytes, whole or not at all.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::{Instant, timeout, timeout_at};

use super::Clients;
use super::bucket::too_slow;
use super::failure::{Cause, Described, chain, describe};
use super::retry::Tries;
use crate::log::Printable;

/// How long the answer to a download may take to begin.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// How long a body may take, to which comes the time for its bytes at the slowest rate.
const GRACE: Duration = Duration::from_secs(20);

/// Bytes per second below which a body is given up: servers that drip bytes hold up all that comes behind.
const SLOWEST: u64 = 16 << 10;

/// Bytes for which there is room before they arrive: a head may promise what no memory holds.
const MOST_EXPECTED: u64 = 32 << 20;

/// A silence of this length before a body broke off is what broke it off.
const SILENCE: Duration = Duration::from_secs(4);

/// Why an object could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// What a caller can do about it.
    pub kind: FetchErrorKind,
    /// One line that names the object, the cause and the service's code.
    pub message: String,
}

/// What can be done about an object that could not be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchErrorKind {
    /// There is no such object or bucket. Lasting.
    NotFound,
    /// It may not be read, which a policy may allow some day.
    Denied,
    /// The service refuses for another reason that lies in the object, such as that it is archived. Lasting.
    Refused,
    /// It has more bytes than allowed. Lasting.
    TooLarge,
    /// The credentials are missing, have expired or are not accepted: no other object can be read either.
    Expired,
    /// It failed again and again, and may succeed later.
    Transient,
}

/// What became of a download that met with no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Download {
    /// All bytes of the object.
    Whole(Vec<u8>),
    /// There was no room for this many bytes; it was not downloaded.
    NoRoom(u64),
}

/// What an object may take up in memory.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    /// The most that any object may have.
    pub max_bytes: u64,
    /// Whether so many bytes are all right now. It is asked before they are downloaded, or piece by piece where a server
    /// does not tell beforehand how many there are.
    pub now: &'a (dyn Fn(u64) -> bool + Sync),
    /// Told of each try that failed: what it had need not be kept until the next one.
    pub failed: &'a (dyn Fn() + Sync),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FetchError {}

impl Clients {
    /// The bytes of an object as they are stored, if there is `room` for them.
    ///
    /// What may pass is tried again after growing pauses, the body included; what lasts fails at once. Every step
    /// is bounded in time, and the body by its size: one that stands still or drips is given up.
    ///
    /// # Errors
    ///
    /// See [`FetchErrorKind`].
    pub async fn download(
        &self,
        bucket: &str,
        key: &str,
        room: Room<'_>,
    ) -> Result<Download, FetchError> {
        let fetch = async |client: Client| {
            let fetched = fetch(client, bucket, key, room).await;
            fetched.inspect_err(|_| (room.failed)())
        };
        self.on_bucket(bucket, Tries::default(), fetch)
            .await
            .map_err(|failure| FetchError {
                kind: kind(failure.cause),
                message: format!("s3://{}/{}: {failure}", Printable(bucket), Printable(key)),
            })
    }
}

async fn fetch(
    client: Client,
    bucket: &str,
    key: &str,
    room: Room<'_>,
) -> Result<Download, Described> {
    let request = client.get_object().bucket(bucket).key(key).send();
    let object = match timeout(FIRST_BYTE, request).await {
        Ok(answer) => answer.map_err(|error| describe(&error))?,
        Err(_) => return Err(too_slow(FIRST_BYTE)),
    };
    let length = object
        .content_length()
        .and_then(|length| u64::try_from(length).ok());
    let max_bytes = room.max_bytes;
    if let Some(length) = length.filter(|length| *length > max_bytes) {
        return Err(too_large(length, max_bytes));
    }
    if let Some(length) = length.filter(|length| !(room.now)(*length)) {
        return Ok(Download::NoRoom(length));
    }
    // Room for a normal log file; that there are more bytes is only believed when they are here.
    let expected = length.unwrap_or(0).min(MOST_EXPECTED);
    let mut bytes = Vec::with_capacity(expected as usize);
    let mut body = object.body;
    let start = Instant::now();
    let mut last = start;
    loop {
        let received = bytes.len() as u64;
        let deadline =
            start + GRACE + Duration::from_millis(received.saturating_mul(1000) / SLOWEST);
        let chunk = match timeout_at(deadline, body.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => {
                let cause = match last.elapsed() >= SILENCE {
                    true => Cause::Timeout,
                    false => Cause::Transient,
                };
                let message = format!(
                    "the body broke off after {received} bytes: {}",
                    chain(&error)
                );
                return Err(Described::new(cause, "Body", message));
            }
            Err(_) => {
                let seconds = start.elapsed().as_secs();
                let message = format!("the body had {received} bytes after {seconds} s, too slow");
                return Err(Described::new(Cause::Timeout, "Body", message));
            }
        };
        let received = received + chunk.len() as u64;
        if received > max_bytes {
            return Err(too_large(received, max_bytes));
        }
        if length.is_none() && !(room.now)(received) {
            // There is no telling how many there will be.
            return Ok(Download::NoRoom(received.saturating_mul(2).min(max_bytes)));
        }
        bytes.extend_from_slice(&chunk);
        last = Instant::now();
    }
    match length.filter(|length| *length != bytes.len() as u64) {
        None => Ok(Download::Whole(bytes)),
        Some(length) => {
            let message = format!("the body ended after {} of {length} bytes", bytes.len());
            Err(Described::new(Cause::Transient, "Body", message))
        }
    }
}

fn too_large(bytes: u64, max_bytes: u64) -> Described {
    let message = format!("has at least {bytes} bytes, more than the {max_bytes} allowed");
    Described::new(Cause::TooLarge, "TooLarge", message)
}

fn kind(cause: Cause) -> FetchErrorKind {
    match cause {
        Cause::Missing => FetchErrorKind::NotFound,
        Cause::Denied => FetchErrorKind::Denied,
        Cause::Refused | Cause::WrongRegion => FetchErrorKind::Refused,
        Cause::TooLarge => FetchErrorKind::TooLarge,
        Cause::Credentials => FetchErrorKind::Expired,
        Cause::Throttled | Cause::Timeout | Cause::Transient => FetchErrorKind::Transient,
    }
}
