//! Requests with one byte left unread until they are answered, and answers that can be cut.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::aws::message::Message;
use crate::aws::service::{url_decoded, url_encoded as path_encoded};

/// A request whose last byte stays in the socket: closing a socket with an unread byte resets the connection.
pub struct Request {
    pub head: Message,
}

impl Request {
    /// Reads a request except for its last byte; `None` if the client has closed the connection.
    pub fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
        let Some(mut head) = Message::read_request_head(stream)? else {
            return Ok(None);
        };
        let length = head
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(0);
        if length > 0 {
            stream.read_exact(&mut [0])?;
            if head.header("expect").is_some() {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            head.body = vec![0; length];
            stream.read_exact(&mut head.body[..length - 1])?;
            if stream.peek(&mut head.body[length - 1..])? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(Request { head }))
    }

    /// Reads the last byte.
    pub fn finish(stream: &mut TcpStream) -> io::Result<()> {
        stream.read_exact(&mut [0])
    }
}

/// The decoded query of a request.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (url_decoded(name), url_decoded(&value.replace('+', " ")))
        });
        Query(pairs.collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub struct Answer {
    head: Message,
    pub body: Arc<[u8]>,
}

impl Answer {
    pub fn new(status: u16, reason: &str) -> Answer {
        Answer {
            head: Message::new(format!("HTTP/1.1 {status} {reason}")),
            body: Arc::from([]),
        }
    }

    /// An error in S3's format.
    pub fn s3_error(status: u16, code: &str) -> Answer {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>the fault server says {code}</Message><RequestId>FAULTSERVER</RequestId></Error>"
        );
        Answer::new(status, "Error")
            .with("content-type", "application/xml")
            .with_body(xml)
    }

    /// An error in SQS's format.
    pub fn sqs_error(status: u16, code: &str, message: &str) -> Answer {
        let body = serde_json::json!({
            "__type": format!("com.amazonaws.sqs#{code}"),
            "message": message,
        });
        Answer::new(status, "Error")
            .with("content-type", "application/x-amz-json-1.0")
            .with("x-amzn-query-error", &format!("{code};Sender"))
            .with_body(body.to_string())
    }

    /// An HTML page that is not from AWS.
    pub fn portal() -> Answer {
        Answer::new(200, "OK")
            .with("content-type", "text/html")
            .with_body("<html><head><title>Sign in</title></head><body>Please sign in to this network.</body></html>")
    }

    pub fn with_status(mut self, status: u16, reason: &str) -> Answer {
        self.head.start = format!("HTTP/1.1 {status} {reason}");
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.head.set(name, value);
        self
    }

    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Answer {
        self.with_shared_body(Arc::from(body.into()))
    }

    pub fn with_shared_body(mut self, body: Arc<[u8]>) -> Answer {
        self.body = body;
        self
    }

    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The head, with the length of the complete body however much of it is sent.
    pub fn head_bytes(&self) -> Vec<u8> {
        let length = self.body.len().to_string();
        self.head.clone().with("content-length", &length).head()
    }
}

/// Escapes a text for XML.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other if (other as u32) < 0x20 => escaped += &format!("&#{};", other as u32),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A key in a listing with `encoding-type=url`.
pub fn url_encoded(text: &str) -> String {
    path_encoded(text).replace("%20", "+")
}
