#!/usr/bin/env bash
# hyper-util's proxy matcher reads HTTPS_PROXY before https_proxy and takes the first that is set, even to nothing: an empty HTTPS_PROXY
# hides a good https_proxy. And a value that is no URI (a space too many) is dropped without an error. Both mean "no proxy": the
# connection goes out directly, past a proxy that somebody has named.
#
# Needs cargo.
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
http = "=1.4.0"
hyper-util = { version = "=0.1.21", features = ["client-proxy"] }
TOML
cat >src/main.rs <<'RUST'
use hyper_util::client::proxy::matcher::Matcher;

fn main() {
    let to = http::Uri::from_static("https://monitoring.eu-west-1.amazonaws.com/");
    match Matcher::from_env().intercept(&to) {
        Some(proxy) => println!("by {}", proxy.uri()),
        None => println!("directly"),
    }
}
RUST
cargo -q build
echo "version:   hyper-util $(cargo -q metadata --format-version 1 | grep -oE '"name":"hyper-util","version":"[^"]*"' | cut -d'"' -f8)"
echo "behaviour: an empty variable hides the other spelling; a value that is no URI is dropped silently"
GOOD=http://proxy.example:3128
goes() { env -i PATH="$PATH" "$@" target/debug/seen; }
plain=$(goes "https_proxy=$GOOD")
empty=$(goes HTTPS_PROXY= "https_proxy=$GOOD")
spaced=$(goes "HTTPS_PROXY= $GOOD")
echo "seen:      https_proxy=$GOOD: $plain"
echo "           HTTPS_PROXY= and https_proxy=$GOOD: $empty"
echo "           HTTPS_PROXY=' $GOOD': $spaced"
if [[ "$plain" == "by $GOOD/" && "$empty" == directly && "$spaced" == directly ]]; then
    echo "as found"
else
    echo "changed: see above" >&2
    exit 1
fi
