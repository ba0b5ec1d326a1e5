//! Faults, and the rules that select the requests for them.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::http::Answer;
use super::random::Random;

/// What happens to a request instead of its normal answer.
#[derive(Clone, Debug)]
pub enum ServerFault {
    /// This status and error code, in the service's own format. Nothing is done.
    Refuse(u16, &'static str),
    /// 200 with an HTML page and none of the service's headers, as a captive portal answers.
    Portal,
    /// The connection is reset before the head of an answer.
    Reset,
    /// The head and this many bytes of the body are sent, then the connection is reset.
    ResetAfter(usize),
    /// As `ResetAfter`; then the object is replaced by this content.
    ReplaceAfter(usize, Arc<[u8]>),
    /// No byte is ever sent, and the connection stays open.
    Hang,
    /// The head and this many bytes of the body are sent, then nothing more.
    HangAfter(usize),
    /// The request is handled after this time.
    Delay(Duration),
    /// A listing page is damaged.
    Page(PageFault),
    /// Every entry of a batch fails with this code.
    RefuseEntries(&'static str),
    /// Every second entry of a batch fails with this code, the others are done.
    RefuseSomeEntries(&'static str),
    /// The answer is changed.
    Change(fn(Answer) -> Answer),
    /// Messages are received without a receipt handle and stay visible.
    NoReceiptHandles,
}

/// How a listing page is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// A page that is longer than any of S3.
    TooLong,
    /// The XML ends in the middle; the content length agrees with that.
    Truncated,
    /// `IsTruncated` is true, `NextContinuationToken` is missing.
    NoToken,
    /// The keys of the previous page are repeated.
    Repeated,
    /// `KeyCount` is one more than the page has.
    WrongKeyCount,
    /// `NextContinuationToken` is the token of this page's request.
    TokenLoop,
    /// The page is empty, and the next one has the same start and a fresh token.
    Empty,
}

/// A fault and the requests that it applies to.
#[derive(Clone, Debug)]
pub struct ServerRule {
    operation: &'static str,
    path: String,
    query: &'static str,
    skipped: usize,
    left: usize,
    window: Option<Range<Instant>>,
    probability: Option<(f64, Random)>,
    access_key: Option<String>,
    fault: ServerFault,
}

/// The properties of a request that rules match.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'r> {
    /// `s3` or `sqs`.
    pub service: &'r str,
    /// The API's name, e.g. `GetObject`.
    pub operation: &'r str,
    /// `/bucket/key`, `/bucket/prefix` of a listing, `/queue`.
    pub path: &'r str,
    pub query: &'r str,
    /// The access key id in the `Authorization` header.
    pub access_key: &'r str,
}

impl ServerRule {
    /// For an operation by its API name, `s3` or `sqs` for an entire service, or `""` for everything.
    pub fn of(operation: &'static str, fault: ServerFault) -> ServerRule {
        ServerRule {
            operation,
            path: String::new(),
            query: "",
            skipped: 0,
            left: usize::MAX,
            window: None,
            probability: None,
            access_key: None,
            fault,
        }
    }

    /// Only if `/bucket/key`, `/bucket/prefix` or `/queue` contains `part`.
    pub fn path(mut self, part: impl Into<String>) -> ServerRule {
        self.path = part.into();
        self
    }

    /// Only if the query contains `part`.
    pub fn query(mut self, part: &'static str) -> ServerRule {
        self.query = part;
        self
    }

    /// Not for the first `count` requests.
    pub fn after(mut self, count: usize) -> ServerRule {
        self.skipped = count;
        self
    }

    /// For at most `count` requests.
    pub fn times(mut self, count: usize) -> ServerRule {
        self.left = count;
        self
    }

    /// Only in this period, counted from now.
    pub fn within(mut self, window: Range<Duration>) -> ServerRule {
        let now = Instant::now();
        self.window = Some(now + window.start..now + window.end);
        self
    }

    /// For each request with this probability.
    pub fn chance(mut self, probability: f64, seed: u64) -> ServerRule {
        self.probability = Some((probability, Random::seeded(seed)));
        self
    }

    /// Only requests signed with this access key.
    pub fn signed_by(mut self, access_key: &str) -> ServerRule {
        self.access_key = Some(access_key.to_owned());
        self
    }

    /// The fault, if the rule applies to this request. Counts the request.
    pub fn apply(&mut self, request: &Subject<'_>) -> Option<ServerFault> {
        let operation = self.operation.is_empty()
            || self.operation == request.service
            || self.operation == request.operation;
        let signer = self.access_key.as_deref();
        if !operation
            || !request.path.contains(&self.path)
            || !request.query.contains(self.query)
            || signer.is_some_and(|key| key != request.access_key)
            || self
                .window
                .as_ref()
                .is_some_and(|window| !window.contains(&Instant::now()))
        {
            return None;
        }
        if let Some((probability, random)) = &mut self.probability
            && !random.chance(*probability)
        {
            return None;
        }
        if self.skipped > 0 {
            self.skipped -= 1;
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.fault.clone())
    }
}
