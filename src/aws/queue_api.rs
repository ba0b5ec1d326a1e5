//! Requests to a queue over the bare HTTP client, at a fifth of the cost of the SDK's.
//!
//! The SDK resolves endpoint and credentials. Where an answer is not a plain success, the SDK takes it as that to the first
//! attempt of its own call: so retries, pauses and errors are the same whichever way a request went.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
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
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Clients;
use super::direct::set_headers;
use super::endpoint::QueueEndpoint;
use super::error::unsent_to_sdk;
use super::http::DirectClient;
use super::queue_json::{
    ATTRIBUTES, BatchAnswer, BatchRequest, QueueMessage, ReceiveAnswer, ReceiveRequest,
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
    ) -> Result<Vec<QueueMessage>, SdkError<ReceiveMessageError>> {
        let request = ReceiveRequest {
            queue_url: url,
            max_number_of_messages: receive.messages,
            message_system_attribute_names: ATTRIBUTES.each_ref().map(|name| name.as_str()),
            visibility_timeout: receive.visibility,
            wait_time_seconds: receive.wait_seconds,
        };
        let first = match self.call("AmazonSQS.ReceiveMessage", url, &request).await {
            Called::Succeeded(ReceiveAnswer { messages }) => {
                let messages = messages.unwrap_or_default().into_iter();
                return Ok(messages.map(QueueMessage::from).collect());
            }
            Called::Failed(first) => first,
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
            .config_override(first.config(&self.shared.sdk_http));
        let answer = Box::pin(request.send()).await?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().map(QueueMessage::from).collect())
    }

    /// Deletes at most ten messages by their receipt handles.
    pub(crate) async fn delete_messages(
        &self,
        url: &str,
        receipts: &[String],
    ) -> Result<BatchAnswer, SdkError<DeleteMessageBatchError>> {
        let entries = receipts.iter().map(|receipt| (receipt.as_str(), None));
        let request = BatchRequest::new(url, entries);
        let target = "AmazonSQS.DeleteMessageBatch";
        let first = match self.call(target, url, &request).await {
            Called::Succeeded(answer) => return Ok(BatchAnswer::from_json(answer)),
            Called::Failed(first) => first,
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
            .config_override(first.config(&self.shared.sdk_http));
        let answer = Box::pin(request.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id);
        Ok(BatchAnswer::of_sdk(successful, answer.failed))
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
        let first = match self.call(target, url, &request).await {
            Called::Succeeded(answer) => return Ok(BatchAnswer::from_json(answer)),
            Called::Failed(first) => first,
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
            .config_override(first.config(&self.shared.sdk_http));
        let answer = Box::pin(request.send()).await?;
        let successful = answer.successful.into_iter().map(|entry| entry.id);
        Ok(BatchAnswer::of_sdk(successful, answer.failed))
    }

    /// Makes one request without the SDK.
    async fn call<T: DeserializeOwned>(
        &self,
        target: &'static str,
        url: &str,
        request: &impl Serialize,
    ) -> Called<T> {
        let route = match self.shared.queue_route.get() {
            Some(route) => route.as_ref(),
            None => Box::pin(self.resolve_queue_route(url)).await,
        };
        let request = match (route, serde_json::to_vec(request)) {
            (Some(route), Ok(body)) => self.signed_call(route, target, body).await,
            _ => None,
        };
        let Some((route, request)) = route.zip(request) else {
            return Called::Failed(FirstAnswer(None));
        };
        let answered = async {
            let answer = route.http.request(request).await.map_err(unsent_to_sdk)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            Ok((head, body.map_err(ConnectorError::io)?.to_bytes()))
        };
        let answer = match timeout(TIMEOUT, answered).await {
            Ok(Ok((head, body))) => {
                if head.status == StatusCode::OK
                    && let Ok(answer) = serde_json::from_slice(&body)
                {
                    self.shared.metrics.requests.add(1);
                    return Called::Succeeded(answer);
                }
                let answer = Response::from_parts(head, SdkBody::from(body));
                answer
                    .try_into()
                    .map_err(|error: HttpError| ConnectorError::other(error.into(), None))
            }
            Ok(Err(error)) => Err(error),
            Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
        };
        Called::Failed(FirstAnswer(Some(Box::new(answer))))
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

/// What came of a request without the SDK.
enum Called<T> {
    Succeeded(T),
    /// The SDK has to make the call.
    Failed(FirstAnswer),
}

/// The answer to the first attempt of a call, or why there is none; `None` if it was not made.
struct FirstAnswer(Option<Box<Result<HttpResponse, ConnectorError>>>);

impl FirstAnswer {
    /// A configuration in which the SDK's first attempt has this answer, and others are made over `http`.
    fn config(self, http: &SharedHttpClient) -> aws_sdk_sqs::config::Builder {
        let config = aws_sdk_sqs::Config::builder();
        let Some(answer) = self.0 else {
            return config;
        };
        let (answer, http) = (Arc::new(Mutex::new(Some(*answer))), http.clone());
        config.http_client(http_client_fn(move |settings, components| {
            SharedHttpConnector::new(FirstAnswered {
                answer: Arc::clone(&answer),
                others: http.http_connector(settings, components),
            })
        }))
    }
}

#[derive(Debug)]
struct FirstAnswered {
    answer: Arc<Mutex<Option<Result<HttpResponse, ConnectorError>>>>,
    others: SharedHttpConnector,
}

impl HttpConnector for FirstAnswered {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.take() {
            Some(answer) => HttpConnectorFuture::ready(answer),
            None => self.others.call(request),
        }
    }
}
