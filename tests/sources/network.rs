//! Proxies, certificates and the limit of open files, as the environment sets them.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;

use crate::aws::child;
use crate::aws::message::Message;
use crate::aws::server::{closed_address, ministack};
use crate::aws::service::Service;
use crate::aws::settings::Settings;
use crate::support::scratch::{gzip, plain_log};

const BUCKET: &str = "over-the-network";
const COUNT: usize = 60;

/// A source of [`COUNT`] objects of one record each.
static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let service = Service::at(ministack().address);
    service.create_bucket(BUCKET);
    for number in 0..COUNT {
        let log = gzip(&plain_log(&format!("{number}-"), 1));
        service.put(BUCKET, &format!("AWSLogs/{number}.json.gz"), log);
    }
    format!("s3://{BUCKET}/AWSLogs/")
});

fn read(variables: &[(&str, &str)]) -> Output {
    let mut command = child::command(&Settings::at(ministack().address), &SOURCE);
    command
        .env_remove("NO_PROXY")
        .envs(variables.iter().copied());
    child::run(command)
}

fn assert_read(output: &Output, what: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{what}: {message}");
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, COUNT, "{what}: {message}");
}

/// The error output of a run that must fail.
fn failure(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    message
}

pub fn no_proxy_exempts_hosts_ports_networks_and_everything() {
    let proxy = format!("http://{}", closed_address());
    let address = ministack().address;
    let with_port = address.to_string();
    for exempted in [
        "*",
        "127.0.0.1",
        &with_port,
        "127.0.0.0/8",
        "other.example, 127.0.0.1",
    ] {
        let output = read(&[("HTTP_PROXY", &proxy), ("NO_PROXY", exempted)]);
        assert_read(&output, exempted);
    }
    for other in ["", "127.0.0.1:1", "localhost", "10.0.0.0/8"] {
        let message = failure(&read(&[("http_proxy", &proxy), ("no_proxy", other)]));
        assert!(
            message.contains("check the network, the proxy"),
            "{message}"
        );
    }
}

pub fn invalid_proxy_url_is_an_error_that_names_the_variable_without_secrets() {
    for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
        let message = failure(&read(&[(name, "http://user:hush@proxy.example:port")]));
        for part in [name, "proxy.example:port", "port is not a number"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("hush"), "{message}");
    }
}

pub fn proxy_that_requires_authentication_is_named_instead_of_the_queue() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("http://{}", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            while let Ok(Some(mut request)) = Message::read_request_head(&mut client) {
                let reply = Message::new("HTTP/1.1 407 Proxy Authentication Required".to_owned())
                    .with("content-type", "text/html")
                    .with_body("<html><body>log in first</body></html>");
                if request.read_request_body(&mut client).is_err()
                    || reply.write(&mut client).is_err()
                {
                    break;
                }
            }
        }
    });
    let plain = Settings::at(ministack().address);
    let secure = plain
        .clone()
        .with_aws("endpoint", "https://sqs.us-east-1.example");
    for (settings, variable) in [(plain, "HTTP_PROXY"), (secure, "HTTPS_PROXY")] {
        for queue in [
            "sqs://logs",
            "sqs://sqs.us-east-1.example/123456789012/logs",
        ] {
            let mut command = child::command(&settings, queue);
            command.env_remove("NO_PROXY").env(variable, &proxy);
            let message = failure(&child::run(command));
            assert!(
                message.contains("proxy requires authentication"),
                "{message}"
            );
            assert!(!message.contains("check the queue"), "{message}");
        }
    }
}

/// An HTTPS server without buckets whose certificate is signed by the tests' own authority. Stops on drop.
struct SecureServer {
    process: Child,
    address: SocketAddr,
}

const SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'<Error><Code>NoSuchBucket</Code><Message>none here</Message></Error>'
        self.send_response(404)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + '/server.pem', sys.argv[1] + '/server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

fn certificates() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls"))
}

impl SecureServer {
    fn start() -> SecureServer {
        let mut process = Command::new("python3")
            .args(["-c", SERVER])
            .arg(certificates())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut port = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        output.read_line(&mut port).expect("its port");
        let port = port.trim().parse().expect("a number");
        SecureServer {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn certificate_bundle_is_trusted() {
    let server = SecureServer::start();
    let endpoint = format!("https://{}", server.address);
    let settings = Settings::at(server.address).with_aws("endpoint", endpoint);
    let open = |bundle: Option<&Path>| {
        let mut command = child::command(&settings, "s3://any/AWSLogs/");
        if let Some(bundle) = bundle {
            command.env("AWS_CA_BUNDLE", bundle);
        }
        failure(&child::run(command))
    };
    let trusted = open(Some(&certificates().join("ca.pem")));
    assert!(trusted.contains("NoSuchBucket"), "{trusted}");
    let untrusted = open(None);
    assert!(!untrusted.contains("NoSuchBucket"), "{untrusted}");
    assert!(untrusted.contains("certificate"), "{untrusted}");
    for (path, reason) in [
        (Path::new("/no/such/bundle.pem"), "cannot be read"),
        (Path::new(env!("CARGO_MANIFEST_PATH")), "has no certificate"),
    ] {
        let message = open(Some(path));
        let path = path.to_str().expect("UTF-8");
        for part in ["AWS_CA_BUNDLE", path, reason] {
            assert!(message.contains(part), "{message}");
        }
    }
}

pub fn low_open_file_limit_lowers_the_concurrency_and_is_named() {
    let with_limit = |limit: u32| {
        let settings = Settings::at(ministack().address).with("s3DownloadConcurrency", 64);
        let inner = child::command(&settings, &SOURCE);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {limit}; exec \"$@\""))
            .arg("sh")
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear();
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        child::run(command)
    };
    let low = with_limit(100);
    assert_read(&low, "100 open files");
    let message = String::from_utf8_lossy(&low.stderr).into_owned();
    for part in [
        "limit of open files is 100",
        "s3DownloadConcurrency 64",
        "ulimit -n",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let message = failure(&with_limit(40));
    assert!(message.contains("limit of open files is 40"), "{message}");
    let enough = with_limit(1024);
    assert_read(&enough, "1024 open files");
    assert_eq!(String::from_utf8_lossy(&enough.stderr), "");
}
