//! What was read of prefixes whose keys do not sort by time: all of their keys are listed each time, and `LastModified`
//! tells which ones are new.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};

use super::{KeyState, LOOK_BACK};
use crate::source::s3::ListedObject;

/// Maximum number of remembered keys: more are created in two hours only by a copy of a whole bucket. About 40 MiB.
const MAX_KEYS: usize = 200_000;

/// Number of remembered keys from which on old ones are searched for.
const PRUNE_KEYS: usize = 4096;

/// Keys of one or several prefixes that are listed in rounds, each time in key order.
#[derive(Debug)]
pub(super) struct UndatedKeys {
    /// An object with an earlier `LastModified` was read, or existed before the last complete round.
    pub(super) since: i64,
    /// `since` of the next round.
    pub(super) next_since: i64,
    /// All keys of this round up to this one were read.
    pub(super) after: Option<String>,
    /// Keys that were claimed, with their `LastModified`, unless that is earlier than `since`.
    pub(super) keys: HashMap<String, (i64, KeyState)>,
    /// Claimed keys of this round after `after`, in key order, and whether each one was read.
    claimed: VecDeque<(String, bool)>,
    /// Number of keys at which to prune.
    prune_at: usize,
}

impl Default for UndatedKeys {
    fn default() -> UndatedKeys {
        UndatedKeys {
            since: i64::MIN,
            next_since: i64::MIN,
            after: None,
            keys: HashMap::new(),
            claimed: VecDeque::new(),
            prune_at: PRUNE_KEYS,
        }
    }
}

impl UndatedKeys {
    /// The given position, with these keys remembered.
    pub(super) fn from_read(
        since: i64,
        next_since: i64,
        after: Option<String>,
        keys: HashMap<String, (i64, KeyState)>,
    ) -> UndatedKeys {
        UndatedKeys {
            since,
            next_since,
            after,
            prune_at: (2 * keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1),
            keys,
            claimed: VecDeque::new(),
        }
    }

    /// Claims an object for reading; returns `false` if it was claimed or read before. A replaced object is new.
    pub(super) fn claim(&mut self, object: &ListedObject) -> bool {
        if object.modified < self.since {
            return false;
        }
        match self.keys.get_mut(&object.key) {
            Some((modified, KeyState::Pending | KeyState::Read))
                if *modified == object.modified =>
            {
                return false;
            }
            // One claim for each key at a time: the replacement is claimed in the next round.
            Some((_, KeyState::Pending)) => return false,
            Some(entry) => *entry = (object.modified, KeyState::Pending),
            None => {
                let entry = (object.modified, KeyState::Pending);
                self.keys.insert(object.key.clone(), entry);
            }
        }
        self.claimed.push_back((object.key.clone(), false));
        true
    }

    /// Releases a claim without having read the object.
    pub(super) fn release(&mut self, key: &str) {
        if let Some((_, state)) = self.keys.get_mut(key) {
            *state = KeyState::Retry;
        }
    }

    /// Records that the object was read. Returns whether the number of keys forced the look-back to be shortened.
    pub(super) fn read(&mut self, key: &str, now: i64) -> bool {
        let Some((modified, state)) = self.keys.get_mut(key) else {
            return false;
        };
        *state = KeyState::Read;
        self.next_since = self.next_since.max((*modified).min(now) - LOOK_BACK);
        if let Ok(at) = self
            .claimed
            .binary_search_by(|(other, _)| other.as_str().cmp(key))
        {
            self.claimed[at].1 = true;
        }
        while let Some((_, true)) = self.claimed.front() {
            self.after = self.claimed.pop_front().map(|(key, _)| key);
        }
        if self.keys.len() < self.prune_at {
            return false;
        }
        self.prune();
        let shortened = self.keys.len() > MAX_KEYS;
        if shortened {
            self.shorten();
        }
        self.prune_at = (2 * self.keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1);
        shortened
    }

    /// Whether objects are claimed and neither read nor released.
    pub(super) fn is_pending(&self) -> bool {
        // `claimed` ends with the last one, unless some were released.
        !self.claimed.is_empty()
            && self
                .keys
                .values()
                .any(|(_, state)| *state == KeyState::Pending)
    }

