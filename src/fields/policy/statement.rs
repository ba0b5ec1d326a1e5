//! The parts of a statement.
#![forbid(unsafe_code)]

use super::values::{members, text_of};
use crate::json::{Tape, Value};

/// The members of a statement; `None` if missing or null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) principal: Option<Value>,
    pub(super) not_principal: Option<Value>,
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

impl Statement {
    pub(super) fn of(tape: Tape<'_>, object: Value, scratch: &mut Vec<u8>) -> Statement {
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
