//! From open parameters to a running pipeline.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;

use super::network::{Network, NetworkRuntime};
use super::state::PluginState;
use crate::aws::{Clients, RetryPolicy};
use crate::config::OnError;
use crate::decode::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{Fetcher, Sizes};
use crate::interval::Interval;
use crate::locate::Location;
use crate::locate::file::Files;
use crate::locate::s3::{self, Selection};
use crate::locate::sqs::Queue;
use crate::log::{Printable, Severity};
use crate::pipeline::{Feed, Pipeline, Settings};
use crate::quote::without_secrets;

/// How long a queue may take to answer when it is opened. Later requests wait at it for messages,
/// and so may take longer.
const OPENING: Duration = Duration::from_secs(10);

/// A running source.
pub(super) struct Opened {
    pub(super) pipeline: Pipeline,
    pub(super) network: Option<Network>,
    /// Files and stored bytes that there are to read, where that is known.
    pub(super) total: Option<(u64, u64)>,
}

/// Opens what `params` point at.
pub(super) fn open(state: &PluginState, params: &str) -> Result<Opened> {
    state.log.set_lost_log(&state.config.lost_log)?;
    let location = Location::parse(params)?;
    if let Some(warning) = state.config.without_effect(location.source()) {
        state.log.line(Severity::Warning, warning);
    }
    match location {
        Location::Path(path) => open_path(state, &path),
        Location::S3 { bucket, prefix } => open_s3(state, &bucket, &prefix),
        Location::Sqs(queue) => open_sqs(state, &queue),
    }
}

fn open_path(state: &PluginState, path: &Path) -> Result<Opened> {
    let config = &state.config;
    let files = Files::at(path, config.include_insights, &state.log)?;
    let threads = config.decode_threads();
    let settings = settings(state, 2 * threads + 2);
    let total = (files.len() as u64, files.bytes());
    state.log.line(
        Severity::Info,
        format_args!(
            "reading {}: {} files, {} bytes, on {threads} decode threads",
            path.display(),
            total.0,
            total.1,
        ),
    );
    Ok(Opened {
        pipeline: start(state, settings, move |feed| files.feed(feed))?,
        network: None,
        total: Some(total),
    })
}

fn open_s3(state: &PluginState, bucket: &str, prefix: &str) -> Result<Opened> {
    let config = &state.config;
    let mut selection = Selection {
        interval: Interval::parse(&config.s3_interval, now())?,
        accounts: config
            .s3_accounts()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        insights: config.include_insights,
        concurrency: config.s3_download_concurrency as usize,
    };
    let runtime = NetworkRuntime::start()?;
    let clients = runtime.block_on(async {
        let clients = connect(state, RetryPolicy::Sweep(config.s3_retry_for())).await?;
        clients.check_prefix(bucket, prefix).await?;
        Ok(clients)
    })?;
    let concurrency = clients.downloads();
    selection.concurrency = concurrency;
    let settings = settings(state, concurrency + 2 * config.decode_threads());
    let place = clients.place_of(bucket);
    let line = format!(
        "reading s3://{bucket}/{prefix} in {place}: {concurrency} downloads at a time, {} decode threads",
        settings.threads
    );
    state.log.line(Severity::Info, Printable(line));
    let fetcher = fetcher(state, clients);
    let handle = runtime.handle().clone();
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    let pipeline = start(state, settings, move |feed| {
        s3::sweep(&handle, &fetcher, feed, &bucket, &prefix, selection);
    })?;
    Ok(Opened {
        pipeline,
        network: Some(Network {
            runtime,
            closer: None,
        }),
        total: None,
    })
}

fn open_sqs(state: &PluginState, name: &str) -> Result<Opened> {
    let config = &state.config;
    let runtime = NetworkRuntime::start()?;
    let (clients, queue) = runtime.block_on(async {
        let clients = connect(state, RetryPolicy::Queue).await?;
        let (metrics, log) = (Arc::clone(&state.metrics), Arc::clone(&state.log));
        let opening = Queue::open(clients.clone(), name, config, metrics, log);
        let queue = match tokio::time::timeout(OPENING, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(no_answer(name, &clients)),
        };
        Ok((clients, queue))
    })?;
    let concurrency = clients.downloads();
    let settings = settings(state, concurrency + 2 * config.decode_threads());
    let line = format!(
        "following {} in {}: {concurrency} downloads at a time, {} decode threads",
        queue.shown(),
        clients.place(),
        settings.threads
    );
    let fetcher = fetcher(state, clients);
    let (closer, feed) = runtime.block_on(queue.follow(fetcher))?;
    state.log.line(Severity::Info, Printable(line));
    Ok(Opened {
        pipeline: start(state, settings, feed)?,
        network: Some(Network {
            runtime,
            closer: Some(closer),
        }),
        total: None,
    })
}

fn start(
    state: &PluginState,
    settings: Settings,
    feed: impl FnOnce(Feed) + Send + 'static,
) -> Result<Pipeline> {
    let (metrics, log) = (Arc::clone(&state.metrics), Arc::clone(&state.log));
    Pipeline::start(settings, metrics, log, Arc::clone(&state.demand), feed)
}

fn no_answer(queue: &str, clients: &Clients) -> Error {
    let seconds = OPENING.as_secs();
    let (queue, place) = (without_secrets(queue), clients.place());
    let line = format!(
        "queue {queue} does not answer within {seconds} s in {place}; check the network, the proxy, the region and aws.endpoint"
    );
    Error::new(ErrorKind::OpenParams, line)
}

async fn connect(state: &PluginState, policy: RetryPolicy) -> Result<Clients> {
    let (metrics, log) = (Arc::clone(&state.metrics), Arc::clone(&state.log));
    Clients::connect(&state.config, policy, metrics, log).await
}

fn settings(state: &PluginState, jobs: usize) -> Settings {
    let config = &state.config;
    Settings {
        threads: config.decode_threads(),
        jobs,
        max_buffered_bytes: config.max_buffered_bytes,
        fail_on_error: config.s3_on_error == OnError::Fail,
        limits: Limits {
            max_object_bytes: config.max_object_bytes,
            insights: config.include_insights,
        },
    }
}

fn fetcher(state: &PluginState, clients: Clients) -> Fetcher {
    let config = &state.config;
    Fetcher {
        downloads: Arc::new(Semaphore::new(clients.downloads())),
        clients,
        sizes: Sizes::default(),
        max_object_bytes: config.max_object_bytes,
        fail_on_error: config.s3_on_error == OnError::Fail,
        metrics: Arc::clone(&state.metrics),
        log: Arc::clone(&state.log),
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
