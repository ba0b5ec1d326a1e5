//! Lists one part of a bucket: what is right below a folder, or all keys of it.
#![forbid(unsafe_code)]

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use tokio::sync::mpsc::Sender;

use super::layout::{self, Kind, Node};
use super::{Found, Selection};
use crate::aws::{AwsError, Clients, ErrorCause, Tries, describe};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Printable;

/// What all parts of one listing share.
pub(super) struct Lister {
    pub(super) clients: Clients,
    pub(super) bucket: String,
    pub(super) selection: Selection,
}

/// What listing a part has led to, in the order of keys.
pub(super) enum Step {
    /// Objects, at least one; or why there are none.
    Page(Result<Vec<Found>>),
    /// Parts that come before all that this part still leads to.
    Parts(Vec<Part>),
    /// This was all.
    End,
}

/// What is right below a folder.
pub(super) enum Part {
    Node(Node),
    Found(Found),
}

/// Nobody wants to know any more.
pub(super) struct Unwanted;

impl Lister {
    /// Lists `node` and tells each step.
    pub(super) async fn run(
        &self,
        node: Node,
        steps: &Sender<Step>,
    ) -> std::result::Result<(), Unwanted> {
        match &node.kind {
            Kind::Front => self.front(&node, steps).await?,
            Kind::Logs { .. } if !self.selection.accounts.is_empty() => {
                let accounts = layout::listed_accounts(&node, &self.selection);
                tell(steps, parts(accounts)).await?;
                if let Some(prefix) = layout::organizations_prefix(&node) {
                    let only = |child: &Node| matches!(child.kind, Kind::Logs { .. });
                    self.below(&node, &prefix, only, steps).await?;
                }
            }
            Kind::Account => {
                tell(steps, parts(layout::services(&node, &self.selection))).await?;
            }
            Kind::Logs { .. } | Kind::Service => {
                self.below(&node, &node.prefix, |_| true, steps).await?;
            }
            Kind::Keys {
                after,
                until,
                region,
            } => {
                let stretch = Stretch {
                    prefix: &node.prefix,
                    after: after.as_deref(),
                    until: until.as_deref(),
                    region: region.as_deref(),
                };
                self.keys(stretch, steps).await?;
            }
        }
        tell(steps, Step::End).await
    }

    /// Looks once whether there is something known in a folder; if not, its keys are listed as they are.
    async fn front(&self, node: &Node, steps: &Sender<Step>) -> std::result::Result<(), Unwanted> {
        let query = Query {
            prefix: &node.prefix,
            folders: true,
            ..Query::default()
        };
        let cut = match self.page(&query).await {
            // So much is right below that it is no folder of folders.
            Ok(page) if page.is_truncated() == Some(true) => None,
            Ok(page) => {
                let folders = folders(&page).map(str::to_owned);
                let keys = page
                    .contents()
                    .iter()
                    .filter_map(|object| object.key.clone());
                layout::cut(node, folders.chain(keys).collect())
            }
            Err(error) => return tell(steps, Step::Page(Err(error))).await,
        };
        let nodes = cut.unwrap_or_else(|| vec![Node::plain(&node.prefix)]);
        tell(steps, parts(nodes)).await
    }

    /// The folders and objects right below a folder that start with `prefix`, of the folders those that are `wanted`.
    async fn below(
        &self,
        node: &Node,
        prefix: &str,
        wanted: impl Fn(&Node) -> bool,
        steps: &Sender<Step>,
    ) -> std::result::Result<(), Unwanted> {
        let mut query = Query {
            prefix,
            folders: true,
            ..Query::default()
        };
        loop {
            let page = match self.page(&query).await {
                Ok(page) => page,
                Err(error) => return tell(steps, Step::Page(Err(error))).await,
            };
            let folders = folders(&page)
                .filter_map(|folder| node.child(folder))
                .filter(&wanted);
            let mut below: Vec<Part> = folders.map(Part::Node).collect();
            below.extend(self.taken(&page, None).map(Part::Found));
            below.sort_by(|a, b| a.key().cmp(b.key()));
            if !below.is_empty() {
                tell(steps, Step::Parts(below)).await?;
            }
            match following(page) {
                Some(token) => query.token = Some(token),
                None => return Ok(()),
            }
        }
    }

