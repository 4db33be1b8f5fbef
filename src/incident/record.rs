//! What a sink has of an incident: a record, and where its like are.

use std::fmt;

use crate::domain::names::{Kind, VpnId};
use crate::domain::time::Stamp;

/// What marks a record as a drill's.
pub const DRILL_SOURCE: &str = "bothends.drill";

/// A record's name at its sink, such as the ARN of an Incident Manager record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub String);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to look for, and start, the records of one connection and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The connection.
    pub vpn: VpnId,
    /// The kind.
    pub kind: Kind,
    /// The response plan (its ARN, placeholders filled in) or the vendor's counterpart.
    pub plan: String,
    /// What marks a record as ours: `bothends.<kind>`.
    pub source: String,
    /// The connection's ARN.
    pub resource: String,
}

impl Scope {
    /// Whether it is a drill's, and so no incident's.
    pub fn is_drill(&self) -> bool {
        self.source == DRILL_SOURCE
    }
}

/// A sink's counterpart of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub id: RecordId,
    /// Open or closed.
    pub status: RecordStatus,
    /// When it was created, on the sink's clock.
    pub created: Stamp,
    /// Who opened it.
    pub origin: Origin,
}

/// Whether a record is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordStatus {
    /// People are on it.
    Open,
    /// Somebody, or we, closed it.
    Resolved,
}

/// Who opened a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A daemon, this one or its twin.
    Daemon,
    /// The CloudWatch alarm of our own template.
    Alarm,
}
