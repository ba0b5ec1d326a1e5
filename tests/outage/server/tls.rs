//! HTTPS in front of a server, with a certificate of the tests' own authority.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Head;

/// The file of the authority's certificate, which clients have to trust.
pub fn authority() -> PathBuf {
    folder().join("ca.pem")
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls"))
}

/// Starts to relay requests, one at a time and connection, to the server at `plain`. Where to connect.
pub fn start(plain: SocketAddr) -> SocketAddr {
    let certificates = CertificateDer::pem_file_iter(folder().join("server.pem"));
    let certificates: Result<Vec<_>, _> = certificates.expect("certificates").collect();
    let key = PrivateKeyDer::from_pem_file(folder().join("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(certificates.expect("certificates"), key);
    let config = Arc::new(config.expect("a valid certificate"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("a connection");
                // The error of a client that disconnected needs no handling.
                let _ = relay(StreamOwned::new(connection, stream), plain);
            });
        }
    });
    address
}

fn relay(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    plain: SocketAddr,
) -> io::Result<()> {
    let mut server = TcpStream::connect(plain)?;
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|length| length.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        client.read_exact(&mut body)?;
        server.write_all(&[&head[..], &body].concat())?;
        let reply = Head::read_reply(&mut server, text.starts_with("head "))?;
        client.write_all(&[reply.head(), reply.body].concat())?;
        client.flush()?;
        head.clear();
    }
}
