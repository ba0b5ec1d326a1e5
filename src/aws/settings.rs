//! From the `aws` part of the configuration to a region and to credentials that were tried.
#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::config::{
    Credentials, ProvideCredentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_types::SdkConfig;
use aws_types::os_shim_internal::{Env, Fs};
use tokio::time::timeout;

use super::credentials::{Build, LIMIT, RefreshableCredentials};
use super::error::{chain, is_region};
use super::imds::{self, InstanceCredentials, Reason};
use crate::config::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::{quoted, redacted};

/// Time limit for region and settings. Only the instance metadata service takes any time.
const SETTINGS: Duration = Duration::from_secs(10);

/// The name of an assumed session if none is configured.
const SESSION_NAME: &str = "falco-cloudtrail";

/// What the clients of all services have in common.
pub(super) struct Resolved {
    pub(super) sdk: SdkConfig,
    pub(super) region: String,
    /// The credentials in `sdk`, which were resolved once.
    pub(super) credentials: RefreshableCredentials,
}

/// Where credentials come from.
struct Sources {
    aws: Aws,
    files: EnvConfigFiles,
    config: ProviderConfig,
    imds: aws_config::imds::Client,
    /// Why the instance metadata service gave none.
    reason: Reason,
    /// Settings for STS, without credentials.
    sdk: SdkConfig,
}

/// Determines region, settings and credentials, and resolves the credentials once.
pub(super) async fn resolve(aws: &Aws, http: SharedHttpClient) -> Result<Resolved> {
    check_endpoint(aws)?;
    let files = profile_files(aws)?;
    if !aws.profile.is_empty() {
        check_profile("aws.profile", &aws.profile, &files).await?;
    }
    let config = ProviderConfig::without_region().with_http_client(http.clone());
    let imds = imds::client(&config);
    let region = region(aws, &files, &imds).await?;
    let sdk = timeout(SETTINGS, load(aws, &files, &region, http))
        .await
        .map_err(|_| {
            refused(format!(
                "the AWS settings were not read within {} s",
                SETTINGS.as_secs()
            ))
        })?;
    let sources = Arc::new(Sources {
        aws: aws.clone(),
        config: config
            .with_region(Some(Region::new(region.clone())))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_use_fips(Some(aws.use_fips))
            .with_use_dual_stack(Some(aws.use_dualstack)),
        files,
        imds,
        reason: Reason::default(),
        sdk,
    });
    let base = sources.base();
    let found = ask(&base).await;
    if let Err(Trouble::NotLoaded) = found {
        // An unknown profile is passed over on the way to other places, of which there was none.
        if let Some(profile) = variable("AWS_PROFILE").filter(|_| aws.profile.is_empty()) {
            check_profile("AWS_PROFILE", &profile, &sources.files).await?;
        }
    }
    found.map_err(|trouble| trouble.told(aws, sources.reason.take()))?;
    let provider = sources.with_role(base).await;
    let again = Arc::clone(&sources);
    let build: Build = Box::new(move || {
        let sources = Arc::clone(&again);
        Box::pin(async move { sources.with_role(sources.base()).await })
    });
    let credentials = RefreshableCredentials::new(provider, build);
    ask(&credentials)
        .await
        .map_err(|trouble| trouble.told_of_role(aws))?;
    let sdk = sources.sdk.clone().into_builder();
    Ok(Resolved {
        sdk: sdk
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build(),
        region,
        credentials,
    })
}

impl Sources {
    /// The credentials of the SDK's default chain; those of a profile that is configured come before those of the
    /// environment, and a profile without any leaves it to the others. Cached, so that a role does not resolve
    /// them again.
    fn base(&self) -> RefreshableCredentials {
        let config = &self.config;
        let mut profile = ProfileFileCredentialsProvider::builder()
            .configure(config)
            .profile_files(self.files.clone());
        let environment = EnvironmentVariableCredentialsProvider::new();
        let chain = match self.aws.profile.as_str() {
            "" => CredentialsProviderChain::first_try("Environment", environment)
                .or_else("Profile", profile.build()),
            name => {
                profile = profile.profile_name(name);
                CredentialsProviderChain::first_try("Profile", profile.build())
                    .or_else("Environment", environment)
            }
        };
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(config);
        let container = EcsCredentialsProvider::builder().configure(config);
        let instance = InstanceCredentials::new(config, self.imds.clone(), self.reason.clone());
        let chain = chain
            .or_else("WebIdentityToken", web_identity.build())
            .or_else("EcsContainer", container.build())
            .or_else("Ec2InstanceMetadata", instance);
        RefreshableCredentials::cached(SharedCredentialsProvider::new(chain))
    }

