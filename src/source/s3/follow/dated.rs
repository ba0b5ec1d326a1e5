//! What was read of one prefix whose keys have their time in their names.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{KeyState, LOOK_BACK};
use crate::object_key;
use crate::source::s3::layout;

/// A prefix of one account, kind and region. Its keys sort by time, over days too, so one listing from `start_after` on
/// finds all that is new.
#[derive(Debug)]
pub(super) struct DatedPrefix {
    /// The region's prefix; the listed one may be longer.
    region: String,
    /// Every key up to this one was read, is unread in `keys`, or is too old to be read.
    pub(super) start_after: Option<String>,
    /// Latest time in the name of a key that was read; in seconds since the epoch, 0 if there is none.
    pub(super) newest: i64,
    /// The keys after `start_after` that were claimed, and all that are not read yet.
    keys: BTreeMap<Box<str>, KeyState>,
    /// Number of keys that are read.
    read_keys: usize,
}

impl DatedPrefix {
    pub(super) fn new(region: String, start_after: Option<String>) -> DatedPrefix {
        DatedPrefix {
            region,
            start_after,
            newest: 0,
            keys: BTreeMap::new(),
            read_keys: 0,
        }
    }

    /// Adds a key of an earlier run: that was read, or that is to be claimed again.
    pub(super) fn restore(&mut self, key: Box<str>, state: KeyState) {
        if self.keys.insert(key, state).is_none() && state == KeyState::Read {
            self.read_keys += 1;
        }
    }

    /// Claims `key` for reading; returns `false` if it was claimed or read before.
    pub(super) fn claim(&mut self, key: &str) -> bool {
        let is_passed = self
            .start_after
            .as_deref()
            .is_some_and(|start| key <= start);
        // One that was released waits for `claim_released`.
        if is_passed || self.keys.contains_key(key) {
            return false;
        }
        self.keys.insert(key.into(), KeyState::Pending);
        true
    }

    /// Claims `key` if it was released.
    pub(super) fn claim_released(&mut self, key: &str) -> bool {
        match self.keys.get_mut(key) {
            Some(state @ KeyState::Retry) => {
                *state = KeyState::Pending;
                true
            }
            _ => false,
        }
    }

    /// Releases a claim without having read the object, so that it can be claimed again.
    pub(super) fn release(&mut self, key: &str) {
        if let Some(state) = self.keys.get_mut(key) {
            *state = KeyState::Retry;
        }
    }

    /// Records that `key` was read, and forgets keys that are older than the look-back. At most `limit` read keys are
    /// remembered. Returns whether that shortened the look-back.
    pub(super) fn read(&mut self, key: &str, now: i64, limit: usize) -> bool {
        match self.keys.get_mut(key) {
            Some(state) => *state = KeyState::Read,
            None => return false,
        }
        self.read_keys += 1;
        if let Some(time) = object_key::time(key) {
            // The name of a file may claim a time to come, up to which nothing must be skipped.
            let time = time.min(now);
            self.newest = self.newest.max(time);
            let start = layout::start_at(&self.region, time - LOOK_BACK);
            // Keys after this one may be not listed yet.
            if start.as_str() <= key {
                self.advance(start);
            }
        }
        // One that waited for long is behind the start by now.
        if self
            .start_after
            .as_deref()
            .is_some_and(|start| key <= start)
            && self.is_read(key)
        {
            self.forget(key);
        }
        self.shorten(limit)
    }

    /// The keys that were read.
    pub(super) fn read_keys(&self) -> impl Iterator<Item = &str> {
        let read = self.keys.iter();
        read.filter(|(_, state)| **state == KeyState::Read)
            .map(|(key, _)| &**key)
    }

    /// The keys that are not read, and that no listing from `start_after` on finds.
    pub(super) fn passed_keys(&self) -> impl Iterator<Item = &str> {
        // All of those that were read are forgotten.
        let end = self.start_after.as_deref().unwrap_or_default();
        let range = (Bound::Unbounded, Bound::Included(end));
        self.keys.range::<str, _>(range).map(|(key, _)| &**key)
    }

    fn advance(&mut self, start: String) {
        if self.start_after.as_ref().is_some_and(|old| *old >= start) {
            return;
        }
        let range = (Bound::Unbounded, Bound::Included(start.as_str()));
        let passed = self.keys.range::<str, _>(range);
        let read = passed.filter(|(_, state)| **state == KeyState::Read);
        let read: Vec<Box<str>> = read.map(|(key, _)| key.clone()).collect();
        for key in read {
            self.forget(&key);
        }
        self.start_after = Some(start);
    }

    fn shorten(&mut self, limit: usize) -> bool {
        let mut shortened = false;
        while self.read_keys > limit {
            let Some(first) = self.read_keys().next().map(str::to_owned) else {
                break;
            };
            self.forget(&first);
            self.start_after = Some(first);
            shortened = true;
        }
        shortened
    }

