//! One round of echoes to every tunnel, now, for `bothends probe`.

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

/// A reply this long after `timeout` still counts as late; afterwards the echo is lost.
const LATE_GRACE: Duration = Duration::from_secs(3);

/// How many echoes, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Echoes per tunnel.
    pub echoes: u32,
    /// Time between two echoes of a tunnel; not zero.
    pub spacing: Duration,
}

impl Default for Round {
    fn default() -> Self {
        Self { echoes: 5, spacing: Duration::from_millis(200) }
    }
}

/// The results of one address that is probed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The check that was made.
    pub check: CheckId,
    /// The VPN connection's display name.
    pub vpn: Arc<str>,
    /// The tunnel's display name.
    pub tunnel: Arc<str>,
    /// The route of the echoes.
    pub route: Arc<Route>,
    /// A reply is in time within this.
    pub timeout: Duration,
    /// Echoes that left.
    pub sent: u32,
    /// Replies within `timeout`.
    pub replies: u32,
    /// Replies after `timeout`.
    pub late: u32,
    /// Echoes for which the kernel had no route.
    pub no_path: u32,
    /// Echoes that policy or firewall refused.
    pub blocked: u32,
    /// Echoes that this host failed to send, and why.
    pub faults: Vec<Fault>,
    /// The round-trip times of all replies, shortest first.
    pub rtts: Vec<Duration>,
}

/// Probes every tunnel that is not `unused` and the hosts behind it, all at the same time, and returns a row for each, in the order
/// of the configuration.
/// Takes the time of all the intervals and, if an echo is lost, `timeout` + 3 s more. Call it inside a current-thread runtime.
pub async fn one_round(vpns: &[Arc<VpnPlan>], round: Round, health: Health) -> Vec<Row> {
    let mut rows: Vec<Row> =
        vpns.iter().flat_map(|vpn| vpn.used_tunnels().flat_map(|tunnel| Row::all_of(vpn, tunnel))).collect();

    let (events, mut ended) = mpsc::unbounded_channel();
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

    // Without the Prober only echoes in flight hold the channel: it closes when the last of them has ended.
    drop(prober);
    while let Some(event) = ended.recv().await {
        record(&mut rows, event);
    }
    for row in &mut rows {
        row.rtts.sort_unstable();
    }
    rows
}

impl Row {
    /// Echoes that left and had no reply.
    pub fn timed_out(&self) -> u32 {
        self.sent.saturating_sub(self.replies + self.late)
    }

    /// All lost echoes: without a reply, or refused on the way into the tunnel.
    pub fn lost(&self) -> u32 {
        self.timed_out() + self.no_path + self.blocked
    }

    /// Whether any reply came, in time or late.
    pub fn answered(&self) -> bool {
        self.replies + self.late > 0
    }

    /// The median round-trip time (the lower of the middle two, if the number is even); `None` without a reply.
    pub fn median(&self) -> Option<Duration> {
        self.rtts.get(self.rtts.len().checked_sub(1)? / 2).copied()
    }

    fn all_of(vpn: &VpnPlan, tunnel: &TunnelPlan) -> impl Iterator<Item = Self> {
        tunnel.checks().map(|(kind, route)| Self::of(vpn, tunnel, kind, route))
    }

    fn of(vpn: &VpnPlan, tunnel: &TunnelPlan, kind: CheckKind, route: &Arc<Route>) -> Self {
        Self {
            check: CheckId { tunnel: tunnel.id.clone(), kind },
            vpn: vpn.name.clone(),
            tunnel: tunnel.name.clone(),
            route: Arc::clone(route),
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
            // A sent echo without a reply is counted as timed out already.
            AskFailure::Lost(Loss::Timeout) => (),
        }
    }
}

fn record(rows: &mut [Row], event: Event) {
    match event {
        Event::Sent { check, echo: _, at: _ } => on(rows, &check, |row| row.sent += 1),
        Event::Reply { check, echo: _, rtt } => on(rows, &check, |row| row.replied(rtt)),
        Event::Failed { check, echo: _, failure } => on(rows, &check, |row| row.failed(failure)),
        // A Prober sends none of these.
        Event::Answered(_)
        | Event::Refused { .. }
        | Event::Sensed(_)
        | Event::Silences(_)
        | Event::Settled { .. }
        | Event::HistoryAnswered(_)
        | Event::HistoryRefused { .. }
        | Event::Maintenance { .. }
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

    /// A row of a tunnel before its first echo.
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
                fwmark: None,
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

    fn after(failures: &[AskFailure]) -> Row {
        let mut rows = [row("tunnel 1")];
        let check = rows[0].check.clone();
        for &failure in failures {
            record(&mut rows, Event::Failed { check: check.clone(), echo: EchoId(0), failure });
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
            record(&mut rows, Event::Sent { check: check.clone(), echo, at: Moment::ORIGIN });
            record(&mut rows, Event::Reply { check: check.clone(), echo, rtt });
        }
        record(&mut rows, Event::Sent { check, echo: EchoId(2), at: Moment::ORIGIN });
        let [row] = rows;
        assert_eq!((row.sent, row.replies, row.late, row.timed_out()), (3, 1, 1, 1));
        assert!(row.answered());
    }

    #[test]
    fn losses_are_counted_by_kind_and_apart_from_faults() {
        let row = after(&[
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
