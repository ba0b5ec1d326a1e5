//! `s3Follow` and `s3State`: finds the prefixes with keys, lists them once or again and again, and remembers what was
//! read.
//!
//! | File | Content |
//! |---|---|
//! | `mod` | the loop: search for prefixes, listings that are due |
//! | `feed` | from listed objects to the pipeline |
//! | `download` | the same with `s3Follow`: by completion |
//! | `positions` | what was read; claims and acknowledgements |
//! | `dated`, `undated` | the same for prefixes whose keys sort by time, and for all others |
//! | `state` | the file |
#![forbid(unsafe_code)]

mod dated;
mod download;
mod feed;
mod positions;
pub(crate) mod state;
mod undated;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};

use self::feed::Listed;
pub(crate) use self::feed::{Follow, follow};
use self::positions::{KeyClass, MAX_PREFIXES, Positions, region_of};
use super::ListedObject;
use super::layout::{Level, Prefix};
use super::lister::Lister;
use super::prefix::{Discovery, PrefixLister};
use crate::error::Result;
use crate::log::{Escaped, Log, Severity};
use crate::object_key;
use crate::timestamp;

/// How far back from the newest file late ones are looked for, in seconds by the time in their names.
const LOOK_BACK: i64 = 2 * 3600;

/// Longest interval of the search for new accounts and regions, unless `s3Follow` is longer.
const DISCOVERY: Duration = Duration::from_secs(300);

/// Interval of that search, as a multiple of `s3Follow`.
const DISCOVERY_FACTOR: u32 = 5;

/// Time without a new file after which a prefix is listed less often: by one more interval for each such time.
const IDLE: Duration = Duration::from_secs(3600);

/// Longest interval of an idle prefix, as a multiple of `s3Follow`.
const IDLE_FACTOR: u32 = 10;

/// Longest interval at which released objects are claimed again.
const RELEASED_PAUSE: Duration = Duration::from_secs(10);

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyState {
    /// Claimed, and on its way to the host.
    Pending,
    /// The host has processed it, or it was reported as lost.
    Read,
    /// It was not read because too many waited for retries, because the source was closed or of an internal error: to be
    /// claimed again.
    Retry,
}

/// Finds and lists the prefixes of one source.
struct Follower {
    lister: Arc<PrefixLister>,
    root: Prefix,
    /// `s3Follow`; `None` lists everything once.
    interval: Option<Duration>,
    positions: Arc<Positions>,
    /// A permit for each object that may wait for retries; `None`: any number.
    retry_room: Option<Arc<Semaphore>>,
    pages: Sender<Listed>,
    log: Arc<Log>,
    dated: BTreeMap<String, FollowedPrefix>,
    undated: Vec<Prefix>,
    undated_schedule: Schedule,
    discovery_due: Instant,
    /// Requests of the last search for prefixes.
    discovery_requests: u64,
    /// Whether something was not listed once, because of an error or a limit.
    incomplete: bool,
}

struct FollowedPrefix {
    prefix: Prefix,
    schedule: Schedule,
}

/// When a prefix is listed.
struct Schedule {
    due: Instant,
    /// When a new file was found last. Those of the first listing count by the times of files.
    found: Option<Instant>,
    /// Time of the newest listed file, in seconds since the epoch; 0 if there is none.
    newest: i64,
    /// Whether it was listed before.
    was_listed: bool,
}

/// The feed is closed.
struct Closed;

impl Schedule {
    fn new() -> Schedule {
        Schedule {
            due: Instant::now(),
            found: None,
            newest: 0,
            was_listed: false,
        }
    }

    /// Records that a listing has files, of which this number is new, and the time of one of them.
    fn listed(&mut self, new: usize, time: i64) {
        self.newest = self.newest.max(time);
        if new > 0 && self.was_listed {
            self.found = Some(Instant::now());
        }
    }

    /// Plans the next listing after one that began at `began`. `newest` is the time of the newest file that was read, in
    /// seconds since the epoch.
    fn next(&mut self, began: Instant, interval: Duration, newest: i64) {
        self.was_listed = true;
        let age = timestamp::now().saturating_sub(newest.max(self.newest));
        let age = Duration::from_secs(age.max(0).unsigned_abs());
        let idle = self.found.map_or(age, |at| at.elapsed().min(age));
        let hours = u32::try_from(idle.as_secs() / IDLE.as_secs()).unwrap_or(IDLE_FACTOR);
        let factor = hours.saturating_add(1).min(IDLE_FACTOR);
        self.due = began + interval * factor;
    }
}

impl Follower {
    /// Runs until everything was listed once, or with `s3Follow` until the feed is closed.
    async fn run(mut self) {
        // An error means that the feed is closed, and needs nothing.
        let _ = self.list_all().await;
    }

