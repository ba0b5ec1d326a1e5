//! Each sample in `testdata/notifications/`, and malformed or hostile messages.
#![forbid(unsafe_code)]

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../testdata/notifications/", $name))
    };
}

const FIRST: &str = "AWSLogs/o-exampleorg/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T0850Z_q3Jm0aXo8ZtBn1Ld.json.gz";
const SECOND: &str = "AWSLogs/o-exampleorg/444455556666/CloudTrail/eu-central-1/2026/01/14/444455556666_CloudTrail_eu-central-1_20260114T0855Z_Wk6uYc2RvE9sTf4P.json.gz";
/// A key that would read differently if it were decoded.
const PLAIN: &str = "team+a%20b/AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/14/111122223333_CloudTrail_us-east-1_20260114T0850Z_q3Jm0aXo8ZtBn1Ld.json.gz";

fn objects(expected: &[(&str, &str, Option<u64>)]) -> Notification {
    let object = |&(bucket, key, size): &(&str, &str, _)| ObjectRef {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        size,
        version: None,
    };
    Notification::Objects(Parsed {
        objects: expected.iter().map(object).collect(),
        problems: Vec::new(),
    })
}

fn unknown(body: &str) -> &'static str {
    match parse(body) {
        Notification::Unknown(kind) => kind,
        other => panic!("{other:?} for {body}"),
    }
}

#[test]
fn cloudtrail_names_its_files_once_each() {
    let both = objects(&[
        ("example-trail", FIRST, None),
        ("example-trail", SECOND, None),
    ]);
    assert_eq!(parse(sample!("cloudtrail.json")), both);
    // This one names the first file twice.
    assert_eq!(parse(sample!("cloudtrail-in-sns.json")), both);
    assert_eq!(parse(sample!("sns-in-sns.json")), both);
}

#[test]
fn s3_names_created_objects() {
    let expected = objects(&[("example-trail", FIRST, Some(4711))]);
    assert_eq!(parse(sample!("s3-event.json")), expected);
    assert_eq!(parse(sample!("s3-event-in-sns.json")), expected);
}

#[test]
fn one_s3_event_may_name_several_buckets_and_encodes_its_keys() {
    let decoded = "team a=1/café/AWSLogs/444455556666/CloudTrail/eu-central-1/2026/01/14/444455556666_CloudTrail_eu-central-1_20260114T0855Z_Wk6uYc2RvE9sTf4P.json.gz";
    assert_eq!(
        parse(sample!("s3-event-two-buckets.json")),
        objects(&[
            ("example-trail", FIRST, Some(4711)),
            ("second.trail", decoded, Some(1_234_567)),
        ])
    );
}

#[test]
fn eventbridge_event_of_s3_names_one_object() {
    assert_eq!(
        parse(sample!("eventbridge.json")),
        objects(&[("example-trail", PLAIN, Some(4711))])
    );
    assert_eq!(
        parse(sample!("eventbridge-in-sns.json")),
        objects(&[("example-trail", FIRST, Some(4711))])
    );
}

#[test]
fn keys_of_cloudtrail_are_plain() {
    assert_eq!(
        parse(sample!("cloudtrail-plain-key.json")),
        objects(&[("example-trail", PLAIN, None)])
    );
}

#[test]
fn test_messages_and_events_of_removed_objects_are_ignored() {
    for body in [
        sample!("cloudtrail-validation.txt"),
        sample!("cloudtrail-validation-in-sns.json"),
        sample!("s3-test-event.json"),
        sample!("s3-test-event-in-sns.json"),
        sample!("s3-event-removed.json"),
        sample!("eventbridge-deleted.json"),
        "\"CloudTrail validation message.\"",
        "CloudTrail validation message.\n",
    ] {
        assert_eq!(parse(body), Notification::Ignored, "{body}");
    }
}

#[test]
fn unknown_messages_are_described() {
    for (body, kind) in [
        (sample!("not-json.txt"), "not JSON"),
        ("", "not JSON"),
        ("{\"s3Bucket\":\"example-trail\"", "not JSON"),
        ("null", "unknown format"),
        ("[]", "unknown format"),
        ("{}", "unknown format"),
        (sample!("sns-alarm.json"), "unknown format"),
        (sample!("sns-subscription.json"), "not confirmed"),
        (sample!("sns-without-message.json"), "without a message"),
        (
            sample!("sns-four-deep.json"),
            "too many nested SNS envelopes",
        ),
        (sample!("cloudtrail-without-keys.json"), "names no object"),
        (sample!("lambda-sqs-event.json"), "names no created object"),
        (sample!("eventbridge-of-ec2.json"), "not from S3"),
        (
            r#"{"source":"aws.s3","detail-type":"Object Created"}"#,
            "names no object",
        ),
    ] {
        let found = unknown(body);
        assert!(found.contains(kind), "{found} for {body}");
    }
}

