//! What the policies in a request say, read with recursion, whole trees and tables of every state.
#![forbid(unsafe_code)]

use super::json::{Json, Kind};
use std::net::IpAddr;

/// The values of the fields `ct.policy.*`.
#[derive(Debug, Default)]
pub struct Policies {
    pub public: Option<bool>,
    pub accounts: Vec<String>,
    pub unlimited: Option<bool>,
    pub escalates: Option<bool>,
}

/// Encodings in which a policy may be wrapped.
const DEPTH: usize = 6;

impl Policies {
    pub fn of(record: &Json) -> Policies {
        let mut policies = Policies::default();
        let Some(request) = record.member("requestParameters") else {
            return policies;
        };
        let source = whole_text(record.member("eventSource")).unwrap_or_default();
        let name = whole_text(record.member("eventName")).unwrap_or_default();
        let endpoint = ["CreateVpcEndpoint", "ModifyVpcEndpoint"].contains(&name.as_str());
        if source == "ec2.amazonaws.com" && endpoint {
            return policies;
        }
        let service = source.strip_suffix(".amazonaws.com").unwrap_or("");
        let is_identity = service == "iam" || service == "sso";
        if service == "lambda" {
            policies.read_permission(request);
        }
        let managed = match service {
            "iam" => member(request, "policyarn"),
            _ => member(request, "managedpolicyarn"),
        };
        let attaches = "AttachUserPolicy AttachGroupPolicy AttachRolePolicy \
            AttachManagedPolicyToPermissionSet";
        if is_identity
            && attaches.split_whitespace().any(|it| it == name)
            && whole_text(managed).is_some_and(|arn| is_administrator_access(&arn))
        {
            policies.unlimited = Some(true);
            policies.escalates = Some(true);
        }
        policies.read_level(&[request], is_identity, DEPTH);
        let own = whole_text(record.member("recipientAccountId"))
            .or_else(|| whole_text(record.member("accountId")))
            .unwrap_or_default();
        let mut seen = vec![own];
        policies.accounts.retain(|account| {
            let new = !seen.contains(account);
            seen.push(account.clone());
            new
        });
        policies
    }

    /// Reads trees of one level, then the strings in them.
    fn read_level(&mut self, trees: &[&Json], is_identity: bool, depth: usize) {
        let mut strings = Vec::new();
        for tree in trees {
            if let Kind::Str(text) = &tree.kind {
                strings.push(text.clone());
            }
            self.read_tree(tree, is_identity, &mut strings);
        }
        self.read_strings(strings, is_identity, depth);
    }

    fn read_strings(&mut self, strings: Vec<String>, is_identity: bool, depth: usize) {
        if depth == 0 || strings.is_empty() {
            return;
        }
        let mut inner = Vec::new();
        for text in &strings {
            let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok();
            if is_json && trimmed.starts_with(['{', '[', '"']) {
                let tree = Json::read(trimmed.as_bytes(), 0).expect("strict JSON");
                match &tree.kind {
                    Kind::Str(text) => inner.push(text.clone()),
                    _ => self.read_tree(&tree, is_identity, &mut inner),
                }
            } else if let Some(decoded) = url_decoded(text) {
                inner.push(decoded);
            }
        }
        self.read_strings(inner, is_identity, depth - 1);
    }

    fn read_tree(&mut self, tree: &Json, is_identity: bool, strings: &mut Vec<String>) {
        let children: Vec<&Json> = match &tree.kind {
            Kind::Object(members) => members.iter().map(|(_, value)| value).collect(),
            Kind::Array(elements) => elements.iter().collect(),
            _ => return,
        };
        for child in &children {
            if let Kind::Str(text) = &child.kind {
                strings.push(text.clone());
            }
        }
        match first_member(tree, "statement").map(|statement| (statement, &statement.kind)) {
            Some((statement, Kind::Object(_))) => self.read_policy(&[statement], is_identity),
            Some((_, Kind::Array(elements))) => {
                let objects = elements.iter().filter(|it| is_object(it));
                self.read_policy(&objects.collect::<Vec<_>>(), is_identity);
            }
            _ => {}
        }
        for child in children {
            self.read_tree(child, is_identity, strings);
        }
    }

