//! Where requests go, as the SDK resolves it: once per bucket and queue, instead of with each request.
//!
//! The SDK builds a request for a placeholder key, and a connector that sends nothing keeps it. That covers everything
//! the SDK knows of endpoints: regions, path and virtual-host style, FIPS, dual stack, custom endpoints and access points.
//! The same kind of connector hands answers to the SDK that came over the bare client.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Region, SharedHttpClient};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};

use super::error::{AwsError, describe};
use super::sign::Signer;

/// The placeholder for the key.
const PLACEHOLDER: &str = "key";

/// Services whose signatures are made as that of S3. Directory buckets (`s3express`) need sessions.
const SERVICES: [&str; 3] = ["s3", "s3-object-lambda", "s3-outposts"];

/// Where the objects of one bucket are requested, and how requests are signed.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// Value of the `host` header.
    pub(super) host: String,
    /// What precedes `/` and the key in the path.
    prefix: String,
    /// Checksums are requested and checked, which `AWS_RESPONSE_CHECKSUM_VALIDATION` can switch off.
    pub(super) checksums: bool,
    pub(super) signer: Signer,
}

impl Endpoint {
    /// Has the SDK resolve the endpoint of `bucket` in `region`. `None`: its requests are of a kind that only the SDK
    /// can make.
    ///
    /// # Errors
    ///
    /// Whatever keeps the SDK from making a request, such as missing credentials or an invalid name of a bucket.
    pub(super) async fn resolve(
        client: &Client,
        region: Region,
        bucket: &str,
    ) -> Result<Option<Endpoint>, AwsError> {
        let canned = Canned::default();
        let request = client.get_object().bucket(bucket).key(PLACEHOLDER);
        let config = aws_sdk_s3::Config::builder()
            .region(region)
            .http_client(canned.client());
        let result = request.customize().config_override(config).send().await;
        match (canned.take_request(), result) {
            (Some(request), _) => Ok(Endpoint::of(&request)),
            (None, Err(error)) => Err(describe(&error)),
            (None, Ok(_)) => Ok(None),
        }
    }

    fn of(request: &HttpRequest) -> Option<Endpoint> {
        let url: Uri = request.uri().parse().ok()?;
        if url.query() != Some("x-id=GetObject") {
            return None;
        }
        let prefix = url.path().strip_suffix(PLACEHOLDER)?.strip_suffix('/')?;
        let (region, service) = signing_scope(request)?;
        if !SERVICES.contains(&service) {
            return None;
        }
        Some(Endpoint {
            scheme: url.scheme()?.clone(),
            authority: url.authority()?.clone(),
            host: host(&url)?,
            prefix: prefix.to_owned(),
            checksums: request.headers().get("x-amz-checksum-mode").is_some(),
            signer: Signer::new(region, service),
        })
    }

    /// The path of an object; with an empty key that of the bucket. Every other byte of its key than those that RFC 3986 leaves unreserved is encoded, once,
    /// and nothing is normalized.
    pub(super) fn path(&self, key: &str) -> String {
        let mut path = String::with_capacity(self.prefix.len() + key.len() + 16);
        path.push_str(&self.prefix);
        path.push('/');
        path.extend(encoded(key, true));
        path
    }
}

/// Where requests to queues go, and how they are signed.
#[derive(Debug)]
pub(super) struct QueueEndpoint {
    pub(super) url: Uri,
    /// Value of the `host` header.
    pub(super) host: String,
    pub(super) signer: Signer,
}

impl QueueEndpoint {
    /// Has the SDK resolve the endpoint of the queue at `url`. `None`: it cannot make a request now, or only the SDK can.
    pub(super) async fn resolve(client: &aws_sdk_sqs::Client, url: &str) -> Option<QueueEndpoint> {
        let canned = Canned::default();
        let request = client.receive_message().queue_url(url);
        let config = aws_sdk_sqs::Config::builder().http_client(canned.client());
        // The connector makes it fail.
        let _ = request.customize().config_override(config).send().await;
        let request = canned.take_request()?;
        let url: Uri = request.uri().parse().ok()?;
        let (region, service) = signing_scope(&request)?;
        if service != "sqs" || url.query().is_some() {
            return None;
        }
        Some(QueueEndpoint {
            host: host(&url)?,
            signer: Signer::new(region, service),
            url,
        })
    }
}

/// Region and service for which a request is signed.
fn signing_scope(request: &HttpRequest) -> Option<(&str, &str)> {
    let authorization = request.headers().get("authorization")?;
    let (_, rest) = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")?
        .split_once("Credential=")?;
    // `<access key>/<day>/<region>/<service>/aws4_request`
    let mut scope = rest.split(',').next()?.rsplit('/').skip(1);
    let (service, region) = (scope.next()?, scope.next()?);
    Some((region, service))
}

/// Value of the `host` header for requests to `url`.
fn host(url: &Uri) -> Option<String> {
    let authority = url.authority()?;
    let default_port = if url.scheme()? == &Scheme::HTTPS {
        443
    } else {
        80
    };
    Some(match authority.port_u16() {
        // Without the user and password that an endpoint may have.
        Some(port) if port != default_port => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    })
}

/// Percent-encodes a key, which keeps its slashes, or a query's value.
pub(super) fn encoded(text: &str, keep_slashes: bool) -> impl Iterator<Item = &str> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const VALUE: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    const KEY: AsciiSet = VALUE.remove(b'/');
    utf8_percent_encode(text, if keep_slashes { &KEY } else { &VALUE })
}

