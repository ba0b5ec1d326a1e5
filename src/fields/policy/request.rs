//! The request that policies stand in: its service decides what they can be, and some requests grant rights without a
//! statement.
#![forbid(unsafe_code)]

use super::arn::{AccountId, account_id, account_of, arn_parts};
use super::evaluation::Evaluation;
use super::search::may_have_policy;
use super::values::{each_text, members, text_of};
use super::{condition, merge};
use crate::fields::value::RecordView;
use crate::json::{Tape, Value, ValueType};
use crate::key_table::KnownKey;

/// The parameters of a request that may have policies.
#[derive(Debug)]
pub(super) struct PolicyRequest<'r> {
    pub(super) tape: Tape<'r>,
    pub(super) parameters: Value,
    pub(super) may_have_policy: bool,
    kind: Kind,
    own_account: Option<AccountId>,
}

/// Kind of a request, as far as policies are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To a service with identity policies.
    Identity,
    /// To such a service, to attach the managed policy that the parameter of this name has.
    Attach(&'static str),
    /// To Lambda, which has a statement's parts as parameters of the request.
    Lambda,
    Other,
}

impl<'r> PolicyRequest<'r> {
    /// The request of `record`; `None` if no field has a value.
    #[inline]
    pub(super) fn of(
        record: &mut RecordView<'r>,
        scratch: &mut Vec<u8>,
    ) -> Option<PolicyRequest<'r>> {
        let tape = record.tape;
        let parameters = record.value(KnownKey::RequestParameters)?;
        let kind = Kind::of(record, scratch);
        let may_have_policy = may_have_policy(tape.raw(parameters));
        if !may_have_policy && matches!(kind, Kind::Identity | Kind::Other) {
            return None;
        }
        if is_vpc_endpoint(record, scratch) {
            return None;
        }
        let own = record.either(KnownKey::RecipientAccountId, KnownKey::AggregatedAccountId);
        Some(PolicyRequest {
            tape,
            parameters,
            may_have_policy,
            kind,
            own_account: own.and_then(|own| account_id(text_of(tape, own, scratch)?)),
        })
    }

    pub(super) fn has_identity_policies(&self) -> bool {
        matches!(self.kind, Kind::Identity | Kind::Attach(_))
    }

    /// The account that received the event.
    pub(super) fn own_account(&self) -> Option<AccountId> {
        self.own_account
    }

    /// Evaluates what the request grants without a statement.
    pub(super) fn read_without_statements(&self, evaluation: &mut Evaluation<'_>) {
        match self.kind {
            Kind::Attach(parameter) => self.read_attached(parameter, evaluation),
            Kind::Lambda => self.read_lambda(evaluation),
            Kind::Identity | Kind::Other => {}
        }
    }

    /// Reads the name of a managed policy. `AdministratorAccess` allows everything.
    fn read_attached(&self, parameter: &str, evaluation: &mut Evaluation<'_>) {
        let scratch = &mut *evaluation.scratch;
        let [policy] = members(self.tape, self.parameters, [parameter], scratch);
        let name = policy.and_then(|policy| text_of(self.tape, policy, scratch));
        if name.is_some_and(is_administrator_access) {
            evaluation.findings.unlimited = Some(true);
            evaluation.findings.escalates = Some(true);
        }
    }

    /// Reads the parameters of AddPermission and AddLayerVersionPermission.
    fn read_lambda(&self, evaluation: &mut Evaluation<'_>) {
        let Evaluation {
            findings, scratch, ..
        } = evaluation;
        let names = [
            "principal",
            "action",
            "sourceAccount",
            "sourceArn",
            "principalOrgID",
            "organizationId",
        ];
        let [
            principal,
            action,
            account,
            arn,
            organization,
            layer_organization,
        ] = members(self.tape, self.parameters, names, scratch);
        let (Some(principal), Some(_)) = (principal, action) else {
            return;
        };
        if self.tape.value_type(principal) != ValueType::String {
            return;
        }
        let Some(name) = text_of(self.tape, principal, scratch) else {
            return;
        };
        if let Some(account) = account_of(name) {
            findings.add_account(account);
        }
        let is_everybody = name == b"*";
        let mut is_fixed = |value: Option<Value>, is_fixed: fn(&[u8]) -> bool| {
            let mut fixed = false;
            if let Some(value) = value {
                each_text(self.tape, value, scratch, |text| {
                    fixed = text.is_some_and(is_fixed);
                    fixed
                });
            }
            fixed
        };
        let narrowed = is_fixed(account, condition::is_fixed_id)
            || is_fixed(arn, condition::has_fixed_account)
            || is_fixed(organization, condition::is_fixed_id)
            || is_fixed(layer_organization, condition::is_fixed_id);
        merge(&mut findings.public, is_everybody && !narrowed);
    }
}

impl Kind {
    #[inline]
    fn of(record: &mut RecordView<'_>, scratch: &mut Vec<u8>) -> Kind {
        let source = record.value(KnownKey::EventSource);
        let source = source.and_then(|source| text_of(record.tape, source, scratch));
        let parameter = match source {
            Some(b"lambda.amazonaws.com") => return Kind::Lambda,
            Some(b"iam.amazonaws.com") => "policyArn",
            Some(b"sso.amazonaws.com") => "managedPolicyArn",
            _ => return Kind::Other,
        };
        let name = record.value(KnownKey::EventName);
        match name.and_then(|name| text_of(record.tape, name, scratch)) {
            Some(
                b"AttachUserPolicy"
                | b"AttachGroupPolicy"
                | b"AttachRolePolicy"
                | b"AttachManagedPolicyToPermissionSet",
            ) => Kind::Attach(parameter),
            _ => Kind::Identity,
        }
    }
}

/// Whether the request's policy is that of a VPC endpoint, which limits what goes through it and grants nothing.
fn is_vpc_endpoint(record: &mut RecordView<'_>, scratch: &mut Vec<u8>) -> bool {
    let mut has = |key, expected: &[&[u8]]| {
        let value = record.value(key);
        let text = value.and_then(|value| text_of(record.tape, value, scratch));
        text.is_some_and(|text| expected.contains(&text))
    };
    has(KnownKey::EventSource, &[b"ec2.amazonaws.com"])
        && has(
            KnownKey::EventName,
            &[b"CreateVpcEndpoint", b"ModifyVpcEndpoint"],
        )
}

/// Whether `arn` is that of the policy `AdministratorAccess` that AWS manages, in any partition.
fn is_administrator_access(arn: &[u8]) -> bool {
    matches!(
        arn_parts(arn),
        Some([
            partition,
            b"iam",
            b"",
            b"aws",
            b"policy/AdministratorAccess"
        ]) if !partition.is_empty()
    )
}
