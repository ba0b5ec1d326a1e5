//! Turns Ctrl-C and SIGTERM into a flag, so that reading stops between two batches and the sources are closed.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// How long the program may take to end by itself. Closing a source takes up to a second.
const GRACE: Duration = Duration::from_secs(2);

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The signal that came; 0 before that.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// Installs handlers for SIGINT and SIGTERM: the first signal sets the flag, a second one ends the process at once.
///
/// A thread ends the process if the first signal does not: while nothing reads standard output, a write to it blocks.
/// Messages of a queue that were not delivered are then visible again when their visibility timeout expires.
pub fn install() -> io::Result<()> {
    let (mut woken, wake) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // Actions run in the order of their registration: this one must see the flag of an earlier signal only.
        flag::register_conditional_default(signal, Arc::clone(&REQUESTED))?;
        flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize)?;
        flag::register(signal, Arc::clone(&REQUESTED))?;
        low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    let end = move || {
        if woken.read_exact(&mut [0]).is_ok() {
            thread::sleep(GRACE);
            // Without handlers of the C library, which could wait for the write too.
            low_level::exit(i32::from(status()));
        }
    };
    thread::Builder::new()
        .name("ctcat-signal".to_owned())
        .spawn(end)?;
    Ok(())
}

/// Whether a signal requested the end of the program.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Exit code of a program that a signal ended, as shells have it.
pub fn status() -> u8 {
    let signal = SIGNAL.load(Ordering::Relaxed);
    128 + u8::try_from(signal).unwrap_or_default()
}
