//! Requests to a queue over the bare HTTP client, at a fifth of the cost of the SDK's.
//!
//! The SDK resolves endpoint and credentials. Where an answer is not a plain success, the SDK takes it as that to the first
//! attempt of its own call: so retries, pauses and errors are the same whichever way a request went. Answers are read by
//! `queue_json` either way.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchError;
use aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::Clients;
use super::direct::set_headers;
use super::endpoint::QueueEndpoint;
use super::error::{unsent_to_sdk, unusable};
use super::http::DirectClient;
use super::queue_json::{
    ATTRIBUTES, BatchAnswer, BatchRequest, QueueAnswer, ReceiveRequest, ReceivedMessages,
};
use super::sign::{Signable, sha256};

/// Time limit of a request. More than the longest poll of 20 s.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Length of an answer that is read: ten messages of 1 MiB, escaped.
const MAX_ANSWER: usize = 64 << 20;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// How the requests to the source's queue are made without the SDK.
pub(super) struct QueueRoute {
    endpoint: QueueEndpoint,
    http: DirectClient,
}

/// What to receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receive {
    /// Messages, at most.
    pub(crate) messages: u32,
    /// Time for which the queue may hold the request open.
    pub(crate) wait_seconds: i32,
    /// Visibility timeout in seconds, instead of the queue's own.
    pub(crate) visibility: Option<i32>,
}

impl Clients {
    /// Receives messages from the queue at `url`.
    pub(crate) async fn receive_messages(
        &self,
        url: &str,
        receive: Receive,
    ) -> Result<ReceivedMessages, SdkError<ReceiveMessageError>> {
        let request = ReceiveRequest {
            queue_url: url,
            max_number_of_messages: receive.messages,
            message_system_attribute_names: ATTRIBUTES.each_ref().map(|name| name.as_str()),
            visibility_timeout: receive.visibility,
            wait_time_seconds: receive.wait_seconds,
        };
        let fallback = match self.call("AmazonSQS.ReceiveMessage", url, &request).await {
            Ok(answer) => return Ok(answer),
            Err(fallback) => fallback,
        };
        let request = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(receive.messages as i32)
            .wait_time_seconds(receive.wait_seconds)
            .set_visibility_timeout(receive.visibility)
            .set_message_system_attribute_names(Some(ATTRIBUTES.into()))
            .customize()
            .config_override(fallback.config(&self.shared.sdk_http));
        Box::pin(request.send()).await?;
        Ok(fallback.answer())
    }

    /// Deletes at most ten messages by their receipt handles.
    pub(crate) async fn delete_messages(
        &self,
        url: &str,
        receipts: impl Iterator<Item = &str>,
    ) -> Result<BatchAnswer, SdkError<DeleteMessageBatchError>> {
        let request = BatchRequest::new(url, receipts.map(|receipt| (receipt, None)));
        let target = "AmazonSQS.DeleteMessageBatch";
        let fallback = match self.call(target, url, &request).await {
            Ok(answer) => return Ok(answer),
            Err(fallback) => fallback,
        };
        let entries = request.entries.iter().filter_map(|entry| {
            DeleteMessageBatchRequestEntry::builder()
                .id(&entry.id)
                .receipt_handle(entry.receipt_handle)
                .build()
                .ok()
        });
        let request = self
            .sqs
            .delete_message_batch()
            .queue_url(url)
            .set_entries(Some(entries.collect()))
            .customize()
            .config_override(fallback.config(&self.shared.sdk_http));
        Box::pin(request.send()).await?;
        Ok(fallback.answer())
    }

