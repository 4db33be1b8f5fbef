//! What a test is played on: the lab, AWS and the daemon on the gateway. One stage stands at a time on this machine;
//! whoever wants another waits. Dropping a stage takes everything down, also after a panic, which prints what the
//! daemon had to say.

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
pub(crate) use self::network::Lab;

/// The connection of the lab's two tunnels.
pub(crate) const VPN: &str = "vpn-0123456789abcdef0";
/// AWS's ends of tunnel 1 and tunnel 2.
pub(crate) const OUTSIDE: [&str; 2] = ["203.0.113.2", "198.51.100.2"];
/// A connection that AWS knows and says UP of; the lab has no tunnel for it.
pub(crate) const OTHER_VPN: &str = "vpn-0fedcba9876543210";
/// Its one tunnel.
pub(crate) const OTHER_OUTSIDE: &str = "192.0.2.30";

/// For what must happen sooner or later. It takes seconds; a machine that is busy with other things gets its time.
const DEADLINE: Duration = Duration::from_secs(120);
/// A condition is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that runs. The fields are dropped in this order.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) aws: Aws,
    pub(crate) lab: Lab,
}

impl Stage {
    /// The lab with both tunnels up, AWS, and a daemon with this configuration that has just been started.
    pub(crate) fn up(config: &Config) -> Self {
        let lab = Lab::up();
        let aws = Aws::following(&lab);
        let daemon = Daemon::start(lab.gateway(), &aws.url(), config);
        Self { daemon, aws, lab }
    }

    /// The same, once both ends say Up of both tunnels.
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

    /// Waits until it is so.
    pub(crate) fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.awaits(what, || condition().then_some(()));
    }

    /// Waits until there is something, and gives it.
    pub(crate) fn awaits<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = clock::now().mono;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if let Some(ended) = self.daemon.ended() {
                panic!("the daemon ended ({ended}) before it was so: {what}");
            }
            assert!(clock::now().mono.since(began) < DEADLINE, "not so within {DEADLINE:?}: {what}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Looks again and again whether it is still so, until AWS has been asked this often.
    pub(crate) fn stays_so_for_polls(&self, polls: usize, mut look: impl FnMut()) {
        let until = self.aws.polls() + polls;
        self.eventually("AWS is asked again", || {
            look();
            self.aws.polls() >= until
        });
    }

    /// What the daemon knows; nothing while it does not answer.
    pub(crate) fn status(&self) -> Option<StatusJson> {
        let answer = self.daemon.get("/status")?;
        Some(serde_json::from_str(&answer.body).expect("/status answers in its own shape"))
    }

    /// What it knows of the tunnel of this outside address.
    pub(crate) fn tunnel(&self, outside: &str) -> Option<TunnelJson> {
        let vpns = self.status()?.vpns;
        vpns.into_iter().flat_map(|vpn| vpn.tunnels).find(|tunnel| tunnel.outside_ip == outside)
    }

    /// Both ends of a tunnel together, in the daemon's word; empty while it does not answer.
    pub(crate) fn assessment(&self, outside: &str) -> String {
        self.tunnel(outside).map(|tunnel| tunnel.assessment).unwrap_or_default()
    }

    /// The incident of this kind that the daemon holds for open.
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
