//! What the core asks the driver to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::names::{CheckId, SourceId, TunnelId, VpnId};
use super::plan::Route;
use super::sensor::SenseRequest;
use super::time::Stamp;

/// An echo of a check; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EchoId(pub u64);

/// A client (one socket, one ICMP identifier) of a check; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Send one echo. Answer with `Sent` or `Failed`, and with `Reply` if one comes before `give_up`.
    Echo(EchoRequest),
    /// This client gets no more echoes: close it when its last one has ended (closing it earlier would lose them).
    Retire {
        /// The check it belongs to.
        check: CheckId,
        /// The client.
        client: ClientId,
    },
    /// Ask AWS.
    AskAws(AwsRequest),
    /// Ask a sensor; answer with `Sensed`.
    Sense(SenseRequest),
}

/// A question to AWS. If the source has a question in flight this one follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsRequest {
    /// The state of every tunnel of the connections with this source; answer with `Answered` or `Refused`.
    Views(ViewsRequest),
    /// The history of a connection's tunnels; answer with `HistoryAnswered` or `HistoryRefused`.
    History(HistoryRequest),
}

/// A question about the present state of tunnels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewsRequest {
    /// The source to ask.
    pub source: SourceId,
    /// The tunnels that an end calls down, of the connections with this source. AWS is asked more about them: CloudWatch for their
    /// bytes, which cost as much as their state, and EC2 more often for maintenance.
    pub called_down: BTreeSet<TunnelId>,
}

/// A question about a connection's past, for CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRequest {
    /// The source to ask.
    pub source: SourceId,
    /// The connection.
    pub vpn: VpnId,
    /// The start, on AWS's clock.
    pub from: Stamp,
    /// The end, on AWS's clock.
    pub to: Stamp,
}

/// One ICMP echo.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoRequest {
    /// The check it belongs to.
    pub check: CheckId,
    /// Its id.
    pub echo: EchoId,
    /// The client to send it with; it is opened if necessary.
    pub client: ClientId,
    /// Its route.
    pub route: Arc<Route>,
    /// A reply after this is ignored.
    pub give_up: Duration,
}
