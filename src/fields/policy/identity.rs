//! Identity policies: whether one allows nearly everything, or a known way to more rights.
//!
//! Action patterns are compared with a fixed list of actions, so that the rights of a policy are the bits of a word.
#![forbid(unsafe_code)]

use memchr::memchr;

use super::condition::has_wildcard;
use super::pattern::{
    PATTERN_BYTES, overlaps, overlaps_with_variables, reduced, without_variables,
};
use super::statement::{Effect, Statement};
use super::values::each_text;
use crate::json::{Tape, Value};

/// A set of [`ACTIONS`], one bit each.
type Actions = u64;

/// What an action works on, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum ActionTarget {
    User,
    Role,
    Group,
    ManagedPolicy,
    Object,
    Instance,
    /// Any resource will do.
    Any,
}

impl ActionTarget {
    /// Whether it is a user or a role. A group or policy that has one name can still be another identity's.
    fn is_identity(self) -> bool {
        matches!(self, ActionTarget::User | ActionTarget::Role)
    }
}

/// What an action is evidence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// Together with the others of its kind, of unlimited rights.
    Unlimited,
    /// By itself, of a way to more rights.
    Escalation,
    /// Passes a role to a service.
    PassRole,
    /// Has a service run code with a role.
    RunsCode,
    /// Both `Unlimited` and `RunsCode`.
    UnlimitedAndRunsCode,
}

