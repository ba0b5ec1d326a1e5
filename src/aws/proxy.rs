//! HTTP proxies from the environment, and the hosts that `NO_PROXY` excludes.
//!
//! The HTTP client could read these variables itself, but it ignores invalid URLs, `*` for IP addresses, and entries with
//! a port.
#![forbid(unsafe_code)]

use std::env;
use std::net::IpAddr;

use aws_smithy_http_client::proxy::{ProxyConfig, ProxyError};

use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::{quoted, redacted};

/// Proxy settings.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    /// For `http://`.
    pub(super) http: Option<ProxyConfig>,
    /// For `https://`.
    pub(super) https: Option<ProxyConfig>,
    pub(super) no_proxy: NoProxy,
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with the variable if its URL is invalid; credentials in it are redacted.
    pub(super) fn from_env() -> Result<Proxies> {
        Proxies::from(|name| env::var(name).ok())
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies> {
        // In a CGI program, HTTP_PROXY is a header that the remote side chooses.
        if variable("REQUEST_METHOD").is_some() {
            return Ok(Proxies::default());
        }
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let http = first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]);
        let https = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let no_proxy = first(&["NO_PROXY", "no_proxy"]).map_or_else(String::new, |(_, list)| list);
        Ok(Proxies {
            http: config(http, ProxyConfig::http)?,
            https: config(https, ProxyConfig::https)?,
            no_proxy: NoProxy::parse(&no_proxy),
        })
    }
}

/// Validates the URL of a variable and builds its proxy with `build`.
fn config(
    variable: Option<(&str, String)>,
    build: fn(String) -> std::result::Result<ProxyConfig, ProxyError>,
) -> Result<Option<ProxyConfig>> {
    let Some((name, url)) = variable else {
        return Ok(None);
    };
    let config = build(normalized_url(name, &url)?);
    config
        .map(Some)
        .map_err(|_| url_error(name, &url, "it cannot be parsed"))
}

/// Validates the URL of a proxy and adds a missing scheme.
fn normalized_url(name: &str, url: &str) -> Result<String> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("http".to_owned(), url),
    };
    if scheme != "http" && scheme != "https" {
        let problem = format!("the scheme {} is not supported", quoted(&scheme));
        return Err(url_error(name, url, &problem));
    }
    let (user_info, address) = match rest.rsplit_once('@') {
        Some((user_info, address)) => (Some(user_info), address),
        None => (None, rest),
    };
    if user_info.is_some_and(|user_info| user_info.contains(['/', '?', '#', '@', '[', ']', ' '])) {
        let problem = "special characters in user and password must be percent-encoded";
        return Err(url_error(name, url, problem));
    }
    let address = address.split('/').next().unwrap_or_default();
    let (host, port) = split_port(address);
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '?' || c == '#') {
        return Err(url_error(name, url, "it has no host"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(url_error(name, url, "the port is not a number up to 65535"));
    }
    Ok(format!("{scheme}://{rest}"))
}

fn url_error(name: &str, url: &str, problem: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "{name}: {} is not a proxy URL: {problem}; allowed is http://[user:password@]host[:port]",
            quoted(&redacted(url))
        ),
    )
}

/// Splits `host[:port]` or `[address][:port]`. A bare IPv6 address has no port.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(inner) = authority.strip_prefix('[')
        && let Some((address, rest)) = inner.split_once(']')
    {
        return (address, rest.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Parsed `NO_PROXY`: the hosts that are reached without a proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<NoProxyEntry>);

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug)]
struct NoProxyEntry {
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum HostPattern {
    Any,
    /// A network: address and prefix length.
    Network(IpAddr, u32),
    /// A domain and its subdomains: lower case, without a leading dot.
    Domain(String),
}

impl NoProxy {
    /// Parses entries separated by commas or white space. An entry is `*`, a domain or an address, each with an optional
    /// port, or a network such as `10.0.0.0/8`.
    fn parse(list: &str) -> NoProxy {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        NoProxy(entries.filter_map(NoProxyEntry::parse).collect())
    }

    /// Whether `host` at `port` is reached without a proxy.
    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        // Metadata services of instances and containers: a proxy would reach those of its own machine.
        if address.is_some_and(is_link_local) {
            return true;
        }
        let matching = |entry: &NoProxyEntry| match (&entry.host, address) {
            (HostPattern::Any, _) => true,
            (HostPattern::Network(network, bits), Some(address)) => is_in(address, *network, *bits),
            (HostPattern::Domain(domain), None) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('.')),
            _ => false,
        };
        let mut entries = self.0.iter();
        entries.any(|entry| entry.port.is_none_or(|own| own == port) && matching(entry))
    }
}

