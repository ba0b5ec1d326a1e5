//! The window of `dedupWindow`: the last events that the host got, so that it gets each once.
//!
//! The host's thread asks the window when it takes a batch, in the order of delivery. So an event is a duplicate only of
//! one that the host already has or gets in the same batch; events that wait to be delivered are in no window, and a
//! batch that is dropped on its way leaves none behind. `docs/architecture.md` says what follows for acknowledgement.
#![forbid(unsafe_code)]

use std::hint::black_box;

use crate::batch::{Batch, Fingerprint, FingerprintKey};
use crate::error::{Error, ErrorKind, Result};

/// Bytes for each event: 16 for the fingerprint, 8 for each of two table slots.
const EVENT_BYTES: u64 = 32;

/// Slots of the table for each event: linear probing then reads two or three of them.
const SLOTS_PER_EVENT: usize = 2;

/// A free slot.
const FREE: u64 = 0;

/// The most recent events, in a ring of fingerprints and a hash table over it.
#[derive(Debug)]
pub struct DedupWindow {
    key: FingerprintKey,
    /// Fingerprints, the oldest at `next` once all places are used.
    ring: Vec<Fingerprint>,
    /// Place of the next fingerprint.
    next: usize,
    /// Places in use.
    len: usize,
    /// Open addressing with linear probing. A slot has the upper 32 bits of a fingerprint, from which its preferred slot
    /// follows, and the fingerprint's place in the ring plus one. Looking past a slot so costs no access to the ring.
    table: Vec<u64>,
    /// Events that were added since the last [`DedupWindow::commit`].
    pending: usize,
}

impl DedupWindow {
    /// A window of this many events. The memory is reserved at once, and used as events come.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Resources`] if there is not enough memory.
    pub fn new(events: usize) -> Result<DedupWindow> {
        let slots = SLOTS_PER_EVENT * events.max(1);
        // `vec!` would end the process. It gets zeroed pages of the system, which take no memory before they are used.
        let mut probe = (Vec::<Fingerprint>::new(), Vec::<u64>::new());
        let reserved = probe.0.try_reserve_exact(events);
        let reserved = reserved.and_then(|()| probe.1.try_reserve_exact(slots));
        // Otherwise the compiler may leave out allocations that nothing uses.
        drop(black_box(probe));
        if reserved.is_err() {
            return Err(Error::new(
                ErrorKind::Resources,
                format!(
                    "dedupWindow: {events} events need {} MB of memory, which cannot be allocated; lower it",
                    megabytes(events)
                ),
            ));
        }
        Ok(DedupWindow {
            key: FingerprintKey::random(),
            ring: vec![0; events],
            next: 0,
            len: 0,
            table: vec![FREE; slots],
            pending: 0,
        })
    }

    /// The key of the fingerprints that the window expects.
    pub fn key(&self) -> FingerprintKey {
        self.key
    }

    /// Most memory of the window, in MB.
    pub fn megabytes(&self) -> u64 {
        megabytes(self.ring.len())
    }

    /// Adds the events of a batch and marks those that are duplicates. Returns the number of these. Until
    /// [`DedupWindow::commit`], the batch's events are pending.
    pub(super) fn mark(&mut self, batch: &mut Batch) -> usize {
        batch.mark_duplicates(|fingerprint| self.insert(fingerprint))
    }

    /// The host has the pending events.
    pub(super) fn commit(&mut self) {
        self.pending = 0;
    }

    /// Removes pending events: their batch was dropped.
    pub(super) fn roll_back(&mut self) {
        for _ in 0..std::mem::take(&mut self.pending).min(self.len) {
            self.next = self.before(self.next);
            self.remove(self.next);
            self.len -= 1;
        }
    }

    /// Adds an event in place of the oldest. Returns whether it is new.
    fn insert(&mut self, fingerprint: Fingerprint) -> bool {
        if self.ring.is_empty() {
            return true;
        }
        if self.contains(fingerprint) {
            return false;
        }
        match self.len == self.ring.len() {
            true => self.remove(self.next),
            false => self.len += 1,
        }
        let tag = tag(fingerprint);
        let mut slot = self.preferred(tag);
        // There are more slots than events.
        while self.table[slot] != FREE {
            slot = self.after(slot);
        }
        self.table[slot] = entry(tag, self.next);
        self.ring[self.next] = fingerprint;
        self.next = (self.next + 1) % self.ring.len();
        self.pending += 1;
        true
    }

    fn contains(&self, fingerprint: Fingerprint) -> bool {
        let tag = tag(fingerprint);
        let mut slot = self.preferred(tag);
        loop {
            let found = self.table[slot];
            if found == FREE {
                return false;
            }
            if tag_of(found) == tag && self.ring[place_of(found)] == fingerprint {
                return true;
            }
            slot = self.after(slot);
        }
    }

