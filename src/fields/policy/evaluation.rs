//! Evaluation of one policy: whom its statements allow, and what an identity policy allows.
#![forbid(unsafe_code)]

use super::arn::account_of;
use super::identity::Rights;
use super::statement::{Effect, Statement};
use super::values::{contains, each_text, members};
use super::{Findings, condition, merge};
use crate::json::{Tape, Value, ValueType};

/// Evaluation of the policies of one record.
#[derive(Debug)]
pub(super) struct Evaluation<'e> {
    pub(super) findings: &'e mut Findings,
    pub(super) scratch: &'e mut Vec<u8>,
    /// Whether a statement without a principal belongs to an identity policy.
    pub(super) is_identity: bool,
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
