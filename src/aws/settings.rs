//! Resolves the region, the SDK's settings and the credentials from the configuration's `aws` object and the SDK's default
//! chain.
#![forbid(unsafe_code)]

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

use super::credentials::{BuildProvider, RESOLVE_TIMEOUT, RefreshableCredentials};
use super::environment::variable;
use super::error::{chain, is_region, is_service_problem};
use super::imds::{self, InstanceCredentials, LastFailure};
use crate::config::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::log::quote::{quoted, redacted};

/// Time limit for region and settings. Only the instance metadata service can be slow.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// Default of `aws.roleSessionName`.
const SESSION_NAME: &str = "falco-cloudtrail";

/// Settings that the clients of all services share.
pub(super) struct Resolved {
    pub(super) sdk: SdkConfig,
    pub(super) region: String,
    /// The credentials provider of `sdk`, resolved once.
    pub(super) credentials: RefreshableCredentials,
}

/// Builds credentials providers from the settings.
struct CredentialSources {
    aws: Aws,
    files: EnvConfigFiles,
    config: ProviderConfig,
    imds: aws_config::imds::Client,
    /// Why the instance metadata service returned no credentials.
    imds_failure: LastFailure,
    /// Settings for STS, without credentials.
    sdk: SdkConfig,
}

/// Determines region and settings, and resolves the credentials once to report problems at open.
///
/// # Errors
///
/// [`ErrorKind::Config`] if a setting is invalid, or there is no region or no valid credentials.
pub(super) async fn resolve(aws: &Aws, http: SharedHttpClient) -> Result<Resolved> {
    check_endpoint(aws)?;
    check_endpoint_variables()?;
    let files = profile_files(aws)?;
    if !aws.profile.is_empty() {
        check_profile("aws.profile", &aws.profile, &files).await?;
    }
    let config = ProviderConfig::without_region().with_http_client(http.clone());
    let imds = imds::client(&config);
    let region = region(aws, &files, &imds).await?;
    let sdk = timeout(SETTINGS_TIMEOUT, load(aws, &files, &region, http))
        .await
        .map_err(|_| {
            config_error(format!(
                "the AWS settings cannot be read within {} s; check the shared AWS files",
                SETTINGS_TIMEOUT.as_secs()
            ))
        })?;
    let sources = Arc::new(CredentialSources {
        aws: aws.clone(),
        config: config
            .with_region(Some(Region::new(region.clone())))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_use_fips(Some(aws.use_fips))
            .with_use_dual_stack(Some(aws.use_dualstack)),
        files,
        imds,
        imds_failure: LastFailure::default(),
        sdk,
    });
    let base = sources.base();
    let resolved = resolve_once(&base).await;
    if let Err(CredentialsFailure::NotLoaded) = resolved {
        // The SDK's chain ignores an unknown profile and tries the next provider.
        if let Some(profile) = variable("AWS_PROFILE").filter(|_| aws.profile.is_empty()) {
            check_profile("AWS_PROFILE", &profile, &sources.files).await?;
        }
    }
    resolved.map_err(|failure| failure.into_error(aws, sources.imds_failure.take()))?;
    let provider = sources.with_role(base).await;
    let rebuilt = Arc::clone(&sources);
    let build: BuildProvider = Box::new(move || {
        let sources = Arc::clone(&rebuilt);
        Box::pin(async move { sources.with_role(sources.base()).await })
    });
    let credentials = RefreshableCredentials::new(provider, build);
    resolve_once(&credentials)
        .await
        .map_err(|failure| failure.into_role_error(aws))?;
    let sdk = sources.sdk.clone().into_builder();
    Ok(Resolved {
        sdk: sdk
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build(),
        region,
        credentials,
    })
}

