//! Fields with an argument, such as `ct.value[/userIdentity/arn]`: a cache of compiled arguments and their values.
#![forbid(unsafe_code)]

use super::field_usage::FieldUsage;
use super::value::ExtractedField;
use crate::fields::{CompiledArgument, FIELDS};

/// Fields with an argument that stay in the cache. A rule set has far fewer.
pub(super) const CACHED: usize = 1024;

/// The argument in brackets after a field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// No argument.
    None,
    /// An index of a list.
    Index(u64),
    /// A key.
    Key(&'a str),
}

/// A field with an argument, and its values.
#[derive(Debug)]
pub(super) struct ArgumentEntry {
    pub(super) field: usize,
    /// The key, unless the argument is an index.
    key: Option<Box<str>>,
    pub(super) argument: CompiledArgument,
    /// Number of the column that has the precomputed values; `None` if they never were.
    pub(super) number: Option<usize>,
    /// Events of the batch that it was extracted from.
    pub(super) events: u32,
    pub(super) extracted: ExtractedField,
    /// The last call that used it.
    call: u64,
}

impl ArgumentEntry {
    fn is(&self, field: usize, argument: Argument<'_>) -> bool {
        self.field == field
            && match (argument, &self.key, &self.argument) {
                (Argument::Key(key), Some(own), _) => **own == *key,
                (Argument::Index(index), None, CompiledArgument::Index(own)) => *own == index,
                _ => false,
            }
    }
}

/// Fields with an argument, with least-recently-used replacement.
#[derive(Debug, Default)]
pub(super) struct ArgumentCache {
    // Boxed, since values must not move when the vector grows.
    #[allow(clippy::vec_box)]
    entries: Vec<Box<ArgumentEntry>>,
    /// Index of the last entry that was used.
    last: usize,
    /// Number of the current call.
    call: u64,
    /// An entry was replaced or added beyond [`CACHED`] since the last [`ArgumentCache::trim`].
    overflowed: bool,
}

impl ArgumentCache {
    /// Starts a call: values of earlier calls may be dropped, those of this one stay until the next. Returns whether
    /// entries were dropped, so that their texts are garbage.
    #[inline]
    pub(super) fn start_call(&mut self) -> bool {
        self.call += 1;
        self.overflowed && self.trim()
    }

    #[cold]
    fn trim(&mut self) -> bool {
        self.entries.truncate(CACHED);
        self.last = 0;
        self.overflowed = false;
        true
    }

    /// The entry of this field with this argument, added if it is new. `None` if the field takes no such argument.
    pub(super) fn entry(
        &mut self,
        field: usize,
        argument: Argument<'_>,
        usage: &FieldUsage,
    ) -> Option<&mut ArgumentEntry> {
        self.last = match self.position(field, argument) {
            Some(position) => position,
            None => self.insert(field, argument, usage)?,
        };
        let entry = self.entries.get_mut(self.last)?;
        entry.call = self.call;
        Some(entry)
    }

    /// Searches from the last entry on: rules use arguments in the same order for each event.
    fn position(&self, field: usize, argument: Argument<'_>) -> Option<usize> {
        let (before, after) = self.entries.split_at_checked(self.last)?;
        let search = |entries: &[Box<ArgumentEntry>]| {
            entries.iter().position(|entry| entry.is(field, argument))
        };
        let found = search(after).map(|position| before.len() + position);
        found.or_else(|| search(before))
    }

    fn insert(
        &mut self,
        field: usize,
        argument: Argument<'_>,
        usage: &FieldUsage,
    ) -> Option<usize> {
        let extractor = FIELDS.get(field)?.extractor;
        let (key, argument) = match argument {
            Argument::None => return None,
            Argument::Index(index) => (None, CompiledArgument::index(extractor, index)?),
            Argument::Key(key) => (Some(key.into()), CompiledArgument::key(extractor, key)?),
        };
        let entry = Box::new(ArgumentEntry {
            number: usage.number(field, &argument),
            field,
            key,
            argument,
            events: 0,
            extracted: ExtractedField::new(),
            call: self.call,
        });
        self.overflowed |= self.entries.len() >= CACHED;
        match self.replaceable() {
            Some(position) => {
                self.entries[position] = entry;
                Some(position)
            }
            None => {
                self.entries.push(entry);
                Some(self.entries.len() - 1)
            }
        }
    }

    /// The least recently used entry of a full cache, unless the current call uses all of them.
    fn replaceable(&self) -> Option<usize> {
        if self.entries.len() < CACHED {
            return None;
        }
        let entries = self.entries.iter().enumerate();
        let (position, oldest) = entries.min_by_key(|(_, entry)| entry.call)?;
        (oldest.call < self.call).then_some(position)
    }

    /// All entries.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut ArgumentEntry> {
        self.entries.iter_mut().map(Box::as_mut)
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &ExtractedField> {
        self.entries.iter().map(|entry| &entry.extracted)
    }
}
