//! AWS's view of VPN connections that are not configured yet.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::answer::{TunnelAddresses, TunnelTelemetry, VpnConnection};
use super::{DescribedVpns, Ec2, PER_CALL, Presence};
use crate::aws::connection::AwsConnections;
use crate::aws::errors::{Failure, FailureKind};
use crate::aws::permission::Call;
use crate::aws::text::{MESSAGE_MAX, line};
use crate::domain::event::TelemetryStatus;
use crate::domain::names::{AwsPlace, Routing, VpnId};
use crate::domain::time::Stamp;

const PERMISSION: &str = Call::DescribeVpnConnections.permission();

/// Which connections to discover, and how to call AWS.
#[derive(Debug, Clone)]
pub struct DiscoverQuery {
    /// `None` leaves it to the SDK's own chain.
    pub region: Option<Arc<str>>,
    /// The role to assume; `None` for the caller's own identity.
    pub role_arn: Option<Arc<str>>,
    /// The connections.
    pub which: Which,
}

/// Which connections to discover.
#[derive(Debug, Clone)]
pub enum Which {
    /// Those with these ids.
    Ids(BTreeSet<VpnId>),
    /// Those with this tag.
    Tagged {
        /// The tag's key.
        key: String,
        /// Its value, with AWS's wildcards `*` and `?`.
        value: String,
    },
}

/// AWS's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// Where the connections are.
    pub region: Arc<str>,
    /// The time of the answer, on AWS's clock.
    pub at: Option<Stamp>,
    /// The connections, by id.
    pub connections: Vec<DiscoveredVpn>,
    /// Connections found by tag and left out, with the reason.
    pub left_out: Vec<String>,
    /// Contradictions within AWS's answer, and what to do.
    pub warnings: Vec<String>,
}

/// One VPN connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveredVpn {
    /// Its id.
    pub id: VpnId,
    /// The value of its tag `Name`.
    pub name: Option<String>,
    /// How it is routed.
    pub routing: Routing,
    /// Its tunnels in AWS's order; at least one.
    pub tunnels: Vec<DiscoveredTunnel>,
}

/// One tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveredTunnel {
    /// AWS's outside address.
    pub outside_ip: IpAddr,
    /// AWS's inside address: IPv6 if the tunnel carries it.
    pub inside_ip: IpAddr,
    /// Our inside address.
    pub source_ip: IpAddr,
    /// The state according to AWS.
    pub status: TelemetryStatus,
    /// AWS's status message.
    pub message: String,
    /// The last change of the state or its cause.
    pub changed: Option<Stamp>,
}

/// Why no configuration can be proposed.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Neither the query nor the environment names a Region.
    NoRegion,
    /// The call failed.
    Failed {
        /// The error.
        failure: Failure,
        /// The call, where, and as whom.
        asked: String,
    },
    /// A connection is unusable, or none was found: what, and what to do.
    Found(String),
}

/// Asks AWS about the connections.
///
/// # Errors
/// Everything that prevents a proposal, at once.
pub async fn discover(
    connections: &AwsConnections,
    question: &DiscoverQuery,
) -> Result<Discovered, Vec<Trouble>> {
    let DiscoverQuery { region, role_arn, which } = question;
    let connection = connections.at(&AwsPlace { region: region.clone(), role_arn: role_arn.clone() }).await;
    let (Some(ec2), Some(region)) = (Ec2::at(&connection), &connection.place.region) else {
        return Err(vec![Trouble::NoRegion]);
    };
    let failed = |failure: Failure| {
        let asked = format!("{} {}", failure.call, connection.place);
        vec![Trouble::Failed { failure, asked }]
    };
    let (known, at) = match which {
        Which::Ids(ids) => {
            let mut all = BTreeMap::new();
            let mut at = None;
            let ids: Vec<VpnId> = ids.iter().cloned().collect();
            for batch in ids.chunks(PER_CALL) {
                let asked = batch.iter().cloned().collect();
                let DescribedVpns { known, exchange } = super::describe(&ec2, asked).await.map_err(failed)?;
                at = exchange.date;
                let answered = batch.iter().map(|id| (id.clone(), known.get(id).cloned()));
                all.extend(answered.collect::<Vec<_>>());
            }
            (all, at)
        }
        Which::Tagged { key, value } => {
            let (found, exchange) = ec2.describe_tagged(key, value).await.map_err(failed)?;
            let known = found.into_iter().map(|c| (VpnId::new(c.id.as_str()), Some(Presence::Described(c))));
            (known.collect(), exchange.date)
        }
    };
    judge(which, known, region, at)
}

