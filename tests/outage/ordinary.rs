//! The test server itself: without faults everything is delivered, and it answers as S3 and SQS do.
#![forbid(unsafe_code)]

use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::child;
use crate::aws::feed::Feed;
use crate::aws::message::Message;
use crate::aws::settings::Settings;
use crate::server::{FaultServer, tls};
use crate::setup::{
    NAME, RECOVERY, Watched, assert_no_dead_letters, assert_once, bucket, bucket_and_queue,
    complaints, ids, key, receives, send, settings, wait_for,
};

pub fn sweep() {
    let server = bucket(120);
    server.s3(|store| store.set_page_size(50));
    let feed = Feed::new(&Settings::at(server.address));
    assert_eq!(feed.read_all(&format!("s3://{NAME}/logs/")), ids(120));
    assert_eq!(complaints(&feed), [""; 0]);
}

pub fn queue() {
    let server = bucket_and_queue(50, 2);
    send(&server, 0..50);
    let feed = Feed::new(&settings(&server));
    let mut watched = Watched::open(&feed, &server);
    watched.until_empty(RECOVERY);
    assert_once(&watched.reading.ids, &ids(50));
    assert_eq!(receives(&server), [(1, 50)].into());
    assert_no_dead_letters(&server);
    assert_eq!(complaints(&feed), [""; 0]);
}

/// The server checks the signatures of all requests, also those to a port of its own.
pub fn over_https() {
    let server = bucket_and_queue(50, 2);
    send(&server, 0..50);
    let address = tls::start(server.address);
    let settings = Settings::at(server.address)
        .with("sqsWaitSeconds", 1)
        .with_aws("endpoint", format!("https://{address}"));
    let trusting = |source: &str| {
        let mut command = child::command(&settings, source);
        command.env("AWS_CA_BUNDLE", tls::authority());
        command
    };
    let output = child::run(trusting(&format!("s3://{NAME}/logs/")));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{message}");
    let read = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = read.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["ct.id"].as_str().expect("a text").to_owned()
    });
    assert_eq!(lines.collect::<Vec<_>>(), ids(50));
    let mut reading = trusting(&format!("sqs://{NAME}"))
        .stdout(Stdio::null())
        .spawn()
        .expect("ctcat starts");
    wait_for("the deletion of all messages", RECOVERY, || {
        server.sqs(|queues| queues.left(NAME)) == 0
    });
    reading.kill().expect("a running process");
    reading.wait().expect("a child");
    assert_eq!(receives(&server), [(1, 50)].into());
}

#[test]
fn server_refuses_requests_that_are_not_signed_right() {
    let server = bucket(1);
    let get = |change: &dyn Fn(Message) -> Message| {
        let request = Message::new(format!("GET /{NAME}/{} HTTP/1.1", key(0)))
            .with("host", "h")
            .with("user-agent", "test")
            .with("x-amz-date", "20260114T120000Z");
        call(&server, change(request)).status()
    };
    let signed = |signature: &'static str| {
        move |request: Message| {
            let credential = "AKIAIOSFODNN7EXAMPLE/20260114/us-east-1/s3/aws4_request";
            let value = format!(
                "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            request.with("authorization", &value)
        }
    };
    assert_eq!(get(&|request| request), 403);
    assert_eq!(get(&signed("00")), 403);
    // Computed with another implementation.
    let right = "8f503b23cb99b9bb759a142cafec17b36e61c9cf663535a7793eb5d5a1b23548";
    assert_eq!(get(&signed(right)), 200);
    let other = |request| signed(right)(request).with("range", "bytes=1-");
    assert_eq!(get(&other), 403, "a header that is not signed");
}

fn call(server: &FaultServer, request: Message) -> Message {
    let mut stream = TcpStream::connect(server.address).expect("the server listens");
    request.write(&mut stream).expect("the server reads");
    let to_head = request.method() == "HEAD";
    Message::read_reply(&mut stream, to_head).expect("the server answers")
}

fn get(server: &FaultServer, target: &str, headers: &[(&str, &str)]) -> Message {
    let mut request = Message::new(format!("GET {target} HTTP/1.1"));
    for (name, value) in headers {
        request.set(name, value);
    }
    call(server, request)
}

/// The text of each occurrence of an element.
fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let start = format!("<{name}>");
    let parts = xml.split(start.as_str()).skip(1);
    parts.filter_map(|part| part.split("</").next()).collect()
}

#[test]
fn server_gives_ranges_conditions_and_versions() {
    let server = FaultServer::start();
    let (first, second) = server.s3(|store| {
        let first = store.put("b", "a+b c/é", *b"0123456789");
        (first, store.put("b", "a+b c/é", *b"abcdefghij"))
    });
    let target = "/b/a%2Bb%20c/%C3%A9";
    let whole = get(&server, target, &[]);
    assert_eq!(
        (whole.status(), whole.text()),
        (200, "abcdefghij".to_owned())
    );
    assert_eq!(whole.header("x-amz-version-id"), Some(second.as_str()));
    assert!(whole.header("x-amz-request-id").is_some());
    let etag = whole.header("etag").expect("an ETag");
    let part = get(
        &server,
        target,
        &[("range", "bytes=3-"), ("if-match", etag)],
    );
    assert_eq!((part.status(), part.text()), (206, "defghij".to_owned()));
    assert_eq!(part.header("content-range"), Some("bytes 3-9/10"));
    let changed = get(
        &server,
        target,
        &[("range", "bytes=3-"), ("if-match", "\"0\"")],
    );
    assert_eq!(changed.status(), 412);
    server.s3(|store| store.delete("b", "a+b c/é"));
    let gone = get(&server, target, &[]);
    assert_eq!(
        (gone.status(), elements(&gone.text(), "Code")),
        (404, vec!["NoSuchKey"])
    );
    let old = get(&server, &format!("{target}?versionId={first}"), &[]);
    assert_eq!((old.status(), old.text()), (200, "0123456789".to_owned()));
    assert_eq!(
        call(&server, Message::new("HEAD /b HTTP/1.1".to_owned())).status(),
        200
    );
}

