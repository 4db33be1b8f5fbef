//! Connections to AWS: one [`AwsConnection`] per Region and role, each with its clients.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::budget::{Budgets, SharedBudget};
use super::by_hand;
use super::by_hand::Api;
use super::by_hand::ByHand;
use super::credentials::helper::{self, Helpers};
use super::credentials::lack::Explained;
use super::credentials::{self, Expiry, Outlook, WatchedCredentials};
use super::errors::Failure;
use super::exchange::OPERATION_TIMEOUT;
use super::guard::{BodyFormat, Guarded};
use super::http::{self, Http, HttpSettingsError};
use super::timing::{AwsClock, ClockWatch};
use crate::clock;
use crate::domain::names::AwsPlace;
use crate::domain::time::{Moment, Stamp};
use crate::outbound::{Dialer, KeyExchange};
use crate::process::environment;

/// Limit on TCP connect and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit from the request to the answer's headers.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on one attempt, body included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer about metrics: as many tunnels as one call may have, over the longest period.
const LONGEST_METRICS: usize = 1 << 20;
/// The longest page: a hundred records with the longest titles and sources.
const LONGEST_RECORDS: usize = 512 * 1024;
/// The longest other answer. Calls made by hand have narrower limits of their own; credentials take some kilobytes.
const LONGEST_ANSWER: usize = 8 << 20;
/// Limit on loading credentials: for a program, and for the role that is assumed with its output.
const CREDENTIALS_TIMEOUT: Duration = helper::LIMIT.saturating_add(Duration::from_secs(5));
/// Credentials read this recently are not read again: many refused calls at once cause one read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Attempts at STS and the credential services, which the SDK calls itself: the second attempt corrects a wrong clock of ours.
const CREDENTIAL_ATTEMPTS: u32 = 2;

/// A variable that redirects a service to another host, or has a proxy do the name lookup.
const LEADS_ELSEWHERE: [&str; 5] =
    ["AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "HTTPS_PROXY", "ALL_PROXY"];

/// The settings of a connection besides the SDK's own chain (environment, profiles, containers, IMDS).
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// The site's name; part of the session name of assumed roles.
    pub site: Arc<str>,
    /// `AWS_CA_BUNDLE`: replaces the system's trusted authorities.
    pub ca_bundle: Option<PathBuf>,
    /// One endpoint for every service; overrides the chain's.
    pub endpoint_url: Option<String>,
    /// Credentials; override the chain's.
    pub credentials: Option<StaticCredentials>,
    /// The TLS key exchange.
    pub key_exchange: KeyExchange,
}

/// Credentials given by value.
#[derive(Clone)]
pub struct StaticCredentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl ConnectionSettings {
    /// The settings of the environment, with the site's name.
    pub fn from_env(site: impl Into<Arc<str>>) -> Self {
        let ca_bundle = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let key_exchange = KeyExchange::default();
        Self { site: site.into(), ca_bundle, endpoint_url: None, credentials: None, key_exchange }
    }
}

/// All connections to AWS; cheap to clone.
#[derive(Debug, Clone)]
pub struct AwsConnections(Arc<ConnectionsInner>);

#[derive(Debug)]
struct ConnectionsInner {
    settings: ConnectionSettings,
    http: Http,
    clock: ClockWatch,
    helpers: Helpers,
    budgets: Budgets,
    open: Mutex<BTreeMap<AwsPlace, Arc<OnceCell<Arc<AwsConnection>>>>>,
}

impl AwsConnections {
    /// Reads what must be valid at the start; opens no connection.
    ///
    /// # Errors
    /// If the CA bundle is unusable, or no authority is trusted without one. A person must act.
    pub fn load(settings: ConnectionSettings) -> Result<Self, HttpSettingsError> {
        let environment = environment();
        let tls = http::speaks_tls(settings.endpoint_url.as_deref(), &environment);
        let http = http::client(settings.ca_bundle.as_deref(), tls, settings.key_exchange, &environment)?;
        Ok(Self(Arc::new(ConnectionsInner {
            settings,
            http,
            clock: ClockWatch::default(),
            helpers: Helpers::default(),
            budgets: Budgets::default(),
            open: Mutex::default(),
        })))
    }

    /// The earliest expiry of the credentials in use, if any of them expire.
    pub fn credentials_expiry(&self) -> Option<Stamp> {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().filter_map(|cell| cell.get()).filter_map(|connection| connection.expiry.get()).min()
    }

    /// The dialer, shared with the webhooks.
    pub fn dialer(&self) -> &Arc<Dialer> {
        self.0.http.dialer()
    }

    /// What connections had to give up since the last call, in an operator's words. It is in the journal, too.
    pub fn notices(&self) -> Vec<String> {
        self.0.http.notices()
    }