    /// Removes the entry of this place in the ring from the table, and moves those after it that could not have their
    /// preferred slot (Knuth, algorithm R): no look-up has to pass slots that were used once.
    fn remove(&mut self, place: usize) {
        let tag = tag(self.ring[place]);
        let mut hole = self.preferred(tag);
        while self.table[hole] != entry(tag, place) {
            hole = self.after(hole);
        }
        let mut slot = hole;
        loop {
            slot = self.after(slot);
            let found = self.table[slot];
            if found == FREE {
                break;
            }
            let slots = self.table.len();
            let distance = |from: usize| (slot + slots - from) % slots;
            if distance(self.preferred(tag_of(found))) >= distance(hole) {
                self.table[hole] = found;
                hole = slot;
            }
        }
        self.table[hole] = FREE;
    }

    /// The slot of a tag: slots in proportion to tags.
    fn preferred(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.table.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.table.len() {
            0
        } else {
            slot + 1
        }
    }

    fn before(&self, place: usize) -> usize {
        place.checked_sub(1).unwrap_or(self.ring.len() - 1)
    }
}

fn megabytes(events: usize) -> u64 {
    (events as u64 * EVENT_BYTES).div_ceil(1_000_000)
}

fn tag(fingerprint: Fingerprint) -> u32 {
    (fingerprint >> 96) as u32
}

/// A slot's content. Places are below 2^32: `dedupWindow` is at most 100,000,000.
fn entry(tag: u32, place: usize) -> u64 {
    u64::from(tag) << 32 | (place as u64 + 1)
}

fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn place_of(entry: u64) -> usize {
    (entry as u32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// The same by a map and a queue.
    #[derive(Default)]
    struct Model {
        events: usize,
        order: VecDeque<Fingerprint>,
        known: HashMap<Fingerprint, ()>,
        pending: usize,
    }

    impl Model {
        fn insert(&mut self, fingerprint: Fingerprint) -> bool {
            if self.known.contains_key(&fingerprint) {
                return false;
            }
            if self.order.len() == self.events {
                let oldest = self.order.pop_front().expect("a full window");
                self.known.remove(&oldest);
            }
            self.order.push_back(fingerprint);
            self.known.insert(fingerprint, ());
            self.pending += 1;
            true
        }

        fn roll_back(&mut self) {
            for _ in 0..self.pending {
                if let Some(newest) = self.order.pop_back() {
                    self.known.remove(&newest);
                }
            }
            self.pending = 0;
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(Fingerprint),
        Commit,
        RollBack,
    }

    /// Fingerprints with few tags, so that slots and tags collide, at both ends of the table.
    fn fingerprints() -> impl Strategy<Value = Fingerprint> {
        let tag = prop_oneof![0..3_u32, (u32::MAX - 3)..=u32::MAX, any::<u32>()];
        (tag, 2..6_u128).prop_map(|(tag, rest)| u128::from(tag) << 96 | rest)
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            12 => fingerprints().prop_map(Step::Insert),
            1 => Just(Step::Commit),
            1 => Just(Step::RollBack),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn window_knows_what_a_map_and_a_queue_know(events in 1..40_usize, steps in steps()) {
            let mut window = DedupWindow::new(events).expect("little memory");
            let mut model = Model { events, ..Model::default() };
            for step in steps {
                match step {
                    Step::Insert(fingerprint) => {
                        prop_assert_eq!(window.insert(fingerprint), model.insert(fingerprint));
                    }
                    Step::Commit => {
                        window.commit();
                        model.pending = 0;
                    }
                    Step::RollBack => {
                        window.roll_back();
                        model.roll_back();
                    }
                }
                let used = window.table.iter().filter(|slot| **slot != FREE).count();
                prop_assert_eq!(used, model.order.len());
                prop_assert!(model.order.iter().all(|known| window.contains(*known)));
            }
        }
    }

    #[test]
    fn window_takes_at_most_32_bytes_an_event() {
        let window = DedupWindow::new(1000).expect("little memory");
        let bytes = size_of_val(&*window.ring) + size_of_val(&*window.table);
        assert!(bytes as u64 <= 1000 * EVENT_BYTES, "{bytes}");
        assert_eq!(DedupWindow::new(1_000_000).expect("memory").megabytes(), 32);
    }

    #[test]
    fn window_that_does_not_fit_is_an_error() {
        let error = DedupWindow::new(usize::MAX / 64).expect_err("no such memory");
        assert!(error.to_string().starts_with("dedupWindow: "), "{error}");
    }
}