    fn read_policy(&mut self, statements: &[&Json], is_identity: bool) {
        or(&mut self.public, false);
        let has_principal =
            |it: &&Json| member(it, "principal").is_some() || member(it, "notprincipal").is_some();
        for statement in statements.iter().filter(|it| has_principal(it)) {
            if !has_effect(statement, "allow") {
                continue;
            }
            let names = principals(statement);
            self.accounts
                .extend(names.iter().filter_map(|name| account(name)));
            let everybody =
                member(statement, "notprincipal").is_some() || names.iter().any(|name| name == "*");
            or(&mut self.public, everybody && !is_narrowed(statement));
        }
        let rights: Vec<&Json> = statements
            .iter()
            .copied()
            .filter(|it| is_identity && !has_principal(it))
            .collect();
        if !rights.is_empty() {
            let unlimited = "iam:CreateUser s3:GetObject ec2:RunInstances"
                .split_whitespace()
                .all(|action| may(&rights, action, Scope::All));
            or(&mut self.unlimited, unlimited);
            or(&mut self.escalates, unlimited || escalates(&rights));
        }
    }

    /// Lambda's AddPermission.
    fn read_permission(&mut self, request: &Json) {
        let Some(Kind::Str(principal)) = member(request, "principal").map(|it| &it.kind) else {
            return;
        };
        if member(request, "action").is_none() {
            return;
        }
        self.accounts.extend(account(principal));
        let first_text = |name| member(request, name).and_then(|it| texts(it).into_iter().next());
        let is_id = |text: &Option<String>| text.as_ref().is_some_and(|text| fixed_id(text));
        let ids = ["sourceaccount", "principalorgid", "organizationid"];
        let mut narrowed = ids.iter().any(|name| {
            let all = member(request, name).map(texts).unwrap_or_default();
            first_text(name).is_some() && is_id_list(&all)
        });
        if let Some(arn) = member(request, "sourcearn").map(texts) {
            narrowed |= !arn.is_empty()
                && arn.iter().all(|arn| {
                    let parts = parts(arn);
                    is_id(&parts.map(|parts| parts[4].clone()))
                });
        }
        or(&mut self.public, principal == "*" && !narrowed);
    }
}

fn is_id_list(texts: &[String]) -> bool {
    texts.iter().all(|text| fixed_id(text))
}

fn or(flag: &mut Option<bool>, value: bool) {
    *flag = Some(flag.unwrap_or(false) | value);
}

/// A string's or scalar's text, not cut at a NUL.
fn whole_text(value: Option<&Json>) -> Option<String> {
    match &value?.kind {
        Kind::Str(text) => Some(text.clone()),
        Kind::Bool(_) | Kind::Number => Some(String::from_utf8_lossy(value?.raw()).into_owned()),
        Kind::Null | Kind::Array(_) | Kind::Object(_) => None,
    }
}

/// The texts of a value or of a list's elements; an empty text for those that have none.
fn texts(value: &Json) -> Vec<String> {
    let text = |value| whole_text(Some(value)).unwrap_or_default();
    match value.elements() {
        Some(elements) => elements.iter().map(text).collect(),
        None => vec![text(value)],
    }
}

/// The first member with this name, given in lower case.
fn first_member<'j, 'a>(object: &'j Json<'a>, name: &str) -> Option<&'j Json<'a>> {
    let Kind::Object(members) = &object.kind else {
        return None;
    };
    let found = members
        .iter()
        .find(|(key, _)| key.to_ascii_lowercase() == name);
    found.map(|(_, value)| value)
}

/// [`first_member`] unless it is null.
fn member<'j, 'a>(object: &'j Json<'a>, name: &str) -> Option<&'j Json<'a>> {
    first_member(object, name).filter(|value| !matches!(value.kind, Kind::Null))
}

fn is_object(value: &Json) -> bool {
    matches!(value.kind, Kind::Object(_))
}

fn has_effect(statement: &Json, effect: &str) -> bool {
    let text = whole_text(member(statement, "effect"));
    text.is_some_and(|text| text.to_ascii_lowercase() == effect)
}