impl NoProxyEntry {
    fn parse(text: &str) -> Option<NoProxyEntry> {
        if let Some((network, bits)) = text.split_once('/')
            && let (Ok(network), Ok(bits)) = (network.parse(), bits.parse())
        {
            let host = HostPattern::Network(network, bits);
            return Some(NoProxyEntry { host, port: None });
        }
        let (host, port) = split_port(text);
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let host = match host.parse::<IpAddr>() {
            Ok(address) => HostPattern::Network(address, 128),
            Err(_) => match host.trim_start_matches("*.").trim_start_matches('.') {
                "" => return None,
                "*" => HostPattern::Any,
                domain => HostPattern::Domain(domain.to_ascii_lowercase()),
            },
        };
        Some(NoProxyEntry { host, port })
    }
}

/// Whether `address` is in the network with a prefix length of `bits`.
fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, length) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let host_bits = length - bits.min(length);
    let difference: u128 = address ^ network;
    difference.checked_shr(host_bits).unwrap_or(0) == 0
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        // EC2's metadata service in IPv6 is at fd00:ec2::254, that of EKS at fd00:ec2::23.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::from(|name| {
            let set = variables.iter().find(|(other, _)| *other == name);
            set.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_proxy_matches_hosts_networks_ports_and_wildcards() {
        let no_proxy = NoProxy::parse(
            "localhost, .internal.example *.star.example,10.0.0.0/8,127.0.0.1:4566,example.org:8080,[::1]:80,fd00:1::/32,192.168.1.1,bad:port:x,",
        );
        for (host, port, expected) in [
            ("localhost", 80, true),
            ("LOCALHOST.", 443, true),
            ("notlocalhost", 80, false),
            ("internal.example", 443, true),
            ("a.internal.example", 443, true),
            ("a.star.example", 443, true),
            ("10.255.0.1", 443, true),
            ("11.0.0.1", 443, false),
            ("127.0.0.1", 4566, true),
            ("127.0.0.1", 4567, false),
            ("example.org", 8080, true),
            ("www.example.org", 8080, true),
            ("example.org", 443, false),
            ("[::1]", 80, true),
            ("::1", 81, false),
            ("fd00:1:2::3", 443, true),
            ("fd00:2::3", 443, false),
            ("192.168.1.1", 1, true),
            ("192.168.1.2", 1, false),
            ("169.254.169.254", 80, true),
            ("169.254.170.2", 80, true),
            ("fd00:ec2::254", 80, true),
            ("s3.eu-west-1.amazonaws.com", 443, false),
        ] {
            assert_eq!(no_proxy.matches(host, port), expected, "{host}:{port}");
        }
        let all = NoProxy::parse("*");
        for host in ["10.0.0.1", "::1", "[::1]", "s3.amazonaws.com"] {
            assert!(all.matches(host, 443), "{host}");
        }
        assert!(!NoProxy::parse("").matches("localhost", 80));
        assert!(NoProxy::parse("0.0.0.0/0").matches("8.8.8.8", 80));
        assert!(NoProxy::parse("*:443").matches("8.8.8.8", 443));
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let none = proxies(&[("HTTP_PROXY", " "), ("NO_PROXY", "*")]).expect("nothing wrong");
        assert!(none.http.is_none() && none.https.is_none());
        let one = proxies(&[("https_proxy", "proxy.example:3128")]).expect("a proxy");
        assert!(one.http.is_none() && one.https.is_some());
        let all = proxies(&[("ALL_PROXY", "http://u:p%40@[::1]:3128/")]).expect("a proxy");
        assert!(all.http.is_some() && all.https.is_some());
        let cgi = proxies(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil")]);
        assert!(cgi.expect("nothing wrong").http.is_none());
    }

    #[test]
    fn invalid_url_is_an_error_with_the_variable_and_without_credentials() {
        for (url, reason) in [
            ("http://user:hush@proxy:port", "port is not a number"),
            ("http://proxy:99999", "port is not a number"),
            ("http://", "no host"),
            ("http://user:hush@", "no host"),
            ("http://:3128", "no host"),
            ("http://pro xy:1", "no host"),
            (
                "socks5://user:hush@proxy:1080",
                "\"socks5\" is not supported",
            ),
            ("http://user:hu/sh@proxy:1", "percent-encoded"),
            ("http://user:hush%zz<>@proxy:1", "cannot be parsed"),
        ] {
            for name in ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"] {
                let error = proxies(&[(name, url)]).expect_err(url);
                assert_eq!(error.kind(), ErrorKind::Config);
                let message = error.to_string();
                assert!(message.starts_with(&format!("{name}: ")), "{message}");
                assert!(message.contains(reason), "{message}");
                assert!(!message.contains("hu"), "{message}");
            }
        }
        // An overridden variable is not validated.
        let both = [
            ("HTTP_PROXY", "http://p"),
            ("HTTPS_PROXY", "http://p"),
            ("ALL_PROXY", "socks5://p"),
        ];
        assert!(proxies(&both).is_ok());
    }
}
