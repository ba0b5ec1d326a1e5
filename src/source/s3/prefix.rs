//! Lists one prefix of a bucket: the names directly below it, or all of its keys.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::layout::{self, KeyRange, Level, Prefix};
use super::page::{Page, PageValidator};
use super::{ListedObject, Selection, is_of_account};
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, Clients, ErrorCause, List, ListAnswer, Tries};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Escaped, Severity};

/// Requests for one page before its prefix fails, if all responses are invalid.
const PAGE_TRIES: u32 = 10;

/// First and longest pause between these requests.
const PAGE_PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// Lists prefixes of one bucket.
pub(super) struct PrefixLister {
    pub(super) clients: Clients,
    pub(super) bucket: String,
    pub(super) selection: Selection,
    /// Collects the prefixes that hold keys instead of listing them.
    pub(super) discovery: Option<Discovery>,
}

/// The prefixes of a bucket that hold keys, and what it took to find them.
#[derive(Default)]
pub(super) struct Discovery {
    prefixes: Mutex<Vec<Prefix>>,
    requests: AtomicU64,
}

impl Discovery {
    /// The prefixes found so far, and the number of requests for them.
    pub(super) fn take(&self) -> (Vec<Prefix>, u64) {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = std::mem::take(&mut *prefixes);
        (found, self.requests.load(Ordering::Relaxed))
    }

    fn add(&self, prefix: Prefix) {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        prefixes.push(prefix);
    }
}

/// Progress of a listing, in key order.
pub(super) enum ListEvent {
    /// Selected objects, at least one; or the error that ends the listing.
    Page(Result<Vec<ListedObject>>),
    /// Prefixes to list and objects, all before the keys of later events.
    Children(Vec<Child>),
    /// The listing is complete.
    End,
}

/// A name directly below a listed prefix.
pub(super) enum Child {
    Prefix(Prefix),
    Object(ListedObject),
}

/// The receiver of the events is gone.
pub(super) struct Cancelled;

type SendResult = std::result::Result<(), Cancelled>;

impl PrefixLister {
    /// Lists `prefix` and sends its events.
    pub(super) async fn list(&self, prefix: Prefix, events: &Sender<ListEvent>) -> SendResult {
        match &prefix.level {
            Level::AboveLogs => self.find_logs(&prefix, events).await?,
            Level::Kinds if !is_of_account(&self.selection.accounts, &prefix.text) => {}
            Level::Accounts { .. } | Level::Kinds | Level::Regions => {
                self.list_children(&prefix, events).await?;
            }
            Level::Keys(range) => match &self.discovery {
                Some(discovery) => discovery.add(prefix),
                None => self.list_keys(&prefix.text, range, events).await?,
            },
        }
        send(events, ListEvent::End).await
    }

    /// Looks for `AWSLogs` and organizations directly below a prefix; without them, lists all of its keys.
    async fn find_logs(&self, prefix: &Prefix, events: &Sender<ListEvent>) -> SendResult {
        let request = PageRequest {
            prefix: &prefix.text,
            delimited: true,
            ..PageRequest::default()
        };
        let mut validator = request.validator();
        let partitioned = match self.page(&request, &mut validator).await {
            // With more names than one page holds, the prefix is no parent of `AWSLogs`.
            Ok(page) if page.next_token.is_some() => None,
            Ok(page) => {
                let keys = page.objects.into_iter().map(|object| object.key);
                layout::partition(
                    prefix,
                    page.common_prefixes.into_iter().chain(keys).collect(),
                )
            }
            Err(failure) => return self.send_failure(&prefix.text, &failure, events).await,
        };
        let prefixes = partitioned.unwrap_or_else(|| vec![Prefix::unknown(&prefix.text)]);
        send(events, children(prefixes)).await
    }

    /// Lists the names directly below `parent`: objects and prefixes.
    async fn list_children(&self, parent: &Prefix, events: &Sender<ListEvent>) -> SendResult {
        let accounts = layout::selected_accounts(parent, &self.selection);
        let mut accounts = accounts.into_iter().peekable();
        let mut request = PageRequest {
            prefix: &parent.text,
            delimited: true,
            ..PageRequest::default()
        };
        let mut validator = request.validator();
        loop {
            let page = match self.page(&request, &mut validator).await {
                Ok(page) => page,
                Err(failure) => {
                    let named = accounts.peek().is_some();
                    send(events, children(accounts.collect())).await?;
                    if named && failure.is_denied() {
                        self.warn_of_denied_level(&parent.text, &failure);
                        return Ok(());
                    }
                    return self.send_failure(&parent.text, &failure, events).await;
                }
            };
            let prefixes = page
                .common_prefixes
                .iter()
                .filter_map(|child| parent.selected_child(child, &self.selection));
            let mut children: Vec<Child> = prefixes.map(Child::Prefix).collect();
            let last_object = page.objects.last().map(|object| object.key.clone());
            let last = last_object.as_ref().max(page.common_prefixes.last());
            // All of them after the last page.
            let is_listed = |account: &Prefix| {
                page.next_token.is_none() || last.is_some_and(|last| account.text <= *last)
            };
            while let Some(account) = accounts.next_if(is_listed) {
                children.push(Child::Prefix(account));
            }
            children.extend(self.selected(page.objects, None).map(Child::Object));
            children.sort_by(|a, b| a.key().cmp(b.key()));
            if !children.is_empty() {
                send(events, ListEvent::Children(children)).await?;
            }
            match page.next_token {
                Some(token) => request.token = Some(token),
                None => return Ok(()),
            }
        }
    }

