//! What a call will need, tried while nothing is to be called: credentials, and the name of the service's host. AWS is asked for no
//! more than the credentials' own source asks it for.

use std::error::Error as _;
use std::sync::Arc;

use aws_credential_types::provider::ProvideCredentials as _;
use tokio::time::timeout;

use super::connection::{AwsConnections, OPERATION_TIMEOUT, Place};
use super::endpoint::regional;
use crate::process::environment;

/// A variable that leads to another host than the service's usual one, or has a proxy look its name up.
const LEADS_ELSEWHERE: [&str; 5] =
    ["AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "HTTPS_PROXY", "ALL_PROXY"];

impl AwsConnections {
    /// Whether there are credentials for calling a service (`ssm`, `sns`, …) now. Returns the host whose name will be looked
    /// up then, where that is known.
    ///
    /// # Errors
    /// What is in the way, in an operator's words.
    pub async fn prepare(
        &self,
        service: &str,
        region: Option<Arc<str>>,
        role_arn: Option<Arc<str>>,
    ) -> Result<Option<String>, String> {
        let connection = self.at(&Place { region, role_arn }).await;
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
}

/// The service's host, where nothing leads elsewhere.
fn host(service: &str, region: &str) -> Option<String> {
    let leads_elsewhere = |name: &str| {
        let name = name.to_ascii_uppercase();
        LEADS_ELSEWHERE.contains(&name.as_str()) || name.starts_with("AWS_ENDPOINT_URL_")
    };
    if environment().iter().any(|(name, value)| !value.is_empty() && leads_elsewhere(name)) {
        return None;
    }
    regional(service, region, false, false).strip_prefix("https://").map(str::to_owned)
}
