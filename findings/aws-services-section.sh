#!/usr/bin/env bash
# Incident Manager's key in a [services] section of ~/.aws/config is another one in each SDK: Rust's takes "ssm-incidents" and ignores
# "ssm_incidents", which is the key of AWS's SDKs and Tools guide and the only one that botocore takes. So one file cannot
# send both to an endpoint, except with both keys; of the key that is ignored neither says a word. The variable
# AWS_ENDPOINT_URL_SSM_INCIDENTS is the same for both.
#
# Needs cargo, python3 and pip. Nothing is sent.
set -euo pipefail
BOTOCORE=1.44.8

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
aws-config = { version = "=1.13.0", default-features = false, features = ["rt-tokio"] }
aws-runtime = "=1.10.2"
aws-sdk-ssmincidents = { version = "=1.119.0", default-features = false, features = ["rt-tokio"] }
aws-smithy-runtime-api = { version = "=1.20.0", features = ["client", "http-1x"] }
tokio = { version = "1", features = ["macros", "rt"] }

[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Prints where a request would go.
#[derive(Debug)]
struct Nowhere;

impl HttpConnector for Nowhere {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        println!("{}", request.uri());
        HttpConnectorFuture::ready(Err(ConnectorError::user("nothing is sent".into())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = http_client_fn(|_: &HttpConnectorSettings, _: &RuntimeComponents| SharedHttpConnector::new(Nowhere));
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(client)
        .test_credentials()
        .load()
        .await;
    _ = aws_sdk_ssmincidents::Client::new(&config).list_replication_sets().send().await;
}
RUST
cat >seen.py <<'PY'
import botocore.session
print(botocore.session.Session().create_client("ssm-incidents").meta.endpoint_url)
PY
for key in ssm_incidents ssm-incidents; do
    printf '[default]\nregion = eu-west-1\nservices = own\n[services own]\n%s =\n  endpoint_url = http://own.example\n' "$key" >"$key"
done
cargo -q build
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install "botocore==$BOTOCORE"

alone() { env -i PATH="$PATH" HOME="$dir" AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret "$@"; }
rust() { alone "$@" target/debug/seen | head -n 1; }
python() { alone "$@" venv/bin/python seen.py; }
echo "version:   aws-config 1.13.0, aws-runtime 1.10.2, botocore $BOTOCORE"
echo "behaviour: Rust's SDK obeys ssm-incidents only, botocore ssm_incidents only"
seen=""
for key in ssm_incidents ssm-incidents; do
    of_rust=$(rust AWS_CONFIG_FILE="$key")
    of_python=$(python AWS_CONFIG_FILE="$key")
    echo "seen:      $key: Rust $of_rust, botocore $of_python"
    for of in "$of_rust" "$of_python"; do [[ "$of" == http://own.example* ]] && seen+="own " || seen+="aws "; done
done
variable=(AWS_CONFIG_FILE=none AWS_DEFAULT_REGION=eu-west-1 AWS_REGION=eu-west-1 AWS_ENDPOINT_URL_SSM_INCIDENTS=http://own.example)
of_rust=$(rust "${variable[@]}")
of_python=$(python "${variable[@]}")
echo "           the variable: Rust $of_rust, botocore $of_python"
for of in "$of_rust" "$of_python"; do [[ "$of" == http://own.example* ]] && seen+="own " || seen+="aws "; done
if [[ "$seen" == "aws own own aws own own " ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
