//! `bothends check --aws`: tries what the configuration needs.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use super::needs::needs;
use super::report;
use crate::aws::{AwsConnections, AwsSettings, trial};
use crate::config::Config;
use crate::process::Exit;

pub(super) fn run(config: &Config) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return Exit::Internal;
        }
    };
    let settings = AwsSettings::from_env(Arc::clone(&config.plan.site));
    let connections = match AwsConnections::load(settings) {
        Ok(connections) => connections,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Configuration;
        }
    };
    let outcomes = runtime.block_on(trial::run(&connections, needs(config, &nonce())));
    let (text, exit) = report::render(&outcomes);
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => exit,
        Err(error) => {
            eprintln!("cannot print what AWS said: {error}");
            Exit::BadNews
        }
    }
}

/// 32 digits that are in nobody's name for anything.
fn nonce() -> String {
    let half = |half: &str| RandomState::new().hash_one(half);
    format!("{:016x}{:016x}", half("first"), half("second"))
}
