//! Pages of listings, over the bare HTTP client.
//!
//! The SDK resolves endpoint and credentials, and reads every answer that is not a whole page: its errors are the same
//! whichever way a request went.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::operation::{RequestId, RequestIdExt};
use aws_sdk_s3::types::EncodingType;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use hyper::StatusCode;
use tokio::time::timeout;

use super::Clients;
use super::direct::{Route, collected};
use super::endpoint::{answered, encoded};
use super::error::{AwsError, describe, has_request_id, no_answer, unsent};
use super::http::{S3_ATTEMPT_TIMEOUT, S3_READ_TIMEOUT};
use super::list_xml::{ListAnswer, ListedKey, size};

/// Length of a page that is read: a thousand keys of 1024 bytes, each of them encoded, and what else the page says of
/// them, are less than half of it.
const MAX_PAGE: usize = 8 << 20;

/// A `ListObjectsV2` request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) prefix: &'a str,
    /// Groups keys with a further `/` into common prefixes.
    pub(crate) delimited: bool,
    /// `start-after`.
    pub(crate) after: Option<&'a str>,
    /// The token of the previous page.
    pub(crate) token: Option<&'a str>,
}

impl Clients {
    /// Requests a page of a listing from the region of `client`.
    pub(crate) async fn list(
        &self,
        client: Client,
        list: List<'_>,
    ) -> Result<ListAnswer, AwsError> {
        match self.route(&client, list.bucket).await? {
            Some(route) => self.list_over(&route, list).await,
            None => Box::pin(list.sent_by_sdk(&client, None)).await,
        }
    }

    async fn list_over(&self, route: &Route, list: List<'_>) -> Result<ListAnswer, AwsError> {
        let path = route.endpoint.path("");
        let request = self.signed(route, &path, &list.query(), &[]).await?;
        self.shared.metrics.requests.add(1);
        let received = async {
            let head = timeout(S3_READ_TIMEOUT, route.http.request(request)).await;
            let head = head.map_err(|_| no_answer())?;
            collected(head.map_err(|error| unsent(&error))?, MAX_PAGE).await
        };
        let answer = timeout(S3_ATTEMPT_TIMEOUT, received).await;
        let answer = answer.map_err(|_| no_answer())??;
        match page_of(&answer) {
            Some(page) => Ok(page),
            None => {
                let parsed = list.sent_by_sdk(&self.shared.uncounted, Some(answered(answer)));
                Box::pin(parsed).await
            }
        }
    }
}

/// The page of a plain success.
fn page_of(answer: &HttpResponse) -> Option<ListAnswer> {
    let is_success = answer.status().as_u16() == StatusCode::OK && has_request_id(answer);
    let body = answer.body().bytes().filter(|_| is_success)?;
    ListAnswer::parse(body)
}

impl List<'_> {
    /// The parameters in the order in which they are signed.
    fn query(&self) -> String {
        let mut query = String::with_capacity(256);
        let mut add = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.extend(encoded(value, false));
        };
        if let Some(token) = self.token {
            add("continuation-token", token);
        }
        if self.delimited {
            add("delimiter", "/");
        }
        // XML cannot express all characters of keys.
        add("encoding-type", "url");
        add("list-type", "2");
        add("prefix", self.prefix);
        if let Some(after) = self.after {
            add("start-after", after);
        }
        query
    }

    fn of_sdk(&self, client: &Client) -> ListObjectsV2FluentBuilder {
        client
            .list_objects_v2()
            .bucket(self.bucket)
            .prefix(self.prefix)
            .encoding_type(EncodingType::Url)
            .set_delimiter(self.delimited.then(|| "/".to_owned()))
            .set_start_after(self.after.map(str::to_owned))
            .set_continuation_token(self.token.map(str::to_owned))
    }

    /// The answer as the SDK reads it, which makes the request unless `config` has it answered.
    async fn sent_by_sdk(
        &self,
        client: &Client,
        config: Option<Builder>,
    ) -> Result<ListAnswer, AwsError> {
        let complete = Arc::new(AtomicBool::new(false));
        let check = CompletenessCheck(Arc::clone(&complete));
        let mut request = self.of_sdk(client).customize().interceptor(check);
        if let Some(config) = config {
            request = request.config_override(config);
        }
        let output = request.send().await.map_err(|error| describe(&error))?;
        if output.request_id().is_none() && output.extended_request_id().is_none() {
            return Err(AwsError::foreign("a listing"));
        }
        Ok(ListAnswer::of_sdk(output, complete.load(Ordering::Relaxed)))
    }
}

