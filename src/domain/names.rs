//! What things are called: connections, tunnels, checks, ends, kinds.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The id of a VPN connection, `vpn-` and 8 or 17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpnId(Arc<str>);

impl VpnId {
    /// Takes the id as it is; `config` is what checks it.
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

/// One way to ask whether a tunnel works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckKind {
    /// ICMP echo to AWS's inside address.
    Inside,
}

impl CheckKind {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
        }
    }
}

/// A check of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId {
    /// The tunnel that is asked.
    pub tunnel: TunnelId,
    /// How it is asked.
    pub kind: CheckKind,
}

/// Who says so.
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

/// What a tunnel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It should carry traffic.
    Active,
    /// Down alone is nothing, but it counts for an outage.
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

/// How a connection is routed: what AWS's `TunnelState` speaks of.
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
    /// The ends do not agree, and of each tunnel one or the other says that it is down.
    OneSided,
}

impl Kind {
    /// Every kind, in order of severity.
    pub const ALL: [Self; 3] = [Self::Outage, Self::RedundancyLost, Self::OneSided];

    /// The word used in the configuration, metrics, logs, response plans and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::RedundancyLost => "redundancy_lost",
            Self::OneSided => "one_sided",
        }
    }

    /// The impact an incident of this kind has by default, in Incident Manager's scale: 1 critical to 5 none.
    pub const fn default_impact(self) -> u8 {
        match self {
            Self::Outage => 1,
            Self::OneSided => 2,
            Self::RedundancyLost => 3,
        }
    }
}

/// What a sink is called: the name that the configuration gives it, or its type and, from the second of a type on, its place
/// among them, as `incident_manager` or `incident_manager-2`. Another sink may be called so tomorrow: see [`Destination`].
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

/// Where a sink's incidents go, as a digest: what makes it the same sink whatever it is called and wherever it stands in the
/// configuration. Of two sinks that go to one destination no kind of one connection goes by both.
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

/// Where AWS's view comes from.
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

/// A Region of AWS, and the role it is called with; `None` leaves either to the SDK's own chain (variables, profile).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsPlace {
    /// The Region.
    pub region: Option<Arc<str>>,
    /// The role to assume, if it is not the daemon's own credentials that ask.
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

/// One poller: a source in one Region, seen with one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// Which API.
    pub kind: SourceKind,
    /// Where, and as whom.
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
