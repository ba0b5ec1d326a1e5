//! Composition root: opens the source that the open parameters name, and starts its pipeline.
#![forbid(unsafe_code)]

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::runtime::{Network, NetworkRuntime};
use crate::aws::{Clients, RetryPolicy};
use crate::batch::RecordHooks;
use crate::config::Config;
use crate::config::OnError;
use crate::config::interval::Interval;
use crate::decode::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::log::quote::quoted;
use crate::log::{Escaped, Severity};
use crate::metrics::Metrics;
use crate::pipeline::{DedupWindow, ObjectSender, Pipeline, Settings};
use crate::source::fetch::Fetcher;
use crate::source::local::{FollowedFolder, LocalFiles};
use crate::source::open_params::OpenParams;
use crate::source::s3::{self, Follow, Selection, StateBinding, StateFile};
use crate::source::size_estimate::SizeEstimate;
use crate::source::sqs::Queue;
use crate::timestamp;

/// Interval at which log lines are forwarded to the host while a source is being opened, which can take half a minute.
const FORWARD_INTERVAL: Duration = Duration::from_millis(100);

/// How long decode threads gather objects that arrive from S3 one by one: nothing beside the minutes until CloudTrail
/// writes a log file, and long enough for some at a time.
const GATHER: Duration = Duration::from_millis(10);

/// Writes a line to the host's log.
pub(crate) type WriteLine = Box<dyn Fn(Severity, &str)>;

/// State that all sources of one plugin instance share.
pub(crate) struct SourceContext {
    pub(crate) config: Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Arc<Log>,
    /// Filters records and computes field values on decode threads; injected, so that delivery does not know fields.
    pub(crate) hooks: RecordHooks,
    /// Only on the host's thread.
    pub(crate) host_log: WriteLine,
}

impl SourceContext {
    /// Sends the log lines that accumulated to the host. Only on the host's thread.
    pub(crate) fn forward_log(&self) {
        for (severity, line) in self.log.take() {
            (self.host_log)(severity, &line);
        }
    }
}

/// A running source.
pub(crate) struct Opened {
    pub(crate) pipeline: Pipeline,
    pub(crate) network: Option<Network>,
    /// Number and stored bytes of all files, if known.
    pub(crate) total: Option<(u64, u64)>,
}

/// Opens the source that `params` name.
pub(crate) fn open(context: &SourceContext, params: &str) -> Result<Opened> {
    context.log.set_lost_log(&context.config.lost_log)?;
    let params = OpenParams::parse(params)?;
    if let Some(warning) = context.config.ineffective_keys(params.source_kind()) {
        context.log.line(Severity::Warning, warning);
    }
    if let Some(filter) = &context.hooks.filter {
        let line = format!("dropEvents: Falco does not get events where {filter}");
        context.log.line(Severity::Info, Escaped(line));
    }
    match params {
        OpenParams::Path(path) => open_path(context, &path),
        OpenParams::S3 { bucket, prefix } => open_s3(context, &bucket, &prefix),
        OpenParams::Sqs(queue) => open_sqs(context, &queue),
    }
}

fn open_path(context: &SourceContext, path: &Path) -> Result<Opened> {
    let config = &context.config;
    if let Some(interval) = config.s3_follow() {
        if let Some(opened) = follow_folder(context, path, interval)? {
            return Ok(opened);
        }
        if path.is_file() {
            let line =
                "s3Follow has no effect for a single file; name its folder to read new files";
            context.log.line(Severity::Warning, line);
        }
    }
    let files = LocalFiles::at(path, config.include_insights, &context.log)?;
    let threads = config.decode_threads();
    let settings = settings(context, 2 * threads + 2, 0);
    let total = (files.len() as u64, files.bytes());
    context.log.line(
        Severity::Info,
        format_args!(
            "reading {}: {} files, {} bytes, {threads} decode threads",
            path.display(),
            total.0,
            total.1,
        ),
    );
    Ok(Opened {
        pipeline: start(context, settings, move |feed| files.feed(feed))?,
        network: None,
        total: Some(total),
    })
}

