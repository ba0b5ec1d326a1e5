//! Generates requests with policies, in random writings.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// JSON text, written by hand so that keys can repeat and characters can be escaped.
type Text = String;

pub fn record() -> impl Strategy<Value = Vec<u8>> {
    let place = select(vec![
        ("s3", "PutBucketPolicy", "bucketPolicy"),
        ("iam", "PutRolePolicy", "policyDocument"),
        ("iam", "CreatePolicy", "policyDocument"),
        ("iam", "CreateRole", "assumeRolePolicyDocument"),
        ("sso", "PutInlinePolicyToPermissionSet", "inlinePolicy"),
        ("kms", "PutKeyPolicy", "policy"),
        ("organizations", "CreatePolicy", "content"),
        ("ec2", "CreateVpcEndpoint", "policyDocument"),
        ("lambda", "AddPermission20150331v2", "policy"),
        ("iam", "AttachRolePolicy", "x"),
        ("sso", "AttachManagedPolicyToPermissionSet", "x"),
    ]);
    let more = prop_oneof![
        6 => Just(String::new()),
        1 => flat_permission(),
        1 => attached(),
    ];
    (place, wrapped_policy(), wrapped_policy(), any::<u8>(), more).prop_map(
        |((service, name, key), policy, other, two, more)| {
            let second = if two % 4 == 0 {
                format!(r#","other":[{other}]"#)
            } else {
                String::new()
            };
            let parameters = format!(r#"{{"{key}":{policy}{second}{more}}}"#);
            super::record_with(service, name, &parameters)
        },
    )
}

fn attached() -> impl Strategy<Value = Text> {
    let arn = select(vec![
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:aws-cn:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::aws:policy/AdministratorAccess-Amplify",
        "arn:aws:iam::111122223333:policy/AdministratorAccess",
        "arn::iam::aws:policy/AdministratorAccess",
    ]);
    let key = select(vec![
        "policyArn",
        "managedPolicyArn",
        "policyarn",
        "permissionsBoundary",
    ]);
    (key, arn).prop_map(|(key, arn)| format!(r#","{key}":"{arn}""#))
}

fn flat_permission() -> impl Strategy<Value = Text> {
    let principal = select(vec![
        r#""*""#,
        r#""444455556666""#,
        r#""s3.amazonaws.com""#,
        r#"["*"]"#,
        r#""arn:aws:iam::444455556666:root""#,
        "7",
    ]);
    let more = select(vec![
        "",
        r#","sourceAccount":"444455556666""#,
        r#","sourceArn":"arn:aws:s3:::b""#,
        r#","sourceArn":"arn:aws:sns:us-east-1:444455556666:t""#,
        r#","sourceArn":"arn:aws:sns:us-east-1:*:t""#,
        r#","principalOrgID":"o-a1b2c3d4e5""#,
        r#","organizationId":"o-a1b2c3d4e5""#,
        r#","sourceAccount":"*""#,
        r#","sourceAccount":[]"#,
        r#","sourceAccount":null"#,
    ]);
    let action = select(vec![r#","action":"lambda:InvokeFunction""#, ""]);
    (principal, more, action)
        .prop_map(|(principal, more, action)| format!(r#","principal":{principal}{action}{more}"#))
}

/// A policy as an object, or in strings. A damaged one is in a string: the record itself must be readable.
fn wrapped_policy() -> impl Strategy<Value = Text> {
    let encodings = vec(0..6_u8, 0..4);
    (policy(), 0..16_u8, encodings).prop_map(|(policy, damage, mut encodings)| {
        let mut text = match damage {
            0 => policy.replacen("\"Version\":", "\"Version\" ", 1),
            1 => policy.replacen(']', ",]", 1),
            2 => format!("{policy}x"),
            _ => policy,
        };
        if damage < 3 {
            encodings.insert(0, 0);
        }
        for encoding in encodings {
            text = match encoding {
                0 | 1 => string(&text),
                2 => format!(r#"{{"Policy":{text}}}"#),
                3 => format!("[ 1,{text} ]"),
                4 => string(&url_encoded(&text)),
                _ => string(&format!(" \n{text} ")),
            };
        }
        text
    })
}

/// `text` as a JSON string.
fn string(text: &str) -> Text {
    serde_json::Value::from(text).to_string()
}

/// `text` URL-encoded, with small letters for some digits.
fn url_encoded(text: &str) -> String {
    let mut out = String::new();
    for (number, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte.into()),
            b' ' if number % 2 == 0 => out.push('+'),
            byte if number % 3 == 0 => out.push_str(&format!("%{byte:02x}")),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn policy() -> impl Strategy<Value = Text> {
    let statements = prop_oneof![
        2 => statement(),
        6 => vec(statement(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
        1 => select(vec!["null", "7", r#""Allow""#, r#"["x",1,null]"#, "{}"]).prop_map(str::to_owned),
    ];
    (key("Statement"), statements)
        .prop_map(|(key, statements)| format!(r#"{{"Version":"2012-10-17",{key}:{statements}}}"#))
}

fn statement() -> impl Strategy<Value = Text> {
    let part = |name: &'static str, value: BoxedStrategy<Text>, weight: u32| {
        proptest::option::weighted(f64::from(weight) / 10.0, (key(name), value))
    };
    let effect = select(vec!["Allow", "Allow", "Allow", "Deny", "allow", "x"])
        .prop_map(string)
        .boxed();
    (
        part("Effect", effect, 9),
        part("Principal", principal().boxed(), 4),
        part("NotPrincipal", principal().boxed(), 1),
        part("Action", list(action()).boxed(), 8),
        part("NotAction", list(action()).boxed(), 2),
        part("Resource", list(resource()).boxed(), 8),
        part("NotResource", list(resource()).boxed(), 2),
        part("Condition", condition().boxed(), 4),
        any::<u8>(),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, turn)| {
            let mut parts: Vec<Text> = [a, b, c, d, e, f, g, h]
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            if !parts.is_empty() {
                let len = parts.len();
                parts.rotate_left(usize::from(turn) % len);
                if turn % 16 == 0 {
                    parts.push(parts[0].clone());
                }
            }
            format!("{{{}}}", parts.join(","))
        })
}

/// A key in random case, some of its letters escaped.
fn key(name: &'static str) -> impl Strategy<Value = Text> {
    any::<u32>().prop_map(move |bits| {
        let mut out = String::from("\"");
        for (number, letter) in name.chars().enumerate() {
            let letter = match bits % 4 {
                0 if bits >> (number % 16 + 8) & 1 == 1 => letter.to_ascii_uppercase(),
                1 => letter.to_ascii_lowercase(),
                _ => letter,
            };
            match bits % 7 == 0 && number == 1 {
                true => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
                false => out.push(letter),
            }
        }
        out.push('"');
        out
    })
}

/// One value, or a list of some.
fn list(value: impl Strategy<Value = Text> + Clone) -> impl Strategy<Value = Text> {
    prop_oneof![
        3 => value.clone(),
        4 => vec(value, 0..4).prop_map(|all| format!("[{}]", all.join(","))),
        1 => select(vec!["null", "{}", "[[\"*\"]]", "[null]"]).prop_map(str::to_owned),
    ]
}

/// A string in one of these writings; `*` may be escaped.
fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = Text> + Clone {
    (select(texts), 0..8_u8).prop_map(|(text, writing)| match writing {
        0 => string(text).replace('*', "\\u002a"),
        1 => string(text).replace('/', "\\/"),
        _ => string(text),
    })
}

fn action() -> impl Strategy<Value = Text> + Clone {
    prop_oneof![
        1 => one_of(&["*", "*:*", "**", "iam:*", "IAM:*", "i?m:*", "s3:*", "ec2:*", "*:*e*", "?*"]),
        2 => one_of(&["s3:Get*", "iam:PassRole", "lambda:*", "lambda:CreateFunction", "ecs:RunTask",
            "iam:CreateAccessKey", "iam:Put*Policy", "iam:AttachUserPolicy", "iam:Create*", "iam:Get*",
            "iam:AddUserToGroup", "iam:SetDefaultPolicyVersion", "ec2:RunInstances", "iam:CreateUser",
            "s3:GetObject", "sts:AssumeRole", "iam:*Role*", "glue:Create*", "states:CreateStateMachine", "iam:CreatePolicyVersion", "scheduler:*",
            "airflow:CreateEnvironment", ""]),
    ]
}

fn resource() -> impl Strategy<Value = Text> + Clone {
    prop_oneof![
        2 => one_of(&["*", "**", "arn:*", "arn:aws:*", "arn:*:*:*:*:*", "arn:aws-cn:*", "a*"]),
        3 => one_of(&["arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:user/${aws:username}",
            "arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:role/app-*",
            "arn:aws:iam::*", "arn:aws:iam::111122223333:*", "arn:aws:iam::${aws:PrincipalAccount}:group/*",
            "arn:aws:iam::111122223333:policy/*", "arn:aws:s3:::bucket/*", "arn:aws:s3:::*", "arn:aws:*:*:*:*",
            "arn:aws:ec2:*:*:*", "arn:*:iam::*:user/${AWS:UserName}*", "*:role/?", "arn:aws:iam::1234:user/*",
            "arn:aws:iam::*:user/team/*", "arn:aws:iam::*:user/te*m/alice", "${x", "arn:aws:lambda:*:*:function:f",
            "arn:aws:iam::111122223333:policy/one", "arn:aws:iam::*:group/team/one", "arn:aws:iam::aws:policy/One",
            "arn:aws:iam::111122223333:user/${aws:PrincipalTag/team}", "arn:aws:iam::*:role/${aws:userid}/a",
            "arn:aws:iam::111122223333:role/${aws:PrincipalTag/a}-x", "*:group/${aws:username}"]),
    ]
}

fn principal() -> impl Strategy<Value = Text> {
    let name = one_of(&[
        "*",
        "444455556666",
        "arn:aws:iam::444455556666:root",
        "arn:aws:iam::111122223333:root",
        "arn:aws:sts::777788889999:assumed-role/r/s",
        "arn:aws-cn:iam::777788889999:user/*",
        "ec2.amazonaws.com",
        "44445555666",
        "arn:aws:s3:::444455556666",
        "arn:aws:iam::444455556666",
        "**",
        "1111222233334",
    ]);
    let entry = (
        select(vec![
            "AWS",
            "Federated",
            "Service",
            "CanonicalUser",
            "aws",
            "\\u0041WS",
        ]),
        list(name.clone()),
    )
        .prop_map(|(key, value)| format!("\"{key}\":{value}"));
    prop_oneof![
        2 => list(name),
        4 => vec(entry, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
    ]
}

fn condition() -> impl Strategy<Value = Text> {
    let operator = prop_oneof![
        3 => select(vec!["StringEquals", "stringlike", "ArnEquals", "ArnLike", "IpAddress", "STRINGEQUALSIGNORECASE",
            "ForAnyValue:StringLike", "foranyvalue:IPADDRESS"]),
        2 => select(vec!["StringNotEquals", "StringEqualsIfExists", "ForAllValues:StringEquals", "Bool", "Null",
            "NotIpAddress", "ForAnyValue:StringNotLike", "NumericEquals"]),
    ];
    let key = select(vec![
        "aws:SourceIp",
        "AWS:SourceIp",
        "aws:sourcearn",
        "aws:SourceAccount",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalType",
        "aws:userid",
        "kms:CallerAccount",
        "aws:SecureTransport",
        "s3:DataAccessPointArn",
        "aws:SourceVpc",
        "s3:prefix",
        "aws\\u003aSourceVpce",
    ]);
    let value = one_of(&[
        "0.0.0.0/0",
        "1.2.3.4/0",
        "10.0.0.0/8",
        "10.0.0.0/7",
        "192.0.2.7",
        "::/0",
        "2001:db8::/32",
        "2001:db8::/31",
        "o-a1b2c3d4e5",
        "o-*",
        "o-a1b2c3d4e5/r-ab12/*",
        "444455556666",
        "4444*",
        "vpc-1",
        "*",
        "",
        "arn:aws:s3:::bucket",
        "arn:aws:s3:::*",
        "arn:aws:s3:::b*/x",
        "arn:aws:s3:*:*:bucket",
        "arn:aws:s3:*:*:bucket/*",
        "arn:aws:s3:*:*:buck?t",
        "arn:aws:s3:*:*:accesspoint/one",
        "arn:aws:s3:::accesspoint/one",
        "arn:aws:s3:*:444455556666:accesspoint/*",
        "arn:aws:s3:*:?:job:1",
        "arn:aws:sns:*:444455556666:*",
        "arn:aws:sns:us-east-1:*:t",
        "arn:aws:iam::${aws:PrincipalAccount}:root",
        "arn:aws:route53:::hostedzone/Z1",
        "arn:aws:route53:::hostedzone/*",
        "arn:aws:s3",
        "true",
        "${aws:SourceIp}",
    ]);
    let entry = (key, list(value)).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    let keys = vec(entry, 0..3).prop_map(|all| format!("{{{}}}", all.join(",")));
    let part = (operator, keys).prop_map(|(operator, keys)| format!("\"{operator}\":{keys}"));
    prop_oneof![
        6 => vec(part, 0..3).prop_map(|all| format!("{{{}}}", all.join(" , "))),
        1 => select(vec!["{ }", "null", "[]", "7", r#"{"StringEquals":7}"#]).prop_map(str::to_owned),
    ]
}
