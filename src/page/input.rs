//! What a page is made of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::names::{SinkId, VpnId};
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::health::overview::OpenProblem;
use crate::http::routes::About;
use crate::records::Records;

use super::past::Past;

/// The present, and what the store remembers.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The state of everything.
    pub status: &'a Status,
    /// The open problems.
    pub problems: &'a [OpenProblem],
    /// The records that are open at the sinks.
    pub records: &'a Records,
    /// Version and mode.
    pub about: &'a About,
    /// What the configuration says.
    pub links: &'a Links,
    /// The last 24 hours.
    pub(super) past: &'a Past,
    /// Both clocks.
    pub now: Now,
}

/// What the configuration says, for the pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Of each connection.
    pub vpns: BTreeMap<VpnId, VpnLinks>,
    /// The Region of each sink whose records are at AWS.
    pub regions: BTreeMap<SinkId, Arc<str>>,
}

/// What the configuration says of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VpnLinks {
    /// The address of the connection in the AWS console, if its Region is known.
    pub console: Option<String>,
    /// The runbook, as it is configured: it need not be an address that is safe to follow.
    pub runbook: Option<Arc<str>>,
    /// The inside address of AWS's end of each tunnel, by its outside address.
    pub inside: BTreeMap<IpAddr, IpAddr>,
}
