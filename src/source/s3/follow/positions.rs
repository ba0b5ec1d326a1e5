//! What was read of a bucket, shared by the lister, the host's acknowledgements and the state file.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::KeyState;
use super::dated::DatedPrefix;
use super::undated::{UndatedKey, UndatedKeys};
use crate::log::{Escaped, Log, Severity};
use crate::object::ack::{AckHandle, Failure, Settled, ack_handles};
use crate::source::s3::layout::{self, Level, Prefix};
use crate::source::s3::{ListedObject, Selection};
use crate::timestamp;

/// Maximum number of remembered keys of all dated prefixes together: about 40 MiB.
const MAX_KEYS: usize = 250_000;

/// Keys that each prefix may remember, however many prefixes there are.
const MIN_PREFIX_KEYS: usize = 20;

/// Released objects from which on no further one is released for the others' sake: about 20 MiB.
const MAX_RELEASED: usize = 50_000;

/// Maximum number of followed prefixes; bounds memory against a bucket of invented regions.
pub(super) const MAX_PREFIXES: usize = 50_000;

/// What was read. A key is claimed when it is listed, and read when the host has processed its last event or when it was
/// reported as lost; the state file holds only what was read.
pub(super) struct Positions {
    state: Mutex<ReadState>,
    /// Signals a new version.
    changed: Condvar,
    selection: Selection,
    log: Arc<Log>,
}

#[derive(Default)]
struct ReadState {
    /// By their text; none is the start of another.
    dated: BTreeMap<String, DatedPrefix>,
    undated: UndatedKeys,
    /// Objects directly below a prefix that holds accounts, kinds or regions, which come with the search for these.
    strays: UndatedKeys,
    /// Number of claims that are neither read nor released.
    pending: usize,
    /// Claims that were released without being read, and the keys that an earlier run left unread. [`MAX_RELEASED`] and
    /// the number of pending claims bound them.
    released: Vec<(KeyClass, ListedObject)>,
    /// Number of changes of what was read.
    version: u64,
    /// The source is closed.
    closing: bool,
}

/// Where a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyClass {
    Dated,
    Undated,
    Stray,
}

/// What was read, as it is saved.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPositions {
    prefixes: Vec<SavedPrefix>,
    undated: SavedKeys,
    strays: SavedKeys,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedPrefix {
    prefix: String,
    start_after: Option<String>,
    newest: i64,
    /// Without the prefix.
    keys: Vec<String>,
    /// Keys up to `start_after` that are not read yet, without the prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedKeys {
    since: i64,
    next_since: i64,
    after: Option<String>,
    keys: Vec<(String, i64)>,
    /// Keys that are not read yet, and that no later listing takes for new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<(String, i64)>,
    #[serde(default)]
    overflowed: bool,
    #[serde(default)]
    overflows: bool,
}

impl Positions {
    pub(super) fn new(saved: SavedPositions, selection: Selection, log: Arc<Log>) -> Positions {
        let mut state = ReadState::default();
        for saved in saved.prefixes.into_iter().take(MAX_PREFIXES) {
            let Some(region) = region_of(&layout::classify(&saved.prefix)) else {
                continue;
            };
            let mut prefix = DatedPrefix::new(region, saved.start_after);
            prefix.newest = saved.newest;
            let whole = |key: &String| format!("{}{key}", saved.prefix).into_boxed_str();
            for key in saved.keys.iter().map(whole) {
                prefix.restore(key, KeyState::Read);
            }
            for key in saved.unread.iter().map(whole) {
                state.release(KeyClass::Dated, &key);
                prefix.restore(key, KeyState::Retry);
            }
            state.dated.insert(saved.prefix, prefix);
        }
        for (class, keys) in [
            (KeyClass::Undated, &saved.undated),
            (KeyClass::Stray, &saved.strays),
        ] {
            for (key, _) in &keys.unread {
                state.release(class, key);
            }
        }
        state.undated = saved.undated.into();
        state.strays = saved.strays.into();
        Positions {
            state: Mutex::new(state),
            changed: Condvar::new(),
            selection,
            log,
        }
    }

    /// Follows these dated prefixes. Forgets others if `complete`, as a prefix without keys is not found; if one gets keys
    /// again, these are new.
    pub(super) fn set_prefixes(&self, prefixes: &[Prefix], complete: bool) {
        let mut state = self.state();
        if complete {
            let known = std::mem::take(&mut state.dated);
            let is_found = |text: &String| {
                prefixes
                    .binary_search_by(|prefix| prefix.text.cmp(text))
                    .is_ok()
            };
            state.dated = known
                .into_iter()
                .filter(|(text, _)| is_found(text))
                .collect();
        }
        for prefix in prefixes {
            if let Some(region) = region_of(prefix)
                && !state.dated.contains_key(&prefix.text)
            {
                let start = layout::start_after(&region, &self.selection);
                let new = DatedPrefix::new(region, start);
                state.dated.insert(prefix.text.clone(), new);
            }
        }
    }

    /// `StartAfter` of the next listing of a dated prefix.
    pub(super) fn start_after(&self, prefix: &str) -> Option<String> {
        self.state().dated.get(prefix)?.start_after.clone()
    }

