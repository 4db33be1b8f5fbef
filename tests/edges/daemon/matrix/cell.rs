//! One cell: an outage with one fault.

use std::thread;
use std::time::Duration;

use bothends::clock;
use bothends::domain::time::Stamp;
use serde_json::{Value, json};

use super::super::answers::Answers;
use super::super::process::Daemon;
use super::super::site::{ONE, Site, TWO, Tunnel};
use super::delivered::{self, dated};
use super::fault::{Fault, Operation};

/// For each step: the end of a minute, a second one that confirms that BGP is down, and all back-off, on a machine that
/// is busy with dozens of cells.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two checks. Dozens of cells check at the same time.
const PAUSE: Duration = Duration::from_millis(400);

/// A probe this old has surely ended, by a reply or by its timeout.
const ENDED: Duration = Duration::from_secs(5);

/// Probes are slow enough that a machine which runs dozens of cells skips none. Lists lag, so that only the tokens
/// prevent a second record.
const PACE: &str = r#"
[probe]
interval = "1s"
suspect_interval = "1s"
timeout = "1s"
down_after = 3
up_after = 2
[incident]
open_after = { outage = "0s", redundancy_lost = "0s" }
"#;
const LIST_LAG: f64 = 15.0;

/// What goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    /// One tunnel after the other.
    OfTwoTunnels,
    /// IPsec works, BGP does not.
    OfBgpOnTheOnlyTunnel,
}

impl Outage {
    const fn tunnels(self) -> &'static [&'static Tunnel] {
        match self {
            Self::OfTwoTunnels => &[&ONE, &TWO],
            Self::OfBgpOnTheOnlyTunnel => &[&ONE],
        }
    }

    const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::OfTwoTunnels => &["redundancy_lost", "outage"],
            Self::OfBgpOnTheOnlyTunnel => &["outage"],
        }
    }
}

/// A site on which the cell runs.
struct Player<'s> {
    site: &'s Site,
    outage: Outage,
    fault: Fault,
    operation: Operation,
    daemon: Option<Daemon<'s>>,
    /// A person has to restart the daemon once the fault, which waits for its operation, has struck.
    restart: bool,
    restarts: usize,
    answers: Answers,
}

/// Runs the cell and checks the result.
pub(super) fn play(fault: Fault, operation: Operation, outage: Outage) {
    let site = Site::new();
    site.home.add("pace.toml", PACE);
    site.control(json!({ "set_switches": { "switches": { "list_lag": LIST_LAG } } }));
    let answers = Answers::default();
    let mut player =
        Player { site: &site, outage, fault, operation, daemon: None, restart: false, restarts: 0, answers };
    player.prepare();
    player.aws_says(true, outage.tunnels());
    // Metrics are sent at the end of a minute, whenever that is.
    let from_the_start = operation == Operation::PutMetricData;
    if from_the_start {
        player.inject_fault();
    }
    player.daemon = Some(site.start());
    player.until("every tunnel is healthy", |player| player.are("healthy"));
    let healthy = clock::wall();
    if !from_the_start {
        player.inject_fault();
    }

    match outage {
        Outage::OfTwoTunnels => {
            player.breaks(&TWO);
            player.until("the redundancy_lost record is created", |player| player.has("redundancy_lost"));
            player.breaks(&ONE);
        }
        Outage::OfBgpOnTheOnlyTunnel => player.aws_says(false, &[&ONE]),
    }
    player.until("the outage record is created", |player| player.has("outage"));
    player.aws_says(true, outage.tunnels());
    match outage {
        Outage::OfTwoTunnels => site.heal(&[&ONE, &TWO]),
        Outage::OfBgpOnTheOnlyTunnel => {}
    }
    player.until("every incident is settled", |player| player.has_settled());
    player.until("the fault has struck as often as it was to", |player| player.has_struck());
    player.until("the minute is sent", |player| player.has_sent(healthy.minute()));
    player.no_probe_was_skipped();
    let end = clock::wall();
    player.stop();

    delivered::incidents(&site, outage.kinds(), player.restarts);
    let put = site.executed("PutMetricData").len();
    let lost = player.answers.lost(put, "bothends_metrics_requests_total{result=\"ok\"}");
    let (first, moved) = (healthy.minute(), fault.moves_the_date().is_some());
    let tunnels = outage.tunnels();
    let story = delivered::Delivery { tunnels, first, end, restarts: player.restarts, lost, moved };
    delivered::minutes(&site, &story);
}