impl ListAnswer {
    /// What the SDK has read of a document, which may have been cut off.
    pub(crate) fn of_sdk(output: ListObjectsV2Output, is_complete: bool) -> ListAnswer {
        let objects = output.contents.unwrap_or_default().into_iter();
        let objects = objects.map(|object| ListedKey {
            size: size(object.size.unwrap_or(0)),
            modified: object.last_modified.map_or(0, |time| time.secs()),
            key: object.key,
        });
        let prefixes = output.common_prefixes.unwrap_or_default().into_iter();
        ListAnswer {
            objects: objects.collect(),
            common_prefixes: prefixes.map(|common| common.prefix).collect(),
            is_encoded: output.encoding_type == Some(EncodingType::Url),
            is_truncated: output.is_truncated,
            next_token: output.next_continuation_token,
            key_count: output.key_count,
            is_complete,
        }
    }
}

/// Records whether a response body is a complete XML document: the SDK's parser accepts a truncated one.
#[derive(Debug)]
struct CompletenessCheck(Arc<AtomicBool>);

impl Intercept for CompletenessCheck {
    fn name(&self) -> &'static str {
        "CompletenessCheck"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        let complete = body.trim_ascii_end().ends_with(b"</ListBucketResult>");
        // The task that sent the request reads it after the response, so no ordering is needed.
        self.0.store(complete, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::endpoint::{Canned, Endpoint};
    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_s3::primitives::SdkBody;
    use hyper::Response;
    use proptest::prelude::*;
    use tokio::runtime::Runtime;

    const LIST: List<'_> = List {
        bucket: "logs",
        prefix: "a/",
        delimited: true,
        after: None,
        token: None,
    };

    fn client(configure: impl Fn(Builder) -> Builder) -> Client {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"));
        Client::from_conf(configure(config).build())
    }