impl CredentialSources {
    /// The SDK's default chain. A configured profile precedes the environment; if it has no credentials, the chain
    /// continues. Cached, so that assuming a role does not resolve it again.
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
        let instance =
            InstanceCredentials::new(config, self.imds.clone(), self.imds_failure.clone());
        let chain = chain
            .or_else("WebIdentityToken", web_identity.build())
            .or_else("EcsContainer", container.build())
            .or_else("Ec2InstanceMetadata", instance);
        RefreshableCredentials::cached(SharedCredentialsProvider::new(chain))
    }

    /// Assumes the configured role with the credentials of `base`; returns `base` without a role.
    async fn with_role(&self, base: RefreshableCredentials) -> SharedCredentialsProvider {
        let base = SharedCredentialsProvider::new(base);
        if self.aws.role_arn.is_empty() {
            return base;
        }
        let sdk = self.sdk.clone().into_builder();
        role(&self.aws, &sdk.credentials_provider(base).build()).await
    }
}

/// Whether an endpoint is set for all services, or for `service` as in `AWS_ENDPOINT_URL_S3`.
pub(super) fn has_endpoint(sdk: &SdkConfig, service: &str) -> bool {
    sdk.endpoint_url().is_some() || variable(&format!("AWS_ENDPOINT_URL_{service}")).is_some()
}

fn check_endpoint(aws: &Aws) -> Result<()> {
    let key = match (aws.use_fips, aws.use_dualstack) {
        _ if aws.endpoint.is_empty() => return Ok(()),
        (true, _) => "aws.useFips",
        (_, true) => "aws.useDualstack",
        (false, false) => return Ok(()),
    };
    Err(config_error(format!(
        "{key}: cannot be true together with aws.endpoint {}; remove one of them",
        quoted(&redacted(&aws.endpoint))
    )))
}

/// The SDK would print an invalid URL with the credentials in it.
fn check_endpoint_variables() -> Result<()> {
    for key in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
    ] {
        if let Some(endpoint) = variable(key) {
            crate::config::check_endpoint(key, &endpoint)?;
        }
    }
    Ok(())
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
            Ok(_) => {
                return Err(config_error(format!(
                    "{key}: {} is not a file",
                    quoted(path)
                )));
            }
            Err(error) => {
                let path = quoted(path);
                return Err(config_error(format!(
                    "{key}: {path} cannot be read: {error}"
                )));
            }
        }
    }
    Ok(files.build())
}

/// Returns an error if no shared file has the profile; `key` is the source of its name.
async fn check_profile(key: &str, profile: &str, files: &EnvConfigFiles) -> Result<()> {
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), files, None)
        .await
        .map_err(|error| {
            config_error(format!(
                "the shared AWS files cannot be read: {}",
                chain(&error)
            ))
        })?;
    if profiles.get_profile(profile).is_some() {
        return Ok(());
    }
    let mut names: Vec<&str> = profiles.profiles().collect();
    names.sort_unstable();
    Err(config_error(format!(
        "{key}: no profile {} in the shared AWS files; {}",
        quoted(profile),
        match names.is_empty() {
            true => "they are missing or have no profiles; check aws.config and aws.credentials"
                .to_owned(),
            false => format!("existing profiles: {}", names.join(", ")),
        }
    )))
}

/// The region: `aws.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, or the instance's.
async fn region(
    aws: &Aws,
    files: &EnvConfigFiles,
    imds: &aws_config::imds::Client,
) -> Result<String> {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let configured = match aws.region.is_empty() {
        false => Some(("aws.region", aws.region.clone())),
        true => variables
            .into_iter()
            .find_map(|name| Some((name, variable(name)?))),
    };
    if let Some((key, name)) = configured {
        return checked_region(key, name);
    }
    let mut profile = ProfileFileRegionProvider::builder().profile_files(files.clone());
    if !aws.profile.is_empty() {
        profile = profile.profile_name(&aws.profile);
    }
    if let Some(region) = profile.build().region().await {
        return checked_region("the region of the profile", region.to_string());
    }
    let reason = match timeout(SETTINGS_TIMEOUT, imds::region(imds)).await {
        Ok(Ok(region)) => return checked_region("the region of the instance", region),
        Ok(Err(reason)) => reason,
        Err(_) => format!("no response within {} s", SETTINGS_TIMEOUT.as_secs()),
    };
    Err(config_error(format!(
        "no AWS region: not set by aws.region, AWS_REGION, AWS_DEFAULT_REGION, the profile in the shared AWS files \
         or the instance metadata service ({reason}); set aws.region or AWS_REGION, e.g. to eu-central-1"
    )))
}

