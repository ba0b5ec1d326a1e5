//! Panic barrier of the exports: a panic must not unwind into the host.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind};

/// Returns the value of `call`, or `fallback` if it panics. The panic hook has printed the message to standard error then.
pub(super) fn guard<T>(fallback: T, call: impl FnOnce() -> T) -> T {
    // Unwind safe: the next call replaces what this one left incomplete; metrics are independent counters.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(fallback)
}

/// Returns the value of `call`, or an error that names the exported `function` if it panics.
pub(super) fn guard_result<T>(
    function: &str,
    call: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let call = || {
        #[cfg(test)]
        tests::fail_on_purpose(function);
        call()
    };
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = message(&*panic);
        let line = format!("{function} failed: internal error: {message}");
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
    fn a_panic_becomes_the_fallback() {
        assert_eq!(guard(1, || panic!("on purpose")), 1);
        assert_eq!(guard(1, || 2), 2);
    }

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guard_result::<()>("plugin_x", || panic!("of {}", 1)).expect_err("a panic");
        assert_eq!(error.to_string(), "plugin_x failed: internal error: of 1");
        assert_eq!(guard_result("plugin_x", || Ok(2)), Ok(2));
    }
}
