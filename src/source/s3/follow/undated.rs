//! What was read of prefixes whose keys do not sort by time: all of their keys are listed each time, and `LastModified`
//! tells which ones are new.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::{KeyState, LOOK_BACK};
use crate::source::s3::ListedObject;

/// Maximum number of remembered keys: more are created in two hours only by a copy of a whole bucket. About 40 MiB.
const MAX_KEYS: usize = 200_000;

/// Number of remembered keys from which on old ones are searched for.
const PRUNE_KEYS: usize = 4096;

/// Keys of one or several prefixes that are listed in rounds, each time in key order.
///
/// A server may omit `LastModified`. Then all keys of the last round are remembered, and one that is not among them is
/// new.
#[derive(Debug)]
pub(super) struct UndatedKeys {
    /// An object with an earlier `LastModified` was read, is unread in `keys`, or existed before the last complete round.
    pub(super) since: i64,
    /// `since` of the next round.
    pub(super) next_since: i64,
    /// All keys of this round up to this one were read, or are unread in `keys`.
    pub(super) after: Option<String>,
    /// Keys that were claimed, unless they were read and are older than `since`.
    pub(super) keys: HashMap<String, UndatedKey>,
    /// There were too many objects without `LastModified` to remember, so new ones are not known.
    pub(super) overflowed: bool,
    /// Keys of this round without `LastModified` were forgotten.
    pub(super) overflows: bool,
    /// Number of the listing, and the key after which it began.
    listing: u32,
    began_after: Option<String>,
    /// Number of keys at which to prune.
    prune_at: usize,
}

/// A key that was claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct UndatedKey {
    /// `LastModified` in seconds since the epoch; 0 if the server omits it.
    pub(super) modified: i64,
    state: KeyState,
    /// The listing that found it last.
    listing: u32,
}

impl UndatedKey {
    /// A key that was claimed before the source was opened.
    pub(super) fn saved(modified: i64, state: KeyState) -> UndatedKey {
        UndatedKey {
            modified,
            state,
            listing: 0,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.state == KeyState::Read
    }
}

impl Default for UndatedKeys {
    fn default() -> UndatedKeys {
        UndatedKeys::from_read(i64::MIN, i64::MIN, None, HashMap::new())
    }
}

impl UndatedKeys {
    /// The given position, with these keys remembered.
    pub(super) fn from_read(
        since: i64,
        next_since: i64,
        after: Option<String>,
        keys: HashMap<String, UndatedKey>,
    ) -> UndatedKeys {
        UndatedKeys {
            since,
            next_since,
            after,
            prune_at: (2 * keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1),
            keys,
            overflowed: false,
            overflows: false,
            listing: 0,
            began_after: None,
        }
    }

    /// Claims an object for reading; returns `false` if it was claimed or read before. A replaced object is new.
    pub(super) fn claim(&mut self, object: &ListedObject) -> bool {
        let modified = time_of(object);
        let is_recent = modified == 0 || modified >= self.since;
        let may_be_new = is_recent && !self.cannot_judge(object);
        if Some(&object.key) > self.after.as_ref() {
            self.after = Some(object.key.clone());
        }
        let new = UndatedKey {
            modified,
            state: KeyState::Pending,
            listing: self.listing,
        };
        match self.keys.get_mut(&object.key) {
            Some(key) => {
                key.listing = self.listing;
                let is_new = match key.state {
                    // One claim for each key at a time: a replacement is claimed in a later round. One that was released
                    // waits for `claim_released`.
                    KeyState::Pending | KeyState::Retry => false,
                    KeyState::Read => may_be_new && key.modified != modified,
                };
                if is_new {
                    *key = new;
                }
                is_new
            }
            None if may_be_new => {
                self.keys.insert(object.key.clone(), new);
                true
            }
            None => false,
        }
    }

    /// Claims `key` if it was released.
    pub(super) fn claim_released(&mut self, key: &str) -> bool {
        match self.keys.get_mut(key) {
            Some(key) if key.state == KeyState::Retry => {
                key.state = KeyState::Pending;
                true
            }
            _ => false,
        }
    }

    /// Whether it is unknown if the object is new: it has no `LastModified`, and there were too many of these.
    pub(super) fn cannot_judge(&self, object: &ListedObject) -> bool {
        self.overflowed && time_of(object) == 0
    }

    /// Releases a claim without having read the object, so that it can be claimed again.
    pub(super) fn release(&mut self, key: &str) {
        if let Some(key) = self.keys.get_mut(key) {
            key.state = KeyState::Retry;
        }
    }

