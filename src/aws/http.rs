//! HTTP clients with proxies, TLS and timeouts: one that all AWS clients share, and a bare one for what is requested often.
#![forbid(unsafe_code)]

use std::fs;
use std::sync::{Arc, OnceLock};
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
use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::environment::variable;
use super::proxy::{NoProxy, Proxies};
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::quoted;

/// Time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for the start of a response from S3. Listing a prefix with many delete markers is slow.
pub(super) const S3_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for a whole response from S3 that is not a download.
pub(super) const S3_ATTEMPT_TIMEOUT: Duration =
    Duration::from_secs(S3_READ_TIMEOUT.as_secs() + ATTEMPT_MARGIN.as_secs());

/// Time limit for the start of a response from SQS: more than the longest poll of 20 s.
const SQS_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that an attempt may take in addition to the read timeout.
const ATTEMPT_MARGIN: Duration = Duration::from_secs(10);

/// Idle connections are closed after this time: servers close them after about 20 s, and each one uses a file descriptor
/// of the host.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes that a connection reads at once, at most. The client's default grows to 400 KB for each connection, all of it new
/// memory.
const READ_BUFFER: usize = 64 << 10;

/// Environment variable with the path of trusted certificates.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The client of the SDK, and the bare one for hosts that are reached without a proxy.
pub(super) struct HttpClients {
    pub(super) sdk: SharedHttpClient,
    pub(super) direct: DirectClients,
}

/// Creates the clients, with the proxies and certificates that the environment configures and at most `idle` idle
/// connections per host.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the environment variable that is invalid.
pub(super) fn clients(idle: usize) -> Result<HttpClients> {
    let proxies = Proxies::from_env()?;
    let bundle = ca_bundle()?;
    let tls = tls_context(bundle.as_deref())?;
    let direct = DirectClients {
        idle,
        bundle,
        http_is_proxied: proxies.http.is_some(),
        https_is_proxied: proxies.https.is_some(),
        no_proxy: proxies.no_proxy.clone(),
        http: OnceLock::new(),
        https: OnceLock::new(),
    };
    let client = |proxy| client_through(proxy, tls.clone(), idle);
    let no_certificates = TlsContext::builder().with_trust_store(TrustStore::empty());
    let no_certificates = no_certificates.build().map_err(|error| tls_error(&error))?;
    let unproxied = SharedHttpClient::new(SchemeRouter {
        http: client_through(ProxyConfig::disabled(), no_certificates, idle),
        https: client(ProxyConfig::disabled()),
    });
    if proxies.http.is_none() && proxies.https.is_none() {
        let sdk = unproxied;
        return Ok(HttpClients { sdk, direct });
    }
    let through = |proxy: Option<_>| proxy.map_or_else(|| unproxied.clone(), client);
    let sdk = SharedHttpClient::new(ProxyRouter {
        http: through(proxies.http),
        https: through(proxies.https),
        direct: unproxied,
        no_proxy: proxies.no_proxy,
    });
    Ok(HttpClients { sdk, direct })
}

/// Bare client with pooled connections.
pub(super) type DirectClient = HyperClient<HttpsConnector<TcpConnector>, Full<Bytes>>;

/// Bare clients for `http` and `https`, each created when it is first needed: reading the system's certificates takes
/// milliseconds.
pub(super) struct DirectClients {
    idle: usize,
    /// Trusted certificates in PEM format instead of the system's.
    bundle: Option<Vec<u8>>,
    http_is_proxied: bool,
    https_is_proxied: bool,
    no_proxy: NoProxy,
    http: OnceLock<Option<DirectClient>>,
    https: OnceLock<Option<DirectClient>>,
}

impl DirectClients {
    /// The client for `url`; `None` if it is reached through a proxy, or there are no usable certificates.
    pub(super) fn of(&self, url: &Uri) -> Option<DirectClient> {
        let secure = url.scheme_str() == Some("https");
        let proxied = match secure {
            true => self.https_is_proxied,
            false => self.http_is_proxied,
        };
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if proxied && !self.no_proxy.matches(url.host()?, port) {
            return None;
        }
        if !secure {
            let client = || direct_client(RootCertStore::empty(), self.idle);
            return self.http.get_or_init(client).clone();
        }
        let client = || {
            let mut roots = RootCertStore::empty();
            match &self.bundle {
                // `read_ca_bundle` has checked it.
                Some(bundle) => roots
                    .add_parsable_certificates(CertificateDer::pem_slice_iter(bundle).flatten()),
                None => {
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)
                }
            };
            match roots.is_empty() {
                true => None,
                false => direct_client(roots, self.idle),
            }
        };
        self.https.get_or_init(client).clone()
    }
}

/// `None` if TLS cannot be configured.
fn direct_client(roots: RootCertStore, idle: usize) -> Option<DirectClient> {
    let mut tcp = TcpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.enforce_http(false);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let client = HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(idle)
        .http1_max_buf_size(READ_BUFFER)
        .build(connector);
    Some(client)
}

