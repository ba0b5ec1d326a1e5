//! Keeps panics inside: one record must not end the host.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind};

/// The value of `call`, or of `otherwise` if it panics. The panic's message has gone to the
/// standard error by then, with the place in the source.
pub(super) fn guarded<T>(otherwise: T, call: impl FnOnce() -> T) -> T {
    // What a call leaves behind is replaced as a whole at its next start, or is a counter.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(otherwise)
}

/// The value of `call`, or an error that names the `function` if it panics.
pub(super) fn contained<T>(
    function: &str,
    call: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let call = || {
        #[cfg(test)]
        tests::fail_on_purpose(function);
        call()
    };
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let why = message(&*panic);
        let line = format!("{function} failed by an internal fault: {why}");
        Err(Error::new(ErrorKind::Internal, line))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message")
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// The function whose next call panics.
        pub(in super::super) static FAILS: Cell<&'static str> = const { Cell::new("") };
    }

    pub(super) fn fail_on_purpose(function: &str) {
        if FAILS.get() == function {
            FAILS.set("");
            panic!("on purpose");
        }
    }

    #[test]
    fn a_panic_becomes_the_other_value() {
        assert_eq!(guarded(1, || panic!("on purpose")), 1);
        assert_eq!(guarded(1, || 2), 2);
    }

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = contained::<()>("plugin_x", || panic!("of {}", 1)).expect_err("a panic");
        assert_eq!(
            error.to_string(),
            "plugin_x failed by an internal fault: of 1"
        );
        assert_eq!(contained("plugin_x", || Ok(2)), Ok(2));
    }
}
