//! Tokio runtime of a source in AWS, with bounded shutdown.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::sync::{RwLock, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::thread_start_error;
use crate::source::sqs::Closer;

/// Worker threads. They only wait for the network; decoding has its own threads. With two, each download would wake
/// both, one after the other.
const NETWORK_THREADS: usize = 1;

/// Blocking threads that the runtime starts on demand, for DNS lookups.
const BLOCKING_THREADS: usize = 1;

/// Time limit for pending deletions, and then for blocked threads, when a source is closed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(400);

/// Runtime of a source in AWS, and the handle that closes its queue.
pub(crate) struct Network {
    pub(crate) runtime: NetworkRuntime,
    pub(crate) closer: Option<Closer>,
}

impl Network {
    /// Ends all requests. Those that acknowledge messages get up to [`SHUTDOWN_TIMEOUT`] to complete.
    pub(crate) fn close(self) {
        if let Some(closer) = self.closer {
            let (done, is_done) = mpsc::channel();
            self.runtime.spawn(async move {
                closer.close().await;
                let _ = done.send(());
            });
            // Timed on this thread: the runtime's timer stops while all of its threads are blocked. Messages that are not
            // deleted in time are received again.
            let _ = is_done.recv_timeout(SHUTDOWN_TIMEOUT);
        }
    }
}

/// A runtime that shuts down with a timeout on drop: Tokio's own drop waits for DNS lookups, which can take half a minute.
pub(crate) struct NetworkRuntime {
    /// Taken on drop.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl NetworkRuntime {
    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Resources`] if threads or file descriptors are exhausted.
    pub(crate) fn start() -> Result<NetworkRuntime> {
        // Tokio panics or hangs if only some of its threads can be started.
        check_threads(NETWORK_THREADS + BLOCKING_THREADS)
            .map_err(|error| Error::new(ErrorKind::Resources, thread_start_error(&error)))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(NETWORK_THREADS)
            .thread_name("ct-network")
            .enable_all()
            .build()
            .map_err(|error| {
                let line = format!(
                    "the network runtime cannot start: {error}; raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)"
                );
                Error::new(ErrorKind::Resources, line)
            })?;
        Ok(NetworkRuntime {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Deref for NetworkRuntime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for NetworkRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        }
    }
}

/// Starts `count` threads at once and ends them, to find out whether the limits allow them.
fn check_threads(count: usize) -> io::Result<()> {
    let all_started = RwLock::new(());
    thread::scope(|scope| {
        // Every thread waits for this, also after an error.
        let _starting = all_started.write();
        for _ in 0..count {
            let thread = thread::Builder::new().name("ct-probe".to_owned());
            thread.spawn_scoped(scope, || drop(all_started.read()))?;
        }
        Ok(())
    })
}
