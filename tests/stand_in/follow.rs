//! Follows real tunnels: runs a command every second and uses its lines as the AWS-side state of the tunnels.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::stand_in::{self, StandIn};

const EVERY: Duration = Duration::from_secs(1);
/// A command that takes longer is killed, and the tunnels stay as they were.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of its output is read: enough for hundreds of tunnels.
const LARGEST_OUTPUT: u64 = 64 * 1024;

/// Runs `command` for ever. While it fails the tunnels stay as they were; the first failure in a row is printed.
pub(crate) async fn follow(stand_in: &StandIn, command: &str) -> Result<(), Box<dyn Error>> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match timeout(PATIENCE, output(command)).await {
            Ok(Ok(lines)) => {
                failing = false;
                stand_in.control(stand_in::Command::Observe { lines })?;
            }
            Ok(Err(error)) => report(&mut failing, &error.to_string()),
            Err(elapsed) => report(&mut failing, &elapsed.to_string()),
        }
    }
}

async fn output(command: &str) -> std::io::Result<String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LARGEST_OUTPUT).read_to_end(&mut lines).await?;
    }
    let status = child.wait().await?;
    if !status.success() {
        return Err(std::io::Error::other(format!("{command}: {status}")));
    }
    Ok(String::from_utf8_lossy(&lines).into_owned())
}

fn report(failing: &mut bool, why: &str) {
    if !std::mem::replace(failing, true) {
        eprintln!("aws-stand-in: following the tunnels: {why}");
    }
}
