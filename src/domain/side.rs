//! Where the fault likely is, where one end alone calls a tunnel down and its cause is not known, or not on which side: by which way
//! packets pass.
//!
//! | one end alone says down | the lead | the side |
//! |---|---|---|
//! | this one; the BGP session outlives the break | only the echoes are lost | this gateway |
//! | this one; packets leave by IPsec, and AWS receives none, or its router says so | what this gateway sends is lost | this gateway |
//! | this one; AWS receives, and sends nothing | AWS's end does not answer | AWS |
//! | this one; AWS receives, and nothing comes in by IPsec | what AWS sends is lost | the path |
//! | this one; AWS receives, and packets pass both ways by IPsec | only the echoes are lost | this gateway |
//! | AWS; its word is no word on BGP, or BGP is established | AWS's report is wrong, or late | AWS |
//! | any other | none | unknown |

use super::names::End;

/// Which side of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// This gateway.
    ThisGateway,
    /// Between this gateway and AWS's outside address, this site's uplink included.
    Path,
    /// AWS's end of the tunnel.
    Aws,
    /// The network behind AWS's end.
    Behind,
    /// The evidence points to no side.
    Unknown,
}

impl Side {
    /// The word used in logs and `/status`; `None` where it is not known.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::ThisGateway => Some("this_gateway"),
            Self::Path => Some("path"),
            Self::Aws => Some("aws"),
            Self::Behind => Some("behind"),
            Self::Unknown => None,
        }
    }
}

/// What points to a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lead {
    /// What this gateway sends does not arrive at AWS.
    OutboundLost,
    /// What AWS sends does not arrive here.
    ReturnLost,
    /// Packets pass both ways; only the echoes are lost.
    EchoesLost,
    /// AWS receives, and does not answer.
    AwsSilent,
    /// Packets pass, and AWS reports the tunnel down.
    AwsReport,
}

impl Lead {
    /// Every lead.
    pub const ALL: [Self; 5] =
        [Self::OutboundLost, Self::ReturnLost, Self::EchoesLost, Self::AwsSilent, Self::AwsReport];

    /// The side to which it points.
    pub const fn side(self) -> Side {
        match self {
            Self::OutboundLost | Self::EchoesLost => Side::ThisGateway,
            Self::ReturnLost => Side::Path,
            Self::AwsSilent | Self::AwsReport => Side::Aws,
        }
    }
}

/// Which way packets pass by AWS's own count, over whole minutes since the break. `None`: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AwsFlow {
    /// Whether AWS receives what our probes send; false: nothing at all.
    pub received: Option<bool>,
    /// Whether AWS sends as much as would answer them; false: nothing at all.
    pub sent: Option<bool>,
}

/// What the table reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing {
    /// The end that alone says Down.
    pub alone: End,
    /// Whether AWS's Down may speak of BGP.
    pub may_be_bgp: bool,
    /// Whether the BGP session is established: where our probes are lost, longer after the break than a session lives without packets.
    pub established: bool,
    /// Whether AWS's router has heard nothing from here.
    pub heard_nothing: bool,
    /// Whether packets leave by IPsec.
    pub outbound: Option<bool>,
    /// Whether packets come in by IPsec.
    pub inbound: Option<bool>,
    /// AWS's count.
    pub aws: AwsFlow,
}

/// The table.
pub fn lead(seen: Passing) -> Option<Lead> {
    let outbound_lost = seen.outbound == Some(true) && seen.aws.received == Some(false);
    match seen.alone {
        End::Aws => (seen.established || !seen.may_be_bgp).then_some(Lead::AwsReport),
        End::Local if seen.established => Some(Lead::EchoesLost),
        End::Local if seen.heard_nothing || outbound_lost => Some(Lead::OutboundLost),
        End::Local if seen.aws.received != Some(true) => None,
        End::Local => match (seen.inbound, seen.aws.sent) {
            (Some(false) | None, Some(false)) => Some(Lead::AwsSilent),
            (Some(false), Some(true) | None) => Some(Lead::ReturnLost),
            (Some(true), Some(true)) if seen.outbound == Some(true) => Some(Lead::EchoesLost),
            (Some(true), _) | (None, Some(true) | None) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_KNOWN: Passing = Passing {
        alone: End::Local,
        may_be_bgp: true,
        established: false,
        heard_nothing: false,
        outbound: None,
        inbound: None,
        aws: AwsFlow { received: None, sent: None },
    };

    fn ipsec(outbound: Option<bool>, inbound: Option<bool>, aws: AwsFlow) -> Option<Lead> {
        lead(Passing { outbound, inbound, aws, ..NOTHING_KNOWN })
    }

    #[test]
    fn our_end_alone_says_down() {
        let (yes, no) = (Some(true), Some(false));
        let aws = |received, sent| AwsFlow { received, sent };
        assert_eq!(lead(NOTHING_KNOWN), None);
        assert_eq!(lead(Passing { established: true, ..NOTHING_KNOWN }), Some(Lead::EchoesLost));
        assert_eq!(lead(Passing { heard_nothing: true, ..NOTHING_KNOWN }), Some(Lead::OutboundLost));
        for (inbound, sent) in [(no, no), (no, yes), (yes, yes), (None, None)] {
            assert_eq!(ipsec(yes, inbound, aws(no, sent)), Some(Lead::OutboundLost));
            // Nothing leaves, or that is not known: AWS's silence proves nothing.
            assert_eq!(ipsec(no, inbound, aws(no, sent)), None);
            assert_eq!(ipsec(None, inbound, aws(no, sent)), None);
            // Without AWS's count the counters here do not say where packets are lost.
            assert_eq!(ipsec(yes, inbound, aws(None, sent)), None);
        }
        for outbound in [yes, None] {
            assert_eq!(ipsec(outbound, no, aws(yes, no)), Some(Lead::AwsSilent));
            assert_eq!(ipsec(outbound, None, aws(yes, no)), Some(Lead::AwsSilent));
            assert_eq!(ipsec(outbound, no, aws(yes, yes)), Some(Lead::ReturnLost));
            assert_eq!(ipsec(outbound, no, aws(yes, None)), Some(Lead::ReturnLost));
            assert_eq!(ipsec(outbound, None, aws(yes, yes)), None);
            // AWS sends nothing, and packets come in: the counts are of different times.
            assert_eq!(ipsec(outbound, yes, aws(yes, no)), None);
        }
        assert_eq!(ipsec(yes, yes, aws(yes, yes)), Some(Lead::EchoesLost));
        assert_eq!(ipsec(None, yes, aws(yes, yes)), None);
    }

    #[test]
    fn aws_alone_says_down() {
        let there = Passing { alone: End::Aws, ..NOTHING_KNOWN };
        assert_eq!(lead(there), None, "BGP may be down");
        assert_eq!(lead(Passing { may_be_bgp: false, ..there }), Some(Lead::AwsReport));
        assert_eq!(lead(Passing { established: true, ..there }), Some(Lead::AwsReport));
    }

    #[test]
    fn every_lead_points_to_a_side() {
        assert!(Lead::ALL.iter().all(|lead| lead.side().as_str().is_some()));
    }
}