    /// The credentials of the role by those of `base`; without a role those of `base`.
    async fn with_role(&self, base: RefreshableCredentials) -> SharedCredentialsProvider {
        let base = SharedCredentialsProvider::new(base);
        if self.aws.role_arn.is_empty() {
            return base;
        }
        let sdk = self.sdk.clone().into_builder();
        role(&self.aws, &sdk.credentials_provider(base).build()).await
    }
}

/// Whether `sdk` has an endpoint that was set for all services, or for `service` (as in `AWS_ENDPOINT_URL_S3`).
pub(super) fn has_endpoint(sdk: &SdkConfig, service: &str) -> bool {
    sdk.endpoint_url().is_some() || variable(&format!("AWS_ENDPOINT_URL_{service}")).is_some()
}

fn check_endpoint(aws: &Aws) -> Result<()> {
    let kind = match (aws.use_fips, aws.use_dualstack) {
        _ if aws.endpoint.is_empty() => return Ok(()),
        (true, _) => "aws.useFips",
        (_, true) => "aws.useDualstack",
        (false, false) => return Ok(()),
    };
    Err(refused(format!(
        "{kind}: true cannot go with aws.endpoint {}, which says already where to connect; leave out one of them",
        quoted(&redacted(&aws.endpoint))
    )))
}

fn profile_files(aws: &Aws) -> Result<EnvConfigFiles> {
    let mut files = EnvConfigFiles::builder()
        .include_default_config_file(aws.config.is_empty())
        .include_default_credentials_file(aws.credentials.is_empty());
    for (key, path, kind) in [
        ("aws.config", &aws.config, EnvConfigFileKind::Config),
        (
            "aws.credentials",
            &aws.credentials,
            EnvConfigFileKind::Credentials,
        ),
    ] {
        if path.is_empty() {
            continue;
        }
        let file = match (path.strip_prefix("~/"), variable("HOME")) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => path.clone(),
        };
        let readable = File::open(&file).and_then(|file| file.metadata());
        match readable {
            Ok(metadata) if metadata.is_file() => files = files.with_file(kind, file),
            Ok(_) => return Err(refused(format!("{key}: {} is not a file", quoted(path)))),
            Err(error) => {
                let path = quoted(path);
                return Err(refused(format!("{key}: {path} cannot be read: {error}")));
            }
        }
    }
    Ok(files.build())
}

/// Refuses a profile that is in none of the shared files; `key` is where its name comes from.
async fn check_profile(key: &str, profile: &str, files: &EnvConfigFiles) -> Result<()> {
    let known = aws_config::profile::load(&Fs::real(), &Env::real(), files, None)
        .await
        .map_err(|error| {
            refused(format!(
                "the shared AWS files cannot be read: {}",
                chain(&error)
            ))
        })?;
    if known.get_profile(profile).is_some() {
        return Ok(());
    }
    let mut names: Vec<&str> = known.profiles().collect();
    names.sort_unstable();
    Err(refused(format!(
        "{key}: there is no profile {} in the shared AWS files; {}",
        quoted(profile),
        match names.is_empty() {
            true =>
                "they are missing or name none; check aws.config and aws.credentials".to_owned(),
            false => format!("there are {}", names.join(", ")),
        }
    )))
}