/// The actions that decide, in lower case.
#[rustfmt::skip] // One row an action.
const ACTIONS: [(&str, ActionTarget, Evidence); 61] = [
    ("iam:createuser", ActionTarget::User, Evidence::Unlimited),
    ("s3:getobject", ActionTarget::Object, Evidence::Unlimited),
    ("ec2:runinstances", ActionTarget::Instance, Evidence::UnlimitedAndRunsCode),
    ("iam:attachuserpolicy", ActionTarget::User, Evidence::Escalation),
    ("iam:putuserpolicy", ActionTarget::User, Evidence::Escalation),
    ("iam:attachrolepolicy", ActionTarget::Role, Evidence::Escalation),
    ("iam:putrolepolicy", ActionTarget::Role, Evidence::Escalation),
    ("iam:attachgrouppolicy", ActionTarget::Group, Evidence::Escalation),
    ("iam:putgrouppolicy", ActionTarget::Group, Evidence::Escalation),
    ("iam:createpolicyversion", ActionTarget::ManagedPolicy, Evidence::Escalation),
    ("iam:setdefaultpolicyversion", ActionTarget::ManagedPolicy, Evidence::Escalation),
    ("iam:createaccesskey", ActionTarget::User, Evidence::Escalation),
    ("iam:createloginprofile", ActionTarget::User, Evidence::Escalation),
    ("iam:updateloginprofile", ActionTarget::User, Evidence::Escalation),
    ("iam:updateassumerolepolicy", ActionTarget::Role, Evidence::Escalation),
    ("iam:addusertogroup", ActionTarget::Group, Evidence::Escalation),
    ("iam:passrole", ActionTarget::Role, Evidence::PassRole),
    ("lambda:createfunction", ActionTarget::Any, Evidence::RunsCode),
    ("ec2:requestspotinstances", ActionTarget::Any, Evidence::RunsCode),
    ("ec2:requestspotfleet", ActionTarget::Any, Evidence::RunsCode),
    ("ecs:runtask", ActionTarget::Any, Evidence::RunsCode),
    ("ecs:starttask", ActionTarget::Any, Evidence::RunsCode),
    ("ecs:createservice", ActionTarget::Any, Evidence::RunsCode),
    ("ecs:registertaskdefinition", ActionTarget::Any, Evidence::RunsCode),
    ("cloudformation:createstack", ActionTarget::Any, Evidence::RunsCode),
    ("cloudformation:createstackset", ActionTarget::Any, Evidence::RunsCode),
    ("glue:createdevendpoint", ActionTarget::Any, Evidence::RunsCode),
    ("glue:createjob", ActionTarget::Any, Evidence::RunsCode),
    ("glue:updatejob", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:createnotebookinstance", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:createtrainingjob", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:createprocessingjob", ActionTarget::Any, Evidence::RunsCode),
    ("codebuild:createproject", ActionTarget::Any, Evidence::RunsCode),
    ("codebuild:updateproject", ActionTarget::Any, Evidence::RunsCode),
    ("datapipeline:createpipeline", ActionTarget::Any, Evidence::RunsCode),
    ("apprunner:createservice", ActionTarget::Any, Evidence::RunsCode),
    ("batch:registerjobdefinition", ActionTarget::Any, Evidence::RunsCode),
    ("elasticmapreduce:runjobflow", ActionTarget::Any, Evidence::RunsCode),
    ("states:createstatemachine", ActionTarget::Any, Evidence::RunsCode),
    ("autoscaling:createautoscalinggroup", ActionTarget::Any, Evidence::RunsCode),
    ("ssm:startautomationexecution", ActionTarget::Any, Evidence::RunsCode),
    ("lambda:updatefunctionconfiguration", ActionTarget::Any, Evidence::RunsCode),
    ("ec2:createfleet", ActionTarget::Any, Evidence::RunsCode),
    ("cloudformation:updatestack", ActionTarget::Any, Evidence::RunsCode),
    ("cloudformation:updatestackset", ActionTarget::Any, Evidence::RunsCode),
    ("glue:createsession", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:updatenotebookinstance", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:createmodel", ActionTarget::Any, Evidence::RunsCode),
    ("sagemaker:createhyperparametertuningjob", ActionTarget::Any, Evidence::RunsCode),
    ("apprunner:updateservice", ActionTarget::Any, Evidence::RunsCode),
    ("states:updatestatemachine", ActionTarget::Any, Evidence::RunsCode),
    ("scheduler:createschedule", ActionTarget::Any, Evidence::RunsCode),
    ("scheduler:updateschedule", ActionTarget::Any, Evidence::RunsCode),
    ("codepipeline:createpipeline", ActionTarget::Any, Evidence::RunsCode),
    ("codepipeline:updatepipeline", ActionTarget::Any, Evidence::RunsCode),
    ("emr-serverless:startjobrun", ActionTarget::Any, Evidence::RunsCode),
    ("airflow:createenvironment", ActionTarget::Any, Evidence::RunsCode),
    ("kinesisanalytics:createapplication", ActionTarget::Any, Evidence::RunsCode),
    ("braket:createjob", ActionTarget::Any, Evidence::RunsCode),
    ("bedrock-agentcore:createcodeinterpreter", ActionTarget::Any, Evidence::RunsCode),
    ("bedrock-agentcore:createagentruntime", ActionTarget::Any, Evidence::RunsCode),
];

const ALL: Actions = (1 << ACTIONS.len()) - 1;
const UNLIMITED: Actions = with_evidence(Evidence::Unlimited) | BOTH;
const RUNS_CODE: Actions = with_evidence(Evidence::RunsCode) | BOTH;
const BOTH: Actions = with_evidence(Evidence::UnlimitedAndRunsCode);
const PASS_ROLE: Actions = with_evidence(Evidence::PassRole);
const ESCALATION: Actions = with_evidence(Evidence::Escalation);

/// The actions whose name starts, or ends, with each byte.
static FIRST: [Actions; 256] = by_byte(true);
static LAST: [Actions; 256] = by_byte(false);

/// The rights that the statements of one policy give together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rights {
    /// Allowed on all resources.
    on_all: Actions,
    /// Allowed on resources that can be another identity's.
    on_others: Actions,
    /// Denied on all resources without a condition.
    denied: Actions,
}

/// The resources of a statement.
#[derive(Clone, Copy, Debug)]
struct Resources {
    /// Actions that the statement covers for all resources.
    all: Actions,
    /// Actions that it covers for resources that can be another identity's.
    others: Actions,
}

impl Rights {
    /// Adds those of a statement. Conditions of statements that allow are ignored.
    pub(super) fn add(&mut self, tape: Tape<'_>, statement: &Statement, scratch: &mut Vec<u8>) {
        if statement.effect == Effect::None
            || statement.effect == Effect::Deny && has_condition(tape, statement)
        {
            return;
        }
        let actions = actions(tape, statement, scratch);
        if actions == 0 {
            return;
        }
        if statement.effect == Effect::Deny {
            if let Some(list) = statement.resource
                && resources(tape, list, scratch).all == ALL
            {
                self.denied |= actions;
            }
            return;
        }
        let allowed = match (statement.resource, statement.not_resource) {
            (Some(list), _) => resources(tape, list, scratch),
            (None, Some(list)) => resources_but(tape, list, scratch),
            (None, None) => return,
        };
        self.on_all |= actions & allowed.all;
        self.on_others |= actions & allowed.others;
    }

