//! Which records are written.

use std::error::Error;
use std::fmt;

use log::{Level, LevelFilter};

/// The lowest level for libraries, whatever level is set: below it the AWS SDK logs requests and answers with their bodies,
/// including credentials and pre-shared keys, and tracing's spans have the same as fields.
pub(super) const FOREIGN_LEVEL: LevelFilter = LevelFilter::Warn;

/// Never written at any level: the AWS SDK's warnings contain whole answers, and STS quotes the session token in one. Our own
/// records report the failure.
const NEVER_WRITTEN: [&str; 2] = ["aws_", "tracing::span"];

/// The variables that set the level; the first that is set wins.
const VARIABLES: [&str; 2] = ["BOTHENDS_LOG", "RUST_LOG"];

/// The level asked for by BOTHENDS_LOG or RUST_LOG: `off`, `error`, `warn`, `info`, `debug` or `trace`; `info` if neither
/// is set.
///
/// # Errors
/// The variable is set to something else.
pub fn level_from_env() -> Result<LevelFilter, LevelError> {
    level_from(|variable| std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned()))
}

/// A variable that sets no level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelError {
    variable: &'static str,
    found: String,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, found } = self;
        write!(f, "{variable} is {found:?}; it takes off, error, warn, info, debug or trace")
    }
}

impl Error for LevelError {}

pub(super) fn passes(level: LevelFilter, record: Level, target: &str) -> bool {
    if is_ours(target) {
        record <= level
    } else {
        record <= level.min(FOREIGN_LEVEL) && !NEVER_WRITTEN.iter().any(|start| target.starts_with(start))
    }
}

fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}

fn level_from(variable: impl Fn(&str) -> Option<String>) -> Result<LevelFilter, LevelError> {
    let set = VARIABLES
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value)));
    match set {
        None => Ok(LevelFilter::Info),
        Some((variable, value)) => value.parse().map_err(|_| LevelError { variable, found: value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_silent_below_warn_at_every_level() {
        for target in ["hyper_util", "rustls", "surge_ping"] {
            for level in [LevelFilter::Info, LevelFilter::Debug, LevelFilter::Trace] {
                assert!(passes(level, Level::Warn, target), "{target} at {level}");
                assert!(!passes(level, Level::Info, target), "{target} at {level}");
                assert!(!passes(level, Level::Trace, target), "{target} at {level}");
            }
            assert!(!passes(LevelFilter::Error, Level::Warn, target), "{target}");
        }
    }

    #[test]
    fn the_aws_sdk_is_silent_at_every_level() {
        for target in
            ["aws_config::meta::credentials::chain", "aws_smithy_runtime::client", "tracing::span::active"]
        {
            for level in [LevelFilter::Error, LevelFilter::Info, LevelFilter::Debug, LevelFilter::Trace] {
                assert!(!passes(level, Level::Error, target), "{target} at {level}");
            }
        }
    }

    #[test]
    fn our_own_records_follow_the_level() {
        assert!(passes(LevelFilter::Info, Level::Info, "bothends"));
        assert!(!passes(LevelFilter::Info, Level::Debug, "bothends::driver"));
        assert!(passes(LevelFilter::Trace, Level::Trace, "bothends::driver"));
        assert!(!passes(LevelFilter::Trace, Level::Trace, "bothends_elsewhere"));
    }

    #[test]
    fn the_level_comes_from_our_variable_before_the_common_one() {
        let set = |name: &str| match name {
            "BOTHENDS_LOG" => Some("debug".to_owned()),
            _ => Some("error".to_owned()),
        };
        assert_eq!(level_from(set), Ok(LevelFilter::Debug));
        assert_eq!(level_from(|_| None), Ok(LevelFilter::Info));
    }

    #[test]
    fn an_invalid_level_is_rejected_with_a_text() {
        let refused = level_from(|name| (name == "RUST_LOG").then(|| "bothends=debug".to_owned()));
        assert_eq!(
            refused.map_err(|error| error.to_string()),
            Err(r#"RUST_LOG is "bothends=debug"; it takes off, error, warn, info, debug or trace"#.to_owned())
        );
    }
}
