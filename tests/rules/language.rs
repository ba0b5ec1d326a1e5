//! The engine of these tests follows Falco's semantics.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::condition::{Definitions, Expr, Op, Right};
use crate::engine::{Engine, Matching, glob};
use crate::support;
use crate::support::scratch::Scratch;

const RECORD: &str = r#"{"Records":[{"eventVersion":"1.11","eventTime":"2026-02-03T10:00:00Z","eventID":"e1",
    "eventName":"RunInstances","eventSource":"ec2.amazonaws.com","eventType":"AwsApiCall","awsRegion":"us-east-1",
    "userIdentity":{"type":"IAMUser","userName":"dana"},
    "requestParameters":{"userName":"dana","count":12,"cidrs":["10.0.0.0/8","0.0.0.0/0"],"type":"p3.2xlarge"}}]}"#;

/// Whether a condition holds for [`RECORD`].
fn holds(condition: &str) -> bool {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let scratch = Scratch::new(&format!("rules-language-{call}"));
    scratch.write("log.json", RECORD.as_bytes());
    let plugin = support::plugin("");
    let mut engine = Engine::new(&plugin);
    let mut definitions = Definitions::default();
    let mut define = |name: &str, condition: &str| {
        let condition = condition.to_owned();
        definitions.macros.insert(name.to_owned(), condition);
    };
    define(
        "ct_started",
        "(ct.name = RunInstances or ct.name = StartInstances)",
    );
    let some = ["10.0.0.0/8", "192.168.0.0/16"].map(str::to_owned);
    definitions
        .lists
        .insert("ct_some".to_owned(), some.to_vec());
    definitions.lists.insert("ct_none".to_owned(), Vec::new());
    let condition = definitions.parse(condition);
    engine.add("It", "NOTICE", condition.expect("a condition"));
    let mut alerts = Vec::new();
    support::each_event(&plugin, scratch.path(), |event| {
        alerts = engine.alerts(event, Matching::First);
    });
    !alerts.is_empty()
}

#[test]
fn missing_value_makes_a_comparison_false_and_its_negation_true() {
    assert!(!holds("ct.error = AccessDenied"));
    assert!(!holds("ct.error != AccessDenied"));
    assert!(holds("not ct.error = AccessDenied"));
    assert!(!holds("ct.error exists"));
    assert!(!holds("ct.error in (AccessDenied)"));
    assert!(!holds("ct.request.username = val(ct.request.groupname)"));
    assert!(holds("ct.request.username = val(ct.user)"));
    assert!(holds("ct.request contains val(ct.user)"));
    assert!(!holds("ct.request.username contains val(ct.name)"));
    assert!(!holds("ct.request contains val(ct.error)"));
}

#[test]
fn list_is_in_if_all_elements_are_and_intersects_if_one_is() {
    let cidrs = "ct.values[/requestParameters/cidrs/*]";
    assert!(!holds(&format!("{cidrs} in (ct_some)")));
    assert!(holds(&format!("{cidrs} intersects (ct_some)")));
    assert!(holds(&format!("{cidrs} in (ct_some, \"0.0.0.0/0\")")));
    assert!(!holds(&format!("{cidrs} intersects (ct_none)")));
    assert!(holds(&format!("{cidrs} exists")));
    assert!(!holds(
        "ct.values[/requestParameters/others/*] in (ct_some)"
    ));
}

#[test]
fn numbers_compare_as_numbers() {
    let count = "ct.num[/requestParameters/count]";
    for holding in [">= 9", "> 11", "<= 12", "< 100", "= 12", "!= 9"] {
        assert!(holds(&format!("{count} {holding}")), "{holding}");
    }
    assert!(!holds(&format!("{count} >= 13")));
    assert!(!holds("ct.num[/requestParameters/type] >= 0"));
}

#[test]
fn texts_compare_by_parts_and_patterns() {
    let kind = "ct.value[/requestParameters/type]";
    for holding in [
        "startswith p3",
        "endswith xlarge",
        "contains .2x",
        "icontains 2XL",
        "glob \"p[0-9]*\"",
        "iglob \"P?.*\"",
    ] {
        assert!(holds(&format!("{kind} {holding}")), "{holding}");
    }
    assert!(!holds(&format!("{kind} glob \"g[0-9]*\"")));
    assert!(!holds(&format!("{kind} contains 2XL")));
    assert!(glob(b"*", b"") && glob(b"a*c", b"abbc") && !glob(b"a*c", b"abcd"));
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    assert!(holds(
        "ct.name = RunInstances or ct.name = A and ct.name = B"
    ));
    assert!(!holds(
        "(ct.name = RunInstances or ct.name = A) and ct.name = B"
    ));
    assert!(holds("not ct.name = A and ct_started"));
    assert!(!holds("not (ct.name = A or ct_started)"));
}

#[test]
fn what_the_rules_may_not_use_is_an_error() {
    let definitions = Definitions::default();
    for condition in [
        "",
        "ct.name",
        "ct.name regex \"a.*\"",
        "ct.name pmatch (a)",
        "tolower(ct.name) = a",
        "ct.name = a b",
        "(ct.name = a",
        "ct.name = \"a",
        "ct_unknown_macro",
        "ct.name = a and",
    ] {
        assert!(definitions.parse(condition).is_err(), "{condition:?}");
    }
    let exists = Expr::Check {
        field: "ct.error".to_owned(),
        op: Op::Exists,
        right: Right::Nothing,
    };
    assert_eq!(definitions.parse("((ct.error exists))"), Ok(exists));
}
