//! What the filter drops, and the errors and warnings about wrong ones.

use serde_json::json;

use super::*;
use crate::json::{Scan, Scanner, TapeBuffer};
use crate::key_table::RecordIndex;

/// The filter of `objects`, a JSON text.
fn compiled(objects: &serde_json::Value) -> crate::error::Result<compile::CompiledFilter> {
    compile(&serde_json::from_value::<Vec<_>>(objects.clone()).expect("a list of objects"))
}

/// Whether the filter drops this record.
fn drops(objects: &serde_json::Value, record: &str) -> bool {
    let (filter, _) = compiled(objects).expect("a valid filter");
    let filter = filter.expect("an object");
    let mut tapes = TapeBuffer::default();
    let Scan::Whole { tape, .. } = Scanner::default().scan(record.as_bytes(), &mut tapes) else {
        panic!("not whole: {record}");
    };
    let tape = tapes.tape(tape, record.as_bytes());
    let index = &RecordIndex::of(tape);
    let mut keys = KeyTable::default();
    keys.reset(index);
    filter.drops(
        Record { tape, index },
        &mut keys,
        &mut b"left over".to_vec(),
    )
}

/// Whether an object with `ct.src`, `ct.name` and these keys drops a record with these members.
fn drops_with(keys: serde_json::Value, members: &str) -> bool {
    let mut object = json!({"ct.src": "s3.amazonaws.com", "ct.name": "GetObject"});
    let object_keys = object.as_object_mut().expect("an object");
    object_keys.extend(keys.as_object().expect("an object").clone());
    let record =
        format!(r#"{{"eventSource":"s3.amazonaws.com","eventName":"GetObject"{members}}}"#);
    drops(&json!([object]), &record)
}

fn problem(objects: serde_json::Value) -> String {
    compiled(&objects).expect_err("a wrong filter").to_string()
}

fn warnings(objects: serde_json::Value) -> Vec<String> {
    compiled(&objects).expect("a valid filter").1
}

#[test]
fn event_is_dropped_if_all_keys_of_one_object_match() {
    let filter = json!([
        {"ct.src": "kms.amazonaws.com", "ct.name": ["Decrypt", "GenerateDataKey*"]},
        {"ct.shortsrc": "s3", "ct.readonly": true},
    ]);
    for (source, name, members, dropped) in [
        ("kms.amazonaws.com", "Decrypt", "", true),
        ("kms.amazonaws.com", "decrypt", "", false),
        (
            "kms.amazonaws.com",
            "GenerateDataKeyWithoutPlaintext",
            "",
            true,
        ),
        ("kms.amazonaws.com", "Encrypt", "", false),
        ("kms.eu-west-1.amazonaws.com", "Decrypt", "", false),
        ("s3.amazonaws.com", "Anything", r#","readOnly":true"#, true),
        (
            "s3.amazonaws.com",
            "Anything",
            r#","readOnly":"true""#,
            true,
        ),
        (
            "s3.amazonaws.com",
            "Anything",
            r#","readOnly":false"#,
            false,
        ),
        ("s3.amazonaws.com", "GetObject", "", true),
        ("s3.amazonaws.com", r"\u0047etObject", "", true),
        (r"kms.\u0061mazonaws.com", r"Decr\u0079pt", "", true),
    ] {
        let record = format!(r#"{{"eventSource":"{source}","eventName":"{name}"{members}}}"#);
        assert_eq!(drops(&filter, &record), dropped, "{record}");
    }
    assert!(!drops(&filter, r#"{"eventName":"Decrypt"}"#));
    assert!(!drops(
        &filter,
        r#"{"eventSource":null,"eventName":["Decrypt"]}"#
    ));
    assert!(!drops(
        &filter,
        r#"{"requestParameters":{"eventSource":"kms.amazonaws.com","eventName":"Decrypt"}}"#
    ));
}

#[test]
fn failed_request_is_dropped_only_by_an_object_that_names_the_error() {
    let failed = r#","errorCode":"AccessDenied""#;
    assert!(!drops_with(json!({}), failed));
    assert!(!drops_with(json!({"ct.error": null}), failed));
    assert!(!drops_with(json!({"ct.error": "NoSuchKey"}), failed));
    assert!(drops_with(json!({"ct.error": "AccessDenied"}), failed));
    assert!(drops_with(json!({"ct.error": "*"}), failed));
    assert!(!drops_with(json!({"ct.error": "*"}), ""));
    assert!(drops_with(json!({}), r#","errorCode":null"#));
    assert!(!drops_with(json!({}), r#","errorCode":"""#));
}

#[test]
fn every_kind_of_value_is_compared_by_its_text() {
    for (keys, members, dropped) in [
        (
            json!({"ct.user": "alice"}),
            r#","userIdentity":{"type":"IAMUser","userName":"alice"}"#,
            true,
        ),
        (
            json!({"ct.user": "al*e"}),
            r#","userIdentity":{"type":"IAMUser","userName":"bob"}"#,
            false,
        ),
        (
            json!({"s3.bytes": 7}),
            r#","additionalEventData":{"bytesTransferredIn":7.0}"#,
            true,
        ),
        (
            json!({"s3.bytes": "7"}),
            r#","additionalEventData":{"bytesTransferredIn":3,"bytesTransferredOut":4}"#,
            true,
        ),
        (
            json!({"s3.bytes": 7}),
            r#","additionalEventData":{"bytesTransferredIn":70}"#,
            false,
        ),
        (json!({"s3.bytes": null}), "", true),
        (
            json!({"s3.bytes": null}),
            r#","additionalEventData":{"bytesTransferredIn":7}"#,
            false,
        ),
        (
            json!({"ct.managementevent": false}),
            r#","managementEvent":false"#,
            true,
        ),
        (
            json!({"ct.value[/requestParameters/n]": -1}),
            r#","requestParameters":{"n":-1}"#,
            true,
        ),
        (
            json!({"ct.value[/requestParameters/n]": true}),
            r#","requestParameters":{"n":true}"#,
            true,
        ),
        (
            json!({"ct.value[/requestParameters/n]": null}),
            r#","requestParameters":{"n":null}"#,
            true,
        ),
        (
            json!({"ct.value[/requestParameters/n]": null}),
            r#","requestParameters":{"n":0}"#,
            false,
        ),
        (
            json!({"ct.value[/requestParameters]": "{\"n\":0}"}),
            r#","requestParameters":{ "n" : 0 }"#,
            true,
        ),
        (
            json!({"ct.request.name": "e\u{301}*\n"}),
            r#","requestParameters":{"name":"e\u0301x\n"}"#,
            true,
        ),
        (
            json!({"ct.info": "* via 192.0.2.1 ← GetObject*"}),
            r#","sourceIPAddress":"192.0.2.1""#,
            true,
        ),
    ] {
        assert_eq!(
            drops_with(keys.clone(), members),
            dropped,
            "{keys} {members}"
        );
    }
}

#[test]
fn list_matches_if_any_of_its_values_does() {
    let instances = r#","responseElements":{"instancesSet":{"items":[{"imageId":"ami-1"},{},{"imageId":"ami-2"}]}}"#;
    for (keys, dropped) in [
        (json!({"ec2.imageids": "ami-2"}), true),
        (json!({"ec2.imageids": ["x", "*-1"]}), true),
        (json!({"ec2.imageids": "ami-3"}), false),
        (json!({"ec2.imageids[0]": "ami-1"}), true),
        (json!({"ec2.imageids[2]": "ami-1"}), false),
        (json!({"ec2.imageids[1]": null}), true),
        (json!({"ec2.imageids": null}), false),
    ] {
        assert_eq!(drops_with(keys.clone(), instances), dropped, "{keys}");
    }
    assert!(drops_with(json!({"ec2.imageids": null}), ""));
    let values = r#","resources":[{"ARN":"a1"},{"arn":"a2"}],"requestParameters":{"items":[{"n":"7"},{"n":8}]}"#;
    for (keys, dropped) in [
        (
            json!({"ct.values[/requestParameters/items/*/n]": "8"}),
            true,
        ),
        (json!({"ct.values[/requestParameters/items/*/n]": 9}), false),
        (json!({"ct.num[/requestParameters/items/0/n]": 7}), true),
        (json!({"ct.resources.arn": "a2"}), true),
        (json!({"ct.resources.arn[0]": "a2"}), false),
    ] {
        assert_eq!(drops_with(keys.clone(), values), dropped, "{keys}");
    }
}

#[test]
fn every_field_can_be_named_but_those_that_read_policies() {
    for field in FIELDS {
        let reads_policies = field.name.starts_with("ct.policy.");
        let name = match field.arg {
            crate::fields::Arg::RequiredKey => format!("{}[/eventName]", field.name),
            _ => field.name.to_owned(),
        };
        let keys = json!({"ct.src": "*", "ct.name": "*", name: "x*"});
        let accepted = compiled(&json!([keys])).is_ok();
        assert_eq!(accepted, !reads_policies, "{}", field.name);
    }
}

#[test]
fn object_needs_the_service_and_the_kind_of_events() {
    for object in [
        json!({}),
        json!({"ct.src": "s3.amazonaws.com"}),
        json!({"ct.name": "GetObject"}),
        json!({"ct.shortsrc": "s3", "ct.user": "x"}),
        json!({"ct.readonly": true, "ct.eventcategory": "Data", "ct.managementevent": false}),
    ] {
        let problem = problem(json!([{"ct.src": "a", "ct.name": "b"}, object]));
        assert!(
            problem.starts_with(
                "dropEvents[1]: an object needs the service (ct.src or ct.shortsrc) and"
            ),
            "{problem}"
        );
    }
    for key in [
        "ct.name",
        "ct.readonly",
        "ct.eventcategory",
        "ct.managementevent",
    ] {
        for service in ["ct.src", "ct.shortsrc"] {
            assert!(compiled(&json!([{service: "x", key: "y"}])).is_ok());
        }
    }
}

#[test]
fn wrong_names_and_values_are_errors_that_name_them() {
    for (key, value, expected) in [
        (
            "ct.nam",
            json!("x"),
            r#"unknown field "ct.nam"; the nearest field is ct.name"#,
        ),
        (
            "CT.USER",
            json!("x"),
            r#"unknown field "CT.USER"; the nearest field is ct.user"#,
        ),
        ("ct.value", json!("x"), "ct.value needs an argument"),
        (
            "ct.value[a]",
            json!("x"),
            "the argument does not start with /",
        ),
        (
            "ct.value[/a",
            json!("x"),
            r#""ct.value[/a" lacks a ] at its end"#,
        ),
        ("ct.user[0]", json!("x"), "ct.user takes no argument"),
        (
            "ct.policy.public",
            json!(null),
            "ct.policy.public reads policies, which is done for rules only",
        ),
        ("ec2.imageids[x]", json!("x"), "the index is not a number"),
        (
            "ct.user",
            json!([]),
            r#""ct.user": an empty list matches no event"#,
        ),
    ] {
        let problem = problem(json!([{"ct.src": "a", "ct.name": "b", key: value}]));
        assert!(
            problem.starts_with("dropEvents[0]: ") && problem.contains(expected),
            "{problem}"
        );
    }
}

#[test]
fn values_that_callers_choose_are_warned_about() {
    for key in [
        "ct.useragent",
        "ct.user",
        "ct.user.arn",
        "ct.request",
        "ct.request.name",
        "ct.value[/requestParameters/key]",
        "s3.key",
        "s3.bucket",
        "ct.info",
        "ct.tlsdetails.tlsversion",
        "ct.user.oninstance",
    ] {
        let warnings = warnings(json!([{"ct.src": "a", "ct.name": "b", key: "x"}]));
        assert_eq!(warnings.len(), 1, "{key}");
        assert!(
            warnings[0].contains(&format!("the value of {key},")),
            "{}",
            warnings[0]
        );
    }
    let all = json!([{"ct.src": "*", "ct.name": "b", "s3.key": "x", "ct.user": "y"}]);
    assert_eq!(
        warnings(all),
        [
            "dropEvents[0]: callers of AWS can choose the value of ct.user, s3.key, and so hide events from Falco",
            "dropEvents[0]: ct.src matches every service",
        ]
    );
    let set_by_aws = json!([{
        "ct.src": "a", "ct.name": "b", "ct.error": "c", "ct.eventcategory": "Data", "ct.readonly": true,
        "ct.managementevent": false, "ct.region": "x", "ct.user.accountid": "1", "ct.user.identitytype": "AWSService",
        "ct.user.invokedby": "config.amazonaws.com", "ct.recipientaccountid": "1", "ct.srcip": "config.amazonaws.com",
    }]);
    assert_eq!(warnings(set_by_aws), [""; 0]);
}

#[test]
fn patterns_that_match_every_service_are_warned_about() {
    for (field, pattern, all) in [
        ("ct.src", "*", true),
        ("ct.src", "**", true),
        ("ct.src", "*.amazonaws.com", true),
        ("ct.src", "*.com", true),
        ("ct.src", "s3*", false),
        ("ct.src", "*3.amazonaws.com", false),
        ("ct.src", "s*.amazonaws.com", false),
        ("ct.shortsrc", "*", true),
        ("ct.shortsrc", "s3*", false),
        ("ct.shortsrc", "", false),
    ] {
        let warnings = warnings(json!([{field: pattern, "ct.name": "b"}]));
        let warned = warnings
            .iter()
            .any(|line| line.ends_with("matches every service"));
        assert_eq!(warned, all, "{field} {pattern}: {warnings:?}");
    }
}

#[test]
fn filter_is_described_in_the_order_of_evaluation() {
    let filter = json!([
        {"ct.shortsrc": "s3", "ct.name": ["GetObject", "Head*"], "ct.user": null},
        {"ct.error": "*", "ct.src": "kms.amazonaws.com", "ct.readonly": true},
    ]);
    let (filter, _) = compiled(&filter).expect("a valid filter");
    assert_eq!(
        filter.expect("a filter").to_string(),
        "ct.name is \"GetObject\" or \"Head*\" and ct.user has no value and ct.shortsrc is \"s3\" and ct.error has no value; or \
         ct.src is \"kms.amazonaws.com\" and ct.error is \"*\" and ct.readonly is \"true\""
    );
}

#[test]
fn no_object_is_no_filter() {
    assert!(compiled(&json!([])).expect("valid").0.is_none());
}
