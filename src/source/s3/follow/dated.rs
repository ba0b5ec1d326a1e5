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
    pub(super) region: String,
    /// Every key up to this one was read, or is too old to be read.
    pub(super) start_after: Option<String>,
    /// Latest time in the name of a key that was read; in seconds since the epoch, 0 if there is none.
    pub(super) newest: i64,
    /// The keys after `start_after` that were claimed.
    pub(super) keys: BTreeMap<Box<str>, KeyState>,
}

impl DatedPrefix {
    pub(super) fn new(region: String, start_after: Option<String>) -> DatedPrefix {
        DatedPrefix {
            region,
            start_after,
            newest: 0,
            keys: BTreeMap::new(),
        }
    }

    /// Claims `key` for reading; returns `false` if it was claimed or read before.
    pub(super) fn claim(&mut self, key: &str) -> bool {
        if self
            .start_after
            .as_deref()
            .is_some_and(|start| key <= start)
        {
            return false;
        }
        match self.keys.get_mut(key) {
            Some(state @ KeyState::Retry) => *state = KeyState::Pending,
            Some(_) => return false,
            None => drop(self.keys.insert(key.into(), KeyState::Pending)),
        }
        true
    }

    /// Releases a claim without having read the object: the next listing claims it again.
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
        self.shorten(limit)
    }

    fn advance(&mut self, start: String) {
        let is_later = self.start_after.as_ref().is_none_or(|old| *old < start);
        let range = (Bound::Unbounded, Bound::Included(start.as_str()));
        let mut passed = self.keys.range::<str, _>(range);
        if !is_later || passed.any(|(_, state)| *state != KeyState::Read) {
            return;
        }
        while self
            .keys
            .first_key_value()
            .is_some_and(|(key, _)| **key <= *start)
        {
            self.keys.pop_first();
        }
        self.start_after = Some(start);
    }

    fn shorten(&mut self, limit: usize) -> bool {
        let mut shortened = false;
        while self.keys.len() > limit
            && let Some(first) = self.keys.first_entry()
            && *first.get() == KeyState::Read
        {
            self.start_after = Some(first.remove_entry().0.into());
            shortened = true;
        }
        shortened
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
        assert!(
            prefix.claim(&key) && !prefix.claim(&key),
            "claimed again after its release"
        );
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
    fn start_never_passes_a_key_that_was_not_read() {
        let mut prefix = prefix();
        let (first, second) = (key("20260131", "0100"), key("20260131", "0200"));
        assert!(prefix.claim(&first) && prefix.claim(&second));
        read(&mut prefix, &key("20260201", "1200"));
        assert_eq!(prefix.start_after, None);
        prefix.read(&second, NOW, 1000);
        prefix.release(&first);
        read(&mut prefix, &key("20260201", "1201"));
        assert!(
            prefix.start_after < Some(first.clone()),
            "the first is still to be read"
        );
        prefix.claim(&first);
        prefix.read(&first, NOW, 1000);
        read(&mut prefix, &key("20260201", "1202"));
        assert!(prefix.start_after > Some(second));
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
