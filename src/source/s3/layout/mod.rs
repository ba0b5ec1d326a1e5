//! CloudTrail's key layout:
//! `[<prefix>/][<organization>/]AWSLogs/[<organization>/]<account>/<kind>/<region>/YYYY/MM/DD/<name>`, where the kind is
//! one of [`KINDS`]. Text only, no requests.
#![forbid(unsafe_code)]

use super::Selection;
use crate::object_key::is_account;
use crate::timestamp;

/// A key prefix to list, with its level in the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Ends in a slash, or in the start of a name as a user may write it.
    pub(super) text: String,
    pub(super) level: Level,
}

/// What the names directly below a [`Prefix`] are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Anything; perhaps `AWSLogs`.
    AboveLogs,
    /// Accounts, and organizations directly below `AWSLogs`.
    Accounts { organizations: bool },
    /// Kinds of logs of one account, and other services.
    Kinds,
    /// Regions.
    Regions,
    /// Keys, listed without a delimiter.
    Keys(KeyRange),
}

/// Bounds of a listing without a delimiter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// Exclusive lower bound.
    pub(super) after: Option<String>,
    /// Exclusive upper bound.
    pub(super) before: Option<String>,
    /// Prefix of the region, below which the names are years, months and days.
    pub(super) region: Option<String>,
}

impl Prefix {
    pub(super) fn new(text: impl Into<String>, level: Level) -> Prefix {
        Prefix {
            text: text.into(),
            level,
        }
    }

    /// All keys that start with `text`; their layout is unknown.
    pub(super) fn unknown(text: impl Into<String>) -> Prefix {
        Prefix::new(text, Level::Keys(KeyRange::default()))
    }

    /// Keys below the prefix `region`, which have their day in them.
    pub(super) fn dated(text: impl Into<String>, region: &str) -> Prefix {
        let range = KeyRange {
            region: Some(region.to_owned()),
            ..KeyRange::default()
        };
        Prefix::new(text, Level::Keys(range))
    }

    /// Splits at the last slash: the prefix up to it, and the start of a name after it.
    pub(super) fn split(&self) -> (&str, &str) {
        split(&self.text)
    }

    /// Classifies `child`, a common prefix directly below this one; `None` if it holds no CloudTrail logs.
    pub(super) fn child(&self, child: &str) -> Option<Prefix> {
        let (parent, _) = self.split();
        let name = child.strip_prefix(parent)?.strip_suffix('/')?;
        let level = match self.level {
            Level::AboveLogs if name == LOGS => Level::Accounts {
                organizations: true,
            },
            Level::AboveLogs if is_organization(name) => Level::AboveLogs,
            Level::Accounts { .. } if is_account(name) => Level::Kinds,
            Level::Accounts {
                organizations: true,
            } if is_organization(name) => Level::Accounts {
                organizations: false,
            },
            // The Hive-compatible layout, `aws-account-id=<account>/aws-service=<service>`, is never CloudTrail's.
            Level::Accounts { .. } if name.starts_with("aws-account-id=") => return None,
            Level::Kinds if is_kind(name) => Level::Regions,
            Level::Kinds => return None,
            Level::Regions => return Some(Prefix::dated(child, child)),
            _ => return Some(Prefix::unknown(child)),
        };
        Some(Prefix::new(child, level))
    }

    /// Classifies `child` as [`Prefix::child`] does; `None` too if it is not selected. Accounts that the selection names
    /// come from [`selected_accounts`].
    pub(super) fn selected_child(&self, child: &str, selection: &Selection) -> Option<Prefix> {
        let prefix = self.child(child)?;
        let is_selected = match prefix.level {
            Level::Kinds => selection.accounts.is_empty(),
            Level::Regions => selection.insights || !holds_insights(child),
            _ => true,
        };
        is_selected.then_some(prefix)
    }
}

const LOGS: &str = "AWSLogs";