    /// Latest time in the name of a key that was read below a dated prefix; 0 if there is none.
    pub(super) fn newest(&self, prefix: &str) -> i64 {
        self.state()
            .dated
            .get(prefix)
            .map_or(0, |prefix| prefix.newest)
    }

    /// Claims the objects of a page that were not read before.
    pub(super) fn claim(
        self: &Arc<Self>,
        class: KeyClass,
        page: Vec<ListedObject>,
    ) -> Vec<(ListedObject, AckHandle)> {
        let mut claimed = Vec::new();
        let mut unknown = None;
        let mut state = self.state();
        for object in page {
            let is_new = match class {
                KeyClass::Dated => state
                    .prefix_of(&object.key)
                    .is_some_and(|prefix| prefix.claim(&object.key)),
                KeyClass::Undated | KeyClass::Stray => {
                    let keys = match class {
                        KeyClass::Stray => &mut state.strays,
                        _ => &mut state.undated,
                    };
                    if keys.cannot_judge(&object) {
                        unknown.get_or_insert_with(|| object.key.clone());
                    }
                    keys.claim(&object)
                }
            };
            if is_new {
                state.pending += 1;
                claimed.push(object);
            }
        }
        drop(state);
        if let Some(key) = unknown {
            let key = Escaped(key);
            let line = format!(
                "s3Follow: {key}: too many objects without LastModified to tell new ones; such objects are not read any more, use a prefix with fewer objects"
            );
            self.log.once("unknown objects", Severity::Error, line);
        }
        let claimed = claimed.into_iter();
        claimed
            .filter_map(|object| self.with_ack(class, object))
            .collect()
    }

    /// Whether an object that waits for retries may be released.
    pub(super) fn may_release(&self) -> bool {
        self.state().released.len() < MAX_RELEASED
    }

    /// Whether claims were released.
    pub(super) fn has_released(&self) -> bool {
        !self.state().released.is_empty()
    }

    /// Claims again what was released, the first ones first, and at most this number.
    pub(super) fn claim_released(
        self: &Arc<Self>,
        at_most: usize,
    ) -> Vec<(ListedObject, AckHandle)> {
        let mut state = self.state();
        let mut claimed = std::mem::take(&mut state.released);
        state.released = claimed.split_off(at_most.min(claimed.len()));
        claimed.retain(|(class, object)| {
            let is_claimed = match class {
                KeyClass::Dated => state
                    .prefix_of(&object.key)
                    .is_some_and(|prefix| prefix.claim_released(&object.key)),
                KeyClass::Undated => state.undated.claim_released(&object.key),
                KeyClass::Stray => state.strays.claim_released(&object.key),
            };
            state.pending += usize::from(is_claimed);
            is_claimed
        });
        drop(state);
        let claimed = claimed.into_iter();
        claimed
            .filter_map(|(class, object)| self.with_ack(class, object))
            .collect()
    }

    fn with_ack(
        self: &Arc<Self>,
        class: KeyClass,
        object: ListedObject,
    ) -> Option<(ListedObject, AckHandle)> {
        let (positions, key) = (Arc::clone(self), object.key.clone());
        let settle = move |settled| positions.settle(class, &key, &settled);
        Some((object, ack_handles(1, settle).pop()?))
    }

    /// Records the outcome of a claim.
    fn settle(&self, class: KeyClass, key: &str, settled: &Settled) {
        let now = timestamp::now();
        let mut state = self.state();
        state.pending -= 1;
        // An object that can never be read was reported as lost.
        let is_done = !matches!(settled.failure, Some(Failure::Transient));
        let limit = (MAX_KEYS / state.dated.len().max(1)).max(MIN_PREFIX_KEYS);
        let shortened = match (class, is_done) {
            (KeyClass::Dated, true) => state
                .prefix_of(key)
                .is_some_and(|prefix| prefix.read(key, now, limit)),
            (KeyClass::Undated, true) => state.undated.read(key, now),
            (KeyClass::Stray, true) => state.strays.read(key, now),
            (KeyClass::Dated, false) => {
                if let Some(prefix) = state.prefix_of(key) {
                    prefix.release(key);
                }
                false
            }
            (KeyClass::Undated, false) => {
                state.undated.release(key);
                false
            }
            (KeyClass::Stray, false) => {
                state.strays.release(key);
                false
            }
        };
        match is_done {
            true => state.version += 1,
            false => state.release(class, key),
        }
        drop(state);
        self.changed.notify_all();
        if shortened {
            self.log.once(
                "look-back",
                Severity::Warning,
                "s3Follow: too many new files to remember those of two hours; one that arrives late may be missed, follow fewer prefixes or use sqs://",
            );
        }
    }

    /// Begins to list undated keys; returns the key to start after.
    pub(super) fn begin_undated(&self) -> Option<String> {
        let mut state = self.state();
        state.undated.begin();
        state.undated.after.clone()
    }

    /// Begins to collect strays.
    pub(super) fn begin_strays(&self) {
        self.state().strays.begin();
    }