/// A client that connects through `proxy`.
fn client_through(proxy: ProxyConfig, tls: TlsContext, idle: usize) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone())
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE_TIMEOUT);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// The certificates of `AWS_CA_BUNDLE`, which AWS's other tools read too.
fn ca_bundle() -> Result<Option<Vec<u8>>> {
    variable(CA_BUNDLE)
        .map(|path| read_ca_bundle(&path))
        .transpose()
}

/// TLS context that trusts the certificates of `bundle`, else those of the system.
fn tls_context(bundle: Option<&[u8]>) -> Result<TlsContext> {
    let trusted = match bundle {
        Some(bundle) => TrustStore::empty().with_pem_certificate(bundle),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(trusted).build();
    context.map_err(|error| tls_error(&error))
}

fn tls_error(error: &impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("TLS: {error}"))
}

/// Reads a file of certificates and validates all of them: the HTTP client would panic on an invalid one.
fn read_ca_bundle(path: &str) -> Result<Vec<u8>> {
    let error = |problem: String| {
        let line = format!(
            "{CA_BUNDLE}: {} {problem}; use a file with certificates in PEM format",
            quoted(path)
        );
        Error::new(ErrorKind::Config, line)
    };
    let text = fs::read(path).map_err(|cause| error(format!("cannot be read: {cause}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let invalid = |cause: String| error(format!("has an invalid certificate ({cause})"));
        let certificate = certificate.map_err(|cause| invalid(cause.to_string()))?;
        roots
            .add(certificate)
            .map_err(|cause| invalid(cause.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(error("has no certificate".to_owned())),
        false => Ok(text),
    }
}

/// Routes each request to the client of its scheme. Clients of the SDK read the system's certificates as soon as they
/// are asked for a connector, which is when the SDK creates one of its own; this one asks with the first request.
#[derive(Debug)]
struct SchemeRouter {
    http: SharedHttpClient,
    https: SharedHttpClient,
}

impl HttpClient for SchemeRouter {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(SchemeConnector {
            http: self.http.clone(),
            https: self.https.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct SchemeConnector {
    http: SharedHttpClient,
    https: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for SchemeConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (_, _, secure) = target(request.uri());
        let client = if secure { &self.https } else { &self.http };
        // Each client caches its connectors, and with them its connections.
        let connector = client.http_connector(&self.settings, &self.components);
        connector.call(request)
    }
}

/// Routes each request through the proxy of its scheme, or directly if `NO_PROXY` matches.
#[derive(Debug)]
struct ProxyRouter {
    direct: SharedHttpClient,
    http: SharedHttpClient,
    https: SharedHttpClient,
    no_proxy: NoProxy,
}

impl HttpClient for ProxyRouter {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // Each client caches its connectors, and with them its connections.
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(RoutingConnector {
            direct: connector(&self.direct),
            http: connector(&self.http),
            https: connector(&self.https),
            no_proxy: self.no_proxy.clone(),
        })
    }
}

#[derive(Debug)]
struct RoutingConnector {
    direct: SharedHttpConnector,
    http: SharedHttpConnector,
    https: SharedHttpConnector,
    no_proxy: NoProxy,
}

impl HttpConnector for RoutingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (host, port, secure) = target(request.uri());
        if self.no_proxy.matches(host, port) {
            return self.direct.call(request);
        }
        match secure {
            true => self.https.call(request),
            false => self.http.call(request),
        }
    }
}

/// Host and port of a URL, and whether its scheme is `https`.
fn target(url: &str) -> (&str, u16, bool) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let secure = scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = super::proxy::split_port(authority);
    let port = port.and_then(|port| port.parse().ok());
    (host, port.unwrap_or(if secure { 443 } else { 80 }), secure)
}

/// Timeouts of requests to S3, up to the start of the response body.
pub(super) fn s3_timeouts() -> TimeoutConfig {
    timeouts(S3_READ_TIMEOUT)
}

/// Timeouts of requests to SQS.
pub(super) fn sqs_timeouts() -> TimeoutConfig {
    timeouts(SQS_READ_TIMEOUT)
}

fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(read)
        .operation_attempt_timeout(read + ATTEMPT_MARGIN)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn target_has_host_port_and_scheme() {
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
    fn invalid_ca_bundle_is_an_error_with_path_and_cause() {
        let directory = env::temp_dir().join(format!("cloudtrail-{}-bundles", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let missing = directory
            .join("missing")
            .to_str()
            .expect("UTF-8")
            .to_owned();
        let mut cases = vec![(missing, "cannot be read: No such file")];
        let framed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, text, reason) in [
            ("empty", "", "has no certificate"),
            ("text", "not PEM", "has no certificate"),
            ("broken", framed, "has an invalid certificate"),
            ("cut", &framed[..40], "has an invalid certificate"),
        ] {
            let path = directory.join(name);
            fs::write(&path, text).expect("a file");
            cases.push((path.to_str().expect("UTF-8").to_owned(), reason));
        }
        for (path, reason) in cases {
            let message = read_ca_bundle(&path).expect_err(&path).to_string();
            for part in [CA_BUNDLE, path.as_str(), reason] {
                assert!(message.contains(part), "{message}");
            }
        }
        fs::remove_dir_all(&directory).expect("the directory is removed");
    }
}