/// Follows the folder at `path`; `None` if that is no folder.
fn follow_folder(
    context: &SourceContext,
    path: &Path,
    interval: Duration,
) -> Result<Option<Opened>> {
    let config = &context.config;
    let folder = FollowedFolder::at(path, config.include_insights, interval, &context.log);
    let Some(folder) = folder else {
        return Ok(None);
    };
    let threads = config.decode_threads();
    context.log.line(
        Severity::Info,
        format_args!(
            "following {} every {} s, {threads} decode threads",
            Escaped(path.to_string_lossy()),
            interval.as_secs()
        ),
    );
    let settings = settings(context, 2 * threads + 2, 0);
    Ok(Some(Opened {
        pipeline: start(context, settings, move |feed| folder.feed(feed))?,
        network: None,
        total: None,
    }))
}

fn open_s3(context: &SourceContext, bucket: &str, prefix: &str) -> Result<Opened> {
    let config = &context.config;
    let mut selection = Selection {
        interval: Interval::parse(&config.s3_interval, timestamp::now())?,
        accounts: config
            .s3_accounts()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        insights: config.include_insights,
        concurrency: config.s3_download_concurrency as usize,
    };
    let state = open_state(config, bucket, prefix, &mut selection)?;
    let runtime = NetworkRuntime::start()?;
    let clients = runtime.block_on(forwarding(context, async {
        let clients = connect(context, RetryPolicy::Sweep(config.s3_retry_for())).await?;
        clients.check_prefix(bucket, prefix).await?;
        Ok(clients)
    }))?;
    let concurrency = clients.downloads();
    selection.concurrency = concurrency;
    let settings = settings(
        context,
        concurrency + concurrency / 2 + 2 * config.decode_threads(),
        concurrency,
    );
    let place = clients.place_of(bucket);
    let line = format!(
        "reading s3://{bucket}/{prefix} in {place}: {concurrency} concurrent downloads, {} decode threads",
        settings.threads
    );
    context.log.line(Severity::Info, Escaped(line));
    let fetcher = fetcher(context, clients);
    let handle = Handle::clone(&runtime);
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    let interval = config.s3_follow();
    let pipeline = match (interval, state) {
        (None, None) => start(context, settings, move |feed| {
            s3::sweep(&handle, &fetcher, feed, &bucket, &prefix, selection);
        })?,
        (interval, state) => {
            let follow = Follow {
                bucket,
                prefix,
                selection,
                interval,
                state,
            };
            start(context, settings, move |feed| {
                s3::follow(&handle, &fetcher, feed, follow);
            })?
        }
    };
    Ok(Opened {
        pipeline,
        network: Some(Network {
            runtime,
            closer: None,
        }),
        total: None,
    })
}

/// Opens the file of `s3State`, if there is one. A position that is resumed keeps the interval with which it began, as
/// one relative to the present moves on.
fn open_state(
    config: &Config,
    bucket: &str,
    prefix: &str,
    selection: &mut Selection,
) -> Result<Option<StateFile>> {
    if config.s3_state.is_empty() {
        return Ok(None);
    }
    if !config.lost_log.is_empty() && s3::is_used_by_state(&config.s3_state, &config.lost_log) {
        let line = format!(
            "s3State and lostLog lead to one file, {}; give each its own",
            quoted(&config.s3_state)
        );
        return Err(Error::new(ErrorKind::OpenParams, line));
    }
    let mut accounts = selection.accounts.clone();
    accounts.sort_unstable();
    let binding = StateBinding {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        accounts,
        interval: config.s3_interval.clone(),
    };
    let interval = (selection.interval.start(), selection.interval.end());
    let state = StateFile::open(&config.s3_state, binding, interval)?;
    let (start, end) = state.interval;
    selection.interval = Interval::of(start, end);
    Ok(Some(state))
}

