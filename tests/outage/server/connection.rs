//! One connection: requests are matched with rules, handled, and answered as far as the fault allows.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fault::{PageFault, ServerFault, Subject};
use super::http::{Answer, Query, Request};
use super::link::CHUNK;
use super::signature;
use super::sqs::{Outcome, queue_name};
use super::{Head, ServerShared};
use crate::aws::service::url_decoded;

/// Longer than any client's timeout.
const FOREVER: Duration = Duration::from_secs(600);

/// A parsed request.
struct ApiCall {
    service: &'static str,
    operation: String,
    /// The properties that rules match.
    path: String,
    bucket: String,
    key: String,
    query: String,
    /// The request's JSON.
    body: Value,
}

/// Serves one client until either side ends the connection.
pub fn serve(shared: &ServerShared, stream: TcpStream, number: u64) -> io::Result<()> {
    let result = serve_all(shared, stream);
    shared.state().connections.remove(&number);
    result
}

fn serve_all(shared: &ServerShared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(request) = Request::read(&mut stream)? {
        let call = ApiCall::parse(&request.head);
        let fault = shared.arrived(&call.subject(&request.head), &request.head.body);
        match fault {
            // The unread byte turns the close into a reset.
            Some(ServerFault::Reset) => return Ok(()),
            Some(ServerFault::Hang) => {
                shared.pause(FOREVER);
                return Ok(());
            }
            Some(ServerFault::Delay(time)) if !shared.pause(time) => return Ok(()),
            _ => {}
        }
        let resets = matches!(
            fault,
            Some(ServerFault::ResetAfter(_) | ServerFault::ReplaceAfter(..))
        );
        if !resets {
            Request::finish(&mut stream)?;
        }
        let answer = match (&fault, call.unsigned(&request.head)) {
            (_, Some(answer)) => answer,
            (Some(ServerFault::Portal), _) => Answer::portal(),
            (Some(ServerFault::Refuse(status, code)), _) => call.refusal(*status, code),
            (Some(ServerFault::Change(change)), _) => {
                change(call.answer(shared, &stream, &request.head, None)?)
            }
            _ => call.answer(shared, &stream, &request.head, fault.as_ref())?,
        };
        let whole = match request.head.method() {
            "HEAD" => 0,
            _ => answer.body.len(),
        };
        let sent = match &fault {
            Some(
                ServerFault::ResetAfter(bytes)
                | ServerFault::ReplaceAfter(bytes, _)
                | ServerFault::HangAfter(bytes),
            ) => whole.min(*bytes),
            _ => whole,
        };
        call.send(shared, &mut stream, &answer, sent)?;
        match fault {
            Some(ServerFault::HangAfter(_)) => {
                shared.pause(FOREVER);
                return Ok(());
            }
            Some(ServerFault::ReplaceAfter(_, body)) => {
                shared.state().store.put(&call.bucket, &call.key, body);
                // Lets the client read the sent bytes before the reset.
                shared.pause(Duration::from_millis(50));
                return Ok(());
            }
            Some(ServerFault::ResetAfter(_)) => {
                shared.pause(Duration::from_millis(50));
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}

impl ApiCall {
    fn parse(head: &Head) -> ApiCall {
        let (path, query) = head.target().split_once('?').unwrap_or((head.target(), ""));
        if let Some(target) = head.header("x-amz-target") {
            let body = serde_json::from_slice(&head.body).unwrap_or_default();
            return ApiCall {
                service: "sqs",
                operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
                path: format!("/{}", queue_name(&body)),
                bucket: String::new(),
                key: String::new(),
                query: String::new(),
                body,
            };
        }
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let (bucket, key) = (url_decoded(bucket), url_decoded(key));
        let parsed = Query::parse(query);
        let operation = match (head.method(), key.is_empty()) {
            ("GET", false) => "GetObject",
            ("HEAD", false) => "HeadObject",
            ("HEAD", true) => "HeadBucket",
            ("GET", true) if parsed.get("list-type") == Some("2") => "ListObjectsV2",
            ("GET", true) if parsed.get("location").is_some() => "GetBucketLocation",
            (method, _) => method,
        };
        ApiCall {
            service: "s3",
            path: match operation {
                "ListObjectsV2" => {
                    format!("/{bucket}/{}", parsed.get("prefix").unwrap_or_default())
                }
                _ => format!("/{bucket}/{key}"),
            },
            operation: operation.to_owned(),
            bucket,
            key,
            query: query.to_owned(),
            body: Value::Null,
        }
    }

    fn subject<'c>(&'c self, head: &'c Head) -> Subject<'c> {
        let authorization = head.header("authorization").unwrap_or_default();
        let credential = authorization
            .split_once("Credential=")
            .map_or("", |(_, rest)| rest);
        Subject {
            service: self.service,
            operation: &self.operation,
            path: &self.path,
            query: &self.query,
            access_key: credential.split('/').next().unwrap_or_default(),
        }
    }

    fn refusal(&self, status: u16, code: &str) -> Answer {
        let answer = match self.service {
            "sqs" => Answer::sqs_error(status, code, "refused by a rule"),
            _ => Answer::s3_error(status, code),
        };
        self.identified(answer)
    }

    /// The answer to a request that is not signed right. Requests without an agent are those of the tests themselves.
    fn unsigned(&self, head: &Head) -> Option<Answer> {
        head.header("user-agent")?;
        let problem = signature::check(head).err()?;
        eprintln!("{} {}: {problem}", head.method(), head.target());
        Some(self.refusal(403, "SignatureDoesNotMatch"))
    }

    /// Adds the headers of an answer from AWS.
    fn identified(&self, answer: Answer) -> Answer {
        match self.service {
            "sqs" => answer.with("x-amzn-requestid", "00000000-0000-4000-8000-000000000000"),
            _ => answer
                .with("x-amz-request-id", "FAULTSERVER00000")
                .with("x-amz-id-2", "ZmF1bHQgc2VydmVy"),
        }
    }

    fn answer(
        &self,
        shared: &ServerShared,
        stream: &TcpStream,
        head: &Head,
        fault: Option<&ServerFault>,
    ) -> io::Result<Answer> {
        if self.service == "sqs" {
            return Ok(self.identified(self.answer_of_queue(shared, stream, fault)?));
        }
        let query = Query::parse(&self.query);
        let mut state = shared.state();
        let store = &mut state.store;
        let answer = match self.operation.as_str() {
            "GetObject" | "HeadObject" => store.get(&self.bucket, &self.key, &query, head),
            "HeadBucket" => store.head_bucket(&self.bucket),
            "ListObjectsV2" => store.list(&self.bucket, &query, page_fault(fault)),
            "GetBucketLocation" => Answer::new(200, "OK").with_body(
                "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
            ),
            _ => Answer::s3_error(501, "NotImplemented"),
        };
        Ok(self.identified(answer))
    }

    fn answer_of_queue(
        &self,
        shared: &ServerShared,
        stream: &TcpStream,
        fault: Option<&ServerFault>,
    ) -> io::Result<Answer> {
        let wait = self.body["WaitTimeSeconds"].as_u64().unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(wait);
        // A complete request is executed even if the client has disconnected, except for a receive.
        let receives = self.operation == "ReceiveMessage";
        let mut state = shared.state();
        loop {
            if state.down || (receives && is_closed(stream)) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            match state
                .queues
                .handle(&self.operation, &self.body, fault, deadline)
            {
                Outcome::Answer(answer) => return Ok(answer),
                Outcome::Wait(until) => {
                    // A short wait, to notice soon that the client has disconnected.
                    let time = until.saturating_duration_since(Instant::now());
                    let waited = shared
                        .changed
                        .wait_timeout(state, time.min(Duration::from_millis(100)));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Sends the head and this many bytes of the body, over the slow link if there is one.
    fn send(
        &self,
        shared: &ServerShared,
        stream: &mut TcpStream,
        answer: &Answer,
        count: usize,
    ) -> io::Result<()> {
        let body = &answer.body[..count];
        let counted = self.operation == "GetObject" && matches!(answer.status(), 200 | 206);
        if !counted {
            return stream.write_all(&[&answer.head_bytes(), body].concat());
        }
        stream.write_all(&answer.head_bytes())?;
        let mut sent = 0;
        let result = body
            .chunks(CHUNK.max(body.len() / 64))
            .try_for_each(|chunk| {
                shared.link.pass(chunk.len());
                stream.write_all(chunk)?;
                sent += chunk.len() as u64;
                Ok(())
            });
        let mut state = shared.state();
        *state.store.served.entry(self.path.clone()).or_default() += sent;
        result
    }
}

fn page_fault(fault: Option<&ServerFault>) -> Option<PageFault> {
    match fault {
        Some(ServerFault::Page(fault)) => Some(*fault),
        _ => None,
    }
}

/// Whether the client has ended the connection.
fn is_closed(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let seen = stream.peek(&mut [0]);
    let usable = stream.set_nonblocking(false).is_ok();
    let open = match seen {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    };
    !(open && usable)
}
