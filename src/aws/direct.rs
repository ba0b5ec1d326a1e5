//! Requests to S3 over a bare HTTP client, at a third of the cost of the SDK's, and those for objects.
//!
//! The SDK resolves endpoint and credentials, and reads every answer that is not an object: its errors are the same
//! whichever way a request went. Where a proxy applies, and for buckets that only the SDK can sign for, it makes the
//! requests itself.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use hyper::{Request, Response, StatusCode, Uri};

use super::Clients;
use super::answer::Answer;
use super::endpoint::{Endpoint, encoded, parsed_by_sdk};
use super::error::{AwsError, ErrorCause, chain, unsent};
use super::http::DirectClient;
use super::sign::{EMPTY_SHA256, Signable, Signature};

/// Buckets whose endpoints are kept; the cache is cleared beyond that. Messages may name any.
const MAX_BUCKETS: usize = 1024;

/// Length of an error answer that is read.
const MAX_ERROR: usize = 1 << 20;

/// `User-Agent` of the requests.
const AGENT: &str = concat!("falco-cloudtrail/", env!("CARGO_PKG_VERSION"));

/// The routes of all buckets that were read from.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<RouteCache>);

/// By bucket: the region, and the route, unless the SDK makes the bucket's requests.
type RouteCache = HashMap<String, (String, Option<Arc<Route>>)>;

/// How one bucket's objects and listings are requested without the SDK.
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    pub(super) http: DirectClient,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// What to request of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Get<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
    /// Bytes to leave out at the start, and the entity tag that the object must still have.
    pub(super) rest: Option<(u64, &'a str)>,
}

impl Clients {
    /// Requests an object from the region of `client`.
    ///
    /// What is seldom needed is boxed: the SDK's futures are ten times as large as the others, and every download would
    /// be moved and allocated with room for them.
    pub(super) async fn get(&self, client: Client, get: Get<'_>) -> Result<Answer, AwsError> {
        match self.route(&client, get.bucket).await? {
            Some(route) => self.get_over(&route, get).await,
            None => Box::pin(self.get_over_sdk(client, get)).await,
        }
    }

    async fn get_over_sdk(&self, client: Client, get: Get<'_>) -> Result<Answer, AwsError> {
        let mut request = client
            .get_object()
            .bucket(get.bucket)
            .key(get.key)
            .set_version_id(get.version.map(str::to_owned));
        if let Some((start, etag)) = get.rest {
            request = request.range(format!("bytes={start}-")).if_match(etag);
        }
        let answer = request.send().await;
        Answer::of_sdk(answer.map_err(|error| super::describe(&error))?)
    }

    /// The route to `bucket` in the region of `client`; `None` if the SDK has to make its requests.
    pub(super) async fn route(
        &self,
        client: &Client,
        bucket: &str,
    ) -> Result<Option<Arc<Route>>, AwsError> {
        match self.known_route(client, bucket) {
            Some(route) => Ok(route),
            None => Box::pin(self.resolve_route(client, bucket)).await,
        }
    }

    /// The route to `bucket` in the region of `client`, if it was resolved before.
    fn known_route(&self, client: &Client, bucket: &str) -> Option<Option<Arc<Route>>> {
        let region = client.config().region()?;
        let routes = self.routes();
        let (of_region, route) = routes.get(bucket)?;
        (of_region == region.as_ref()).then(|| route.clone())
    }

    async fn resolve_route(
        &self,
        client: &Client,
        bucket: &str,
    ) -> Result<Option<Arc<Route>>, AwsError> {
        let Some(region) = client.config().region() else {
            return Ok(None);
        };
        let endpoint = Endpoint::resolve(&self.shared.uncounted, region.clone(), bucket).await?;
        let route = endpoint.and_then(|endpoint| {
            let http = self.shared.http.of(&endpoint.url("/")?)?;
            Some(Arc::new(Route { endpoint, http }))
        });
        let mut routes = self.routes();
        if routes.len() >= MAX_BUCKETS {
            routes.clear();
        }
        routes.insert(bucket.to_owned(), (region.to_string(), route.clone()));
        Ok(route)
    }

