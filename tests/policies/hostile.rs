//! Requests that are made to cost time, memory or stack.

use super::*;

/// Large enough that a quadratic step would not end, small enough for a build without optimization.
const SIZE: usize = 4 << 20;

/// The values of a role's policy, given as text.
fn read(parameters: String) -> Values {
    let plugin = support::plugin("");
    Reader::new(&plugin).read(&record_with("iam", "PutRolePolicy", &parameters))
}

fn statement(parts: &str) -> String {
    format!(r#"{{"policyDocument":{{"Statement":[{{"Effect":"Allow",{parts}}}]}}}}"#)
}

#[test]
fn deep_nesting_takes_no_stack() {
    let depth = SIZE / 32;
    let brackets = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", r#"{"Statement":"#.repeat(depth), "}".repeat(depth));
    for deep in [&brackets, &objects] {
        let text = Json::from(format!(r#"{{"Statement":{deep}}}"#)).to_string();
        for parameters in [
            format!(r#"{{"a":{deep},"Statement":[]}}"#),
            format!(r#"{{"p":{text}}}"#),
        ] {
            assert_eq!(read(parameters).public, Some(false));
        }
    }
    let strings = r#"{"p":"%257B\"{\\\"Statement\\\":[]}"}"#;
    assert_eq!(read(strings.to_owned()), Values::default());
}

#[test]
fn policies_that_are_wrapped_too_often_are_not_read() {
    let mut text = r#"{"Statement":[]}"#.to_owned();
    let mut read_levels = 0;
    for _ in 0..10 {
        let parameters = format!(r#"{{"p":{}}}"#, Json::from(text.as_str()));
        read_levels += usize::from(read(parameters).public.is_some());
        text = Json::from(text).to_string();
    }
    assert_eq!(read_levels, 6);
}

#[test]
fn patterns_of_wildcards_are_read_in_linear_time() {
    for pattern in [
        "*", "?", "*?", "*a", "a*", "*:", "${", "${}", "*r", "arn:*:", "\\u002a",
    ] {
        let long = pattern.repeat(SIZE / 4 / pattern.len());
        let values = read(statement(&format!(
            r#""Action":["{long}","iam:PutRolePolicy"],"Resource":["{long}","x*"]"#
        )));
        assert!(values.unlimited.is_some(), "{pattern}");
        let principal = format!(
            r#""Principal":{{"AWS":["{long}","*"]}},"Condition":{{"StringLike":{{"aws:SourceArn":"{long}"}}}}"#
        );
        assert!(read(statement(&principal)).public.is_some(), "{pattern}");
    }
}

#[test]
fn long_lists_of_everything_are_read() {
    let many = |text: &str| vec![text; SIZE / 4 / (text.len() + 1)].join(",");
    let values = read(statement(&format!(
        r#""Action":[{}],"Resource":[{}]"#,
        many(r#""*x*r""#),
        many(r#""*/x*""#)
    )));
    assert_eq!(
        (values.unlimited, values.escalates),
        (Some(false), Some(false))
    );
    let condition = format!(
        r#"{{"StringLike":{{{}}}}}"#,
        many(r#""aws:SourceIp":"0.0.0.0/0""#)
    );
    let values = read(statement(&format!(
        r#""Principal":"*","Condition":{condition}"#
    )));
    assert_eq!(values.public, Some(true));
    let values = read(format!(
        r#"{{"list":[{}]}}"#,
        many(r#"{"Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}"#)
    ));
    assert_eq!(values.escalates, Some(true));
    let text = Json::from(r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#).to_string();
    assert_eq!(
        read(format!(r#"{{"list":[{}]}}"#, many(&text))).public,
        Some(true)
    );
}

#[test]
fn accounts_are_as_many_as_the_policy_names() {
    let ids: Vec<String> = (0..50_000_u64)
        .map(|number| (900_000_000_000 - number * 7).to_string())
        .collect();
    let quoted: Vec<String> = ids
        .iter()
        .chain(&ids)
        .map(|id| format!("\"{id}\""))
        .collect();
    let values = read(statement(&format!(
        r#""Principal":{{"AWS":[{}]}}"#,
        quoted.join(",")
    )));
    assert_eq!(values.accounts, ids);
}

#[test]
fn strings_of_every_encoding_are_decoded_once() {
    for text in [
        "%",
        "%7B",
        "{%22",
        "%25",
        "\\\\u0053",
        "\\\\",
        "{",
        "[",
        " ",
    ] {
        let long = text.repeat(SIZE / 4 / text.len());
        let values = read(format!(
            r#"{{"p":"{long}statement","q":{{"Statement":[]}}}}"#
        ));
        assert_eq!(values.public, Some(false), "{text}");
    }
}
