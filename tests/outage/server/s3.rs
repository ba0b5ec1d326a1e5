//! S3, path style: buckets with versions, listings with opaque tokens, ranges and conditions.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::fault::PageFault;
use super::http::{Answer, Query, escaped, url_encoded};
use super::md5;
use super::random::Random;

/// The region of every bucket.
pub const REGION: &str = "us-east-1";

/// The time of every object in a listing.
const LAST_MODIFIED: &str = "<LastModified>2026-01-14T12:00:00.000Z</LastModified>";

/// All buckets.
#[derive(Debug)]
pub struct Store {
    buckets: BTreeMap<String, Bucket>,
    /// The start of the page of each continuation token.
    tokens: HashMap<String, Token>,
    random: Random,
    page_size: usize,
    /// Listings have no `LastModified`.
    omits_last_modified: bool,
    /// Body bytes sent, by `/bucket/key`.
    pub served: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// By key; the newest version is last.
    objects: BTreeMap<String, Vec<Version>>,
}

/// One version of an object.
#[derive(Clone, Debug)]
struct Version {
    id: String,
    etag: String,
    /// `None`: a delete marker.
    body: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug)]
struct Token {
    position: Position,
    /// The start of the page that returned this token.
    previous: Position,
}

/// The start of a page.
#[derive(Clone, Debug)]
enum Position {
    Start,
    /// After this key.
    Key(String),
    /// After everything with this common prefix.
    Prefix(String),
}

#[derive(Default)]
struct Page {
    keys: Vec<(String, usize, String)>,
    prefixes: Vec<String>,
    /// The next page's start, if there is one.
    next: Option<Position>,
}

impl Store {
    pub fn new() -> Store {
        Store {
            buckets: BTreeMap::new(),
            tokens: HashMap::new(),
            random: Random::seeded(7),
            page_size: 1000,
            omits_last_modified: false,
            served: HashMap::new(),
        }
    }

    /// Every page of a listing has at most this many keys and prefixes.
    pub fn set_page_size(&mut self, keys: usize) {
        self.page_size = keys;
    }

    /// Omits `LastModified` in listings.
    pub fn omit_last_modified(&mut self) {
        self.omits_last_modified = true;
    }

    pub fn create_bucket(&mut self, bucket: &str) {
        self.buckets.entry(bucket.to_owned()).or_default();
    }

    /// Adds a version of an object, creates the bucket if needed, and returns the version id.
    pub fn put(&mut self, bucket: &str, key: &str, body: impl Into<Arc<[u8]>>) -> String {
        let body = body.into();
        let etag = format!("\"{}\"", md5::hex(&body));
        self.add_version(bucket, key, etag, Some(body))
    }

    /// Adds a delete marker: older versions stay.
    pub fn delete(&mut self, bucket: &str, key: &str) {
        self.add_version(bucket, key, String::new(), None);
    }

    fn add_version(
        &mut self,
        bucket: &str,
        key: &str,
        etag: String,
        body: Option<Arc<[u8]>>,
    ) -> String {
        let id = self.random.hex(32);
        let bucket = self.buckets.entry(bucket.to_owned()).or_default();
        bucket
            .objects
            .entry(key.to_owned())
            .or_default()
            .push(Version {
                id: id.clone(),
                etag,
                body,
            });
        id
    }

    /// `GetObject`; also for `HeadObject`, whose body the caller omits.
    pub fn get(&self, bucket: &str, key: &str, query: &Query, head: &super::Head) -> Answer {
        let Some(bucket) = self.buckets.get(bucket) else {
            return Answer::s3_error(404, "NoSuchBucket");
        };
        let versions = bucket.objects.get(key).map_or(&[][..], Vec::as_slice);
        let version = match query.get("versionId") {
            None => versions.last(),
            Some(id) => match versions.iter().find(|version| version.id == id) {
                Some(version) => Some(version),
                None => return Answer::s3_error(404, "NoSuchVersion"),
            },
        };
        let Some((version, body)) =
            version.and_then(|version| Some((version, version.body.as_ref()?)))
        else {
            return Answer::s3_error(404, "NoSuchKey");
        };
        if head
            .header("if-match")
            .is_some_and(|etag| etag.trim_matches('"') != version.etag.trim_matches('"'))
        {
            return Answer::s3_error(412, "PreconditionFailed");
        }
        let answer = Answer::new(200, "OK")
            .with("etag", &version.etag)
            .with("last-modified", "Wed, 14 Jan 2026 12:00:00 GMT")
            .with("accept-ranges", "bytes")
            .with("content-type", "application/x-gzip")
            .with("x-amz-version-id", &version.id);
        let Some(range) = head.header("range") else {
            return answer.with_shared_body(Arc::clone(body));
        };
        let Some((first, last)) = byte_range(range, body.len()) else {
            return Answer::s3_error(416, "InvalidRange");
        };
        answer
            .with_status(206, "Partial Content")
            .with(
                "content-range",
                &format!("bytes {first}-{last}/{}", body.len()),
            )
            .with_shared_body(Arc::from(&body[first..=last]))
    }

    pub fn head_bucket(&self, bucket: &str) -> Answer {
        match self.buckets.contains_key(bucket) {
            true => Answer::new(200, "OK").with("x-amz-bucket-region", REGION),
            false => Answer::s3_error(404, "NoSuchBucket"),
        }
    }

