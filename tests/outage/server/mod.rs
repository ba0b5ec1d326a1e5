//! A server with the semantics of S3 and SQS that injects faults by rules and records requests.
//!
//! One instance per test, on a port of its own; one thread per connection; stops on drop.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the server is complete, whatever the tests use")]

mod connection;
pub mod fault;
pub mod http;
mod link;
mod md5;
pub mod queue;
pub mod random;
pub mod s3;
mod signature;
pub mod sqs;
pub mod tls;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fault::{ServerFault, ServerRule, Subject};
use link::Link;
use s3::Store;
use sqs::Queues;

/// The head of a request.
pub type Head = crate::aws::message::Message;

/// The server.
pub struct FaultServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<ServerShared>,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    pub at: Instant,
    /// The API's name, e.g. `GetObject`.
    pub operation: String,
    /// `/bucket/key`, `/bucket/prefix` of a listing, `/queue`.
    pub path: String,
    pub query: String,
    /// The body of a request to SQS.
    pub body: String,
    /// Whether a rule applied to it.
    pub faulted: bool,
}

struct ServerShared {
    state: Mutex<ServerState>,
    /// Signals a change of the queues or of the network.
    changed: Condvar,
    link: Link,
    stopped: AtomicBool,
}

struct ServerState {
    store: Store,
    queues: Queues,
    rules: Vec<ServerRule>,
    requests: Vec<SeenRequest>,
    /// The network is down: every new connection is reset.
    down: bool,
    connections: HashMap<u64, TcpStream>,
    next_connection: u64,
}

impl FaultServer {
    /// A server without buckets, queues and faults.
    pub fn start() -> FaultServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(ServerShared {
            state: Mutex::new(ServerState {
                store: Store::new(),
                queues: Queues::new(format!("http://{address}")),
                rules: Vec::new(),
                requests: Vec::new(),
                down: false,
                connections: HashMap::new(),
                next_connection: 0,
            }),
            changed: Condvar::new(),
            link: Link::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::Relaxed) {
                    return;
                }
                accepting.accept(stream);
            }
        });
        FaultServer { address, shared }
    }

    /// Adds a rule; of several that apply to a request, the first one wins.
    pub fn fault(&self, rule: ServerRule) {
        self.shared.state().rules.push(rule);
    }

    /// Removes all rules, except for a network outage. A hanging request keeps hanging.
    pub fn end_faults(&self) {
        self.shared.state().rules.clear();
    }

    /// While the network is down, resets all connections.
    pub fn set_network(&self, up: bool) {
        let mut state = self.shared.state();
        state.down = !up;
        if !up {
            state.end_connections();
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Sends all bodies over a shared link of this rate.
    pub fn limit_link(&self, bytes_per_second: u64) {
        self.shared.link.limit(bytes_per_second);
    }

    /// Accesses the buckets.
    pub fn s3<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.shared.state().store)
    }

    /// Accesses the queues.
    pub fn sqs<T>(&self, work: impl FnOnce(&mut Queues) -> T) -> T {
        let result = work(&mut self.shared.state().queues);
        self.shared.changed.notify_all();
        result
    }

    /// The requests of an operation so far.
    pub fn requests(&self, operation: &str) -> Vec<SeenRequest> {
        let state = self.shared.state();
        let of_operation = state
            .requests
            .iter()
            .filter(|request| request.operation == operation);
        of_operation.cloned().collect()
    }

    /// How many requests of an operation there were so far.
    pub fn count(&self, operation: &str) -> usize {
        let state = self.shared.state();
        state
            .requests
            .iter()
            .filter(|request| request.operation == operation)
            .count()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.set_network(false);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl ServerShared {
    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<ServerShared>, stream: TcpStream) {
        let mut state = self.state();
        if state.down {
            return;
        }
        let Ok(second) = stream.try_clone() else {
            return;
        };
        state.next_connection += 1;
        let number = state.next_connection;
        state.connections.insert(number, second);
        drop(state);
        let shared = Arc::clone(self);
        thread::spawn(move || {
            // The error of a client that disconnected needs no handling.
            let _ = connection::serve(&shared, stream, number);
        });
    }

    /// Waits for this time; returns whether the server still runs.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.stopped.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }

    /// Records a request and chooses its fault.
    fn arrived(&self, subject: &Subject<'_>, body: &[u8]) -> Option<ServerFault> {
        let mut state = self.state();
        let fault = state.rules.iter_mut().find_map(|rule| rule.apply(subject));
        state.requests.push(SeenRequest {
            at: Instant::now(),
            operation: subject.operation.to_owned(),
            path: subject.path.to_owned(),
            query: subject.query.to_owned(),
            body: String::from_utf8_lossy(body).into_owned(),
            faulted: fault.is_some(),
        });
        fault
    }
}

impl ServerState {
    fn end_connections(&mut self) {
        for stream in self.connections.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.connections.clear();
    }
}