    /// Records that the object was read. Returns whether the number of keys forced the look-back to be shortened.
    pub(super) fn read(&mut self, key: &str, now: i64) -> bool {
        let Some(UndatedKey {
            modified, state, ..
        }) = self.keys.get_mut(key)
        else {
            return false;
        };
        *state = KeyState::Read;
        if *modified != 0 {
            self.next_since = self.next_since.max((*modified).min(now) - LOOK_BACK);
        }
        if self.keys.len() < self.prune_at {
            return false;
        }
        self.prune();
        let shortened = self.keys.len() > MAX_KEYS && self.shorten();
        self.prune_at = (2 * self.keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1);
        shortened
    }

    /// Keys that are not read, and that no later listing takes for new, with their `LastModified`.
    pub(super) fn passed_keys(&self) -> impl Iterator<Item = (&str, i64)> {
        let is_passed = |name: &String, key: &UndatedKey| {
            Some(name) <= self.after.as_ref()
                || match key.modified {
                    0 => self.overflowed,
                    modified => modified < self.since,
                }
        };
        let passed = self.keys.iter();
        let passed = passed.filter(move |(name, key)| !key.is_read() && is_passed(name, key));
        passed.map(|(name, key)| (name.as_str(), key.modified))
    }

    /// Starts to list the rest of a round, or the next one.
    pub(super) fn begin(&mut self) {
        self.listing = self.listing.wrapping_add(1);
        self.began_after.clone_from(&self.after);
    }

    /// What [`UndatedKeys::end`] changes of the position.
    pub(super) fn extent(&self) -> (i64, bool, usize, bool) {
        (
            self.since,
            self.after.is_some(),
            self.keys.len(),
            self.overflowed,
        )
    }

    /// Ends a round in which all keys were listed. Its objects may be unread.
    pub(super) fn end(&mut self) {
        self.since = self.since.max(self.next_since);
        self.overflowed |= std::mem::take(&mut self.overflows);
        self.after = None;
        let (since, overflowed, listing) = (self.since, self.overflowed, self.listing);
        let began_after = self.began_after.take();
        self.keys.retain(|name, key| match key.modified {
            _ if !key.is_read() => true,
            // The object exists still, as far as this listing shows.
            0 => {
                let is_listed = Some(name) > began_after.as_ref();
                !overflowed && (key.listing == listing || !is_listed)
            }
            modified => modified >= since,
        });
        self.prune_at = (2 * self.keys.len()).clamp(PRUNE_KEYS, MAX_KEYS + 1);
    }

    /// Forgets keys that this round does not list again and the next one regards as old.
    fn prune(&mut self) {
        let (since, after) = (self.next_since, self.after.as_deref());
        self.keys.retain(|name, key| {
            key.modified == 0
                || key.modified >= since
                || !key.is_read()
                || Some(name.as_str()) > after
        });
    }

    /// Forgets keys although the next round does not regard them as old: all without `LastModified` if they are most of
    /// them, otherwise half of the others. Returns whether that shortened the look-back.
    fn shorten(&mut self) -> bool {
        let times = self.keys.values().map(|key| key.modified);
        let mut times: Vec<i64> = times.filter(|time| *time != 0).collect();
        if times.len() <= MAX_KEYS / 2 {
            self.overflows = true;
            let after = self.after.as_deref();
            self.keys.retain(|name, key| {
                key.modified != 0 || !key.is_read() || Some(name.as_str()) > after
            });
            return false;
        }
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        self.next_since = self.next_since.max(median.saturating_add(1));
        self.prune();
        true
    }
}

/// `LastModified`; 0 if the server omits it or gives the zero of a clock.
fn time_of(object: &ListedObject) -> i64 {
    object.modified.max(0)
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
        keys.end();
        assert_eq!(keys.keys.len(), 1, "only `m` is within the look-back");
        for (key, modified) in [("a", NOW - 100_000), ("m", NOW - 50), ("z", NOW - 9000)] {
            assert!(!keys.claim(&object(key, modified)), "{key}");
        }
        read(&mut keys, "b", NOW - 3600);
        assert!(keys.claim(&object("m", NOW - 10)), "it was replaced");
    }