fn principals(statement: &Json) -> Vec<String> {
    match member(statement, "principal") {
        None => Vec::new(),
        Some(principal) if is_object(principal) => ["aws", "federated"]
            .iter()
            .filter_map(|name| member(principal, name))
            .flat_map(texts)
            .collect(),
        Some(principal) => texts(principal),
    }
}

fn url_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let (mut at, mut any) = (0, false);
    while at < bytes.len() {
        let digits = text
            .get(at + 1..at + 3)
            .filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        match (bytes[at], digits) {
            (b'%', Some(digits)) => {
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                any = true;
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    any.then(|| String::from_utf8_lossy(&out).into_owned())
}

/// The six parts of an ARN.
fn parts(arn: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = arn.splitn(6, ':').map(str::to_owned).collect();
    (parts.len() == 6 && parts[0] == "arn").then_some(parts)
}

fn account(name: &str) -> Option<String> {
    let id = match parts(name) {
        Some(parts) if parts[2] == "iam" || parts[2] == "sts" => parts[4].clone(),
        Some(_) => return None,
        None => name.to_owned(),
    };
    (id.len() == 12 && id.chars().all(|digit| digit.is_ascii_digit())).then_some(id)
}

fn is_administrator_access(arn: &str) -> bool {
    parts(arn).is_some_and(|parts| {
        !parts[1].is_empty() && parts[2..].join(":") == "iam::aws:policy/AdministratorAccess"
    })
}

const NARROWING_KEYS: &str = "aws:principalorgid aws:principalaccount aws:principalarn \
    aws:principalservicename aws:sourceaccount aws:sourcearn aws:sourceowner aws:sourceorgid \
    aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:vpceaccount aws:vpceorgid aws:userid \
    aws:sourceinstancearn aws:ec2instancesourcevpc kms:calleraccount s3:dataaccesspointaccount \
    s3:dataaccesspointarn aws:sourceip aws:principalorgpaths aws:sourceorgpaths aws:vpceorgpaths";

fn is_narrowed(statement: &Json) -> bool {
    let Some(Kind::Object(operators)) = member(statement, "condition").map(|it| &it.kind) else {
        return false;
    };
    let operators = first_of_each(operators);
    operators.iter().any(|(operator, keys)| {
        let plain = operator.strip_prefix("foranyvalue:").unwrap_or(operator);
        let narrowing =
            "stringequals stringequalsignorecase stringlike arnequals arnlike ipaddress";
        let Kind::Object(keys) = &keys.kind else {
            return false;
        };
        narrowing.split_whitespace().any(|it| it == plain)
            && first_of_each(keys).iter().any(|(key, values)| {
                let values = texts(values);
                NARROWING_KEYS.split_whitespace().any(|it| it == key)
                    && !values.is_empty()
                    && values.iter().all(|value| is_fixed(key, value))
            })
    })
}

/// Members with their names in lower case, of equal names the first.
fn first_of_each<'j, 'a>(members: &'j [(String, Json<'a>)]) -> Vec<(String, &'j Json<'a>)> {
    let mut found: Vec<(String, &Json)> = Vec::new();
    for (name, value) in members {
        let name = name.to_ascii_lowercase();
        if found.iter().all(|(earlier, _)| *earlier != name) {
            found.push((name, value));
        }
    }
    found
}

fn is_fixed(key: &str, value: &str) -> bool {
    if value.contains("${") {
        return false;
    }
    if key == "aws:sourceip" {
        return is_small_range(value);
    }
    if key.ends_with("orgpaths") {
        return fixed_id(value.split('/').next().unwrap_or(""));
    }
    if !value.starts_with("arn:") {
        return fixed_id(value);
    }
    let Some(parts) = parts(value) else {
        return false;
    };
    match (parts[2].as_str(), parts[4].as_str()) {
        (_, account) if fixed_id(account) => true,
        ("s3", account) => {
            let owned =
                "accesspoint access-grants async-request job storage-lens storage-lens-group";
            let kind = parts[5].split([':', '/']).next().unwrap_or("");
            let is_owned = owned.split(' ').any(|it| it == kind) && !account.is_empty();
            !is_owned && fixed_id(parts[5].split('/').next().unwrap_or(""))
        }
        (_, "") => fixed_id(&parts[5]),
        _ => false,
    }
}