    /// Whether nearly everything is allowed.
    pub(super) fn is_unlimited(&self) -> bool {
        UNLIMITED & !(self.on_all & !self.denied) == 0
    }

    /// Whether a known way to more rights is allowed.
    pub(super) fn escalates(&self) -> bool {
        let allowed = self.on_others & !self.denied;
        self.is_unlimited()
            || allowed & ESCALATION != 0
            || (allowed & PASS_ROLE != 0 && allowed & RUNS_CODE != 0)
    }
}

/// Whether a statement has a condition. An empty one is always true.
fn has_condition(tape: Tape<'_>, statement: &Statement) -> bool {
    statement.condition.is_some_and(|condition| {
        tape.raw(condition)
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .ne(b"{}")
    })
}

/// The actions that a statement is about.
fn actions(tape: Tape<'_>, statement: &Statement, scratch: &mut Vec<u8>) -> Actions {
    match (statement.action, statement.not_action) {
        (Some(list), _) => matching(tape, list, scratch),
        (None, Some(list)) => ALL & !matching(tape, list, scratch),
        (None, None) => 0,
    }
}

/// The actions that one of the patterns of `list` matches.
fn matching(tape: Tape<'_>, list: Value, scratch: &mut Vec<u8>) -> Actions {
    let mut matched = 0;
    each_text(tape, list, scratch, |text| {
        let out = &mut [0; PATTERN_BYTES];
        if let Some(pattern) = text.and_then(|text| reduced(text, out)) {
            let mut rest = candidates(pattern) & !matched;
            while rest != 0 {
                let number = rest.trailing_zeros();
                rest &= rest - 1;
                let (name, ..) = ACTIONS[number as usize];
                matched |= u64::from(overlaps(pattern, name.as_bytes())) << number;
            }
        }
        matched != ALL
    });
    matched
}

/// The actions that begin and end as `pattern` does.
fn candidates(pattern: &[u8]) -> Actions {
    let fitting = |byte: Option<&u8>, table: &[Actions; 256]| match byte {
        None => 0,
        Some(b'*' | b'?') => ALL,
        Some(&byte) => table[usize::from(byte)],
    };
    fitting(pattern.first(), &FIRST) & fitting(pattern.last(), &LAST)
}

/// What the patterns of a `Resource` cover.
fn resources(tape: Tape<'_>, list: Value, scratch: &mut Vec<u8>) -> Resources {
    let mut found = Resources { all: 0, others: 0 };
    each_text(tape, list, scratch, |text| {
        let Some(pattern) = text else { return true };
        found.others |= on_target(ActionTarget::Any);
        if is_every_resource(pattern) {
            found = Resources {
                all: ALL,
                others: ALL,
            };
        } else if !contains_own_name(pattern) {
            let several = names_several(pattern);
            for target in [
                ActionTarget::User,
                ActionTarget::Role,
                ActionTarget::Group,
                ActionTarget::ManagedPolicy,
            ] {
                let actions = on_target(target);
                let is_other = several || !target.is_identity();
                if is_other && found.others & actions == 0 && overlaps_identity(pattern, target) {
                    found.others |= actions;
                }
            }
        }
        found.all != ALL
    });
    // A service that runs code does so on any resource of its own.
    if found.others != 0 {
        found.others |= RUNS_CODE;
    }
    found
}

/// What is left by the patterns of a `NotResource`.
fn resources_but(tape: Tape<'_>, list: Value, scratch: &mut Vec<u8>) -> Resources {
    let mut left = ALL;
    each_text(tape, list, scratch, |text| {
        let Some(pattern) = text else { return true };
        if is_every_resource(pattern) {
            left = 0;
        } else {
            for (target, unnamed) in UNNAMED_TARGETS {
                let actions = on_target(target);
                if left & actions != 0 && matches(pattern, unnamed) {
                    left &= !actions;
                }
            }
        }
        left != 0
    });
    Resources {
        all: left,
        others: left,
    }
}