/// Has the SDK make of an error answer what it would have made had it sent the request itself.
pub(super) async fn parsed_by_sdk(
    client: &Client,
    bucket: &str,
    answer: HttpResponse,
) -> Result<GetObjectOutput, AwsError> {
    let request = client.get_object().bucket(bucket).key(PLACEHOLDER);
    let result = request
        .customize()
        .config_override(answered(answer))
        .send()
        .await;
    result.map_err(|error| describe(&error))
}

/// A configuration in which the SDK sends nothing, and receives this answer.
pub(super) fn answered(answer: HttpResponse) -> aws_sdk_s3::config::Builder {
    let canned = Canned::default();
    canned.set_answer(answer);
    aws_sdk_s3::Config::builder().http_client(canned.client())
}

/// Connector that keeps the request and sends nothing. It answers with an answer that is there already, else with an
/// error.
#[derive(Clone, Debug, Default)]
pub(super) struct Canned(Arc<Mutex<(Option<HttpRequest>, Option<HttpResponse>)>>);

impl Canned {
    pub(super) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    pub(super) fn take_request(&self) -> Option<HttpRequest> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .take()
    }

    fn set_answer(&self, answer: HttpResponse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(answer);
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = Some(request);
        HttpConnectorFuture::ready(state.1.take().ok_or_else(|| {
            ConnectorError::user("no request is made to resolve an endpoint".into())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials};

    fn resolve(bucket: &str, configure: impl Fn(Builder) -> Builder) -> Option<Endpoint> {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"));
        let client = Client::from_conf(configure(config).build());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let region = Region::new("eu-west-1");
        runtime
            .block_on(Endpoint::resolve(&client, region, bucket))
            .expect("an endpoint")
    }

    fn url(endpoint: &Endpoint, key: &str) -> String {
        format!(
            "{}://{}{}",
            endpoint.scheme,
            endpoint.host,
            endpoint.path(key)
        )
    }

    #[test]
    fn endpoints_are_those_of_the_sdk() {
        let arn = "arn:aws:s3:eu-west-1:111122223333:accesspoint/logs";
        let custom = |endpoint: &'static str| {
            move |config: Builder| config.endpoint_url(endpoint).force_path_style(true)
        };
        type Configure<'a> = &'a dyn Fn(Builder) -> Builder;
        let cases: [(&str, Configure<'_>, &str); 8] = [
            (
                "logs",
                &|config| config,
                "https://logs.s3.eu-west-1.amazonaws.com/a/b",
            ),
            (
                "my.logs",
                &|config| config,
                "https://s3.eu-west-1.amazonaws.com/my.logs/a/b",
            ),
            (
                "logs",
                &|config| config.use_fips(true),
                "https://logs.s3-fips.eu-west-1.amazonaws.com/a/b",
            ),
            (
                "logs",
                &|config| config.use_dual_stack(true),
                "https://logs.s3.dualstack.eu-west-1.amazonaws.com/a/b",
            ),
            (
                arn,
                &|config| config,
                "https://logs-111122223333.s3-accesspoint.eu-west-1.amazonaws.com/a/b",
            ),
            (
                "logs",
                &custom("http://127.0.0.1:4566"),
                "http://127.0.0.1:4566/logs/a/b",
            ),
            (
                "logs",
                &custom("https://minio.example:443/s3/"),
                "https://minio.example/s3/logs/a/b",
            ),
            ("logs", &custom("http://[::1]:80"), "http://[::1]/logs/a/b"),
        ];
        for (bucket, configure, expected) in cases {
            let endpoint = resolve(bucket, configure).expect(expected);
            assert_eq!(url(&endpoint, "a/b"), expected);
            assert!(endpoint.checksums);
        }
    }

    #[test]
    fn host_has_no_password() {
        for (endpoint, host) in [
            ("http://user:secret@127.0.0.1:4566", "127.0.0.1:4566"),
            ("http://user:secret@[::1]:4566", "[::1]:4566"),
            ("http://user:secret@localhost", "localhost"),
        ] {
            let configure = |config: Builder| config.endpoint_url(endpoint).force_path_style(true);
            let endpoint = resolve("logs", configure).expect("an endpoint");
            assert_eq!(endpoint.host, host);
        }
    }

    #[test]
    fn directory_buckets_are_left_to_the_sdk() {
        let endpoint = resolve("logs--euw1-az1--x-s3", |config| {
            config.disable_s3_express_session_auth(true)
        });
        // Without a session it is signed for `s3express`.
        assert!(endpoint.is_none(), "{endpoint:?}");
    }

    #[test]
    fn keys_are_encoded_once_and_not_normalized() {
        let endpoint = resolve("logs", |config| config).expect("an endpoint");
        for (key, path) in [
            ("a b+c%20d", "/a%20b%2Bc%2520d"),
            ("/x//../y/.", "//x//../y/."),
            (
                "é=&?#:@!$'()*,;",
                "/%C3%A9%3D%26%3F%23%3A%40%21%24%27%28%29%2A%2C%3B",
            ),
            ("A-z_0.9~", "/A-z_0.9~"),
        ] {
            assert_eq!(endpoint.path(key), path);
        }
    }
}
