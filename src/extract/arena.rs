//! Texts that stay where they are until the next event.

use std::ffi::c_char;

use bumpalo::Bump;

/// Texts that may gather before the arena is to be emptied between two events of one batch.
pub(super) const ARENA_BYTES: usize = 8 << 20;

/// Holds the texts that answers point to.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bump: Bump,
    /// Bytes of all texts that it holds.
    pub(super) used: usize,
}

impl Arena {
    /// A copy of `text` with a NUL behind it, valid until the arena is emptied. `text` gets the
    /// NUL as well.
    pub(super) fn text(&mut self, text: &mut Vec<u8>) -> *const c_char {
        text.push(0);
        self.terminated(text)
    }

    /// A copy of `text` whose last byte is a NUL instead, valid until the arena is emptied.
    #[inline]
    pub(super) fn terminated(&mut self, text: &[u8]) -> *const c_char {
        let copy = self.bump.alloc_slice_copy(text);
        if let Some(last) = copy.last_mut() {
            *last = 0;
        }
        self.used += copy.len();
        copy.as_ptr().cast()
    }

    pub(super) fn empty(&mut self) {
        // What one huge value needed is given back.
        match self.bump.allocated_bytes() > 2 * ARENA_BYTES {
            true => self.bump = Bump::new(),
            false => self.bump.reset(),
        }
        self.used = 0;
    }
}