#[test]
fn server_lists_in_pages_with_prefixes() {
    let server = FaultServer::start();
    let keys = ["a/1", "a/2", "b", "c d/1", "c d/2", "e"];
    server.s3(|store| {
        store.create_bucket("b");
        for key in keys {
            store.put("b", key, *b"x");
        }
    });
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let target = format!("/b?list-type=2&delimiter=%2F&encoding-type=url&max-keys=2{token}");
        let page = get(&server, &target, &[]).text();
        let prefixes = elements(&page, "Prefix");
        listed.extend(elements(&page, "Key").into_iter().map(str::to_owned));
        // The first one is the page's own prefix.
        listed.extend(prefixes.into_iter().skip(1).map(str::to_owned));
        match elements(&page, "NextContinuationToken").first() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
        assert_eq!(elements(&page, "IsTruncated"), ["true"]);
        assert_eq!(elements(&page, "KeyCount"), ["2"]);
    }
    listed.sort_unstable();
    assert_eq!(listed, ["a/", "b", "c+d/", "e"]);
    let page = get(
        &server,
        "/b?list-type=2&prefix=c%20d%2F&start-after=c%20d%2F1",
        &[],
    )
    .text();
    assert_eq!(elements(&page, "Key"), ["c d/2"]);
}

fn sqs(server: &FaultServer, operation: &str, body: &Value) -> (u16, Value) {
    let reply = call(
        server,
        Message::new("POST / HTTP/1.1".to_owned())
            .with("x-amz-target", &format!("AmazonSQS.{operation}"))
            .with_body(body.to_string()),
    );
    (
        reply.status(),
        serde_json::from_slice(&reply.body).expect("JSON"),
    )
}

#[test]
fn server_counts_receives_and_moves_messages_to_the_dead_letter_queue() {
    let server = bucket_and_queue(0, 2);
    let id = server.sqs(|queues| queues.send(NAME, "body"));
    let receive = |seconds: u32| {
        let all = ["All"];
        let body = json!({"QueueUrl": NAME, "VisibilityTimeout": seconds, "MessageSystemAttributeNames": all});
        sqs(&server, "ReceiveMessage", &body).1["Messages"][0].clone()
    };
    let change = |handle: &Value, seconds: u32| {
        let body = json!({"QueueUrl": NAME, "ReceiptHandle": handle, "VisibilityTimeout": seconds});
        let (status, reply) = sqs(&server, "ChangeMessageVisibility", &body);
        let kind = reply["__type"].as_str().unwrap_or_default();
        (
            status,
            kind.rsplit('#').next().unwrap_or_default().to_owned(),
        )
    };
    let first = receive(30);
    assert_eq!(first["Attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(receive(30), Value::Null, "the message is hidden");
    let handle = &first["ReceiptHandle"];
    assert_eq!(change(handle, 43_200).1, "");
    assert_eq!(change(handle, 0).0, 200);
    assert_eq!(change(handle, 5).1, "MessageNotInflight");
    assert_eq!(change(&json!("nonsense"), 5).1, "ReceiptHandleIsInvalid");
    let second = receive(0);
    assert_eq!(second["Attributes"]["ApproximateReceiveCount"], "2");
    assert_eq!(
        change(handle, 5).1,
        "InvalidParameterValue",
        "an old handle"
    );
    assert_eq!(receive(0), Value::Null);
    let dead = server.sqs(|queues| queues.messages("trail-dead").to_vec());
    assert_eq!(
        dead.iter().map(|message| &message.id).collect::<Vec<_>>(),
        [&id]
    );
    assert_eq!(server.sqs(|queues| queues.left(NAME)), 0);
}

#[test]
fn server_refuses_late_deletions_in_a_fifo_queue() {
    let server = FaultServer::start();
    server.sqs(|queues| {
        queues.create("q.fifo", Duration::from_secs(1));
        for _ in 0..2 {
            queues.send_as("q.fifo", key(0), |message| {
                message.group = Some("g".to_owned())
            });
        }
    });
    let receive = || {
        let body = json!({"QueueUrl": "q.fifo", "WaitTimeSeconds": 3});
        sqs(&server, "ReceiveMessage", &body).1["Messages"][0].clone()
    };
    let delete = |message: &Value| {
        let entries = [json!({"Id": "0", "ReceiptHandle": message["ReceiptHandle"]})];
        sqs(
            &server,
            "DeleteMessageBatch",
            &json!({"QueueUrl": "q.fifo", "Entries": entries}),
        )
        .1
    };
    let first = receive();
    let again = receive();
    assert_eq!(
        first["MessageId"], again["MessageId"],
        "the second waits for the first of its group"
    );
    assert_eq!(delete(&first)["Failed"][0]["Code"], "InvalidParameterValue");
    assert_eq!(delete(&again)["Successful"][0]["Id"], "0");
    assert_ne!(receive()["MessageId"], first["MessageId"]);
}
