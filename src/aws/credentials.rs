//! Credentials: where they come from, why there are none, when they expire (for the metric), and some minutes ahead whether they
//! can be renewed.

pub(super) mod helper;
pub(super) mod lack;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{ProfileSet, load};
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use self::helper::Helpers;
use self::lack::NoCredentials;
use super::guard::plausible;
use crate::domain::time::Stamp;

/// The expiry of the credentials loaded last; `None` before they are loaded, or if they never expire.
#[derive(Debug, Clone, Default)]
pub(super) struct Expiry(Arc<Mutex<Option<Stamp>>>);

impl Expiry {
    pub(super) fn get(&self) -> Option<Stamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, expiry: Option<Stamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = expiry;
    }
}

/// Renewal is tried this long before the credentials expire.
const AHEAD: Duration = Duration::from_secs(15 * 60);
/// Every mechanism that renews credentials has new ones by then: EC2's metadata service provides them at least five minutes ahead
/// ("Retrieve security credentials from instance metadata").
const LATEST: Duration = Duration::from_secs(4 * 60);

/// Whether credentials will be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// They do not expire soon, or new ones are available.
    Good,
    /// They expire at this time, and no new ones are available.
    Expiring(Stamp),
}

/// Wraps another provider. The SDK's identity cache is in front of it and asks again shortly before the credentials expire.
#[derive(Debug, Clone)]
pub(super) struct WatchedCredentials {
    inner: SharedCredentialsProvider,
    expiry: Expiry,
    /// For credentials that expire at this time new ones were available.
    renewable: Expiry,
}

impl WatchedCredentials {
    pub(super) fn new(inner: SharedCredentialsProvider, expiry: Expiry) -> Self {
        Self { inner, expiry, renewable: Expiry::default() }
    }

    /// Tries shortly before the credentials expire whether new ones are available; once, if they are.
    pub(super) async fn outlook(&self, now: Stamp) -> Outlook {
        let Some(expiry) = self.expiry.get() else { return Outlook::Good };
        let left = expiry.since(now);
        if left > AHEAD || self.renewable.get() == Some(expiry) {
            return Outlook::Good;
        }
        match self.inner.provide_credentials().await {
            Ok(others) if others.expiry().is_none_or(|at| stamp(at) > expiry) => {
                self.renewable.set(Some(expiry));
                Outlook::Good
            }
            Ok(_) | Err(_) if left > LATEST => Outlook::Good,
            Ok(_) | Err(_) => Outlook::Expiring(expiry),
        }
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        let credentials = self.inner.provide_credentials().await?;
        let expiry = credentials.expiry().map(stamp);
        // The SDK's cache does arithmetic with the expiry, and overflows.
        if expiry.is_some_and(|expiry| plausible(expiry).is_none()) {
            return Err(CredentialsError::provider_error("the credentials expire at an impossible time"));
        }
        self.expiry.set(expiry);
        Ok(credentials)
    }
}

fn stamp(at: SystemTime) -> Stamp {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_secs(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
}

impl ProvideCredentials for WatchedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

// Where a profile's credentials come from, if that is a `credential_process`: we run the program ourselves, see `helper`. The SDK
// does everything else; for IAM Identity Center we note which profile must sign in, and for `aws login` we say what to do
// instead.
//
// What is resolved, and in which order, follows the SDK: `role_arn` with `source_profile` leads to that profile, whose own keys
// precede its own role; the last profile's `credential_process` counts if it has neither `credential_source`, nor a web identity,
// nor SSO, nor a login session.

/// The source of the credentials of the profile in use.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CredentialSource {
    Program(Chain),
    /// From this profile of IAM Identity Center.
    SignIn(String),
    /// From this profile of `aws login`.
    Login(String),
}

/// A program, and the roles that are assumed with its output, first to last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    command: String,
    roles: Vec<AssumedRole>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AssumedRole {
    arn: String,
    external_id: Option<String>,
    session_name: Option<String>,
}

/// A provider that replaces the SDK's, if the profile in use leads to a program or to IAM Identity Center. Keys of the environment
/// take precedence, as with the SDK.
pub(in crate::aws) async fn provider(
    config: &SdkConfig,
    helpers: &Helpers,
    session_name: &str,
) -> Option<SharedCredentialsProvider> {
    let profiles =
        load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None::<Cow<'static, str>>).await;
    // The SDK reports what is wrong with the files.
    let environment = || EnvironmentVariableCredentialsProvider::new();
    let Chain { command, roles } = match origin(&profiles.ok()?)? {
        CredentialSource::Program(chain) => chain,
        CredentialSource::Login(profile) => {
            let chain = CredentialsProviderChain::first_try("Environment", environment());
            return Some(SharedCredentialsProvider::new(chain.or_else("Profile", Login { profile })));
        }
        CredentialSource::SignIn(profile) => {
            let signed_in = SignedIn::new(config.credentials_provider()?, profile);
            return Some(SharedCredentialsProvider::new(signed_in));
        }
    };
    let mut provider = SharedCredentialsProvider::new(helpers.provider(&command));
    for AssumedRole { arn, external_id, session_name: named } in roles {
        let mut role = AssumeRoleProvider::builder(arn)
            .session_name(named.as_deref().unwrap_or(session_name))
            .configure(config);
        if let Some(id) = external_id {
            role = role.external_id(id);
        }
        provider = SharedCredentialsProvider::new(role.build_from_provider(provider).await);
    }
    let chain =
        CredentialsProviderChain::first_try("Environment", environment()).or_else("Profile", provider);
    Some(SharedCredentialsProvider::new(chain))
}

