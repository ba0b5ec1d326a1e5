//! Credentials that all clients share: resolved once, kept until they expire, and resolved anew from the whole chain
//! when the service calls them invalid.
//!
//! The SDK's own identity cache keeps credentials without an expiry until the process ends, and its providers parse the
//! shared files once. A rewritten file, or a `credential_process` with new output, would never be seen.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, future};
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use tokio::time::timeout;

use super::error::chain;

/// Time limit for one resolution: it may run a program, or ask STS or SSO.
pub(super) const LIMIT: Duration = Duration::from_secs(15);

/// Credentials are renewed so long before they expire, because a request takes time and clocks differ.
const EARLY: Duration = Duration::from_secs(10);

/// Minimum time between two resolutions, whatever came of the first.
const BETWEEN: Duration = Duration::from_secs(1);

/// Minimum time between two invalidations: each runs the whole chain again.
const BETWEEN_INVALIDATIONS: Duration = Duration::from_secs(5);

/// Builds the chain of providers.
pub(super) type Build =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = SharedCredentialsProvider> + Send>> + Send + Sync>;

/// A credentials provider with a cache that can be invalidated. Clones share the cache.
#[derive(Clone)]
pub(crate) struct RefreshableCredentials(Arc<Shared>);

struct Shared {
    /// `None`: the chain is never rebuilt.
    build: Option<Build>,
    /// Held during a resolution, so that requests that fail together resolve once.
    state: tokio::sync::Mutex<State>,
    invalid: AtomicBool,
    invalidated: Mutex<Option<Instant>>,
}

struct State {
    /// `None`: to be rebuilt.
    provider: Option<SharedCredentialsProvider>,
    credentials: Option<Credentials>,
    /// The credentials were called invalid; they are used only if there are no others.
    invalid: bool,
    /// The last resolution, and its error if it failed.
    last: Option<(Instant, Option<String>)>,
}

impl RefreshableCredentials {
    /// Begins with `provider`; `build` replaces it after an invalidation.
    pub(super) fn new(provider: SharedCredentialsProvider, build: Build) -> Self {
        Self::with(provider, Some(build))
    }

    /// Only a cache in front of `provider`.
    pub(super) fn cached(provider: SharedCredentialsProvider) -> Self {
        Self::with(provider, None)
    }

    fn with(provider: SharedCredentialsProvider, build: Option<Build>) -> Self {
        RefreshableCredentials(Arc::new(Shared {
            build,
            state: tokio::sync::Mutex::new(State {
                provider: Some(provider),
                credentials: None,
                invalid: false,
                last: None,
            }),
            invalid: AtomicBool::new(false),
            invalidated: Mutex::default(),
        }))
    }

    /// To be called when the service answers `ExpiredToken`, `InvalidAccessKeyId` or the like: the next request
    /// resolves the whole chain anew. Every few seconds at most; calls in between have no effect.
    pub(crate) fn invalidate(&self) {
        let mut last = self
            .0
            .invalidated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= BETWEEN_INVALIDATIONS) {
            *last = Some(Instant::now());
            // The mutex of the state orders everything else.
            self.0.invalid.store(true, Ordering::Relaxed);
        }
    }

    async fn resolve(&self) -> provider::Result {
        let mut state = self.0.state.lock().await;
        if self.0.invalid.swap(false, Ordering::Relaxed) {
            state.invalid = true;
            if self.0.build.is_some() {
                state.provider = None;
            }
        }
        if let Some(credentials) = &state.credentials
            && !state.invalid
            && !expires_within(credentials, EARLY)
        {
            return Ok(credentials.clone());
        }
        if let Some((at, failure)) = &state.last
            && at.elapsed() < BETWEEN
        {
            return match (&state.credentials, failure) {
                (Some(credentials), _) => Ok(credentials.clone()),
                (None, failure) => Err(CredentialsError::provider_error(
                    failure.clone().unwrap_or_default(),
                )),
            };
        }
        let provider = match (&state.provider, &self.0.build) {
            (Some(provider), _) => provider.clone(),
            (None, Some(build)) => build().await,
            (None, None) => return Err(CredentialsError::not_loaded_no_source()),
        };
        let result = match timeout(LIMIT, provider.provide_credentials()).await {
            Ok(result) => result,
            Err(_) => Err(CredentialsError::provider_timed_out(LIMIT)),
        };
        let failure = result.as_ref().err().map(|error| chain(error));
        state.last = Some((Instant::now(), failure));
        match (result, &state.credentials) {
            (Ok(credentials), _) => {
                state.provider = Some(provider);
                state.credentials = Some(credentials.clone());
                state.invalid = false;
                Ok(credentials)
            }
            // Something may still accept them, and the next request tries again.
            (Err(_), Some(credentials)) if !expires_within(credentials, Duration::ZERO) => {
                Ok(credentials.clone())
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl ProvideCredentials for RefreshableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.resolve())
    }
}