    /// `ListObjectsV2`, with the fault if there is one.
    pub fn list(&mut self, bucket: &str, query: &Query, fault: Option<PageFault>) -> Answer {
        let Some(objects) = self.buckets.get(bucket) else {
            return Answer::s3_error(404, "NoSuchBucket");
        };
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let (prefix, delimiter, token) = (
            text("prefix"),
            text("delimiter"),
            text("continuation-token"),
        );
        let start = match (self.tokens.get(&token), text("start-after")) {
            (Some(token), _) => token.clone(),
            (None, _) if !token.is_empty() => return Answer::s3_error(400, "InvalidArgument"),
            (None, start) => Token {
                position: match start.is_empty() {
                    true => Position::Start,
                    false => Position::Key(start),
                },
                previous: Position::Start,
            },
        };
        let most = text("max-keys").parse().unwrap_or(1000).min(self.page_size);
        let begin = match fault {
            Some(PageFault::Repeated) => &start.previous,
            _ => &start.position,
        };
        let mut page = objects.page(&prefix, &delimiter, begin, most);
        if fault == Some(PageFault::Repeated) {
            page.next = Some(start.position.clone());
        }
        if fault == Some(PageFault::Empty) {
            page = Page {
                next: Some(start.position.clone()),
                ..Page::default()
            };
        }
        let next = page.next.take().map(|position| {
            let name = self.random.hex(40);
            let previous = start.position.clone();
            self.tokens
                .insert(name.clone(), Token { position, previous });
            name
        });
        let next = match fault {
            Some(PageFault::TokenLoop) => Some(token),
            _ => next,
        };
        let url = query.get("encoding-type") == Some("url");
        let mut xml = page.xml(
            bucket,
            &prefix,
            &delimiter,
            most,
            url,
            next.as_deref(),
            fault,
        );
        if self.omits_last_modified {
            xml = xml.replace(LAST_MODIFIED, "");
        }
        if fault == Some(PageFault::Truncated) {
            xml.truncate(xml.len() / 2);
        }
        if fault == Some(PageFault::TooLong) {
            xml.push_str(&"\n".repeat(9 << 20));
        }
        Answer::new(200, "OK")
            .with("content-type", "application/xml")
            .with("x-amz-bucket-region", REGION)
            .with_body(xml)
    }
}

impl Bucket {
    fn page(&self, prefix: &str, delimiter: &str, begin: &Position, most: usize) -> Page {
        let from = match begin {
            Position::Key(key) if key.as_str() >= prefix => Bound::Excluded(key.as_str()),
            Position::Prefix(done) => Bound::Included(done.as_str()),
            _ => Bound::Included(prefix),
        };
        let mut page = Page::default();
        let mut last = begin.clone();
        for (key, versions) in self.objects.range::<str, _>((from, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else {
                break;
            };
            let Some(body) = versions.last().and_then(|version| version.body.as_ref()) else {
                continue;
            };
            let common = match delimiter {
                "" => None,
                _ => rest
                    .find(delimiter)
                    .map(|at| &key[..prefix.len() + at + delimiter.len()]),
            };
            if let (Some(common), Position::Prefix(done)) = (common, &last)
                && common == done
            {
                continue;
            }
            if page.keys.len() + page.prefixes.len() == most {
                page.next = Some(last);
                break;
            }
            last = match common {
                Some(common) => {
                    page.prefixes.push(common.to_owned());
                    Position::Prefix(common.to_owned())
                }
                None => {
                    let etag = versions.last().map(|version| version.etag.clone());
                    page.keys
                        .push((key.clone(), body.len(), etag.unwrap_or_default()));
                    Position::Key(key.clone())
                }
            };
        }
        page
    }
}

impl Page {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is an element of the answer"
    )]
    fn xml(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: &str,
        most: usize,
        url: bool,
        next: Option<&str>,
        fault: Option<PageFault>,
    ) -> String {
        let name = |text: &str| match url {
            true => url_encoded(text),
            false => escaped(text),
        };
        let mut count = self.keys.len() + self.prefixes.len();
        if fault == Some(PageFault::WrongKeyCount) {
            count += 1;
        }
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>",
            name(prefix)
        );
        if !delimiter.is_empty() {
            xml += &format!("<Delimiter>{}</Delimiter>", name(delimiter));
        }
        if url {
            xml += "<EncodingType>url</EncodingType>";
        }
        let truncated = next.is_some() || fault == Some(PageFault::NoToken);
        xml += &format!("<IsTruncated>{truncated}</IsTruncated>");
        for (key, size, etag) in &self.keys {
            xml += &format!(
                "<Contents><Key>{}</Key>{LAST_MODIFIED}<ETag>{}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                name(key),
                escaped(etag)
            );
        }
        for prefix in &self.prefixes {
            xml += &format!(
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                name(prefix)
            );
        }
        if let Some(next) = next.filter(|_| fault != Some(PageFault::NoToken)) {
            xml += &format!("<NextContinuationToken>{next}</NextContinuationToken>");
        }
        xml + "</ListBucketResult>"
    }
}

/// First and last byte of a `Range` header's one range.
fn byte_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    if first.is_empty() {
        let count: usize = last.parse().ok()?;
        return (count > 0).then(|| (length.saturating_sub(count), end));
    }
    let first = first.parse().ok()?;
    let last = match last {
        "" => end,
        last => last.parse::<usize>().ok()?.min(end),
    };
    (first <= last).then_some((first, last))
}