/// A profile of `aws login`, whose stored session is not read.
#[derive(Debug)]
struct Login {
    profile: String,
}

impl ProvideCredentials for Login {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let lack = NoCredentials::login(&self.profile);
        future::ProvideCredentials::ready(Err(CredentialsError::invalid_configuration(lack)))
    }
}

/// A profile of IAM Identity Center (`sso_session`, `sso_start_url`): a person signs in with `aws sso login`, and the SDK uses
/// the session until it expires. The SDK's errors name neither the profile nor the command; this adds both.
#[derive(Debug)]
struct SignedIn {
    inner: SharedCredentialsProvider,
    profile: String,
}

impl SignedIn {
    fn new(inner: SharedCredentialsProvider, profile: String) -> Self {
        Self { inner, profile }
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        self.inner.provide_credentials().await.map_err(|source| {
            if matches!(source, CredentialsError::ProviderError(_)) {
                CredentialsError::provider_error(SignInError::new(&self.profile, source))
            } else {
                source
            }
        })
    }
}

impl ProvideCredentials for SignedIn {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

/// The session of a profile gave no credentials.
#[derive(Debug)]
pub(in crate::aws) struct SignInError {
    /// The profile that must sign in.
    pub(in crate::aws) profile: String,
    source: CredentialsError,
}

impl SignInError {
    pub(in crate::aws) fn new(profile: &str, source: CredentialsError) -> Self {
        Self { profile: profile.to_owned(), source }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the session of the profile {} gave no credentials", self.profile)
    }
}

impl Error for SignInError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

fn origin(profiles: &ProfileSet) -> Option<CredentialSource> {
    let mut name = profiles.selected_profile();
    let mut visited = Vec::new();
    let mut roles = Vec::new();
    loop {
        let profile = profiles.get_profile(name)?;
        if visited.contains(&name) {
            return None;
        }
        visited.push(name);
        if visited.len() > 1 && profile.get("aws_access_key_id").is_some() {
            return None;
        }
        let role = profile.get("role_arn").filter(|_| profile.get("web_identity_token_file").is_none());
        let Some(arn) = role else { break };
        roles.push(AssumedRole {
            arn: arn.to_owned(),
            external_id: profile.get("external_id").map(str::to_owned),
            session_name: profile.get("role_session_name").map(str::to_owned),
        });
        match (profile.get("source_profile"), profile.get("credential_source")) {
            (Some(source), None) if source == name => break,
            (Some(source), None) => name = source,
            (None, Some(_)) | (Some(_), Some(_)) | (None, None) => return None,
        }
    }
    let profile = profiles.get_profile(name)?;
    let has = |keys: &[&str]| keys.iter().any(|key| profile.get(key).is_some());
    if has(&["credential_source", "web_identity_token_file"]) {
        None
    } else if has(&["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"]) {
        Some(CredentialSource::SignIn(name.to_owned()))
    } else if has(&["login_session"]) {
        Some(CredentialSource::Login(name.to_owned()))
    } else {
        let command = profile.get("credential_process")?.to_owned();
        roles.reverse();
        Some(CredentialSource::Program(Chain { command, roles }))
    }
}

#[cfg(test)]
mod tests {
    use aws_runtime::env_config::file::EnvConfigFileKind;

    use super::*;

    /// Provides credentials that expire at these times, one after the other, then the last again and again.
    #[derive(Debug)]
    struct Renewing(Mutex<Vec<u64>>);