impl Player<'_> {
    /// If EC2 is to be polled, it is the only source.
    fn prepare(&self) {
        if self.operation == Operation::DescribeVpnConnections {
            self.site.home.add("ec2.toml", "[aws]\nec2_telemetry = true\n");
        }
        if self.outage == Outage::OfBgpOnTheOnlyTunnel {
            self.site.home.edit(&TWO.toml(), "");
            self.site.home.edit("runbook_url", "routing = \"bgp\"\nrunbook_url");
        }
    }

    fn aws_says(&self, up: bool, tunnels: &[&Tunnel]) {
        if self.operation != Operation::DescribeVpnConnections {
            self.site.aws_says(up, tunnels);
            return;
        }
        for tunnel in tunnels {
            let status = if up { "UP" } else { "DOWN" };
            let message = match (up, self.outage) {
                (true, _) | (false, Outage::OfTwoTunnels) => "",
                (false, Outage::OfBgpOnTheOnlyTunnel) => "IPSEC IS UP",
            };
            let ec2 = json!({ "fixed": { "status": status, "message": message } });
            let view = json!({ "outside_ip": tunnel.outside, "cloudwatch": "silent", "ec2": ec2 });
            self.site.control(json!({ "set_view": view }));
        }
    }

    /// From here on the fault waits for its operation.
    fn inject_fault(&mut self) {
        self.site.fault_times(&format!("{:?}", self.operation), self.fault.kind(), self.fault.times());
        self.restart = self.fault.needs_a_person() && !self.operation.is_poll();
    }

    fn breaks(&self, tunnel: &Tunnel) {
        self.aws_says(false, &[tunnel]);
        self.site.cut(&[tunnel]);
    }

    #[track_caller]
    fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = clock::now().mono + PATIENCE;
        loop {
            if self.restart && self.has_struck() {
                self.restarted();
            }
            if so(self) {
                return;
            }
            assert!(clock::now().mono < deadline, "timed out after {PATIENCE:?} waiting until {what}");
            thread::sleep(PAUSE);
        }
    }

    fn restarted(&mut self) {
        self.restart = false;
        self.restarts += 1;
        self.no_probe_was_skipped();
        let probed = (clock::wall() - ENDED).minute();
        self.stop();
        assert!(
            delivered::keeps(self.site, self.outage.tunnels(), probed),
            "the probed part of {probed:?} is lost"
        );
        self.daemon = Some(self.site.start());
    }

    fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            self.answers.add(&daemon);
            daemon.stop();
        }
    }

    //--- how things are

    fn daemon(&self) -> &Daemon<'_> {
        self.daemon.as_ref().unwrap()
    }

    fn are(&self, assessment: &str) -> bool {
        self.outage.tunnels().iter().all(|tunnel| self.daemon().tunnel(tunnel)["assessment"] == assessment)
    }

    fn has(&self, kind: &str) -> bool {
        !self.site.records(kind).is_empty()
    }

    fn has_struck(&self) -> bool {
        self.site.control(json!({ "faults": {} })) == json!([])
    }

    fn has_settled(&self) -> bool {
        self.daemon().status()["incidents"] == json!([])
    }

    /// Whether a minute's date was moved by the fault: by whole minutes, of an hour that AWS gives in whole seconds.
    fn is_moved(&self, minute: Stamp, at: Stamp) -> bool {
        self.fault.moves_the_date().is_some_and(|by| {
            let moved = minute + by;
            at.since(moved).max(moved.since(at)) <= Duration::from_secs(120)
        })
    }

    /// Whether CloudWatch has a minute of each tunnel, and nothing is pending.
    fn has_sent(&self, minute: Stamp) -> bool {
        let sent = |tunnel: &Tunnel| {
            let data = delivered::put(self.site, "PacketLoss", tunnel);
            data.iter().map(dated).any(|at| at == minute || self.is_moved(minute, at))
        };
        self.outage.tunnels().iter().all(|tunnel| sent(tunnel))
            && self.daemon().metric("bothends_rollups_pending") == 0.0
    }

    /// Except those that a busy machine skipped: a tick is skipped after a second's wait.
    fn no_probe_was_skipped(&self) {
        let scrape = self.daemon().get("/metrics").body;
        let counts = scrape.lines().filter_map(|line| line.strip_prefix("bothends_ticks_skipped_total{"));
        let counts: Vec<f64> = counts.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        assert_eq!(counts.len(), self.outage.tunnels().len(), "there is a count for each tunnel: {scrape}");
        let waited = self.daemon().waited_for_a_cpu().as_secs_f64();
        assert!(counts.iter().all(|left_out| *left_out <= waited), "left out: {counts:?} in {waited} s");
    }
}

/// The text of a member; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}