    /// All keys of a stretch.
    async fn keys(
        &self,
        stretch: Stretch<'_>,
        steps: &Sender<Step>,
    ) -> std::result::Result<(), Unwanted> {
        let first = stretch
            .region
            .and_then(|region| layout::start_after(region, &self.selection));
        let behind = stretch
            .region
            .and_then(|region| layout::days_behind(region, &self.selection));
        let mut query = Query {
            prefix: stretch.prefix,
            after: first.or_else(|| stretch.after.map(str::to_owned)),
            ..Query::default()
        };
        loop {
            let page = match self.page(&query).await {
                Ok(page) => page,
                Err(error) => return tell(steps, Step::Page(Err(error))).await,
            };
            let found: Vec<Found> = self.taken(&page, stretch.until).collect();
            if !found.is_empty() {
                tell(steps, Step::Page(Ok(found))).await?;
            }
            let last = page.contents().last().and_then(|object| object.key());
            if stretch
                .until
                .zip(last)
                .is_some_and(|(until, last)| last >= until)
            {
                return Ok(());
            }
            let over = match (&behind, last) {
                (Some((days, end)), Some(last)) if last >= days.as_str() && last < end.as_str() => {
                    Some(end)
                }
                _ => None,
            };
            match (over, following(page)) {
                (_, None) => return Ok(()),
                // Behind the days there is nothing that starts with more than the region's folder.
                (Some(end), _) if !end.starts_with(stretch.prefix) => return Ok(()),
                (Some(end), _) => {
                    query.after = Some(end.clone());
                    query.token = None;
                }
                (None, token) => query.token = token,
            }
        }
    }

    fn taken<'a>(
        &self,
        page: &'a ListObjectsV2Output,
        until: Option<&'a str>,
    ) -> impl Iterator<Item = Found> {
        page.contents().iter().filter_map(move |object| {
            let key = object
                .key()
                .filter(|key| until.is_none_or(|until| *key < until))?;
            self.selection.takes(key).then(|| Found {
                key: key.to_owned(),
                size: object
                    .size()
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or(0),
            })
        })
    }

    async fn page(&self, query: &Query<'_>) -> Result<ListObjectsV2Output> {
        let ask = |client: Client| async move {
            let request = client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(query.prefix)
                .set_delimiter(query.folders.then(|| "/".to_owned()))
                .set_start_after(query.after.clone().filter(|_| query.token.is_none()))
                .set_continuation_token(query.token.clone());
            request.send().await.map_err(|error| describe(&error))
        };
        let answer = self
            .clients
            .on_bucket(&self.bucket, Tries::new(self.clients.policy()), ask)
            .await;
        answer.map_err(|failure| self.refused(query.prefix, &failure))
    }

    fn refused(&self, prefix: &str, failure: &AwsError) -> Error {
        let hint = match failure.cause {
            ErrorCause::AccessDenied => "; s3:ListBucket on the bucket has to be allowed",
            _ => "",
        };
        let place = self.clients.place_of(&self.bucket);
        let (bucket, prefix) = (Printable(&self.bucket), Printable(prefix));
        Error::new(
            ErrorKind::Read,
            format!("s3://{bucket}/{prefix} cannot be listed in {place}: {failure}{hint}"),
        )
    }
}

impl Part {
    fn key(&self) -> &str {
        match self {
            Part::Node(node) => &node.prefix,
            Part::Found(found) => &found.key,
        }
    }
}

/// One request.
#[derive(Default)]
struct Query<'a> {
    prefix: &'a str,
    /// Whether what lies deeper is told as one folder.
    folders: bool,
    after: Option<String>,
    token: Option<String>,
}

struct Stretch<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    until: Option<&'a str>,
    region: Option<&'a str>,
}

fn folders(page: &ListObjectsV2Output) -> impl Iterator<Item = &str> {
    page.common_prefixes()
        .iter()
        .filter_map(|folder| folder.prefix())
}

/// What asks for the next page.
fn following(page: ListObjectsV2Output) -> Option<String> {
    page.next_continuation_token
        .filter(|_| page.is_truncated == Some(true))
}

fn parts(nodes: Vec<Node>) -> Step {
    Step::Parts(nodes.into_iter().map(Part::Node).collect())
}

async fn tell(steps: &Sender<Step>, step: Step) -> std::result::Result<(), Unwanted> {
    steps.send(step).await.map_err(|_| Unwanted)
}
