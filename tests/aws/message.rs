//! HTTP/1.1 messages, as far as the tests need them; simple enough to violate the protocol on purpose.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// A request or a reply with its body in memory.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Limit for a head, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

impl Message {
    pub fn new(start: String) -> Message {
        Message {
            start,
            ..Message::default()
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Message {
        self.set(name, value);
        self
    }

    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Message {
        self.body = body.into();
        self.set("content-length", &self.body.len().to_string());
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// A request's path with its query.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// A reply's status; 0 if it is not a number.
    pub fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1);
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Everything before the body, including the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }

    pub fn write(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(&[self.head(), self.body.clone()].concat())
    }

    /// Reads a request's head except for its last byte: closing a socket with an unread byte resets the connection.
    ///
    /// `None` if the client has closed the connection.
    pub fn read_request_head(stream: &mut TcpStream) -> io::Result<Option<Message>> {
        let head = take_head(stream, 1)?;
        head.map(|head| parse(&head)).transpose()
    }

    /// Reads the rest of a request: the last byte of its head, and its body.
    pub fn read_request_body(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        stream.read_exact(&mut [0])?;
        if self.header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.body = vec![0; self.length().unwrap_or(0)];
        stream.read_exact(&mut self.body)
    }

    /// Reads a reply; one to a HEAD request has no body, whatever its head states.
    pub fn read_reply(stream: &mut TcpStream, to_head: bool) -> io::Result<Message> {
        let head = take_head(stream, 0)?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut reply = parse(&head)?;
        if to_head || matches!(reply.status(), 204 | 304) {
            return Ok(reply);
        }
        if reply.header("transfer-encoding").is_some() {
            reply.body = read_chunks(stream)?;
            reply
                .headers
                .retain(|(name, _)| name != "transfer-encoding");
            reply.set("content-length", &reply.body.len().to_string());
        } else if let Some(length) = reply.length() {
            reply.body = vec![0; length];
            stream.read_exact(&mut reply.body)?;
        } else {
            stream.read_to_end(&mut reply.body)?;
            reply.set("content-length", &reply.body.len().to_string());
        }
        Ok(reply)
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }
}

/// Reads everything up to the empty line, except for the last `unread` bytes.
fn take_head(stream: &mut TcpStream, unread: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut seen = vec![0; LONGEST_HEAD];
    loop {
        let count = stream.peek(&mut seen)?;
        if count == 0 {
            return match head.is_empty() {
                true => Ok(None),
                false => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
        let before = head.len();
        head.extend_from_slice(&seen[..count]);
        if let Some(end) = end_of_head(&head) {
            stream.read_exact(&mut seen[..end - unread - before])?;
            head.truncate(end);
            return Ok(Some(head));
        }
        stream.read_exact(&mut seen[..count])?;
        if head.len() > LONGEST_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn parse(head: &[u8]) -> io::Result<Message> {
    let text = str::from_utf8(head).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
    let mut lines = text.trim_end().split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Ok(Message {
        start,
        headers: headers.collect(),
        body: Vec::new(),
    })
}

fn read_chunks(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        stream.read_exact(&mut body[start..])?;
        body.truncate(start + size);
        if size == 0 {
            return Ok(body);
        }
    }
}
