//! Errors at open, region and credentials.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use cloudtrail::host::Severity;

use super::{LAYOUT, LAYOUTS, ROOTS, assert_same, expected_ids};
use crate::aws;
use crate::aws::child;
use crate::aws::fault::{Fault, Rule};
use crate::aws::feed::Feed;
use crate::aws::message::Message;
use crate::aws::proxy::{FOREVER, Proxy};
use crate::aws::server::{closed_address, ministack, moto};
use crate::aws::service::Service;
use crate::aws::settings::Settings;
use crate::fixture::{assert_line, proxy, settings};
use crate::support;
use crate::support::scratch::plain_log;

pub fn open_fails_within_seconds_with_bucket_code_and_region() {
    LazyLock::force(&LAYOUT);
    let refused = |fault: Fault| {
        let proxy = proxy();
        proxy.rule(Rule::every("", fault));
        Feed::new(&Settings::at(proxy.address)).refusal(&format!("s3://{LAYOUTS}/AWSLogs/"))
    };
    let missing = Feed::new(&settings()).refusal("s3://no-such-bucket-anywhere/AWSLogs/");
    let unreachable =
        Feed::new(&Settings::at(closed_address())).refusal(&format!("s3://{LAYOUTS}/"));
    for ((message, time), bucket, code) in [
        (missing, "no-such-bucket-anywhere", "NoSuchBucket"),
        (
            refused(Fault::Refuse(403, "AccessDenied")),
            LAYOUTS,
            "AccessDenied",
        ),
        (
            refused(Fault::Refuse(400, "ExpiredToken")),
            LAYOUTS,
            "ExpiredToken",
        ),
        (
            refused(Fault::Refuse(403, "InvalidAccessKeyId")),
            LAYOUTS,
            "InvalidAccessKeyId",
        ),
        (
            refused(Fault::Refuse(403, "SignatureDoesNotMatch")),
            LAYOUTS,
            "SignatureDoesNotMatch",
        ),
        (
            refused(Fault::OtherRegion("eu-north-1")),
            LAYOUTS,
            "PermanentRedirect",
        ),
        (refused(Fault::Silence(FOREVER)), LAYOUTS, ""),
        (refused(Fault::Reset), LAYOUTS, ""),
        (unreachable, LAYOUTS, ""),
    ] {
        let region = match code {
            "PermanentRedirect" => "eu-north-1",
            _ => "us-east-1",
        };
        for part in [bucket, code, region] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(time < Duration::from_secs(15), "after {time:?}: {message}");
    }
}

pub fn bucket_in_another_region_is_read_there() {
    let objects = &*LAYOUT;
    let feed = Feed::new(&settings().with_aws("region", "eu-north-1"));
    let root = ROOTS[4];
    let expected = expected_ids(objects, |object| object.key.starts_with(root));
    assert_same(
        &feed.read_all(&format!("s3://{LAYOUTS}/{root}")),
        &expected,
        root,
    );
    assert_line(&feed.logged(Severity::Info), &["eu-north-1"]);
}

pub fn missing_region_or_credentials_are_named() {
    let (config, _) = aws::settings::shared_files();
    let without_region = settings().without_aws("region");
    let without_credentials = settings().with_aws("credentials", config.to_str().expect("UTF-8"));
    for (settings, part) in [
        (without_region, "region"),
        (without_credentials, "credentials"),
    ] {
        let started = Instant::now();
        let output = child::run(child::command(&settings, "s3://some-bucket/AWSLogs/"));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part), "{message}");
        assert!(started.elapsed() < Duration::from_secs(15), "{message}");
    }
}

/// Starts an instance metadata service with a role and a region that answers each request after `delay`.
fn instance_metadata(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                while let Ok(Some(request)) = Message::read_request_head(&mut client) {
                    thread::sleep(delay);
                    let body = match request.target() {
                        "/latest/api/token" => "token",
                        "/latest/meta-data/placement/region" => "us-east-1",
                        "/latest/meta-data/iam/security-credentials/" => "role",
                        _ => {
                            r#"{"Code":"Success","LastUpdated":"2026-01-14T08:50:00Z","Type":"AWS-HMAC","AccessKeyId":"AKIAIOSFODNN7EXAMPLE",
                            "SecretAccessKey":"s","Token":"t","Expiration":"2099-01-14T08:50:00Z"}"#
                        }
                    };
                    let reply = Message::new("HTTP/1.1 200 OK".to_owned())
                        .with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                        .with_body(body);
                    if reply.write(&mut client).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

pub fn slow_instance_metadata_service_is_waited_for_and_a_silent_one_is_named() {
    LazyLock::force(&LAYOUT);
    let (config, _) = aws::settings::shared_files();
    let settings = settings().with_aws("credentials", config.to_str().expect("UTF-8"));
    let read = |settings: &Settings, delay: Duration| {
        let source = format!("s3://{LAYOUTS}/AWSLogs/111122223333/");
        let mut command = child::command(settings, &source);
        let address = instance_metadata(delay);
        command.env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{address}"),
        );
        child::run(command)
    };
    let without_region = settings.clone().without_aws("region");
    let output = read(&without_region, Duration::from_millis(1300));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    for (settings, what) in [(without_region, "region"), (settings, "credentials")] {
        let output = read(&settings, FOREVER);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        for part in [what, "instance metadata"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

pub fn region_and_credentials_come_from_the_environment_too() {
    LazyLock::force(&LAYOUT);
    let (config, _) = aws::settings::shared_files();
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let settings = settings()
            .without_aws("region")
            .without_aws("endpoint")
            .with_aws("credentials", config.to_str().expect("UTF-8"));
        let mut command =
            child::command(&settings, &format!("s3://{LAYOUTS}/AWSLogs/111122223333/"));
        command
            .env(region, "us-east-1")
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://{}", ministack().address),
            )
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env(
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            );
        let output = child::run(command);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(lines, 4 * 10);
    }
}

pub fn role_is_assumed_once_with_external_id_and_session_name() {
    let bucket = "of-a-role";
    let service = Service::at(moto().address);
    service.create_bucket(bucket);
    service.put(bucket, "a.json", plain_log("a", 1));
    let proxy = Proxy::before(moto().address);
    let settings = Settings::at(proxy.address)
        .with_aws("roleArn", "arn:aws:iam::123456789012:role/log-reader")
        .with_aws("externalId", "agreed-on")
        .with_aws("roleSessionName", "the-sensor");
    assert_eq!(
        Feed::new(&settings).read_all(&format!("s3://{bucket}")),
        ["a0"]
    );
    let seen = proxy.seen();
    let assume = seen
        .iter()
        .find(|seen| seen.body.contains("Action=AssumeRole"));
    let request = &assume.expect("a request to STS").body;
    let assumed = seen
        .iter()
        .filter(|seen| seen.body.contains("Action=AssumeRole"));
    assert_eq!(assumed.count(), 1, "requests to STS");
    for part in [
        "role%2Flog-reader",
        "ExternalId=agreed-on",
        "RoleSessionName=the-sensor",
    ] {
        assert!(request.contains(part), "{part} is missing in: {request}");
    }
}

pub fn unknown_profile_is_an_error_for_aws_sources_only() {
    let feed = Feed::new(&settings().with_aws("profile", "no-such-profile"));
    let (message, _) = feed.refusal(&format!("s3://{LAYOUTS}/AWSLogs/"));
    assert!(message.contains("no-such-profile"), "{message}");
    let local = support::testdata("logs");
    assert!(!feed.read_all(local.to_str().expect("UTF-8")).is_empty());
}
