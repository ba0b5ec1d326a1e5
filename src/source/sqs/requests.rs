//! The batch requests about messages in flight: delete, change visibility.

use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};

use super::Queue;
use super::in_flight::ExtensionOutcome;
use crate::aws::AwsError;
use crate::aws::backoff::Backoff;
use crate::log::{Escaped, Severity};

/// Entries of one request.
const ENTRIES: usize = 10;

/// Codes of failed entries that no further try changes.
const FINAL_CODES: [&str; 3] = [
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "InvalidIdFormat",
];

/// Tries to delete before the messages are left to be received again.
const TRIES: u32 = 5;

impl Queue {
    /// Deletes messages; what cannot be deleted is received again.
    pub(super) async fn delete(&self, receipts: Vec<String>) {
        let mut left = receipts;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        for attempt in 1..=TRIES {
            let cause = match self.delete_once(&mut left).await {
                Ok(None) => return,
                Ok(Some(cause)) => cause,
                Err(failure) => failure.to_string(),
            };
            let last = attempt == TRIES;
            let next = match last {
                true => "they will be received again",
                false => "retrying",
            };
            if last || attempt == 1 {
                self.log.limited(
                    "queue_delete",
                    Severity::Warning,
                    format_args!(
                        "{}: {} processed messages cannot be deleted: {cause}; {next}",
                        self.shown,
                        left.len()
                    ),
                );
            }
            if last {
                return;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Leaves those in `receipts` that can be tried again, and says why.
    async fn delete_once(&self, receipts: &mut Vec<String>) -> Result<Option<String>, AwsError> {
        let entries = receipts.iter().enumerate().filter_map(|(number, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .receipt_handle(receipt)
                .build()
                .ok()
        });
        let reply = self
            .clients
            .sqs
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        self.metrics
            .messages_deleted
            .add(reply.successful().len() as u64);
        let mut again = Vec::new();
        let mut cause = None;
        for failed in reply.failed() {
            self.metrics.errors_queue.add(1);
            if FINAL_CODES.iter().any(|code| failed.code().ends_with(code)) {
                // A FIFO queue refuses to delete a message whose visibility timeout expired.
                self.log.limited(
                    "queue_delete",
                    Severity::Warning,
                    format_args!(
                        "{}: a processed message cannot be deleted: {}; it may be received again",
                        self.shown,
                        reason(failed)
                    ),
                );
            } else {
                again.extend(receipt_of(failed, receipts));
                cause = Some(reason(failed));
            }
        }
        *receipts = again;
        Ok(cause.filter(|_| !receipts.is_empty()))
    }

    /// Makes messages visible after a pause each. Best effort: otherwise they are when their visibility timeout expires.
    pub(super) async fn return_messages(&self, messages: &[(String, Duration)]) {
        for entries in messages.chunks(ENTRIES) {
            let entries = entries
                .iter()
                .map(|(receipt, pause)| (receipt.as_str(), *pause));
            if let Err(failure) = self.change_visibility(entries).await {
                self.log.limited(
                    "queue_return",
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
        let entries = messages
            .enumerate()
            .filter_map(|(number, (receipt, timeout))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(timeout.as_secs() as i32)
                    .build()
                    .ok()
            });
        let entries: Vec<_> = entries.collect();
        let mut outcomes = vec![ExtensionOutcome::Failed; entries.len()];
        if entries.is_empty() {
            return Ok(outcomes);
        }
        let reply = self
            .clients
            .sqs
            .change_message_visibility_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        for extended in reply.successful() {
            if let Some(outcome) = extended
                .id()
                .parse()
                .ok()
                .and_then(|number: usize| outcomes.get_mut(number))
            {
                *outcome = ExtensionOutcome::Extended;
            }
        }
        for failed in reply.failed() {
            if let Some(outcome) = failed
                .id()
                .parse()
                .ok()
                .and_then(|number: usize| outcomes.get_mut(number))
                && failed.sender_fault()
            {
                *outcome = ExtensionOutcome::NotInFlight;
            }
        }
        Ok(outcomes)
    }
}

fn receipt_of(failed: &BatchResultErrorEntry, receipts: &[String]) -> Option<String> {
    receipts.get(failed.id().parse::<usize>().ok()?).cloned()
}

/// The code and message of a failed entry.
fn reason(failed: &BatchResultErrorEntry) -> String {
    let code = Escaped(failed.code());
    match failed.message() {
        Some(message) if !message.is_empty() => format!("{code}: {}", Escaped(message)),
        _ => code.to_string(),
    }
}
