//! The VPN connections as they really are, and what CloudWatch and EC2 each see of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::clock::Epoch;
use super::settings::{self, Switches};

/// A tunnel's first known state began so long before the stand-in started: there is a past to look at from the start.
const PAST: f64 = 3600.0;

/// How many changes of a tunnel are kept.
const CHANGES_KEPT: usize = 2_000;

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

/// What `CustomerGatewayConfiguration` holds, while the connection's state lets there be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConfigurationView {
    /// Everything.
    #[default]
    Whole,
    /// Nothing: the element is not there.
    Absent,
    /// A document without a tunnel.
    WithoutTunnels,
    /// The tunnels without addresses inside.
    WithoutInside,
    /// The document breaks off in the midst of a pre-shared key.
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
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) at: Epoch,
    pub(super) up: bool,
    /// EC2's StatusMessage from then on; None: what AWS says in such a case.
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
    /// Two values for one timestamp, and neither can be.
    Garbage,
}

/// What EC2's VgwTelemetry shows of a tunnel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TelemetryView {
    /// The real state.
    #[default]
    Follow,
    /// These words, whether AWS has such or not.
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
        }
    }

    pub(super) fn carries_ipv6(&self) -> bool {
        self.inside_cidr.contains(':')
    }

    /// An end's address inside: AWS's is the block's first and the customer's its second, unless the settings say
    /// otherwise.
    pub(super) fn inside(&self, ours: bool) -> IpAddr {
        let said = if ours { self.customer_gateway_inside } else { self.vpn_gateway_inside };
        let base = self.inside_cidr.split('/').next().and_then(|base| base.parse().ok());
        said.unwrap_or_else(|| match base {
            Some(IpAddr::V4(base)) => Ipv4Addr::from_bits(base.to_bits() + 1 + u32::from(ours)).into(),
            Some(IpAddr::V6(base)) => Ipv6Addr::from_bits(base.to_bits() + 1 + u128::from(ours)).into(),
            None => panic!("{} is no block of addresses", self.inside_cidr),
        })
    }

    /// Sets the real state from `at` on; what was known about later times is forgotten. Repeating a state is no change.
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

    /// TunnelState's datapoints (minute's start, share of it that the tunnel was up) from `start` up to, not with, `end`.
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

    fn shown(&self, from: Epoch, until: Epoch, switches: &Switches) -> Option<f64> {
        match &self.metric_view {
            MetricView::Follow => {
                let share = self.share_up(from, until);
                (share > 0.0 || !switches.silent_while_down).then_some(share)
            }
            MetricView::Value(value) => Some(*value),
            MetricView::Silent | MetricView::Future(_) | MetricView::Garbage => None,
        }
    }

    /// How much of the time between the two it was up, from 0 to 1.
    fn share_up(&self, from: Epoch, until: Epoch) -> f64 {
        let ends = self.changes.iter().skip(1).map(|change| change.at).chain([Epoch::INFINITY]);
        let spans = self.changes.iter().zip(ends).filter(|(change, _)| change.up);
        let up: f64 = spans.map(|(change, end)| (end.min(until) - change.at.max(from)).max(0.0)).sum();
        // The first state is taken to have held before it was known.
        let before = if self.changes[0].up { (self.changes[0].at.min(until) - from).max(0.0) } else { 0.0 };
        // Sums of fractions of a second: a tunnel that was up throughout is 1, not nearly.
        let share = (up + before) / (until - from);
        (share * 1e6).round() / 1e6
    }
}

/// The start of the minute.
fn floor(time: Epoch) -> Epoch {
    (time / MINUTE).floor() * MINUTE
}
