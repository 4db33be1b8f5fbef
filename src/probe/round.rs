//! One round of echoes to every tunnel, now: what `bothends probe` shows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Prober;
use crate::domain::event::{AskFailure, Event};
use crate::domain::names::{CheckId, CheckKind};
use crate::domain::plan::{Route, TunnelPlan, VpnPlan};
use crate::domain::request::{ClientId, EchoId, EchoRequest};
use crate::domain::verdict::{Fault, Loss};
use crate::health::Health;

/// A reply this much later than `timeout` still counts as late; afterwards the echo is lost.
const LATE_GRACE: Duration = Duration::from_secs(3);

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Echoes per tunnel.
    pub echoes: u32,
    /// Between two echoes of a tunnel; not zero.
    pub spacing: Duration,
}

impl Default for Round {
    fn default() -> Self {
        Self { echoes: 5, spacing: Duration::from_millis(200) }
    }
}

/// What became of one tunnel's echoes.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The check that was made.
    pub check: CheckId,
    /// The VPN connection's display name.
    pub vpn: Arc<str>,
    /// The tunnel's display name.
    pub tunnel: Arc<str>,
    /// The way the echoes took.
    pub route: Arc<Route>,
    /// An on-time reply arrives within this.
    pub timeout: Duration,
    /// Echoes that left.
    pub sent: u32,
    /// Replies within `timeout`.
    pub replies: u32,
    /// Replies after it.
    pub late: u32,
    /// Echoes that the kernel had no way to send.
    pub no_path: u32,
    /// Echoes that the kernel refused to send.
    pub blocked: u32,
    /// Echoes that we could not ask for, and why.
    pub faults: Vec<Fault>,
    /// The round-trip times of all replies, shortest first.
    pub rtts: Vec<Duration>,
}

/// Asks every tunnel that is not `unused`, all at the same time, and returns a row for each, in the order of the
/// configuration. It takes as long as the echoes are spaced and, if one is lost, its `timeout` + 3 s. Call it inside a
/// current-thread runtime.
pub async fn one_round(vpns: &[Arc<VpnPlan>], round: Round, health: Health) -> Vec<Row> {
    let mut rows: Vec<Row> =
        vpns.iter().flat_map(|vpn| vpn.used_tunnels().map(|tunnel| Row::of(vpn, tunnel))).collect();

    let (events, mut heard) = mpsc::unbounded_channel();
    let mut prober = Prober::new(events, health);
    let mut ticks = interval(round.spacing);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ids = (0..).map(EchoId);
    for _ in 0..round.echoes {
        ticks.tick().await;
        for (row, echo) in rows.iter().zip(&mut ids) {
            prober.execute(row.request(echo));
        }
    }

    // Without the Prober only the echoes in flight hold the channel, so it closes when the last of them has ended.
    drop(prober);
    while let Some(event) = heard.recv().await {
        hear(&mut rows, event);
    }
    for row in &mut rows {
        row.rtts.sort_unstable();
    }
    rows
}

impl Row {
    /// Echoes that left and were never answered.
    pub fn timed_out(&self) -> u32 {
        self.sent.saturating_sub(self.replies + self.late)
    }

    /// All lost echoes: never answered, or not taken by the tunnel.
    pub fn lost(&self) -> u32 {
        self.timed_out() + self.no_path + self.blocked
    }

    /// Whether there was any reply, in time or late.
    pub fn answered(&self) -> bool {
        self.replies + self.late > 0
    }

    /// The middle one of the round-trip times (the shorter of the two, if there are two).
    pub fn median(&self) -> Option<Duration> {
        self.rtts.get(self.rtts.len().checked_sub(1)? / 2).copied()
    }

    fn of(vpn: &VpnPlan, tunnel: &TunnelPlan) -> Self {
        Self {
            check: CheckId { tunnel: tunnel.id.clone(), kind: CheckKind::Inside },
            vpn: vpn.name.clone(),
            tunnel: tunnel.name.clone(),
            route: tunnel.route.clone(),
            timeout: vpn.probe.timeout,
            sent: 0,
            replies: 0,
            late: 0,
            no_path: 0,
            blocked: 0,
            faults: Vec::new(),
            rtts: Vec::new(),
        }
    }

    fn request(&self, echo: EchoId) -> EchoRequest {
        EchoRequest {
            check: self.check.clone(),
            echo,
            client: ClientId(0),
            route: self.route.clone(),
            give_up: self.timeout + LATE_GRACE,
        }
    }