    async fn list_all(&mut self) -> std::result::Result<(), Closed> {
        self.discover(true).await?;
        loop {
            let room = self.retry_room.as_ref();
            let room = room.map_or(usize::MAX, |room| room.available_permits());
            let released = self.positions.claim_released(room);
            if !released.is_empty() {
                self.send(Listed::Objects(released)).await?;
            }
            self.list_dated().await?;
            if self.undated_schedule.due <= Instant::now() {
                self.list_undated().await?;
            }
            let Some(interval) = self.interval else {
                let complete = !self.incomplete;
                return self.send(Listed::End { complete }).await;
            };
            let prefixes = self.dated.values().map(|prefix| prefix.schedule.due);
            let undated = Some(self.undated_schedule.due).filter(|_| !self.undated.is_empty());
            let due = prefixes.chain(undated).min();
            let mut due = due.unwrap_or(self.discovery_due).min(self.discovery_due);
            if self.positions.has_released() {
                due = due.min(Instant::now() + RELEASED_PAUSE);
            }
            sleep_until(due).await;
            if self.discovery_due <= Instant::now() {
                self.discover(false).await?;
                self.discovery_due = Instant::now() + discovery_interval(interval);
            }
        }
    }

    /// Finds the prefixes with keys.
    async fn discover(&mut self, first: bool) -> std::result::Result<(), Closed> {
        let found = PrefixLister {
            clients: self.lister.clients.clone(),
            bucket: self.lister.bucket.clone(),
            selection: self.lister.selection.clone(),
            discovery: Some(Discovery::default()),
        };
        let found = Arc::new(found);
        self.positions.begin_strays();
        let mut lister = Lister::new(Arc::clone(&found), [self.root.clone()]);
        let mut complete = true;
        while let Some(page) = lister.next().await {
            complete &= page.is_ok();
            self.deliver(KeyClass::Stray, page).await?;
        }
        if complete {
            self.positions.end_round(KeyClass::Stray);
        }
        self.incomplete |= !complete;
        let (prefixes, requests) = match &found.discovery {
            Some(discovery) => discovery.take(),
            None => Default::default(),
        };
        self.discovery_requests = requests;
        self.set_prefixes(prefixes, complete, first);
        Ok(())
    }

    fn set_prefixes(&mut self, found: Vec<Prefix>, complete: bool, first: bool) {
        let (mut dated, mut undated): (Vec<Prefix>, Vec<Prefix>) = found
            .into_iter()
            .partition(|prefix| region_of(prefix).is_some());
        dated.sort_by(|a, b| a.text.cmp(&b.text));
        if dated.len() > MAX_PREFIXES {
            let line = format!(
                "s3Follow: more than {MAX_PREFIXES} prefixes of accounts and regions; further ones are not read, use s3AccountList or a longer prefix"
            );
            self.log.once("prefixes", Severity::Error, line);
            self.incomplete = true;
            dated.truncate(MAX_PREFIXES);
        }
        undated.sort_by(|a, b| start_of(a).cmp(&start_of(b)));
        self.positions.set_prefixes(&dated, complete);
        let mut known = std::mem::take(&mut self.dated);
        let mut new = 0;
        for prefix in dated {
            let followed = known.remove(&prefix.text).unwrap_or_else(|| {
                new += 1;
                FollowedPrefix {
                    prefix: prefix.clone(),
                    schedule: Schedule::new(),
                }
            });
            self.dated.insert(prefix.text, followed);
        }
        if !complete {
            self.dated.append(&mut known);
        }
        if complete || self.undated.is_empty() {
            self.undated = undated;
        }
        if (first || new > 0)
            && let Some(interval) = self.interval
        {
            self.report(interval);
        }
    }

    /// Logs how many prefixes are followed, and at what cost.
    fn report(&self, interval: Duration) {
        let hour = |every: Duration| Duration::from_secs(3600).div_duration_f64(every);
        let discovery = self.discovery_requests as f64 * hour(discovery_interval(interval));
        let listings = self.dated.len() as f64 * hour(interval);
        let undated = self.undated.len() as f64 * hour(interval);
        let most = (discovery + listings + undated).ceil();
        let least = (discovery + (listings + undated) / f64::from(IDLE_FACTOR)).ceil();
        let whole = match self.undated.len() {
            0 => String::new(),
            count => format!("; {count} of other layouts, whose objects are all listed each time"),
        };
        let line = format!(
            "following s3://{}/{}: {} prefixes every {} s{whole}; at most {most} LIST requests an hour, {least} while no new files arrive, and one for each further 1000 objects of a listing",
            Escaped(&self.lister.bucket),
            Escaped(&self.root.text),
            self.dated.len(),
            interval.as_secs()
        );
        self.log.limited("followed prefixes", Severity::Info, line);
    }

