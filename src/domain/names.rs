//! The names of things: connections, tunnels, checks, ends, kinds.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The id of a VPN connection, `vpn-` and 8 or 17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpnId(Arc<str>);

impl VpnId {
    /// Takes the id as it is; `config` validates it.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VpnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's name at its sink, such as the ARN of an Incident Manager record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub String);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tunnel, named by its connection and its AWS outside address (`TunnelIpAddress`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId {
    /// The VPN connection it belongs to.
    pub vpn: VpnId,
    /// AWS's end of the tunnel on the Internet side.
    pub outside_ip: IpAddr,
}

impl fmt::Display for TunnelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.vpn, self.outside_ip)
    }
}

/// One way to test a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckKind {
    /// ICMP echo to AWS's inside address.
    Inside,
    /// ICMP echo to this host behind the tunnel.
    Through(IpAddr),
}

impl CheckKind {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Through(_) => "through",
        }
    }

    /// The host behind the tunnel that is asked; `None` for [`Self::Inside`].
    pub const fn host(self) -> Option<IpAddr> {
        match self {
            Self::Inside => None,
            Self::Through(host) => Some(host),
        }
    }
}

/// `inside`, or `through 10.0.0.10`.
impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => f.write_str(self.as_str()),
            Self::Through(host) => write!(f, "{} {host}", self.as_str()),
        }
    }
}

/// A check of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The way it is tested.
    pub kind: CheckKind,
}

/// The end that gives a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Our checks.
    Local,
    /// AWS's own view.
    Aws,
}

impl End {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

/// The role of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It should carry traffic.
    Active,
    /// No incident when it alone is down, but it counts for an outage.
    Standby,
    /// Neither probed nor counted.
    Unused,
}

impl Role {
    /// The word used in the configuration, metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Unused => "unused",
        }
    }
}

/// How a connection is routed, which decides what AWS's `TunnelState` means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Routing {
    /// By BGP: `TunnelState` is the BGP session.
    Bgp,
    /// By static routes: `TunnelState` is IPsec.
    Static,
    /// Not configured.
    #[default]
    Unknown,
}

impl Routing {
    /// The word used in the configuration and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bgp => "bgp",
            Self::Static => "static",
            Self::Unknown => "unknown",
        }
    }
}

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Both ends agree that an active tunnel is down, and no other tunnel carries traffic.
    Outage,
    /// Both ends agree that an active tunnel is down, and another carries traffic, or may.
    RedundancyLost,
    /// The ends do not agree, and one or the other says down of each tunnel.
    OneSided,
    /// A tunnel is Up by our end, but its loss, latency or jitter is not as it should be. AWS does not measure that.
    Degraded,
}

impl Kind {
    /// Every kind, in order of severity.
    pub const ALL: [Self; 4] = [Self::Outage, Self::RedundancyLost, Self::OneSided, Self::Degraded];

    /// The kinds that a sink takes unless it names others: those that tell of a tunnel that is down.
    pub const BY_DEFAULT: [Self; 3] = [Self::Outage, Self::RedundancyLost, Self::OneSided];

    /// The word used in the configuration, metrics, logs, response plans and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::RedundancyLost => "redundancy_lost",
            Self::OneSided => "one_sided",
            Self::Degraded => "degraded",
        }
    }

    /// The impact an incident of this kind has by default, in Incident Manager's scale: 1 critical to 5 none.
    pub const fn default_impact(self) -> u8 {
        match self {
            Self::Outage => 1,
            Self::OneSided => 2,
            Self::RedundancyLost => 3,
            Self::Degraded => 4,
        }
    }
}

/// The name of a sink: the one in the configuration, or its type and, from the second of a type on, its position among them, as
/// in `incident_manager` or `incident_manager-2`. Another sink may have the name tomorrow: see [`Destination`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(Arc<str>);

impl SinkId {
    /// Takes the id as it is.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as in metrics and logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a sink's incidents go, as a digest: its identity, whatever its name and its place in the configuration. Of two sinks
/// with one destination, no connection's kind goes to both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(Arc<str>);

impl Destination {
    /// Takes the digest as it is.
    pub fn new(digest: impl Into<Arc<str>>) -> Self {
        Self(digest.into())
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A source of AWS's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// The metric `TunnelState` in CloudWatch's namespace `AWS/VPN`.
    CloudWatch,
    /// EC2 `DescribeVpnConnections`.
    Ec2,
}

impl SourceKind {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            Self::Ec2 => "ec2",
        }
    }
}

/// A Region of AWS, and the role to call it with; `None` leaves either to the SDK's own chain (variables, profile).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsPlace {
    /// The Region.
    pub region: Option<Arc<str>>,
    /// The role to assume; `None` uses the daemon's own credentials.
    pub role_arn: Option<Arc<str>>,
}

impl fmt::Display for AwsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "in {region}")?,
            None => f.write_str("without a Region")?,
        }
        match &self.role_arn {
            Some(role) => write!(f, " as {role}"),
            None => Ok(()),
        }
    }
}

/// One poller: a source in one Region with one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// Which API.
    pub kind: SourceKind,
    /// The Region and the role.
    pub place: AwsPlace,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.as_str())?;
        if let Some(region) = &self.place.region {
            write!(f, " in {region}")?;
        }
        if let Some(role) = &self.place.role_arn {
            write!(f, " as {role}")?;
        }
        Ok(())
    }
}
