//! How CloudTrail lays out the keys of a bucket:
//! `[<prefix>/][<organization>/]AWSLogs/[<organization>/]<account>/CloudTrail/<region>/YYYY/MM/DD/<name>`.
//! Text only, no requests.
#![forbid(unsafe_code)]

use super::Selection;
use crate::object_key::is_account;
use crate::timestamp;

/// A part of a bucket that is still to be listed: all keys that start with `prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// A folder, or with the beginning of a name behind it as a person may leave it.
    pub(super) prefix: String,
    pub(super) kind: Kind,
}

/// What the folder of a [`Node`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything; perhaps `AWSLogs`.
    Front,
    /// Accounts, and organizations if it is `AWSLogs` itself.
    Logs { organizations: bool },
    /// The folders of the services that write logs of one account.
    Account,
    /// Regions.
    Service,
    /// Keys to be listed one and all.
    Keys {
        /// Only keys behind this one.
        after: Option<String>,
        /// Only keys before this one.
        until: Option<String>,
        /// The region's folder, below which there are years, months and days.
        region: Option<String>,
    },
}

impl Node {
    pub(super) fn new(prefix: impl Into<String>, kind: Kind) -> Node {
        Node {
            prefix: prefix.into(),
            kind,
        }
    }

    /// All keys that start with `prefix`, nothing being known of them.
    pub(super) fn plain(prefix: impl Into<String>) -> Node {
        Node::new(
            prefix,
            Kind::Keys {
                after: None,
                until: None,
                region: None,
            },
        )
    }

    /// The keys of a region's folder, or of one in it.
    pub(super) fn dated(prefix: impl Into<String>, region: &str) -> Node {
        Node::new(
            prefix,
            Kind::Keys {
                after: None,
                until: None,
                region: Some(region.to_owned()),
            },
        )
    }

    /// The folder part of the prefix, with its slash, and the beginning of a name behind it.
    pub(super) fn split(&self) -> (&str, &str) {
        split(&self.prefix)
    }

    /// What is known of `child`, a folder right below this one; `None` where nothing in it is wanted.
    pub(super) fn child(&self, child: &str) -> Option<Node> {
        let (folder, _) = self.split();
        let name = child.strip_prefix(folder)?.strip_suffix('/')?;
        Some(match self.kind {
            Kind::Front if name == LOGS => Node::new(
                child,
                Kind::Logs {
                    organizations: true,
                },
            ),
            Kind::Front if is_organization(name) => Node::new(child, Kind::Front),
            Kind::Logs { .. } if is_account(name) => Node::new(child, Kind::Account),
            Kind::Logs {
                organizations: true,
            } if is_organization(name) => Node::new(
                child,
                Kind::Logs {
                    organizations: false,
                },
            ),
            // The Hive-like layout, `aws-account-id=<account>/aws-service=<service>`, is never CloudTrail's.
            Kind::Logs { .. } if name.starts_with("aws-account-id=") => return None,
            Kind::Service => Node::dated(child, child),
            _ => Node::plain(child),
        })
    }
}

const LOGS: &str = "AWSLogs";

/// The folders of one account that have CloudTrail's logs, in the order of their keys.
const SERVICES: [(&str, bool); 2] = [("CloudTrail-Insight", true), ("CloudTrail", false)];

/// What is known of the keys below the prefix that a person gave, with or without a slash at its end.
pub(super) fn root(prefix: &str) -> Node {
    let (folder, _) = split(prefix);
    match parts(folder) {
        None => Node::new(prefix, Kind::Front),
        Some(Parts {
            account: None,
            organization,
            ..
        }) => {
            let organizations = organization.is_none();
            Node::new(prefix, Kind::Logs { organizations })
        }
        Some(Parts { service: None, .. }) => Node::new(prefix, Kind::Account),
        Some(Parts {
            service: Some(service),
            ..
        }) if !SERVICES.iter().any(|(name, _)| *name == service) => Node::plain(prefix),
        Some(Parts { region: None, .. }) => Node::new(prefix, Kind::Service),
        Some(Parts {
            region: Some(region),
            ..
        }) => Node::dated(prefix, region),
    }
}

/// The accounts' folders, where the accounts are given: no listing is needed to know them.
pub(super) fn listed_accounts(node: &Node, selection: &Selection) -> Vec<Node> {
    let (folder, partial) = node.split();
    let mut accounts: Vec<&String> = selection.accounts.iter().collect();
    accounts.sort_unstable();
    accounts.dedup();
    let wanted = accounts
        .into_iter()
        .filter(|account| account.starts_with(partial));
    wanted
        .map(|account| Node::new(format!("{folder}{account}/"), Kind::Account))
        .collect()
}

/// The prefix of organizations' folders in `AWSLogs`; `None` where the node's excludes them.
pub(super) fn organizations_prefix(node: &Node) -> Option<String> {
    let (folder, partial) = node.split();
    match node.kind {
        Kind::Logs {
            organizations: true,
        } if ORGANIZATION.starts_with(partial) => Some(format!("{folder}{ORGANIZATION}")),
        Kind::Logs {
            organizations: true,
        } if partial.starts_with(ORGANIZATION) => Some(node.prefix.clone()),
        _ => None,
    }
}