    /// Lists all dated prefixes that are due, in key order.
    async fn list_dated(&mut self) -> std::result::Result<(), Closed> {
        let began = Instant::now();
        let due = self
            .dated
            .values()
            .filter(|prefix| prefix.schedule.due <= began);
        let due: Vec<Prefix> = due
            .map(|followed| self.at_position(&followed.prefix))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = due.iter().map(|prefix| prefix.text.clone()).collect();
        let mut lister = Lister::new(Arc::clone(&self.lister), due);
        while let Some(page) = lister.next().await {
            self.incomplete |= page.is_err();
            let last = page.as_ref().ok().and_then(|page| page.last());
            let last = last.map(|object| object.key.clone());
            let new = self.deliver(KeyClass::Dated, page).await?;
            // A page has keys of one prefix, the newest one last.
            if let Some(key) = last
                && let Some((text, followed)) = self.dated.range_mut(..=key.clone()).next_back()
                && key.starts_with(text.as_str())
            {
                let time = object_key::time(&key).unwrap_or_default();
                followed.schedule.listed(new, time);
            }
        }
        let interval = self.interval.unwrap_or_default();
        for text in texts {
            let newest = self.positions.newest(&text);
            if let Some(followed) = self.dated.get_mut(&text) {
                followed.schedule.next(began, interval, newest);
            }
        }
        Ok(())
    }

    /// The prefix, to be listed from its position on.
    fn at_position(&self, prefix: &Prefix) -> Prefix {
        let mut prefix = prefix.clone();
        if let Level::Keys(range) = &mut prefix.level {
            let start = self.positions.start_after(&prefix.text);
            range.after = range.after.take().max(start);
        }
        prefix
    }

    /// Lists all keys of other layouts. They form one round in key order, so an error ends it, and the next listing
    /// continues there.
    async fn list_undated(&mut self) -> std::result::Result<(), Closed> {
        let began = Instant::now();
        let interval = self.interval.unwrap_or_default();
        self.undated_schedule.due = began + interval;
        if self.undated.is_empty() {
            return Ok(());
        }
        let after = self.positions.begin_undated();
        for prefix in self.undated.clone() {
            let Some(prefix) = after_key(prefix, after.as_deref()) else {
                continue;
            };
            let mut lister = Lister::new(Arc::clone(&self.lister), [prefix]);
            while let Some(page) = lister.next().await {
                let failed = page.is_err();
                let times = page.iter().flatten().map(|object| object.modified);
                let newest = times.max().unwrap_or_default();
                let new = self.deliver(KeyClass::Undated, page).await?;
                self.undated_schedule.listed(new, newest);
                if failed {
                    self.incomplete = true;
                    return Ok(());
                }
            }
        }
        self.positions.end_round(KeyClass::Undated);
        let schedule = &mut self.undated_schedule;
        if schedule.newest == 0 {
            // The server omits `LastModified`.
            schedule.found.get_or_insert(began);
        }
        schedule.next(began, interval, 0);
        Ok(())
    }

    /// Sends what is new of a page, or its error; returns the number of new objects.
    async fn deliver(
        &self,
        class: KeyClass,
        page: Result<Vec<ListedObject>>,
    ) -> std::result::Result<usize, Closed> {
        let listed = match page {
            Ok(page) => match self.positions.claim(class, page) {
                claimed if claimed.is_empty() => return Ok(0),
                claimed => Listed::Objects(claimed),
            },
            Err(error) => Listed::Failed(error),
        };
        let count = match &listed {
            Listed::Objects(objects) => objects.len(),
            _ => 0,
        };
        self.send(listed).await?;
        Ok(count)
    }

    async fn send(&self, listed: Listed) -> std::result::Result<(), Closed> {
        self.pages.send(listed).await.map_err(|_| Closed)
    }
}

/// Interval of the search for new accounts and regions.
fn discovery_interval(interval: Duration) -> Duration {
    (interval * DISCOVERY_FACTOR).min(DISCOVERY).max(interval)
}

/// Where the keys of a prefix start.
fn start_of(prefix: &Prefix) -> Option<&str> {
    let after = match &prefix.level {
        Level::Keys(range) => range.after.as_deref(),
        _ => None,
    };
    after.max(Some(prefix.text.as_str()))
}

/// The part of a prefix after a key; `None` if nothing is left.
fn after_key(mut prefix: Prefix, key: Option<&str>) -> Option<Prefix> {
    let Some(key) = key else {
        return Some(prefix);
    };
    if key >= prefix.text.as_str() && !key.starts_with(prefix.text.as_str()) {
        return None;
    }
    if let Level::Keys(range) = &mut prefix.level {
        if range.before.as_deref().is_some_and(|before| before <= key) {
            return None;
        }
        if key.starts_with(prefix.text.as_str()) {
            range.after = range.after.take().max(Some(key.to_owned()));
        }
    }
    Some(prefix)
}
