//! The measured processes of `cost`: the plugin, and bare clients as baselines. Each prints what it used.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::task::LocalSet;

use super::bucket::{self, PREFIX};
use super::run::{self, QUEUE};
use super::usage::Resources;
use cloudtrail::host::{Plugin, Status};

/// Concurrent requests of each client.
const CONCURRENCY: usize = 32;

/// Time after which a client has failed.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs `client` on `objects` objects of `bucket` at the server `url`, which is a folder for local files.
pub fn run(client: &str, url: &str, bucket: &str, objects: &str) {
    let count = objects.parse().expect("a number of objects");
    let keys: Vec<String> = (0..count).map(bucket::key).collect();
    let plugin = || run::plugin(url, CONCURRENCY);
    let measured = match client {
        "hyper + aws-sigv4" => measure(|| on_one_thread(hyper(url, bucket, keys))),
        "aws-sdk-s3" => measure(|| on_one_thread(sdk(url, bucket, keys))),
        "local" => {
            let plugin = run::configured("{}");
            measure(|| read(&plugin, url, u64::MAX))
        }
        "s3://" => {
            let plugin = plugin();
            measure(|| read(&plugin, &format!("s3://{bucket}/{PREFIX}"), u64::MAX))
        }
        "sqs://" => {
            let plugin = plugin();
            let (_, records) = bucket.split_once('-').expect("records in the name");
            let records: u64 = records.parse().expect("a number of records");
            measure(|| read(&plugin, QUEUE, records * count as u64))
        }
        other => panic!("no client {other}"),
    };
    println!("{measured}");
}

/// CPU time in nanoseconds, context switches, and the result of `run`.
fn measure(run: impl FnOnce() -> u64) -> String {
    let before = Resources::so_far();
    let result = run();
    let used = Resources::so_far().since(before);
    format!("{} {} {result}", used.cpu.as_nanos(), used.switches)
}

/// Reads a source to its end or until it has delivered `events` events. The number of events.
fn read(plugin: &Plugin, params: &str, events: u64) -> u64 {
    let mut capture = run::opened(plugin, params);
    let started = Instant::now();
    let mut seen = 0;
    // The call after the last event acknowledges it.
    let mut acknowledged = false;
    while !acknowledged {
        acknowledged = seen >= events;
        let (status, batch) = capture
            .next_batch()
            .unwrap_or_else(|error| panic!("{error}"));
        seen += batch.count() as u64;
        if status == Status::Eof {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "{seen} events and no end");
    }
    seen
}

fn on_one_thread(work: impl Future<Output = u64>) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, work)
}

/// Runs `get` for all `keys`, as many at a time as the plugin does. The sum of its results.
async fn concurrently<F: Future<Output = u64> + 'static>(
    keys: Vec<String>,
    get: impl Fn(String) -> F + 'static,
) -> u64 {
    let (get, keys) = (Rc::new(get), Rc::new(Cell::new(keys)));
    let workers: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let (get, keys) = (Rc::clone(&get), Rc::clone(&keys));
            tokio::task::spawn_local(async move {
                let mut bytes = 0;
                loop {
                    let mut left = keys.take();
                    let key = left.pop();
                    keys.set(left);
                    match key {
                        Some(key) => bytes += get(key).await,
                        None => return bytes,
                    }
                }
            })
        })
        .collect();
    let mut bytes = 0;
    for worker in workers {
        bytes += worker.await.expect("no panic");
    }
    bytes
}

/// The least that a client in Rust can do: each request signed by AWS's own crate.
async fn hyper(url: &str, bucket: &str, keys: Vec<String>) -> u64 {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls())
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let client = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build::<_, Empty<Bytes>>(connector);
    let identity = Arc::new(credentials().into());
    let base = format!("{url}/{bucket}");
    concurrently(keys, move |key| {
        let (client, identity) = (client.clone(), Arc::clone(&identity));
        let uri = format!("{base}/{key}?x-id=GetObject");
        async move {
            let mut settings = SigningSettings::default();
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region("us-east-1")
                .name("s3")
                .time(SystemTime::now())
                .settings(settings)
                .build()
                .expect("complete parameters")
                .into();
            let signable = SignableRequest::new(
                "GET",
                &uri,
                [("x-amz-checksum-mode", "ENABLED")].into_iter(),
                SignableBody::UnsignedPayload,
            );
            let (signed, _) = sign(signable.expect("a request"), &params)
                .expect("a signature")
                .into_parts();
            let mut request = hyper::Request::get(&uri)
                .header("x-amz-checksum-mode", "ENABLED")
                .body(Empty::new())
                .expect("a request");
            signed.apply_to_request_http1x(&mut request);
            let answer = client.request(request).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            let body = answer.into_body().collect().await.expect("a body");
            body.to_bytes().len() as u64
        }
    })
    .await
}

/// `get_object` of the SDK.
async fn sdk(url: &str, bucket: &str, keys: Vec<String>) -> u64 {
    let mut trusted = TrustStore::default();
    if let Some(bundle) = bundle() {
        trusted = TrustStore::empty().with_pem_certificate(bundle);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context.expect("a TLS context"))
        .build_https();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(url)
        .force_path_style(true)
        .http_client(http)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let bucket = bucket.to_owned();
    concurrently(keys, move |key| {
        let get = client.get_object().bucket(&bucket).key(key);
        async move {
            let answer = get.send().await.expect("an answer");
            let body = answer.body.collect().await.expect("a body");
            body.into_bytes().len() as u64
        }
    })
    .await
}

fn credentials() -> Credentials {
    Credentials::new("AKIABENCHEXAMPLE", "bench", None, None, "bench")
}

fn bundle() -> Option<Vec<u8>> {
    let path = std::env::var_os("AWS_CA_BUNDLE")?;
    Some(fs::read(path).expect("the certificate"))
}

fn tls() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bundle().unwrap_or_default()) {
        roots
            .add(certificate.expect("a certificate"))
            .expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
