//! One pass over a bucket: lists it once, and downloads what is selected in the listing's order.
#![forbid(unsafe_code)]

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{ListedObject, Selection, list};
use crate::aws::ObjectId;
use crate::error::{Error, ErrorKind};
use crate::log::{Escaped, Severity};
use crate::object::Object;
use crate::pipeline::{ObjectSender, OutputSlot};
use crate::source::fetch::{Account, Fetched, Fetcher};

/// Listed pages that wait for their downloads.
const PAGES_AHEAD: usize = 4;

/// Feeds what is selected below `prefix`. Runs on a thread of its own until all downloads have begun or the source is
/// closed; the requests run on `runtime`.
pub fn sweep(
    runtime: &Handle,
    fetcher: &Fetcher,
    mut feed: ObjectSender,
    bucket: &str,
    prefix: &str,
    selection: Selection,
) {
    let (send, mut pages) = mpsc::channel(PAGES_AHEAD);
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
                    && let Some(place) = feed.reserve()
                {
                    place.fail(error);
                    return feed.finish();
                }
                // What else is listed is read all the same.
                continue;
            }
        };
        for found in page {
            found_any = true;
            let Some(place) = feed.reserve() else {
                return;
            };
            runtime.spawn(download(fetcher.clone(), place, bucket.to_owned(), found));
        }
    }
    if runtime.block_on(listing).is_err() {
        // A listing that panicked: the feed reports it.
        return;
    }
    if !found_any && !feed.closed() {
        fetcher.log.line(
            Severity::Warning,
            format_args!(
                "s3://{}/{}: no log file is selected there; check the prefix, s3Interval and s3AccountList",
                Escaped(bucket),
                Escaped(prefix)
            ),
        );
    }
    feed.finish();
}

/// Downloads one object into its place in the order.
async fn download(fetcher: Fetcher, place: OutputSlot, bucket: String, found: ListedObject) {
    let object = ObjectId {
        bucket,
        key: found.key,
        version: None,
    };
    let account = Account {
        budget: place.stored_budget(),
        job: place.job(),
        size: Some(found.size),
    };
    let fetched = fetcher.fetch(&object, account, |_| {}).await;
    let url = object.url();
    match fetched {
        Fetched::Content(content) => {
            // The source may have been closed in the meantime.
            let _ = place.submit(vec![Object {
                name: url,
                content,
                ack: None,
            }]);
        }
        Fetched::Closed => place.skip(),
        Fetched::GivenUp(failed) if fetcher.fail_on_error => {
            place.fail(Error::new(
                ErrorKind::Read,
                format!("{url}: {}", failed.error),
            ));
        }
        Fetched::GivenUp(failed) => {
            fetcher.log.lost(&url, &failed.error.to_string(), "skipped");
            place.skip();
        }
    }
}
