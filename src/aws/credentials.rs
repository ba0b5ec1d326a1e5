//! Cache of the credentials that all clients share. Keeps them until they expire or are invalidated; then resolves them
//! from the whole provider chain again.
//!
//! The SDK's identity cache does not suffice: it keeps credentials without an expiry until the process ends, and its
//! providers parse the shared files once. It would never notice a rewritten file or a rotated `credential_process`.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, future};
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use tokio::time::timeout;

use super::environment::variable;
use super::error_chain::{chain, find};
use crate::log::quote::quoted;

/// Time limit for one resolution, which may run a program or call STS or SSO.
pub(super) const RESOLVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Time before expiry at which credentials are renewed: requests take time, and clocks differ.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(10);

/// Minimum time between two resolutions, also after a failure.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two invalidations: each runs the whole chain again.
const MIN_INVALIDATION_INTERVAL: Duration = Duration::from_secs(5);

/// Builds the provider chain.
pub(super) type BuildProvider =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = SharedCredentialsProvider> + Send>> + Send + Sync>;

/// A credentials provider with a cache that can be invalidated. Clones share the cache.
#[derive(Clone)]
pub(crate) struct RefreshableCredentials(Arc<CredentialCache>);

struct CredentialCache {
    /// Rebuilds the provider after an invalidation; `None`: the provider is kept.
    build: Option<BuildProvider>,
    /// Locked during a resolution, so that concurrent requests resolve once.
    state: tokio::sync::Mutex<CacheState>,
    invalid: AtomicBool,
    last_invalidation: Mutex<Option<Instant>>,
    /// When the provider was asked that has not answered yet, also if the request that waited for it has ended.
    pending: Mutex<Option<Instant>>,
}

struct CacheState {
    /// `None`: rebuilt by the next resolution.
    provider: Option<SharedCredentialsProvider>,
    credentials: Option<Credentials>,
    /// The credentials were invalidated; they are used only if no others can be resolved.
    invalid: bool,
    /// Time of the last resolution, and its error if it failed.
    last: Option<(Instant, Option<String>)>,
}

impl RefreshableCredentials {
    /// Starts with `provider`; `build` replaces it after an invalidation.
    pub(super) fn new(provider: SharedCredentialsProvider, build: BuildProvider) -> Self {
        Self::with(provider, Some(build))
    }

    /// Caches `provider` without rebuilding it.
    pub(super) fn cached(provider: SharedCredentialsProvider) -> Self {
        Self::with(provider, None)
    }

    fn with(provider: SharedCredentialsProvider, build: Option<BuildProvider>) -> Self {
        RefreshableCredentials(Arc::new(CredentialCache {
            build,
            state: tokio::sync::Mutex::new(CacheState {
                provider: Some(provider),
                credentials: None,
                invalid: false,
                last: None,
            }),
            invalid: AtomicBool::new(false),
            last_invalidation: Mutex::default(),
            pending: Mutex::default(),
        }))
    }

    /// Makes the next request resolve the whole chain again; for errors such as `ExpiredToken` or `InvalidAccessKeyId`.
    /// Calls within [`MIN_INVALIDATION_INTERVAL`] of the last one have no effect.
    pub(crate) fn invalidate(&self) {
        let mut last = self
            .0
            .last_invalidation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= MIN_INVALIDATION_INTERVAL) {
            *last = Some(Instant::now());
            // Ordering comes from the lock of `state`.
            self.0.invalid.store(true, Ordering::Relaxed);
        }
    }

    /// How long the provider has not answered; `None` if it is not being waited for.
    pub(super) fn pending(&self) -> Option<Duration> {
        self.pending_since().map(|since| since.elapsed())
    }

    fn pending_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials to use now.
    pub(super) async fn get(&self) -> provider::Result {
        let mut state = self.0.state.lock().await;
        if self.0.invalid.swap(false, Ordering::Relaxed) {
            state.invalid = true;
            if self.0.build.is_some() {
                state.provider = None;
            }
        }
        if let Some(credentials) = &state.credentials
            && !state.invalid
            && !expires_within(credentials, RENEW_BEFORE_EXPIRY)
        {
            return Ok(credentials.clone());
        }
        // Boxed, as every request would have room for it otherwise.
        Box::pin(self.resolve(state)).await
    }

    /// Resolves credentials, unless that was tried a moment ago.
    async fn resolve(
        &self,
        mut state: tokio::sync::MutexGuard<'_, CacheState>,
    ) -> provider::Result {
        if let Some((at, failure)) = &state.last
            && at.elapsed() < MIN_INTERVAL
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
        self.pending_since().get_or_insert_with(Instant::now);
        let result = match timeout(RESOLVE_TIMEOUT, provider.provide_credentials()).await {
            Ok(result) => {
                *self.pending_since() = None;
                result.map_err(with_token_file)
            }
            Err(_) => Err(CredentialsError::provider_timed_out(RESOLVE_TIMEOUT)),
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
            // Not expired, so they may still work; the next request resolves again.
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
        future::ProvideCredentials::new(self.get())
    }
}