/// Resources that no pattern names, without partition: those of [`ACTIONS`] that decide about unlimited rights.
const UNNAMED: [&[u8]; 3] = [
    b"iam::\x01:user/\x01",
    b"s3:::\x01/\x01",
    b"ec2:\x01:\x01:instance/\x01",
];

/// Whether `pattern` matches every ARN, at least of one partition.
fn is_every_resource(pattern: &[u8]) -> bool {
    memchr(b'*', pattern).is_some() && UNNAMED.iter().all(|rest| matches(pattern, rest))
}

/// Whether `pattern` matches an ARN that ends with `rest` after a partition.
fn matches(pattern: &[u8], rest: &[u8]) -> bool {
    let partition = pattern.strip_prefix(b"arn:").and_then(|after| {
        let (partition, after) = after.split_at(memchr(b':', after)?);
        (partition.starts_with(b"aws") && !has_wildcard(partition)).then_some(&after[1..])
    });
    if let Some(after) = partition {
        return overlaps(after, rest);
    }
    let mut arn = [0; 64];
    let start = b"arn:aws:";
    let (head, tail) = arn.split_at_mut(start.len());
    head.copy_from_slice(start);
    tail[..rest.len()].copy_from_slice(rest);
    overlaps(pattern, &arn[..start.len() + rest.len()])
}

/// Whether `pattern` has the variable for the name of the user who has the policy.
fn contains_own_name(pattern: &[u8]) -> bool {
    let own_name = b"${aws:username}";
    pattern
        .windows(own_name.len())
        .any(|window| window.eq_ignore_ascii_case(own_name))
}

/// Whether `pattern` can match several names: whether there is a wildcard or a variable in the name, which is after the
/// last slash.
fn names_several(pattern: &[u8]) -> bool {
    let mut several = false;
    for byte in without_variables(pattern) {
        several = byte != b'/' && (several || matches!(byte, b'*' | b'?'));
    }
    several
}

/// Whether `pattern` can match an identity or policy of some account.
fn overlaps_identity(pattern: &[u8], target: ActionTarget) -> bool {
    let template: &[u8] = match target {
        ActionTarget::User => b"arn:aws~:iam::############:user/~",
        ActionTarget::Role => b"arn:aws~:iam::############:role/~",
        ActionTarget::Group => b"arn:aws~:iam::############:group/~",
        ActionTarget::ManagedPolicy => b"arn:aws~:iam::############:policy/~",
        ActionTarget::Object | ActionTarget::Instance | ActionTarget::Any => return false,
    };
    overlaps_with_variables(pattern, template)
}

/// For each target an ARN, without partition, of one that no pattern names, in any account and region.
#[rustfmt::skip] // One row a target.
const UNNAMED_TARGETS: [(ActionTarget, &[u8]); 6] = [
    (ActionTarget::User, b"iam::############:user/\x01"),
    (ActionTarget::Role, b"iam::############:role/\x01"),
    (ActionTarget::Group, b"iam::############:group/\x01"),
    (ActionTarget::ManagedPolicy, b"iam::############:policy/\x01"),
    (ActionTarget::Object, b"s3:::\x01/\x01"),
    (ActionTarget::Instance, b"ec2:~:############:instance/\x01"),
];

const fn on_target(target: ActionTarget) -> Actions {
    actions_with(Some(target), None)
}

const fn with_evidence(evidence: Evidence) -> Actions {
    actions_with(None, Some(evidence))
}

/// The actions of this target or this evidence.
const fn actions_with(target: Option<ActionTarget>, evidence: Option<Evidence>) -> Actions {
    let mut set = 0;
    let mut number = 0;
    while number < ACTIONS.len() {
        let (_, of_target, with_evidence) = ACTIONS[number];
        let on_target = matches!(target, Some(target) if of_target as u8 == target as u8);
        let has_evidence =
            matches!(evidence, Some(evidence) if with_evidence as u8 == evidence as u8);
        if on_target || has_evidence {
            set |= 1 << number;
        }
        number += 1;
    }
    set
}

const fn by_byte(first: bool) -> [Actions; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < ACTIONS.len() {
        let name = ACTIONS[number].0.as_bytes();
        let byte = if first { name[0] } else { name[name.len() - 1] };
        table[byte as usize] |= 1 << number;
        number += 1;
    }
    table
}