/// The connections of the answer, or everything that is wrong with it.
fn judge(
    which: &Which,
    known: BTreeMap<VpnId, Option<Presence>>,
    region: &Arc<str>,
    at: Option<Stamp>,
) -> Result<Discovered, Vec<Trouble>> {
    let (mut connections, mut left_out, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    let mut warnings = Vec::new();
    for (id, known) in known {
        match read(&id, known, region, &mut warnings) {
            Ok(connection) => connections.push(connection),
            Err(Unfit::State(what)) if matches!(which, Which::Tagged { .. }) => left_out.push(what),
            Err(Unfit::State(what) | Unfit::Wrong(what)) => troubles.push(Trouble::Found(what)),
        }
    }
    if !troubles.is_empty() {
        return Err(troubles);
    }
    if connections.is_empty() {
        let mut what = match which {
            Which::Ids(_) => format!("{PERMISSION} in {region} was asked about no connection"),
            Which::Tagged { key, value } => format!(
                "{PERMISSION} in {region} finds no VPN connection to configure with the tag {key}={value}; keys and \
                 values are told apart by upper and lower case; is it in another Region (--region) or account \
                 (AWS_PROFILE, --role-arn)?"
            ),
        };
        for left in left_out {
            what.push_str("; ");
            what.push_str(&left);
        }
        return Err(vec![Trouble::Found(what)]);
    }
    Ok(Discovered { region: Arc::clone(region), at, connections, left_out, warnings })
}

/// Why a connection cannot be configured.
enum Unfit {
    /// Its state is not `available`.
    State(String),
    /// Anything else.
    Wrong(String),
}

fn read(
    id: &VpnId,
    known: Option<Presence>,
    region: &str,
    warnings: &mut Vec<String>,
) -> Result<DiscoveredVpn, Unfit> {
    let connection = match known {
        Some(Presence::Described(connection)) => connection,
        Some(Presence::NotFound) => {
            return Err(Unfit::Wrong(format!(
                "{id}: {PERMISSION} in {region} finds no such connection; is it in another Region (--region) or account \
                 (AWS_PROFILE, --role-arn)?"
            )));
        }
        None => {
            let what = format!("{id}: the answer of {PERMISSION} in {region} leaves it out; try again");
            return Err(Unfit::Wrong(what));
        }
    };
    let state = |state: &str, what: &str| {
        Err(Unfit::State(format!("{id}: {PERMISSION} in {region} says that it is {state}: {what}")))
    };
    match connection.state.as_str() {
        "available" => {}
        "pending" => {
            return state(
                "pending",
                "AWS is still creating it; wait until it is available (some minutes), then run discover again",
            );
        }
        "modifying" => {
            return state(
                "modifying",
                "AWS is changing it, and its addresses may change; wait until it is available, then run discover again",
            );
        }
        gone @ ("deleting" | "deleted") => return state(gone, "there is nothing to monitor; leave it out"),
        other => {
            let what = "a state unknown to bothends; wait until it is available, then run discover again";
            return state(&state_word(other), what);
        }
    }
    let without = |what: &str| {
        Err(Unfit::Wrong(format!(
            "{id}: {PERMISSION} in {region} gives {what}; ask again, and if that does not help configure its tunnels by \
             hand, as docs/configuration.md says"
        )))
    };
    let tunnels = match connection.configuration {
        Some(Ok(ref tunnels)) if !tunnels.is_empty() => tunnels,
        Some(Ok(_)) => return without("a CustomerGatewayConfiguration without tunnels"),
        Some(Err(garbled)) => {
            let why = garbled.as_ref();
            return without(&format!("a CustomerGatewayConfiguration that cannot be read ({why})"));
        }
        None => return without("no CustomerGatewayConfiguration"),
    };
    let mut found: Vec<DiscoveredTunnel> = Vec::new();
    for tunnel in tunnels {
        let Some(tunnel) = addressed(tunnel, &connection.telemetry) else {
            return without("a CustomerGatewayConfiguration that lacks addresses of a tunnel");
        };
        if found.iter().any(|other| other.outside_ip == tunnel.outside_ip) {
            return without("a CustomerGatewayConfiguration with one outside address twice");
        }
        found.push(tunnel);
    }
    // The sort is stable: without an order of AWS's, the document's remains.
    found.sort_by_key(|tunnel| {
        connection.order.iter().position(|ip| *ip == tunnel.outside_ip).unwrap_or(usize::MAX)
    });
    warnings.extend(disagreements(id, &found, &connection));
    let routing = match connection.static_routes {
        Some(true) => Routing::Static,
        Some(false) => Routing::Bgp,
        None => Routing::Unknown,
    };
    Ok(DiscoveredVpn { id: id.clone(), name: connection.name, routing, tunnels: found })
}

/// Differences between the tunnels in the gateway's configuration document and in EC2's telemetry, as while AWS replaces one.
fn disagreements(id: &VpnId, described: &[DiscoveredTunnel], connection: &VpnConnection) -> Vec<String> {
    let listed: BTreeSet<IpAddr> = connection.telemetry.iter().filter_map(|one| one.outside_ip).collect();
    let is_described = |ip: &IpAddr| described.iter().any(|tunnel| tunnel.outside_ip == *ip);
    let undescribed = listed.iter().filter(|ip| !is_described(ip)).map(|ip| {
        format!(
            "{id}: EC2's telemetry lists a tunnel {ip} that CustomerGatewayConfiguration does not describe: it is left out. \
             Ask again, for AWS may be replacing it, or add it by hand"
        )
    });
    let unlisted = described.iter().map(|tunnel| tunnel.outside_ip).filter(|ip| !listed.contains(ip)).map(|ip| {
        format!(
            "{id}: CustomerGatewayConfiguration describes a tunnel {ip} that EC2's telemetry does not list: AWS may be \
             replacing it. Ask again before you rely on it"
        )
    });
    // An answer without any telemetry omits them for another reason.
    undescribed.chain(unlisted.filter(|_| !listed.is_empty())).collect()
}

/// A state of AWS's that is unknown here, safe for a message.
fn state_word(state: &str) -> String {
    let word: String = state
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '?' })
        .collect();
    format!("{word:?}")
}