/// The folders of an account in which there are logs that are asked for.
pub(super) fn services(node: &Node, selection: &Selection) -> Vec<Node> {
    let (folder, partial) = node.split();
    let account = folder
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if !selection.takes_account(account) {
        return Vec::new();
    }
    let wanted = SERVICES.iter().filter(|(name, insights)| {
        (selection.insights || !insights) && format!("{name}/").starts_with(partial)
    });
    wanted
        .map(|(name, _)| Node::new(format!("{folder}{name}/"), Kind::Service))
        .collect()
}

/// Cuts the keys of a folder into what is known below it and the stretches in between. `below` is
/// all that is right below, folders and keys; `None` where nothing of it is known.
pub(super) fn cut(node: &Node, mut below: Vec<String>) -> Option<Vec<Node>> {
    below.sort_unstable();
    let mut nodes = Vec::new();
    let mut after = None;
    let mut unknown = false;
    let stretch = |after: &Option<String>, until| {
        let kind = Kind::Keys {
            after: after.clone(),
            until,
            region: None,
        };
        Node::new(&node.prefix, kind)
    };
    let mut known = false;
    for name in below {
        match node
            .child(&name)
            .filter(|child| !matches!(child.kind, Kind::Keys { .. }))
        {
            Some(child) => {
                known = true;
                if std::mem::take(&mut unknown) {
                    nodes.push(stretch(&after, Some(name.clone())));
                }
                // The first text behind all that start with the folder, as `0` is the character behind the slash.
                after = Some(format!("{}0", name.trim_end_matches('/')));
                nodes.push(child);
            }
            None => unknown = true,
        }
    }
    if unknown {
        nodes.push(stretch(&after, None));
    }
    known.then_some(nodes)
}

/// The account whose logs `key` belongs to, by its folder or else by its name.
pub(super) fn account(key: &str) -> Option<&str> {
    let (folder, name) = split(key);
    let of_folder = parts(folder).and_then(|parts| parts.account);
    of_folder.or_else(|| name.split('_').next().filter(|part| is_account(part)))
}

/// Whether `key` lies in a folder that CloudTrail shares with other services.
pub(super) fn in_logs(key: &str) -> bool {
    let (folder, _) = split(key);
    folder.split('/').any(|part| part == LOGS)
}

/// Where a listing of a region's folder begins: behind all days before the first one.
pub(super) fn start_after(region: &str, selection: &Selection) -> Option<String> {
    let start = selection.interval.start()?;
    Some(format!("{region}{}", day(start - MIDNIGHT)))
}

/// Where the days behind the last one begin, and where no day can be any more.
pub(super) fn days_behind(region: &str, selection: &Selection) -> Option<(String, String)> {
    let end = selection.interval.end()?;
    // The characters behind `/` and behind `9`.
    Some((
        format!("{region}{}0", day(end.saturating_add(MIDNIGHT))),
        format!("{region}:"),
    ))
}

/// A log that is written around midnight may bear another day in its name than its folder does.
const MIDNIGHT: i64 = 60 * 60;

fn day(seconds: i64) -> String {
    let (year, month, day) = timestamp::civil_date(seconds);
    format!("{year:04}/{month:02}/{day:02}")
}

/// What the folders of a key say, from `AWSLogs` on.
struct Parts<'a> {
    organization: Option<&'a str>,
    account: Option<&'a str>,
    service: Option<&'a str>,
    /// The whole folder of the region, from the beginning of the key to its slash.
    region: Option<&'a str>,
}

/// Reads `folder`, which ends in a slash; `None` where it is not in CloudTrail's layout. Of several
/// places where that may begin, the innermost counts.
fn parts(folder: &str) -> Option<Parts<'_>> {
    let mut begin = folder.len();
    while let Some(at) = folder[..begin].rfind(LOGS) {
        let own_part = at == 0 || folder[..at].ends_with('/');
        let below = folder[at + LOGS.len()..].strip_prefix('/');
        if let Some(parts) = below
            .filter(|_| own_part)
            .and_then(|below| parts_below(folder, below))
        {
            return Some(parts);
        }
        begin = at;
    }
    None
}

fn parts_below<'a>(folder: &'a str, below: &'a str) -> Option<Parts<'a>> {
    let mut rest = below;
    let mut next = || {
        let (part, behind) = rest.split_once('/')?;
        rest = behind;
        Some(part)
    };
    let mut parts = Parts {
        organization: None,
        account: None,
        service: None,
        region: None,
    };
    let mut part = next();
    parts.organization = part.filter(|part| is_organization(part));
    if parts.organization.is_some() {
        part = next();
    }
    let Some(account) = part else {
        return Some(parts);
    };
    parts.account = Some(account).filter(|account| is_account(account));
    parts.account?;
    parts.service = next();
    if parts.service.is_some() && next().is_some() {
        parts.region = Some(&folder[..folder.len() - rest.len()]);
    }
    Some(parts)
}

const ORGANIZATION: &str = "o-";

fn is_organization(name: &str) -> bool {
    name.strip_prefix(ORGANIZATION).is_some_and(|id| {
        !id.is_empty()
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn split(prefix: &str) -> (&str, &str) {
    prefix.split_at(prefix.rfind('/').map_or(0, |slash| slash + 1))
}

#[cfg(test)]
mod tests;
