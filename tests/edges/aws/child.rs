//! A poll in a process of its own, with an environment of its own: the SDK reads the process's environment, and a
//! logger belongs to a whole process.
//!
//! The child is this test binary, running only [`a_child_polls_once_if_it_is_one`].

use std::path::Path;
use std::process::Command;

use bothends::aws::{AwsConnections, ConnectionSettings};
use bothends::domain::names::{AwsPlace, SourceId, SourceKind};

use super::{Polling, REGION};

/// The child's task: `cloudwatch` or `ec2`. Without it this is not a child.
const TASK: &str = "BOTHENDS_TEST_CHILD";
/// For the environment of a child that leaves the Region to the SDK's chain.
pub(super) const REGION_OF_CHAIN: (&str, &str) = ("BOTHENDS_TEST_REGION_OF_CHAIN", "1");
/// Set if the child prints every log record, at every level.
const TRACE: &str = "BOTHENDS_TEST_TRACE";

/// Polls this source once, with exactly this environment, and returns what the child printed.
pub(super) fn polls(kind: SourceKind, home: &Path, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws::child::a_child_polls_once_if_it_is_one", "--nocapture"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(TASK, kind.as_str())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(printed.contains("event: "), "the child failed: {printed}");
    printed
}

/// The same with every log record.
pub(super) fn polls_and_logs_everything(
    kind: SourceKind,
    home: &Path,
    environment: &[(&str, &str)],
) -> String {
    polls(kind, home, &[environment, &[(TRACE, "1")]].concat())
}

struct Print;

impl log::Log for Print {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn a_child_polls_once_if_it_is_one() {
    let kind = match std::env::var(TASK).as_deref() {
        Ok("cloudwatch") => SourceKind::CloudWatch,
        Ok("ec2") => SourceKind::Ec2,
        Ok(other) => panic!("no source has the name {other}"),
        Err(_) => return,
    };
    if std::env::var_os(TRACE).is_some() {
        log::set_boxed_logger(Box::new(Print)).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }
    let settings = ConnectionSettings::from_env("milan-1");
    let region = std::env::var_os(REGION_OF_CHAIN.0).is_none().then(|| REGION.into());
    let connections = match AwsConnections::load(settings) {
        Ok(connections) => connections,
        Err(error) => {
            println!("event: not loaded: {error}");
            return;
        }
    };
    let source = SourceId { kind, place: AwsPlace { region, role_arn: None } };
    let mut polling = Polling::start(connections, source).await;
    let event = polling.ask().await;
    println!("event: {event:?}");
    println!("problem: {:?}", polling.problem());
}
