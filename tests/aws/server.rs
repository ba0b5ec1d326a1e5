//! The test servers, each in a process of its own.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use super::environment::python;
use super::message::Message;

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Stops with this process, because its standard input closes then.
    _process: Child,
}

#[derive(Clone, Copy, PartialEq)]
enum ServerKind {
    Ministack,
    Moto,
}

/// Ministack with S3, SQS and SNS; one for all tests of a binary.
pub fn ministack() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(ServerKind::Ministack));
    &SERVER
}

/// Moto, an independent implementation; one for all tests of a binary.
pub fn moto() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(ServerKind::Moto));
    &SERVER
}

/// An address on which nothing listens.
pub fn closed_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

impl Server {
    fn start(kind: ServerKind) -> Server {
        // Another process may take the port before the server binds it.
        for _ in 0..3 {
            if let Some(server) = Server::start_at(kind, closed_address()) {
                return server;
            }
        }
        panic!("the test server does not start on any of three ports");
    }

    #[expect(
        clippy::zombie_processes,
        reason = "the server ends with its standard input, and so with this process"
    )]
    fn start_at(kind: ServerKind, address: SocketAddr) -> Option<Server> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let port = address.port().to_string();
        let log = scratch.join(format!("aws-server-{port}.log"));
        let output = File::create(&log).expect("a log file");
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/launch.py");
        let mut command = Command::new(python());
        command.arg(launcher);
        let ready = match kind {
            ServerKind::Ministack => {
                command
                    .arg("ministack")
                    .env("BIND_HOST", "127.0.0.1")
                    .env("GATEWAY_PORT", &port)
                    .env("SERVICES", "s3,sqs,sns")
                    .env("IOT_MTLS_ENABLED", "0")
                    .env("SFTP_ENABLED", "0")
                    .env("LOG_LEVEL", "WARNING");
                "/_ministack/health"
            }
            ServerKind::Moto => {
                command.args(["moto_server", "-H", "127.0.0.1", "-p", &port]);
                "/moto-api/"
            }
        };
        let mut process = command
            .env("TMPDIR", scratch)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the log file"))
            .stderr(output)
            .spawn()
            .expect("the environment's Python runs");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if answers(address, ready) {
                let _ = fs::remove_file(&log);
                return Some(Server {
                    address,
                    _process: process,
                });
            }
            if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{}", fs::read_to_string(&log).unwrap_or_default());
        None
    }
}

fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let request = Message::new(format!("GET {path} HTTP/1.1"))
        .with("host", &address.to_string())
        .with("connection", "close");
    request.write(&mut stream).is_ok()
        && Message::read_reply(&mut stream, false).is_ok_and(|reply| reply.status() == 200)
}