    /// Starts to list the rest of a round, or the next one.
    pub(super) fn begin(&mut self) {
        self.claimed.clear();
    }

    /// Ends a round in which all keys were listed, if all of its objects were read. Returns whether it ended.
    pub(super) fn end(&mut self) -> bool {
        if self
            .keys
            .values()
            .any(|(_, state)| *state != KeyState::Read)
        {
            return false;
        }
        self.since = self.since.max(self.next_since);
        self.after = None;
        self.claimed.clear();
        let since = self.since;
        self.keys.retain(|_, (modified, _)| *modified >= since);
        self.prune_at = (2 * self.keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1);
        true
    }

    /// Forgets keys that this round does not list again and the next one regards as old.
    fn prune(&mut self) {
        let (since, after) = (self.next_since, self.after.as_deref());
        self.keys.retain(|key, (modified, state)| {
            *modified >= since || *state != KeyState::Read || Some(key.as_str()) > after
        });
    }

    /// Raises `next_since` so that half of the keys are forgotten.
    fn shorten(&mut self) {
        let mut times: Vec<i64> = self.keys.values().map(|(modified, _)| *modified).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        self.next_since = self.next_since.max(median.saturating_add(1));
        self.prune();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn object(key: &str, modified: i64) -> ListedObject {
        ListedObject {
            key: key.to_owned(),
            size: 1,
            modified,
        }
    }

    fn read(keys: &mut UndatedKeys, key: &str, modified: i64) {
        assert!(keys.claim(&object(key, modified)), "{key}");
        keys.read(key, NOW);
    }

    #[test]
    fn object_is_new_by_its_time_and_read_once() {
        let mut keys = UndatedKeys::default();
        for (key, modified) in [("a", NOW - 100_000), ("m", NOW - 50), ("z", NOW - 9000)] {
            read(&mut keys, key, modified);
        }
        assert!(keys.end());
        assert_eq!(keys.keys.len(), 1, "only `m` is within the look-back");
        for (key, modified) in [("a", NOW - 100_000), ("m", NOW - 50), ("z", NOW - 9000)] {
            assert!(!keys.claim(&object(key, modified)), "{key}");
        }
        read(&mut keys, "b", NOW - 3600);
        assert!(keys.claim(&object("m", NOW - 10)), "it was replaced");
    }

    #[test]
    fn interrupted_round_continues_after_the_keys_that_were_read() {
        let mut keys = UndatedKeys::default();
        for key in ["a", "b", "c"] {
            assert!(keys.claim(&object(key, NOW)));
        }
        keys.read("a", NOW);
        keys.read("c", NOW);
        assert_eq!(keys.after.as_deref(), Some("a"), "`b` is not read yet");
        keys.release("b");
        assert!(!keys.end() && !keys.is_pending());
        keys.begin();
        assert!(keys.claim(&object("b", NOW)) && !keys.claim(&object("c", NOW)));
        keys.read("b", NOW);
        assert!(keys.end());
        assert_eq!(keys.after, None);
    }

    #[test]
    fn keys_of_a_long_round_are_forgotten_as_it_goes() {
        let mut keys = UndatedKeys::default();
        for number in 0..50_000 {
            read(&mut keys, &format!("{number:06}"), NOW - 500_000 + number);
        }
        assert!(keys.keys.len() < 20_000, "{}", keys.keys.len());
        assert_eq!(keys.after.as_deref(), Some("049999"));
        assert!(keys.end());
        assert!(keys.keys.len() <= LOOK_BACK as usize + 1);
    }

    #[test]
    fn remembered_keys_are_bounded() {
        let mut keys = UndatedKeys::default();
        let mut shortened = false;
        for number in 0..(MAX_KEYS as i64 + 10) {
            let key = format!("{number:07}");
            assert!(keys.claim(&object(&key, NOW - 7000 + number / 100)));
            shortened |= keys.read(&key, NOW);
        }
        assert!(shortened && keys.keys.len() <= MAX_KEYS);
        assert!(keys.end());
        assert!(
            !keys.claim(&object("0000001", NOW - 7000)),
            "forgotten, and regarded as old"
        );
    }
}
