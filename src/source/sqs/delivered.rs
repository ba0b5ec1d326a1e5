//! Remembers the objects that were delivered of messages that are returned, so that one bad key does not deliver the
//! others again with each receive.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Identifies an object among those of a message.
pub(super) type ObjectKey = u64;

/// Objects that are remembered; the oldest messages are forgotten first.
const MAX_OBJECTS: usize = 100_000;

/// Delivered objects by message id.
#[derive(Debug, Default)]
pub(super) struct DeliveredObjects {
    hasher: RandomState,
    table: Mutex<DeliveredTable>,
}

#[derive(Debug, Default)]
struct DeliveredTable {
    messages: HashMap<String, HashSet<ObjectKey>>,
    /// Message ids, oldest first; some may be forgotten already.
    order: VecDeque<String>,
    objects: usize,
}

impl DeliveredObjects {
    /// A key for an object: 64 bits of a keyed hash, with which a sender of messages cannot make two objects collide.
    pub(super) fn key(&self, bucket: &str, key: &str, version: Option<&str>) -> ObjectKey {
        self.hasher.hash_one((bucket, key, version))
    }

    /// Remembers delivered objects of a message. Those of messages without an id are not: they would be taken for each
    /// other's.
    pub(super) fn remember(&self, message: &str, objects: impl Iterator<Item = ObjectKey>) {
        if message.is_empty() {
            return;
        }
        let mut table = self.table();
        let DeliveredTable {
            messages,
            order,
            objects: count,
        } = &mut *table;
        for object in objects {
            let known = messages.entry(message.to_owned()).or_insert_with(|| {
                order.push_back(message.to_owned());
                HashSet::new()
            });
            *count += usize::from(known.insert(object));
        }
        while *count > MAX_OBJECTS
            && let Some(oldest) = order.pop_front()
        {
            *count -= messages.remove(&oldest).map_or(0, |known| known.len());
        }
    }

    /// Whether an object of a message was delivered at an earlier receive.
    pub(super) fn contains(&self, message: &str, object: ObjectKey) -> bool {
        let table = self.table();
        let known = table.messages.get(message);
        known.is_some_and(|known| known.contains(&object))
    }

    /// Forgets a message, which is deleted.
    pub(super) fn forget(&self, message: &str) {
        let mut table = self.table();
        if let Some(known) = table.messages.remove(message) {
            table.objects -= known.len();
            table.order.retain(|id| id != message);
        }
    }

    fn table(&self) -> MutexGuard<'_, DeliveredTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_objects_are_known_until_their_message_is_deleted() {
        let delivered = DeliveredObjects::default();
        let (a, b) = (delivered.key("b", "a", None), delivered.key("b", "b", None));
        delivered.remember("m", [a].into_iter());
        assert!(delivered.contains("m", a));
        assert!(!delivered.contains("m", b) && !delivered.contains("other", a));
        delivered.remember("", [a].into_iter());
        assert!(!delivered.contains("", a));
        delivered.forget("m");
        assert!(!delivered.contains("m", a));
        let table = delivered.table();
        assert!(table.order.is_empty() && table.objects == 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_message_is_forgotten_first() {
        let delivered = DeliveredObjects::default();
        for message in 0..10_u64 {
            let first = message * MAX_OBJECTS as u64 / 2;
            delivered.remember(&message.to_string(), first..first + MAX_OBJECTS as u64 / 2);
        }
        assert!(delivered.contains("9", 9 * MAX_OBJECTS as u64 / 2));
        assert!(!delivered.contains("0", 0));
        assert!(delivered.table().objects <= MAX_OBJECTS);
    }
}
