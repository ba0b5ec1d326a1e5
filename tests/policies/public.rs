//! Statements for everybody and for other accounts, each way with a benign twin.

use super::*;

fn publicity(cases: &[(&str, Vec<u8>)]) -> Vec<Option<bool>> {
    let records: Vec<_> = cases.iter().map(|(_, record)| record.clone()).collect();
    let values = values(&records).into_iter();
    values.map(|values| values.public).collect()
}

fn with_condition(condition: Json) -> Vec<u8> {
    bucket_policy(json!({"Principal": "*", "Condition": condition}))
}

/// A bucket policy with this text.
fn bucket_policy_text(policy: &str) -> Vec<u8> {
    record_with(
        "s3",
        "PutBucketPolicy",
        &format!(r#"{{"bucketName":"b","bucketPolicy":{policy}}}"#),
    )
}

#[test]
fn every_way_to_make_a_bucket_public_is_seen() {
    let escaped = r#"{"\u0053tatement":[{"Effect":"All\u006fw","Princip\u0061l":{"AWS":"\u002a"},"Action":"s3:*"}]}"#;
    let cases = [
        ("star", bucket_policy(json!({"Principal": "*"}))),
        (
            "star under AWS",
            bucket_policy(json!({"Principal": {"AWS": "*"}})),
        ),
        (
            "list under AWS",
            bucket_policy(json!({"Principal": {"AWS": ["*"]}})),
        ),
        (
            "list of others and star",
            bucket_policy(json!({"Principal": {"AWS": ["arn:aws:iam::111122223333:root", "*"]}})),
        ),
        ("list of one", bucket_policy(json!({"Principal": ["*"]}))),
        (
            "Federated",
            bucket_policy(json!({"Principal": {"Federated": "*"}})),
        ),
        (
            "NotPrincipal",
            bucket_policy(json!({"NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/a"}})),
        ),
        (
            "lower case",
            bucket_policy_text(
                r#"{"statement":{"effect":"Allow","principal":{"aws":"*"},"action":"s3:*"}}"#,
            ),
        ),
        (
            "one statement without a list",
            bucket_policy_text(r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#),
        ),
        ("escapes", bucket_policy_text(escaped)),
        (
            "order and white space",
            bucket_policy_text(
                "{\"Statement\" : [ {\n\"Condition\":{},\"Principal\"\t: \"*\" , \"Effect\":\"Allow\"} ]}",
            ),
        ),
        ("text", bucket_policy_text(&Json::from(escaped).to_string())),
        (
            "second statement",
            bucket_policy_text(
                r#"{"Statement":[{"Effect":"Deny","Principal":"*"},{"Effect":"Allow","Principal":"*"}]}"#,
            ),
        ),
        (
            "other condition",
            with_condition(json!({"Bool": {"aws:SecureTransport": "true"}})),
        ),
        (
            "every IPv4 address",
            with_condition(json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})),
        ),
        (
            "every address in another writing",
            with_condition(json!({"IpAddress": {"aws:SourceIp": "1.2.3.4/0"}})),
        ),
        (
            "half of all addresses",
            with_condition(json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}})),
        ),
        (
            "every IPv6 address",
            with_condition(json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::/0"]}})),
        ),
        (
            "all but some addresses",
            with_condition(json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        ),
        (
            "all but one account",
            with_condition(json!({"StringNotEquals": {"aws:PrincipalAccount": "444455556666"}})),
        ),
        (
            "if the key exists",
            with_condition(json!({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}})),
        ),
        (
            "for all of no values",
            with_condition(json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-a1"}})),
        ),
        (
            "type of principal",
            with_condition(json!({"StringEquals": {"aws:PrincipalType": "User"}})),
        ),
        (
            "any account",
            with_condition(json!({"StringLike": {"aws:SourceAccount": "*"}})),
        ),
        (
            "one fixed value and one not",
            with_condition(json!({"StringLike": {"aws:SourceAccount": ["444455556666", "*"]}})),
        ),
        (
            "ARN of any account",
            with_condition(json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:*:topic"}})),
        ),
        (
            "ARN of any bucket",
            with_condition(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}})),
        ),
        (
            "ARN of any bucket with a prefix",
            with_condition(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:bucket-*"}})),
        ),
        (
            "ARN of an access point in any account",
            with_condition(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:accesspoint/a"}})),
        ),
        (
            "variable",
            with_condition(
                json!({"StringEquals": {"aws:PrincipalAccount": "${aws:SourceAccount}"}}),
            ),
        ),
        (
            "key is missing",
            with_condition(json!({"Null": {"aws:PrincipalOrgID": "true"}})),
        ),
        (
            "no value",
            with_condition(json!({"StringEquals": {"aws:PrincipalOrgID": []}})),
        ),
    ];
    for ((name, _), public) in cases.iter().zip(publicity(&cases)) {
        assert_eq!(public, Some(true), "{name}");
    }
}