fn fixed_id(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?'])
}

fn is_small_range(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "whole"));
    let (least, most) = match address.parse() {
        Ok(IpAddr::V4(_)) => (8, 32),
        Ok(IpAddr::V6(_)) => (32, 128),
        Err(_) => return false,
    };
    match prefix {
        "whole" => true,
        digits if digits.chars().all(|digit| digit.is_ascii_digit()) => digits
            .parse::<u32>()
            .is_ok_and(|bits| bits >= least && bits <= most),
        _ => false,
    }
}

/// Where an action is allowed.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    /// On every resource.
    All,
    /// On some other identity of this kind.
    Other(&'static str),
    /// On anything.
    Some,
}

fn escalates(rights: &[&Json]) -> bool {
    let ways = [
        (
            "user",
            "AttachUserPolicy PutUserPolicy CreateAccessKey CreateLoginProfile UpdateLoginProfile",
        ),
        (
            "role",
            "AttachRolePolicy PutRolePolicy UpdateAssumeRolePolicy",
        ),
        ("group", "AttachGroupPolicy PutGroupPolicy AddUserToGroup"),
        ("policy", "CreatePolicyVersion SetDefaultPolicyVersion"),
    ];
    let single = ways.iter().any(|(kind, actions)| {
        let mut actions = actions.split_whitespace();
        actions.any(|action| may(rights, &format!("iam:{action}"), Scope::Other(kind)))
    });
    let runs_code = "lambda:CreateFunction ec2:RunInstances ec2:RequestSpotInstances \
        ec2:RequestSpotFleet ecs:RunTask ecs:StartTask ecs:CreateService ecs:RegisterTaskDefinition \
        cloudformation:CreateStack cloudformation:CreateStackSet glue:CreateDevEndpoint \
        glue:CreateJob glue:UpdateJob sagemaker:CreateNotebookInstance sagemaker:CreateTrainingJob \
        sagemaker:CreateProcessingJob codebuild:CreateProject codebuild:UpdateProject \
        datapipeline:CreatePipeline apprunner:CreateService batch:RegisterJobDefinition \
        elasticmapreduce:RunJobFlow states:CreateStateMachine autoscaling:CreateAutoScalingGroup \
        ssm:StartAutomationExecution lambda:UpdateFunctionConfiguration ec2:CreateFleet \
        cloudformation:UpdateStack cloudformation:UpdateStackSet glue:CreateSession \
        sagemaker:UpdateNotebookInstance sagemaker:CreateModel sagemaker:CreateHyperParameterTuningJob \
        apprunner:UpdateService states:UpdateStateMachine scheduler:CreateSchedule \
        scheduler:UpdateSchedule codepipeline:CreatePipeline codepipeline:UpdatePipeline \
        emr-serverless:StartJobRun airflow:CreateEnvironment kinesisanalytics:CreateApplication \
        braket:CreateJob bedrock-agentcore:CreateCodeInterpreter \
        bedrock-agentcore:CreateAgentRuntime";
    single
        || may(rights, "iam:PassRole", Scope::Other("role"))
            && runs_code
                .split_whitespace()
                .any(|action| may(rights, action, Scope::Some))
}

fn may(rights: &[&Json], action: &str, scope: Scope) -> bool {
    let allowed = rights.iter().any(|it| {
        has_effect(it, "allow") && has_action(it, action) && has_resource(it, action, scope)
    });
    let denied = rights.iter().any(|it| {
        let conditional = member(it, "condition").is_some_and(|it| it.compact() != "{}");
        let resources = member(it, "resource").map(texts).unwrap_or_default();
        has_effect(it, "deny")
            && !conditional
            && has_action(it, action)
            && resources.iter().any(|it| is_everything(it))
    });
    allowed && !denied
}

