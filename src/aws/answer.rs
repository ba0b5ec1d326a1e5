//! The answer to a request for an object: what its headers say, and its body piece by piece.
#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::str::FromStr as _;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::{RequestId, RequestIdExt};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::{CHECKSUM_ALGORITHMS_IN_PRIORITY_ORDER, HttpChecksum};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap};

use super::error::{AwsError, REQUEST_ID_HEADERS, chain};

/// An answer with an object, or a part of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// Bytes of the body.
    pub(super) length: Option<u64>,
    /// `Content-Range`.
    pub(super) range: Option<String>,
    pub(super) etag: String,
    pub(super) body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub(super) enum Body {
    /// Over the bare client.
    Direct(Incoming, Option<Checksum>),
    /// Over the SDK, which checks its checksum.
    Sdk(ByteStream),
}

/// Checks a body against the checksum that is stored with the object.
pub(super) struct Checksum {
    /// What the answer says, in base64.
    stored: String,
    computed: Box<dyn HttpChecksum>,
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checksum")
            .field("name", &self.computed.header_name())
            .field("stored", &self.stored)
            .finish()
    }
}

impl Answer {
    /// The answer with `headers` and `body` over the bare client. `checksums`: its checksum is to be checked.
    ///
    /// # Errors
    ///
    /// [`AwsError::foreign`] if it lacks the headers that S3 always sends.
    pub(super) fn direct(
        headers: &HeaderMap,
        body: Incoming,
        checksums: bool,
    ) -> Result<Answer, AwsError> {
        let has = |name: &&str| headers.contains_key(*name);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text(ETAG).filter(|_| REQUEST_ID_HEADERS.iter().any(has));
        let etag = etag.ok_or_else(|| AwsError::foreign("a download"))?;
        let checksum = checksums.then(|| Checksum::of(headers)).flatten();
        Ok(Answer {
            length: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            range: text(CONTENT_RANGE).map(str::to_owned),
            etag: etag.to_owned(),
            body: Body::Direct(body, checksum),
        })
    }

    /// The answer that the SDK received.
    ///
    /// # Errors
    ///
    /// As for [`Answer::direct`].
    pub(super) fn of_sdk(answer: GetObjectOutput) -> Result<Answer, AwsError> {
        let has_id = answer.request_id().is_some() || answer.extended_request_id().is_some();
        let Some(etag) = answer.e_tag().filter(|_| has_id) else {
            return Err(AwsError::foreign("a download"));
        };
        Ok(Answer {
            length: answer
                .content_length()
                .and_then(|length| u64::try_from(length).ok()),
            range: answer.content_range().map(str::to_owned),
            etag: etag.to_owned(),
            body: Body::Sdk(answer.body),
        })
    }
}

impl Body {
    /// The next bytes; `None` at the end. An error has the whole chain of causes.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let (body, checksum) = match self {
            Body::Sdk(body) => {
                let bytes = body.next().await?;
                return Some(bytes.map_err(|error| chain(&error)));
            }
            Body::Direct(body, checksum) => (body, checksum),
        };
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Some(Err(chain(&error as &(dyn StdError + 'static)))),
            };
            // Trailers have nothing that matters.
            if let Ok(bytes) = frame.into_data() {
                if let Some(checksum) = checksum {
                    checksum.computed.update(&bytes);
                }
                return Some(Ok(bytes));
            }
        }
        let mismatch = checksum.take()?.mismatch()?;
        Some(Err(mismatch))
    }
}

impl Checksum {
    /// The first of those in `headers` that the SDK would check. Those of an object uploaded in parts, which end in the
    /// number of parts, cannot be checked.
    fn of(headers: &HeaderMap) -> Option<Checksum> {
        // Most objects have none, and each look for one takes memory.
        let mut names = headers.keys();
        names.find(|name| name.as_str().starts_with("x-amz-checksum-"))?;
        let found = CHECKSUM_ALGORITHMS_IN_PRIORITY_ORDER
            .iter()
            .find_map(|name| {
                let computed = ChecksumAlgorithm::from_str(name).ok()?.into_impl();
                let stored = headers.get(computed.header_name())?.to_str().ok()?;
                Some((stored.to_owned(), computed))
            });
        let (stored, computed) = found?;
        (!stored.contains('-')).then_some(Checksum { stored, computed })
    }

    /// What is wrong with the body; `None` if nothing is.
    fn mismatch(self) -> Option<String> {
        let name = self.computed.header_name();
        let computed = self.computed.header_value();
        (computed != self.stored.as_str()).then(|| {
            format!(
                "checksum mismatch: {name} is {} but the body has {}",
                self.stored,
                computed.to_str().unwrap_or_default()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(header: &'static str, value: &str, body: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header, value.parse().expect("a value"));
        let mut checksum = Checksum::of(&headers)?;
        checksum.computed.update(body);
        checksum.mismatch()
    }

    #[test]
    fn body_is_checked_against_each_kind_of_checksum() {
        let body = b"Hello world";
        for (header, value) in [
            ("x-amz-checksum-crc32", "i9aeUg=="),
            ("x-amz-checksum-crc32c", "crUfeA=="),
            ("x-amz-checksum-crc64nvme", "OOJZ0D8xKts="),
            ("x-amz-checksum-sha1", "e1AsOh9IyGCa4hLN+2Od7jlnP14="),
            (
                "x-amz-checksum-sha256",
                "ZOyIygCyaOW6GjVnihtTFtIS9PNmskdyMlNKiuyjfzw=",
            ),
        ] {
            assert_eq!(mismatch(header, value, body), None);
            let message = mismatch(header, value, b"hello world").expect(header);
            assert!(
                message.contains(header) && message.contains(value),
                "{message}"
            );
        }
    }

    #[test]
    fn checksum_of_parts_is_not_checked() {
        assert_eq!(mismatch("x-amz-checksum-crc32", "i9aeUg==-2", b"x"), None);
    }
}
