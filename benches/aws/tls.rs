//! A certificate authority of this benchmark and a server's certificate by it.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// TLS settings of a server at 127.0.0.1, and the file with the certificate that clients have to trust.
pub fn server() -> (Arc<ServerConfig>, PathBuf) {
    let key = || KeyPair::generate().expect("a key");
    let params = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        CertificateParams::new(names).expect("names for a certificate")
    };
    let mut authority = params(&[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key();
    let root = authority
        .self_signed(&authority_key)
        .expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let server_key = key();
    let certificate = params(&["127.0.0.1"]).signed_by(&server_key, &issuer);
    let certificate = certificate.expect("a certificate");
    let bundle = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-ca.pem");
    fs::write(&bundle, root.pem()).expect("a file for the certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).expect("a private key"),
        );
    (Arc::new(config.expect("a valid certificate")), bundle)
}
