//! Accepted and rejected configurations, and the schema.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn config(text: &str) -> Config {
    let (config, warnings) = parse(text).expect(text);
    assert_eq!(warnings, Vec::<String>::new(), "{text}");
    config
}

fn rejection(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Config);
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn property(path: &str) -> Value {
    let schema = schema::value();
    let found = schema.pointer(&format!(
        "/properties/{}",
        path.replace('.', "/properties/")
    ));
    found.expect(path).clone()
}

#[test]
fn blank_text_is_an_object_without_keys() {
    for text in ["", " ", "\n\t ", "{}", " { } ", "null", " null\n"] {
        assert_eq!(config(text), Config::default(), "{text:?}");
    }
}

#[test]
fn defaults_match_the_documentation() {
    let config = Config::default();
    assert!(config.sqs_delete && config.use_async);
    assert!(!config.use_s3_sns && !config.include_insights);
    assert_eq!(config.sqs_delete_when, SqsDeleteWhen::Delivered);
    assert_eq!(config.s3_on_error, OnError::Skip);
    assert_eq!(config.sqs_wait_seconds, 20);
    assert_eq!(config.sqs_visibility_timeout(), None);
    assert_eq!(config.s3_retry_for(), Duration::from_secs(1800));
    assert_eq!(config.lost_log, "");
    assert!(config.sqs_records && config.sqs_allowed_buckets.is_empty());
    assert_eq!(config.sqs_max_age(), None);
    assert_eq!(config.sqs_max_receives, 5);
    assert_eq!(config.s3_download_concurrency, 32);
    assert_eq!(config.max_buffered_bytes, 268_435_456);
    assert_eq!(config.max_object_bytes, 1_073_741_824);
    let cores = std::thread::available_parallelism().expect("a count").get();
    assert_eq!(config.decode_threads(), (cores - 1).clamp(1, 64));
}

#[test]
fn every_key_is_read() {
    let config = config(
        r#"{
            "sqsDelete": false, "sqsDeleteWhen": "received", "sqsOwnerAccount": "123456789012",
            "sqsWaitSeconds": 0, "sqsVisibilityTimeout": 60, "sqsMaxReceives": 3, "useS3SNS": true,
            "sqsRecords": false, "sqsAllowedBuckets": ["trail", "logs-*"], "sqsMaxAge": "7d",
            "s3DownloadConcurrency": 1024, "s3Interval": "5d-2d",
            "s3AccountList": "123456789012, 210987654321 ,123456789012", "s3OnError": "fail", "s3RetryFor": "2h",
            "lostLog": "/var/log/lost.jsonl", "useAsync": false, "includeInsights": true, "decodeThreads": 3,
            "dropEvents": [{"ct.src": ["a", "b*"], "ct.readonly": true, "ct.error": null, "s3.bytes": 0}],
            "dedupWindow": 100000000, "maxBufferedBytes": 1, "maxObjectBytes": 18446744073709551615,
            "aws": {
                "profile": "p", "region": "eu-west-1", "config": "/c", "credentials": "/d",
                "endpoint": "http://localhost:4566", "roleArn": "arn:aws:iam::1:role/r",
                "externalId": "x", "roleSessionName": "s", "useFips": true, "useDualstack": true
            }
        }"#,
    );
    assert_eq!(config.s3_accounts(), ["123456789012", "210987654321"]);
    assert_eq!(config.decode_threads(), 3);
    assert_eq!(config.sqs_visibility_timeout(), Some(60));
    assert_eq!(config.s3_retry_for(), Duration::from_secs(7200));
    assert_eq!(config.set_keys.len(), 33, "{:?}", config.set_keys);
    let expected = Config {
        sqs_delete: false,
        sqs_delete_when: SqsDeleteWhen::Received,
        sqs_owner_account: "123456789012".into(),
        sqs_wait_seconds: 0,
        sqs_visibility_timeout: 60,
        sqs_max_receives: 3,
        sqs_records: false,
        sqs_allowed_buckets: vec!["trail".into(), "logs-*".into()],
        sqs_max_age: "7d".into(),
        use_s3_sns: true,
        s3_download_concurrency: 1024,
        s3_interval: "5d-2d".into(),
        s3_account_list: "123456789012, 210987654321 ,123456789012".into(),
        s3_on_error: OnError::Fail,
        s3_retry_for: "2h".into(),
        s3_follow: String::new(),
        s3_state: String::new(),
        use_async: false,
        include_insights: true,
        decode_threads: 3,
        max_buffered_bytes: 1,
        max_object_bytes: u64::MAX,
        lost_log: "/var/log/lost.jsonl".into(),
        dedup_window: 100_000_000,
        drop_events: vec![BTreeMap::from([
            ("ct.src".into(), json!(["a", "b*"])),
            ("ct.readonly".into(), json!(true)),
            ("ct.error".into(), json!(null)),
            ("s3.bytes".into(), json!(0)),
        ])],
        aws: Aws {
            profile: "p".into(),
            region: "eu-west-1".into(),
            config: "/c".into(),
            credentials: "/d".into(),
            endpoint: "http://localhost:4566".into(),
            role_arn: "arn:aws:iam::1:role/r".into(),
            external_id: "x".into(),
            role_session_name: "s".into(),
            use_fips: true,
            use_dualstack: true,
        },
        set_keys: config.set_keys.clone(),
    };
    assert_eq!(config, expected);
}

