//! A server of S3 and SQS in this process, so quick that the client is what is measured: bodies made
//! beforehand, one thread for each connection, no packet waits for another.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::bucket::Bucket;
use super::queue::Queue;
use super::usage;

/// The largest request body that is read.
const LARGEST: usize = 1 << 20;

/// A running server. It runs for as long as this process.
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    address: String,
    buckets: BTreeMap<&'static str, Arc<Bucket>>,
    queue: Queue,
    /// Microseconds before each answer.
    latency: AtomicU64,
    /// No object is answered.
    silent_objects: AtomicBool,
    /// No deletion is answered.
    silent_deletions: AtomicBool,
    connections: AtomicU64,
    objects: AtomicU64,
    /// Nanoseconds of processor time that the server has taken.
    cpu: AtomicU64,
}

impl Server {
    /// A server of these buckets, and of a queue of any name, on a free port of 127.0.0.1.
    pub fn start(buckets: impl IntoIterator<Item = (&'static str, Bucket)>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?.to_string(),
            buckets: buckets
                .into_iter()
                .map(|(name, bucket)| (name, Arc::new(bucket)))
                .collect(),
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
                // A client that goes away ends its connection; there is nobody to tell.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Ok(server)
    }

    /// Where it listens: address and port.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// One of its buckets, which has to be there.
    pub fn bucket(&self, name: &str) -> Arc<Bucket> {
        Arc::clone(&self.shared.buckets[name])
    }

    /// Its queue.
    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// From now on, each answer takes so much longer.
    pub fn set_latency(&self, latency: Duration) {
        self.shared
            .latency
            .store(latency.as_micros() as u64, Relaxed);
    }

    /// From now on, requests for objects, or for deletions from the queue, are answered or not. Turning it off
    /// ends the connections that wait.
    pub fn set_silent(&self, objects: bool, deletions: bool) {
        self.shared.silent_objects.store(objects, Relaxed);
        self.shared.silent_deletions.store(deletions, Relaxed);
    }

    /// Connections that were ever made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Relaxed)
    }

    /// Objects that were ever asked for.
    pub fn objects(&self) -> u64 {
        self.shared.objects.load(Relaxed)
    }

    /// Processor time that it has taken.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.shared.cpu.load(Relaxed))
    }
}

/// What was asked.
struct Request {
    /// Without its query.
    path: String,
    query: BTreeMap<String, String>,
    /// The SQS call, if it is one.
    call: Option<String>,
    body: Vec<u8>,
}

/// What is answered.
enum Answer<'a> {
    Object(&'a [u8]),
    Text(&'static str, String),
    Refusal(&'static str, &'static str),
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        let mut counted = Duration::ZERO;
        let mut out = Vec::new();
        while let Some(request) = read(&mut reader)? {
            let latency = self.latency.load(Relaxed);
            if latency > 0 {
                thread::sleep(Duration::from_micros(latency));
            }
            if !self.answer(&request, &mut out) {
                return Ok(());
            }
            writer.write_all(&out)?;
            let taken = usage::thread_cpu();
            self.cpu
                .fetch_add((taken - counted).as_nanos() as u64, Relaxed);
            counted = taken;
        }
        Ok(())
    }

    /// Whether there is an answer.
    fn answer(&self, request: &Request, out: &mut Vec<u8>) -> bool {
        let answer = match &request.call {
            Some(call) => {
                if call == "DeleteMessageBatch" && self.waits_out(&self.silent_deletions) {
                    return false;
                }
                let asked = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
                match self.queue.answer(call, &asked, &self.address) {
                    Some(answer) => Answer::Text("application/x-amz-json-1.0", answer.to_string()),
                    None => Answer::Refusal(
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
                        Answer::Refusal("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>")
                    }
                    (Some(bucket), "") => {
                        Answer::Text("application/xml", bucket.list(bucket_name, &request.query))
                    }
                    (Some(bucket), key) => {
                        self.objects.fetch_add(1, Relaxed);
                        if self.waits_out(&self.silent_objects) {
                            return false;
                        }
                        match bucket.object(key) {
                            Some(body) => Answer::Object(body),
                            None => Answer::Refusal(
                                "404 Not Found",
                                "<Error><Code>NoSuchKey</Code></Error>",
                            ),
                        }
                    }
                }
            }
        };
        answer.write(out);
        true
    }

    /// Says nothing for as long as `silent`; whether it was.
    fn waits_out(&self, silent: &AtomicBool) -> bool {
        let was = silent.load(Relaxed);
        while silent.load(Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        was
    }
}

impl Answer<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (status, kind, body) = match self {
            Answer::Object(body) => ("200 OK", "application/x-gzip", *body),
            Answer::Text(kind, text) => ("200 OK", *kind, text.as_bytes()),
            Answer::Refusal(status, body) => (*status, "application/xml", body.as_bytes()),
        };
        out.clear();
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nx-amz-request-id: 0123456789ABCDEF\r\nserver: bench\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(body);
    }
}

/// The next request of a connection; `None` at its end.
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
        call: None,
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
            length = value.parse().unwrap_or(0).min(LARGEST);
        } else if name.eq_ignore_ascii_case("x-amz-target") {
            request.call = value.strip_prefix("AmazonSQS.").map(str::to_owned);
        }
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Undoes the encoding of a URL.
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
