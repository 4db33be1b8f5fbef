#!/usr/bin/env bash
# aws-config says of a profile of IAM Identity Center without a session only "failed to load the cached SSO token": the error has its cause
# (which file, that it is not there) in the deprecated Error::cause() and not in source(), so whoever walks the chain finds nothing
# below it. The older form of the profile (sso_start_url) does tell the file. Neither names the profile or `aws sso login`.
#
# Needs cargo. Nothing is sent.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2024"

[dependencies]
aws-config = { version = "=1.13.0", default-features = false, features = ["rt-tokio", "sso"] }
aws-credential-types = "=1.3.1"
aws-smithy-runtime-api = { version = "=1.20.0", features = ["client"] }
tokio = { version = "1", features = ["macros", "rt"] }

[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

#[derive(Debug)]
struct Nowhere;

impl HttpConnector for Nowhere {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user("nothing is sent".into())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = http_client_fn(|_: &HttpConnectorSettings, _: &RuntimeComponents| SharedHttpConnector::new(Nowhere));
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(client).load().await;
    let error = config.credentials_provider().unwrap().provide_credentials().await.unwrap_err();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        println!("{error}");
        next = error.source();
    }
}
RUST
cat >config <<'CONF'
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile ops]
region = eu-west-1
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Ops
[profile older]
region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = Ops
CONF
cargo -q build
echo "version:   aws-config 1.13.0"
echo "behaviour: the chain of a missing SSO session ends before its cause"
for profile in ops older; do
    env -i PATH="$PATH" HOME="$dir" AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=config AWS_PROFILE="$profile" \
        target/debug/seen | sed "s|$dir|HOME|" >"$profile"
    echo "seen:      $profile: $(paste -sd '|' "$profile" | sed 's/|/ | /g')"
done
if [[ "$(tail -n 1 ops)" == "failed to load the cached SSO token" && "$(tail -n 1 older)" == *"No such file"* ]] \
    && grep -q "HOME/.aws/sso/cache" older && ! grep -q "sso/cache" ops; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
