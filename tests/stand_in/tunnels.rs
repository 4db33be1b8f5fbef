//! The VPN connections as they really are, and as CloudWatch and EC2 see them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::clock::Epoch;
use super::settings::{self, Switches};

/// How long before the start of the stand-in a tunnel's first known state began, so that there is a past from the
/// start.
const PAST: f64 = 3600.0;

/// How many changes of a tunnel are kept.
const CHANGES_KEPT: usize = 2_000;

/// The bytes per minute that keep-alives alone make.
const IDLE: f64 = 1200.0;

/// TunnelState is published for whole minutes.
pub(super) const MINUTE: f64 = 60.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionState {
    Pending,
    #[default]
    Available,
    Deleting,
    Deleted,
}

/// The content of `CustomerGatewayConfiguration`, while the connection's state allows one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConfigurationView {
    #[default]
    Whole,
    /// Nothing: the element is missing.
    Absent,
    /// A document without a tunnel.
    WithoutTunnels,
    /// The tunnels without inside addresses.
    WithoutInside,
    /// The document breaks off in the middle of a pre-shared key.
    Broken,
}

pub(super) struct Connection {
    pub(super) id: String,
    pub(super) region: String,
    /// `Name` is one of them.
    pub(super) tags: BTreeMap<String, String>,
    pub(super) static_routes: bool,
    pub(super) state: ConnectionState,
    pub(super) configuration: ConfigurationView,
    pub(super) tunnels: Vec<Tunnel>,
}

pub(super) struct Tunnel {
    pub(super) outside_ip: String,
    pub(super) inside_cidr: String,
    pub(super) vpn_gateway_inside: Option<IpAddr>,
    pub(super) customer_gateway_inside: Option<IpAddr>,
    pub(super) pre_shared_key: String,
    /// Never empty; oldest first.
    changes: Vec<Change>,
    pub(super) metric_view: MetricView,
    pub(super) telemetry_view: TelemetryView,
    /// None: 1 while a tunnel of a connection with BGP is up.
    pub(super) accepted_routes: Option<i32>,
    pub(super) maintenance: Maintenance,
    /// The bytes of each minute, by AWS's count, from each time on; oldest first.
    bytes: Vec<(Epoch, Bytes)>,
}

/// The maintenance of a tunnel's endpoint.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Maintenance {
    /// AWS documents no values; its console says "Available" and "None".
    pub(super) pending: String,
    pub(super) applied_after: Option<Epoch>,
    pub(super) last_applied: Option<Epoch>,
}

/// Bytes per minute; None: no datapoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bytes {
    pub(super) data_in: Option<f64>,
    pub(super) data_out: Option<f64>,
}

impl Maintenance {
    pub(super) const AVAILABLE: &str = "Available";
    const NONE: &str = "None";

    /// Nothing is pending any more; it was applied at `at`, or withdrawn.
    pub(super) fn end(&mut self, at: Option<Epoch>) {
        Self::NONE.clone_into(&mut self.pending);
        self.applied_after = None;
        self.last_applied = at.or(self.last_applied);
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) at: Epoch,
    pub(super) up: bool,
    /// EC2's StatusMessage from then on; None: AWS's default for the state.
    pub(super) message: Option<String>,
}

/// What CloudWatch's TunnelState shows of a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricView {
    /// The real state.
    #[default]
    Follow,
    /// This, for every minute there is.
    Value(f64),
    /// No datapoint at all.
    Silent,
    /// One datapoint with this value, stamped an hour from now.
    Future(f64),
    /// Two values for one timestamp, both impossible.
    Garbage,
}

/// What EC2's VgwTelemetry shows of a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TelemetryView {
    /// The real state.
    #[default]
    Follow,
    /// This message, whether or not AWS uses it.
    Fixed { status: String, message: String },
    /// No entry for this tunnel.
    Absent,
}

impl Connection {
    pub(super) fn from_settings(vpn: &settings::Vpn, now: Epoch) -> Self {
        let settings::Vpn { id, region, name, mut tags, static_routes, state, configuration, tunnels } =
            vpn.clone();
        tags.extend(name.map(|name| ("Name".to_owned(), name)));
        let tunnels = tunnels.into_iter().map(|tunnel| Tunnel::from_settings(tunnel, now)).collect();
        Self { id, region, tags, static_routes, state, configuration, tunnels }
    }
}

impl Tunnel {
    fn from_settings(tunnel: settings::Tunnel, now: Epoch) -> Self {
        let settings::Tunnel {
            outside_ip,
            inside_cidr,
            vpn_gateway_inside,
            customer_gateway_inside,
            pre_shared_key,
            up,
        } = tunnel;
        Self {
            outside_ip,
            inside_cidr,
            vpn_gateway_inside,
            customer_gateway_inside,
            pre_shared_key,
            changes: vec![Change { at: now - PAST, up, message: None }],
            metric_view: MetricView::Follow,
            telemetry_view: TelemetryView::Follow,
            accepted_routes: None,
            maintenance: Maintenance {
                pending: Maintenance::NONE.to_owned(),
                applied_after: None,
                last_applied: None,
            },
            bytes: vec![(now - PAST, Bytes { data_in: Some(IDLE), data_out: Some(IDLE) })],
        }
    }

