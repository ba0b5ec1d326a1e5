//! Lists and downloads the log files of a bucket. Knows CloudTrail's key layout, so that only the prefixes and days of a
//! [`Selection`] are listed.
#![forbid(unsafe_code)]

mod follow;
mod layout;
mod lister;
mod page;
mod prefix;
mod sweep;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

pub(crate) use self::follow::state::{StateBinding, StateFile, is_used_by_state};
pub(crate) use self::follow::{Follow, follow};
use self::lister::Lister;
use self::prefix::PrefixLister;
pub use self::sweep::sweep;
use crate::aws::Clients;
use crate::config::interval::Interval;
use crate::error::Result;
use crate::object_key;

/// An object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Stored size in bytes.
    pub size: u64,
    /// `LastModified` in seconds since the epoch; 0 if the server omits it.
    pub modified: i64,
}

/// The log files to read.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Interval for the time in the file name.
    pub interval: Interval,
    /// Account IDs of 12 digits; empty selects all accounts.
    pub accounts: Vec<String>,
    /// Selects Insights logs too.
    pub insights: bool,
    /// Maximum number of concurrent listings.
    pub concurrency: usize,
}

impl Selection {
    /// Whether the object at `key` is selected. A key without a time is.
    pub fn selects(&self, key: &str) -> bool {
        object_key::is_log(key, self.insights)
            && object_key::time(key).is_none_or(|time| self.interval.contains(time))
            && is_of_account(&self.accounts, key)
    }
}

/// Whether the logs at `key` are of one of these accounts, or of any if there are none. A key without an account is
/// selected only outside of `AWSLogs`.
pub(crate) fn is_of_account(accounts: &[String], key: &str) -> bool {
    accounts.is_empty()
        || match layout::account(key) {
            Some(account) => accounts.iter().any(|listed| listed == account),
            None => !layout::is_in_logs(key),
        }
}

/// Sends all selected objects below `prefix` in key order, one non-empty page at a time. Returns at the end of the
/// listing, or when `pages` is closed.
///
/// Up to `selection.concurrency` prefixes are listed concurrently; each buffers a few pages at most. A prefix that
/// cannot be listed after retries yields an error in its position of the order, which names the prefix and the
/// service's code; the listing continues after it. Pages are validated before use.
///
/// With accounts in `selection`, no prefix of another account is listed below `AWSLogs`.
pub async fn list(
    clients: &Clients,
    bucket: &str,
    prefix: &str,
    selection: &Selection,
    pages: Sender<Result<Vec<ListedObject>>>,
) {
    let prefix_lister = PrefixLister {
        clients: clients.clone(),
        bucket: bucket.to_owned(),
        selection: selection.clone(),
        discovery: None,
    };
    let mut lister = Lister::new(Arc::new(prefix_lister), [layout::classify(prefix)]);
    while let Some(page) = lister.next().await {
        if pages.send(page).await.is_err() {
            return;
        }
    }
}
