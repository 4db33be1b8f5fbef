//! Credentials of a profile of IAM Identity Center (`sso_session`, `sso_start_url`): somebody signs in with `aws sso login`, and the
//! SDK uses the session until it is over. Its errors name neither the profile nor the command.

use std::error::Error;
use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// Passes on what the SDK's provider provides, and says whose session it is when that fails.
#[derive(Debug)]
pub(super) struct SignedIn {
    inner: SharedCredentialsProvider,
    profile: String,
}

impl SignedIn {
    pub(super) fn new(inner: SharedCredentialsProvider, profile: String) -> Self {
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
pub(super) struct SignInError {
    /// The profile to sign in with.
    pub(super) profile: String,
    source: CredentialsError,
}

impl SignInError {
    pub(super) fn new(profile: &str, source: CredentialsError) -> Self {
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
