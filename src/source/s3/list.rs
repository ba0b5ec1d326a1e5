//! Lists one part of a bucket: what is right below a folder, or all keys of it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::{RequestId, RequestIdExt};
use aws_sdk_s3::types::EncodingType;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::layout::{self, Kind, Node};
use super::page::{Listing, Page};
use super::{ListedObject, Selection};
use crate::aws::backoff::Backoff;
use crate::aws::{AwsError, Clients, ErrorCause, Tries, describe};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Escaped;

/// Requests for a page whose answers are unusable, after which its prefix is given up.
const PAGE_TRIES: u32 = 10;

/// First and longest pause between these requests.
const PAGE_PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// What all parts of one listing share.
pub(super) struct Lister {
    pub(super) clients: Clients,
    pub(super) bucket: String,
    pub(super) selection: Selection,
}

/// What listing a part has led to, in the order of keys.
pub(super) enum Step {
    /// Objects, at least one; or why there are none.
    Page(Result<Vec<ListedObject>>),
    /// Parts that come before all that this part still leads to.
    Parts(Vec<Part>),
    /// This was all.
    End,
}

/// What is right below a folder.
pub(super) enum Part {
    Node(Node),
    ListedObject(ListedObject),
}

/// Nobody wants to know any more.
pub(super) struct Cancelled;

impl Lister {
    /// Lists `node` and tells each step.
    pub(super) async fn run(
        &self,
        node: Node,
        steps: &Sender<Step>,
    ) -> std::result::Result<(), Cancelled> {
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
    async fn front(&self, node: &Node, steps: &Sender<Step>) -> std::result::Result<(), Cancelled> {
        let query = Query {
            prefix: &node.prefix,
            folders: true,
            ..Query::default()
        };
        let mut listing = query.listing();
        let cut = match self.page(&query, &mut listing).await {
            // So much is right below that it is no folder of folders.
            Ok(page) if page.next.is_some() => None,
            Ok(page) => {
                let keys = page.objects.into_iter().map(|object| object.key);
                layout::cut(node, page.folders.into_iter().chain(keys).collect())
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
    ) -> std::result::Result<(), Cancelled> {
        let mut query = Query {
            prefix,
            folders: true,
            ..Query::default()
        };
        let mut listing = query.listing();
        loop {
            let page = match self.page(&query, &mut listing).await {
                Ok(page) => page,
                Err(error) => return tell(steps, Step::Page(Err(error))).await,
            };
            let folders = page
                .folders
                .iter()
                .filter_map(|folder| node.child(folder))
                .filter(&wanted);
            let mut below: Vec<Part> = folders.map(Part::Node).collect();
            below.extend(self.taken(page.objects, None).map(Part::ListedObject));
            below.sort_by(|a, b| a.key().cmp(b.key()));
            if !below.is_empty() {
                tell(steps, Step::Parts(below)).await?;
            }
            match page.next {
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
    ) -> std::result::Result<(), Cancelled> {
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
        let mut listing = query.listing();
        loop {
            let page = match self.page(&query, &mut listing).await {
                Ok(page) => page,
                Err(error) => return tell(steps, Step::Page(Err(error))).await,
            };
            let last = page.objects.last().map(|object| object.key.clone());
            let last = last.as_deref();
            let found: Vec<ListedObject> = self.taken(page.objects, stretch.until).collect();
            if !found.is_empty() {
                tell(steps, Step::Page(Ok(found))).await?;
            }
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
            match (over, page.next) {
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
        &'a self,
        objects: Vec<ListedObject>,
        until: Option<&'a str>,
    ) -> impl Iterator<Item = ListedObject> + 'a {
        objects.into_iter().filter(move |object| {
            until.is_none_or(|until| object.key.as_str() < until)
                && self.selection.takes(&object.key)
        })
    }

    /// The page of a query, requested again if it is not one that `listing` can go on with.
    async fn page(&self, query: &Query<'_>, listing: &mut Listing) -> Result<Page> {
        let [first, longest] = PAGE_PAUSES;
        let mut pauses = Backoff::new(first, longest);
        let mut tries = 1;
        loop {
            let (answer, complete) = self.request(query).await?;
            let problem = match listing.accept(&answer, complete, query.after.as_deref()) {
                Ok(page) => return Ok(page),
                Err(problem) => problem,
            };
            if tries == PAGE_TRIES {
                let problem = format!("{problem}, {tries} times; what follows there is not read");
                let failure = AwsError::new(ErrorCause::Rejected, "InvalidPage", problem);
                return Err(self.refused(query.prefix, &failure));
            }
            tries += 1;
            sleep(pauses.pause()).await;
        }
    }

    /// The answer to a query, and whether its XML is complete.
    async fn request(&self, query: &Query<'_>) -> Result<(ListObjectsV2Output, bool)> {
        let ask = |client: Client| async move {
            let complete = Arc::new(AtomicBool::new(false));
            let request = client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(query.prefix)
                // XML cannot express all characters that a key may have.
                .encoding_type(EncodingType::Url)
                .set_delimiter(query.folders.then(|| "/".to_owned()))
                .set_start_after(query.after.clone().filter(|_| query.token.is_none()))
                .set_continuation_token(query.token.clone())
                .customize()
                .interceptor(WholeBody(Arc::clone(&complete)));
            let answer = request.send().await.map_err(|error| describe(&error))?;
            if answer.request_id().is_none() && answer.extended_request_id().is_none() {
                return Err(AwsError::foreign("a listing"));
            }
            Ok((answer, complete.load(Ordering::Relaxed)))
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
        let (bucket, prefix) = (Escaped(&self.bucket), Escaped(prefix));
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
            Part::ListedObject(found) => &found.key,
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

impl Query<'_> {
    /// The state of a listing that begins with this query.
    fn listing(&self) -> Listing {
        Listing::new(self.prefix, self.folders)
    }
}

/// Notes whether the body of an answer is a complete document: the SDK's parser takes the end of the text for the end
/// of what it reads.
#[derive(Debug)]
struct WholeBody(Arc<AtomicBool>);

impl Intercept for WholeBody {
    fn name(&self) -> &'static str {
        "WholeBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        let complete = body.trim_ascii_end().ends_with(b"</ListBucketResult>");
        // Read by the task that sends the request, after it has the answer.
        self.0.store(complete, Ordering::Relaxed);
        Ok(())
    }
}

struct Stretch<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    until: Option<&'a str>,
    region: Option<&'a str>,
}

fn parts(nodes: Vec<Node>) -> Step {
    Step::Parts(nodes.into_iter().map(Part::Node).collect())
}

async fn tell(steps: &Sender<Step>, step: Step) -> std::result::Result<(), Cancelled> {
    steps.send(step).await.map_err(|_| Cancelled)
}
