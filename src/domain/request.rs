//! What the core wants done.

use std::sync::Arc;
use std::time::Duration;

use super::names::{CheckId, SourceId, VpnId};
use super::plan::Route;
use super::time::Stamp;

/// An echo of a check; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EchoId(pub u64);

/// A client (one socket, one ICMP identifier) of a check; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Send one echo; answer with `Sent` or `Failed`, and with `Reply` if one comes before `give_up`.
    Echo(EchoRequest),
    /// This client gets no more echoes: close it when its last one has ended (closing earlier would kill them).
    Retire {
        /// The check it belongs to.
        check: CheckId,
        /// Which client.
        client: ClientId,
    },
    /// Ask AWS.
    AskAws(AwsRequest),
}

/// What AWS is asked. A source that is asked already is asked once more afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsRequest {
    /// How every tunnel is of every connection that names this source; answer with `Answered` or `Refused`.
    Views(SourceId),
    /// What became of a connection's tunnels; answer with `HistoryAnswered` or `HistoryRefused`.
    History(HistoryRequest),
}

/// A time of a connection that CloudWatch is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRequest {
    /// The source to ask.
    pub source: SourceId,
    /// About which connection.
    pub vpn: VpnId,
    /// From when, on AWS's clock.
    pub from: Stamp,
    /// Until when, on AWS's clock.
    pub to: Stamp,
}

/// One ICMP echo.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoRequest {
    /// The check it belongs to.
    pub check: CheckId,
    /// Which echo.
    pub echo: EchoId,
    /// The client to send it with; one that is not open yet is opened for it.
    pub client: ClientId,
    /// The way it takes.
    pub route: Arc<Route>,
    /// A reply after this is ignored.
    pub give_up: Duration,
}
