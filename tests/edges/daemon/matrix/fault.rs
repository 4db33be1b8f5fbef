//! The matrix's rows and columns.

use std::time::Duration;

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Throttle,
    Internal,
    Unavailable,
    Expired,
    Denied,
    Reset,
    Close,
    Garbage,
    Hang,
    Slow,
    LostReply,
    Skew,
}

impl Fault {
    /// The fault in the stand-in's format.
    pub(super) fn kind(self) -> Value {
        match self {
            Self::Throttle => json!("throttle"),
            Self::Internal => json!("internal"),
            Self::Unavailable => json!("unavailable"),
            Self::Expired => json!("expired"),
            Self::Denied => json!("denied"),
            Self::Reset => json!("reset"),
            Self::Close => json!("close"),
            Self::Garbage => json!("garbage"),
            // The daemon abandons a call after 10 s.
            Self::Hang => json!({ "hang": { "seconds": 3600.0 } }),
            Self::Slow => json!({ "slow": { "seconds": 2.0 } }),
            Self::LostReply => json!("lost_reply"),
            Self::Skew => json!({ "skew": { "seconds": 3600.0 } }),
        }
    }

    /// How many calls it strikes: as many as there surely are.
    pub(super) const fn times(self) -> u32 {
        match self {
            Self::Throttle | Self::Internal | Self::Unavailable | Self::Reset | Self::Close => 3,
            // The effect of the call may be found without calling again.
            Self::Garbage | Self::LostReply | Self::Slow => 2,
            Self::Expired | Self::Denied | Self::Hang | Self::Skew => 1,
        }
    }

    /// How far it moves the date of pending data: the daemon dates by AWS's clock.
    pub(super) const fn moves_the_date(self) -> Option<Duration> {
        match self {
            Self::Skew => Some(Duration::from_secs(3600)),
            Self::Throttle
            | Self::Internal
            | Self::Unavailable
            | Self::Expired
            | Self::Denied
            | Self::Reset
            | Self::Close
            | Self::Garbage
            | Self::Hang
            | Self::Slow
            | Self::LostReply => None,
        }
    }

    /// Whether a person fixes it, and restarts the daemon.
    pub(super) const fn needs_a_person(self) -> bool {
        match self {
            Self::Denied => true,
            Self::Expired
            | Self::Throttle
            | Self::Internal
            | Self::Unavailable
            | Self::Reset
            | Self::Close
            | Self::Garbage
            | Self::Hang
            | Self::Slow
            | Self::LostReply
            | Self::Skew => false,
        }
    }
}

/// The operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    PutMetricData,
    GetMetricData,
    DescribeVpnConnections,
    StartIncident,
    UpdateIncidentRecord,
    CreateTimelineEvent,
    ListIncidentRecords,
    GetIncidentRecord,
}

impl Operation {
    pub(super) const ALL: [Self; 8] = [
        Self::PutMetricData,
        Self::GetMetricData,
        Self::DescribeVpnConnections,
        Self::StartIncident,
        Self::UpdateIncidentRecord,
        Self::CreateTimelineEvent,
        Self::ListIncidentRecords,
        Self::GetIncidentRecord,
    ];

    /// Whether it polls the tunnels, which happens repeatedly.
    pub(super) const fn is_poll(self) -> bool {
        match self {
            Self::GetMetricData | Self::DescribeVpnConnections => true,
            Self::PutMetricData
            | Self::StartIncident
            | Self::UpdateIncidentRecord
            | Self::CreateTimelineEvent
            | Self::ListIncidentRecords
            | Self::GetIncidentRecord => false,
        }
    }
}
