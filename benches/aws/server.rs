//! An S3 and SQS server in this process, fast enough that the client is the bottleneck: bodies generated in advance,
//! a thread per connection, `TCP_NODELAY`, with or without TLS.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::bucket::Bucket;
use super::queue::Queue;
use super::usage;

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A running server. It runs until the process ends.
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    address: String,
    tls: Option<Arc<ServerConfig>>,
    buckets: BTreeMap<&'static str, Arc<Bucket>>,
    queue: Queue,
    /// Delay of each response, in microseconds.
    latency: AtomicU64,
    /// Whether requests for objects hang.
    silent_objects: AtomicBool,
    /// Whether deletions of messages hang.
    silent_deletions: AtomicBool,
    connections: AtomicU64,
    objects: AtomicU64,
    /// CPU time of the server, in nanoseconds.
    cpu: AtomicU64,
}

impl Server {
    /// Starts a server with these buckets and a queue of any name on a free port of 127.0.0.1. With `tls` it speaks
    /// HTTPS.
    pub fn start(
        buckets: impl IntoIterator<Item = (&'static str, Arc<Bucket>)>,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?.to_string(),
            tls,
            buckets: buckets.into_iter().collect(),
            queue: Queue::default(),
            latency: AtomicU64::new(0),
            silent_objects: AtomicBool::new(false),
            silent_deletions: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
        });
        let server = Server {
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Relaxed);
                let shared = Arc::clone(&shared);
                // An error means that the client has closed the connection.
                thread::spawn(move || drop(shared.accept(stream)));
            }
        });
        Ok(server)
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// The bucket `name`.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn bucket(&self, name: &str) -> Arc<Bucket> {
        Arc::clone(&self.shared.buckets[name])
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Delays each response by `latency` from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared
            .latency
            .store(latency.as_micros() as u64, Relaxed);
    }

    /// Lets requests for objects or deletions of messages hang. Setting a flag to `false` closes the connections that
    /// hang.
    pub fn set_silent(&self, objects: bool, deletions: bool) {
        self.shared.silent_objects.store(objects, Relaxed);
        self.shared.silent_deletions.store(deletions, Relaxed);
    }

    /// Total number of connections.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Relaxed)
    }

    /// Total number of requests for objects.
    pub fn objects(&self) -> u64 {
        self.shared.objects.load(Relaxed)
    }

    /// CPU time of the server.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.shared.cpu.load(Relaxed))
    }
}

/// A request.
struct Request {
    /// Path without the query.
    path: String,
    query: BTreeMap<String, String>,
    /// SQS action; `None` for a request to S3.
    action: Option<String>,
    body: Vec<u8>,
}

/// A response.
enum Response<'a> {
    Object(&'a [u8]),
    /// Content type and body.
    Text(&'static str, String),
    /// Status and body.
    Error(&'static str, &'static str),
}

impl Shared {
    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    fn accept(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.serve(stream),
            Some(tls) => {
                let connection = ServerConnection::new(Arc::clone(tls));
                let connection = connection.map_err(io::Error::other)?;
                self.serve(StreamOwned::new(connection, stream))
            }
        }
    }

    fn serve(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut counted = Duration::ZERO;
        let mut out = Vec::new();
        while let Some(request) = read(&mut reader)? {
            let latency = self.latency.load(Relaxed);
            if latency > 0 {
                thread::sleep(Duration::from_micros(latency));
            }
            if !self.respond(&request, &mut out) {
                return Ok(());
            }
            reader.get_mut().write_all(&out)?;
            let total = usage::thread_cpu();
            self.cpu
                .fetch_add((total - counted).as_nanos() as u64, Relaxed);
            counted = total;
        }
        Ok(())
    }

    /// Writes the response into `out`. Returns `false` if the connection is to be closed instead.
    fn respond(&self, request: &Request, out: &mut Vec<u8>) -> bool {
        let response = match &request.action {
            Some(action) => {
                if action == "DeleteMessageBatch" && self.wait_while(&self.silent_deletions) {
                    return false;
                }
                let parsed = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
                match self.queue.respond(action, &parsed, &self.url()) {
                    Some(body) => Response::Text("application/x-amz-json-1.0", body.to_string()),
                    None => Response::Error(
                        "400 Bad Request",
                        "{\"__type\":\"UnknownOperationException\"}",
                    ),
                }
            }
            None => {
                let (bucket_name, key) =
                    request.path.split_once('/').unwrap_or((&request.path, ""));
                match (self.buckets.get(bucket_name), key) {
                    (None, _) => {
                        Response::Error("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>")
                    }
                    (Some(bucket), "") => {
                        Response::Text("application/xml", bucket.list(bucket_name, &request.query))
                    }
                    (Some(bucket), key) => {
                        self.objects.fetch_add(1, Relaxed);
                        if self.wait_while(&self.silent_objects) {
                            return false;
                        }
                        match bucket.object(key) {
                            Some(body) => Response::Object(body),
                            None => Response::Error(
                                "404 Not Found",
                                "<Error><Code>NoSuchKey</Code></Error>",
                            ),
                        }
                    }
                }
            }
        };
        response.write(out);
        true
    }

    /// Waits while `silent` is set. Returns whether it was set at all.
    fn wait_while(&self, silent: &AtomicBool) -> bool {
        let was_silent = silent.load(Relaxed);
        while silent.load(Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        was_silent
    }
}

impl Response<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (status, content_type, body) = match self {
            Response::Object(body) => ("200 OK", "application/x-gzip", *body),
            Response::Text(content_type, text) => ("200 OK", *content_type, text.as_bytes()),
            Response::Error(status, body) => (*status, "application/xml", body.as_bytes()),
        };
        out.clear();
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nx-amz-id-2: eftixk72aD6Ap51TnqcoF8eFidJG9Z2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran\r\nx-amz-request-id: 0123456789ABCDEF\r\nDate: Wed, 14 Jan 2026 12:00:00 GMT\r\nLast-Modified: Wed, 14 Jan 2026 10:00:00 GMT\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nx-amz-server-side-encryption: AES256\r\nAccept-Ranges: bytes\r\nserver: bench\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(body);
    }
}

/// Reads the next request of a connection; `None` at its end.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        path: decoded(path.trim_start_matches('/')),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect(),
        action: None,
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(0).min(MAX_BODY);
        } else if name.eq_ignore_ascii_case("x-amz-target") {
            request.action = value.strip_prefix("AmazonSQS.").map(str::to_owned);
        }
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Decodes the percent encoding of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.extend(code);
        bytes.extend(part.get(2..).unwrap_or_default().bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