    fn replied(&mut self, rtt: Duration) {
        if rtt <= self.timeout {
            self.replies += 1;
        } else {
            self.late += 1;
        }
        self.rtts.push(rtt);
    }

    fn failed(&mut self, failure: AskFailure) {
        match failure {
            AskFailure::Fault(fault) => self.faults.push(fault),
            AskFailure::AddressMissing => self.faults.push(Fault::AddressMissing),
            AskFailure::Lost(Loss::NoPath) => self.no_path += 1,
            AskFailure::Lost(Loss::Blocked) => self.blocked += 1,
            // What was sent and not answered is counted as such already.
            AskFailure::Lost(Loss::Timeout) => (),
        }
    }
}

fn hear(rows: &mut [Row], event: Event) {
    match event {
        Event::Sent { check, echo: _, at: _ } => on(rows, &check, |row| row.sent += 1),
        Event::Reply { check, echo: _, rtt } => on(rows, &check, |row| row.replied(rtt)),
        Event::Failed { check, echo: _, failure } => on(rows, &check, |row| row.failed(failure)),
        // Not of a Prober.
        Event::Answered(_)
        | Event::Refused { .. }
        | Event::Settled { .. }
        | Event::HistoryAnswered(_)
        | Event::HistoryRefused { .. }
        | Event::AddressHeld { .. }
        | Event::RecordFound { .. } => (),
    }
}

fn on(rows: &mut [Row], check: &CheckId, note: impl FnOnce(&mut Row)) {
    if let Some(row) = rows.iter_mut().find(|row| row.check == *check) {
        note(row);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::names::{TunnelId, VpnId};
    use crate::domain::time::Moment;

    const MS: Duration = Duration::from_millis(1);

    /// A row of a tunnel that was not asked yet.
    pub(crate) fn row(tunnel: &str) -> Row {
        let id = TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: [203, 0, 113, 11].into() };
        Row {
            check: CheckId { tunnel: id, kind: CheckKind::Inside },
            vpn: "Milan DC, primary".into(),
            tunnel: tunnel.into(),
            route: Arc::new(Route {
                inside_ip: [169, 254, 10, 1].into(),
                source_ip: [169, 254, 10, 2].into(),
                interface: Some("ipsec0".into()),
            }),
            timeout: Duration::from_secs(1),
            sent: 0,
            replies: 0,
            late: 0,
            no_path: 0,
            blocked: 0,
            faults: Vec::new(),
            rtts: Vec::new(),
        }
    }

    fn told(failures: &[AskFailure]) -> Row {
        let mut rows = [row("tunnel 1")];
        let check = rows[0].check.clone();
        for &failure in failures {
            hear(&mut rows, Event::Failed { check: check.clone(), echo: EchoId(0), failure });
        }
        let [row] = rows;
        row
    }

    #[test]
    fn a_reply_after_the_timeout_is_late_and_an_answer_all_the_same() {
        let mut rows = [row("tunnel 1")];
        let check = rows[0].check.clone();
        let timeout = rows[0].timeout;
        for (echo, rtt) in [(EchoId(0), timeout), (EchoId(1), timeout + MS)] {
            hear(&mut rows, Event::Sent { check: check.clone(), echo, at: Moment::ORIGIN });
            hear(&mut rows, Event::Reply { check: check.clone(), echo, rtt });
        }
        hear(&mut rows, Event::Sent { check, echo: EchoId(2), at: Moment::ORIGIN });
        let [row] = rows;
        assert_eq!((row.sent, row.replies, row.late, row.timed_out()), (3, 1, 1, 1));
        assert!(row.answered());
    }

    #[test]
    fn losses_are_counted_by_kind_and_apart_from_faults() {
        let row = told(&[
            AskFailure::Lost(Loss::NoPath),
            AskFailure::Lost(Loss::Blocked),
            AskFailure::Fault(Fault::NoMemory),
            AskFailure::AddressMissing,
        ]);
        assert_eq!((row.sent, row.no_path, row.blocked, row.lost()), (0, 1, 1, 2));
        assert_eq!(row.faults, [Fault::NoMemory, Fault::AddressMissing]);
        assert!(!row.answered());
    }

    #[test]
    fn the_median_is_one_of_the_round_trips() {
        let mut row = row("tunnel 1");
        assert_eq!(row.median(), None);
        row.rtts = vec![MS, 2 * MS, 30 * MS, 40 * MS];
        assert_eq!(row.median(), Some(2 * MS));
        row.rtts.push(50 * MS);
        assert_eq!(row.median(), Some(30 * MS));
    }
}
