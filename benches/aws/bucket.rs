//! Buckets of log files, generated before the measurement.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Keys per page of a listing, as in S3.
const PAGE: usize = 1000;

/// Prefix of the log files in every bucket.
pub const PREFIX: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/14/";

/// Number of distinct bodies in a bucket; the objects use them in turn.
const BODIES: usize = 8;

/// A bucket whose objects all have the same number of records.
pub struct Bucket {
    /// Sorted.
    keys: Vec<String>,
    bodies: Vec<Vec<u8>>,
    /// Bytes of all objects as stored.
    pub stored: u64,
    /// Bytes of all objects after decompression.
    pub text: u64,
    /// Records in all objects.
    pub records: u64,
}

impl Bucket {
    /// A bucket of `objects` objects with `records` records each. The content is deterministic.
    pub fn new(objects: usize, records: usize) -> Bucket {
        let mut keys: Vec<String> = (0..objects).map(key).collect();
        keys.sort_unstable();
        let texts: Vec<String> = (0..BODIES).map(|body| log_file(body, records)).collect();
        let bodies: Vec<Vec<u8>> = texts.iter().map(|text| gzipped(text)).collect();
        let total = |sizes: Vec<usize>| (0..objects).map(|at| sizes[at % BODIES] as u64).sum();
        Bucket {
            keys,
            stored: total(bodies.iter().map(Vec::len).collect()),
            text: total(texts.iter().map(String::len).collect()),
            records: (objects * records) as u64,
            bodies,
        }
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Key of the object `number`, modulo the number of objects.
    pub fn key(&self, number: usize) -> &str {
        &self.keys[number % self.keys.len()]
    }

    /// Keys and contents of all objects.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let objects = self.keys.iter().enumerate();
        objects.map(|(at, key)| (key.as_str(), self.body(at)))
    }

    /// Content of the object `key`.
    pub fn object(&self, key: &str) -> Option<&[u8]> {
        let at = self.keys.binary_search_by(|k| k.as_str().cmp(key)).ok()?;
        Some(self.body(at))
    }

    fn body(&self, at: usize) -> &[u8] {
        &self.bodies[at % BODIES]
    }

    /// Response of `ListObjectsV2`.
    pub fn list(&self, name: &str, query: &BTreeMap<String, String>) -> String {
        let parameter = |key: &str| query.get(key).map_or("", String::as_str);
        let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
        let after = parameter("start-after").max(parameter("continuation-token"));
        let max = parameter("max-keys").parse().unwrap_or(PAGE).min(PAGE);
        let (mut contents, mut prefixes) = (String::new(), String::new());
        let (mut count, mut last, mut is_truncated) = (0, "", false);
        for (at, key) in self.keys.iter().enumerate() {
            let Some(rest) = key.strip_prefix(prefix).filter(|_| key.as_str() > after) else {
                continue;
            };
            let common_prefix = match delimiter {
                "" => None,
                _ => rest
                    .find(delimiter)
                    .map(|end| &key[..prefix.len() + end + delimiter.len()]),
            };
            let listed = common_prefix.unwrap_or(key);
            if listed == last || (common_prefix.is_some() && after.starts_with(listed)) {
                continue;
            }
            if count == max {
                is_truncated = true;
                break;
            }
            // Writing into a String cannot fail.
            let _ = match common_prefix {
                Some(common) => write!(
                    prefixes,
                    "<CommonPrefixes><Prefix>{common}</Prefix></CommonPrefixes>"
                ),
                None => write!(
                    contents,
                    "<Contents><Key>{key}</Key><LastModified>2026-01-14T12:00:00.000Z</LastModified><ETag>&quot;{at:032x}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    self.body(at).len()
                ),
            };
            (count, last) = (count + 1, listed);
        }
        let token = match is_truncated {
            true => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
            false => String::new(),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{name}</Name><Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{max}</MaxKeys><IsTruncated>{is_truncated}</IsTruncated>{contents}{prefixes}{token}</ListBucketResult>"
        )
    }
}

/// Key of the object `number`.
pub fn key(number: usize) -> String {
    let (hour, minute) = (number / 240 % 24, number / 20 % 12 * 5);
    let id = mixed(number as u64);
    // The number keeps the keys of the same five minutes in order.
    format!(
        "{PREFIX}111122223333_CloudTrail_us-east-1_20260114T{hour:02}{minute:02}Z_{number:06}{id:010X}.json.gz"
    )
}

fn log_file(body: usize, records: usize) -> String {
    let mut text = String::from("{\"Records\":[");
    for number in 0..records {
        if number > 0 {
            text.push(',');
        }
        let at = (body * records + number) as u64;
        let [a, b, c, d] = [1, 2, 3, 4].map(|part| mixed(at * 4 + part));
        let (event, source) = [
            ("AssumeRole", "sts"),
            ("DescribeInstances", "ec2"),
            ("GetObject", "s3"),
            ("PutBucketPolicy", "s3"),
            ("CreateLogStream", "logs"),
        ][number % 5];
        let (minute, second) = (number / 60 % 5, number % 60);
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{a:016X}:build-{body}","arn":"arn:aws:sts::111122223333:assumed-role/deploy/build-{body}","accountId":"111122223333","accessKeyId":"ASIA{b:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{a:016X}","arn":"arn:aws:iam::111122223333:role/deploy","accountId":"111122223333","userName":"deploy"}},"attributes":{{"creationDate":"2026-01-14T09:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-01-14T10:{minute:02}:{second:02}Z","eventSource":"{source}.amazonaws.com","eventName":"{event}","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.{}","userAgent":"aws-sdk-go-v2/1.32.6 os/linux lang/go#1.23.4 md/GOARCH#amd64","requestParameters":{{"bucketName":"builds-{}","Host":"builds.s3.amazonaws.com","key":"artifacts/{c:016x}.tar.gz"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"bytesTransferredOut":{}}},"requestID":"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}","eventID":"{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{source}.us-east-1.amazonaws.com"}}}}"#,
            a % 250 + 1,
            b % 40,
            c % 100_000,
            c >> 32,
            c >> 16 & 0xffff,
            c & 0xfff,
            d & 0xfff,
            d >> 16,
            d >> 32,
            d >> 16 & 0xffff,
            d & 0xfff,
            a & 0xfff,
            b >> 16,
        );
    }
    text.push_str("]}");
    text
}

/// A pseudorandom number, so that compression finds no pattern.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish());
    written.expect("writing to memory cannot fail")
}
