//! Identity policies that allow nearly everything or a way to more rights, each way with a benign twin.

use super::*;

/// `unlimited` and `escalates` of a role's policy with this `Statement`.
fn rights(statement: &Json) -> (Option<bool>, Option<bool>) {
    let values = &values(&[role_policy(statement.clone())])[0];
    (values.unlimited, values.escalates)
}

const UNLIMITED: (Option<bool>, Option<bool>) = (Some(true), Some(true));
const ESCALATES: (Option<bool>, Option<bool>) = (Some(false), Some(true));
const HARMLESS: (Option<bool>, Option<bool>) = (Some(false), Some(false));

fn allow(action: Json, resource: Json) -> Json {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

#[test]
fn every_way_to_allow_everything_is_seen() {
    let own_users = "arn:aws:iam::111122223333:user/${aws:username}";
    let cases = [
        allow(json!("*"), json!("*")),
        json!([allow(json!(["*"]), json!(["*"]))]),
        allow(json!("*:*"), json!("*")),
        allow(json!("**"), json!("**")),
        allow(json!(["IAM:*", "S3:*", "EC2:*"]), json!("*")),
        allow(json!(["i?m:*", "s*:*", "e*:*"]), json!("*")),
        allow(json!("?*"), json!("*")),
        json!([
            allow(json!("iam:*"), json!("*")),
            allow(json!("s3:*"), json!("*")),
            allow(json!("ec2:*"), json!("*"))
        ]),
        json!({"Effect": "Allow", "NotAction": "aws-portal:*", "Resource": "*"}),
        json!({"Effect": "Allow", "NotAction": ["s3:DeleteBucket", "iam:DeleteRole"], "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
        json!({"Condition": {"Null": {"aws:TokenIssueTime": "false"}}, "Resource": "*", "Action": "*", "Effect": "Allow"}),
        allow(json!("*"), json!("arn:*")),
        allow(json!("*"), json!("arn:aws:*")),
        allow(json!("*"), json!("arn:*:*:*:*:*")),
        allow(json!("*"), json!(["arn:aws:s3:::one", "*"])),
        allow(json!(["iam:Get*", "*"]), json!("*")),
        json!({"effect": "Allow", "action": "*", "resource": "*"}),
        json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::one-bucket/*"}),
        json!([allow(json!("*"), json!("*")), {"Effect": "Deny", "Action": "*", "Resource": own_users}]),
        json!([allow(json!("*"), json!("*")), {"Effect": "Deny", "Action": "iam:DeleteUser", "Resource": "*"}]),
        json!([allow(json!("*"), json!("*")), {"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}]),
    ];
    for case in cases {
        assert_eq!(rights(&case), UNLIMITED, "{case}");
    }
    // In a policy whose star is escaped, as an object, and for a permission set of Identity Center.
    let escaped = r#"{"Statement":{"Effect":"Allow","Action":"\u002a","Resource":"\u002A"}}"#;
    let records = [
        record("iam", "CreatePolicy", &json!({"policyDocument": escaped})),
        record_with(
            "iam",
            "CreatePolicyVersion",
            &format!(r#"{{"policyDocument":{escaped}}}"#),
        ),
        record(
            "sso",
            "PutInlinePolicyToPermissionSet",
            &json!({"inlinePolicy": escaped}),
        ),
    ];
    for values in values(&records) {
        assert_eq!((values.unlimited, values.escalates), UNLIMITED);
    }
}

#[test]
fn policies_of_a_service_or_a_resource_are_not_unlimited() {
    let cases = [
        allow(json!("s3:*"), json!("*")),
        allow(json!(["s3:*", "ec2:*"]), json!("*")),
        allow(json!("*"), json!("arn:aws:s3:::bucket/*")),
        allow(json!("*:Get*"), json!("*")),
        allow(json!("iam:Get*"), json!("*")),
        allow(json!("*"), json!("arn:aws:*:*:111122223333:function:*")),
        allow(json!("*"), json!("arn:aws:s3:::*")),
        allow(json!("*"), json!([])),
        allow(json!([]), json!("*")),
        json!({"Effect": "Allow", "Action": "*"}),
        json!({"Effect": "Deny", "Action": "*", "Resource": "*"}),
        json!({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"}),
        json!({"Effect": "Allow", "NotAction": "*", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": "*", "NotResource": "*"}),
        json!({"Effect": "Allow", "Action": "*", "NotResource": ["arn:aws:iam::111122223333:*", "arn:aws:lambda:*"]}),
        json!([allow(json!("*"), json!("*")), {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]),
        json!([allow(json!("*"), json!("*")), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*", "Condition": {}}]),
    ];
    for case in cases {
        assert_eq!(rights(&case), HARMLESS, "{case}");
    }
}

#[test]
fn each_known_way_to_more_rights_is_seen() {
    let single = "AttachUserPolicy PutUserPolicy AttachRolePolicy PutRolePolicy AttachGroupPolicy PutGroupPolicy \
        CreatePolicyVersion SetDefaultPolicyVersion CreateAccessKey CreateLoginProfile UpdateLoginProfile \
        UpdateAssumeRolePolicy AddUserToGroup";
    for action in single.split_whitespace() {
        let case = allow(json!(format!("iam:{action}")), json!("*"));
        assert_eq!(rights(&case), ESCALATES, "{case}");
        let written_otherwise = allow(
            json!(format!("IAM:{}*", &action[..action.len() - 1])),
            json!("arn:aws:iam::*"),
        );
        assert_eq!(rights(&written_otherwise), ESCALATES, "{written_otherwise}");
        let denied =
            json!([case, {"Effect": "Deny", "Action": format!("iam:{action}"), "Resource": "*"}]);
        assert_eq!(rights(&denied), HARMLESS, "{denied}");
    }
    let services = "lambda:CreateFunction ec2:RunInstances ecs:RunTask cloudformation:CreateStack \
        glue:CreateDevEndpoint sagemaker:CreateNotebookInstance codebuild:CreateProject \
        lambda:UpdateFunctionConfiguration ec2:CreateFleet cloudformation:UpdateStack glue:CreateSession \
        sagemaker:CreateModel states:UpdateStateMachine scheduler:CreateSchedule codepipeline:UpdatePipeline \
        emr-serverless:StartJobRun airflow:CreateEnvironment kinesisanalytics:CreateApplication \
        braket:CreateJob bedrock-agentcore:CreateCodeInterpreter apprunner:UpdateService";
    for action in services.split_whitespace() {
        let pass = allow(json!("iam:PassRole"), json!("*"));
        let run = allow(json!(action), json!("arn:aws:x:us-east-1:111122223333:one"));
        assert_eq!(rights(&json!([pass, run])), ESCALATES, "{action}");
        assert_eq!(rights(&run), HARMLESS, "{action} alone");
        assert_eq!(rights(&pass), HARMLESS, "PassRole alone");
    }
}

#[test]
fn resources_that_are_the_users_own_or_one_identity_are_no_way_to_more_rights() {
    let cases = [
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/*",
        ),
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:*",
        ),
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:*:iam::*:user/admins/*",
        ),
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:aws:iam::${aws:PrincipalAccount}:user/*",
        ),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/${aws:username}",
        ),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::*:user/${AWS:username}",
        ),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/alice",
        ),
        (HARMLESS, "iam:CreateAccessKey", "arn:aws:iam::*:user/alice"),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:role/*",
        ),
        (HARMLESS, "iam:CreateAccessKey", "arn:aws:s3:::*"),
        (
            HARMLESS,
            "iam:PutRolePolicy",
            "arn:aws:iam::111122223333:role/one",
        ),
        (
            ESCALATES,
            "iam:PutRolePolicy",
            "arn:aws:iam::111122223333:role/app-?",
        ),
        (
            ESCALATES,
            "iam:CreatePolicyVersion",
            "arn:aws:iam::111122223333:policy/one",
        ),
        (
            ESCALATES,
            "iam:SetDefaultPolicyVersion",
            "arn:aws:iam::111122223333:policy/team/one",
        ),
        (
            ESCALATES,
            "iam:AddUserToGroup",
            "arn:aws:iam::111122223333:group/admins",
        ),
        (
            HARMLESS,
            "iam:AddUserToGroup",
            "arn:aws:iam::111122223333:group/${aws:username}",
        ),
        (
            HARMLESS,
            "iam:AddUserToGroup",
            "arn:aws:iam::111122223333:user/*",
        ),
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/${aws:PrincipalTag/team}",
        ),
        (
            ESCALATES,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/x-${saml:sub}",
        ),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/${aws:PrincipalTag/team}/alice",
        ),
        (
            HARMLESS,
            "iam:CreateAccessKey",
            "arn:aws:iam::111122223333:user/*-${aws:username}",
        ),
        (
            ESCALATES,
            "iam:CreatePolicyVersion",
            "arn:aws:iam::111122223333:policy/*",
        ),
        (
            HARMLESS,
            "iam:CreatePolicyVersion",
            "arn:aws:iam::aws:policy/*",
        ),
    ];
    for (expected, action, resource) in cases {
        assert_eq!(
            rights(&allow(json!(action), json!(resource))),
            expected,
            "{action} {resource}"
        );
    }
    for (expected, resource) in [
        (ESCALATES, "arn:aws:iam::111122223333:role/*"),
        (ESCALATES, "arn:aws:iam::111122223333:role/team/app-*"),
        (
            ESCALATES,
            "arn:aws:iam::111122223333:role/${aws:PrincipalTag/team}",
        ),
        (HARMLESS, "arn:aws:iam::111122223333:role/app"),
        (HARMLESS, "arn:aws:iam::*:role/*/app"),
    ] {
        let both = json!([
            allow(json!("iam:PassRole"), json!(resource)),
            allow(json!("lambda:*"), json!("*"))
        ]);
        assert_eq!(rights(&both), expected, "{resource}");
    }
}

#[test]
fn administrator_access_counts_where_it_is_attached() {
    let of = |service: &str, name: &str, parameters: Json| {
        let values = &values(&[record(service, name, &parameters)])[0];
        assert_eq!((values.public, values.accounts.len()), (None, 0), "{name}");
        (values.unlimited, values.escalates)
    };
    let arn = "arn:aws:iam::aws:policy/AdministratorAccess";
    for name in ["AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy"] {
        assert_eq!(
            of("iam", name, json!({"policyArn": arn, "userName": "u"})),
            UNLIMITED
        );
        assert_eq!(
            of(
                "iam",
                name,
                json!({"policyArn": arn.replace(":aws:iam", ":aws-us-gov:iam")})
            ),
            UNLIMITED
        );
        for other in [
            "arn:aws:iam::aws:policy/AdministratorAccess-Amplify",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::111122223333:policy/AdministratorAccess",
        ] {
            assert_eq!(
                of("iam", name, json!({"policyArn": other})),
                (None, None),
                "{other}"
            );
        }
    }
    let attach = "AttachManagedPolicyToPermissionSet";
    assert_eq!(
        of("sso", attach, json!({"managedPolicyArn": arn})),
        UNLIMITED
    );
    for name in [
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
        "GetPolicy",
    ] {
        let parameters = json!({"policyArn": arn, "permissionsBoundary": arn});
        assert_eq!(of("iam", name, parameters), (None, None), "{name}");
    }
    assert_eq!(
        of("iam", "CreateUser", json!({"permissionsBoundary": arn})),
        (None, None)
    );
}

#[test]
fn only_identity_policies_have_rights() {
    let all = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    for (service, name) in [
        ("organizations", "CreatePolicy"),
        ("sts", "AssumeRole"),
        ("kms", "PutKeyPolicy"),
        ("ec2", "ModifyVpcEndpoint"),
    ] {
        let values = &values(&[record(service, name, &json!({"policy": all}))])[0];
        assert_eq!(
            (values.unlimited, values.escalates),
            (None, None),
            "{service}"
        );
    }
    // A statement with a principal belongs to a policy of a resource, here to the trust of a role.
    let trust = json!([
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "NotPrincipal": {"AWS": OWN}, "Action": "*", "Resource": "*"},
    ]);
    assert_eq!(rights(&trust), (None, None));
}
