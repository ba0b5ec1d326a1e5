//! From the `aws` part of the configuration to a region and to credentials that were tried.
#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::config::{
    Credentials, ProvideCredentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_types::SdkConfig;
use aws_types::os_shim_internal::{Env, Fs};
use tokio::time::timeout;

use super::error::{chain, is_region};
use crate::config::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::quote::{quoted, without_secrets};

/// How long region and settings may take. Only the instance metadata service takes any time.
const SETTINGS: Duration = Duration::from_secs(6);

/// How long credentials may take: a program, STS or SSO may have to be asked.
const CREDENTIALS: Duration = Duration::from_secs(15);

/// The name of an assumed session where none is configured.
const SESSION_NAME: &str = "falco-cloudtrail";

/// Region, credentials and everything else that the clients of all services have in common; the
/// credentials were asked for once.
pub(super) async fn resolve(aws: &Aws, http: SharedHttpClient) -> Result<(SdkConfig, String)> {
    check_endpoint(aws)?;
    let files = profile_files(aws)?;
    if !aws.profile.is_empty() {
        check_profile("aws.profile", &aws.profile, &files).await?;
    }
    let region = region(aws, &files, &http).await?;
    let sdk = timeout(SETTINGS, load(aws, &files, &region, http.clone()))
        .await
        .map_err(|_| {
            refused(format!(
                "the AWS settings were not read within {} s",
                SETTINGS.as_secs()
            ))
        })?;
    let mut base = sdk
        .credentials_provider()
        .ok_or_else(|| Trouble::NotLoaded.told(aws))?;
    if !aws.profile.is_empty() {
        base = own_profile(aws, files.clone(), &region, http, base);
    }
    let sdk = sdk
        .into_builder()
        .credentials_provider(base.clone())
        .build();
    let credentials = ask(&base).await;
    if let Err(Trouble::NotLoaded) = credentials {
        // An unknown profile is passed over on the way to other places, of which there was none.
        if let Some(profile) = variable("AWS_PROFILE").filter(|_| aws.profile.is_empty()) {
            check_profile("AWS_PROFILE", &profile, &files).await?;
        }
    }
    credentials.map_err(|trouble| trouble.told(aws))?;
    if aws.role_arn.is_empty() {
        return Ok((sdk, region));
    }
    let role = role(aws, &sdk).await;
    ask(&role)
        .await
        .map_err(|trouble| trouble.told_of_role(aws))?;
    Ok((
        sdk.into_builder().credentials_provider(role).build(),
        region,
    ))
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
        quoted(&without_secrets(&aws.endpoint))
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
async fn region(aws: &Aws, files: &EnvConfigFiles, http: &SharedHttpClient) -> Result<String> {
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
    let config = ProviderConfig::without_region().with_http_client(http.clone());
    let instance = ImdsRegionProvider::builder().configure(&config).build();
    let places = RegionProviderChain::first_try(profile.build()).or_else(instance);
    match timeout(SETTINGS, places.region()).await.ok().flatten() {
        Some(region) => checked_region("the region of the profile or instance", region.to_string()),
        None => Err(refused(
            "no AWS region is known: neither aws.region, AWS_REGION, AWS_DEFAULT_REGION, the profile in the shared \
             AWS files nor the instance metadata name one; set one of the first three, e.g. to eu-central-1"
                .to_owned(),
        )),
    }
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
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS).build());
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

/// The credentials of a profile that was named in the configuration, which so come before those
/// of the environment; a profile without any leaves it to `others`.
fn own_profile(
    aws: &Aws,
    files: EnvConfigFiles,
    region: &str,
    http: SharedHttpClient,
    others: SharedCredentialsProvider,
) -> SharedCredentialsProvider {
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_http_client(http)
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_use_fips(Some(aws.use_fips))
        .with_use_dual_stack(Some(aws.use_dualstack));
    let profile = ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .profile_files(files)
        .profile_name(&aws.profile)
        .build();
    let chain = CredentialsProviderChain::first_try("Profile", profile).or_else("Others", others);
    SharedCredentialsProvider::new(chain)
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

async fn ask(provider: &SharedCredentialsProvider) -> std::result::Result<Credentials, Trouble> {
    match timeout(CREDENTIALS, provider.provide_credentials()).await {
        Err(_) | Ok(Err(CredentialsError::ProviderTimedOut(_))) => Err(Trouble::TimedOut),
        Ok(Err(CredentialsError::CredentialsNotLoaded(_))) => Err(Trouble::NotLoaded),
        Ok(Err(error)) => Err(Trouble::Other(chain(&error))),
        Ok(Ok(credentials)) => match credentials.expiry() {
            Some(end) if end <= SystemTime::now() => Err(Trouble::Expired),
            _ => Ok(credentials),
        },
    }
}

impl Trouble {
    fn told(self, aws: &Aws) -> Error {
        let profile = of_profile(aws);
        refused(match self {
            Trouble::NotLoaded => format!(
                "no AWS credentials{profile}: none in the environment, the shared AWS files, web identity, container or \
                 instance metadata; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, aws.profile or a role of the machine"
            ),
            Trouble::TimedOut => format!(
                "no AWS credentials{profile}: no answer within {} s; check the place that they come from",
                CREDENTIALS.as_secs()
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
            Trouble::TimedOut => format!("no answer of STS within {} s", CREDENTIALS.as_secs()),
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
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
