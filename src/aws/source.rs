//! What a source is asked about, and what it says: which tunnels, how they are, and what people should look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::Reading;
use crate::domain::names::{SourceId, TunnelId, VpnId};
use crate::domain::plan::{Plan, TunnelPlan};
use crate::domain::time::{Moment, Stamp};

/// The connections that name a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Coverage {
    /// The connections and their tunnels that are not unused, in the order of the plan.
    pub(super) vpns: Vec<(VpnId, Vec<TunnelId>)>,
    /// Every tunnel that is configured, the unused ones too.
    pub(super) configured: BTreeMap<VpnId, Vec<Arc<TunnelPlan>>>,
    /// Those about which EC2 is asked as well, which says so if it does not have one.
    pub(super) known_to_ec2: BTreeSet<VpnId>,
    /// The longest time that evidence stays good for any of them.
    pub(super) stale_after: Duration,
}

impl Coverage {
    /// What each source of the plan is asked about.
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

    /// The tunnels of a connection; none if it is not watched (any more).
    pub(super) fn tunnels_of(&self, vpn: &VpnId) -> &[TunnelId] {
        self.vpns.iter().find(|(id, _)| id == vpn).map_or(&[], |(_, tunnels)| tunnels)
    }

    /// Every tunnel, in the order of the plan.
    pub(super) fn tunnels(&self) -> impl Iterator<Item = &TunnelId> {
        self.vpns.iter().flat_map(|(_, tunnels)| tunnels)
    }
}

/// What a source said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    /// See [`AwsAnswer::asked`](crate::domain::event::AwsAnswer::asked).
    pub(super) asked: Moment,
    /// See [`AwsAnswer::date`](crate::domain::event::AwsAnswer::date).
    pub(super) date: Stamp,
    /// See [`AwsAnswer::readings`](crate::domain::event::AwsAnswer::readings).
    pub(super) readings: Vec<(TunnelId, Reading)>,
    /// What people should look at.
    pub(super) remarks: Vec<Remark>,
    /// Of the connections whose addresses could be compared.
    pub(super) addresses: Vec<Agreement>,
    /// Of the connections whose id this source has something to say of.
    pub(super) id_checks: Vec<IdCheck>,
}

impl Heard {
    pub(super) fn at(asked: Moment, date: Stamp) -> Self {
        Self {
            asked,
            date,
            readings: Vec::new(),
            remarks: Vec::new(),
            addresses: Vec::new(),
            id_checks: Vec::new(),
        }
    }
}

/// Something in an answer that people should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) text: String,
    /// Part of the answer could not be understood, and is counted as such.
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

/// Whether what AWS has of a connection is as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) vpn: VpnId,
    /// What differs or is not confirmed, and what to do.
    pub(super) complaint: Option<String>,
}

/// Whether data belong to the id of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdCheck {
    pub(super) vpn: VpnId,
    pub(super) doubt: Option<IdDoubt>,
}

/// Why the data of some tunnels may not be those of the connection that they are configured for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdDoubt {
    /// Data carry the addresses alone, and nothing carries the id. So it is where AWS publishes by address alone, too.
    Unconfirmed {
        /// The id.
        vpn: VpnId,
        /// The addresses.
        by_address: Vec<IpAddr>,
    },
    /// Data carry these addresses alone, while those that carry the id are of other addresses.
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
