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

/// Parses a body; the result lives as long as the test.
fn parse(body: &str) -> Notification<'static> {
    Box::leak(Box::<Parser>::default()).parse(Box::leak(Box::new(body.to_owned())))
}

fn objects(expected: &[(&'static str, &'static str, Option<u64>)]) -> Notification<'static> {
    let object = |&(bucket, key, size): &(&'static str, &'static str, _)| ObjectRef {
        bucket: bucket.into(),
        key: key.into(),
        size,
        version: None,
    };
    Notification::Objects(Parsed {
        objects: expected.iter().map(object).collect(),
        ..Parsed::default()
    })
}

/// The records in a body, without its envelopes, and whether they are one Insights record.
fn records(body: &str) -> Option<(String, bool)> {
    let mut text = body.to_owned();
    let mut parser = Parser::default();
    match parser.parse(&mut text) {
        Notification::Records(found) => {
            let is_insight = found.is_insight;
            Some((text[found.range].to_owned(), is_insight))
        }
        _ => None,
    }
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

fn parsed(body: &str) -> Parsed<'static> {
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
    let longest: &'static str = "k".repeat(1024).leak();
    assert_eq!(
        parse(&message("My_old.bucket-1", longest)),
        objects(&[("My_old.bucket-1", longest, None)])
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
        (&*found.objects[0].key, found.objects[0].size),
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
    assert_eq!(found.problems[0], "s3ObjectKey[0] is not a string: 1");
    assert_eq!((found.problems.len(), found.more_problems), (1000, 4000));
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

/// A record of a call to S3. Its members further inside look like those of notifications.
const RECORD: &str = r#"{"eventVersion":"1.11","eventTime":"2026-01-14T08:50:00Z","eventSource":"s3.amazonaws.com","eventName":"DeleteObject","requestParameters":{"s3Bucket":"b","s3ObjectKey":["k"],"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"bucket"},"object":{"key":"k"}}}],"Event":"s3:TestEvent"},"userAgent":"\ud800 \"CloudTrail validation message.\"","eventID":"1"}"#;

fn in_sns(body: &str) -> String {
    serde_json::json!({"Type": "Notification", "Message": body}).to_string()
}

#[test]
fn records_in_a_message_are_found_byte_for_byte() {
    let event = |source: &str, kind: &str| {
        format!(r#" {{"source":"{source}","detail-type":"{kind}","detail": {RECORD} }} "#)
    };
    let list = format!(r#"{{"Records":[{RECORD}]}}"#);
    let array = format!("[{RECORD},{RECORD}]");
    let lines = format!("{RECORD}\n{RECORD}\n");
    let cut_off = format!(r#"{{ "Records" : [{RECORD},{}"#, &RECORD[..100]);
    for (body, text) in [
        (event("aws.s3", "AWS API Call via CloudTrail"), RECORD),
        (
            event("aws.signin", "AWS Console Sign In via CloudTrail"),
            RECORD,
        ),
        (event("aws.s3", "Object Deleted"), RECORD),
        (event("aws.s3", "Object Created"), RECORD),
        (format!(r#"{{"detail":{RECORD}}}"#), RECORD),
        (
            format!(r#"{{"s3Bucket":"b","s3ObjectKey":["k"],"detail":{RECORD}}}"#),
            RECORD,
        ),
        (RECORD.to_owned(), RECORD),
        (list.clone(), &list),
        (array.clone(), &array),
        (lines.clone(), &lines),
        (cut_off.clone(), &cut_off),
    ] {
        for body in [in_sns(&body), in_sns(&in_sns(&body)), body] {
            assert_eq!(records(&body), Some((text.to_owned(), false)), "{body}");
        }
    }
}

/// A CloudWatch Logs envelope with this text as its only log event.
fn log_envelope(kind: &str, text: &str) -> String {
    let event = serde_json::json!({"id": "1", "timestamp": 1, "message": text});
    format!(r#"{{"messageType":"{kind}","owner":"1","logEvents":[{event}]}}"#)
}

#[test]
fn every_format_of_a_log_file_is_accepted_as_a_body() {
    let event = format!(
        r#"{{"source":"aws.s3","detail-type":"AWS API Call via CloudTrail","detail":{RECORD}}}"#
    );
    let lookup = serde_json::json!({"Events": [{"EventId": "1", "CloudTrailEvent": RECORD}]});
    let envelope = log_envelope("DATA_MESSAGE", RECORD);
    for body in [
        format!("\u{feff}[{RECORD}]"),
        format!("\u{feff}{RECORD}\n{RECORD}"),
        format!("[{event},{event}]"),
        envelope.clone(),
        format!("{envelope}{envelope}"),
        format!("[{envelope}]"),
        lookup.to_string(),
        format!("2026-01-14T08:50:00.000Z {RECORD}\n2026-01-14T08:50:01.000Z {RECORD}\n"),
    ] {
        for text in [in_sns(&body), body.clone()] {
            let (found, is_insight) = records(&text).expect("records");
            let without_mark = |text: &str| text.trim_start_matches('\u{feff}').to_owned();
            assert_eq!(without_mark(&found), without_mark(&body));
            assert!(!is_insight);
        }
    }
    let marked = format!("\u{feff} {{\"Records\":[{RECORD}]}}");
    assert_eq!(
        records(&marked),
        Some((format!("{{\"Records\":[{RECORD}]}}"), false))
    );
    let marked = "\u{feff}{\"s3Bucket\":\"bucket\",\"s3ObjectKey\":[\"a.json\"]}";
    assert_eq!(parsed(marked).objects.len(), 1);
}

#[test]
fn empty_log_and_probe_of_a_destination_are_ignored() {
    for body in [
        r#"{"Records":[]}"#.to_owned(),
        "\u{feff}{ \"Records\" : [ ] }".to_owned(),
        log_envelope("CONTROL_MESSAGE", "CWL CONTROL MESSAGE: x"),
    ] {
        for body in [in_sns(&body), body] {
            assert_eq!(parse(&body), Notification::Ignored, "{body}");
        }
    }
}

#[test]
fn other_logs_in_a_body_are_unknown() {
    let other = r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change","detail":{}}"#;
    for body in [
        log_envelope("DATA_MESSAGE", "START RequestId: eventTime"),
        log_envelope("DATA_MESSAGE", "{}"),
        r#"{"Events":[{"EventId":"1"}]}"#.to_owned(),
        format!("[{other}]"),
        "2026-01-14T08:50:00Z START".to_owned(),
        "2026-01-14T08:50:00Z {}".to_owned(),
    ] {
        unknown(&body);
    }
}

#[test]
fn record_without_a_time_keeps_the_event_around_it_for_its_time() {
    let detail = r#"{"eventName":"x","eventSource":"s3.amazonaws.com"}"#;
    let event = format!(
        r#"{{"detail-type":"AWS API Call via CloudTrail","time":"2026-01-14T08:50:00Z","detail":{detail}}}"#
    );
    assert_eq!(records(&event), Some((event.clone(), false)));
    let timed = event.replace(detail, RECORD);
    assert_eq!(records(&timed), Some((RECORD.to_owned(), false)));
}

#[test]
fn records_of_the_samples_are_found() {
    for (body, id) in [
        (sample!("record-in-eventbridge.json"), "in-eventbridge"),
        (sample!("record-in-eventbridge-in-sns.json"), "in-sns"),
        (sample!("record.json"), "in-body"),
        (sample!("records-log.json"), "in-log"),
    ] {
        let (text, is_insight) = records(body).expect("records");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let record = record.pointer("/Records/0").unwrap_or(&record);
        assert_eq!((&record["eventID"], is_insight), (&id.into(), false));
    }
}

#[test]
fn record_is_neither_a_notification_nor_ignored_whatever_its_own_members_are() {
    for member in [
        r#""s3":{"bucket":{"name":"bucket"},"object":{"key":"k"}}"#,
        r#""s3Bucket":"bucket","s3ObjectKey":["k"]"#,
        r#""Event":"s3:TestEvent""#,
        r#""Type":"Notification","Message":"CloudTrail validation message.""#,
        r#""source":"aws.s3","detail-type":"Object Deleted","detail":{}"#,
        r#""Records":[{"eventName":"ObjectRemoved:Delete","s3":{}}]"#,
    ] {
        let record = format!(
            "{},{member}}}",
            RECORD.strip_suffix('}').expect("an object")
        );
        assert_eq!(records(&record), Some((record.clone(), false)));
        let event =
            format!(r#"{{"detail":{record},"detail-type":"Object Created","source":"aws.s3"}}"#);
        assert_eq!(records(&event), Some((record.clone(), false)));
        let list = format!(r#"{{"Records":[{record}]}}"#);
        assert_eq!(records(&list), Some((list.clone(), false)));
    }
}

#[test]
fn records_of_every_kind_are_recognized() {
    for (record, is_insight) in [
        (
            r#"{"eventVersion":"1.01","eventTime":"2013-11-01T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser"}"#,
            false,
        ),
        (
            r#"{"eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","eventId":"1","timeWindow":{"windowStart":"2026-01-14T08:50:00Z"}}"#,
            false,
        ),
        (
            r#"{"@timestamp":"2026-01-14T08:50:00Z","eventType":"AwsApiCall"}"#,
            false,
        ),
        (
            r#"{"eventTime":"2026-01-14T08:50:00Z","eventType":"AwsCloudTrailInsight","insightDetails":{}}"#,
            true,
        ),
    ] {
        assert_eq!(records(record), Some((record.to_owned(), is_insight)));
    }
    let insight = r#"{"detail-type":"AWS Insight via CloudTrail","detail":{"insightDetails":{}}}"#;
    assert_eq!(
        records(insight),
        Some((r#"{"insightDetails":{}}"#.to_owned(), true))
    );
    for body in [
        r#"{"source":"aws.s3","detail-type":"AWS API Call via CloudTrail","detail":null}"#,
        r#"{"source":"aws.s3","detail-type":"AWS API Call via CloudTrail"}"#,
    ] {
        assert!(unknown(body).contains("without a record"), "{body}");
    }
    let mixed = format!(
        r#"{{"Records":[{RECORD},{{"eventName":"ObjectCreated:Put","eventSource":"aws:s3","s3":{{"bucket":{{"name":"bucket"}},"object":{{"key":"a"}}}}}}]}}"#
    );
    let found = parsed(&mixed);
    assert_eq!(found.objects.len(), 1);
    assert!(found.problems[0].starts_with("Records[0] is"), "{found:?}");
}

#[test]
fn text_around_a_message_makes_it_unknown() {
    let message = r#"{"s3Bucket":"bucket","s3ObjectKey":["a.json"]}"#;
    for body in [
        format!("{message} x"),
        format!("x {message}"),
        format!("{message}{message}"),
        format!("{}x", in_sns(message)),
        in_sns(&format!("{message}]")),
    ] {
        assert!(unknown(&body).contains("not JSON"), "{body}");
    }
    let spaced = format!("\n\t {message}\r\n ");
    assert_eq!(parse(&spaced), objects(&[("bucket", "a.json", None)]));
}

#[path = "../../../../tests/oracle/notification.rs"]
mod oracle;

mod agreement {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::{Value, json};

    use super::oracle::{Expected, expected};
    use super::*;

    /// Members and texts that decide what a message is.
    const WORDS: [&str; 34] = [
        "Type",
        "Message",
        "Notification",
        "Event",
        "s3:TestEvent",
        "s3Bucket",
        "s3ObjectKey",
        "Records",
        "detail-type",
        "detail",
        "source",
        "aws.s3",
        "Object Created",
        "Object Deleted",
        "AWS API Call via CloudTrail",
        "AWS Insight via CloudTrail",
        "s3",
        "bucket",
        "name",
        "object",
        "key",
        "size",
        "eventTime",
        "eventName",
        "eventSource",
        "eventType",
        "aws:s3",
        "s3.amazonaws.com",
        "ObjectCreated:Put",
        "ObjectRemoved:Delete",
        "AwsApiCall",
        "null",
        "a+b%2Fc%",
        "\u{1f600}\"\\\n",
    ];

    fn word() -> impl Strategy<Value = String> {
        select(&WORDS[..]).prop_map(str::to_owned)
    }

    /// Any value made of these words.
    fn any_value() -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<u32>().prop_map(Value::from),
            word().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(word(), inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
        .boxed()
    }

    /// Mostly one of these values.
    fn slot(values: &[Value]) -> impl Strategy<Value = Value> + use<> {
        prop_oneof![8 => select(values.to_vec()), 1 => any_value()]
    }

    /// Messages of all formats, mostly right.
    fn message() -> impl Strategy<Value = Value> {
        let name = slot(&[
            json!("ObjectCreated:Put"),
            json!("s3:ObjectCreated:Copy"),
            json!("ObjectRemoved:Delete"),
        ]);
        let source = slot(&[json!("aws:s3"), json!("s3.amazonaws.com"), json!(null)]);
        let bucket = || slot(&[json!("bucket"), json!("b"), json!("other.bucket")]);
        let key = || {
            slot(&[
                json!("a+b"),
                json!("a%20b"),
                json!("%FF"),
                json!(""),
                json!("a\"\u{e9}"),
            ])
        };
        let size = || slot(&[json!(1), json!(-1), json!(1.5), json!(u64::MAX)]);
        let event = (name, source, bucket(), key(), size(), any_value()).prop_map(
            |(name, source, bucket, key, size, version)| {
                json!({"eventName": name, "eventSource": source, "eventTime": "t",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": size, "versionId": version}}})
            },
        );
        let record = slot(&[json!("AwsApiCall"), json!("AwsCloudTrailInsight")])
            .prop_map(|kind| json!({"eventTime": "t", "eventName": "n", "eventSource": "s", "eventType": kind})).boxed();
        let kind = slot(&[
            json!("Object Created"),
            json!("Object Deleted"),
            json!("AWS API Call via CloudTrail"),
            json!("AWS Insight via CloudTrail"),
        ]);
        let detail = (bucket(), key(), size()).prop_map(|(bucket, key, size)| {
            json!({"bucket": {"name": bucket}, "object": {"key": key, "size": size, "version-id": "v"}})
        });
        let detail = prop_oneof![detail, record.clone(), any_value()];
        let list = prop::collection::vec(
            prop_oneof![4 => event, 1 => record.clone(), 1 => any_value()],
            0..4,
        );
        prop_oneof![
            any_value(),
            record,
            list.prop_map(|events| json!({"Records": events})),
            (bucket(), prop::collection::vec(key(), 0..4))
                .prop_map(|(bucket, keys)| json!({"s3Bucket": bucket, "s3ObjectKey": keys})),
            (kind, detail, slot(&[json!("aws.s3"), json!("aws.ec2")])).prop_map(
                |(kind, detail, source)| {
                    json!({"detail-type": kind, "detail": detail, "source": source})
                }
            ),
        ]
    }

    /// JSON with every character of its strings escaped, and white space between its tokens.
    fn escaped(value: &Value) -> String {
        let string = |text: &str| {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            format!("\"{}\"", units.collect::<String>())
        };
        match value {
            Value::String(text) => string(text),
            Value::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(escaped).collect();
                format!("[ {} ]", elements.join(" ,\n"))
            }
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("{} : {}", string(key), escaped(value)))
                    .collect();
                format!("{{ {} }}", members.join(" ,\t"))
            }
            other => other.to_string(),
        }
    }

    fn found(body: &str) -> Expected {
        if let Some((text, is_insight)) = records(body) {
            let value = serde_json::from_str(&text).expect("the records are valid JSON");
            return Expected::Records(value, is_insight);
        }
        match parse(body) {
            Notification::Objects(parsed) => {
                let objects = parsed.objects.into_iter().map(|object| {
                    let version = object.version.map(Cow::into_owned);
                    (
                        object.bucket.into_owned(),
                        object.key.into_owned(),
                        object.size,
                        version,
                    )
                });
                Expected::Objects(objects.collect(), parsed.problems.len())
            }
            Notification::Ignored => Expected::Ignored,
            Notification::Records(_) | Notification::Unknown(_) => Expected::Unknown,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn parser_agrees_with_a_second_implementation(message in message(), envelopes in 0..5_usize) {
            for text in [message.to_string(), escaped(&message)] {
                let mut body = text;
                for _ in 0..envelopes {
                    body = in_sns(&body);
                }
                let message = serde_json::from_str(&body).expect("JSON");
                prop_assert_eq!(found(&body), expected(&message), "{}", body);
            }
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "[\\[\\]{}\":,a-zé0-9 \\\\]{0,80}") {
            let _ = (parse(&text), parse(&in_sns(&text)));
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