    /// Whether the credentials in use can be renewed, by role; `None` is the daemon's own identity.
    pub async fn outlooks(&self, now: Stamp) -> BTreeMap<Option<Arc<str>>, Outlook> {
        let connections: Vec<_> = {
            let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.values().filter_map(|cell| cell.get()).map(Arc::clone).collect()
        };
        let mut outlooks = BTreeMap::new();
        for connection in connections {
            let Some(watched) = &connection.watched else { continue };
            let outlook = watched.outlook(now).await;
            let worst = outlooks.entry(connection.place.role_arn.clone()).or_insert(outlook);
            if outlook != Outlook::Good {
                *worst = outlook;
            }
        }
        outlooks
    }

    /// AWS's clock, by the Date of its last answer.
    pub fn clock(&self) -> Option<AwsClock> {
        self.0.clock.get()
    }

    /// The Region of the SDK's own chain, if it names one.
    pub async fn default_region(&self) -> Option<Arc<str>> {
        self.at(&AwsPlace { region: None, role_arn: None }).await.place.region.clone()
    }

    /// Checks that there are credentials for calling a service (`ssm`, `sns`, …) now. Returns the host whose name will be looked
    /// up, if known. Calls AWS only if the source of the credentials does.
    ///
    /// # Errors
    /// What prevents a call, in an operator's words.
    pub async fn prepare(&self, service: &str, place: &AwsPlace) -> Result<Option<String>, String> {
        let connection = self.at(place).await;
        let place = &connection.place;
        let Some(credentials) = &connection.credentials else {
            return Err(format!("there are no credentials for AWS {place}"));
        };
        match timeout(OPERATION_TIMEOUT, credentials.provide_credentials()).await {
            Ok(Ok(_)) => Ok(place.region.as_deref().and_then(|region| host(service, region))),
            Ok(Err(error)) => {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                Err(format!("the credentials for AWS {place} do not work: {why}"))
            }
            Err(_) => {
                let seconds = OPERATION_TIMEOUT.as_secs();
                Err(format!("the credentials for AWS {place} did not come within {seconds} s"))
            }
        }
    }

    /// The connection for a place; loaded at the first use.
    pub(super) async fn at(&self, place: &AwsPlace) -> Arc<AwsConnection> {
        let cell = {
            let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(place.clone()).or_default())
        };
        Arc::clone(cell.get_or_init(|| self.connect(place)).await)
    }

    /// The connection for a place, with freshly read credentials.
    pub(super) async fn at_anew(&self, place: &AwsPlace) -> Arc<AwsConnection> {
        let present = self.at(place).await;
        self.forget(&present);
        self.at(place).await
    }

    /// The budget of a service in a place's Region.
    pub(super) fn budget(&self, service: &'static str, place: &AwsPlace) -> Arc<SharedBudget> {
        self.0.budgets.of(service, place.region.clone())
    }

    fn forget(&self, stale: &Arc<AwsConnection>) {
        if clock::now().mono.since(stale.loaded) >= READ_AGAIN_AFTER {
            let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, cell| cell.get().is_none_or(|connection| !Arc::ptr_eq(connection, stale)));
        }
    }

    /// Forgets a connection whose credentials were not accepted: the SDK reads a profile's keys once and keeps them, while agents
    /// that rotate keys rewrite the file. Returns whether new ones may well be accepted, because these were until now.
    pub(super) fn renew_after(&self, failure: &Failure, stale: &Arc<AwsConnection>) -> bool {
        if !failure.is_about_credentials() {
            return false;
        }
        self.forget(stale);
        stale.was_accepted.load(Ordering::Relaxed)
    }

    async fn connect(&self, place: &AwsPlace) -> Arc<AwsConnection> {
        let expiry = Expiry::default();
        let chain = self.chain(place).await;
        let provider = match &place.role_arn {
            Some(role) => Some(self.role(role, &chain).await),
            None => chain.credentials_provider(),
        };
        let watched = provider.map(|inner| WatchedCredentials::new(inner, expiry.clone()));
        let credentials = watched.clone().map(SharedCredentialsProvider::new);
        let mut config = chain.into_builder();
        config.set_credentials_provider(credentials.clone());
        let config = config
            .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build())
            .retry_config(RetryConfig::disabled())
            .build();
        let place = AwsPlace {
            // An empty variable is no Region.
            region: config.region().map(Region::as_ref).filter(|region| !region.is_empty()).map(Arc::from),
            role_arn: place.role_arn.clone(),
        };
        let clock = &self.0.clock;
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(&config)
            .http_client(Guarded::client(self.0.http.clone(), LONGEST_METRICS, BodyFormat::Cbor))
            .interceptor(clock.clone());
        let incidents = aws_sdk_ssmincidents::config::Builder::from(&config)
            .http_client(Guarded::client(self.0.http.clone(), LONGEST_RECORDS, BodyFormat::Json))
            .interceptor(clock.clone());
        let incidents = match by_hand::incident_manager_endpoint(&config) {
            Some(url) => incidents.endpoint_url(url),
            None => incidents,
        };
        let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(clock.clone());
        Arc::new(AwsConnection {
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            incidents: aws_sdk_ssmincidents::Client::from_conf(incidents.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            by_hand: Mutex::default(),
            config,
            clock: clock.clone(),
            place,
            credentials,
            watched,
            expiry,
            was_accepted: AtomicBool::new(false),
            loaded: clock::now().mono,
        })
    }

    /// The SDK's default chain, with the overrides of the settings.
    async fn chain(&self, place: &AwsPlace) -> SdkConfig {
        let settings = &self.0.settings;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(Guarded::client(self.0.http.clone(), LONGEST_ANSWER, BodyFormat::Any))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(CREDENTIAL_ATTEMPTS));
        if let Ok(name) = AppName::new("bothends") {
            loader = loader.app_name(name);
        }
        if let Some(region) = &place.region {
            loader = loader.region(Region::new(region.to_string()));
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(given) = &settings.credentials {
            let StaticCredentials { access_key_id, secret_access_key, session_token } = given.clone();
            loader = loader.credentials_provider(Credentials::new(
                access_key_id,
                secret_access_key,
                session_token,
                None,
                "settings",
            ));
        }
        let config = loader.load().await;
        if settings.credentials.is_some() {
            return config;
        }
        let session = session_name(&settings.site);
        let ours = credentials::provider(&config, &self.0.helpers, &session).await;
        match ours.or_else(|| config.credentials_provider()) {
            Some(provider) => {
                let explained = SharedCredentialsProvider::new(Explained::new(provider));
                config.into_builder().credentials_provider(explained).build()
            }
            None => config,
        }
    }

    async fn role(&self, role: &str, chain: &SdkConfig) -> SharedCredentialsProvider {
        let provider = AssumeRoleProvider::builder(role)
            .session_name(session_name(&self.0.settings.site))
            .configure(chain)
            .build()
            .await;
        SharedCredentialsProvider::new(provider)
    }
}