/// `aws.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's region, the instance's region.
async fn region(
    aws: &Aws,
    files: &EnvConfigFiles,
    imds: &aws_config::imds::Client,
) -> Result<String> {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let given = match aws.region.is_empty() {
        false => Some(("aws.region", aws.region.clone())),
        true => variables
            .into_iter()
            .find_map(|name| Some((name, variable(name)?))),
    };
    if let Some((key, name)) = given {
        return checked_region(key, name);
    }
    let mut profile = ProfileFileRegionProvider::builder().profile_files(files.clone());
    if !aws.profile.is_empty() {
        profile = profile.profile_name(&aws.profile);
    }
    if let Some(region) = profile.build().region().await {
        return checked_region("the region of the profile", region.to_string());
    }
    let reason = match timeout(SETTINGS, imds::region(imds)).await {
        Ok(Ok(region)) => return checked_region("the region of the instance", region),
        Ok(Err(reason)) => reason,
        Err(_) => format!("no answer within {} s", SETTINGS.as_secs()),
    };
    Err(refused(format!(
        "no AWS region is known: neither aws.region, AWS_REGION, AWS_DEFAULT_REGION, the profile in the shared \
         AWS files nor the instance metadata service ({reason}) names one; set one of the first three, e.g. to eu-central-1"
    )))
}

fn checked_region(key: &str, name: String) -> Result<String> {
    match is_region(&name) {
        true => Ok(name),
        false => {
            let name = quoted(&name);
            Err(refused(format!(
                "{key}: {name} is not a region; give its name, e.g. eu-central-1"
            )))
        }
    }
}

async fn load(
    aws: &Aws,
    files: &EnvConfigFiles,
    region: &str,
    http: SharedHttpClient,
) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new(region.to_owned()))
        .profile_files(files.clone())
        .no_credentials()
        // The provider caches, see `credentials`.
        .identity_cache(IdentityCache::no_cache());
    if !aws.profile.is_empty() {
        loader = loader.profile_name(&aws.profile);
    }
    // What is not asked for here may still be asked for by a profile or by the environment.
    if aws.use_fips {
        loader = loader.use_fips(true);
    }
    if aws.use_dualstack {
        loader = loader.use_dual_stack(true);
    }
    loader.load().await
}

/// The role's credentials, by those of `sdk`. STS is asked at `aws.endpoint` too, which stands
/// for all of AWS in a test setup; `AWS_ENDPOINT_URL_STS` says otherwise.
async fn role(aws: &Aws, sdk: &SdkConfig) -> SharedCredentialsProvider {
    let mut sts = sdk.clone().into_builder();
    if !aws.endpoint.is_empty() && variable("AWS_ENDPOINT_URL_STS").is_none() {
        sts = sts.endpoint_url(&aws.endpoint);
    }
    let session = match aws.role_session_name.as_str() {
        "" => SESSION_NAME,
        name => name,
    };
    let mut role = AssumeRoleProvider::builder(&aws.role_arn)
        .configure(&sts.build())
        .session_name(session);
    if !aws.external_id.is_empty() {
        role = role.external_id(&aws.external_id);
    }
    SharedCredentialsProvider::new(role.build().await)
}

/// Why there are no credentials.
enum Trouble {
    NotLoaded,
    TimedOut,
    Expired,
    Other(String),
}

async fn ask(provider: &RefreshableCredentials) -> std::result::Result<Credentials, Trouble> {
    match provider.provide_credentials().await {
        Err(CredentialsError::ProviderTimedOut(_)) => Err(Trouble::TimedOut),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(Trouble::NotLoaded),
        Err(error) => Err(Trouble::Other(chain(&error))),
        Ok(credentials) => match credentials.expiry() {
            Some(end) if end <= SystemTime::now() => Err(Trouble::Expired),
            _ => Ok(credentials),
        },
    }
}

impl Trouble {
    /// `instance`: why the instance metadata service gave none.
    fn told(self, aws: &Aws, instance: Option<String>) -> Error {
        let instance = instance.map_or_else(String::new, |reason| format!(" ({reason})"));
        let profile = of_profile(aws);
        refused(match self {
            Trouble::NotLoaded => format!(
                "no AWS credentials{profile}: none in the environment, the shared AWS files, web identity, container or \
                 instance metadata{instance}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, aws.profile or a role of the machine"
            ),
            Trouble::TimedOut => format!(
                "no AWS credentials{profile}: no answer within {} s; check the place that they come from",
                LIMIT.as_secs()
            ),
            Trouble::Expired => format!("the AWS credentials{profile} have expired; renew them"),
            Trouble::Other(what) => format!(
                "no AWS credentials{profile}: {what}; check the place that they come from, or set AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY or aws.profile"
            ),
        })
    }