    /// Ends a round in which all undated keys, or all strays, were listed.
    pub(super) fn end_round(&self, class: KeyClass) {
        let mut state = self.state();
        let keys = match class {
            KeyClass::Undated => &mut state.undated,
            KeyClass::Stray => &mut state.strays,
            KeyClass::Dated => return,
        };
        let before = keys.extent();
        keys.end();
        // A round without anything new is nothing to save.
        let changed = keys.extent() != before;
        state.version += u64::from(changed);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until no claim is pending, or for `limit`; returns whether all claims are settled.
    pub(super) fn wait_settled(&self, limit: Duration) -> bool {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, limit, |state| state.pending > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.pending == 0
    }

    /// Whether every claim was read.
    pub(super) fn all_read(&self) -> bool {
        let state = self.state();
        state.pending == 0 && state.released.is_empty()
    }

    /// Waits for a version other than `seen`, or for `limit`; returns the current one.
    pub(super) fn wait_changed(&self, seen: u64, limit: Duration) -> u64 {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, limit, |state| {
            state.version == seen && !state.closing
        });
        waited.unwrap_or_else(PoisonError::into_inner).0.version
    }

    /// Ends all waits for a new version, now and later.
    pub(super) fn end_waits(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }

    /// What was read, and its version.
    pub(super) fn snapshot(&self) -> (SavedPositions, u64) {
        let state = self.state();
        let prefixes = state.dated.iter().map(|(text, prefix)| {
            let rest = |key: &str| Some(key.strip_prefix(text.as_str())?.to_owned());
            SavedPrefix {
                prefix: text.clone(),
                start_after: prefix.start_after.clone(),
                newest: prefix.newest,
                keys: prefix.read_keys().filter_map(rest).collect(),
                unread: prefix.passed_keys().filter_map(rest).collect(),
            }
        });
        let saved = SavedPositions {
            prefixes: prefixes.collect(),
            undated: (&state.undated).into(),
            strays: (&state.strays).into(),
        };
        (saved, state.version)
    }

    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadState {
    fn release(&mut self, class: KeyClass, key: &str) {
        let object = ListedObject {
            key: key.to_owned(),
            // Unknown.
            size: 0,
            modified: 0,
        };
        self.released.push((class, object));
    }

    /// The dated prefix with this key.
    fn prefix_of(&mut self, key: &str) -> Option<&mut DatedPrefix> {
        let range = (Bound::Unbounded, Bound::Included(key));
        let (text, prefix) = self.dated.range_mut::<str, _>(range).next_back()?;
        key.starts_with(text.as_str()).then_some(prefix)
    }
}

impl Default for SavedKeys {
    fn default() -> SavedKeys {
        (&UndatedKeys::default()).into()
    }
}

impl From<&UndatedKeys> for SavedKeys {
    fn from(keys: &UndatedKeys) -> SavedKeys {
        let read = keys.keys.iter().filter(|(_, key)| key.is_read());
        SavedKeys {
            since: keys.since,
            next_since: keys.next_since,
            after: keys.after.clone(),
            keys: read
                .map(|(name, key)| (name.clone(), key.modified))
                .collect(),
            unread: keys
                .passed_keys()
                .map(|(name, modified)| (name.to_owned(), modified))
                .collect(),
            overflowed: keys.overflowed,
            overflows: keys.overflows,
        }
    }
}

impl From<SavedKeys> for UndatedKeys {
    fn from(saved: SavedKeys) -> UndatedKeys {
        let with = |state| {
            move |(name, modified): (String, i64)| (name, UndatedKey::saved(modified, state))
        };
        let read = saved.keys.into_iter().map(with(KeyState::Read));
        let unread = saved.unread.into_iter().map(with(KeyState::Retry));
        let keys = read.chain(unread).collect();
        let mut all = UndatedKeys::from_read(saved.since, saved.next_since, saved.after, keys);
        (all.overflowed, all.overflows) = (saved.overflowed, saved.overflows);
        all
    }
}

/// The region's prefix of a prefix whose keys have their time in their names.
pub(super) fn region_of(prefix: &Prefix) -> Option<String> {
    match &prefix.level {
        Level::Keys(range) => range.region.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_keys_are_those_that_were_read() {
        let mut keys = UndatedKeys::default();
        keys.begin();
        let object = |key: &str, modified| ListedObject {
            key: key.to_owned(),
            size: 1,
            modified,
        };
        for (key, modified) in [("a", 1_700_000_000), ("b", 0), ("c", 0), ("d", 1)] {
            assert!(keys.claim(&object(key, modified)));
        }
        keys.read("a", 1_800_000_000);
        keys.read("b", 1_800_000_000);
        keys.release("c");
        keys.overflows = true;
        let saved = SavedKeys::from(&keys);
        let mut restored = UndatedKeys::from(saved);
        assert!(restored.overflows && !restored.overflowed);
        assert_eq!(restored.after.as_deref(), Some("d"));
        restored.begin();
        assert!(!restored.claim(&object("b", 0)));
        assert!(!restored.claim(&object("c", 0)) && restored.claim_released("c"));
        assert!(restored.claim_released("d"));
        assert_eq!(SavedKeys::from(&restored).keys.len(), 2);
    }
}
