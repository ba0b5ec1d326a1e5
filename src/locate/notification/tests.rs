//! Each sample below `testdata/notifications/`, and what no honest sender writes.
#![forbid(unsafe_code)]

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../testdata/notifications/", $name))
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
    };
    Notification::Objects(expected.iter().map(object).collect())
}

fn unknown(body: &str) -> &'static str {
    match recognise(body) {
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
    assert_eq!(recognise(sample!("cloudtrail.json")), both);
    // The first file stands in this one twice.
    assert_eq!(recognise(sample!("cloudtrail-in-sns.json")), both);
    assert_eq!(recognise(sample!("sns-in-sns.json")), both);
}

#[test]
fn s3_names_created_objects() {
    let expected = objects(&[("example-trail", FIRST, Some(4711))]);
    assert_eq!(recognise(sample!("s3-event.json")), expected);
    assert_eq!(recognise(sample!("s3-event-in-sns.json")), expected);
}

#[test]
fn one_s3_event_may_name_several_buckets_and_encodes_its_keys() {
    let decoded = "team a=1/café/AWSLogs/444455556666/CloudTrail/eu-central-1/2026/01/14/444455556666_CloudTrail_eu-central-1_20260114T0855Z_Wk6uYc2RvE9sTf4P.json.gz";
    assert_eq!(
        recognise(sample!("s3-event-two-buckets.json")),
        objects(&[
            ("example-trail", FIRST, Some(4711)),
            ("second.trail", decoded, Some(1_234_567)),
        ])
    );
}

#[test]
fn eventbridge_names_one_object_in_s3s_stead() {
    assert_eq!(
        recognise(sample!("eventbridge.json")),
        objects(&[("example-trail", PLAIN, Some(4711))])
    );
    assert_eq!(
        recognise(sample!("eventbridge-in-sns.json")),
        objects(&[("example-trail", FIRST, Some(4711))])
    );
}

#[test]
fn keys_of_cloudtrail_are_plain() {
    assert_eq!(
        recognise(sample!("cloudtrail-plain-key.json")),
        objects(&[("example-trail", PLAIN, None)])
    );
}

#[test]
fn tests_and_news_of_other_things_than_creation_are_quiet() {
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
        assert_eq!(recognise(body), Notification::Quiet, "{body}");
    }
}

#[test]
fn what_is_nothing_of_ours_is_told_by_kind() {
    for (body, kind) in [
        (sample!("not-json.txt"), "not JSON"),
        ("", "not JSON"),
        ("{\"s3Bucket\":\"example-trail\"", "not JSON"),
        ("null", "another kind"),
        ("[]", "another kind"),
        ("{}", "another kind"),
        (sample!("sns-alarm.json"), "another kind"),
        (sample!("sns-subscription.json"), "confirmed"),
        (sample!("sns-without-message.json"), "without a message"),
        (sample!("sns-four-deep.json"), "too many SNS envelopes"),
        (sample!("cloudtrail-without-keys.json"), "names no object"),
        (sample!("lambda-sqs-event.json"), "names no created object"),
        (sample!("eventbridge-of-ec2.json"), "not of S3"),
        (
            r#"{"source":"aws.s3","detail-type":"Object Created"}"#,
            "names no object",
        ),
    ] {
        let found = unknown(body);
        assert!(found.contains(kind), "{found} for {body}");
    }
}

#[test]
fn what_no_bucket_and_no_key_can_be_is_not_asked_for() {
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
        unknown(&message(bucket, "key.json"));
    }
    for key in [String::new(), "k".repeat(1025)] {
        unknown(&message("bucket", &key));
    }
    let longest = "k".repeat(1024);
    assert_eq!(
        recognise(&message("My_old.bucket-1", &longest)),
        objects(&[("My_old.bucket-1", &longest, None)])
    );
}

#[test]
fn values_of_the_wrong_type_hide_no_other_object() {
    let keys = r#"{"s3Bucket":"bucket","s3ObjectKey":[1,null,{},"a.json",["b.json"]]}"#;
    assert_eq!(recognise(keys), objects(&[("bucket", "a.json", None)]));
    let records = r#"{"Records":[1,{"s3":7},{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":1}}},
        {"eventName":"s3:ObjectCreated:Copy","s3":{"bucket":{"name":"bucket"},"object":{"key":"a.json","size":"?"}}}]}"#;
    assert_eq!(recognise(records), objects(&[("bucket", "a.json", None)]));
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = "[".repeat(100_000);
    assert!(unknown(&deep).contains("not JSON"));
    let long = format!("{{\"s3Bucket\":\"{}\"}}", "b".repeat(LONGEST_BODY));
    assert!(unknown(&long).contains("longer"));
}

#[test]
fn urls_are_decoded_byte_by_byte() {
    for (encoded, decoded) in [
        ("", Some("")),
        ("a+b", Some("a b")),
        ("a%2Bb%2fc", Some("a+b/c")),
        ("%E2%82%AC", Some("€")),
        ("100%", Some("100%")),
        ("%4", Some("%4")),
        ("%zz%+1", Some("%zz% 1")),
        ("%%41", Some("%A")),
        ("%2541", Some("%41")),
        ("ä+ö", Some("ä ö")),
        ("%FF", None),
    ] {
        assert_eq!(url_decoded(encoded).as_deref(), decoded, "{encoded}");
    }
}
