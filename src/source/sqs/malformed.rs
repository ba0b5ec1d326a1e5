//! Names messages that cannot be read from the queue's answer, once each. They are left to the queue.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::Queue;
use crate::aws::ReceivedMessages;
use crate::log::{Escaped, Severity};

/// Messages that are remembered as named. When there are more, all are forgotten, and named again with their next receive.
const MAX_NAMED: usize = 10_000;

/// Hashes of the ids of messages that were named.
#[derive(Debug, Default)]
pub(super) struct NamedMessages {
    hasher: RandomState,
    named: Mutex<HashSet<u64>>,
}

impl NamedMessages {
    /// Remembers a message; returns whether it was not named yet. One without an id never was.
    fn insert(&self, id: &str) -> bool {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= MAX_NAMED {
            named.clear();
        }
        id.is_empty() || named.insert(self.hasher.hash_one(id))
    }
}

impl Queue {
    /// Counts and names the messages of an answer that lack what it takes to process or delete them, and members of
    /// others that cannot be read.
    pub(super) fn report_malformed(&self, received: &ReceivedMessages) {
        let count = received.malformed.len() + received.more_malformed;
        self.metrics.messages_unknown.add(count as u64);
        for malformed in &received.malformed {
            let id = malformed.id.as_deref().unwrap_or_default();
            if self.named.insert(id) {
                self.log.limited(
                    "malformed messages",
                    Severity::Error,
                    format_args!(
                        "{}: {} cannot be read: {}; it is not processed and left in the queue; check aws.endpoint and proxies in between",
                        self.shown,
                        named(id),
                        Escaped(&malformed.problem)
                    ),
                );
            }
        }
        if received.more_malformed > 0 {
            self.log.limited(
                "malformed messages",
                Severity::Error,
                format_args!(
                    "{}: {} more messages of the same answer cannot be read; they are left in the queue",
                    self.shown, received.more_malformed
                ),
            );
        }
        for message in &received.messages {
            if let Some(unread) = &message.unread
                && self.named.insert(&message.id)
            {
                self.log.limited(
                    "malformed members",
                    Severity::Warning,
                    format_args!(
                        "{}: {}: {unread}; it is processed without that",
                        self.shown,
                        named(&message.id)
                    ),
                );
            }
        }
    }
}

/// A message as log lines name it.
fn named(id: &str) -> String {
    match id {
        "" => "a message without MessageId".to_owned(),
        id => format!("message {}", Escaped(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_named_once_and_memory_is_bounded() {
        let named = NamedMessages::default();
        assert!(named.insert("a") && !named.insert("a"));
        assert!(named.insert("") && named.insert(""));
        for number in 0..MAX_NAMED * 2 {
            named.insert(&number.to_string());
        }
        assert!(named.named.lock().expect("a lock").len() <= MAX_NAMED);
    }
}
