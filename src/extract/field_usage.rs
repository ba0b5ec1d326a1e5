//! Field usage: which fields the host extracts from most events. Their values are then precomputed.
//!
//! Rules use the same fields of every event, and the host extracts them on its one thread. [`UsageCounter`](super::usage_counter::UsageCounter)
//! counts there; [`FieldUsage`] is the result, which decode threads read for each new batch.
//!
//! A field without an argument has the number of its row in [`FIELDS`]. A field with an argument gets one of the
//! [`MAX_ARGUMENTS`] numbers behind these when it is first found hot, and keeps it, since batches that were made
//! earlier refer to it. A rule set has far fewer of them; further ones are extracted on demand.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::batch::hot_fields::{HotFields, MAX_FIELDS};
use crate::fields::{Arg, CompiledArgument, FIELDS, Field, FieldExtractor};

/// Most fields with an argument that can be hot, over the life of the plugin.
pub(super) const MAX_ARGUMENTS: usize = 64;

/// Number of all numbers.
pub(super) const NUMBERS: usize = FIELDS.len() + MAX_ARGUMENTS;

const _: () = assert!(NUMBERS <= MAX_FIELDS);

/// The current hot fields, shared by extraction and the decode threads.
#[derive(Debug)]
pub struct FieldUsage {
    hot: Mutex<Arc<HotFields>>,
    /// Fields with an argument that were hot, each with its argument.
    arguments: Box<[OnceLock<(usize, CompiledArgument)>]>,
}

impl Default for FieldUsage {
    fn default() -> Self {
        FieldUsage::with(|_| false)
    }
}

impl FieldUsage {
    /// A usage in which the fields without an argument that `is_hot` selects by number are hot from the start.
    pub fn with(is_hot: impl Fn(usize) -> bool) -> Self {
        let hot = select(|number| number < FIELDS.len() && is_hot(number));
        FieldUsage {
            hot: Mutex::new(Arc::new(hot)),
            arguments: (0..MAX_ARGUMENTS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The current hot fields.
    pub fn hot(&self) -> Arc<HotFields> {
        Arc::clone(&self.hot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, hot: Arc<HotFields>) {
        *self.hot.lock().unwrap_or_else(PoisonError::into_inner) = hot;
    }

    /// The field with an argument that has this number: its extractor and its argument.
    #[inline]
    pub(super) fn argument(&self, number: usize) -> Option<(FieldExtractor, &CompiledArgument)> {
        let place = number.checked_sub(FIELDS.len())?;
        let (field, argument) = self.arguments.get(place)?.get()?;
        Some((FIELDS.get(*field)?.extractor, argument))
    }

    /// The number of a field with this argument, if it has one.
    pub(super) fn number(&self, field: usize, argument: &CompiledArgument) -> Option<usize> {
        let place = self.arguments.iter().position(|place| {
            let assigned = place.get();
            assigned.is_some_and(|(other, its)| *other == field && its == argument)
        })?;
        Some(FIELDS.len() + place)
    }

    /// The number of a field with this argument. `None` if it has none and all are taken.
    pub(super) fn assign_number(&self, field: usize, argument: &CompiledArgument) -> Option<usize> {
        self.number(field, argument).or_else(|| {
            let mut places = self.arguments.iter();
            let place = places.position(|place| place.set((field, argument.clone())).is_ok())?;
            Some(FIELDS.len() + place)
        })
    }
}

/// The fields that `is_hot` selects by number, without those whose value depends on an argument that is missing, and
/// those that read policies: the memory for that belongs to the event of an extractor.
pub(super) fn select(is_hot: impl Fn(usize) -> bool) -> HotFields {
    let has_value = |number: &usize| {
        let field = FIELDS.get(*number);
        field.is_none_or(is_precomputable)
    };
    (0..NUMBERS)
        .filter(has_value)
        .filter(|&number| is_hot(number))
        .collect()
}

fn is_precomputable(field: &Field) -> bool {
    field.arg != Arg::RequiredKey && !matches!(field.extractor, FieldExtractor::Policy(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_but_policies_and_those_that_require_an_argument_can_be_hot() {
        let usage = FieldUsage::with(|_| true);
        let all = usage.hot();
        let expected = FIELDS.iter().enumerate();
        let expected = expected.filter(|(_, field)| is_precomputable(field));
        assert!(all.iter().eq(expected.map(|(number, _)| number)));
        assert!(
            all.iter()
                .map(|field| all.column(field))
                .eq((0..all.len()).map(Some))
        );
    }
}