fn checked_region(key: &str, name: String) -> Result<String> {
    match is_region(&name) {
        true => Ok(name),
        false => {
            let name = quoted(&name);
            Err(config_error(format!(
                "{key}: {name} is not a region; use a name such as eu-central-1"
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
        // `RefreshableCredentials` is the cache.
        .identity_cache(IdentityCache::no_cache());
    if !aws.profile.is_empty() {
        loader = loader.profile_name(&aws.profile);
    }
    // Only set if true: a profile or the environment may enable it too.
    if aws.use_fips {
        loader = loader.use_fips(true);
    }
    if aws.use_dualstack {
        loader = loader.use_dual_stack(true);
    }
    loader.load().await
}

/// Provider that assumes the role with the credentials of `sdk`. STS is called at `aws.endpoint`, which stands for all of
/// AWS in a test setup, unless `AWS_ENDPOINT_URL_STS` is set.
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

/// Why credentials cannot be used.
enum CredentialsFailure {
    NotLoaded,
    TimedOut,
    Expired,
    /// The service from which they come has a problem of its own.
    Service(String),
    Other(String),
}

async fn resolve_once(
    provider: &RefreshableCredentials,
) -> std::result::Result<Credentials, CredentialsFailure> {
    match provider.provide_credentials().await {
        Err(CredentialsError::ProviderTimedOut(_)) => Err(CredentialsFailure::TimedOut),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(CredentialsFailure::NotLoaded),
        Err(error) if is_service_problem(&error) => Err(CredentialsFailure::Service(chain(&error))),
        Err(error) => Err(CredentialsFailure::Other(chain(&error))),
        Ok(credentials) => match credentials.expiry() {
            Some(end) if end <= SystemTime::now() => Err(CredentialsFailure::Expired),
            _ => Ok(credentials),
        },
    }
}

impl CredentialsFailure {
    /// `imds_failure`: why the instance metadata service returned none.
    fn into_error(self, aws: &Aws, imds_failure: Option<String>) -> Error {
        let imds = imds_failure.map_or_else(String::new, |cause| format!(" ({cause})"));
        let profile = of_profile(aws);
        config_error(match self {
            CredentialsFailure::NotLoaded => format!(
                "no AWS credentials{profile}: none in the environment, the shared AWS files, web identity, container or \
                 instance metadata{imds}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or aws.profile, or give the machine a role"
            ),
            CredentialsFailure::TimedOut => format!(
                "no AWS credentials{profile}: no response within {} s; check the credentials provider",
                RESOLVE_TIMEOUT.as_secs()
            ),
            CredentialsFailure::Expired => {
                format!("the AWS credentials{profile} have expired; renew them")
            }
            CredentialsFailure::Service(cause) => format!(
                "no AWS credentials{profile}: {cause}; the service from which they come is busy or fails, try again"
            ),
            CredentialsFailure::Other(cause) => format!(
                "no AWS credentials{profile}: {cause}; check the credentials provider, or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY or aws.profile"
            ),
        })
    }

    fn into_role_error(self, aws: &Aws) -> Error {
        let check = format!(
            "check its trust policy, aws.externalId and the credentials{}",
            of_profile(aws)
        );
        let (cause, hint) = match self {
            CredentialsFailure::NotLoaded => ("STS returned no credentials".to_owned(), check),
            CredentialsFailure::TimedOut => (
                format!(
                    "no response from STS within {} s",
                    RESOLVE_TIMEOUT.as_secs()
                ),
                "check the network, the proxy and the region".to_owned(),
            ),
            CredentialsFailure::Expired => (
                "the credentials from STS have already expired".to_owned(),
                "set this machine's clock".to_owned(),
            ),
            CredentialsFailure::Service(cause) => {
                (cause, "STS is busy or fails, try again".to_owned())
            }
            CredentialsFailure::Other(cause) => (cause, check),
        };
        config_error(format!(
            "aws.roleArn: {} cannot be assumed: {cause}; {hint}",
            quoted(&aws.role_arn)
        ))
    }
}

/// ` of profile <name>` if a profile is selected, for messages.
fn of_profile(aws: &Aws) -> String {
    let profile = match aws.profile.is_empty() {
        false => Some(aws.profile.clone()),
        true => variable("AWS_PROFILE"),
    };
    profile.map_or_else(String::new, |name| format!(" of profile {}", quoted(&name)))
}

fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::http;
    use std::env;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::thread;

    fn directory(name: &str) -> PathBuf {
        let directory = env::temp_dir().join(format!("cloudtrail-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    fn path(directory: &std::path::Path, name: &str, text: &str) -> String {
        let path = directory.join(name);
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

    /// Waits for the minimum time between two resolutions.
    async fn later() {
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }

    /// The URL of a server that answers each request with this status and body, on a thread of its own.
    fn server(status: u16, body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut request = [0; 16 << 10];
                let read = client.read(&mut request);
                let answer = format!(
                    "HTTP/1.1 {status} Refused\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = read.and_then(|_| client.write_all(answer.as_bytes()));
            }
        });
        url
    }

    #[test]
    fn refusal_of_a_role_has_code_message_and_the_right_hint() {
        let directory = directory("role");
        let keys = "[default]\naws_access_key_id = A\naws_secret_access_key = s\n";
        let (trust, busy) = ("check its trust policy", "STS is busy or fails, try again");
        for (status, code, hint, other) in [
            (403, "AccessDenied", trust, busy),
            (400, "Throttling", busy, trust),
            (500, "InternalFailure", busy, trust),
        ] {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as a test says</Message></Error><RequestId>1</RequestId></ErrorResponse>"
            );
            let aws = Aws {
                region: "eu-west-1".to_owned(),
                endpoint: server(status, body),
                config: path(&directory, "config", ""),
                credentials: path(&directory, "credentials", keys),
                role_arn: "arn:aws:iam::111122223333:role/falco".to_owned(),
                ..Aws::default()
            };
            let http = http::clients(1).expect("clients").sdk;
            let error = block_on(resolve(&aws, http)).err().expect("an error");
            let error = error.to_string();
            let cause = format!("cannot be assumed: {code}: as a test says; {hint}");
            assert!(error.contains(&cause), "{error}");
            assert!(!error.contains(other), "{error}");
        }
        fs::remove_dir_all(&directory).expect("the directory is removed");
    }

    #[test]
    fn rewritten_shared_file_is_read_after_invalidation() {
        let directory = directory("shared-file");
        let text =
            |key: &str| format!("[p]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        let aws = Aws {
            profile: "p".to_owned(),
            region: "eu-west-1".to_owned(),
            config: path(&directory, "config", ""),
            credentials: path(&directory, "credentials", &text("OLD")),
            ..Aws::default()
        };
        block_on(async {
            let resolved = resolve(&aws, http::clients(1).expect("clients").sdk)
                .await
                .expect("credentials");
            let of_clients = resolved.sdk.credentials_provider().expect("a provider");
            path(&directory, "credentials", &text("NEW"));
            later().await;
            assert_eq!(key(&of_clients).await, "OLD");
            resolved.credentials.invalidate();
            assert_eq!(key(&of_clients).await, "NEW");
        });
        fs::remove_dir_all(&directory).expect("the directory is removed");
    }

    #[test]
    #[cfg(unix)]
    fn credential_process_runs_once_at_open_and_again_after_invalidation() {
        let directory = directory("process");
        let runs = directory.join("runs");
        let script = format!(
            "echo run >> {runs}; N=$(wc -l < {runs}); printf '{{\"Version\":1,\"AccessKeyId\":\"KEY%d\",\"SecretAccessKey\":\"s\"}}' $N",
            runs = runs.display()
        );
        let script = path(&directory, "script", &script);
        let config = format!("[profile p]\ncredential_process = sh {script}\n");
        let aws = Aws {
            profile: "p".to_owned(),
            region: "eu-west-1".to_owned(),
            config: path(&directory, "config", &config),
            credentials: path(&directory, "credentials", ""),
            ..Aws::default()
        };
        block_on(async {
            let resolved = resolve(&aws, http::clients(1).expect("clients").sdk)
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
        fs::remove_dir_all(&directory).expect("the directory is removed");
    }
}
