//! What a configuration needs of the host in the worst case: every tunnel down at once, and every sink in use.

use std::collections::BTreeSet;

use super::settings::Config;
use crate::domain::check::IN_FLIGHT_MAX;
use crate::domain::plan::{LATE_WINDOW, ProbeRules};
use crate::domain::sensor::SensorKind;
use crate::process::Granted;
use crate::settings::{BgpSettings, IpsecSettings, SensorSettings};

/// Descriptors.
pub mod files {
    /// Reserved for everything but probing: sinks, AWS, listener, control socket, store, journal.
    pub const RESERVE: u64 = 256;
    /// A check in doubt has two sockets, and a third while the last echoes of a replaced one are in flight.
    pub const PER_CHECK: u64 = 3;
    /// A look at the path has a socket per uplink and address family.
    pub const PER_UPLINK: u64 = 2;
    /// Traces at a time, and measurements of the MTU.
    pub const TRACES: u64 = 4;
    pub const MEASURED: u64 = 16;
    /// A connection to a daemon of this host, or the pipes of a program that asks it.
    pub const PER_ASKED: u64 = 4;
}

/// Memory in bytes, measured with all tunnels cut at once, rounded up.
mod memory {
    const KIB: u64 = 1024;
    /// Without connections, with TLS to every service, and the most that echoes in doubt take.
    pub(super) const BASE: u64 = 64 * KIB * KIB;
    /// A `credential_process`, which counts as the service's own memory: the AWS CLI takes most of it.
    pub(super) const HELPER: u64 = 128 * KIB * KIB;
    /// An incident with its timeline in the core, in the store and at the sinks, and its share of eight answers of `/metrics`.
    /// A parent has incidents as well.
    pub(super) const PER_CONNECTION: u64 = 160 * KIB;
    pub(super) const PER_CHECK: u64 = 32 * KIB;
    /// A task, a timer and its entry in the socket's table.
    pub(super) const PER_ECHO: u64 = 2 * KIB;
    /// The longest answer that a sensor reads of a daemon (`sensors::ANSWER_MAX`), and what is made of it.
    pub(super) const PER_ASKED: u64 = 8 * KIB * KIB;
    /// A running `vtysh`, which counts as the service's own memory: 14 MiB measured.
    pub(super) const VTYSH: u64 = 24 * KIB * KIB;
}

/// What the package's unit grants (systemd/bothends.service; a test holds the two together).
pub const UNIT: Granted = Granted { files: 8192, memory: Some(512 * 1024 * 1024) };

/// What a configuration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Open descriptors.
    pub files: u64,
    /// Bytes.
    pub memory: u64,
}

impl Needs {
    /// The needs of a configuration.
    pub fn of(config: &Config) -> Self {
        let mut needs = Self { files: files::RESERVE, memory: memory::BASE + memory::HELPER };
        let asked = asked(&config.sensors);
        needs.files += files::PER_ASKED * asked;
        needs.memory += memory::PER_ASKED * asked;
        if let Some(BgpSettings::Frr { vtysh: _ }) = config.sensors.bgp {
            needs.memory += memory::VTYSH;
        }
        let used = config.plan.vpns.iter().flat_map(|vpn| vpn.used_tunnels());
        let kinds: BTreeSet<_> = used.flat_map(|tunnel| &tunnel.sensors.kinds).collect();
        for kind in kinds {
            needs.files += match kind {
                SensorKind::Path => files::PER_UPLINK * uplinks(&config.sensors),
                SensorKind::Trace => files::TRACES,
                SensorKind::Mtu => files::MEASURED,
                SensorKind::Ipsec | SensorKind::Bgp => 0,
            };
        }
        needs.memory += memory::PER_CONNECTION * config.plan.parents.len() as u64;
        for vpn in &config.plan.vpns {
            let checks = vpn.used_tunnels().map(|tunnel| tunnel.checks().count() as u64).sum::<u64>();
            needs.files += files::PER_CHECK * checks;
            needs.memory += memory::PER_CONNECTION
                + checks * (memory::PER_CHECK + memory::PER_ECHO * in_flight(&vpn.probe));
        }
        needs
    }

    /// What is lacking, as messages: each with the setting that grants more.
    pub fn lacking(&self, granted: &Granted) -> Vec<String> {
        let mut lacking = Vec::new();
        if self.files > granted.files {
            lacking.push(format!(
                "this configuration needs up to {} open files, and the limit is {}: raise LimitNOFILE= (`systemctl edit \
                 bothends`), or divide the connections among several daemons",
                self.files, granted.files
            ));
        }
        if let Some(memory) = granted.memory.filter(|memory| self.memory > *memory) {
            lacking.push(format!(
                "this configuration needs up to {} of memory, and the limit is {}: raise MemoryMax= (`systemctl edit \
                 bothends`), lengthen [probe] interval, or divide the connections among several daemons",
                mebibytes(self.memory),
                mebibytes(memory)
            ));
        }
        lacking
    }
}

/// The daemons of this host that sensors ask at once.
fn asked(sensors: &SensorSettings) -> u64 {
    let SensorSettings { ipsec, bgp, subjects } = sensors;
    let ike = match ipsec {
        Some(IpsecSettings::Vici { .. }) => {
            let own: BTreeSet<_> =
                subjects.iter().filter_map(|subject| subject.ipsec_socket.as_ref()).collect();
            1 + own.len() as u64
        }
        Some(IpsecSettings::Kernel) => 1,
        None => 0,
    };
    ike + u64::from(bgp.is_some())
}

fn uplinks(sensors: &SensorSettings) -> u64 {
    sensors.subjects.iter().map(|subject| &subject.uplink).collect::<BTreeSet<_>>().len() as u64
}

/// Bytes, for display.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

/// Echoes in flight at once for a tunnel that answers none.
fn in_flight(rules: &ProbeRules) -> u64 {
    let lasts = (rules.timeout + LATE_WINDOW).as_millis();
    // In doubt all checks together are limited to `SUSPECT_ECHOES_PER_SECOND`, which `BASE` allows for.
    let echoes = lasts.div_ceil(rules.interval.as_millis().max(1));
    u64::try_from(echoes).unwrap_or(u64::MAX).min(IN_FLIGHT_MAX as u64)
}
