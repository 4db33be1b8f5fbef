//! `bothends check --aws`: tries what the configuration needs.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use super::super::interrupt;
use super::needs::needs;
use super::report;
use crate::aws::{AwsConnections, ConnectionSettings, trial};
use crate::config::Config;
use crate::process::Exit;

pub(super) fn run(config: &Config) -> Exit {
    let runtime = match interrupt::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let settings = ConnectionSettings::from_env(Arc::clone(&config.plan.site));
    let settings = ConnectionSettings { key_exchange: config.aws.key_exchange, ..settings };
    let connections = match AwsConnections::load(settings) {
        Ok(connections) => connections,
        Err(error) => {
            complain!("{error}");
            return Exit::Configuration;
        }
    };
    let trials = trial::run(&connections, needs(config, &nonce()));
    let outcomes = match interrupt::unless_interrupted(runtime, trials) {
        Ok(outcomes) => outcomes,
        Err(exit) => return exit,
    };
    let (mut text, exit) = report::render(&outcomes);
    text.extend(report::untried(config));
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => exit,
        Err(error) => {
            complain!("cannot print what AWS said: {error}");
            Exit::BadNews
        }
    }
}

/// A random UUID (RFC 9562, section 5.4), as the ids of records are.
fn nonce() -> String {
    let half = |half: &str| RandomState::new().hash_one(half);
    let (high, low) = (half("high"), half("low"));
    let digits = format!("{high:016x}{low:016x}");
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_the_form_of_a_records_id_and_comes_once() {
        let nonce = nonce();
        let lengths: Vec<_> = nonce.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{nonce}");
        assert!(nonce.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{nonce}");
        assert_ne!(nonce, super::nonce());
    }
}
