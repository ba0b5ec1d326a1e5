//! The HTTP client that all AWS clients share, and how long they wait for what.
#![forbid(unsafe_code)]

use std::fs;
use std::time::Duration;

use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::proxy::{Bypass, Proxies};
use super::settings::variable;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

/// How long S3 may take to begin an answer. Listing a prefix with many deleted objects is slow.
const READ_S3: Duration = Duration::from_secs(30);

/// How long SQS may take to begin an answer: longer than the longest poll, which is 20 s.
const READ_SQS: Duration = Duration::from_secs(30);

/// What an attempt may take beyond the wait for its answer.
const SLACK: Duration = Duration::from_secs(10);

/// Servers close idle connections after 20 s or so, and each one costs the host a file descriptor.
const IDLE: Duration = Duration::from_secs(15);

/// The variable with the path of the certificates to trust.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// One client for all services, with the proxies and certificates that the environment names. It keeps at most `idle`
/// idle connections for each host.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the variable of the environment that cannot be used.
pub(super) fn client(idle: usize) -> Result<SharedHttpClient> {
    let proxies = Proxies::from_env()?;
    let tls = tls_context()?;
    let client = |proxy| connecting(proxy, tls.clone(), idle);
    let direct = client(ProxyConfig::disabled());
    if proxies.http.is_none() && proxies.https.is_none() {
        return Ok(direct);
    }
    Ok(SharedHttpClient::new(ByProxy {
        http: proxies.http.map(client).unwrap_or_else(|| direct.clone()),
        https: proxies.https.map(client).unwrap_or_else(|| direct.clone()),
        direct,
        bypass: proxies.bypass,
    }))
}

/// A client that makes all its connections through `proxy`.
fn connecting(proxy: ProxyConfig, tls: TlsContext, idle: usize) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone())
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// The certificates to trust: those of `AWS_CA_BUNDLE`, as AWS's other tools do, else those of the system.
fn tls_context() -> Result<TlsContext> {
    let trusted = match variable(CA_BUNDLE) {
        Some(path) => TrustStore::empty().with_pem_certificate(bundle(&path)?),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(trusted).build();
    context.map_err(|error| Error::new(ErrorKind::Config, format!("TLS: {error}")))
}

/// The text of a file with certificates, all of which can be used: the HTTP client would panic at others.
fn bundle(path: &str) -> Result<Vec<u8>> {
    let refused = |why: String| {
        let line = format!(
            "{CA_BUNDLE}: {} {why}; it has to be a file with certificates in PEM format",
            quoted(path)
        );
        Error::new(ErrorKind::Config, line)
    };
    let text = fs::read(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let broken = |error: String| refused(format!("holds a broken certificate ({error})"));
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| broken(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(refused("holds no certificate".to_owned())),
        false => Ok(text),
    }
}

/// Chooses for each request between the proxy of its scheme and none.
#[derive(Debug)]
struct ByProxy {
    direct: SharedHttpClient,
    http: SharedHttpClient,
    https: SharedHttpClient,
    bypass: Bypass,
}

impl HttpClient for ByProxy {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // Each client keeps its connectors, and so its connections.
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(Connectors {
            direct: connector(&self.direct),
            http: connector(&self.http),
            https: connector(&self.https),
            bypass: self.bypass.clone(),
        })
    }
}

#[derive(Debug)]
struct Connectors {
    direct: SharedHttpConnector,
    http: SharedHttpConnector,
    https: SharedHttpConnector,
    bypass: Bypass,
}

impl HttpConnector for Connectors {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (host, port, secure) = target(request.uri());
        if self.bypass.contains(host, port) {
            return self.direct.call(request);
        }
        match secure {
            true => self.https.call(request),
            false => self.http.call(request),
        }
    }
}

/// Host and port of a request's URL, and whether it is `https://`.
fn target(url: &str) -> (&str, u16, bool) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let secure = scheme.eq_ignore_ascii_case("https");
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = place.rsplit('@').next().unwrap_or_default();
    let (host, port) = super::proxy::split_port(place);
    let port = port.and_then(|port| port.parse().ok());
    (host, port.unwrap_or(if secure { 443 } else { 80 }), secure)
}

/// Waits for requests to S3 up to the beginning of the answer's body.
pub(super) fn s3_timeouts() -> TimeoutConfig {
    timeouts(READ_S3)
}

/// Waits for requests to SQS.
pub(super) fn sqs_timeouts() -> TimeoutConfig {
    timeouts(READ_SQS)
}

fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(read)
        .operation_attempt_timeout(read + SLACK)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn a_request_goes_to_host_and_port() {
        for (url, expected) in [
            (
                "https://s3.amazonaws.com/b?c:1",
                ("s3.amazonaws.com", 443, true),
            ),
            ("http://127.0.0.1:4566", ("127.0.0.1", 4566, false)),
            ("http://[::1]:80/x@y", ("::1", 80, false)),
            ("HTTP://host?x=/", ("host", 80, false)),
        ] {
            assert_eq!(target(url), expected, "{url}");
        }
    }

    #[test]
    fn a_bundle_without_certificates_is_named_with_the_reason() {
        let folder = env::temp_dir().join(format!("cloudtrail-{}-bundles", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let missing = folder.join("missing").to_str().expect("UTF-8").to_owned();
        let mut cases = vec![(missing, "cannot be read: No such file")];
        let framed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, text, reason) in [
            ("empty", "", "holds no certificate"),
            ("text", "not PEM", "holds no certificate"),
            ("broken", framed, "holds a broken certificate"),
            ("cut", &framed[..40], "holds a broken certificate"),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file");
            cases.push((path.to_str().expect("UTF-8").to_owned(), reason));
        }
        for (path, reason) in cases {
            let message = bundle(&path).expect_err(&path).to_string();
            for part in [CA_BUNDLE, path.as_str(), reason] {
                assert!(message.contains(part), "{message}");
            }
        }
        fs::remove_dir_all(&folder).expect("my own folder");
    }
}
