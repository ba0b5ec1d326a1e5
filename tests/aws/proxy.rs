//! A proxy in front of a server: passes requests on, records them, and injects faults by rules.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::fault::{Fault, Rule, refusal, refusal_of_entries};
use super::feed::STEP_TIMEOUT;
use super::message::Message;
use super::service::url_decoded;

/// Time without a new request after which [`Proxy::settled`] returns.
const QUIET: Duration = Duration::from_secs(1);

/// A proxy on a port of its own. Its threads end with the process.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<ProxyShared>,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    /// The API's name, e.g. `ReceiveMessage`.
    pub operation: String,
    /// The decoded path: `/bucket/key`.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// The `host` header.
    pub host: String,
    /// The request's body.
    pub body: String,
}

struct ProxyShared {
    upstream: SocketAddr,
    state: Mutex<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    rules: Vec<Rule>,
    /// `max-keys` of every listing.
    page: Option<usize>,
    seen: Vec<Seen>,
    in_flight: HashMap<String, (usize, usize)>,
    answered: HashMap<String, usize>,
}

impl Proxy {
    /// Starts a proxy in front of `upstream`, without faults.
    pub fn before(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(ProxyShared {
            upstream,
            state: Mutex::default(),
        });
        let for_clients = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&for_clients);
                // The error of a client that disconnected needs no handling.
                thread::spawn(move || shared.serve(client));
            }
        });
        Proxy { address, shared }
    }

    /// Adds a rule; of several that apply to a request, the first one that is not used up wins.
    pub fn rule(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Removes all rules.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// Limits every listing page to `count` keys.
    pub fn keys_per_page(&self, count: usize) {
        self.shared.state().page = Some(count);
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests of an operation there were so far.
    pub fn count(&self, operation: &str) -> usize {
        let state = self.shared.state();
        let seen = state.seen.iter();
        seen.filter(|seen| seen.operation == operation).count()
    }

    /// Waits until no new request of an operation arrives for a second, and returns their number, at least one.
    pub fn settled(&self, operation: &str) -> usize {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let count = self.count(operation);
            if count != last {
                (last, since) = (count, Instant::now());
            }
            let limit = if count == 0 { STEP_TIMEOUT } else { QUIET };
            if since.elapsed() >= limit {
                assert!(count > 0, "no {operation} request");
                return count;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many requests of an operation were answered completely and without a fault.
    pub fn answered(&self, operation: &str) -> usize {
        let state = self.shared.state();
        state.answered.get(operation).copied().unwrap_or_default()
    }

    /// The most concurrent requests of an operation.
    pub fn most_at_once(&self, operation: &str) -> usize {
        let state = self.shared.state();
        state.in_flight.get(operation).map_or(0, |(_, most)| *most)
    }
}

impl ProxyShared {
    fn state(&self) -> MutexGuard<'_, ProxyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut upstream = None;
        while let Some(request) = Message::read_request_head(&mut client)? {
            let operation = operation(&request);
            let fault = self.arrived(&request, &operation);
            let reusable = self.answer(&mut client, &mut upstream, request, &operation, fault);
            if let Some((now, _)) = self.state().in_flight.get_mut(&operation) {
                *now -= 1;
            }
            if !reusable? {
                break;
            }
        }
        Ok(())
    }

    fn arrived(&self, request: &Message, operation: &str) -> Option<Fault> {
        let (path, query) = path_and_query(request);
        let mut state = self.state();
        let (now, most) = state.in_flight.entry(operation.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        let fault = state
            .rules
            .iter_mut()
            .find_map(|rule| rule.take(operation, &format!("{path}?{}", url_decoded(query))));
        state.seen.push(Seen {
            at: Instant::now(),
            operation: operation.to_owned(),
            path,
            query: query.to_owned(),
            host: request.header("host").unwrap_or_default().to_owned(),
            body: String::new(),
        });
        fault
    }

    /// Answers a request; returns whether the connection can be reused.
    fn answer(
        &self,
        client: &mut TcpStream,
        upstream: &mut Option<TcpStream>,
        mut request: Message,
        operation: &str,
        fault: Option<Fault>,
    ) -> io::Result<bool> {
        if matches!(fault, Some(Fault::Reset)) {
            return Ok(false);
        }
        request.read_request_body(client)?;
        self.note_body(&request, operation);
        match fault {
            Some(Fault::Delay(pause)) => thread::sleep(pause),
            Some(Fault::Silence(pause)) => {
                thread::sleep(pause);
                return Ok(false);
            }
            Some(Fault::Refuse(status, code)) => {
                refusal(&request, status, code).write(client)?;
                return Ok(true);
            }
            Some(Fault::RefuseEntries(code)) => {
                refusal_of_entries(&request, code).write(client)?;
                return Ok(true);
            }
            Some(Fault::OtherRegion(region)) => {
                refusal(&request, 301, "PermanentRedirect")
                    .with("x-amz-bucket-region", region)
                    .write(client)?;
                return Ok(true);
            }
            _ => {}
        }
        if operation.starts_with("ListObjects") {
            self.shorten_page(&mut request);
        }
        let mut reply = self.forward(upstream, &request)?;
        let closing = reply.header("connection") == Some("close");
        match fault {
            Some(Fault::CutAfter(bytes)) => {
                let sent = &reply.body[..bytes.min(reply.body.len())];
                client.write_all(&[&reply.head(), sent].concat())?;
                return Ok(false);
            }
            Some(Fault::StallAfter(bytes, pause)) => {
                let sent = &reply.body[..bytes.min(reply.body.len())];
                client.write_all(&[&reply.head(), sent].concat())?;
                thread::sleep(pause);
                return Ok(false);
            }
            Some(Fault::Drip(pause)) => {
                client.write_all(&reply.head())?;
                for byte in &reply.body {
                    thread::sleep(pause);
                    client.write_all(&[*byte])?;
                }
                return Ok(!closing);
            }
            Some(Fault::Length(more)) => {
                let stated = reply.body.len().saturating_add_signed(more);
                reply.set("content-length", &stated.to_string());
                reply.write(client)?;
                return Ok(false);
            }
            Some(Fault::Rewrite(rewrite)) => {
                reply.body = rewrite(&reply.text()).into_bytes();
                reply.set("content-length", &reply.body.len().to_string());
            }
            Some(Fault::Flip(place)) => {
                if let Some(byte) = reply.body.get_mut(place) {
                    *byte = !*byte;
                }
            }
            _ => {}
        }
        reply.write(client)?;
        *self
            .state()
            .answered
            .entry(operation.to_owned())
            .or_default() += 1;
        Ok(!closing)
    }

    fn note_body(&self, request: &Message, operation: &str) {
        let mut state = self.state();
        let (path, _) = path_and_query(request);
        let last = state
            .seen
            .iter_mut()
            .rfind(|seen| seen.operation == operation && seen.path == path && seen.body.is_empty());
        if let Some(seen) = last {
            seen.body = request.text();
        }
    }

    fn shorten_page(&self, request: &mut Message) {
        if let Some(page) = self.state().page {
            let (path, query) = request
                .target()
                .split_once('?')
                .unwrap_or((request.target(), ""));
            let others = query
                .split('&')
                .filter(|part| !part.starts_with("max-keys="));
            let others: Vec<_> = others.collect();
            request.start = format!("GET {path}?{}&max-keys={page} HTTP/1.1", others.join("&"));
        }
    }

    /// Passes a request on; reconnects if the server has closed the connection.
    fn forward(&self, upstream: &mut Option<TcpStream>, request: &Message) -> io::Result<Message> {
        let to_head = request.method() == "HEAD";
        if let Some(mut kept) = upstream.take()
            && request.write(&mut kept).is_ok()
            && let Ok(reply) = Message::read_reply(&mut kept, to_head)
        {
            *upstream = Some(kept);
            return Ok(reply);
        }
        let mut stream = TcpStream::connect(self.upstream)?;
        stream.set_nodelay(true)?;
        request.write(&mut stream)?;
        let reply = Message::read_reply(&mut stream, to_head)?;
        match reply.header("connection") {
            Some("close") => stream.shutdown(Shutdown::Both)?,
            _ => *upstream = Some(stream),
        }
        Ok(reply)
    }
}

/// The API's name of a request's operation.
fn operation(request: &Message) -> String {
    if let Some(target) = request.header("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let (path, query) = path_and_query(request);
    let has_key = path.trim_matches('/').contains('/');
    let name = match (request.method(), has_key) {
        ("GET", true) => "GetObject",
        ("HEAD", true) => "HeadObject",
        ("GET", false) if query.contains("list-type=2") => "ListObjectsV2",
        ("GET", false) if path.trim_matches('/').is_empty() => "ListBuckets",
        ("GET", false) if query.contains("location") => "GetBucketLocation",
        ("HEAD", false) => "HeadBucket",
        (method, _) => method,
    };
    name.to_owned()
}

fn path_and_query(request: &Message) -> (String, &str) {
    let target = request.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (url_decoded(path), query)
}

/// Longer than any client's timeout.
pub const FOREVER: Duration = Duration::from_secs(600);
