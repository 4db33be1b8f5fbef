//! What speaks against the id of a connection.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::domain::names::VpnId;

/// Why the data of some tunnels may not be those of the connection that they are configured for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aws) enum Doubt {
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

impl fmt::Display for Doubt {
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
