//! One pass over a bucket: lists it once and downloads the selected objects in key order.
#![forbid(unsafe_code)]

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{ListedObject, Selection, list};
use crate::aws::ObjectId;
use crate::error::{Error, ErrorKind};
use crate::log::{Escaped, Severity};
use crate::object::Object;
use crate::object::ack::{AckHandle, Failure};
use crate::pipeline::{ObjectSender, OutputSlot};
use crate::source::fetch::{Account, Fetched, Fetcher, Waits};
use crate::source::retry_report::RetryReport;

/// Listed pages buffered for the downloads: enough to bridge a slow page, few enough to bound memory.
const BUFFERED_PAGES: usize = 4;

/// Sends the selected objects below `prefix` to the pipeline. Blocks its thread until all downloads have started or the
/// source is closed; requests run on `runtime`.
pub fn sweep(
    runtime: &Handle,
    fetcher: &Fetcher,
    mut feed: ObjectSender,
    bucket: &str,
    prefix: &str,
    selection: Selection,
) {
    let (send, mut pages) = mpsc::channel(BUFFERED_PAGES);
    let (clients, list_bucket, list_prefix) = (
        fetcher.clients.clone(),
        bucket.to_owned(),
        prefix.to_owned(),
    );
    let listing = runtime.spawn(async move {
        list(&clients, &list_bucket, &list_prefix, &selection, send).await;
    });
    let mut found_any = false;
    while let Some(page) = pages.blocking_recv() {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                fetcher.metrics.errors_list.add(1);
                fetcher.log.line(Severity::Error, &error);
                if fetcher.fail_on_error
                    && let Some(slot) = feed.reserve()
                {
                    slot.fail(error);
                    return feed.finish();
                }
                // `s3OnError: skip`: the other prefixes are read.
                continue;
            }
        };
        for object in page {
            found_any = true;
            let Some(slot) = feed.reserve() else {
                return;
            };
            runtime.spawn(download(
                fetcher.clone(),
                slot,
                bucket.to_owned(),
                object,
                None,
            ));
        }
    }
    if runtime.block_on(listing).is_err() {
        // The listing task panicked. Dropping an unfinished sender reports an internal error to the host.
        return;
    }
    if !found_any && !feed.closed() {
        fetcher.log.line(
            Severity::Warning,
            format_args!(
                "s3://{}/{}: no log file matches; check the prefix, s3Interval and s3AccountList",
                Escaped(bucket),
                Escaped(prefix)
            ),
        );
    }
    feed.finish();
}

/// Downloads one object into its output slot. A lost object is named, and settled with that.
pub(super) async fn download(
    fetcher: Fetcher,
    slot: OutputSlot,
    bucket: String,
    listed: ListedObject,
    ack: Option<AckHandle>,
) {
    let object = ObjectId {
        bucket,
        key: listed.key,
        version: None,
    };
    let account = Account {
        budget: slot.stored_budget(),
        job: slot.job(),
        // A retry of an earlier run may not know it.
        size: Some(listed.size).filter(|size| *size > 0),
    };
    let mut report = RetryReport::new(&fetcher, &object, "retrying, the source waits for it");
    let waits = |waits: Waits<'_>| report.waits(&waits);
    let fetched = fetcher.fetch(&object, account, waits).await;
    let url = object.url();
    match fetched {
        Fetched::Content(content) => {
            // Fails only if the source was closed in the meantime.
            let _ = slot.submit(vec![Object {
                name: url,
                content,
                ack,
            }]);
        }
        Fetched::Closed => slot.skip(),
        Fetched::GivenUp(failed) if fetcher.fail_on_error => {
            slot.fail(Error::new(
                ErrorKind::Read,
                format!("{url}: {}", failed.error),
            ));
        }
        Fetched::GivenUp(failed) => {
            let cause = failed.error.to_string();
            fetcher.log.lost(&url, &cause, "skipped");
            if let Some(ack) = ack {
                ack.failed(Failure::Permanent(cause));
            }
            slot.skip();
        }
    }
}