    fn is_read(&self, key: &str) -> bool {
        self.keys.get(key) == Some(&KeyState::Read)
    }

    fn forget(&mut self, key: &str) {
        if self.keys.remove(key) == Some(KeyState::Read) {
            self.read_keys -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "AWSLogs/123456789012/CloudTrail/us-east-1/";
    const NOW: i64 = 1_800_000_000;

    fn key(day: &str, time: &str) -> String {
        let (year, month, date) = (&day[..4], &day[4..6], &day[6..]);
        format!(
            "{REGION}{year}/{month}/{date}/123456789012_CloudTrail_us-east-1_{day}T{time}Z_x.json.gz"
        )
    }

    fn prefix() -> DatedPrefix {
        DatedPrefix::new(REGION.to_owned(), None)
    }

    fn read(prefix: &mut DatedPrefix, key: &str) {
        assert!(prefix.claim(key), "{key}");
        prefix.read(key, NOW, 1000);
    }

    #[test]
    fn key_is_claimed_once() {
        let mut prefix = prefix();
        let key = key("20260131", "1200");
        assert!(prefix.claim(&key) && !prefix.claim(&key));
        prefix.release(&key);
        assert!(!prefix.claim(&key), "only as a released one");
        assert!(prefix.claim_released(&key) && !prefix.claim_released(&key));
        prefix.read(&key, NOW, 1000);
        assert!(!prefix.claim(&key));
    }

    #[test]
    fn look_back_reaches_over_midnight() {
        let mut prefix = prefix();
        for time in ["2100", "2229", "2231", "2359"] {
            read(&mut prefix, &key("20260131", time));
        }
        read(&mut prefix, &key("20260201", "0030"));
        let start = prefix.start_after.clone().expect("a start");
        assert!(
            start < key("20260131", "2231") && start > key("20260131", "2229"),
            "{start}"
        );
        assert!(
            prefix.claim(&key("20260131", "2230")),
            "late, and within the look-back"
        );
        assert!(!prefix.claim(&key("20260131", "2229")), "read before");
        assert_eq!(prefix.keys.len(), 4);
    }

    #[test]
    fn start_passes_keys_that_were_not_read_and_keeps_them() {
        let mut prefix = prefix();
        let (first, second) = (key("20260131", "0100"), key("20260131", "0200"));
        assert!(prefix.claim(&first) && prefix.claim(&second));
        read(&mut prefix, &key("20260201", "1200"));
        assert!(prefix.start_after > Some(second.clone()));
        let passed: Vec<&str> = prefix.passed_keys().collect();
        assert_eq!(passed, [&first, &second]);
        assert!(!prefix.claim(&first), "on its way");
        prefix.read(&second, NOW, 1000);
        prefix.release(&first);
        read(&mut prefix, &key("20260201", "1201"));
        assert!(prefix.passed_keys().eq([&first]));
        assert!(!prefix.claim_released(&second) && !prefix.claim(&second));
        assert!(prefix.claim_released(&first) && !prefix.claim_released(&first));
        prefix.read(&first, NOW, 1000);
        assert_eq!(prefix.passed_keys().count(), 0);
        assert!(!prefix.claim(&first), "read");
        assert_eq!(prefix.keys.len(), 2);
    }

    #[test]
    fn keys_that_are_not_read_do_not_shorten_the_look_back() {
        let mut prefix = prefix();
        let keys: Vec<String> = (0..50)
            .map(|minute| key("20260131", &format!("12{minute:02}")))
            .collect();
        assert!(keys.iter().all(|key| prefix.claim(key)));
        assert!(!prefix.read(&keys[49], NOW, 20) && !prefix.read(&keys[0], NOW, 20));
        assert_eq!(prefix.keys.len(), 50);
    }

    #[test]
    fn names_with_a_time_to_come_skip_nothing() {
        let mut prefix = prefix();
        let now = object_key::time("20260131T1200Z.json").expect("a time");
        // A name in an earlier folder than its time: later folders are not listed yet.
        let odd = format!(
            "{REGION}2026/01/01/123456789012_CloudTrail_us-east-1_20990101T0000Z_x.json.gz"
        );
        for key in [odd, key("20990101", "0000")] {
            assert!(prefix.claim(&key));
            prefix.read(&key, now, 1000);
        }
        assert!(prefix.claim(&key("20260131", "1001")));
        assert!(prefix.claim(&key("20260131", "1205")));
    }

    #[test]
    fn remembered_keys_are_bounded() {
        let mut prefix = prefix();
        let mut shortened = false;
        for minute in 0..50 {
            let key = key("20260131", &format!("12{minute:02}"));
            assert!(prefix.claim(&key));
            shortened |= prefix.read(&key, NOW, 20);
        }
        assert!(shortened);
        assert_eq!(prefix.keys.len(), 20);
        assert!(
            !prefix.claim(&key("20260131", "1229")),
            "read and forgotten"
        );
        assert!(
            !prefix.claim(&key("20260131", "1230")),
            "read and remembered"
        );
    }
}