fn parsed(body: &str) -> Parsed {
    match parse(body) {
        Notification::Objects(parsed) => parsed,
        other => panic!("{other:?} for {body}"),
    }
}

/// The only problem of a message without usable objects.
fn problem(body: &str) -> String {
    let parsed = parsed(body);
    assert_eq!(parsed.objects, [], "{body}");
    let [problem] = &parsed.problems[..] else {
        panic!("{parsed:?} for {body}");
    };
    problem.clone()
}

#[test]
fn invalid_bucket_names_and_keys_are_problems_with_a_reason() {
    let message = |bucket: &str, key: &str| {
        serde_json::json!({"s3Bucket": bucket, "s3ObjectKey": [key]}).to_string()
    };
    for bucket in [
        "",
        "ab",
        "a/b/c",
        "..",
        "../x",
        "a b c",
        "evil.example/?",
        "bücket",
        &"b".repeat(256),
    ] {
        let problem = problem(&message(bucket, "key.json"));
        let excerpt = &bucket[..bucket.len().min(80)];
        for part in [excerpt, "key.json", "bucket name is not valid"] {
            assert!(problem.contains(part), "{problem}");
        }
    }
    assert!(problem(&message("bucket", "")).ends_with("the key is empty"));
    let long = problem(&message("bucket", &"k".repeat(1025)));
    assert!(
        long.contains("\"kkkk") && long.ends_with("1025 bytes, more than 1024"),
        "{long}"
    );
    let longest = "k".repeat(1024);
    assert_eq!(
        parse(&message("My_old.bucket-1", &longest)),
        objects(&[("My_old.bucket-1", &longest, None)])
    );
    let encoded = r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"bucket"},"object":{"key":"a%FFb"}}}]}"#;
    let problem = problem(encoded);
    assert_eq!(
        problem,
        "bucket \"bucket\", key \"a%FFb\": the key is not UTF-8 after URL decoding"
    );
}