/// CloudTrail's kinds of logs below an account, in key order, and whether each one holds Insights logs. Digests are no
/// logs.
const KINDS: [(&str, bool); 4] = [
    ("CloudTrail-Aggregated", false),
    ("CloudTrail-Insight", true),
    ("CloudTrail-NetworkActivity", false),
    ("CloudTrail", false),
];

fn is_kind(name: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == name)
}

/// Whether a prefix is the folder of Insights logs.
fn holds_insights(prefix: &str) -> bool {
    let name = last_name(prefix);
    KINDS
        .iter()
        .any(|(kind, insights)| *insights && *kind == name)
}

/// Classifies a prefix that a user configured, with or without a trailing slash.
pub(super) fn classify(prefix: &str) -> Prefix {
    let (parent, _) = split(prefix);
    let Some(path) = parse_path(parent) else {
        return Prefix::new(prefix, Level::AboveLogs);
    };
    if path.account.is_none() {
        let organizations = path.organization.is_none();
        return Prefix::new(prefix, Level::Accounts { organizations });
    }
    let Some(kind) = path.kind else {
        return Prefix::new(prefix, Level::Kinds);
    };
    if !is_kind(kind) {
        return Prefix::unknown(prefix);
    }
    match path.region {
        None => Prefix::new(prefix, Level::Regions),
        Some(region) => Prefix::dated(prefix, region),
    }
}

/// The accounts that the selection names, in key order: no listing is needed to know them.
pub(super) fn selected_accounts(prefix: &Prefix, selection: &Selection) -> Vec<Prefix> {
    if !matches!(prefix.level, Level::Accounts { .. }) {
        return Vec::new();
    }
    let (parent, partial) = prefix.split();
    let mut accounts: Vec<&String> = selection.accounts.iter().collect();
    accounts.sort_unstable();
    accounts.dedup();
    let accounts = accounts
        .into_iter()
        .filter(|account| account.starts_with(partial));
    accounts
        .map(|account| Prefix::new(format!("{parent}{account}/"), Level::Kinds))
        .collect()
}

/// Splits the keys below `prefix` into classified prefixes and the key ranges between them, in key order. `names` are
/// all common prefixes and keys directly below; `None` if none of them is classified.
pub(super) fn partition(prefix: &Prefix, mut names: Vec<String>) -> Option<Vec<Prefix>> {
    names.sort_unstable();
    let mut prefixes = Vec::new();
    let mut after = None;
    let mut unclassified = false;
    let mut found = false;
    let range = |after: &Option<String>, before| {
        let range = KeyRange {
            after: after.clone(),
            before,
            region: None,
        };
        Prefix::new(&prefix.text, Level::Keys(range))
    };
    for name in names {
        let child = prefix.child(&name);
        let Some(child) = child.filter(|child| !matches!(child.level, Level::Keys(_))) else {
            unclassified = true;
            continue;
        };
        found = true;
        if std::mem::take(&mut unclassified) {
            prefixes.push(range(&after, Some(name.clone())));
        }
        // The first text after all keys below the child: `0` is the character after the slash.
        after = Some(format!("{}0", name.trim_end_matches('/')));
        prefixes.push(child);
    }
    if unclassified {
        prefixes.push(range(&after, None));
    }
    found.then_some(prefixes)
}

/// The account of the logs at `key`, by its path or else by its file name.
pub(super) fn account(key: &str) -> Option<&str> {
    let (parent, name) = split(key);
    let in_path = parse_path(parent).and_then(|path| path.account);
    in_path.or_else(|| name.split('_').next().filter(|part| is_account(part)))
}

/// Whether `key` is below an `AWSLogs`, which CloudTrail shares with other services.
pub(super) fn is_in_logs(key: &str) -> bool {
    let (parent, _) = split(key);
    parent.split('/').any(|part| part == LOGS)
}

