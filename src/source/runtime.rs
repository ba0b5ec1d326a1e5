//! The runtime of a source in AWS, which starts or fails at once and ends in bounded time.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::thread_start_error;
use crate::source::sqs::Closer;

/// Threads that wait for the network; they do no other work.
const NETWORK_THREADS: usize = 2;

/// Further threads that the runtime starts as it needs them, for names that are looked up.
const SPARE_THREADS: usize = 1;

/// How long closing waits for deletions and for what the network is busy with.
const GRACE: Duration = Duration::from_millis(400);

/// What a source in AWS runs on.
pub(crate) struct Network {
    pub(crate) runtime: NetworkRuntime,
    pub(crate) closer: Option<Closer>,
}

impl Network {
    /// Ends all requests, after a moment for those that acknowledge messages.
    pub(crate) fn close(self) {
        if let Some(closer) = self.closer {
            let (done, is_done) = mpsc::channel();
            self.runtime.spawn(async move {
                closer.close().await;
                let _ = done.send(());
            });
            // By a clock of this thread: the runtime's stands still while all of its threads are stuck. What is not deleted
            // in time comes again.
            let _ = is_done.recv_timeout(GRACE);
        }
    }
}

/// A runtime that is shut down with a timeout however it is dropped: its own drop waits for lookups of names, which can
/// take half a minute.
pub(crate) struct NetworkRuntime(Option<Runtime>);

impl NetworkRuntime {
    /// Starts the threads.
    pub(crate) fn start() -> Result<NetworkRuntime> {
        let refused = |error: &io::Error| Error::new(ErrorKind::Read, thread_start_error(error));
        // The runtime itself panics or hangs where it gets only some of its threads.
        can_start(NETWORK_THREADS + SPARE_THREADS).map_err(|error| refused(&error))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(NETWORK_THREADS)
            .thread_name("ct-network")
            .enable_all()
            .build()
            .map_err(|error| {
                let line = format!(
                    "the network cannot be used: {error}; raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)"
                );
                Error::new(ErrorKind::Read, line)
            })?;
        Ok(NetworkRuntime(Some(runtime)))
    }
}

impl Deref for NetworkRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for NetworkRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(GRACE);
        }
    }
}

/// Whether so many threads can run at once.
fn can_start(count: usize) -> io::Result<()> {
    let (hold, held) = crossbeam_channel::bounded::<()>(0);
    let started: io::Result<Vec<_>> = (0..count)
        .map(|_| {
            let held = held.clone();
            let thread = thread::Builder::new().name("ct-probe".to_owned());
            thread.spawn(move || {
                let _ = held.recv();
            })
        })
        .collect();
    // On an error those that did start have been let go of, and end by themselves.
    drop(hold);
    for thread in started? {
        let _ = thread.join();
    }
    Ok(())
}