#[test]
fn malformed_parts_are_reported_beside_valid_ones() {
    let keys = r#"{"s3Bucket":"bucket","s3ObjectKey":[1,null,{},"a.json",["b.json"]]}"#;
    let found = parsed(keys);
    assert_eq!(found.objects.len(), 1);
    assert_eq!(found.objects[0].key, "a.json");
    assert_eq!(
        found.problems,
        [
            "s3ObjectKey[0] is not a string: 1",
            "s3ObjectKey[1] is not a string: none",
            "s3ObjectKey[2] is not a string: {}",
            "s3ObjectKey[4] is not a string: [\"b.json\"]",
        ]
    );
    let records = r#"{"Records":[1,{"s3":7},{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":1},"object":{"key":"c"}}},
        {"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"bucket"},"object":{}}},
        {"eventName":"ReducedRedundancyLostObject","s3":{"bucket":{"name":"bucket"},"object":{"key":"lost"}}},
        {"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"bucket"},"object":{"key":"gone"}}},
        {"eventName":"s3:ObjectCreated:Copy","s3":{"bucket":{"name":"bucket"},"object":{"key":"a.json","size":"?"}}}]}"#;
    let found = parsed(records);
    assert_eq!(found.objects.len(), 1);
    assert_eq!(
        (found.objects[0].key.as_str(), found.objects[0].size),
        ("a.json", None)
    );
    let expected = [
        "Records[0] is not an S3 event: 1",
        "Records[1] is not an S3 event: {\"s3\":7}",
        "bucket 1, key \"c\": the bucket name is not valid",
        "Records[3] has no key: ",
        "Records[4] is not about a created object: \"ReducedRedundancyLostObject\"",
    ];
    assert_eq!(
        found.problems.len(),
        expected.len(),
        "{:#?}",
        found.problems
    );
    for (problem, start) in found.problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn problems_are_bounded_and_the_rest_is_counted() {
    let keys = vec!["1"; 5000].join(",");
    let found = parsed(&format!(
        r#"{{"s3Bucket":"bucket","s3ObjectKey":[{keys}]}}"#
    ));
    assert_eq!(found.problems.len(), 1001);
    assert!(
        found
            .reason()
            .ends_with("[0] is not a string: 1 (and 1000 more)")
    );
    assert_eq!(found.problems[1000], "4000 more unusable parts");
    let long = parsed(&format!(
        r#"{{"s3Bucket":"bucket","s3ObjectKey":[["{}"]]}}"#,
        "é".repeat(9999)
    ));
    assert!(long.problems[0].len() < 300, "{long:?}");
}

#[test]
fn versions_of_objects_are_kept() {
    let of_s3 = |version: &str| {
        format!(
            r#"{{"Records":[{{"eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"bucket"}},"object":{{"key":"a.json","versionId":{version}}}}}}}]}}"#
        )
    };
    let of_eventbridge = |version: &str| {
        format!(
            r#"{{"source":"aws.s3","detail-type":"Object Created","detail":{{"bucket":{{"name":"bucket"}},"object":{{"key":"a.json","version-id":{version}}}}}}}"#
        )
    };
    for (written, version) in [
        (r#""3HL4kqtJlcpXrof3vjVBH""#, Some("3HL4kqtJlcpXrof3vjVBH")),
        (r#""null""#, None),
        (r#""""#, None),
        ("null", None),
        ("7", None),
    ] {
        for body in [of_s3(written), of_eventbridge(written)] {
            assert_eq!(
                parsed(&body).objects[0].version.as_deref(),
                version,
                "{body}"
            );
        }
    }
}

#[test]
fn records_in_a_message_are_never_ignored() {
    let record = r#"{"eventVersion":"1.11","eventTime":"2026-01-14T08:50:00Z","eventSource":"s3.amazonaws.com","eventName":"DeleteObject","eventID":"1"}"#;
    let event = |source: &str, kind: &str| {
        format!(r#"{{"source":"{source}","detail-type":"{kind}","detail":{record}}}"#)
    };
    let in_sns =
        |body: &str| serde_json::json!({"Type": "Notification", "Message": body}).to_string();
    for body in [
        event("aws.s3", "AWS API Call via CloudTrail"),
        event("aws.signin", "AWS Console Sign In via CloudTrail"),
        event("aws.s3", "Object Deleted"),
        r#"{"source":"aws.s3","detail-type":"AWS Insight via CloudTrail","detail":null}"#
            .to_owned(),
        format!(r#"{{"detail":{record}}}"#),
        record.to_owned(),
        format!(r#"{{"Records":[{record}]}}"#),
        format!("[{record},{record}]"),
        format!("{record}\n{record}\n"),
    ] {
        for body in [in_sns(&body), body] {
            let kind = unknown(&body);
            assert!(
                kind.contains("CloudTrail record") && kind.contains("not supported"),
                "{kind} for {body}"
            );
        }
    }
}

#[test]
fn only_events_of_removed_restored_and_tagged_objects_are_ignored() {
    let of_s3 = |name: &str| {
        format!(
            r#"{{"Records":[{{"eventName":"{name}","s3":{{"bucket":{{"name":"bucket"}},"object":{{"key":"a"}}}}}}]}}"#
        )
    };
    let of_eventbridge =
        |kind: &str| format!(r#"{{"source":"aws.s3","detail-type":"{kind}","detail":{{}}}}"#);
    for body in [
        of_s3("ObjectRemoved:DeleteMarkerCreated"),
        of_s3("LifecycleExpiration:Delete"),
        of_s3("s3:ObjectRestore:Completed"),
        of_s3("ObjectTagging:Put"),
        of_eventbridge("Object Deleted"),
        of_eventbridge("Object Restore Completed"),
        of_eventbridge("Object Tags Added"),
    ] {
        assert_eq!(parse(&body), Notification::Ignored, "{body}");
    }
    for name in [
        "ObjectAcl:Put",
        "Replication:OperationFailedReplication",
        "Anything",
    ] {
        assert!(
            problem(&of_s3(name)).contains("is not about a created object"),
            "{name}"
        );
    }
    for kind in ["Object ACL Updated", "object created", ""] {
        assert!(unknown(&of_eventbridge(kind)).contains("not about a created object"));
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = "[".repeat(100_000);
    assert!(unknown(&deep).contains("not JSON"));
    let long = format!("{{\"s3Bucket\":\"{}\"}}", "b".repeat(MAX_BODY));
    assert!(unknown(&long).contains("larger"));
}