    async fn get_over(&self, route: &Route, get: Get<'_>) -> Result<Answer, AwsError> {
        let endpoint = &route.endpoint;
        let query = match get.version {
            Some(version) => {
                let version: String = encoded(version, false).collect();
                format!("versionId={version}&x-id=GetObject")
            }
            None => "x-id=GetObject".to_owned(),
        };
        let range = get.rest.map(|(start, _)| format!("bytes={start}-"));
        let mut headers = Vec::with_capacity(3);
        if endpoint.checksums {
            headers.push(("x-amz-checksum-mode", "ENABLED"));
        }
        if let (Some((_, etag)), Some(range)) = (get.rest, &range) {
            headers.extend([("if-match", etag), ("range", range.as_str())]);
        }
        let path = endpoint.path(get.key);
        let request = self.signed(route, &path, &query, &headers).await?;
        self.shared.metrics.requests.add(1);
        let sent = route.http.request(request).await;
        let answer = sent.map_err(|error| unsent(&error))?;
        if matches!(
            answer.status(),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT
        ) {
            let (head, body) = answer.into_parts();
            return Answer::direct(&head.headers, body, endpoint.checksums);
        }
        let parsed = async {
            let answer = collected(answer, MAX_ERROR).await?;
            parsed_by_sdk(&self.shared.uncounted, get.bucket, answer).await
        };
        Answer::of_sdk(Box::pin(parsed).await?)
    }

    /// A signed `GET` request with an encoded path, a query whose parameters are encoded and in order, and further
    /// headers.
    pub(super) async fn signed(
        &self,
        route: &Route,
        path: &str,
        query: &str,
        further: &[(&'static str, &str)],
    ) -> Result<Request<Full<Bytes>>, AwsError> {
        let endpoint = &route.endpoint;
        let credentials = self.shared.credentials.get().await;
        let credentials = credentials.map_err(|error| {
            AwsError::new(ErrorCause::Credentials, "Credentials", chain(&error))
        })?;
        let mut headers = Vec::with_capacity(5);
        headers.push(("host", endpoint.host.as_str()));
        headers.extend(further);
        headers.push(("x-amz-content-sha256", EMPTY_SHA256));
        let signable = Signable {
            method: "GET",
            path,
            query,
            headers: &headers,
            body_sha256: EMPTY_SHA256,
        };
        let signature = endpoint
            .signer
            .sign(&signable, &credentials, SystemTime::now());
        let url = endpoint
            .url(&format!("{path}?{query}"))
            .ok_or_else(|| rejected("the key is too long for a URL"))?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = url;
        set_headers(request.headers_mut(), &headers, signature, &credentials)
            .map_err(|name| rejected(&format!("{name} has a character that no header can have")))?;
        Ok(request)
    }

    fn routes(&self) -> MutexGuard<'_, RouteCache> {
        let routes = &self.shared.routes;
        routes.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rejected(what: &str) -> AwsError {
    AwsError::new(ErrorCause::Rejected, "Request", what)
}

/// Sets the signed headers of a request and those that its signature adds. An error is the name of a header whose value
/// is invalid.
pub(super) fn set_headers(
    map: &mut HeaderMap,
    signed: &[(&'static str, &str)],
    signature: Signature,
    credentials: &Credentials,
) -> Result<(), &'static str> {
    map.reserve(signed.len() + 4);
    let mut set = |name: &'static str, value: Result<HeaderValue, InvalidHeaderValue>| {
        map.insert(HeaderName::from_static(name), value.map_err(|_| name)?);
        Ok::<(), &'static str>(())
    };
    for (name, value) in signed {
        set(name, HeaderValue::from_str(value))?;
    }
    set(
        "authorization",
        HeaderValue::try_from(signature.authorization),
    )?;
    set("user-agent", Ok(HeaderValue::from_static(AGENT)))?;
    set("x-amz-date", HeaderValue::try_from(signature.date))?;
    if let Some(token) = credentials.session_token() {
        set("x-amz-security-token", HeaderValue::from_str(token))?;
    }
    Ok(())
}

impl Endpoint {
    fn url(&self, path_and_query: &str) -> Option<Uri> {
        let url = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query);
        url.build().ok()
    }
}

/// The answer with its whole body of at most `limit` bytes, as the SDK takes it.
pub(super) async fn collected(
    answer: Response<Incoming>,
    limit: usize,
) -> Result<HttpResponse, AwsError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, limit).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => {
            let message = format!("the answer has more than {limit} bytes");
            AwsError::new(ErrorCause::Unavailable, "Body", message)
        }
        false => unsent(error.as_ref()),
    })?;
    let body = body.to_bytes();
    let answer = Response::from_parts(head, SdkBody::from(body));
    answer
        .try_into()
        .map_err(|_| AwsError::foreign("a request"))
}
