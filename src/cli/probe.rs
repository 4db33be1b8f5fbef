//! `bothends probe`: one round, now.

use std::time::Duration;

use super::say;
use crate::config::Config;
use crate::health::Health;
use crate::probe::permission::icmp_access;
use crate::probe::round::{Round, one_round, table};
use crate::process::Exit;

/// Between the echoes of a tunnel: as under suspicion by default.
const SPACING: Duration = Duration::from_millis(200);

pub(super) fn run(config: &Config, echoes: u32) -> Exit {
    if let Err(denied) = icmp_access() {
        complain!("{denied}");
        return Exit::Permission;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain!("cannot start: {error}");
            return Exit::Internal;
        }
    };
    let round = Round { echoes, spacing: SPACING };
    let rows = runtime.block_on(one_round(&config.plan.vpns, round, Health::default()));
    say::text(format_args!("{}", table(&rows)));
    if rows.iter().all(|row| row.answered()) { Exit::Success } else { Exit::BadNews }
}
