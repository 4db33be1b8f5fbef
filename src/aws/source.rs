//! What a source is asked, and what it answers: which tunnels, their state, and what people should know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{Reading, TunnelData};
use crate::domain::names::{SourceId, TunnelId, VpnId};
use crate::domain::plan::{Plan, TunnelPlan};
use crate::domain::time::{Moment, Stamp};

/// The connections that use a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Coverage {
    /// The connections and their tunnels other than unused ones, in the order of the plan.
    pub(super) vpns: Vec<(VpnId, Vec<TunnelId>)>,
    /// Every configured tunnel, unused ones included.
    pub(super) configured: BTreeMap<VpnId, Vec<Arc<TunnelPlan>>>,
    /// Those that EC2 is asked about as well; EC2 reports if one does not exist.
    pub(super) known_to_ec2: BTreeSet<VpnId>,
    /// The longest `stale_after` of any of them.
    pub(super) stale_after: Duration,
}

impl Coverage {
    /// The coverage of each source in the plan.
    pub(super) fn of(plan: &Plan) -> BTreeMap<SourceId, Self> {
        let mut all: BTreeMap<SourceId, Self> = BTreeMap::new();
        for vpn in &plan.vpns {
            for source in &vpn.aws.sources {
                let coverage = all.entry(source.clone()).or_default();
                let tunnels = vpn.used_tunnels().map(|tunnel| tunnel.id.clone()).collect();
                coverage.vpns.push((vpn.id.clone(), tunnels));
                coverage.configured.insert(vpn.id.clone(), vpn.tunnels.clone());
                if vpn.aws.asks_ec2() {
                    coverage.known_to_ec2.insert(vpn.id.clone());
                }
                coverage.stale_after = coverage.stale_after.max(vpn.aws.stale_after);
            }
        }
        all
    }

    /// The tunnels of a connection; none if it is not (or no longer) watched.
    pub(super) fn tunnels_of(&self, vpn: &VpnId) -> &[TunnelId] {
        self.vpns.iter().find(|(id, _)| id == vpn).map_or(&[], |(_, tunnels)| tunnels)
    }

    /// Every tunnel, in the order of the plan.
    pub(super) fn tunnels(&self) -> impl Iterator<Item = &TunnelId> {
        self.vpns.iter().flat_map(|(_, tunnels)| tunnels)
    }
}

/// A source's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceAnswer {
    /// See [`AwsAnswer::asked`](crate::domain::event::AwsAnswer::asked).
    pub(super) asked: Moment,
    /// See [`AwsAnswer::date`](crate::domain::event::AwsAnswer::date).
    pub(super) date: Stamp,
    /// See [`AwsAnswer::readings`](crate::domain::event::AwsAnswer::readings).
    pub(super) readings: Vec<(TunnelId, Reading)>,
    /// See [`AwsAnswer::data`](crate::domain::event::AwsAnswer::data).
    pub(super) data: Vec<(TunnelId, TunnelData)>,
    /// Texts for people.
    pub(super) remarks: Vec<Remark>,
    /// Of the connections whose addresses could be compared.
    pub(super) addresses: Vec<Agreement>,
    /// Of the connections whose id this source can check.
    pub(super) id_checks: Vec<IdCheck>,
}

impl SourceAnswer {
    pub(super) fn at(asked: Moment, date: Stamp) -> Self {
        Self {
            asked,
            date,
            readings: Vec::new(),
            data: Vec::new(),
            remarks: Vec::new(),
            addresses: Vec::new(),
            id_checks: Vec::new(),
        }
    }
}

/// A text for people about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) text: String,
    /// Part of the answer was invalid; counted as such.
    pub(super) is_garbage: bool,
}

impl Remark {
    pub(super) fn garbage(text: String) -> Self {
        Self { text, is_garbage: true }
    }

    pub(super) fn advice(text: String) -> Self {
        Self { text, is_garbage: false }
    }
}

/// Whether AWS's addresses of a connection match the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) vpn: VpnId,
    /// What differs or is not confirmed, and what to do.
    pub(super) complaint: Option<String>,
}

/// Whether data belong to a connection's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdCheck {
    pub(super) vpn: VpnId,
    pub(super) doubt: Option<IdDoubt>,
}

/// Why the data of some tunnels may belong to a connection other than the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdDoubt {
    /// Data exist under the addresses alone, and none under the id. Normal where AWS publishes by address alone.
    Unconfirmed {
        /// The id.
        vpn: VpnId,
        /// The addresses.
        by_address: Vec<IpAddr>,
    },
    /// Data exist under these addresses alone, while the data under the id are of other addresses.
    Contradicted {
        /// The id.
        vpn: VpnId,
        /// The addresses.
        strangers: Vec<IpAddr>,
        /// The other addresses.
        under_id: BTreeSet<IpAddr>,
    },
}

impl fmt::Display for IdDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfirmed { vpn, by_address } => write!(
                f,
                "CloudWatch has TunnelState of {} under TunnelIpAddress alone, and nothing under VpnId {vpn}: nothing confirms that \
                 this is the connection's id, which incidents are named by; compare it with what `bothends discover {vpn}` prints, \
                 or set [aws] ec2_telemetry = true, so that EC2 confirms it",
                listed(by_address)
            ),
            Self::Contradicted { vpn, strangers, under_id } => write!(
                f,
                "CloudWatch has TunnelState of {} under VpnId {vpn}, and {} {} not among them, but under TunnelIpAddress alone: the \
                 id or the address is another connection's, so that incidents name the wrong one; compare both with what \
                 `bothends discover {vpn}` prints",
                listed(under_id),
                listed(strangers),
                if strangers.len() == 1 { "is" } else { "are" }
            ),
        }
    }
}

fn listed<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