impl fmt::Debug for RefreshableCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshableCredentials")
    }
}

/// Environment variables that name a file with a token for the credentials.
const TOKEN_FILES: [&str; 2] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Names the token file if that cannot be read, which the SDK does not.
fn with_token_file(error: CredentialsError) -> CredentialsError {
    let Some(cause) = find::<io::Error>(&error) else {
        return error;
    };
    let problem = TOKEN_FILES.iter().find_map(|name| {
        let path = variable(name)?;
        let problem = File::open(&path).err()?;
        let same = problem.kind() == cause.kind();
        same.then(|| format!("{name}: {} cannot be read: {problem}", quoted(&path)))
    });
    match problem {
        Some(problem) => CredentialsError::provider_error(problem),
        None => error,
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

    /// Provides numbered credentials, counting resolutions; fails while `failing` is set.
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

    fn advance(credentials: &RefreshableCredentials, time: Duration) {
        let mut state = credentials
            .0
            .state
            .try_lock()
            .expect("nothing is resolving");
        if let Some((at, _)) = &mut state.last {
            *at -= time;
        }
        let mut last = credentials.0.last_invalidation.lock().expect("no panic");
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
            advance(&credentials, MIN_INTERVAL);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-1");
            assert_eq!(key(&credentials.clone()).await, "key-1");
        });
    }

    /// Never provides any.
    #[derive(Debug)]
    struct Hanging;

    impl ProvideCredentials for Hanging {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(std::future::pending())
        }
    }

    #[test]
    fn provider_that_hangs_is_known_after_its_request_has_ended() {
        block_on(async {
            let hanging = SharedCredentialsProvider::new(Hanging);
            let credentials = RefreshableCredentials::cached(hanging);
            assert_eq!(credentials.pending(), None);
            let short = Duration::from_millis(10);
            assert!(timeout(short, credentials.get()).await.is_err());
            assert!(credentials.pending() >= Some(short));
            let answering = refreshable(&Numbered::default());
            key(&answering).await;
            assert_eq!(answering.pending(), None);
        });
    }

    #[test]
    fn invalidations_are_limited() {
        block_on(async {
            let numbered = Numbered::default();
            let credentials = refreshable(&numbered);
            key(&credentials).await;
            for _ in 0..100 {
                advance(&credentials, MIN_INTERVAL / 100);
                credentials.invalidate();
                key(&credentials).await;
            }
            assert_eq!(numbered.resolved.load(Ordering::Relaxed), 2);
            advance(&credentials, MIN_INVALIDATION_INTERVAL);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-2");
        });
    }

    #[test]
    fn credentials_close_to_expiry_are_renewed_at_a_limited_rate() {
        block_on(async {
            let lifetime = Some(RENEW_BEFORE_EXPIRY / 2);
            let numbered = Numbered {
                lifetime,
                ..Numbered::default()
            };
            let credentials = refreshable(&numbered);
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(key(&credentials).await, "key-0");
            advance(&credentials, MIN_INTERVAL);
            assert_eq!(key(&credentials).await, "key-1");
        });
    }

    #[test]
    fn failed_renewal_keeps_the_credentials_and_is_retried() {
        block_on(async {
            let numbered = Numbered::default();
            let credentials = refreshable(&numbered);
            key(&credentials).await;
            advance(&credentials, MIN_INTERVAL);
            numbered.failing.store(true, Ordering::Relaxed);
            credentials.invalidate();
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(key(&credentials).await, "key-0");
            assert_eq!(numbered.resolved.load(Ordering::Relaxed), 2);
            advance(&credentials, MIN_INTERVAL);
            numbered.failing.store(false, Ordering::Relaxed);
            assert_eq!(key(&credentials).await, "key-2");
        });
    }

    #[test]
    fn failure_without_credentials_is_an_error() {
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
