//! The filter that decides which records never become events.
//!
//! A batch asks it and knows nothing about fields; the composition root passes an implementation to the pipeline.
#![forbid(unsafe_code)]

use std::fmt::{Debug, Display};
use std::sync::Arc;

use super::Record;
use crate::key_table::KeyTable;

/// Memory that the filter's texts may keep, in bytes.
const KEEP_BYTES: usize = 64 << 10;

/// Decides which records the host never gets. [`Display`] says in words which.
pub trait EventFilter: Debug + Display + Send + Sync {
    /// Whether the record is dropped. `keys` is the record's key table, `scratch` memory for computed texts.
    fn drops(&self, record: Record<'_>, keys: &mut KeyTable, scratch: &mut Vec<u8>) -> bool;
}

/// The filter of a batch, with its memory.
#[derive(Debug, Default)]
pub(super) struct BatchFilter {
    filter: Option<Arc<dyn EventFilter>>,
    scratch: Vec<u8>,
}

impl BatchFilter {
    pub(super) fn set(&mut self, filter: &Option<Arc<dyn EventFilter>>) {
        self.filter.clone_from(filter);
    }

    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.filter.is_some()
    }

    #[inline]
    pub(super) fn drops(&mut self, record: Record<'_>, keys: &mut KeyTable) -> bool {
        let Some(filter) = &self.filter else {
            return false;
        };
        let drops = filter.drops(record, keys, &mut self.scratch);
        if self.scratch.capacity() > KEEP_BYTES {
            self.scratch = Vec::new();
        }
        drops
    }
}