fn open_sqs(context: &SourceContext, name: &str) -> Result<Opened> {
    let config = &context.config;
    let runtime = NetworkRuntime::start()?;
    let (clients, queue) = runtime.block_on(forwarding(context, async {
        let clients = connect(context, RetryPolicy::Queue).await?;
        let (metrics, log) = (Arc::clone(&context.metrics), Arc::clone(&context.log));
        let queue = Queue::open(clients.clone(), name, config, metrics, log).await?;
        Ok((clients, queue))
    }))?;
    let concurrency = clients.downloads();
    let settings = settings(
        context,
        concurrency + concurrency / 2 + 2 * config.decode_threads(),
        concurrency,
    );
    let line = format!(
        "reading {} in {}: {concurrency} concurrent downloads, {} decode threads",
        queue.shown(),
        clients.place(),
        settings.threads
    );
    let fetcher = fetcher(context, clients);
    let (closer, feed) = runtime.block_on(queue.follow(fetcher))?;
    context.log.line(Severity::Info, Escaped(line));
    Ok(Opened {
        pipeline: start(context, settings, feed)?,
        network: Some(Network {
            runtime,
            closer: Some(closer),
        }),
        total: None,
    })
}

fn start(
    context: &SourceContext,
    settings: Settings,
    feed: impl FnOnce(ObjectSender) + Send + 'static,
) -> Result<Pipeline> {
    let (metrics, log) = (Arc::clone(&context.metrics), Arc::clone(&context.log));
    let events = context.config.dedup_window as usize;
    if events == 0 {
        return Pipeline::start(settings, metrics, log, context.hooks.clone(), feed);
    }
    let window = DedupWindow::new(events)?;
    context.log.line(
        Severity::Info,
        format_args!(
            "dedupWindow: the last {events} events are remembered, so that Falco gets each once; this takes up to {} MB of memory",
            window.megabytes()
        ),
    );
    let hooks = RecordHooks {
        fingerprint_key: Some(window.key()),
        ..context.hooks.clone()
    };
    let mut pipeline = Pipeline::start(settings, metrics, log, hooks, feed)?;
    pipeline.deduplicate(window);
    Ok(pipeline)
}

/// Runs `work`, which opens a source, and forwards the log meanwhile. Only on the host's thread.
async fn forwarding<T>(context: &SourceContext, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            () = tokio::time::sleep(FORWARD_INTERVAL) => context.forward_log(),
        }
    }
}

async fn connect(context: &SourceContext, policy: RetryPolicy) -> Result<Clients> {
    let (metrics, log) = (Arc::clone(&context.metrics), Arc::clone(&context.log));
    Clients::connect(&context.config, policy, metrics, log).await
}

/// Settings for this many jobs in progress, of which as many as `downloads` are being downloaded.
fn settings(context: &SourceContext, jobs: usize, downloads: usize) -> Settings {
    let config = &context.config;
    Settings {
        threads: config.decode_threads(),
        jobs,
        jobs_gap: downloads / 2,
        gather: if downloads > 1 {
            GATHER
        } else {
            Duration::ZERO
        },
        gather_objects: downloads / 2,
        max_buffered_bytes: config.max_buffered_bytes,
        fail_on_error: config.s3_on_error == OnError::Fail,
        limits: Limits {
            max_object_bytes: config.max_object_bytes,
            insights: config.include_insights,
        },
    }
}

fn fetcher(context: &SourceContext, clients: Clients) -> Fetcher {
    let config = &context.config;
    Fetcher {
        downloads: Arc::new(Semaphore::new(clients.downloads())),
        unproven: Arc::new(Semaphore::new((clients.downloads() / 2).max(1))),
        clients,
        sizes: SizeEstimate::default(),
        max_object_bytes: config.max_object_bytes,
        fail_on_error: config.s3_on_error == OnError::Fail,
        metrics: Arc::clone(&context.metrics),
        log: Arc::clone(&context.log),
    }
}