#[test]
fn keys_match_in_any_case_at_both_levels() {
    let config = config(r#"{"S3INTERVAL": "5d", "uses3sns": true, "AWS": {"RoleARN": "r"}}"#);
    assert_eq!(config.s3_interval, "5d");
    assert!(config.use_s3_sns);
    assert_eq!(config.aws.role_arn, "r");
    assert_eq!(config.set_keys, ["s3Interval", "useS3SNS", "aws.roleArn"]);
}

#[test]
fn events_to_drop_are_objects_of_texts_lists_and_null() {
    for (value, problem) in [
        (
            r#"{"ct.src": "x"}"#,
            r#"dropEvents: {"ct.src":"x"} is not allowed; allowed is a list in which each element is an object"#,
        ),
        (
            r#"["x"]"#,
            r#"dropEvents[0]: "x" is not allowed; allowed is an object of field names and values"#,
        ),
        (
            r#"[{}, {"ct.src": 1.5}]"#,
            r#"dropEvents[1]["ct.src"]: 1.5 is not allowed; allowed is a text, true, false, an integer, null or a list"#,
        ),
        (
            r#"[{"ct.src": ["a", null]}]"#,
            r#"dropEvents[0]["ct.src"][1]: null is not allowed; allowed is a text, true, false, an integer"#,
        ),
        (
            r#"[{"ct.src": {"a": 1}}]"#,
            r#"dropEvents[0]["ct.src"]: {"a":1} is not allowed"#,
        ),
        (
            r#"[{"ct.src": "a", "ct.src": "b"}]"#,
            r#"dropEvents[0]["ct.src"] is set more than once; use a list"#,
        ),
        ("null", "dropEvents: null is not allowed; allowed is a list"),
    ] {
        let message = rejection(&format!(r#"{{"dropEvents": {value}}}"#));
        assert!(message.starts_with(problem), "{message}");
    }
    let config = config(r#"{"DROPEVENTS": [{"ct.src": 20.0, "ct.name": -1}]}"#);
    assert_eq!(config.drop_events[0]["ct.src"], json!(20));
    assert_eq!(config.drop_events[0]["ct.name"], json!(-1));
    assert_eq!(config.set_keys, ["dropEvents"]);
}

#[test]
fn zero_means_the_default_of_visibility_timeout_and_threads() {
    let config = config(r#"{"sqsVisibilityTimeout": 0, "decodeThreads": 0}"#);
    assert_eq!(config.sqs_visibility_timeout(), None);
    assert_eq!(config.decode_threads(), Config::default().decode_threads());
}

#[test]
fn retry_durations_have_units_and_bounds() {
    for (text, seconds) in [
        ("1s", 1),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1d", 86_400),
        ("7d", 604_800),
        ("1w", 604_800),
    ] {
        let config = config(&format!(r#"{{"s3RetryFor": "{text}"}}"#));
        assert_eq!(
            config.s3_retry_for(),
            Duration::from_secs(seconds),
            "{text}"
        );
    }
}

#[test]
fn integer_may_be_written_as_a_float() {
    assert_eq!(config(r#"{"sqsWaitSeconds": 5.0}"#).sqs_wait_seconds, 5);
    assert_eq!(
        config(r#"{"maxObjectBytes": 1e9}"#).max_object_bytes,
        1_000_000_000
    );
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
    for (text, unknown, nearest) in [
        (r#"{"sqsDelet": {"a": [1]}}"#, "sqsDelet", "sqsDelete"),
        (
            r#"{"s3DownloadConcurency": 0}"#,
            "s3DownloadConcurency",
            "s3DownloadConcurrency",
        ),
        (r#"{"aws": {"regoin": null}}"#, "aws.regoin", "aws.region"),
        (r#"{"region": "eu-west-1"}"#, "region", "aws.region"),
        (
            r#"{"aws": {"s3interval": "5d"}}"#,
            "aws.s3interval",
            "s3Interval",
        ),
        (r#"{"aws.region": "eu-west-1"}"#, "aws.region", "aws.region"),
    ] {
        let (config, warnings) = parse(text).expect(text);
        assert_eq!(config, Config::default(), "{text}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let (unknown, nearest) = (format!("key \"{unknown}\""), format!("is \"{nearest}\""));
        assert!(
            warnings[0].contains(&unknown) && warnings[0].contains(&nearest),
            "{warnings:?}"
        );
    }
}

#[test]
fn warning_about_a_dotted_key_shows_the_object_form() {
    let (_, warnings) = parse(r#"{"AWS.Region": "eu-west-1"}"#).expect("a warning at most");
    let place = r#"is "aws.region", written {"aws": {"region": …}}"#;
    assert!(warnings[0].ends_with(place), "{warnings:?}");
}

#[test]
fn value_of_an_unknown_key_is_not_logged() {
    let (_, warnings) = parse(r#"{"aws": {"secretKey": "hush"}}"#).expect("a warning at most");
    assert_eq!(warnings.len(), 1);
    assert!(!warnings[0].contains("hush"), "{warnings:?}");
}

#[test]
fn last_of_a_repeated_key_counts() {
    for text in [
        r#"{"s3Interval": "5d", "S3Interval": "2d"}"#,
        r#"{"S3Interval": false, "s3Interval": "2d"}"#,
        r#"{"s3Interval": "5d", "s3Interval": "2d"}"#,
    ] {
        let (config, warnings) = parse(text).expect(text);
        assert_eq!(config.s3_interval, "2d", "{text}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("\"s3Interval\" is set more than once"),
            "{warnings:?}"
        );
    }
    let text = r#"{"aws": {"region": "a", "profile": "p"}, "Aws": {"region": "b", "REGION": "c"}}"#;
    let (config, warnings) = parse(text).expect(text);
    assert_eq!(
        (config.aws.region.as_str(), config.aws.profile.as_str()),
        ("c", "")
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].contains("\"aws.region\""), "{warnings:?}");
}

#[test]
fn invalid_value_is_an_error_with_key_value_and_allowed_values() {
    for (text, parts) in [
        (
            r#"{"sqsDelete": "true"}"#,
            ["sqsDelete: \"true\" ", "true or false"],
        ),
        (r#"{"SQSDELETE": 1}"#, ["sqsDelete: 1 ", "true or false"]),
        (
            r#"{"useAsync": null}"#,
            ["useAsync: null ", "true or false"],
        ),
        (
            r#"{"sqsDeleteWhen": "Received"}"#,
            [
                "sqsDeleteWhen: \"Received\" ",
                "\"delivered\" or \"received\"",
            ],
        ),
        (
            r#"{"s3OnError": true}"#,
            ["s3OnError: true ", "\"skip\" or \"fail\""],
        ),
        (
            r#"{"sqsOwnerAccount": 123456789012}"#,
            ["sqsOwnerAccount: 123456789012 ", "a string, in quotes"],
        ),
        (
            r#"{"sqsWaitSeconds": 21}"#,
            ["sqsWaitSeconds: 21 ", "from 0 to 20"],
        ),
        (
            r#"{"sqsWaitSeconds": -1}"#,
            ["sqsWaitSeconds: -1 ", "from 0 to 20"],
        ),
        (
            r#"{"sqsWaitSeconds": 1.5}"#,
            ["sqsWaitSeconds: 1.5 ", "from 0 to 20"],
        ),
        (
            r#"{"sqsWaitSeconds": "5"}"#,
            ["sqsWaitSeconds: \"5\" ", "from 0 to 20"],
        ),
        (
            r#"{"sqsVisibilityTimeout": 43201}"#,
            ["sqsVisibilityTimeout: 43201 ", "from 0 to 43200"],
        ),
        (
            r#"{"sqsVisibilityTimeout": null}"#,
            ["sqsVisibilityTimeout: null ", "from 0 to 43200"],
        ),
        (
            r#"{"sqsMaxReceives": 0}"#,
            ["sqsMaxReceives: 0 ", "from 1 to 1000000"],
        ),
        (
            r#"{"s3DownloadConcurrency": 0}"#,
            ["s3DownloadConcurrency: 0 ", "from 1 to 1024"],
        ),
        (
            r#"{"s3DownloadConcurrency": 1025}"#,
            ["s3DownloadConcurrency: 1025 ", "from 1 to 1024"],
        ),
        (
            r#"{"s3DownloadConcurrency": 99999999999999999999}"#,
            ["s3DownloadConcurrency: 1", "from 1 to 1024"],
        ),
        (
            r#"{"decodeThreads": 65}"#,
            ["decodeThreads: 65 ", "from 0 to 64"],
        ),
        (
            r#"{"s3RetryFor": "0s"}"#,
            ["s3RetryFor: \"0s\" ", "from 1s to 7d"],
        ),
        (
            r#"{"sqsMaxAge": "59s"}"#,
            ["sqsMaxAge: \"59s\" ", "at least 1m"],
        ),
        (
            r#"{"sqsAllowedBuckets": "trail"}"#,
            ["sqsAllowedBuckets: \"trail\" ", "a list in which"],
        ),
        (
            r#"{"sqsAllowedBuckets": ["trail", 7]}"#,
            ["sqsAllowedBuckets", "a string, in quotes"],
        ),
        (
            r#"{"sqsAllowedBuckets": ["trail", "s3://trail"]}"#,
            ["sqsAllowedBuckets: \"s3://trail\" ", "with * and ?"],
        ),
        (
            r#"{"s3RetryFor": "8d"}"#,
            ["s3RetryFor: \"8d\" ", "from 1s to 7d"],
        ),
        (
            r#"{"s3RetryFor": "half an hour"}"#,
            ["s3RetryFor: \"half an hour\" ", "\"30m\""],
        ),
        (r#"{"s3RetryFor": " "}"#, ["s3RetryFor: \" \" ", "\"30m\""]),
        (
            r#"{"s3RetryFor": 90}"#,
            ["s3RetryFor: 90 ", "a string, in quotes"],
        ),
        (r#"{"lostLog": true}"#, ["lostLog: true ", "a string"]),
        (
            r#"{"maxBufferedBytes": 0}"#,
            ["maxBufferedBytes: 0 ", "of at least 1"],
        ),
        (
            r#"{"maxObjectBytes": "1 GiB"}"#,
            ["maxObjectBytes: \"1 GiB\" ", "of at least 1"],
        ),
        (
            r#"{"s3AccountList": ["123456789012"]}"#,
            ["s3AccountList: [\"123456789012\"] ", "a string"],
        ),
        (
            r#"{"aws": "eu-west-1"}"#,
            ["aws: \"eu-west-1\" ", "an object with some of the keys "],
        ),
        (r#"{"aws": null}"#, ["aws: null ", "profile, region"]),
        (
            r#"{"aws": {"region": {"a": [1, true]}}}"#,
            ["aws.region: {\"a\":[1,true]} ", "a string"],
        ),
        (
            r#"{"aws": {"useFips": "yes"}}"#,
            ["aws.useFips: \"yes\" ", "true or false"],
        ),
        (
            r#"{"aws": {"endpoint": "localhost:4566"}}"#,
            ["aws.endpoint: \"localhost:4566\" ", "http://"],
        ),
        (
            r#"{"aws": {"endpoint": "https://"}}"#,
            ["aws.endpoint: \"https://\" ", "http://"],
        ),
        (
            r#"{"aws": {"endpoint": "http://user:S3cr3t@[bad"}}"#,
            ["aws.endpoint: \"http://[bad\" ", "http://"],
        ),
        (
            r#"{"aws": {"endpoint": "http://127.0.0.1:99999"}}"#,
            ["aws.endpoint: \"http://127.0.0.1:99999\" ", "http://"],
        ),
        (
            r#"{"s3Interval": "yesterday"}"#,
            ["s3Interval: \"yesterday\" ", "<start>-<end>"],
        ),
        (
            r#"{"s3Interval": "2d-5d"}"#,
            ["s3Interval: \"2d-5d\" ", "earlier"],
        ),
        (
            r#"{"s3AccountList": "12345"}"#,
            ["s3AccountList: \"12345\" ", "12 digits"],
        ),
        (
            r#"{"s3AccountList": "123456789012,"}"#,
            ["s3AccountList: \"\" in \"123456789012,\"", "12 digits"],
        ),
        (
            r#"{"s3AccountList": "123456789012;210987654321"}"#,
            ["s3AccountList: \"123456789012;210987654321\" ", "12 digits"],
        ),
        (
            r#"{"sqsOwnerAccount": "99"}"#,
            ["sqsOwnerAccount: \"99\" ", "12 digits"],
        ),
        (
            r#"{"sqsOwnerAccount": "1111-2222-3333"}"#,
            ["sqsOwnerAccount: \"1111-2222-3333\" ", "12 digits"],
        ),
    ] {
        let message = rejection(text);
        assert!(
            message.starts_with(parts[0]) && message.contains(parts[1]),
            "{message}"
        );
    }
}

#[test]
fn long_value_is_truncated_in_errors() {
    let text = format!(r#"{{"s3OnError": "{}"}}"#, "é".repeat(100_000));
    assert!(rejection(&text).chars().count() < 200);
    let text = format!(r#"{{"s3Interval": "{}"}}"#, "é".repeat(100_000));
    assert!(rejection(&text).chars().count() < 400);
}

#[test]
fn text_that_is_no_object_is_an_error_with_line_and_column() {
    for (text, part) in [
        (
            "{\n  useAsync: true\n}",
            "key must be a string at line 2 column 3",
        ),
        ("{\"useAsync\": true", "line 1 column"),
        ("{\"useAsync\": true} x", "line 1 column 20"),
        ("useAsync: true", "line 1 column 1"),
        (
            "{\"maxObjectBytes\": 1e999}",
            "number out of range at line 1",
        ),
        (
            "\n  [1, \"a\"]",
            "[1,\"a\"] at line 2 column 3 is not an object",
        ),
        ("false", "false at line 1 column 1 is not an object"),
        ("\"{}\"", "\"{}\" at line 1 column 1 is not an object"),
    ] {
        let message = rejection(text);
        assert!(
            message.contains(part) && message.contains("one JSON object"),
            "{message}"
        );
    }
    let deep = "[".repeat(100_000);
    assert!(rejection(&deep).contains("recursion limit"));
}

#[test]
fn interval_durations_count_back_from_now() {
    assert!(parse(r#"{"s3Interval": "2013-11-13T00:00:00Z-1d"}"#).is_ok());
    assert!(parse(r#"{"s3Interval": "9999-12-31T00:00:00Z-1d"}"#).is_err());
}

#[test]
fn the_schema_uses_plain_keywords_only() {
    fn walk(schema: &Value) {
        let known = [
            "$schema",
            "title",
            "description",
            "type",
            "properties",
            "items",
            "enum",
            "default",
            "minimum",
            "maximum",
            "items",
            "additionalProperties",
        ];
        for (keyword, value) in schema.as_object().expect("a schema object") {
            assert!(known.contains(&keyword.as_str()), "{keyword}");
            if keyword == "items" || keyword == "additionalProperties" {
                walk(value);
            }
            if keyword == "properties" {
                for inner in value.as_object().expect("properties").values() {
                    assert!(
                        inner["description"].is_string() && inner["type"].is_string(),
                        "{inner}"
                    );
                    walk(inner);
                }
            }
        }
    }
    let text = schema();
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["type"], serde_json::json!(["object", "null"]));
    walk(&schema);
}

#[test]
fn schema_has_types_ranges_and_defaults() {
    let schema = schema::value();
    let keys: Vec<&String> = schema["properties"]
        .as_object()
        .expect("keys")
        .keys()
        .collect();
    assert_eq!(keys.len(), 26, "{keys:?}");
    assert_eq!(
        property("aws")["properties"]
            .as_object()
            .expect("keys")
            .len(),
        10
    );
    for (path, kind, default) in [
        ("sqsDelete", "boolean", Some(true.into())),
        ("sqsDeleteWhen", "string", Some("delivered".into())),
        ("sqsWaitSeconds", "integer", Some(20.into())),
        ("sqsVisibilityTimeout", "integer", Some(0.into())),
        ("useS3SNS", "boolean", Some(false.into())),
        ("s3Interval", "string", Some("".into())),
        ("s3OnError", "string", Some("skip".into())),
        ("s3RetryFor", "string", Some("30m".into())),
        ("lostLog", "string", Some("".into())),
        ("dropEvents", "array", Some(json!([]))),
        ("decodeThreads", "integer", Some(0.into())),
        ("maxObjectBytes", "integer", Some((1u64 << 30).into())),
        ("aws.region", "string", Some("".into())),
        ("aws.useFips", "boolean", Some(false.into())),
    ] {
        let property = property(path);
        assert_eq!(property["type"], kind, "{path}");
        assert_eq!(property.get("default").cloned(), default, "{path}");
    }
    for (path, minimum, maximum) in [
        ("sqsWaitSeconds", 0, Some(20)),
        ("sqsVisibilityTimeout", 0, Some(43_200)),
        ("sqsMaxReceives", 1, Some(1_000_000)),
        ("s3DownloadConcurrency", 1, Some(1024)),
        ("decodeThreads", 0, Some(64)),
        ("dedupWindow", 0, Some(100_000_000)),
        ("maxBufferedBytes", 1, None),
        ("maxObjectBytes", 1, None),
    ] {
        let property = property(path);
        assert_eq!(property["minimum"].as_u64(), Some(minimum), "{path}");
        assert_eq!(
            property.get("maximum").and_then(Value::as_u64),
            maximum,
            "{path}"
        );
    }
    assert_eq!(
        property("sqsDeleteWhen")["enum"],
        serde_json::json!(["delivered", "received"])
    );
    assert_eq!(
        property("s3OnError")["enum"],
        serde_json::json!(["skip", "fail"])
    );
}

#[test]
fn the_defaults_in_the_schema_are_accepted() {
    let schema = schema::value();
    let defaults = schema["properties"].as_object().expect("keys").iter();
    let defaults: serde_json::Map<String, Value> = defaults
        .filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone())))
        .collect();
    assert_eq!(defaults.len(), 26);
    let config = config(&Value::Object(defaults).to_string());
    let set_keys = config.set_keys.clone();
    assert_eq!(
        config,
        Config {
            set_keys,
            ..Config::default()
        }
    );
}

/// Keys of the exported schema, those of inner objects as `outer.inner`.
fn exported_keys() -> Vec<(String, Value)> {
    fn collect(prefix: &str, schema: &Value, keys: &mut Vec<(String, Value)>) {
        for (name, key) in schema["properties"].as_object().expect("keys") {
            let path = format!("{prefix}{name}");
            match key["properties"].is_object() {
                true => collect(&format!("{path}."), key, keys),
                false => keys.push((path, key.clone())),
            }
        }
    }
    let exported: Value = serde_json::from_str(&schema()).expect("JSON");
    let mut keys = Vec::new();
    collect("", &exported, &mut keys);
    keys
}

#[test]
fn schema_has_titles_and_texts_that_a_dialog_can_show() {
    let mut titles = std::collections::BTreeSet::new();
    let keys = exported_keys();
    assert_eq!(keys.len(), 35);
    for (path, key) in keys {
        let title = key["title"].as_str().expect(&path);
        assert!((2..40).contains(&title.len()), "{path}: {title}");
        assert!(titles.insert(title.to_owned()), "{path}: {title} again");
        for text in [title, key["description"].as_str().expect(&path)] {
            // falcodump prints them as `{tooltip=…}`, and does not undo JSON's escapes.
            assert!(
                !text.contains(['{', '}', '"', '\\', '\n']),
                "{path}: {text}"
            );
        }
    }
}

#[test]
fn falcodump_reads_the_real_default_of_every_key_that_its_dialog_shows() {
    let real = serde_json::to_value(Config::default()).expect("JSON");
    let mut shown = 0;
    for (path, key) in exported_keys() {
        // falcodump's type of a key is the first text that is called so.
        let json = key.to_string();
        let kind = json.split("\"type\":\"").nth(1).expect(&path);
        let kind = kind.split('"').next().expect("a first part");
        if !["boolean", "integer", "string"].contains(&kind) {
            assert_eq!(key["type"], "array", "{path}: {kind}");
            continue;
        }
        let default = match key["default"].as_str() {
            Some(default) => default,
            None => {
                let description = key["description"].as_str().expect(&path);
                let (_, default) = description.rsplit_once(" (Default: ").expect(&path);
                default.strip_suffix(')').expect(&path)
            }
        };
        let real = &real[path.split('.').next().expect("a first part")];
        let real = match path.split_once('.') {
            Some((_, inner)) => &real[inner],
            None => real,
        };
        let real = real.as_str().map_or(real.to_string(), str::to_owned);
        assert_eq!(default, real, "{path}");
        // Of a choice, the dialog shows the first.
        if let Some(choices) = key["enum"].as_array() {
            assert_eq!(choices[0], real.as_str(), "{path}");
        }
        shown += 1;
    }
    assert_eq!(shown, 33);
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "[{}\\[\\]\",:a-z0-9\\PC]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_values_do_not_panic(
        key in "(sqs(Delete|WaitSeconds|MaxReceives)|s3(Interval|AccountList)|aws|maxObjectBytes|decodeThreads|dropEvents)",
        value in "(-?[0-9]{1,25}(\\.[0-9]{1,3})?(e[0-9]{1,3})?|\"[0-9dhT:, -]{0,20}\"|null|true|\\[\\]|\\[\\{\"a\":(1|null|\\[2\\])\\}\\]|\\{\"region\":1\\})",
    ) {
        if let Err(error) = parse(&format!(r#"{{"{key}": {value}}}"#)) {
            prop_assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}

#[test]
fn follow_interval_is_a_duration_without_an_end_in_the_interval() {
    let (config, _) = parse(r#"{"s3Follow": "90s", "s3Interval": "5d"}"#).expect("valid");
    assert_eq!(config.s3_follow(), Some(Duration::from_secs(90)));
    let (config, _) = parse("{}").expect("valid");
    assert_eq!(config.s3_follow(), None);
    for text in ["0s", "60", "2d", "soon"] {
        let error = parse(&format!(r#"{{"s3Follow": "{text}"}}"#)).expect_err(text);
        let error = error.to_string();
        assert!(
            error.starts_with("s3Follow: ") && error.contains(text),
            "{error}"
        );
    }
    let error = parse(r#"{"s3Follow": "60s", "s3Interval": "5d-2d"}"#).expect_err("an end");
    let error = error.to_string();
    assert!(
        error.contains("s3Follow") && error.contains("5d-2d"),
        "{error}"
    );
}
