//! Keeps panics inside: one record must not end the host.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The value of `call`, or of `otherwise` if it panics. The panic's message has gone to the
/// standard error by then, with the place in the source.
pub(super) fn guarded<T>(otherwise: T, call: impl FnOnce() -> T) -> T {
    // What a call leaves behind is replaced as a whole at its next start, or is a counter.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_other_value() {
        assert_eq!(guarded(1, || panic!("on purpose")), 1);
        assert_eq!(guarded(1, || 2), 2);
    }
}
