//! One policy: its statements, whom they allow, and what an identity policy allows.
#![forbid(unsafe_code)]

use super::identity::Rights;
use super::values::{contains, each_text, members, text_of};
use super::{AccountId, Findings, account_id, condition, merge};
use crate::json::{Tape, Value, ValueType};

/// Evaluation of the policies of one record.
#[derive(Debug)]
pub(super) struct Evaluation<'e> {
    pub(super) findings: &'e mut Findings,
    pub(super) scratch: &'e mut Vec<u8>,
    /// Whether a statement without a principal belongs to an identity policy.
    pub(super) is_identity: bool,
}

/// The members of a statement; `None` if missing or null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    principal: Option<Value>,
    not_principal: Option<Value>,
    pub(super) action: Option<Value>,
    pub(super) not_action: Option<Value>,
    pub(super) resource: Option<Value>,
    pub(super) not_resource: Option<Value>,
    pub(super) condition: Option<Value>,
}

/// Effect of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
    /// No effect, or an unknown one.
    None,
}

impl Evaluation<'_> {
    /// Evaluates the policy with this `Statement`, an object or an array.
    pub(super) fn policy(&mut self, tape: Tape<'_>, statement: Value) {
        merge(&mut self.findings.public, false);
        let mut rights = None;
        match tape.value_type(statement) {
            ValueType::Object => self.statement(tape, statement, &mut rights),
            _ => {
                for statement in tape.elements(statement) {
                    if tape.value_type(statement) == ValueType::Object {
                        self.statement(tape, statement, &mut rights);
                    }
                }
            }
        }
        if let Some(rights) = rights {
            merge(&mut self.findings.unlimited, rights.is_unlimited());
            merge(&mut self.findings.escalates, rights.escalates());
        }
    }

    fn statement(&mut self, tape: Tape<'_>, object: Value, rights: &mut Option<Rights>) {
        let statement = Statement::of(tape, object, self.scratch);
        if statement.principal.is_some() || statement.not_principal.is_some() {
            if statement.effect == Effect::Allow {
                self.principals(tape, &statement);
            }
        } else if self.is_identity {
            let rights = rights.get_or_insert_default();
            rights.add(tape, &statement, self.scratch);
        }
    }

    /// Evaluates the principals of a statement that allows.
    fn principals(&mut self, tape: Tape<'_>, statement: &Statement) {
        let mut everybody = statement.not_principal.is_some();
        if let Some(principal) = statement.principal {
            let lists = match tape.value_type(principal) {
                ValueType::Object => members(tape, principal, ["AWS", "Federated"], self.scratch),
                _ => [Some(principal), None],
            };
            for list in lists.into_iter().flatten() {
                everybody = everybody || contains(tape, list, b"*", self.scratch);
                each_text(tape, list, self.scratch, |text| {
                    if let Some(account) = text.and_then(account_of) {
                        self.findings.add_account(account);
                    }
                    true
                });
            }
        }
        if everybody && self.findings.public != Some(true) {
            let condition = statement.condition;
            let narrowed = condition
                .is_some_and(|condition| condition::narrows(tape, condition, self.scratch));
            merge(&mut self.findings.public, !narrowed);
        }
    }
}

impl Statement {
    fn of(tape: Tape<'_>, object: Value, scratch: &mut Vec<u8>) -> Statement {
        let names = [
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let [
            effect,
            principal,
            not_principal,
            action,
            not_action,
            resource,
            not_resource,
            condition,
        ] = members(tape, object, names, scratch);
        let effect = effect.and_then(|effect| text_of(tape, effect, scratch));
        Statement {
            effect: match effect {
                Some(text) if text.eq_ignore_ascii_case(b"Allow") => Effect::Allow,
                Some(text) if text.eq_ignore_ascii_case(b"Deny") => Effect::Deny,
                _ => Effect::None,
            },
            principal,
            not_principal,
            action,
            not_action,
            resource,
            not_resource,
            condition,
        }
    }
}

/// The account that a principal names: by its bare ID, or by an ARN of IAM or STS.
pub(super) fn account_of(principal: &[u8]) -> Option<AccountId> {
    match arn_parts(principal) {
        Some([_, b"iam" | b"sts", _, account, _]) => account_id(account),
        Some(_) => None,
        None => account_id(principal),
    }
}

/// Partition, service, region, account and resource of an ARN.
pub(super) fn arn_parts(text: &[u8]) -> Option<[&[u8]; 5]> {
    let mut parts = text.splitn(6, |&byte| byte == b':');
    if parts.next()? != b"arn" {
        return None;
    }
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?])
}
