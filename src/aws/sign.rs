//! Signs requests: AWS Signature Version 4.
//!
//! Key derivation and signature are those of `aws-sigv4`. The canonical request is written here, because that crate
//! derives the key and parses the URL anew for each request, which costs more than all the rest of it.
#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// SHA-256 of an empty body.
pub(super) const EMPTY_SHA256: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const SECONDS_PER_DAY: u64 = 86_400;

/// Signs requests to one region and service. Keeps the key, which is the same for a day.
#[derive(Debug)]
pub(super) struct Signer {
    region: String,
    service: String,
    key: Mutex<Option<DayKey>>,
}

struct DayKey {
    credentials: Credentials,
    /// Days since 1970.
    day: u64,
    key: Vec<u8>,
}

impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayKey")
    }
}

/// A request to sign.
#[derive(Debug)]
pub(super) struct Signable<'a> {
    pub(super) method: &'static str,
    /// Percent-encoded path; signed as it is sent.
    pub(super) path: &'a str,
    /// Percent-encoded query, sorted by name.
    pub(super) query: &'a str,
    /// All headers to sign but those of the signature itself: names in lower case.
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// SHA-256 of the body in hexadecimal digits.
    pub(super) body_sha256: &'a str,
}

/// Values of the headers that a signature adds.
#[derive(Debug)]
pub(super) struct Signature {
    /// `x-amz-date`.
    pub(super) date: String,
    /// `authorization`.
    pub(super) authorization: String,
}

impl Signer {
    /// For requests to `region` and `service`.
    pub(super) fn new(region: &str, service: &str) -> Self {
        Signer {
            region: region.to_owned(),
            service: service.to_owned(),
            key: Mutex::default(),
        }
    }

    /// Signs `request`, which gets the header `x-amz-security-token` of the credentials, if they have one.
    pub(super) fn sign(
        &self,
        request: &Signable<'_>,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Signature {
        let date = basic_format(now);
        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(request.headers.len() + 2);
        headers.extend(request.headers);
        headers.push(("x-amz-date", &date));
        if let Some(token) = credentials.session_token() {
            headers.push(("x-amz-security-token", token));
        }
        headers.sort_unstable();
        let mut canonical = String::with_capacity(1024);
        let mut names = String::with_capacity(128);
        for part in [
            request.method,
            "\n",
            request.path,
            "\n",
            request.query,
            "\n",
        ] {
            canonical.push_str(part);
        }
        for (name, value) in headers {
            for part in [name, ":", value, "\n"] {
                canonical.push_str(part);
            }
            if !names.is_empty() {
                names.push(';');
            }
            names.push_str(name);
        }
        for part in ["\n", names.as_str(), "\n", request.body_sha256] {
            canonical.push_str(part);
        }
        let scope = format!(
            "{}/{}/{}/aws4_request",
            &date[..8],
            self.region,
            self.service
        );
        let mut text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n");
        text.push_str(&sha256(canonical.as_bytes()));
        let signature = self.signature(credentials, now, text.as_bytes());
        let key_id = credentials.access_key_id();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        Signature {
            date,
            authorization,
        }
    }

    fn signature(&self, credentials: &Credentials, now: SystemTime, text: &[u8]) -> String {
        let day = since_1970(now).as_secs() / SECONDS_PER_DAY;
        let mut cached = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = |cached: &&DayKey| cached.day == day && cached.credentials == *credentials;
        if let Some(cached) = cached.as_ref().filter(valid) {
            return calculate_signature(&cached.key, text);
        }
        let secret = credentials.secret_access_key();
        let key = generate_signing_key(secret, now, &self.region, &self.service);
        let signature = calculate_signature(&key, text);
        *cached = Some(DayKey {
            credentials: credentials.clone(),
            day,
            key: key.as_ref().to_vec(),
        });
        signature
    }
}

/// SHA-256 of `bytes` in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    let hash = Sha256::digest(bytes);
    let digits = hash
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte)]);
    digits.collect()
}

/// A time as `YYYYMMDDTHHMMSSZ`.
fn basic_format(time: SystemTime) -> String {
    let seconds = i64::try_from(since_1970(time).as_secs()).unwrap_or(0);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = time.to_hms();
    format!(
        "{:04}{:02}{:02}T{hour:02}{minute:02}{second:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day()
    )
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;

    /// What the signing crate itself computes for the same request.
    fn expected(
        request: &Signable<'_>,
        body: &[u8],
        credentials: &Credentials,
        now: SystemTime,
    ) -> String {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name("s3")
            .time(now)
            .settings(settings)
            .build()
            .expect("complete parameters")
            .into();
        let url = format!("https://b.example{}?{}", request.path, request.query);
        let headers = request.headers.iter().copied();
        let signable =
            SignableRequest::new(request.method, url, headers, SignableBody::Bytes(body));
        let (signed, _) = sign(signable.expect("a request"), &params)
            .expect("a signature")
            .into_parts();
        let mut headers = signed.headers();
        let found = headers.find(|(name, _)| *name == "authorization");
        found.expect("a header").1.to_owned()
    }

    #[test]
    fn signatures_equal_those_of_the_signing_crate() {
        let signer = Signer::new("eu-west-1", "s3");
        let plain = Credentials::new("AKIAEXAMPLE", "secret", None, None, "test");
        let session = Credentials::new(
            "ASIAEXAMPLE",
            "other",
            Some("token/+=".to_owned()),
            None,
            "test",
        );
        let host = ("host", "b.example");
        let headers = [
            host,
            ("if-match", "\"0123\""),
            ("range", "bytes=10-"),
            ("x-amz-checksum-mode", "ENABLED"),
            ("x-amz-content-sha256", EMPTY_SHA256),
        ];
        let call = [
            ("content-type", "application/x-amz-json-1.0"),
            host,
            ("x-amz-target", "AmazonSQS.ReceiveMessage"),
        ];
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_435_199);
        for (method, path, query, headers, body) in [
            ("GET", "/a/b.json.gz", "x-id=GetObject", &headers[..1], ""),
            (
                "GET",
                "/a%20b//%2B%25%C3%A9/../c",
                "versionId=a.b_c&x-id=GetObject",
                &headers[..],
                "",
            ),
            ("POST", "/", "", &call[..], "{\"QueueUrl\":\"q\"}"),
        ] {
            let request = Signable {
                method,
                path,
                query,
                headers,
                body_sha256: &sha256(body.as_bytes()),
            };
            // The last second of a day and the first of the next.
            for (credentials, seconds) in [(&plain, 0), (&plain, 1), (&session, 1), (&plain, 0)] {
                let now = start + Duration::from_secs(seconds);
                let signature = signer.sign(&request, credentials, now);
                assert_eq!(
                    signature.authorization,
                    expected(&request, body.as_bytes(), credentials, now),
                    "{request:?}"
                );
            }
        }
    }
}