fn has_action(statement: &Json, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let matches = |list: &Json| {
        let patterns = texts(list);
        let mut patterns = patterns.iter().map(|pattern| pattern.to_ascii_lowercase());
        patterns.any(|pattern| overlap(&pattern, &action))
    };
    match (member(statement, "action"), member(statement, "notaction")) {
        (Some(list), _) => matches(list),
        (None, Some(list)) => !matches(list),
        (None, None) => false,
    }
}

fn has_resource(statement: &Json, action: &str, scope: Scope) -> bool {
    if let Some(list) = member(statement, "resource") {
        return list_texts(list).iter().any(|pattern| {
            is_everything(pattern)
                || match scope {
                    Scope::All => false,
                    Scope::Other(kind) => names_others(pattern, kind),
                    Scope::Some => true,
                }
        });
    }
    let Some(list) = member(statement, "notresource") else {
        return false;
    };
    let target = match (action, scope) {
        ("iam:CreateUser", _) => "iam::############:user/\u{1}".to_owned(),
        ("s3:GetObject", _) => "s3:::\u{1}/\u{1}".to_owned(),
        ("ec2:RunInstances", _) => "ec2:~:############:instance/\u{1}".to_owned(),
        (_, Scope::Other(kind)) => format!("iam::############:{kind}/\u{1}"),
        _ => String::new(),
    };
    !list_texts(list).iter().any(|pattern| {
        is_everything(pattern) || !target.is_empty() && in_a_partition(pattern, &target)
    })
}

/// The texts of a list, without elements that have none.
fn list_texts(value: &Json) -> Vec<String> {
    match value.elements() {
        Some(elements) => elements
            .iter()
            .filter_map(|it| whole_text(Some(it)))
            .collect(),
        None => whole_text(Some(value)).into_iter().collect(),
    }
}

fn is_everything(pattern: &str) -> bool {
    let all = [
        "iam::\u{1}:user/\u{1}",
        "s3:::\u{1}/\u{1}",
        "ec2:\u{1}:\u{1}:instance/\u{1}",
    ];
    all.iter().all(|rest| in_a_partition(pattern, rest))
}

fn in_a_partition(pattern: &str, rest: &str) -> bool {
    let own = pattern
        .split(':')
        .nth(1)
        .filter(|it| it.starts_with("aws") && !it.contains(['*', '?']));
    let partition = own.filter(|_| pattern.starts_with("arn:")).unwrap_or("aws");
    overlap(pattern, &format!("arn:{partition}:{rest}"))
}

fn names_others(pattern: &str, kind: &str) -> bool {
    if pattern.to_ascii_lowercase().contains("${aws:username}") {
        return false;
    }
    let mut plain = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        plain.push_str(before);
        plain.push('*');
        rest = after;
    }
    plain.push_str(rest);
    let name = plain.rsplit('/').next().unwrap_or("");
    if (kind == "user" || kind == "role") && !name.contains(['*', '?']) {
        return false;
    }
    overlap(&plain, &format!("arn:aws~:iam::############:{kind}/~"))
}

/// Whether a text matches both: `*` and `?` in the pattern, `~` for a text without colon and
/// `#` for a digit in the template.
fn overlap(pattern: &str, template: &str) -> bool {
    let (pattern, template) = (pattern.as_bytes(), template.as_bytes());
    let (rows, columns) = (pattern.len(), template.len());
    // Whether the rests from each pair of places on can match the same text.
    let mut table = vec![vec![false; columns + 1]; rows + 1];
    for row in (0..=rows).rev() {
        for column in (0..=columns).rev() {
            table[row][column] = match (pattern.get(row), template.get(column)) {
                (None, None) => true,
                (Some(b'*'), _) if table[row + 1][column] => true,
                (_, Some(b'~')) if table[row][column + 1] => true,
                (Some(b'*'), Some(_)) => table[row][column + 1],
                (Some(a), Some(b'~')) => *a != b':' && table[row + 1][column],
                (Some(a), Some(b)) => {
                    let one = match (a, b) {
                        (b'?', _) => true,
                        (a, b'#') => a.is_ascii_digit(),
                        (a, b) => a == b,
                    };
                    one && table[row + 1][column + 1]
                }
                _ => false,
            };
        }
    }
    table[0][0]
}
