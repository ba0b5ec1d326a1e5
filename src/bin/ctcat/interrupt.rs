//! Turns Ctrl-C into a flag, so that reading stops between two batches and the sources are closed.
#![forbid(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Installs handlers for SIGINT and SIGTERM: the first signal sets the flag, a second one ends the process at once.
pub fn install() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Actions run in the order of their registration: this one must see the flag of an earlier signal only.
        flag::register_conditional_default(signal, Arc::clone(&REQUESTED))?;
        flag::register(signal, Arc::clone(&REQUESTED))?;
    }
    Ok(())
}

/// Whether a signal requested the end of the program.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
