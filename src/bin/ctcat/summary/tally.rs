//! Counts values in bounded memory.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::mem;

/// Distinct values that are counted exactly. Beyond it, rare values give way, so that an attacker who makes up names
/// cannot fill the memory.
const MAX_VALUES: usize = 50_000;

/// Bytes of a value that are kept. Longer values with the same start are counted as one.
const MAX_VALUE_BYTES: usize = 256;

/// How often each value of a field occurs.
#[derive(Default)]
pub struct Tally {
    counts: HashMap<Box<[u8]>, u64>,
    /// Occurrences of all values.
    total: u64,
    /// Highest count of a value that gave way: counts may be too low by this much for each time values gave way.
    dropped: u64,
}

impl Tally {
    /// Counts one occurrence of `value`.
    pub fn add(&mut self, value: &[u8]) {
        let value = &value[..value.len().min(MAX_VALUE_BYTES)];
        self.total += 1;
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
            return;
        }
        if self.counts.len() == MAX_VALUES {
            self.drop_rare();
        }
        self.counts.insert(value.into(), 1);
    }

    /// Occurrences of all values.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Number of distinct values; `None` if some gave way.
    pub fn distinct(&self) -> Option<usize> {
        (self.dropped == 0).then_some(self.counts.len())
    }

    /// The `limit` most frequent values with their counts, by count and then by value.
    pub fn top(&self, limit: usize) -> Vec<(&[u8], u64)> {
        let mut top: Vec<_> = self.counts.iter().map(|(v, n)| (&**v, *n)).collect();
        top.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        top.truncate(limit);
        top
    }

    /// Drops the rarer half of the values.
    fn drop_rare(&mut self) {
        let mut entries: Vec<_> = mem::take(&mut self.counts).into_iter().collect();
        let middle = entries.len() / 2;
        let (_, (_, dropped), _) =
            entries.select_nth_unstable_by(middle, |(_, n), (_, m)| m.cmp(n));
        self.dropped = self.dropped.max(*dropped);
        entries.truncate(middle);
        self.counts.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_values_are_sorted_by_count_then_by_value() {
        let mut tally = Tally::default();
        for value in ["b", "a", "c", "c"] {
            tally.add(value.as_bytes());
        }
        assert_eq!(tally.top(2), [(&b"c"[..], 2), (&b"a"[..], 1)]);
        assert_eq!((tally.total(), tally.distinct()), (4, Some(3)));
    }

    #[test]
    fn frequent_values_survive_a_flood_of_distinct_ones() {
        let mut tally = Tally::default();
        for number in 0..5 * MAX_VALUES as u64 {
            tally.add(&number.to_le_bytes());
            if number % 100 == 0 {
                tally.add(b"frequent");
            }
        }
        assert!(tally.counts.len() <= MAX_VALUES);
        assert_eq!(tally.distinct(), None);
        assert_eq!(
            tally.top(1),
            [(&b"frequent"[..], 5 * MAX_VALUES as u64 / 100)]
        );
    }

    #[test]
    fn values_are_kept_up_to_a_length() {
        let mut tally = Tally::default();
        tally.add(&[b'x'; MAX_VALUE_BYTES + 1]);
        tally.add(&[b'x'; 1 << 20]);
        assert_eq!(tally.top(9), [(&[b'x'; MAX_VALUE_BYTES][..], 2)]);
    }
}
