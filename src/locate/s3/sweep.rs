//! One look at a bucket: lists it once, and has all that is selected fetched in the listing's order.
#![forbid(unsafe_code)]

use tokio::sync::mpsc;

use super::{Selection, list};
use crate::fetch::{Fetcher, Wanted};
use crate::log::Severity;
use crate::pipeline::Feed;

/// Pages of listed objects that wait for their downloads.
const PAGES_AHEAD: usize = 4;

/// Feeds what is selected below `prefix`. Runs on a feeder's thread until all is fetched or the
/// source is closed.
pub fn sweep(fetcher: &Fetcher, mut feed: Feed, bucket: &str, prefix: &str, selection: Selection) {
    let (send, mut pages) = mpsc::channel(PAGES_AHEAD);
    let (clients, list_bucket, list_prefix) = (
        fetcher.clients.clone(),
        bucket.to_owned(),
        prefix.to_owned(),
    );
    fetcher.runtime.spawn(async move {
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
                    && let Some(place) = feed.place()
                {
                    place.fail(error);
                    return;
                }
                // What else is listed is read all the same.
                continue;
            }
        };
        for found in page {
            found_any = true;
            let wanted = Wanted {
                bucket: bucket.to_owned(),
                key: found.key,
                size: Some(found.size),
                ticket: None,
            };
            let Some(place) = feed.place() else {
                return;
            };
            if !fetcher.fetch(&feed, place, wanted) {
                return;
            }
        }
    }
    if !found_any && !feed.closed() {
        fetcher.log.line(
            Severity::Warning,
            format_args!("s3://{bucket}/{prefix}: no log file is selected there; check the prefix, s3Interval and s3AccountList"),
        );
    }
}