impl fmt::Debug for RefreshableCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshableCredentials")
    }
}

fn expires_within(credentials: &Credentials, time: Duration) -> bool {
    let expiry = credentials.expiry();
    expiry.is_some_and(|expiry| expiry <= SystemTime::now() + time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Gives credentials with a number that grows with each resolution; fails while `failing`.
    #[derive(Clone, Debug, Default)]
    struct Numbered {
        resolved: Arc<AtomicU32>,
        failing: Arc<AtomicBool>,
        lifetime: Option<Duration>,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.resolved.fetch_add(1, Ordering::Relaxed);
            let expiry = self.lifetime.map(|lifetime| SystemTime::now() + lifetime);
            future::ProvideCredentials::ready(match self.failing.load(Ordering::Relaxed) {
                true => Err(CredentialsError::provider_error("the disk is on fire")),
                false => Ok(Credentials::new(
                    format!("key-{number}"),
                    "s",
                    None,
                    expiry,
                    "test",
                )),
            })
        }
    }

    fn refreshable(numbered: &Numbered) -> RefreshableCredentials {
        let rebuilt = numbered.clone();
        let build = move || -> Pin<Box<dyn Future<Output = SharedCredentialsProvider> + Send>> {
            let provider = SharedCredentialsProvider::new(rebuilt.clone());
            Box::pin(async { provider })
        };
        let first = SharedCredentialsProvider::new(numbered.clone());
        RefreshableCredentials::new(first, Box::new(build))
    }

    async fn key(credentials: &RefreshableCredentials) -> String {
        let credentials = credentials
            .provide_credentials()
            .await
            .expect("credentials");
        credentials.access_key_id().to_owned()
    }

    fn later(credentials: &RefreshableCredentials, time: Duration) {
        let mut state = credentials
            .0
            .state
            .try_lock()
            .expect("nothing is resolving");
        if let Some((at, _)) = &mut state.last {
            *at -= time;
        }
        let mut last = credentials.0.invalidated.lock().expect("no panic");
        *last = last.map(|at| at - time);
    }

    fn block_on(future: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        runtime.block_on(future);
    }

    #[test]
    fn credentials_are_resolved_once_until_they_are_invalidated() {
        block_on(async {
            let numbered = Numbered::default();
            let credentials = refreshable(&numbered);
            for _ in 0..3 {
                assert_eq!(key(&credentials).await, "key-0");
            }
            later(&credentials, BETWEEN);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-1");
            assert_eq!(key(&credentials.clone()).await, "key-1");
        });
    }

    #[test]
    fn invalidations_are_limited() {
        block_on(async {
            let numbered = Numbered::default();
            let credentials = refreshable(&numbered);
            key(&credentials).await;
            for _ in 0..100 {
                later(&credentials, BETWEEN / 100);
                credentials.invalidate();
                key(&credentials).await;
            }
            assert_eq!(numbered.resolved.load(Ordering::Relaxed), 2);
            later(&credentials, BETWEEN_INVALIDATIONS);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-2");
        });
    }

    #[test]
    fn credentials_that_expire_soon_are_renewed_but_not_with_every_request() {
        block_on(async {
            let lifetime = Some(EARLY / 2);
            let numbered = Numbered {
                lifetime,
                ..Numbered::default()
            };
            let credentials = refreshable(&numbered);
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(key(&credentials).await, "key-0");
            later(&credentials, BETWEEN);
            assert_eq!(key(&credentials).await, "key-1");
        });
    }

    #[test]
    fn a_failure_keeps_the_credentials_and_is_tried_again() {
        block_on(async {
            let numbered = Numbered::default();
            let credentials = refreshable(&numbered);
            key(&credentials).await;
            later(&credentials, BETWEEN);
            numbered.failing.store(true, Ordering::Relaxed);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(numbered.resolved.load(Ordering::Relaxed), 2);
            later(&credentials, BETWEEN);
            numbered.failing.store(false, Ordering::Relaxed);
            assert_eq!(key(&credentials).await, "key-2");
        });
    }

    #[test]
    fn without_any_credentials_the_error_is_reported() {
        block_on(async {
            let numbered = Numbered::default();
            numbered.failing.store(true, Ordering::Relaxed);
            let credentials = refreshable(&numbered);
            for _ in 0..3 {
                let error = credentials.provide_credentials().await.expect_err("none");
                assert!(chain(&error).contains("on fire"), "{error:?}");
            }
            assert_eq!(numbered.resolved.load(Ordering::Relaxed), 1);
        });
    }
}