fn addressed(tunnel: &TunnelAddresses, telemetry: &[TunnelTelemetry]) -> Option<DiscoveredTunnel> {
    let outside_ip = tunnel.outside_ip?;
    // A tunnel that carries IPv6 has IPv4 inside addresses as well, for BGP.
    let (inside_ip, source_ip) = tunnel.inside_v6.both().or_else(|| tunnel.inside_v4.both())?;
    let known = telemetry.iter().find(|telemetry| telemetry.outside_ip == Some(outside_ip));
    let status = match known.map(|known| known.status.as_str()) {
        Some("UP") => TelemetryStatus::Up,
        Some("DOWN") => TelemetryStatus::Down,
        Some(_) | None => TelemetryStatus::Other,
    };
    Some(DiscoveredTunnel {
        outside_ip,
        inside_ip,
        source_ip,
        status,
        message: known.map(|known| line(&known.message, MESSAGE_MAX)).unwrap_or_default(),
        changed: known.and_then(|known| known.last_status_change),
    })
}

impl Trouble {
    /// What, where, and what to do.
    pub fn text(&self) -> String {
        match self {
            Self::NoRegion => format!(
                "{PERMISSION}: no Region to ask in; give --region, or set AWS_REGION or a profile's region"
            ),
            Self::Found(text) => text.clone(),
            Self::Failed { failure, asked } => failed(failure, asked),
        }
    }
}

/// Advice for an operator: this command calls AWS with the credentials of the person who runs it. The daemon does not need the
/// permission and should not have it, because the answer contains every pre-shared key.
fn failed(failure: &Failure, asked: &str) -> String {
    const OWN: &str = "`discover` asks with your own credentials: choose them with AWS_PROFILE or AWS_ACCESS_KEY_ID, or a role \
                       with --role-arn";
    let cause = failure.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    if let Some(role) = failure.unassumed() {
        return format!(
            "{asked} was not asked: these credentials may not assume {role}{cause}. {OWN}. They need {} on that role, and \
             its trust policy must allow them",
            Call::AssumeRole.permission()
        );
    }
    let advice = match failure.kind {
        FailureKind::Denied => {
            return format!(
                "{asked} was refused{cause}: these credentials lack the permission. {OWN}. They need {PERMISSION}; the daemon does \
                 not, and should not have it"
            );
        }
        FailureKind::CredentialsMissing => {
            return match failure.sign_in() {
                Some(profile) => format!(
                    "{asked}: no AWS credentials: the profile {profile} signs in by IAM Identity Center, and has no session \
                     that works. Run `aws sso login --profile {profile}`"
                ),
                None => format!("{asked}: no AWS credentials{cause}. {OWN}"),
            };
        }
        FailureKind::CredentialsRefused => {
            return format!(
                "{asked}: AWS does not accept the credentials{cause}. Renew them, and check this host's clock; a Region that is \
                 not enabled for the account refuses them, too. {OWN}"
            );
        }
        FailureKind::Throttled { .. }
        | FailureKind::ServiceFault
        | FailureKind::Contended
        | FailureKind::Garbage => "; try again",
        FailureKind::TimedOut
        | FailureKind::Unreachable
        | FailureKind::CredentialsFailed
        | FailureKind::NotFound
        | FailureKind::TokenKnown
        | FailureKind::Rejected => "",
    };
    format!("{failure}{advice}")
}

#[cfg(test)]
mod tests;
