//! The visibility keeper: extends the visibility timeout of messages in flight, so that an outage costs no receive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Queue;
use super::in_flight::{Extension, ExtensionEffect, ExtensionOutcome};
use super::requests::{ids, take_entries};
use crate::aws::AwsError;
use crate::log::{Escaped, Severity};

/// Extends messages for as long as the runtime lives. Requests run concurrently, each bounded to a quarter of the
/// timeout, so that a request that hangs delays no other.
pub(super) async fn keep(queue: Arc<Queue>) {
    let visibility = queue.rules.visibility;
    let pause = (visibility / 16).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut requests = JoinSet::new();
    loop {
        sleep(pause).await;
        while requests.try_join_next().is_some() {}
        let mut due = queue.in_flight.due(queue.rules.delete);
        for id in &due.lapsed {
            queue.lapsed(id, "the visibility timeout expired");
        }
        if queue.in_flight.is_empty() {
            let outcome = "no visibility timeout has to be extended any more";
            queue.extensions.idle(&queue, outcome);
        }
        while !due.extensions.is_empty() {
            let entries = take_entries(&mut due.extensions);
            requests.spawn(extend(Arc::clone(&queue), entries));
        }
    }
}

async fn extend(queue: Arc<Queue>, extensions: Vec<Extension>) {
    let requested = Instant::now();
    let entries = extensions
        .iter()
        .map(|extension| (&extension.receipt, extension.timeout));
    let request = queue.change_visibility(entries.collect());
    let limit = queue.rules.visibility / 4;
    let answer = timeout(limit, request).await;
    let outcomes = match answer.unwrap_or_else(|_| Err(queue.unanswered(limit))) {
        Ok(outcomes) => {
            queue.extensions.succeeded(&queue);
            outcomes
        }
        Err(failure) => {
            queue.extension_failed(&extensions, &failure);
            vec![ExtensionOutcome::Failed; extensions.len()]
        }
    };
    let mut returning = Vec::new();
    for (extension, outcome) in extensions.iter().zip(outcomes) {
        if outcome == ExtensionOutcome::Extended {
            queue.metrics.messages_extended.add(1);
        }
        match queue.in_flight.extended(extension, requested, outcome) {
            ExtensionEffect::None => {}
            ExtensionEffect::Lapsed(id) => {
                queue.lapsed(&id, "the queue no longer has it in flight")
            }
            ExtensionEffect::Return(entry, pause) => returning.push((entry.receipt(), pause)),
        }
    }
    queue.return_messages(&returning).await;
}

impl Queue {
    fn extension_failed(&self, extensions: &[Extension], failure: &AwsError) {
        if failure.is_denied() {
            self.log.once(
                "extension_denied",
                Severity::Error,
                format_args!(
                    "{}: visibility timeouts cannot be extended: {failure}; sqs:ChangeMessageVisibility has to be allowed, or messages are received again while they are processed",
                    self.shown
                ),
            );
            return;
        }
        let retried = ids(extensions.iter().map(|extension| &extension.receipt));
        let detail = format_args!("; retrying for {retried}");
        self.extensions.failed_with(self, false, failure, &detail);
    }

    pub(super) fn lapsed(&self, id: &str, why: &str) {
        self.metrics.messages_lost.add(1);
        self.log.limited(
            "expired visibility timeouts",
            Severity::Warning,
            format_args!(
                "{}: message {}: {why} before it was processed; it may be delivered twice",
                self.shown,
                Escaped(id)
            ),
        );
    }
}
