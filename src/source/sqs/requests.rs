//! The batch requests about messages in flight: delete, change visibility.

use std::time::Duration;

use tokio::time::timeout;

use super::Queue;
use super::in_flight::ExtensionOutcome;
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, FailedEntry};
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

impl Queue {
    /// Deletes messages on receipt; what cannot be deleted is received again.
    pub(super) async fn delete_on_receipt(&self, mut receipts: Vec<String>) {
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
    }

    /// Deletes at most ten messages by their receipt handles; the outcomes are in their order.
    pub(super) async fn delete(&self, receipts: &[String]) -> Vec<Deletion> {
        let mut outcomes = vec![Deletion::Failed; receipts.len()];
        let request = self.clients.delete_messages(&self.url, receipts);
        let reply = match timeout(DELETE_TIMEOUT, request).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                let failure = self.failed(&error);
                self.deletions.failed(self, failure.is_denied(), &failure);
                return outcomes;
            }
            Err(_) => {
                let seconds = DELETE_TIMEOUT.as_secs();
                let failure = format!("no answer within {seconds} s");
                self.metrics.errors_queue.add(1);
                self.deletions.failed(self, false, &failure);
                return outcomes;
            }
        };
        self.metrics
            .messages_deleted
            .add(reply.successful.len() as u64);
        for deleted in &reply.successful {
            set(&mut outcomes, deleted, Deletion::Deleted);
        }
        let mut cause = None;
        for failed in &reply.failed {
            self.metrics.errors_queue.add(1);
            if REFUSED_CODES.iter().any(|code| failed.code.ends_with(code)) {
                set(&mut outcomes, &failed.id, Deletion::Refused);
                self.log.limited(
                    "refused deletions",
                    Severity::Warning,
                    format_args!(
                        "{}: a processed message cannot be deleted: {}; retried while it is hidden, or when it is received again",
                        self.shown,
                        reason(failed)
                    ),
                );
            } else {
                cause = Some(reason(failed));
            }
        }
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
    pub(super) async fn return_messages(&self, messages: &[(String, Duration)]) {
        for entries in messages.chunks(ENTRIES) {
            let entries = entries
                .iter()
                .map(|(receipt, pause)| (receipt.as_str(), *pause));
            if let Err(failure) = self.change_visibility(entries).await {
                self.log.limited(
                    "message returns",
                    Severity::Warning,
                    format_args!("{}: messages cannot be returned: {failure}; they are visible again when their visibility timeout expires", self.shown),
                );
            }
        }
    }

    /// Sets the visibility timeouts of at most ten messages, given by receipt handle; the outcomes are in their order.
    pub(super) async fn change_visibility(
        &self,
        messages: impl Iterator<Item = (&str, Duration)>,
    ) -> Result<Vec<ExtensionOutcome>, AwsError> {
        let messages: Vec<_> = messages
            .map(|(receipt, timeout)| (receipt, timeout.as_secs() as i32))
            .collect();
        let mut outcomes = vec![ExtensionOutcome::Failed; messages.len()];
        if messages.is_empty() {
            return Ok(outcomes);
        }
        let request = self
            .clients
            .change_visibility(&self.url, messages.into_iter());
        let reply = request.await.map_err(|error| self.failed(&error))?;
        for extended in &reply.successful {
            set(&mut outcomes, extended, ExtensionOutcome::Extended);
        }
        for failed in &reply.failed {
            self.log.limited(
                "refused visibility changes",
                Severity::Warning,
                format_args!(
                    "{}: the visibility timeout of a message cannot be changed: {}",
                    self.shown,
                    reason(failed)
                ),
            );
            if failed.sender_fault {
                set(&mut outcomes, &failed.id, ExtensionOutcome::NotInFlight);
            }
        }
        Ok(outcomes)
    }
}

/// Sets the outcome of the entry with this id.
fn set<T>(outcomes: &mut [T], id: &str, outcome: T) {
    let number = id.parse::<usize>().ok();
    if let Some(entry) = number.and_then(|number| outcomes.get_mut(number)) {
        *entry = outcome;
    }
}

/// The code and message of a failed entry.
fn reason(failed: &FailedEntry) -> String {
    let code = Escaped(&failed.code);
    match &failed.message {
        Some(message) if !message.is_empty() => format!("{code}: {}", Escaped(message)),
        _ => code.to_string(),
    }
}
