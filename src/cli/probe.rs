//! `bothends probe`: one round, now.

use std::collections::BTreeSet;
use std::time::Duration;

use super::progress::Progress;
use super::terminal::{self, aligned};
use crate::config::Config;
use crate::health::Health;
use crate::probe::permission::icmp_access;
use crate::probe::round::{Round, Row, one_round};
use crate::process::Exit;

/// Between the echoes of a tunnel: the default interval of a suspect check.
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
    let rows = {
        let _progress = Progress::start(format!("probing every tunnel, {echoes} echoes each"));
        runtime.block_on(one_round(&config.plan.vpns, round, Health::default()))
    };
    terminal::text(format_args!("{}", table(&rows)));
    if rows.iter().all(|row| row.answered()) { Exit::Success } else { Exit::BadNews }
}

const HEAD: [&str; COLUMNS] = [
    "VPN connection",
    "tunnel",
    "from",
    "to",
    "sent",
    "replies",
    "late",
    "lost",
    "min ms",
    "median ms",
    "max ms",
    "",
];
const COLUMNS: usize = 12;
/// The leading columns that are text, aligned left.
const WORDS: usize = 4;

/// A header and one line per tunnel: round-trip times in milliseconds, problems in the last column.
fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; COLUMNS]> =
        std::iter::once(HEAD.map(String::from)).chain(rows.iter().map(cells)).collect();
    aligned(&lines, WORDS).map(|line| line + "\n").collect()
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let from = match &row.route.interface {
        Some(interface) => format!("{} on {interface}", row.route.source_ip),
        None => row.route.source_ip.to_string(),
    };
    [
        row.vpn.to_string(),
        row.tunnel.to_string(),
        from,
        row.route.inside_ip.to_string(),
        row.sent.to_string(),
        row.replies.to_string(),
        row.late.to_string(),
        row.lost().to_string(),
        millis(row.rtts.first().copied()),
        millis(row.median()),
        millis(row.rtts.last().copied()),
        remarks(row),
    ]
}

fn millis(rtt: Option<Duration>) -> String {
    rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{:.3}", rtt.as_secs_f64() * 1e3))
}

fn remarks(row: &Row) -> String {
    let losses =
        [("no reply", row.timed_out()), ("no path", row.no_path), ("blocked by this host", row.blocked)];
    let losses =
        losses.iter().filter(|(_, count)| *count > 0).map(|(words, count)| format!("{words}: {count}"));
    let faults: BTreeSet<_> = row.faults.iter().collect();
    let faults = faults.into_iter().map(|fault| format!("could not send: {fault}"));
    losses.chain(faults).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::Fault;
    use crate::probe::round::tests::row;

    #[test]
    fn the_table_shows_times_for_tunnels_that_answer_and_reasons_for_those_that_do_not() {
        let rtts = [1_234, 1_500, 1_500, 2_000, 1_100_000].map(Duration::from_micros).to_vec();
        let healthy = Row { sent: 5, replies: 4, late: 1, rtts, ..row("tunnel 1") };
        let silent = Row { sent: 3, no_path: 2, ..row("tunnel 2") };
        let ours = Row { faults: vec![Fault::AddressMissing; 5], ..row("Zürich") };
        insta::assert_snapshot!(table(&[healthy, silent, ours]), @"
        VPN connection     tunnel    from                    to            sent  replies  late  lost  min ms  median ms    max ms
        Milan DC, primary  tunnel 1  169.254.10.2 on ipsec0  169.254.10.1     5        4     1     0   1.234      1.500  1100.000
        Milan DC, primary  tunnel 2  169.254.10.2 on ipsec0  169.254.10.1     3        0     0     5       -          -         -  no reply: 3; no path: 2
        Milan DC, primary  Zürich    169.254.10.2 on ipsec0  169.254.10.1     0        0     0     0       -          -         -  could not send: this host does not have the source address or interface
        ");
    }
}