    pub(super) fn carries_ipv6(&self) -> bool {
        self.inside_cidr.contains(':')
    }

    /// An end's inside address: AWS's is the first of the block and the customer's the second, unless the settings
    /// differ.
    pub(super) fn inside(&self, ours: bool) -> IpAddr {
        let said = if ours { self.customer_gateway_inside } else { self.vpn_gateway_inside };
        let base = self.inside_cidr.split('/').next().and_then(|base| base.parse().ok());
        said.unwrap_or_else(|| match base {
            Some(IpAddr::V4(base)) => Ipv4Addr::from_bits(base.to_bits() + 1 + u32::from(ours)).into(),
            Some(IpAddr::V6(base)) => Ipv6Addr::from_bits(base.to_bits() + 1 + u128::from(ours)).into(),
            None => panic!("{} is not an address block", self.inside_cidr),
        })
    }

    /// Sets the real state from `at` on; later changes are discarded. Repeating a state is no change.
    pub(super) fn set(&mut self, at: Epoch, up: bool, message: Option<String>) {
        let keep = self.changes.iter().take_while(|change| change.at < at).count().max(1);
        self.changes.truncate(keep);
        let latest = self.latest(at);
        if latest.up != up || latest.message != message {
            self.changes.push(Change { at, up, message });
        }
        if self.changes.len() > CHANGES_KEPT {
            self.changes.remove(0);
        }
    }

    /// The state that held at `at`.
    pub(super) fn latest(&self, at: Epoch) -> &Change {
        self.changes.iter().rev().find(|change| change.at <= at).unwrap_or(&self.changes[0])
    }

    /// TunnelState's datapoints (minute's start, fraction of it that the tunnel was up) from `start` to before `end`.
    pub(super) fn state_metric(
        &self,
        start: Epoch,
        end: Epoch,
        now: Epoch,
        switches: &Switches,
    ) -> Vec<(Epoch, f64)> {
        if let MetricView::Future(value) = self.metric_view {
            return vec![(floor(now) + 3600.0, value)];
        }
        let shown_until = now - switches.metric_lag;
        let mut minute = floor(start.max(self.changes[0].at));
        let mut points = Vec::new();
        while minute < end && minute < shown_until {
            let until = (minute + MINUTE).min(shown_until);
            if (until == minute + MINUTE || switches.partial_minutes)
                && let Some(value) = self.shown(minute, until, switches)
            {
                points.push((minute, value));
            }
            minute += MINUTE;
        }
        points
    }

    /// The bytes of each minute from `at` on; later changes are discarded.
    pub(super) fn set_bytes(&mut self, at: Epoch, bytes: Bytes) {
        self.bytes.retain(|(since, _)| *since < at);
        self.bytes.push((at, bytes));
    }

    /// TunnelDataIn's or TunnelDataOut's datapoints (minute's start, sum) from `start` to before `end`.
    pub(super) fn byte_metric(
        &self,
        start: Epoch,
        end: Epoch,
        now: Epoch,
        switches: &Switches,
        of: impl Fn(Bytes) -> Option<f64>,
    ) -> Vec<(Epoch, f64)> {
        let shown_until = now - switches.metric_lag;
        let mut minute = floor(start.max(self.bytes[0].0));
        let mut points = Vec::new();
        while minute < end && minute + MINUTE <= shown_until {
            let known = self.bytes.iter().rev().find(|(since, _)| *since < minute + MINUTE);
            points.extend(known.and_then(|(_, bytes)| of(*bytes)).map(|sum| (minute, sum)));
            minute += MINUTE;
        }
        points
    }

    fn shown(&self, from: Epoch, until: Epoch, switches: &Switches) -> Option<f64> {
        match &self.metric_view {
            MetricView::Follow => {
                let share = self.fraction_up(from, until);
                (share > 0.0 || !switches.silent_while_down).then_some(share)
            }
            MetricView::Value(value) => Some(*value),
            MetricView::Silent | MetricView::Future(_) | MetricView::Garbage => None,
        }
    }

    /// How much of the time between the two it was up, from 0 to 1.
    fn fraction_up(&self, from: Epoch, until: Epoch) -> f64 {
        let ends = self.changes.iter().skip(1).map(|change| change.at).chain([Epoch::INFINITY]);
        let spans = self.changes.iter().zip(ends).filter(|(change, _)| change.up);
        let up: f64 = spans.map(|(change, end)| (end.min(until) - change.at.max(from)).max(0.0)).sum();
        // The first state is assumed to have held before it was known.
        let before = if self.changes[0].up { (self.changes[0].at.min(until) - from).max(0.0) } else { 0.0 };
        // Sums of fractions of a second: a tunnel that was up throughout is 1, not nearly.
        let share = (up + before) / (until - from);
        (share * 1e6).round() / 1e6
    }
}

fn floor(time: Epoch) -> Epoch {
    (time / MINUTE).floor() * MINUTE
}
