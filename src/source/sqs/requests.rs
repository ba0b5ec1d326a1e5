//! The batch requests about messages in flight: delete, change visibility.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

use super::Queue;
use super::in_flight::{ExtensionOutcome, Receipt};
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, BatchAnswer, FailedEntry};
use crate::log::quote::quoted;
use crate::log::{Escaped, Severity};

/// Entries of one request.
pub(super) const ENTRIES: usize = 10;

/// Takes as many entries as one request can have.
pub(super) fn take_entries<T>(entries: &mut Vec<T>) -> Vec<T> {
    let rest = entries.split_off(entries.len().min(ENTRIES));
    std::mem::replace(entries, rest)
}

/// Codes of failed entries that a further try with the same receipt handle rarely changes.
const REFUSED_CODES: [&str; 3] = [
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "InvalidIdFormat",
];

/// How long a deletion may take.
const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// Tries to delete messages on receipt, before they are left to be received again.
const TRIES: u32 = 5;

/// What became of a message that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    Deleted,
    /// It can be tried again.
    Failed,
    /// The queue says that the receipt handle is of no use: the message was received again, or a FIFO queue refuses a late
    /// deletion. While the same handle extends the message, it can be tried again.
    Refused,
}

/// What an answer says of one entry of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryResult<'a> {
    Done,
    Failed(&'a FailedEntry),
    LeftOut,
}

impl Queue {
    /// Deletes messages on receipt; what cannot be deleted is received again.
    pub(super) async fn delete_on_receipt(&self, mut receipts: Vec<Receipt>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        for _ in 0..TRIES {
            let deletions = self.delete(&receipts).await;
            let mut deletions = deletions.into_iter();
            receipts.retain(|_| deletions.next() != Some(Deletion::Deleted));
            if receipts.is_empty() {
                return;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        for receipt in receipts {
            self.log.limited(
                "messages that stay",
                Severity::Warning,
                format_args!(
                    "{}: message {} is not deleted on receipt after {TRIES} tries (sqsDeleteWhen); it will be delivered again",
                    self.shown,
                    Escaped(&receipt.id)
                ),
            );
        }
    }

    /// Deletes at most ten messages; the outcomes are in their order.
    pub(super) async fn delete(&self, receipts: &[Receipt]) -> Vec<Deletion> {
        let handles = receipts.iter().map(|receipt| receipt.handle.as_str());
        let request = self.clients.delete_messages(&self.url, handles);
        let answer = match timeout(DELETE_TIMEOUT, request).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let failure = self.failed(&error);
                self.deletions.failed(self, failure.is_denied(), &failure);
                return vec![Deletion::Failed; receipts.len()];
            }
            Err(_) => {
                let failure = self.unanswered(DELETE_TIMEOUT);
                self.metrics.errors_queue.add(1);
                self.deletions.failed(self, false, &failure);
                return vec![Deletion::Failed; receipts.len()];
            }
        };
        let mut cause = None;
        let results = self.results(&answer, receipts.len());
        let outcomes = receipts.iter().zip(results).map(|(receipt, result)| {
            let failed = match result {
                EntryResult::Done => {
                    self.metrics.messages_deleted.add(1);
                    return Deletion::Deleted;
                }
                EntryResult::Failed(failed) => Some(failed),
                EntryResult::LeftOut => None,
            };
            self.metrics.errors_queue.add(1);
            let is_refusal = |failed: &FailedEntry| {
                let mut codes = REFUSED_CODES.iter();
                codes.any(|code| failed.code.ends_with(code))
            };
            let (outcome, reason) = match failed {
                Some(failed) if is_refusal(failed) => (Deletion::Refused, reason(failed)),
                Some(failed) => {
                    // Reported for the queue as a whole.
                    cause = Some(reason(failed));
                    return Deletion::Failed;
                }
                None => (Deletion::Failed, LEFT_OUT.to_owned()),
            };
            self.log.limited(
                "refused deletions",
                Severity::Warning,
                format_args!(
                    "{}: message {} cannot be deleted: {reason}; retried while it is hidden, or when it is received again",
                    self.shown,
                    Escaped(&receipt.id)
                ),
            );
            outcome
        });
        let outcomes: Vec<_> = outcomes.collect();
        match outcomes.contains(&Deletion::Failed) {
            true => {
                let cause = cause.unwrap_or_else(|| "the answer leaves messages out".to_owned());
                self.deletions.failed(self, false, &cause);
            }
            false => self.deletions.succeeded(self),
        }
        outcomes
    }