    fn runtime() -> Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    }

    /// A URL without its query, and the parameters of that in order.
    fn parts(url: &str) -> (&str, Vec<&str>) {
        let (place, query) = url.split_once('?').expect("a query");
        let mut parameters: Vec<&str> = query.split('&').collect();
        assert_eq!(parameters[0].is_empty(), query.is_empty());
        parameters.sort_unstable();
        (place, parameters)
    }

    #[test]
    fn requests_are_those_of_the_sdk() {
        type Configure<'a> = &'a dyn Fn(Builder) -> Builder;
        let clients: [Configure<'_>; 4] = [
            &|config| config,
            &|config| config.use_dual_stack(true).use_fips(true),
            &|config| {
                let config = config.endpoint_url("http://127.0.0.1:4566");
                config.force_path_style(true)
            },
            &|config| {
                let config = config.endpoint_url("https://minio.example/s3/");
                config.force_path_style(true)
            },
        ];
        let odd = "a b+c%20d/é=&?#:@!$'()*,;\u{1}\n~";
        let lists = [
            LIST,
            List {
                prefix: "",
                delimited: false,
                ..LIST
            },
            List {
                prefix: odd,
                after: Some(odd),
                ..LIST
            },
            List {
                bucket: "my.logs",
                token: Some("1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM="),
                ..LIST
            },
            List {
                bucket: "arn:aws:s3:eu-west-1:111122223333:accesspoint/logs",
                ..LIST
            },
        ];
        let runtime = runtime();
        for (client, list) in clients
            .iter()
            .flat_map(|configure| lists.map(|list| (client(configure), list)))
        {
            let resolved = Endpoint::resolve(&client, Region::new("eu-west-1"), list.bucket);
            // Access points have no endpoint of their own.
            let Ok(endpoint) = runtime.block_on(resolved) else {
                continue;
            };
            let endpoint = endpoint.expect("an endpoint");
            let canned = Canned::default();
            let config = Builder::new().http_client(canned.client());
            let request = list.of_sdk(&client).customize().config_override(config);
            assert!(runtime.block_on(request.send()).is_err());
            let request = canned.take_request().expect("a request");
            let query = list.query();
            assert!(query.split('&').is_sorted(), "{query}");
            let (scheme, host) = (&endpoint.scheme, &endpoint.host);
            let own = format!("{scheme}://{host}{}?{query}", endpoint.path(""));
            assert_eq!(parts(&own), parts(request.uri()), "{list:?}");
        }
    }

    fn by_sdk(runtime: &Runtime, client: &Client, page: &str) -> Result<ListAnswer, AwsError> {
        let answer = Response::builder().header("x-amz-request-id", "1");
        let answer = answer.body(SdkBody::from(page)).expect("an answer");
        let answer: HttpResponse = answer.try_into().expect("an answer of the SDK");
        if let Some(page) = page_of(&answer) {
            assert_eq!(
                Some(page),
                ListAnswer::parse(answer.body().bytes().unwrap_or_default())
            );
        }
        runtime.block_on(LIST.sent_by_sdk(client, Some(answered(answer))))
    }

    const PAGE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>logs</Name><Prefix>a/</Prefix><NextContinuationToken>1u/+=</NextContinuationToken><KeyCount>4</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents><Key>a/1+%26</Key><LastModified>2026-01-14T12:00:00.000Z</LastModified><ETag>&quot;5d41&quot;</ETag><Size>2861</Size><StorageClass>GLACIER</StorageClass><Owner><ID>75</ID><DisplayName/></Owner></Contents><Contents><Key>a/&#50;&amp;</Key><LastModified>2026-01-14T12:00:01Z</LastModified><Size>0</Size></Contents><CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes></ListBucketResult>";

    #[test]
    fn answers_that_are_no_page_are_those_of_the_sdk() {
        let (runtime, client) = (runtime(), client(|config| config));
        assert_eq!(
            by_sdk(&runtime, &client, PAGE).ok(),
            ListAnswer::parse(PAGE.as_bytes())
        );
        let (cut, _) = PAGE.split_once("<CommonPrefixes").expect("one");
        let page = by_sdk(&runtime, &client, cut).expect("what the SDK makes of it");
        assert!(!page.is_complete && page.objects.len() == 2);
        for other in [
            "<html></html>",
            "<Error><Code>SlowDown</Code></Error>",
            &PAGE[..PAGE.len() / 2],
        ] {
            let error = by_sdk(&runtime, &client, other).expect_err("no page");
            assert!(error.is_transient(), "{error}");
        }
    }

    proptest! {
        /// A page that is read without the SDK is one that the SDK reads alike, however it was damaged.
        #[test]
        fn pages_are_read_as_the_sdk_reads_them(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[<>/&;#x0-9a-zA-Z:\"= ]{0,2}"), 0..3),
            moved: Option<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>,
        ) {
            let mut page = PAGE.to_owned();
            for (at, removed, text) in edits {
                let at = at.index(page.len());
                page.replace_range(at..(at + removed).min(page.len()), &text);
            }
            // A part between two tags, to be found again elsewhere.
            if let Some((start, end, to)) = moved {
                let tags: Vec<usize> = page.match_indices('<').map(|(at, _)| at).collect();
                if !tags.is_empty() {
                    let [start, end, to] = [start, end, to].map(|index| tags[index.index(tags.len())]);
                    let part = page[start.min(end)..start.max(end)].to_owned();
                    page.insert_str(to, &part);
                }
            }
            if let Some(own) = ListAnswer::parse(page.as_bytes())
                && let Ok(of_sdk) = by_sdk(&runtime(), &client(|config| config), &page)
            {
                let of_sdk = ListAnswer { is_complete: true, ..of_sdk };
                prop_assert_eq!(own, of_sdk, "{}", page);
            }
        }
    }
}