/// `StartAfter` for a region: skips all days before the interval.
pub(super) fn start_after(region: &str, selection: &Selection) -> Option<String> {
    let start = selection.interval.start()?;
    Some(format!("{region}{}", day(start - MIDNIGHT)))
}

/// `StartAfter` for the files of a region whose names have at least this time (seconds since the epoch, to the minute),
/// by the names that CloudTrail gives them.
pub(super) fn start_at(region: &str, time: i64) -> String {
    let path = parse_path(region).unwrap_or_default();
    let (account, kind) = (
        path.account.unwrap_or_default(),
        path.kind.unwrap_or_default(),
    );
    let name = last_name(region);
    // A file of the day's first hour may be in the folder of the day before.
    let folder = day(time - MIDNIGHT);
    let date = day(time).replace('/', "");
    let (hour, minute) = (
        time.div_euclid(3600).rem_euclid(24),
        time.div_euclid(60).rem_euclid(60),
    );
    format!("{region}{folder}/{account}_{kind}_{name}_{date}T{hour:02}{minute:02}")
}

/// The keys of a region that follow the interval: from the first of a later day up to the end of all days.
pub(super) fn days_after_end(region: &str, selection: &Selection) -> Option<(String, String)> {
    let end = selection.interval.end()?;
    // `0` is the character after `/`, and `:` the one after `9`.
    Some((
        format!("{region}{}0", day(end.saturating_add(MIDNIGHT))),
        format!("{region}:"),
    ))
}

/// Tolerance in seconds: the file name and the path of a log written around midnight may have different days.
const MIDNIGHT: i64 = 60 * 60;

fn day(seconds: i64) -> String {
    let (year, month, day) = timestamp::civil_date(seconds);
    format!("{year:04}/{month:02}/{day:02}")
}

/// The elements of a key's path, from `AWSLogs` on.
#[derive(Default)]
struct KeyPath<'a> {
    organization: Option<&'a str>,
    account: Option<&'a str>,
    /// Kind of log, or another service.
    kind: Option<&'a str>,
    /// The whole prefix of the region, from the start of the key to its slash.
    region: Option<&'a str>,
}

/// Parses `path`, which ends in a slash; `None` if it is not in CloudTrail's layout. The innermost match counts.
fn parse_path(path: &str) -> Option<KeyPath<'_>> {
    let mut end = path.len();
    while let Some(at) = path[..end].rfind(LOGS) {
        let starts_name = at == 0 || path[..at].ends_with('/');
        let below = path[at + LOGS.len()..].strip_prefix('/');
        let parsed = below
            .filter(|_| starts_name)
            .and_then(|below| parse_below_logs(path, below));
        if parsed.is_some() {
            return parsed;
        }
        end = at;
    }
    None
}

fn parse_below_logs<'a>(path: &'a str, below: &'a str) -> Option<KeyPath<'a>> {
    let mut rest = below;
    let mut next = || {
        let (name, after) = rest.split_once('/')?;
        rest = after;
        Some(name)
    };
    let mut parsed = KeyPath::default();
    let mut name = next();
    parsed.organization = name.filter(|name| is_organization(name));
    if parsed.organization.is_some() {
        name = next();
    }
    let Some(account) = name else {
        return Some(parsed);
    };
    parsed.account = Some(account).filter(|account| is_account(account));
    parsed.account?;
    parsed.kind = next();
    if parsed.kind.is_some() && next().is_some() {
        parsed.region = Some(&path[..path.len() - rest.len()]);
    }
    Some(parsed)
}

fn is_organization(name: &str) -> bool {
    name.strip_prefix("o-").is_some_and(|id| {
        !id.is_empty()
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// The name of a folder.
fn last_name(prefix: &str) -> &str {
    let names = prefix.trim_end_matches('/').rsplit('/').next();
    names.unwrap_or_default()
}

fn split(prefix: &str) -> (&str, &str) {
    prefix.split_at(prefix.rfind('/').map_or(0, |slash| slash + 1))
}

#[cfg(test)]
mod tests;