    /// Lists all keys of a range.
    async fn list_keys(
        &self,
        prefix: &str,
        range: &KeyRange,
        events: &Sender<ListEvent>,
    ) -> SendResult {
        let region = range.region.as_deref();
        let first_day = region.and_then(|region| layout::start_after(region, &self.selection));
        let later_days = region.and_then(|region| layout::days_after_end(region, &self.selection));
        let before = range.before.as_deref();
        let mut request = PageRequest {
            prefix,
            after: first_day.max(range.after.clone()),
            ..PageRequest::default()
        };
        let mut validator = request.validator();
        loop {
            let page = match self.page(&request, &mut validator).await {
                Ok(page) => page,
                Err(failure) => return self.send_failure(prefix, &failure, events).await,
            };
            let last = page.objects.last().map(|object| object.key.clone());
            let last = last.as_deref();
            let selected: Vec<ListedObject> = self.selected(page.objects, before).collect();
            if !selected.is_empty() {
                send(events, ListEvent::Page(Ok(selected))).await?;
            }
            if before
                .zip(last)
                .is_some_and(|(before, last)| last >= before)
            {
                return Ok(());
            }
            let skip_to = match (&later_days, last) {
                (Some((first, end)), Some(last))
                    if last >= first.as_str() && last < end.as_str() =>
                {
                    Some(end)
                }
                _ => None,
            };
            match (skip_to, page.next_token) {
                (_, None) => return Ok(()),
                // A prefix that ends inside of the days has no keys after them.
                (Some(end), _) if !end.starts_with(prefix) => return Ok(()),
                (Some(end), _) => {
                    request.after = Some(end.clone());
                    request.token = None;
                }
                (None, token) => request.token = token,
            }
        }
    }

    fn selected<'a>(
        &'a self,
        objects: Vec<ListedObject>,
        before: Option<&'a str>,
    ) -> impl Iterator<Item = ListedObject> + 'a {
        objects.into_iter().filter(move |object| {
            before.is_none_or(|before| object.key.as_str() < before)
                && self.selection.selects(&object.key)
        })
    }

    /// Requests a page until `validator` accepts it.
    async fn page(
        &self,
        request: &PageRequest<'_>,
        validator: &mut PageValidator,
    ) -> std::result::Result<Page, AwsError> {
        let [first, longest] = PAGE_PAUSES;
        let mut pauses = Backoff::new(first, longest);
        let mut tries = 1;
        loop {
            if let Some(discovery) = &self.discovery {
                discovery.requests.fetch_add(1, Ordering::Relaxed);
            }
            let answer = self.send(request).await?;
            let problem = match validator.accept(answer, request.after.as_deref()) {
                Ok(page) => return Ok(page),
                Err(problem) => problem,
            };
            if tries == PAGE_TRIES {
                let problem = format!("{problem}, {tries} times; the rest of it is not read");
                return Err(AwsError::new(ErrorCause::Rejected, "InvalidPage", problem));
            }
            tries += 1;
            sleep(pauses.pause()).await;
        }
    }

    /// Sends a request with retries.
    async fn send(&self, page: &PageRequest<'_>) -> std::result::Result<ListAnswer, AwsError> {
        let list = List {
            bucket: &self.bucket,
            prefix: page.prefix,
            delimited: page.delimited,
            after: page.after.as_deref().filter(|_| page.token.is_none()),
            token: page.token.as_deref(),
        };
        let request = |client: Client| self.clients.list(client, list);
        let tries = Tries::new(self.clients.policy());
        self.clients.on_bucket(&self.bucket, tries, request).await
    }

    async fn send_failure(
        &self,
        prefix: &str,
        failure: &AwsError,
        events: &Sender<ListEvent>,
    ) -> SendResult {
        let error = self.list_error(prefix, failure);
        send(events, ListEvent::Page(Err(error))).await
    }

    /// A role may be limited to the folders of the selected accounts, which are read without this listing.
    fn warn_of_denied_level(&self, prefix: &str, failure: &AwsError) {
        let error = self.list_error(prefix, failure);
        self.clients.log().once(
            "denied levels",
            Severity::Warning,
            format_args!("{error}; the accounts of s3AccountList are read, log files beside their folders are not"),
        );
    }

    fn list_error(&self, prefix: &str, failure: &AwsError) -> Error {
        let hint = match failure.cause {
            ErrorCause::AccessDenied => "; allow s3:ListBucket on the bucket",
            _ => "",
        };
        let place = self.clients.place_of(&self.bucket);
        let (bucket, prefix) = (Escaped(&self.bucket), Escaped(prefix));
        Error::new(
            ErrorKind::Read,
            format!("s3://{bucket}/{prefix} cannot be listed in {place}: {failure}{hint}"),
        )
    }
}

impl Child {
    fn key(&self) -> &str {
        match self {
            Child::Prefix(prefix) => &prefix.text,
            Child::Object(object) => &object.key,
        }
    }
}

/// Parameters of a `ListObjectsV2` request.
#[derive(Default)]
struct PageRequest<'a> {
    prefix: &'a str,
    /// Groups keys with a further `/` into common prefixes.
    delimited: bool,
    /// `start-after`, without effect if there is a token.
    after: Option<String>,
    token: Option<String>,
}

impl PageRequest<'_> {
    /// Validator of a listing that starts with this request.
    fn validator(&self) -> PageValidator {
        PageValidator::new(self.prefix, self.delimited)
    }
}

fn children(prefixes: Vec<Prefix>) -> ListEvent {
    ListEvent::Children(prefixes.into_iter().map(Child::Prefix).collect())
}

async fn send(events: &Sender<ListEvent>, event: ListEvent) -> SendResult {
    events.send(event).await.map_err(|_| Cancelled)
}
