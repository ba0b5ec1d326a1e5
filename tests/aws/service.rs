//! A simple client of a server that fills buckets and queues, and shows their contents.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::message::Message;

/// A client with the owner's rights.
pub struct Service {
    address: SocketAddr,
    kept: Mutex<Option<TcpStream>>,
}

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Can be received now.
    pub visible: usize,
    /// Received and hidden by the visibility timeout.
    pub in_flight: usize,
}

impl Depth {
    pub const EMPTY: Depth = Depth {
        visible: 0,
        in_flight: 0,
    };

    /// Messages, visible or in flight.
    pub fn total(self) -> usize {
        self.visible + self.in_flight
    }
}

impl Service {
    pub fn at(address: SocketAddr) -> Service {
        Service {
            address,
            kept: Mutex::new(None),
        }
    }

    pub fn create_bucket(&self, bucket: &str) {
        self.s3("PUT", &format!("/{bucket}"), Vec::new());
    }

    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        self.s3(
            "PUT",
            &format!("/{bucket}/{}", url_encoded(key)),
            body.into(),
        );
    }

    /// Configures the server to send a bucket's events to the queue with this ARN.
    pub fn notify(&self, bucket: &str, queue_arn: &str) {
        let configuration = format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>{queue_arn}</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>"
        );
        self.s3(
            "PUT",
            &format!("/{bucket}?notification"),
            configuration.into(),
        );
    }

    /// Creates a queue with attributes by their API names.
    pub fn create_queue(&self, queue: &str, attributes: Value) {
        self.sqs(
            "CreateQueue",
            json!({"QueueName": queue, "Attributes": attributes}),
        );
    }

    pub fn delete_queue(&self, queue: &str) {
        self.sqs("DeleteQueue", json!({"QueueUrl": self.queue_url(queue)}));
    }

    pub fn queue_url(&self, queue: &str) -> String {
        let reply = self.sqs("GetQueueUrl", json!({"QueueName": queue}));
        reply["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    pub fn queue_arn(&self, queue: &str) -> String {
        let attributes = self.attributes(queue);
        attributes["QueueArn"].as_str().expect("an ARN").to_owned()
    }

    pub fn send<B: AsRef<str>>(&self, queue: &str, bodies: impl IntoIterator<Item = B>) {
        let url = self.queue_url(queue);
        let bodies: Vec<_> = bodies.into_iter().collect();
        for ten in bodies.chunks(10) {
            let entry = |(id, body): (usize, &B)| json!({"Id": id.to_string(), "MessageBody": body.as_ref()});
            let entries: Vec<_> = ten.iter().enumerate().map(entry).collect();
            let reply = self.sqs(
                "SendMessageBatch",
                json!({"QueueUrl": url, "Entries": entries}),
            );
            assert_eq!(
                reply["Successful"].as_array().map(Vec::len),
                Some(ten.len()),
                "{reply}"
            );
        }
    }

    pub fn depth(&self, queue: &str) -> Depth {
        let attributes = self.attributes(queue);
        let count = |name: &str| {
            let text = attributes[name].as_str().expect("a number in a text");
            text.parse().expect("a number")
        };
        Depth {
            visible: count("ApproximateNumberOfMessages"),
            in_flight: count("ApproximateNumberOfMessagesNotVisible"),
        }
    }

    /// The bodies of up to ten messages, which stay visible.
    pub fn peek(&self, queue: &str) -> Vec<String> {
        let url = self.queue_url(queue);
        let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
        let reply = self.sqs("ReceiveMessage", request);
        let messages = reply["Messages"].as_array().cloned().unwrap_or_default();
        let body = |message: &Value| message["Body"].as_str().expect("a body").to_owned();
        messages.iter().map(body).collect()
    }

    fn attributes(&self, queue: &str) -> Value {
        let url = self.queue_url(queue);
        let request = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        self.sqs("GetQueueAttributes", request)["Attributes"].clone()
    }

    fn s3(&self, method: &str, target: &str, body: Vec<u8>) {
        let reply = self.call(
            Message::new(format!("{method} {target} HTTP/1.1"))
                .with("authorization", &authorization("s3"))
                .with_body(body),
        );
        assert!(
            reply.status() < 300,
            "{target}: {} {}",
            reply.start,
            reply.text()
        );
    }

    fn sqs(&self, operation: &str, body: Value) -> Value {
        let reply = self.call(
            Message::new("POST / HTTP/1.1".to_owned())
                .with("authorization", &authorization("sqs"))
                .with("content-type", "application/x-amz-json-1.0")
                .with("x-amz-target", &format!("AmazonSQS.{operation}"))
                .with_body(body.to_string()),
        );
        assert_eq!(reply.status(), 200, "{operation} {body}: {}", reply.text());
        if reply.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&reply.body).expect("JSON")
    }

    fn call(&self, request: Message) -> Message {
        let request = request.with("host", &self.address.to_string());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut stream) = kept.take()
            && request.write(&mut stream).is_ok()
            && let Ok(reply) = Message::read_reply(&mut stream, false)
        {
            *kept = Some(stream);
            return reply;
        }
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        request.write(&mut stream).expect("the server reads");
        let reply = Message::read_reply(&mut stream, false).expect("the server answers");
        if reply.header("connection") != Some("close") {
            *kept = Some(stream);
        }
        reply
    }
}

/// A header with the caller's account and region; these servers check no signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260114/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Percent-encodes a path except for `/`.
pub fn url_encoded(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(byte as char);
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Reverses [`url_encoded`].
pub fn url_decoded(path: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
