//! Remembers when the credentials in use will expire, for the metric that says so.

use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

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

/// Passes on what another provider provides. The SDK's identity cache stands before it and asks again shortly before
/// the credentials expire.
#[derive(Debug)]
pub(super) struct Watched {
    inner: SharedCredentialsProvider,
    expiry: Expiry,
}

impl Watched {
    pub(super) fn new(inner: SharedCredentialsProvider, expiry: Expiry) -> Self {
        Self { inner, expiry }
    }

    async fn provide(&self) -> aws_credential_types::provider::Result {
        let credentials = self.inner.provide_credentials().await?;
        self.expiry.set(credentials.expiry().map(|at| {
            let since_epoch = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Stamp::from_secs(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
        }));
        Ok(credentials)
    }
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
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

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
}
