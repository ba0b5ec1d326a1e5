//! The fields `ct.policy.*`: what the policies in a request allow, and to whom. `docs/policies.md` has the definitions.
//!
//! [`PolicyReader::read`] reads all policies of a record at once. `search` finds them, at any depth and also in strings
//! that hold JSON; `evaluation` evaluates one policy, with `condition` and `identity` for the parts that have rules of
//! their own. Every step is linear in the length of its text, no step recurses, and all memory is kept for the next record.
#![forbid(unsafe_code)]

mod arn;
mod condition;
mod evaluation;
mod identity;
mod pattern;
mod request;
mod search;
mod statement;
mod strict;
mod values;

use super::value::RecordView;
use arn::AccountId;
use evaluation::Evaluation;
use request::PolicyRequest;
use search::Search;

/// The fields that read policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyField {
    /// Whether a policy allows everybody.
    Public,
    /// The other accounts that a policy allows.
    Accounts,
    /// Whether an identity policy allows nearly everything.
    Unlimited,
    /// Whether an identity policy allows a known way to more rights.
    Escalates,
}

/// Reads the policies of one record after the other.
#[derive(Debug, Default)]
pub(crate) struct PolicyReader {
    search: Search,
    findings: Findings,
    /// Text of the string that is being compared.
    scratch: Vec<u8>,
}

/// What the policies of one record say.
#[derive(Debug, Default)]
struct Findings {
    public: Option<bool>,
    unlimited: Option<bool>,
    escalates: Option<bool>,
    accounts: Vec<NamedAccount>,
}

/// An account ID, and how many were found before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NamedAccount {
    id: AccountId,
    position: u32,
}

/// Memory that is kept from one record to the next, in bytes for each buffer. Policies are at most 20 KB or so; only a
/// hostile record needs more.
const KEPT_BYTES: usize = 1 << 20;

impl PolicyReader {
    /// Reads the policies of `record`.
    pub(crate) fn read(&mut self, record: &mut RecordView<'_>) {
        self.findings.clear();
        if let Some(request) = PolicyRequest::of(record, &mut self.scratch) {
            let evaluation = &mut Evaluation {
                findings: &mut self.findings,
                scratch: &mut self.scratch,
                is_identity: request.has_identity_policies(),
            };
            request.read_without_statements(evaluation);
            if request.may_have_policy {
                self.search
                    .policies(request.tape, request.parameters, evaluation);
            }
            self.findings.finish(request.own_account());
            self.release();
        }
    }

    /// The value of a field that is true or false, for the last record that was read.
    pub(crate) fn flag(&self, field: PolicyField) -> Option<bool> {
        match field {
            PolicyField::Public => self.findings.public,
            PolicyField::Unlimited => self.findings.unlimited,
            PolicyField::Escalates => self.findings.escalates,
            PolicyField::Accounts => None,
        }
    }

    /// The account IDs that policies of that record name, each once, in the order in which they were found.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.findings.accounts.iter().map(|account| &account.id)
    }

    /// Frees what a huge record needed.
    fn release(&mut self) {
        self.search.release();
        if self.scratch.capacity() > KEPT_BYTES {
            self.scratch = Vec::new();
        }
    }
}

impl Findings {
    fn clear(&mut self) {
        self.public = None;
        self.unlimited = None;
        self.escalates = None;
        match self.accounts.capacity() * size_of::<NamedAccount>() > KEPT_BYTES {
            true => self.accounts = Vec::new(),
            false => self.accounts.clear(),
        }
    }

    fn add_account(&mut self, id: AccountId) {
        // The same account is often named by several statements in a row.
        if self.accounts.last().is_none_or(|last| last.id != id) {
            let position = self.accounts.len() as u32;
            self.accounts.push(NamedAccount { id, position });
        }
    }

    /// Removes the accounts that were named before, and the account that received the event.
    fn finish(&mut self, own: Option<AccountId>) {
        self.accounts.retain(|account| Some(account.id) != own);
        self.accounts.sort_unstable();
        self.accounts.dedup_by_key(|account| account.id);
        self.accounts
            .sort_unstable_by_key(|account| account.position);
    }
}

/// Sets a flag that several policies contribute to: true if one of them is.
fn merge(flag: &mut Option<bool>, value: bool) {
    *flag = Some(value || *flag == Some(true));
}
