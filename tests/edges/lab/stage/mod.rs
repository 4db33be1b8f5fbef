//! The stage of a test: the lab, AWS and the daemon on the gateway. Only one stage runs at a time on this machine;
//! others wait. Dropping a stage takes everything down, also after a panic, which prints the daemon's log.

mod aws;
mod daemon;
mod gateway;
mod network;

use std::thread;
use std::time::Duration;

use bothends::clock;
use bothends::http::status_json::{IncidentJson, StatusJson, TunnelJson};

pub(crate) use self::aws::Aws;
pub(crate) use self::daemon::{Config, Daemon};
pub(crate) use self::network::{BgpDaemon, Lab};

/// The connection of the lab's two tunnels.
pub(crate) const VPN: &str = "vpn-0123456789abcdef0";
/// AWS's ends of tunnel 1 and tunnel 2.
pub(crate) const OUTSIDE: [&str; 2] = ["203.0.113.2", "198.51.100.2"];
/// A connection that AWS knows and reports UP; the lab has no tunnel for it.
pub(crate) const OTHER_VPN: &str = "vpn-0fedcba9876543210";
/// Its one tunnel.
pub(crate) const OTHER_OUTSIDE: &str = "192.0.2.30";

/// The timeout of every wait. Normally seconds; the rest is for a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that runs. The fields are dropped in this order.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) aws: Aws,
    pub(crate) lab: Lab,
}

impl Stage {
    /// The lab with both tunnels up, AWS, and a daemon with this configuration, just started.
    pub(crate) fn up(config: &Config) -> Self {
        let lab = Lab::up(config.evidence.unwrap_or(BgpDaemon::Bird));
        let aws = Aws::following(&lab);
        let daemon = Daemon::start(lab.gateway(), &aws.url(), config);
        Self { daemon, aws, lab }
    }

    /// The same, once both ends report both tunnels Up.
    pub(crate) fn healthy(config: &Config) -> Self {
        let stage = Self::up(config);
        stage.becomes_healthy();
        stage
    }

    pub(crate) fn becomes_healthy(&self) {
        for outside in OUTSIDE {
            self.eventually("both ends say Up", || self.assessment(outside) == "healthy");
        }
    }

    /// Waits until the condition holds.
    pub(crate) fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.wait_for(what, || condition().then_some(()));
    }

    /// Waits until there is a value, and returns it.
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = clock::now().mono;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if let Some(ended) = self.daemon.ended() {
                panic!("the daemon ended ({ended}) while waiting until {what}");
            }
            assert!(
                clock::now().mono.since(began) < DEADLINE,
                "timed out after {DEADLINE:?} waiting until {what}"
            );
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Checks repeatedly that a condition still holds, until AWS was polled this many times.
    pub(crate) fn stays_so_for_polls(&self, polls: usize, mut look: impl FnMut()) {
        let until = self.aws.polls() + polls;
        self.eventually("AWS is polled again", || {
            look();
            self.aws.polls() >= until
        });
    }

    /// The daemon's status; `None` while it does not answer.
    pub(crate) fn status(&self) -> Option<StatusJson> {
        let answer = self.daemon.get("/status")?;
        Some(serde_json::from_str(&answer.body).expect("/status answers in its own shape"))
    }

    /// Its status of the tunnel with this outside address.
    pub(crate) fn tunnel(&self, outside: &str) -> Option<TunnelJson> {
        let vpns = self.status()?.vpns;
        vpns.into_iter().flat_map(|vpn| vpn.tunnels).find(|tunnel| tunnel.outside_ip == outside)
    }

    /// The daemon's assessment of a tunnel; empty while it does not answer.
    pub(crate) fn assessment(&self, outside: &str) -> String {
        self.tunnel(outside).map(|tunnel| tunnel.assessment).unwrap_or_default()
    }

    /// The daemon's open incident of this kind.
    pub(crate) fn open_incident(&self, kind: &str) -> Option<IncidentJson> {
        let incidents = self.status()?.incidents;
        incidents.into_iter().find(|incident| incident.kind == kind && incident.state == "open")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(answer) = self.daemon.get("/status")
        {
            eprintln!("--- /status\n{}", answer.body);
        }
    }
}