    impl ProvideCredentials for Renewing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let mut times = self.0.lock().unwrap();
            let at = if times.len() > 1 { times.remove(0) } else { times[0] };
            let at = UNIX_EPOCH + Duration::from_secs(at);
            future::ProvideCredentials::ready(Ok(Credentials::new(
                "AKIDEXAMPLE",
                "s",
                None,
                Some(at),
                "test",
            )))
        }
    }

    const EXPIRY: u64 = 1_800_000_000;

    async fn watched(times: &[u64]) -> WatchedCredentials {
        let provider = SharedCredentialsProvider::new(Renewing(Mutex::new(times.to_vec())));
        let watched = WatchedCredentials::new(provider, Expiry::default());
        watched.provide_credentials().await.unwrap();
        watched
    }

    fn before(seconds: i64) -> Stamp {
        Stamp::from_secs(i64::try_from(EXPIRY).unwrap() - seconds)
    }

    #[tokio::test]
    async fn credentials_that_are_not_renewed_are_reported_some_minutes_before_they_expire() {
        let watched = watched(&[EXPIRY]).await;
        assert_eq!(watched.outlook(before(3600)).await, Outlook::Good);
        assert_eq!(watched.outlook(before(300)).await, Outlook::Good, "there is time yet");
        let expiring = Outlook::Expiring(before(0));
        assert_eq!(watched.outlook(before(240)).await, expiring);
        assert_eq!(watched.outlook(before(-60)).await, expiring, "they have expired");
    }

    #[tokio::test]
    async fn renewable_credentials_are_renewed_once_in_advance() {
        let watched = watched(&[EXPIRY, EXPIRY + 3600, EXPIRY]).await;
        assert_eq!(watched.outlook(before(600)).await, Outlook::Good);
        assert_eq!(watched.outlook(before(60)).await, Outlook::Good, "nobody is asked again");
        assert_eq!(watched.expiry.get(), Some(before(0)), "those in use stay in use");
    }

    #[tokio::test]
    async fn the_expiry_of_provided_credentials_is_remembered() {
        let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let provider = Credentials::new("AKIDEXAMPLE", "secret", None, Some(at), "test");
        let expiry = Expiry::default();
        let watched = WatchedCredentials::new(SharedCredentialsProvider::new(provider), expiry.clone());
        assert_eq!(expiry.get(), None);
        watched.provide_credentials().await.unwrap();
        assert_eq!(expiry.get(), Some(Stamp::from_secs(1_800_000_000)));
    }

    #[tokio::test]
    async fn credentials_that_expire_at_an_impossible_time_are_refused() {
        for seconds in [0, 5_000_000_000] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            let provider = Credentials::new("AKIDEXAMPLE", "secret", None, Some(at), "test");
            let watched =
                WatchedCredentials::new(SharedCredentialsProvider::new(provider), Expiry::default());
            assert!(watched.provide_credentials().await.is_err(), "{seconds}");
        }
    }

    async fn origin_of(selected: &str) -> Option<CredentialSource> {
        let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, CONFIG).build();
        let env = Env::from_slice(&[("AWS_PROFILE", selected)]);
        origin(&load(&Fs::from_slice(&[]), &env, &files, None).await.unwrap())
    }

    async fn of(selected: &str) -> Option<Chain> {
        match origin_of(selected).await? {
            CredentialSource::Program(chain) => Some(chain),
            CredentialSource::SignIn(_) | CredentialSource::Login(_) => None,
        }
    }

    const CONFIG: &str = "
[profile anywhere]
credential_process = /usr/bin/signer --key k
[profile vpn]
role_arn = arn:aws:iam::123456789012:role/vpn
role_session_name = milan
source_profile = hub
[profile hub]
role_arn = arn:aws:iam::210987654321:role/hub
external_id = secret-id
source_profile = anywhere
[profile itself]
role_arn = arn:aws:iam::123456789012:role/vpn
source_profile = itself
credential_process = signer
[profile keys]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = secret
[profile keyed]
role_arn = arn:aws:iam::123456789012:role/vpn
source_profile = both
[profile both]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = secret
credential_process = signer
[profile round]
role_arn = arn:aws:iam::123456789012:role/a
source_profile = trip
[profile trip]
role_arn = arn:aws:iam::123456789012:role/b
source_profile = round
[profile named]
credential_source = Environment
credential_process = signer
[profile sso]
sso_session = corp
credential_process = signer
[profile older]
sso_start_url = https://corp.awsapps.com/start
[profile login]
login_session = arn:aws:iam::123456789012:user/me
[profile through]
role_arn = arn:aws:iam::123456789012:role/vpn
source_profile = sso
";

    #[tokio::test]
    async fn a_profile_leads_to_its_program_and_through_its_sources_to_theirs() {
        let plain = of("anywhere").await.unwrap();
        assert_eq!((plain.command.as_str(), plain.roles), ("/usr/bin/signer --key k", Vec::new()));
        let chain = of("vpn").await.unwrap();
        let roles: Vec<&str> = chain.roles.iter().map(|role| role.arn.as_str()).collect();
        assert_eq!(chain.command, "/usr/bin/signer --key k");
        assert_eq!(roles, ["arn:aws:iam::210987654321:role/hub", "arn:aws:iam::123456789012:role/vpn"]);
        assert_eq!(chain.roles[0].external_id.as_deref(), Some("secret-id"));
        assert_eq!(chain.roles[1].session_name.as_deref(), Some("milan"));
        let itself = of("itself").await.unwrap();
        assert_eq!((itself.command.as_str(), itself.roles.len()), ("signer", 1));
        assert_eq!(of("both").await.unwrap().command, "signer", "as the SDK has it");
    }

    #[tokio::test]
    async fn everything_else_is_left_to_the_sdk() {
        for selected in ["keys", "keyed", "round", "named", "missing"] {
            assert_eq!(origin_of(selected).await, None, "{selected}");
        }
    }

    #[tokio::test]
    async fn the_identity_center_profile_that_must_sign_in_is_known() {
        for (selected, profile) in [("sso", "sso"), ("older", "older"), ("through", "sso")] {
            assert_eq!(
                origin_of(selected).await,
                Some(CredentialSource::SignIn(profile.to_owned())),
                "{selected}"
            );
        }
        assert_eq!(origin_of("login").await, Some(CredentialSource::Login("login".to_owned())));
    }
}