    #[test]
    fn interrupted_round_continues_after_the_keys_that_were_listed() {
        let mut keys = UndatedKeys::default();
        keys.begin();
        for key in ["a", "b", "c"] {
            assert!(keys.claim(&object(key, NOW)));
        }
        keys.read("a", NOW);
        keys.read("c", NOW);
        assert_eq!(keys.after.as_deref(), Some("c"));
        assert!(keys.passed_keys().eq([("b", NOW)]), "it is not read yet");
        keys.begin();
        assert!(keys.claim(&object("d", NOW)));
        assert!(!keys.claim_released("b"), "on its way");
        keys.release("b");
        assert!(keys.claim_released("b") && !keys.claim_released("b"));
        keys.read("b", NOW);
        assert_eq!(keys.passed_keys().count(), 1, "`d` is on its way");
    }

    #[test]
    fn unread_object_delays_no_round_and_stays_known() {
        let mut keys = UndatedKeys::default();
        keys.begin();
        assert!(keys.claim(&object("a", NOW - 100_000)));
        read(&mut keys, "m", NOW);
        keys.end();
        assert_eq!((keys.since, keys.after.as_deref()), (NOW - LOOK_BACK, None));
        assert!(keys.passed_keys().eq([("a", NOW - 100_000)]));
        keys.begin();
        assert!(!keys.claim(&object("a", NOW - 100_000)), "on its way");
        read(&mut keys, "c", NOW);
        keys.end();
        keys.release("a");
        keys.begin();
        assert!(!keys.claim(&object("a", NOW - 100_000)) && keys.claim_released("a"));
        keys.read("a", NOW);
        keys.end();
        keys.begin();
        assert!(!keys.claim(&object("a", NOW - 100_000)), "read");
        assert_eq!(keys.passed_keys().count(), 0);
    }

    #[test]
    fn keys_of_a_long_round_are_forgotten_as_it_goes() {
        let mut keys = UndatedKeys::default();
        for number in 0..50_000 {
            read(&mut keys, &format!("{number:06}"), NOW - 500_000 + number);
        }
        assert!(keys.keys.len() < 20_000, "{}", keys.keys.len());
        assert_eq!(keys.after.as_deref(), Some("049999"));
        keys.end();
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
        keys.end();
        assert!(
            !keys.claim(&object("0000001", NOW - 7000)),
            "forgotten, and regarded as old"
        );
    }

    #[test]
    fn object_without_last_modified_is_read_once_while_it_exists() {
        let mut keys = UndatedKeys::default();
        for round in 0..3 {
            keys.begin();
            for key in ["a", "b", "c"] {
                assert_eq!(keys.claim(&object(key, 0)), round == 0, "{key}");
                keys.read(key, NOW);
            }
            // A clock that was never set.
            assert_eq!(keys.claim(&object("d", -62_135_596_800)), round == 0);
            keys.read("d", NOW);
            keys.end();
        }
        assert_eq!(keys.keys.len(), 4);
        // `LastModified` of others says nothing about these.
        keys.begin();
        read(&mut keys, "e", NOW);
        read(&mut keys, "f", 0);
        assert!(!keys.claim(&object("b", 0)));
        keys.end();
        assert_eq!(keys.keys.len(), 3, "`a`, `c` and `d` are gone");
        keys.begin();
        assert!(keys.claim(&object("a", 0)), "it is there again");
    }

    #[test]
    fn object_without_last_modified_stays_known_when_a_listing_is_interrupted() {
        let mut keys = UndatedKeys::default();
        keys.begin();
        read(&mut keys, "a", 0);
        assert!(keys.claim(&object("b", 0)));
        keys.begin();
        keys.read("b", NOW);
        read(&mut keys, "c", 0);
        keys.end();
        keys.begin();
        for key in ["a", "b", "c"] {
            assert!(!keys.claim(&object(key, 0)), "{key}");
        }
    }

    #[test]
    fn too_many_objects_without_last_modified_are_read_once_and_then_none() {
        let mut keys = UndatedKeys::default();
        keys.begin();
        for number in 0..MAX_KEYS + 10 {
            let key = format!("{number:07}");
            assert!(keys.claim(&object(&key, 0)));
            assert!(!keys.read(&key, NOW));
        }
        assert!(keys.keys.len() <= MAX_KEYS && !keys.cannot_judge(&object("x", 0)));
        keys.end();
        keys.begin();
        for key in ["0000001", "new"] {
            assert!(keys.cannot_judge(&object(key, 0)) && !keys.claim(&object(key, 0)));
        }
        assert!(keys.claim(&object("new", NOW)));
        assert_eq!(keys.keys.len(), 1);
    }
}