#[test]
fn benign_twins_are_not_public() {
    let cases = [
        (
            "own account",
            bucket_policy(json!({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}})),
        ),
        (
            "service",
            bucket_policy(json!({"Principal": {"Service": "cloudtrail.amazonaws.com"}})),
        ),
        (
            "star in a name",
            bucket_policy(json!({"Principal": {"AWS": ["arn:aws:iam::111122223333:role/*"]}})),
        ),
        (
            "star that is no principal",
            bucket_policy(
                json!({"Principal": {"AWS": "444455556666"}, "Action": "*", "Resource": "*"}),
            ),
        ),
        (
            "federation",
            bucket_policy(json!({"Principal": {"Federated": "cognito-identity.amazonaws.com"}})),
        ),
        (
            "Deny",
            bucket_policy(json!({"Effect": "Deny", "Principal": "*"})),
        ),
        (
            "Deny with NotPrincipal",
            bucket_policy(json!({"Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}})),
        ),
        (
            "no effect",
            bucket_policy_text(r#"{"Statement":[{"Principal":"*","Action":"s3:*"}]}"#),
        ),
        ("no statement", bucket_policy_text(r#"{"Statement":[]}"#)),
        (
            "star in a description",
            bucket_policy_text(
                r#"{"Statement":[{"Sid":"Principal: *","Effect":"Allow","Principal":{"AWS":"444455556666"}}]}"#,
            ),
        ),
        (
            "organization",
            with_condition(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})),
        ),
        (
            "units",
            with_condition(
                json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/*"}}),
            ),
        ),
        (
            "small range",
            with_condition(
                json!({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}}),
            ),
        ),
        (
            "VPC endpoint",
            with_condition(json!({"stringequals": {"AWS:SourceVpce": "vpce-0123"}})),
        ),
        (
            "VPC",
            with_condition(json!({"StringEquals": {"aws:sourcevpc": ["vpc-1", "vpc-2"]}})),
        ),
        (
            "bucket",
            with_condition(
                json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket*".replace('*', "/*")}}),
            ),
        ),
        (
            "bucket of any region and account",
            with_condition(json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:bucket"}})),
        ),
        (
            "access points of an account",
            with_condition(
                json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:444455556666:accesspoint/*"}}),
            ),
        ),
        (
            "topic",
            with_condition(json!({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:444455556666:*"}})),
        ),
        (
            "role",
            with_condition(
                json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/*"}}),
            ),
        ),
        (
            "account through KMS",
            with_condition(json!({"StringEquals": {"kms:CallerAccount": "444455556666"}})),
        ),
        (
            "access point",
            with_condition(json!({"StringEquals": {"s3:DataAccessPointAccount": "444455556666"}})),
        ),
        (
            "one of two conditions",
            with_condition(
                json!({"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"s3:prefix": "a", "aws:SourceAccount": "444455556666"}}),
            ),
        ),
        (
            "unique ID",
            with_condition(json!({"StringLike": {"aws:userId": "AROAEXAMPLEID:session"}})),
        ),
    ];
    for ((name, _), public) in cases.iter().zip(publicity(&cases)) {
        assert_eq!(public, Some(false), "{name}");
    }
}

#[test]
fn permission_of_lambda_is_public_for_everybody_without_a_source() {
    let permission = |more: Json| {
        let mut all =
            json!({"functionName": "f", "statementId": "s", "action": "lambda:InvokeFunction"});
        all.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        record("lambda", "AddPermission20150331v2", &all)
    };
    let cases = [
        (Some(true), json!({"principal": "*"})),
        (
            Some(true),
            json!({"principal": "*", "functionUrlAuthType": "NONE"}),
        ),
        (
            Some(true),
            json!({"principal": "*", "sourceArn": "arn:aws:s3:::bucket"}),
        ),
        (
            Some(false),
            json!({"principal": "*", "sourceAccount": "444455556666"}),
        ),
        (
            Some(false),
            json!({"principal": "*", "sourceArn": "arn:aws:sns:us-east-1:444455556666:t"}),
        ),
        (
            Some(false),
            json!({"principal": "*", "principalOrgID": "o-a1b2c3d4e5"}),
        ),
        (
            Some(false),
            json!({"principal": "*", "organizationId": "o-a1b2c3d4e5"}),
        ),
        (Some(false), json!({"principal": "s3.amazonaws.com"})),
        (None, json!({})),
    ];
    for (expected, more) in cases {
        assert_eq!(
            values(&[permission(more.clone())])[0].public,
            expected,
            "{more}"
        );
    }
    let other = json!({"principal": "*", "action": "events:PutEvents"});
    assert_eq!(
        values(&[record("events", "PutPermission", &other)])[0].public,
        None
    );
    let invocation = json!({"functionName": "f"});
    assert_eq!(
        values(&[record("lambda", "Invoke", &invocation)])[0],
        Values::default()
    );
    let account = permission(json!({"principal": "444455556666"}));
    assert_eq!(values(&[account])[0].accounts, ["444455556666"]);
}

#[test]
fn accounts_are_those_that_are_allowed_but_the_own_one_each_once() {
    let accounts = |statement: Json| values(&[bucket_policy(statement)])[0].accounts.clone();
    let none: [&str; 0] = [];
    let principals = json!({"Principal": {"AWS": [
        "arn:aws:iam::777788889999:root", "444455556666", "arn:aws:sts::444455556666:assumed-role/r/s",
        "arn:aws:iam::111122223333:root", "arn:aws-us-gov:iam::222233334444:user/u", "*"],
        "Federated": "arn:aws:iam::333344445555:saml-provider/p"}});
    let expected = [
        "777788889999",
        "444455556666",
        "222233334444",
        "333344445555",
    ];
    assert_eq!(accounts(principals), expected);
    assert_eq!(
        accounts(json!({"Principal": "444455556666"})),
        ["444455556666"]
    );
    assert_eq!(accounts(json!({"Principal": {"AWS": OWN}})), none);
    assert_eq!(
        accounts(json!({"Effect": "Deny", "Principal": {"AWS": "444455556666"}})),
        none
    );
    assert_eq!(
        accounts(json!({"NotPrincipal": {"AWS": "444455556666"}})),
        none
    );
    for other in [
        "44445555666",
        "4444555566667",
        "arn:aws:s3:::444455556666",
        "ec2.amazonaws.com",
        "AIDAEXAMPLE",
    ] {
        assert_eq!(
            accounts(json!({"Principal": {"AWS": other}})),
            none,
            "{other}"
        );
    }
    assert_eq!(
        accounts(json!({"Principal": {"CanonicalUser": "444455556666"}})),
        none
    );
}

#[test]
fn policy_of_a_vpc_endpoint_gives_no_value() {
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*","444455556666"]},"Action":"*","Resource":"*"}]}"#;
    for name in ["CreateVpcEndpoint", "ModifyVpcEndpoint"] {
        let request = json!({name.to_owned() + "Request": {"PolicyDocument": policy}});
        assert_eq!(
            values(&[record("ec2", name, &request)])[0],
            Values::default()
        );
    }
    let other = json!({"PolicyDocument": policy});
    assert_eq!(
        values(&[record("ec2", "PutResourcePolicy", &other)])[0].public,
        Some(true)
    );
}
