//! Where policies stand in a request, and how they are written there.

use super::*;

const PUBLIC: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*"}]}"#;

fn public(service: &str, parameters: Json) -> Option<bool> {
    values(&[record(service, "Any", &parameters)])[0].public
}

fn url_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

#[test]
fn policies_are_found_wherever_services_have_them() {
    let object: Json = serde_json::from_str(PUBLIC).expect("JSON");
    let cases = [
        ("s3", json!({"bucketPolicy": object})),
        ("s3", json!({"policy": PUBLIC})),
        ("kms", json!({"policyName": "default", "policy": PUBLIC})),
        ("sqs", json!({"attributes": {"Policy": PUBLIC}})),
        (
            "sqs",
            json!({"attributes": json!({"Policy": PUBLIC}).to_string()}),
        ),
        (
            "sns",
            json!({"attributeName": "Policy", "attributeValue": PUBLIC}),
        ),
        (
            "iam",
            json!({"assumeRolePolicyDocument": url_encoded(PUBLIC)}),
        ),
        ("ecr", json!({"policyText": PUBLIC})),
        (
            "secretsmanager",
            json!({"resourcePolicy": format!("\n{PUBLIC} ")}),
        ),
        (
            "s3-outposts",
            json!({"list": [{"list": [[{"deep": PUBLIC}]]}]}),
        ),
        (
            "cloudcontrol",
            json!({"desiredState": json!({"AssumeRolePolicyDocument": object}).to_string()}),
        ),
        (
            "apigateway",
            json!({"patchOperations": [{"path": "/policy", "value": Json::from(PUBLIC).to_string()}]}),
        ),
        (
            "x",
            json!({"encoded twice": url_encoded(&url_encoded(PUBLIC))}),
        ),
        (
            "x",
            json!({"partly encoded": PUBLIC.replace('"', "%22").replace('S', "%53")}),
        ),
        (
            "x",
            json!({"with plus": PUBLIC.replace("\",", "\", ").replace('"', "%22").replace(' ', "+")}),
        ),
        ("x", object.clone()),
        ("x", Json::from(PUBLIC)),
        ("x", json!({"two": [json!({"Statement": []}), object]})),
    ];
    for (service, parameters) in cases {
        assert_eq!(
            public(service, parameters.clone()),
            Some(true),
            "{parameters}"
        );
    }
}

#[test]
fn keys_and_letters_may_be_escaped_at_every_level() {
    let escaped = PUBLIC
        .replace("State", r"\u0053\u0074ate")
        .replace('*', r"\u002a");
    let whole = format!(r#"{{"bucketPolicy":{escaped}}}"#);
    let in_text = json!({"p": escaped}).to_string();
    let all_escaped: String = PUBLIC
        .chars()
        .map(|it| format!("\\u{:04x}", u32::from(it)))
        .collect();
    let all_escaped = format!(r#"{{"p":"{all_escaped}"}}"#);
    for parameters in [whole, in_text, all_escaped] {
        let record = record_with("s3", "PutBucketPolicy", &parameters);
        assert_eq!(values(&[record])[0].public, Some(true), "{parameters}");
    }
}

#[test]
fn requests_without_a_policy_have_no_value() {
    let cases = [
        json!(null),
        json!({}),
        json!({"bucketName": "b"}),
        json!({"omitted": true, "originalSize": 300_000, "reason": "too large"}),
        json!({"statement": "SELECT * FROM t"}),
        json!({"statement": null, "comment": "100% of Statement", "environment": {"x": "\u{1}"}}),
        json!({"text": "a Statement about {\"Principal\":\"*\"}"}),
        json!({"text": "{\"Statement"}),
    ];
    for parameters in cases {
        for service in ["s3", "iam", "lambda"] {
            let values = values(&[record(service, "Any", &parameters)]);
            assert_eq!(values[0], Values::default(), "{service} {parameters}");
        }
    }
}

#[test]
fn text_that_is_not_json_gives_no_value() {
    for damaged in [
        PUBLIC.replacen(':', "", 1),
        PUBLIC.replace("}]}", "},]}"),
        PUBLIC.replace("}]}", "}]"),
        format!("{PUBLIC}}}"),
        format!("{PUBLIC} and more"),
        PUBLIC.replace("\"*\"", "*"),
        PUBLIC.replace("Allow", "All\tow"),
    ] {
        assert_eq!(public("s3", json!({"policy": damaged})), None, "{damaged}");
    }
}

#[test]
fn first_of_two_equal_members_counts() {
    for (expected, policy) in [
        (
            false,
            r#"{"Statement":[],"statement":[{"Effect":"Allow","Principal":"*"}]}"#,
        ),
        (
            true,
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","principal":"x"}]}"#,
        ),
        (
            false,
            r#"{"Statement":[{"Effect":"Deny","Effect":"Allow","Principal":"*"}]}"#,
        ),
        (
            true,
            r#"{"Statement":[{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{},
            "stringEquals":{"aws:SourceAccount":"444455556666"}}}]}"#,
        ),
    ] {
        let record = record_with(
            "s3",
            "PutBucketPolicy",
            &format!(r#"{{"bucketPolicy":{policy}}}"#),
        );
        assert_eq!(values(&[record])[0].public, Some(expected), "{policy}");
    }
}

#[test]
fn values_of_one_record_do_not_remain_for_the_next() {
    let plugin = support::plugin("");
    let mut reader = Reader::new(&plugin);
    let with = record("s3", "PutBucketPolicy", &json!({"bucketPolicy": PUBLIC}));
    let without = record("s3", "GetObject", &json!({"bucketName": "b"}));
    for _ in 0..3 {
        assert_eq!(reader.read(&with).public, Some(true));
        assert_eq!(reader.read(&without), Values::default());
        assert_eq!(reader.read(b"{}"), Values::default());
        assert_eq!(reader.read(b"not a record"), Values::default());
    }
}