/// The clients of one Region and role. Each remembers how far our clock is off.
#[derive(Debug)]
pub(super) struct AwsConnection {
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) incidents: aws_sdk_ssmincidents::Client,
    pub(super) sts: aws_sdk_sts::Client,
    /// The clients of calls made by hand, by the service's id.
    by_hand: Mutex<BTreeMap<&'static str, Arc<ByHand>>>,
    config: SdkConfig,
    clock: ClockWatch,
    /// Includes the Region of the chain, if none was given.
    pub(super) place: AwsPlace,
    pub(super) credentials: Option<SharedCredentialsProvider>,
    watched: Option<WatchedCredentials>,
    expiry: Expiry,
    was_accepted: AtomicBool,
    /// When it was made; its credentials were read then or later.
    loaded: Moment,
}

impl AwsConnection {
    /// The client of a service that is called by hand, always the same one; `None` without a Region.
    pub(super) fn by_hand(&self, api: &'static Api) -> Option<Arc<ByHand>> {
        let mut clients = self.by_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(api.service_id) {
            return Some(Arc::clone(client));
        }
        let client = Arc::new(ByHand::new(api, &self.config, self.place.clone(), self.clock.clone())?);
        clients.insert(api.service_id, Arc::clone(&client));
        Some(client)
    }

    /// Notes that AWS accepted its credentials.
    pub(super) fn accepted(&self) {
        self.was_accepted.store(true, Ordering::Relaxed);
    }
}

/// The service's host, unless a variable redirects it.
fn host(service: &str, region: &str) -> Option<String> {
    let leads_elsewhere = |name: &str| {
        let name = name.to_ascii_uppercase();
        LEADS_ELSEWHERE.contains(&name.as_str()) || name.starts_with("AWS_ENDPOINT_URL_")
    };
    if environment().iter().any(|(name, value)| !value.is_empty() && leads_elsewhere(name)) {
        return None;
    }
    by_hand::regional(service, region, false, false).strip_prefix("https://").map(str::to_owned)
}

/// `bothends-<site>`, in the characters and length that STS allows (`RoleSessionName` of AssumeRole: `[\w+=,.@-]{2,64}`).
fn session_name(site: &str) -> String {
    format!("bothends-{site}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' })
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_the_site_within_what_sts_takes() {
        assert_eq!(session_name("milan-1"), "bothends-milan-1");
        assert_eq!(session_name("Zürich / Süd"), "bothends-Z-rich---S-d");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn given_credentials_do_not_show_their_secret() {
        let credentials = StaticCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI".to_owned(),
            session_token: Some("token".to_owned()),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("AKIDEXAMPLE") && !shown.contains("wJalr") && !shown.contains("token"));
    }
}