    fn told_of_role(self, aws: &Aws) -> Error {
        let what = match self {
            Trouble::NotLoaded => "STS gave no credentials".to_owned(),
            Trouble::TimedOut => format!("no answer of STS within {} s", LIMIT.as_secs()),
            Trouble::Expired => {
                "what STS gave has expired already; set this machine's clock".to_owned()
            }
            Trouble::Other(what) => what,
        };
        refused(format!(
            "aws.roleArn: {} cannot be assumed: {what}; check its trust policy, aws.externalId and the credentials{}",
            quoted(&aws.role_arn),
            of_profile(aws)
        ))
    }
}

fn of_profile(aws: &Aws) -> String {
    let profile = match aws.profile.is_empty() {
        false => Some(aws.profile.clone()),
        true => variable("AWS_PROFILE"),
    };
    profile.map_or_else(String::new, |name| format!(" of profile {}", quoted(&name)))
}

/// A variable of the environment that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::http;
    use std::fs;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("cloudtrail-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn path(folder: &std::path::Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(future)
    }

    async fn key(credentials: &impl ProvideCredentials) -> String {
        let credentials = credentials
            .provide_credentials()
            .await
            .expect("credentials");
        credentials.access_key_id().to_owned()
    }

    /// Waits for the time that has to be between two resolutions.
    async fn later() {
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }

    #[test]
    fn a_rewritten_shared_file_is_read_when_credentials_are_invalidated() {
        let folder = folder("shared-file");
        let text =
            |key: &str| format!("[p]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        let aws = Aws {
            profile: "p".to_owned(),
            region: "eu-west-1".to_owned(),
            config: path(&folder, "config", ""),
            credentials: path(&folder, "credentials", &text("OLD")),
            ..Aws::default()
        };
        block_on(async {
            let resolved = resolve(&aws, http::client(1).expect("a client"))
                .await
                .expect("credentials");
            let of_clients = resolved.sdk.credentials_provider().expect("a provider");
            path(&folder, "credentials", &text("NEW"));
            later().await;
            assert_eq!(key(&of_clients).await, "OLD");
            resolved.credentials.invalidate();
            assert_eq!(key(&of_clients).await, "NEW");
        });
        fs::remove_dir_all(&folder).expect("my own folder");
    }

    #[test]
    #[cfg(unix)]
    fn a_credential_process_runs_once_at_open_and_again_when_its_output_is_invalid() {
        let folder = folder("process");
        let runs = folder.join("runs");
        let script = format!(
            "echo run >> {runs}; N=$(wc -l < {runs}); printf '{{\"Version\":1,\"AccessKeyId\":\"KEY%d\",\"SecretAccessKey\":\"s\"}}' $N",
            runs = runs.display()
        );
        let script = path(&folder, "script", &script);
        let config = format!("[profile p]\ncredential_process = sh {script}\n");
        let aws = Aws {
            profile: "p".to_owned(),
            region: "eu-west-1".to_owned(),
            config: path(&folder, "config", &config),
            credentials: path(&folder, "credentials", ""),
            ..Aws::default()
        };
        block_on(async {
            let resolved = resolve(&aws, http::client(1).expect("a client"))
                .await
                .expect("credentials");
            for _ in 0..3 {
                assert_eq!(key(&resolved.credentials).await, "KEY1");
            }
            later().await;
            resolved.credentials.invalidate();
            assert_eq!(key(&resolved.credentials).await, "KEY2");
        });
        let count = fs::read_to_string(&runs).expect("it ran").lines().count();
        assert_eq!(count, 2);
        fs::remove_dir_all(&folder).expect("my own folder");
    }
}