    /// Makes messages visible after a pause each. Best effort: otherwise they are when their visibility timeout expires.
    pub(super) async fn return_messages(&self, messages: &[(Receipt, Duration)]) {
        for entries in messages.chunks(ENTRIES) {
            let messages = entries.iter().map(|(receipt, pause)| (receipt, *pause));
            if let Err(failure) = self.change_visibility(messages.collect()).await {
                self.log.limited(
                    "message returns",
                    Severity::Warning,
                    format_args!(
                        "{}: messages cannot be returned: {failure}; they are visible again when their visibility timeout expires: {}",
                        self.shown,
                        ids(entries.iter().map(|(receipt, _)| receipt))
                    ),
                );
            }
        }
    }

    /// Sets the visibility timeouts of at most ten messages; the outcomes are in their order.
    pub(super) async fn change_visibility(
        &self,
        messages: Vec<(&Receipt, Duration)>,
    ) -> Result<Vec<ExtensionOutcome>, AwsError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let entries = messages
            .iter()
            .map(|(receipt, timeout)| (receipt.handle.as_str(), timeout.as_secs() as i32));
        let request = self.clients.change_visibility(&self.url, entries);
        let answer = request.await.map_err(|error| self.failed(&error))?;
        let results = self.results(&answer, messages.len());
        let outcomes = messages.iter().zip(results).map(|((receipt, _), result)| {
            let (outcome, reason) = match result {
                EntryResult::Done => return ExtensionOutcome::Extended,
                EntryResult::Failed(failed) if failed.sender_fault => {
                    (ExtensionOutcome::NotInFlight, reason(failed))
                }
                EntryResult::Failed(failed) => (ExtensionOutcome::Failed, reason(failed)),
                EntryResult::LeftOut => (ExtensionOutcome::Failed, LEFT_OUT.to_owned()),
            };
            self.log.limited(
                "refused visibility changes",
                Severity::Warning,
                format_args!(
                    "{}: the visibility timeout of message {} cannot be changed: {reason}",
                    self.shown,
                    Escaped(&receipt.id)
                ),
            );
            outcome
        });
        Ok(outcomes.collect())
    }

    /// What an answer says of each of so many entries. One that it calls both successful and failed has failed: requests
    /// about messages can be repeated.
    fn results<'a>(&self, answer: &'a BatchAnswer, entries: usize) -> Vec<EntryResult<'a>> {
        let mut results = vec![EntryResult::LeftOut; entries];
        let successful = answer.successful.iter().map(|id| (id, EntryResult::Done));
        let failed = answer.failed.iter();
        let failed = failed.map(|entry| (&entry.id, EntryResult::Failed(entry)));
        for (id, result) in successful.chain(failed) {
            match place(id).and_then(|place| results.get_mut(place)) {
                Some(entry) => *entry = result,
                None => self.log.limited(
                    "unknown entries",
                    Severity::Warning,
                    format_args!(
                        "{}: the answer names an entry {} that was not in the request; ignored",
                        self.shown,
                        quoted(id)
                    ),
                ),
            }
        }
        results
    }
}

/// The reason for an entry about which an answer says nothing.
const LEFT_OUT: &str = "the answer does not name it";

/// The ids of messages, for log lines.
pub(super) fn ids<'a>(receipts: impl Iterator<Item = &'a Receipt>) -> impl Display {
    let ids = receipts.map(|receipt| receipt.id.as_str());
    Escaped(ids.collect::<Vec<_>>().join(", "))
}

/// The place of the entry with this id.
fn place(id: &str) -> Option<usize> {
    // Only as it was sent: numbers have other forms too, such as `+1`.
    id.parse()
        .ok()
        .filter(|place: &usize| place.to_string() == id)
}

/// The code and message of a failed entry.
fn reason(failed: &FailedEntry) -> String {
    let code = Escaped(&failed.code);
    match &failed.message {
        Some(message) if !message.is_empty() => format!("{code}: {}", Escaped(message)),
        _ => code.to_string(),
    }
}
