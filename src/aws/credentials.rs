//! Credentials: where they come from and why there are none, when those in use will expire, for the metric that says so, and ahead
//! of that time whether there will be others.

pub(super) mod helper;
pub(super) mod lack;
pub(super) mod profile;
pub(super) mod sts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::guard::plausible;
use crate::domain::time::Stamp;

/// When the credentials loaded last will expire; `None` before they are loaded, or if they never will.
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

/// So long before the credentials expire it is tried whether others can be had.
const AHEAD: Duration = Duration::from_secs(15 * 60);
/// Whatever renews credentials at all has others by now: EC2's metadata service has them at least five minutes ahead
/// ("Retrieve security credentials from instance metadata").
const LATEST: Duration = Duration::from_secs(4 * 60);

/// What will become of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// They do not expire soon, or others can be had.
    Good,
    /// They expire at this time, and no others can be had.
    Expiring(Stamp),
}

/// Passes on what another provider provides. The SDK's identity cache stands before it and asks again shortly before
/// the credentials expire.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    inner: SharedCredentialsProvider,
    expiry: Expiry,
    /// Others could be had for those that expire at this time.
    renewable: Expiry,
}

impl Watched {
    pub(super) fn new(inner: SharedCredentialsProvider, expiry: Expiry) -> Self {
        Self { inner, expiry, renewable: Expiry::default() }
    }

    /// Tries shortly before the credentials expire whether others can be had, once if they can.
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
        // The SDK's cache reckons with it, and overflows.
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

impl ProvideCredentials for Watched {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Provides credentials that expire at these times, one after the other, and then the last of them.
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

    async fn watched(times: &[u64]) -> Watched {
        let provider = SharedCredentialsProvider::new(Renewing(Mutex::new(times.to_vec())));
        let watched = Watched::new(provider, Expiry::default());
        watched.provide_credentials().await.unwrap();
        watched
    }

    fn before(seconds: i64) -> Stamp {
        Stamp::from_secs(i64::try_from(EXPIRY).unwrap() - seconds)
    }

    #[tokio::test]
    async fn credentials_that_nobody_renews_are_seen_to_expire_some_minutes_ahead() {
        let watched = watched(&[EXPIRY]).await;
        assert_eq!(watched.outlook(before(3600)).await, Outlook::Good);
        assert_eq!(watched.outlook(before(300)).await, Outlook::Good, "there is time yet");
        let expiring = Outlook::Expiring(before(0));
        assert_eq!(watched.outlook(before(240)).await, expiring);
        assert_eq!(watched.outlook(before(-60)).await, expiring, "they have expired");
    }

    #[tokio::test]
    async fn credentials_that_can_be_had_anew_are_asked_for_once_ahead() {
        let watched = watched(&[EXPIRY, EXPIRY + 3600, EXPIRY]).await;
        assert_eq!(watched.outlook(before(600)).await, Outlook::Good);
        assert_eq!(watched.outlook(before(60)).await, Outlook::Good, "nobody is asked again");
        assert_eq!(watched.expiry.get(), Some(before(0)), "those in use stay in use");
    }

    #[tokio::test]
    async fn the_expiry_of_what_was_provided_is_remembered() {
        let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let provider = Credentials::new("AKIDEXAMPLE", "secret", None, Some(at), "test");
        let expiry = Expiry::default();
        let watched = Watched::new(SharedCredentialsProvider::new(provider), expiry.clone());
        assert_eq!(expiry.get(), None);
        watched.provide_credentials().await.unwrap();
        assert_eq!(expiry.get(), Some(Stamp::from_secs(1_800_000_000)));
    }

    #[tokio::test]
    async fn credentials_that_expire_at_an_impossible_time_are_refused() {
        for seconds in [0, 5_000_000_000] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            let provider = Credentials::new("AKIDEXAMPLE", "secret", None, Some(at), "test");
            let watched = Watched::new(SharedCredentialsProvider::new(provider), Expiry::default());
            assert!(watched.provide_credentials().await.is_err(), "{seconds}");
        }
    }
}
