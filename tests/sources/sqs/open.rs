//! Queue names, and errors at open.
#![forbid(unsafe_code)]

use std::time::Duration;

use cloudtrail::host::Severity;
use serde_json::{Value, json};

use crate::aws::child;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::{Feed, STEP_TIMEOUT};
use crate::aws::proxy::FOREVER;
use crate::aws::server::closed_address;
use crate::aws::settings::{Settings, shared_files};
use crate::fixture::{numbered_queue, proxy, service, settings};

pub fn queue_is_named_by_name_url_or_arn() {
    let service = service();
    let name = "by-url";
    let ids = numbered_queue(&service, name, json!({"VisibilityTimeout": "0"}), 1);
    let url = service.queue_url(name);
    let (_, without_scheme) = url.split_once("://").expect("a scheme");
    let feed = Feed::new(
        &settings()
            .with("sqsDelete", false)
            .with("sqsVisibilityTimeout", 1),
    );
    let arn = service.queue_arn(name);
    let padded = format!(" {name}/ ");
    for queue in [name, &url, without_scheme, &arn, &padded] {
        let mut reading = feed.open(&format!("SQS://{queue}"));
        reading.until_count(1);
        assert_eq!(reading.ids[0], ids[0], "{queue}");
        let opened = feed.logged(Severity::Info);
        assert!(
            opened.last().is_some_and(|line| line.contains(&url)),
            "{opened:?}"
        );
    }
    let elsewhere = arn.replace("us-east-1", "eu-west-3");
    let (message, _) = feed.refusal(&format!("sqs://{elsewhere}"));
    for part in ["is in region eu-west-3", "us-east-1", "aws.region"] {
        assert!(message.contains(part), "{message}");
    }
}

pub fn queue_is_looked_up_in_the_owner_account() {
    let service = service();
    service.create_queue("owned", json!({}));
    let proxy = proxy();
    let feed = Feed::new(&Settings::at(proxy.address).with("sqsOwnerAccount", "000000000000"));
    drop(feed.open("sqs://owned"));
    let seen = proxy.seen();
    let lookup = seen.iter().find(|seen| seen.operation == "GetQueueUrl");
    let request: Value = serde_json::from_str(&lookup.expect("a lookup").body).expect("JSON");
    assert_eq!(request["QueueOwnerAWSAccountId"], "000000000000");
}

pub fn open_fails_within_seconds_with_queue_code_and_region() {
    let name = "cannot-be-opened";
    service().create_queue(name, json!({}));
    let refused = |operation, fault: Fault| {
        let proxy = proxy();
        proxy.rule(Rule::every(operation, fault));
        Feed::new(&Settings::at(proxy.address)).refusal(&format!("sqs://{name}"))
    };
    let missing = Feed::new(&settings()).refusal("sqs://no-such-queue");
    let elsewhere =
        Feed::new(&settings().with_aws("region", "eu-west-3")).refusal("sqs://cannot-be-opened");
    let unreachable = Feed::new(&Settings::at(closed_address())).refusal(&format!("sqs://{name}"));
    let missing_url = {
        let url = service().queue_url(name).replace(name, "no-such-url");
        Feed::new(&settings()).refusal(&format!("sqs://{url}"))
    };
    let of_another_region = {
        let url = "https://sqs.eu-west-1.amazonaws.com/111122223333/far-away";
        Feed::new(&settings()).refusal(&format!("sqs://{url}"))
    };
    for ((message, time), queue, code, region) in [
        (missing, "no-such-queue", "NonExistentQueue", "us-east-1"),
        (elsewhere, name, "NonExistentQueue", "eu-west-3"),
        (missing_url, "no-such-url", "NonExistentQueue", "us-east-1"),
        (of_another_region, "far-away", "set aws.region", "us-east-1"),
        (
            refused("GetQueueAttributes", Fault::Refuse(403, "ExpiredToken")),
            name,
            "ExpiredToken",
            "us-east-1",
        ),
        (
            refused("ReceiveMessage", Fault::Refuse(403, "AccessDenied")),
            name,
            "AccessDenied",
            "us-east-1",
        ),
        (
            refused("GetQueueUrl", Fault::Refuse(403, "AccessDenied")),
            name,
            "AccessDenied",
            "us-east-1",
        ),
        (
            refused("GetQueueUrl", Fault::Refuse(403, "ExpiredToken")),
            name,
            "ExpiredToken",
            "us-east-1",
        ),
        (refused("", Fault::Silence(FOREVER)), name, "", "us-east-1"),
        (refused("", Fault::Reset), name, "", "us-east-1"),
        (unreachable, name, "", "us-east-1"),
    ] {
        for part in [queue, code, region] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(time < Duration::from_secs(15), "after {time:?}: {message}");
    }
}

pub fn credentials_in_urls_are_redacted() {
    let name = "with-a-password";
    let ids = numbered_queue(&service(), name, json!({}), 1);
    let proxy = proxy();
    let secret = |rest: &str| format!("http://someone:hush-hush@{}{rest}", proxy.address);
    let queue = format!("sqs://{}", secret(&format!("/000000000000/{name}")));
    let settings = Settings::at(proxy.address).with("sqsWaitSeconds", 1);
    let feed = Feed::new(&settings.with_aws("endpoint", secret("")));
    let mut reading = feed.open(&queue);
    reading.until_count(1);
    assert_eq!(reading.ids, ids);
    proxy.rule(Rule::every("", Fault::Refuse(403, "AccessDenied")));
    reading.until(STEP_TIMEOUT, |_| !feed.logged(Severity::Error).is_empty());
    drop(reading);
    let mut lines = feed.logged(Severity::Info);
    for source in [&queue, "sqs://by-name", "s3://by-name/"] {
        lines.push(feed.refusal(source).0);
    }
    assert!(lines.len() > 4, "{lines:#?}");
    for line in lines {
        assert!(!line.contains("hush-hush"), "{line}");
    }
    let seen = proxy.seen();
    for operation in [
        "GetQueueUrl",
        "GetQueueAttributes",
        "ReceiveMessage",
        "DeleteMessageBatch",
    ] {
        let mut requests = seen
            .iter()
            .filter(|seen| seen.operation == operation)
            .peekable();
        assert!(requests.peek().is_some(), "no {operation}");
        for request in requests {
            assert_eq!(request.host, proxy.address.to_string(), "{operation}");
        }
    }
}

pub fn missing_token_file_is_named() {
    let (empty, _) = shared_files();
    let settings = settings().with_aws("credentials", empty.to_str().expect("UTF-8"));
    let closed = format!("http://{}/", closed_address());
    for (variable, other, value) in [
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "arn:aws:iam::111122223333:role/falco",
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &closed,
        ),
    ] {
        let mut command = child::command(&settings, "sqs://q");
        command.env(variable, "/no/such/token").env(other, value);
        let output = child::run(command);
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8_lossy(&output.stderr);
        for part in [variable, "\"/no/such/token\" cannot be read: No such file"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