    /// Sets the visibility timeouts, in seconds, of at most ten messages, given by receipt handle.
    pub(crate) async fn change_visibility(
        &self,
        url: &str,
        messages: impl Iterator<Item = (&str, i32)>,
    ) -> Result<BatchAnswer, SdkError<ChangeMessageVisibilityBatchError>> {
        let entries = messages.map(|(receipt, seconds)| (receipt, Some(seconds)));
        let request = BatchRequest::new(url, entries);
        let target = "AmazonSQS.ChangeMessageVisibilityBatch";
        let fallback = match self.call(target, url, &request).await {
            Ok(answer) => return Ok(answer),
            Err(fallback) => fallback,
        };
        let entries = request.entries.iter().filter_map(|entry| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(&entry.id)
                .receipt_handle(entry.receipt_handle)
                .set_visibility_timeout(entry.visibility_timeout)
                .build()
                .ok()
        });
        let request = self
            .sqs
            .change_message_visibility_batch()
            .queue_url(url)
            .set_entries(Some(entries.collect()))
            .customize()
            .config_override(fallback.config(&self.shared.sdk_http));
        Box::pin(request.send()).await?;
        Ok(fallback.answer())
    }

    /// Makes one request without the SDK; an error if the SDK has to make the call.
    async fn call<T: QueueAnswer>(
        &self,
        target: &'static str,
        url: &str,
        request: &impl Serialize,
    ) -> Result<T, Arc<Fallback<T>>> {
        let route = match self.shared.queue_route.get() {
            Some(route) => route.as_ref(),
            None => Box::pin(self.resolve_queue_route(url)).await,
        };
        let request = match (route, serde_json::to_vec(request)) {
            (Some(route), Ok(body)) => self.signed_call(route, target, body).await,
            _ => None,
        };
        let Some((route, request)) = route.zip(request) else {
            return Err(Fallback::after(None));
        };
        let answered = async {
            let answer = route.http.request(request).await.map_err(unsent_to_sdk)?;
            let (head, body) = answer.into_parts();
            Ok((head, read_body(body).await?))
        };
        let first = match timeout(TIMEOUT, answered).await {
            Ok(Ok((head, body))) => {
                let problem = match head.status.is_success().then(|| T::read(&body)) {
                    Some(Ok(answer)) => {
                        self.shared.metrics.requests.add(1);
                        return Ok(answer);
                    }
                    Some(Err(problem)) => Some(problem),
                    None => None,
                };
                let response = Response::from_parts(head, SdkBody::from(body));
                let response: Result<HttpResponse, HttpError> = response.try_into();
                match (response, problem) {
                    (Ok(response), Some(problem)) => Err(no_answer_to_it(&response, &problem)),
                    (Ok(response), None) => Ok(response),
                    (Err(error), _) => Err(ConnectorError::other(error.into(), None)),
                }
            }
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
        };
        Err(Fallback::after(Some(first)))
    }

    /// Resolves the route to the queue. A failure is tried again with the next request.
    async fn resolve_queue_route(&self, url: &str) -> Option<&QueueRoute> {
        let endpoint = QueueEndpoint::resolve(&self.uncounted_sqs, url).await?;
        let http = self.shared.http.of(&endpoint.url);
        let route = http.map(|http| QueueRoute { endpoint, http });
        self.shared.queue_route.get_or_init(|| route).as_ref()
    }

    async fn signed_call(
        &self,
        route: &QueueRoute,
        target: &'static str,
        body: Vec<u8>,
    ) -> Option<Request<Full<Bytes>>> {
        let endpoint = &route.endpoint;
        let credentials = self.shared.credentials.get().await.ok()?;
        let headers = [
            ("content-type", CONTENT_TYPE),
            ("host", endpoint.host.as_str()),
            ("x-amz-target", target),
            ("x-amzn-query-mode", "true"),
        ];
        let signable = Signable {
            method: "POST",
            path: endpoint.url.path(),
            query: "",
            headers: &headers,
            body_sha256: &sha256(&body),
        };
        let signature = endpoint
            .signer
            .sign(&signable, &credentials, SystemTime::now());
        let mut request = Request::post(endpoint.url.clone())
            .body(Full::from(body))
            .ok()?;
        set_headers(request.headers_mut(), &headers, signature, &credentials).ok()?;
        Some(request)
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, ConnectorError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    Ok(body.map_err(ConnectorError::io)?.to_bytes())
}

/// The error for a success that is not the answer it should be. The SDK takes it as transient.
fn no_answer_to_it(response: &HttpResponse, problem: &str) -> ConnectorError {
    ConnectorError::io(unusable(response, problem).into())
}

/// Lets the SDK make a call whose first attempt is made. Answers with a status of success are read here all the same: the
/// SDK takes no message of an answer of which one is malformed, and an error document for an answer without messages.
#[derive(Debug)]
struct Fallback<T> {
    /// The answer to the first attempt, or why there is none; `None` if it was not made, or the SDK has it.
    first: Mutex<Option<Result<HttpResponse, ConnectorError>>>,
    /// The answer to the call.
    answer: Mutex<Option<T>>,
}

impl<T: QueueAnswer> Fallback<T> {
    fn after(first: Option<Result<HttpResponse, ConnectorError>>) -> Arc<Self> {
        Arc::new(Fallback {
            first: Mutex::new(first),
            answer: Mutex::default(),
        })
    }

    /// A configuration in which the SDK's first attempt has the answer to ours, and others are made over `http`.
    fn config(self: &Arc<Self>, http: &SharedHttpClient) -> aws_sdk_sqs::config::Builder {
        let (fallback, http) = (Arc::clone(self), http.clone());
        aws_sdk_sqs::Config::builder().http_client(http_client_fn(move |settings, components| {
            SharedHttpConnector::new(FallbackConnector {
                fallback: Arc::clone(&fallback),
                others: http.http_connector(settings, components),
            })
        }))
    }

    /// The answer to a call that has succeeded.
    fn answer(&self) -> T {
        lock(&self.answer).take().unwrap_or_default()
    }
}

#[derive(Debug)]
struct FallbackConnector<T> {
    fallback: Arc<Fallback<T>>,
    others: SharedHttpConnector,
}

impl<T: QueueAnswer> HttpConnector for FallbackConnector<T> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some(first) = lock(&self.fallback.first).take() {
            return HttpConnectorFuture::ready(first);
        }
        let response = self.others.call(request);
        let fallback = Arc::clone(&self.fallback);
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            let body = read_body(response.take_body()).await?;
            if response.status().is_success() {
                let answer = T::read(&body);
                *lock(&fallback.answer) =
                    Some(answer.map_err(|problem| no_answer_to_it(&response, &problem))?);
                *response.body_mut() = SdkBody::from("{}");
            } else {
                *response.body_mut() = SdkBody::from(body);
            }
            Ok(response)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
