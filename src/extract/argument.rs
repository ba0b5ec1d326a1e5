//! Fields with an argument, such as `ct.value[/userIdentity/arn]`: a cache of compiled arguments and their values.
#![forbid(unsafe_code)]

use super::value::ExtractedField;
use crate::fields::{FIELDS, FieldExtractor, Pointer};

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

/// An argument of one field, compiled.
#[derive(Debug)]
pub(super) enum CompiledArgument {
    Index(u64),
    /// A key, and the pointer that it stands for; `None` if it is not a valid pointer.
    Key(Box<str>, Option<Pointer>),
}

/// A field with an argument, and its values.
#[derive(Debug)]
pub(super) struct ArgumentEntry {
    field: usize,
    pub(super) argument: CompiledArgument,
    pub(super) extracted: ExtractedField,
    /// The last call that used it.
    call: u64,
}

/// Fields with an argument, with least-recently-used replacement.
#[derive(Debug, Default)]
pub(super) struct ArgumentCache {
    // Boxed, since values must not move when the vector grows.
    #[allow(clippy::vec_box)]
    entries: Vec<Box<ArgumentEntry>>,
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
        self.overflowed = false;
        true
    }

    /// The entry of this field with this argument, added if it is new. `None` if the field takes no such argument.
    pub(super) fn entry(
        &mut self,
        field: usize,
        argument: Argument<'_>,
    ) -> Option<&mut ArgumentEntry> {
        let position = match self.position(field, argument) {
            Some(position) => position,
            None => self.insert(field, argument)?,
        };
        let entry = self.entries.get_mut(position)?;
        entry.call = self.call;
        Some(entry)
    }

    fn position(&self, field: usize, argument: Argument<'_>) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.field == field
                && match (&entry.argument, argument) {
                    (CompiledArgument::Index(a), Argument::Index(b)) => *a == b,
                    (CompiledArgument::Key(a, _), Argument::Key(b)) => **a == *b,
                    _ => false,
                }
        })
    }

    fn insert(&mut self, field: usize, argument: Argument<'_>) -> Option<usize> {
        let argument = match (FIELDS.get(field)?.extractor, argument) {
            (FieldExtractor::ImageIds, Argument::Index(index)) => CompiledArgument::Index(index),
            (FieldExtractor::Pointer, Argument::Key(key)) => {
                CompiledArgument::Key(key.into(), Pointer::compile(key).ok())
            }
            _ => return None,
        };
        let entry = Box::new(ArgumentEntry {
            field,
            argument,
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

    #[cfg(test)]
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &ExtractedField> {
        self.entries.iter().map(|entry| &entry.extracted)
    }
}
