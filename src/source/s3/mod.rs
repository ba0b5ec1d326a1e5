//! Which objects of a bucket are to be read. Knows how CloudTrail lays out its keys, so that of a
//! large bucket only the folders and days that are asked for are listed; reads no object.
#![forbid(unsafe_code)]

mod layout;
mod list;
mod page;
mod sweep;
mod walk;

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use self::list::Lister;
pub use self::sweep::sweep;
use self::walk::Walk;
use crate::aws::Clients;
use crate::config::interval::Interval;
use crate::error::Result;
use crate::object_key;

/// An object that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its bytes as they are stored.
    pub size: u64,
}

/// Which logs are asked for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// When they were written, by their names.
    pub interval: Interval,
    /// Accounts that they are about, as 12 digits; none means all.
    pub accounts: Vec<String>,
    /// Whether Insights logs are asked for too.
    pub insights: bool,
    /// How many listings may run at once.
    pub concurrency: usize,
}

impl Selection {
    /// Whether the object at `key` is asked for. A key that does not tell its time is; so is one outside of
    /// CloudTrail's own folders that does not tell its account.
    pub fn takes(&self, key: &str) -> bool {
        object_key::is_log(key, self.insights)
            && object_key::time(key).is_none_or(|time| self.interval.contains(time))
            && match layout::account(key) {
                Some(account) => self.takes_account(account),
                None => self.accounts.is_empty() || !layout::in_logs(key),
            }
    }

    fn takes_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|listed| listed == account)
    }
}

/// Sends all objects below `prefix` that `selection` takes, in the order of their keys, page by page as
/// soon as a page is there; no page is empty. Ends when all is sent, or when nobody listens any more.
///
/// Folders are listed at the same time, as many as `selection` allows, but so far ahead only that a few
/// pages of each wait. A folder that still cannot be listed after retries gives an error in its
/// place, which names it and the service's code; the others follow. Pages are validated before use.
///
/// With accounts in `selection`, of `AWSLogs` their own folders are listed and no others.
pub async fn list(
    clients: &Clients,
    bucket: &str,
    prefix: &str,
    selection: &Selection,
    pages: Sender<Result<Vec<ListedObject>>>,
) {
    let lister = Lister {
        clients: clients.clone(),
        bucket: bucket.to_owned(),
        selection: selection.clone(),
    };
    let mut walk = Walk::new(Arc::new(lister), layout::root(prefix));
    while let Some(page) = walk.next().await {
        if pages.send(page).await.is_err() {
            return;
        }
    }
}
