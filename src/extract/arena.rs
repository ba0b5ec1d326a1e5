//! Memory for the texts of one event.
#![forbid(unsafe_code)]

use std::ffi::c_char;

use bumpalo::Bump;

/// Texts that may accumulate over the events of one batch before the arena is reset, in bytes.
pub(super) const ARENA_BYTES: usize = 8 << 20;

/// Bump allocator for the texts that values point to. They stay at their addresses until [`Arena::reset`].
#[derive(Debug, Default)]
pub(super) struct Arena {
    bump: Bump,
    /// Bytes of all texts.
    used: usize,
}

impl Arena {
    /// Copies `text` and appends a NUL, to the copy and to `text`.
    pub(super) fn text(&mut self, text: &mut Vec<u8>) -> *const c_char {
        text.push(0);
        self.terminated(text)
    }

    /// Copies `text` with a NUL in place of its last byte.
    #[inline]
    pub(super) fn terminated(&mut self, text: &[u8]) -> *const c_char {
        let copy = self.bump.alloc_slice_copy(text);
        if let Some(last) = copy.last_mut() {
            *last = 0;
        }
        self.used += copy.len();
        copy.as_ptr().cast()
    }

    /// Whether enough texts have accumulated for a reset.
    pub(super) fn is_full(&self) -> bool {
        self.used > ARENA_BYTES
    }

    /// Drops all texts. Frees what one huge value needed.
    pub(super) fn reset(&mut self) {
        match self.bump.allocated_bytes() > 2 * ARENA_BYTES {
            true => self.bump = Bump::new(),
            false => self.bump.reset(),
        }
        self.used = 0;
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used
    }
}
