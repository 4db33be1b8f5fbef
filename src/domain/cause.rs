//! Why a tunnel does not work: from all evidence to one cause of a closed list, by one table.
//!
//! A cause never changes a verdict. The table is read from the top; the first row that holds names the cause. A row that could still
//! come to hold, because its sensor has not answered since the break, keeps the rows below it from naming another cause:
//! `unknown` is better than a wrong name.
//!
//! Our probes are lost (Down):
//!
//! | evidence since the break | cause | confidence |
//! |---|---|---|
//! | nobody listens on the IKE daemon's socket | `gateway_host` | certain |
//! | this host refuses to send the echo | `gateway_config` | certain |
//! | the peer refused an IKE exchange, and its address is not silent | `ike_rejected` | certain |
//! | the uplink's interface is missing or has no carrier | `uplink_down` | certain |
//! | no route to AWS's outside address, or the firewall refuses to send there | `gateway_config` | certain |
//! | the outside address and every reference are silent | `uplink_down` | certain |
//! | the outside addresses of all tunnels are silent, no reference is configured | `uplink_down` | possible |
//! | the outside address is silent, another host on the uplink answers; AWS may be replacing the endpoint | `aws_maintenance` | likely |
//! | the outside address is silent, another host on the uplink answers | `path_to_aws` | likely; certain where hops that answered in calm do not |
//! | the outside address is silent, and nothing else is known of the uplink | `unknown` | |
//! | AWS may be replacing the endpoint | `aws_maintenance` | likely |
//! | no IKE SA, or one that is not answered; the outside address answers | `ike_down` | certain |
//! | the same, and nothing is known of the path | `ike_down` | likely |
//! | an IKE SA without a CHILD_SA | `gateway_config` | likely |
//! | the interface, its address or its route is gone, IPsec stands or is not watched | `gateway_config` | certain, likely |
//! | SAs installed, and our probes do not leave by them | `gateway_config` | likely |
//! | packets leave, and AWS's router closed the BGP session because it heard nothing from here | `ipsec_one_way` | certain |
//! | SAs installed, packets leave and come in, AWS receives none | `ipsec_one_way` | certain |
//! | SAs installed, AWS receives, none come in | `ipsec_one_way` | certain |
//! | SAs installed, IKE answered since or AWS says that IPsec is up, packets leave, AWS receives none | `ipsec_one_way` | likely |
//! | SAs installed, IKE answered since, packets leave and none come | `ipsec_one_way` | likely |
//! | SAs installed, packets leave, and the BGP session is lost as well | `ipsec_one_way` | likely |
//! | AWS says that IPsec is down, the outside address answers, IPsec is not watched here | `ike_down` | possible |
//!
//! Our probes are answered (Up):
//!
//! | evidence | cause | confidence |
//! |---|---|---|
//! | the BGP session is not established, passes no route, or lacks a monitored prefix | `bgp_down` | certain |
//! | AWS says so, and no BGP daemon is watched here | `bgp_down` | likely |
//! | hosts in the VPC that have answered do not | `vpc_unreachable` | certain |
//! | large packets do not pass any more | `mtu` | certain |
//! | degraded by loss | `lossy_path` | certain |
//! | degraded by latency or jitter | `slow_path` | certain |
//!
//! Where one end alone says down, [`side`](super::side) names what points to a side besides.
//!
//! Our probes cannot be sent: a missing address or interface is `gateway_config`, anything else `gateway_host`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::carrying::{Carrying, NotCarrying};
use super::names::End;
use super::sensor::{Link, Refusal};
use super::side::{self, AwsFlow, Lead, Passing, Side};
use super::verdict::{Fault, Loss, Verdict, Why};

/// Why a tunnel does not work, or not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// This site's uplink.
    UplinkDown,
    /// The path between the uplink and AWS's outside address.
    PathToAws,
    /// AWS is replacing the endpoint.
    AwsMaintenance,
    /// The IKE peer does not answer.
    IkeDown,
    /// The IKE peer refuses.
    IkeRejected,
    /// IPsec stands, and packets pass in one direction only.
    IpsecOneWay,
    /// The BGP session, or a route that it should bring.
    BgpDown,
    /// The network behind AWS's end.
    VpcUnreachable,
    /// Large packets do not pass.
    Mtu,
    /// Too many packets are lost.
    LossyPath,
    /// Packets take too long.
    SlowPath,
    /// This gateway's interfaces, addresses, routes, firewall or IPsec policy.
    GatewayConfig,
    /// This gateway's system or its IKE daemon.
    GatewayHost,
    /// The evidence supports none of these.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::UplinkDown,
        Self::PathToAws,
        Self::AwsMaintenance,
        Self::IkeDown,
        Self::IkeRejected,
        Self::IpsecOneWay,
        Self::BgpDown,
        Self::VpcUnreachable,
        Self::Mtu,
        Self::LossyPath,
        Self::SlowPath,
        Self::GatewayConfig,
        Self::GatewayHost,
        Self::Unknown,
    ];

    /// The word used in metrics, logs, the store and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UplinkDown => "uplink_down",
            Self::PathToAws => "path_to_aws",
            Self::AwsMaintenance => "aws_maintenance",
            Self::IkeDown => "ike_down",
            Self::IkeRejected => "ike_rejected",
            Self::IpsecOneWay => "ipsec_one_way",
            Self::BgpDown => "bgp_down",
            Self::VpcUnreachable => "vpc_unreachable",
            Self::Mtu => "mtu",
            Self::LossyPath => "lossy_path",
            Self::SlowPath => "slow_path",
            Self::GatewayConfig => "gateway_config",
            Self::GatewayHost => "gateway_host",
            Self::Unknown => "unknown",
        }
    }
}

/// How far the evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Some of the evidence is missing; another cause could look the same.
    Possible,
    /// The evidence points here, and nothing against it.
    Likely,
    /// The evidence leaves no other cause of the list.
    Certain,
}

impl Confidence {
    /// The word used in logs, the store and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// A cause with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause.
    pub cause: Cause,
    /// How far the evidence goes; `Possible` for [`Cause::Unknown`].
    pub confidence: Confidence,
    /// The evidence, the most important first.
    pub clues: Vec<Clue>,
    /// What points to a side, where one end alone says Down and the cause does not name the side.
    pub lead: Option<Lead>,
}

impl Diagnosis {
    /// Whether both name the same cause with the same confidence, and the same lead.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.cause == other.cause && self.confidence == other.confidence && self.lead == other.lead
    }

    /// Whether it names a cause or a side.
    pub fn tells(&self) -> bool {
        self.cause != Cause::Unknown || self.lead.is_some()
    }

    /// The side on which the fault likely is.
    pub fn side(&self) -> Side {
        match (self.lead, self.cause) {
            (Some(lead), _) => lead.side(),
            (
                None,
                Cause::UplinkDown | Cause::PathToAws | Cause::Mtu | Cause::LossyPath | Cause::SlowPath,
            ) => Side::Path,
            (None, Cause::AwsMaintenance) => Side::Aws,
            (None, Cause::VpcUnreachable) => Side::Behind,
            (None, Cause::GatewayConfig | Cause::GatewayHost) => Side::ThisGateway,
            (
                None,
                Cause::IkeDown | Cause::IkeRejected | Cause::IpsecOneWay | Cause::BgpDown | Cause::Unknown,
            ) => Side::Unknown,
        }
    }
}

/// One piece of evidence, as a statement about the present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clue {
    /// Nobody listens on the IKE daemon's socket.
    IkeDaemonNotRunning,
    /// This host refuses to send echoes into the tunnel (EPERM, EACCES, EINVAL).
    SendBlocked,
    /// Echoes into the tunnel find no route, address or interface.
    NothingCanBeSent,
    /// Echoes cannot be sent because of a fault of this host.
    HostFault(Fault),
    /// The peer refused an IKE exchange.
    PeerRefused(Refusal),
    /// The state of the uplink's interface.
    UplinkInterface(Link),
    /// This host has no route to AWS's outside address.
    NoRouteToOutside,
    /// This host refuses to send to AWS's outside address.
    OutsideBlocked,
    /// AWS's outside address answers over the uplink.
    OutsideAnswers,
    /// AWS's outside address, which has answered, does not.
    OutsideSilent,
    /// A reference host on the uplink answers.
    ReferencesAnswer,
    /// No reference host on the uplink answers, and one has.
    ReferencesSilent,
    /// The outside address of another tunnel of the connection answers.
    OtherOutsideAnswers,
    /// Nor do the outside addresses of the other tunnels.
    OtherOutsideSilent,
    /// The last hop that answers on the way to the outside address.
    PathEndsAt {
        /// Its distance.
        hop: u8,
        /// Its address.
        address: IpAddr,
    },
    /// The hops to the outside address, for comparison.
    Hops {
        /// After the break.
        now: Hops,
        /// When it last arrived; `None` if it never did.
        before: Option<Hops>,
    },
    /// AWS may be replacing the endpoint at this time.
    ReplacementUnderWay,
    /// The connection is configured, and there is no IKE SA.
    IkeAbsent,
    /// The IKE SA is being negotiated without success.
    IkeConnecting,
    /// The IKE SA stands, and the peer does not answer an exchange.
    IkeUnanswered,
    /// The IKE SA is established, and answered since the break where that could be seen.
    IkeEstablished,
    /// No CHILD_SA is installed.
    ChildAbsent,
    /// Packets leave by the CHILD_SA.
    OutboundMoves,
    /// Packets come in by the CHILD_SA.
    InboundMoves,
    /// No packet has come in by the CHILD_SA since the break.
    InboundStopped,
    /// No packet leaves by the CHILD_SA, although probes are sent.
    OutboundStopped,
    /// AWS's router closed the BGP session, because it heard nothing from here in time.
    PeerHeardNothing,
    /// The BGP session is established.
    BgpEstablished,
    /// The BGP session is not established; the daemon's word for its state.
    BgpState(Arc<str>),
    /// The BGP daemon's last error.
    BgpLastError(Arc<str>),
    /// The session passes no route because a policy is missing.
    BgpWithoutPolicy,
    /// A monitored prefix is not received.
    PrefixMissing(Arc<str>),
    /// AWS says that the BGP session is down and IPsec works.
    AwsSaysBgpDown,
    /// AWS says that IPsec is up.
    AwsSaysIpsecUp,
    /// AWS says that IPsec is down.
    AwsSaysIpsecDown,
    /// Our probes are answered, although AWS says Down.
    ProbesAnswered,
    /// By AWS's count what this gateway sends arrives there.
    AwsReceives,
    /// By AWS's count nothing from this gateway arrives there.
    AwsReceivesNothing,
    /// By AWS's count AWS sends.
    AwsSends,
    /// By AWS's count AWS sends nothing.
    AwsSendsNothing,
    /// Of the hosts behind the tunnel so many answer.
    HostsAnswer {
        /// That answer.
        answering: u16,
        /// That are watched and have answered.
        of: u16,
    },
    /// The largest packet that passes.
    LargestPacket {
        /// Its size in bytes.
        now: u16,
        /// The size that passed before.
        before: u16,
    },
    /// The lost share of the echoes, in per cent.
    Lost {
        /// Of the last minute at most.
        percent: u8,
    },
    /// The round trip, in milliseconds.
    Slow {
        /// Lately.
        now: u32,
        /// Usually, or what the configuration allows.
        usual: u32,
    },
}

/// What is known from one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sign<T> {
    /// Nothing looks at it, or what looks has no answer.
    #[default]
    Dark,
    /// It is looked at, and there is no answer since the break, or not yet enough of them.
    Awaited,
    /// This.
    Seen(T),
}

/// What IPsec looks like since the break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpsecSign {
    /// Nobody listens on the IKE daemon's socket.
    DaemonNotRunning,
    /// The peer refused.
    Refused(Refusal),
    /// No IKE SA.
    IkeAbsent,
    /// An IKE SA that is being negotiated without success.
    IkeConnecting,
    /// An IKE SA whose peer does not answer.
    IkeUnanswered,
    /// An IKE SA, and no CHILD_SA.
    ChildAbsent,
    /// SAs stand.
    Standing(Flow),
}

/// Which way packets pass through the SAs since the break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Whether the peer's IKE is known to be alive: it was due to be checked since the break, and no check is unanswered.
    pub alive: bool,
    /// Whether packets leave; `None` if not known.
    pub outbound: Option<bool>,
    /// Whether packets come in; `None` if not known.
    pub inbound: Option<bool>,
}

/// What the BGP session looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BgpSign {
    /// Established, with every monitored prefix.
    Established,
    /// Not established.
    NotEstablished {
        /// The daemon's word.
        state: Arc<str>,
        /// Its last error.
        last_error: Option<Arc<str>>,
        /// Whether the neighbour heard nothing from here.
        peer_heard_nothing: bool,
    },
    /// Established, and a policy is missing.
    WithoutPolicy,
    /// Established, and this prefix is missing.
    PrefixMissing(Arc<str>),
}

/// What the way to AWS's outside address looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideSign {
    /// It answers.
    Answers,
    /// It has answered in calm, and does not.
    Silent,
    /// It has never answered: nothing follows from its silence.
    NeverAnswered,
    /// No route from here.
    NoRoute,
    /// This host refuses to send.
    Blocked,
}

/// What other hosts on the uplink say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UplinkSign {
    /// One answers.
    Answers,
    /// None does, and one has.
    Silent,
}

/// What answered at each distance, from 1 on; `None` did not.
pub type Hops = Arc<[Option<IpAddr>]>;

/// Everything that the table reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptoms {
    /// What our probes say of the inside address.
    pub inside: Verdict,
    /// How the last echo was lost.
    pub loss: Option<Loss>,
    /// Whether the tunnel carries traffic, by both ends.
    pub carrying: Carrying,
    /// IPsec.
    pub ipsec: Sign<IpsecSign>,
    /// BGP.
    pub bgp: Sign<BgpSign>,
    /// AWS's outside address.
    pub outside: Sign<OutsideSign>,
    /// The reference hosts.
    pub references: Sign<UplinkSign>,
    /// The outside addresses of the connection's other tunnels.
    pub others: Sign<UplinkSign>,
    /// The uplink's interface.
    pub interface: Option<Link>,
    /// The last hop that answered after the break, with its distance, where the trace did not arrive.
    pub path_ends_at: Option<(u8, IpAddr)>,
    /// The hops of that trace, and of the last one that arrived.
    pub hops: Option<(Hops, Option<Hops>)>,
    /// Whether AWS may be replacing the endpoint.
    pub replacement: bool,
    /// Whether AWS says that IPsec is up, as of after the break.
    pub aws_ipsec: Option<bool>,
    /// Hosts behind the tunnel that have answered: how many do, of how many, where that is too few.
    pub hosts_missing: Option<(u16, u16)>,
    /// The largest packet now and before, where it shrank.
    pub mtu_shrank: Option<(u16, u16)>,
    /// Degraded by loss, in per cent.
    pub lossy: Option<u8>,
    /// Degraded by latency or jitter: milliseconds now, and usual or allowed.
    pub slow: Option<(u32, u32)>,
    /// The end that alone says Down, by evidence that the other's Up does not outdate.
    pub alone: Option<End>,
    /// How long our probes have been lost.
    pub lost_for: Duration,
    /// Whether AWS's Down may speak of BGP.
    pub may_be_bgp: bool,
    /// Which way packets pass by AWS's count.
    pub aws_flow: AwsFlow,
}

/// The table, with the side. `None` where nothing is wrong, or where nothing is watched that could tell.
pub fn diagnose(seen: &Symptoms) -> Option<Diagnosis> {
    let found = cause(seen);
    let Some(lead) = lead(seen, found.as_ref()) else { return found };
    let mut found = found.unwrap_or_else(|| unknown(Vec::new()));
    for clue in clues_of_sides(seen) {
        if !found.clues.contains(&clue) {
            found.clues.push(clue);
        }
    }
    Some(Diagnosis { lead: Some(lead), ..found })
}

fn cause(seen: &Symptoms) -> Option<Diagnosis> {
    match seen.inside {
        Verdict::Down => Some(lost(seen)),
        Verdict::Up => answered(seen),
        Verdict::Unknown(Why::Fault(fault)) => not_sent(fault),
        // AWS says Down and our end has no vote: what the sensors see is all there is.
        Verdict::Unknown(Why::NeverAnswered | Why::Silent) => match seen.carrying {
            Carrying::NotCarrying(_) => Some(lost(seen)),
            Carrying::Carrying | Carrying::CannotTell(_) => None,
        },
        Verdict::Unknown(
            Why::Starting
            | Why::BgpUnknown
            | Why::Unused
            | Why::NotHere
            | Why::Shared
            | Why::NotAsked
            | Why::NoData
            | Why::Stale
            | Why::Fraction
            | Why::Future
            | Why::Contradiction
            | Why::Gone
            | Why::Garbage,
        ) => None,
    }
}

fn named(cause: Cause, confidence: Confidence, clues: Vec<Clue>) -> Diagnosis {
    Diagnosis { cause, confidence, clues, lead: None }
}

fn unknown(clues: Vec<Clue>) -> Diagnosis {
    named(Cause::Unknown, Confidence::Possible, clues)
}

fn not_sent(fault: Fault) -> Option<Diagnosis> {
    let cause = match fault {
        Fault::AddressMissing => Cause::GatewayConfig,
        Fault::NoPermission | Fault::NoMemory | Fault::QueueFull | Fault::TooManyFiles | Fault::Socket(_) => {
            Cause::GatewayHost
        }
        // It passes by itself, and nothing is wrong with the tunnel or the host.
        Fault::HeldUp => return None,
    };
    Some(named(cause, Confidence::Certain, vec![Clue::HostFault(fault)]))
}

/// The first table: our probes are lost.
fn lost(seen: &Symptoms) -> Diagnosis {
    let here = this_host(seen);
    if let Some(diagnosis) = here.or_else(|| refused(seen)).or_else(|| path(seen)) {
        return diagnosis;
    }
    let found = ipsec(seen);
    let may_be_aws = seen.loss != Some(Loss::NoPath)
        && match found.cause {
            Cause::Unknown => seen.ipsec != Sign::Awaited,
            Cause::IkeDown | Cause::IpsecOneWay => true,
            Cause::UplinkDown
            | Cause::PathToAws
            | Cause::AwsMaintenance
            | Cause::IkeRejected
            | Cause::BgpDown
            | Cause::VpcUnreachable
            | Cause::Mtu
            | Cause::LossyPath
            | Cause::SlowPath
            | Cause::GatewayConfig
            | Cause::GatewayHost => false,
        };
    if seen.replacement && may_be_aws {
        return named(Cause::AwsMaintenance, Confidence::Likely, vec![Clue::ReplacementUnderWay]);
    }
    found
}

fn this_host(seen: &Symptoms) -> Option<Diagnosis> {
    if seen.ipsec == Sign::Seen(IpsecSign::DaemonNotRunning) {
        return Some(named(Cause::GatewayHost, Confidence::Certain, vec![Clue::IkeDaemonNotRunning]));
    }
    match seen.loss {
        Some(Loss::Blocked) => {
            Some(named(Cause::GatewayConfig, Confidence::Certain, vec![Clue::SendBlocked]))
        }
        Some(Loss::Timeout | Loss::NoPath) | None => None,
    }
}

fn refused(seen: &Symptoms) -> Option<Diagnosis> {
    if seen.outside == Sign::Seen(OutsideSign::Silent) {
        // It was refused before the path broke.
        return None;
    }
    match seen.ipsec {
        Sign::Seen(IpsecSign::Refused(refusal)) => {
            Some(named(Cause::IkeRejected, Confidence::Certain, vec![Clue::PeerRefused(refusal)]))
        }
        Sign::Seen(
            IpsecSign::DaemonNotRunning
            | IpsecSign::IkeAbsent
            | IpsecSign::IkeConnecting
            | IpsecSign::IkeUnanswered
            | IpsecSign::ChildAbsent
            | IpsecSign::Standing(_),
        )
        | Sign::Dark
        | Sign::Awaited => None,
    }
}

/// The rows on the uplink and the path; `None` where they are in order or nothing is known of them.
fn path(seen: &Symptoms) -> Option<Diagnosis> {
    match seen.interface {
        Some(link @ (Link::Down | Link::Missing)) => {
            return Some(named(Cause::UplinkDown, Confidence::Certain, vec![Clue::UplinkInterface(link)]));
        }
        Some(Link::Up) | None => {}
    }
    match &seen.outside {
        Sign::Awaited => Some(unknown(Vec::new())),
        Sign::Dark | Sign::Seen(OutsideSign::Answers | OutsideSign::NeverAnswered) => None,
        Sign::Seen(OutsideSign::NoRoute) => {
            Some(named(Cause::GatewayConfig, Confidence::Certain, vec![Clue::NoRouteToOutside]))
        }
        Sign::Seen(OutsideSign::Blocked) => {
            Some(named(Cause::GatewayConfig, Confidence::Certain, vec![Clue::OutsideBlocked]))
        }
        Sign::Seen(OutsideSign::Silent) => Some(silent(seen)),
    }
}

/// AWS's outside address does not answer any more.
fn silent(seen: &Symptoms) -> Diagnosis {
    let path = |answering: Clue| {
        let mut clues = vec![Clue::OutsideSilent, answering];
        if seen.replacement {
            clues.insert(0, Clue::ReplacementUnderWay);
            return named(Cause::AwsMaintenance, Confidence::Likely, clues);
        }
        let Some((hop, address)) = seen.path_ends_at else {
            return named(Cause::PathToAws, Confidence::Likely, clues);
        };
        // Where no hop beyond ever answered, the path may go on in silence.
        let good = seen.hops.as_ref().and_then(|(_, good)| good.as_deref());
        let between = good.and_then(|good| good.split_last()).map_or(&[][..], |(_, between)| between);
        let is_cut = between.iter().skip(usize::from(hop)).any(Option::is_some);
        clues.push(Clue::PathEndsAt { hop, address });
        clues.extend(seen.hops.clone().map(|(now, before)| Clue::Hops { now, before }));
        named(Cause::PathToAws, if is_cut { Confidence::Certain } else { Confidence::Likely }, clues)
    };
    match (&seen.references, &seen.others) {
        (Sign::Seen(UplinkSign::Answers), _) => path(Clue::ReferencesAnswer),
        (_, Sign::Seen(UplinkSign::Answers)) => path(Clue::OtherOutsideAnswers),
        (Sign::Seen(UplinkSign::Silent), _) => {
            let clues = vec![Clue::ReferencesSilent, Clue::OutsideSilent];
            named(Cause::UplinkDown, Confidence::Certain, clues)
        }
        (Sign::Dark, Sign::Seen(UplinkSign::Silent)) => {
            let clues = vec![Clue::OutsideSilent, Clue::OtherOutsideSilent];
            named(Cause::UplinkDown, Confidence::Possible, clues)
        }
        (Sign::Awaited | Sign::Dark, Sign::Awaited | Sign::Dark)
        | (Sign::Awaited, Sign::Seen(UplinkSign::Silent)) => unknown(vec![Clue::OutsideSilent]),
    }
}

/// The rows on IPsec, where the path is in order or not known.
fn ipsec(seen: &Symptoms) -> Diagnosis {
    let answers = seen.outside == Sign::Seen(OutsideSign::Answers);
    let no_ike = |clue: Clue| {
        if answers {
            named(Cause::IkeDown, Confidence::Certain, vec![clue, Clue::OutsideAnswers])
        } else {
            named(Cause::IkeDown, Confidence::Likely, vec![clue])
        }
    };
    match seen.ipsec {
        Sign::Seen(IpsecSign::IkeAbsent) => no_ike(Clue::IkeAbsent),
        Sign::Seen(IpsecSign::IkeConnecting) => no_ike(Clue::IkeConnecting),
        Sign::Seen(IpsecSign::IkeUnanswered) => no_ike(Clue::IkeUnanswered),
        Sign::Seen(IpsecSign::ChildAbsent) => {
            let clues = vec![Clue::ChildAbsent, Clue::IkeEstablished];
            named(Cause::GatewayConfig, Confidence::Likely, clues)
        }
        Sign::Seen(IpsecSign::Standing(flow)) => standing(seen, flow),
        Sign::Awaited => unknown(Vec::new()),
        Sign::Seen(IpsecSign::DaemonNotRunning | IpsecSign::Refused(_)) | Sign::Dark => {
            unwatched(seen, answers)
        }
    }
}

/// SAs are installed, and echoes are lost all the same.
fn standing(seen: &Symptoms, flow: Flow) -> Diagnosis {
    if seen.loss == Some(Loss::NoPath) {
        let clues = vec![Clue::NothingCanBeSent, Clue::IkeEstablished];
        return named(Cause::GatewayConfig, Confidence::Certain, clues);
    }
    if flow.outbound == Some(false) {
        let clues = vec![Clue::OutboundStopped, Clue::IkeEstablished];
        return named(Cause::GatewayConfig, Confidence::Likely, clues);
    }
    let mut clues = vec![Clue::IkeEstablished];
    if flow.outbound == Some(true) {
        clues.push(Clue::OutboundMoves);
    }
    match flow.inbound {
        Some(true) => clues.push(Clue::InboundMoves),
        Some(false) => clues.push(Clue::InboundStopped),
        None => {}
    }
    let one_way = |confidence, first: Option<Clue>, clues: Vec<Clue>| {
        named(Cause::IpsecOneWay, confidence, first.into_iter().chain(clues).collect())
    };
    match &seen.bgp {
        Sign::Seen(BgpSign::NotEstablished { peer_heard_nothing: true, .. })
            if flow.outbound == Some(true) =>
        {
            one_way(Confidence::Certain, Some(Clue::PeerHeardNothing), clues)
        }
        // Something inside passes both ways: only the echoes are lost, and the list has no cause for that.
        Sign::Seen(BgpSign::Established | BgpSign::WithoutPolicy | BgpSign::PrefixMissing(_)) => {
            clues.insert(0, Clue::BgpEstablished);
            unknown(clues)
        }
        Sign::Awaited => unknown(clues),
        bgp @ (Sign::Dark | Sign::Seen(BgpSign::NotEstablished { .. })) => {
            let sends = flow.outbound == Some(true);
            let lives = flow.alive || seen.aws_ipsec == Some(true);
            match (flow.inbound, seen.aws_flow.received, bgp) {
                (Some(true), Some(false), _) if sends => {
                    one_way(Confidence::Certain, Some(Clue::AwsReceivesNothing), clues)
                }
                (Some(false), Some(true), _) => one_way(Confidence::Certain, Some(Clue::AwsReceives), clues),
                (_, Some(false), _) if sends && lives => {
                    one_way(Confidence::Likely, Some(Clue::AwsReceivesNothing), clues)
                }
                (Some(false), _, _) if sends && flow.alive => one_way(Confidence::Likely, None, clues),
                (Some(true), None, Sign::Seen(BgpSign::NotEstablished { state, .. })) if sends => {
                    one_way(Confidence::Likely, Some(Clue::BgpState(Arc::clone(state))), clues)
                }
                (Some(_) | None, _, _) => unknown(clues),
            }
        }
    }
}

/// No IKE daemon is watched, or it says nothing of this tunnel.
fn unwatched(seen: &Symptoms, outside_answers: bool) -> Diagnosis {
    if seen.loss == Some(Loss::NoPath) {
        return named(Cause::GatewayConfig, Confidence::Likely, vec![Clue::NothingCanBeSent]);
    }
    match (&seen.bgp, seen.aws_ipsec) {
        (Sign::Seen(BgpSign::NotEstablished { peer_heard_nothing: true, .. }), _) => {
            named(Cause::IpsecOneWay, Confidence::Likely, vec![Clue::PeerHeardNothing])
        }
        (_, Some(false)) if outside_answers => {
            named(Cause::IkeDown, Confidence::Possible, vec![Clue::AwsSaysIpsecDown, Clue::OutsideAnswers])
        }
        (Sign::Seen(BgpSign::Established), _) => unknown(vec![Clue::BgpEstablished]),
        (_, Some(true)) => unknown(vec![Clue::AwsSaysIpsecUp]),
        (_, Some(false)) => unknown(vec![Clue::AwsSaysIpsecDown]),
        (_, None) => unknown(Vec::new()),
    }
}

/// The second table: our probes are answered.
fn answered(seen: &Symptoms) -> Option<Diagnosis> {
    let bgp = bgp(seen);
    if bgp.is_some() {
        return bgp;
    }
    if seen.hosts_missing.is_some() && seen.bgp == Sign::Awaited {
        return Some(unknown(Vec::new()));
    }
    let certain = |cause, clue| Some(named(cause, Confidence::Certain, vec![clue]));
    if let Some((answering, of)) = seen.hosts_missing {
        return certain(Cause::VpcUnreachable, Clue::HostsAnswer { answering, of });
    }
    if let Some((now, before)) = seen.mtu_shrank {
        return certain(Cause::Mtu, Clue::LargestPacket { now, before });
    }
    if let Some(percent) = seen.lossy {
        return certain(Cause::LossyPath, Clue::Lost { percent });
    }
    if let Some((now, usual)) = seen.slow {
        return certain(Cause::SlowPath, Clue::Slow { now, usual });
    }
    match seen.carrying {
        Carrying::NotCarrying(_) => Some(unknown(Vec::new())),
        Carrying::Carrying | Carrying::CannotTell(_) => None,
    }
}

fn bgp(seen: &Symptoms) -> Option<Diagnosis> {
    let certain = |clues| Some(named(Cause::BgpDown, Confidence::Certain, clues));
    match &seen.bgp {
        Sign::Seen(BgpSign::NotEstablished { state, last_error, .. }) => {
            let error = last_error.clone().map(Clue::BgpLastError);
            certain([Clue::BgpState(Arc::clone(state))].into_iter().chain(error).collect())
        }
        Sign::Seen(BgpSign::WithoutPolicy) => certain(vec![Clue::BgpWithoutPolicy]),
        Sign::Seen(BgpSign::PrefixMissing(prefix)) => certain(vec![Clue::PrefixMissing(Arc::clone(prefix))]),
        Sign::Seen(BgpSign::Established) | Sign::Awaited => None,
        Sign::Dark => match seen.carrying {
            Carrying::NotCarrying(NotCarrying::BgpDown) => {
                Some(named(Cause::BgpDown, Confidence::Likely, vec![Clue::AwsSaysBgpDown]))
            }
            Carrying::NotCarrying(
                NotCarrying::BothEndsDown | NotCarrying::LocalDown | NotCarrying::AwsDown,
            )
            | Carrying::Carrying
            | Carrying::CannotTell(_) => None,
        },
    }
}

//--- on which side

/// A BGP session without packets ends sooner: AWS offers a hold time of 30 s, and the smaller of both holds (RFC 4271, section 4.2).
const SESSION_OUTLIVES: Duration = Duration::from_secs(90);

/// What points to a side, where one end alone says Down.
fn lead(seen: &Symptoms, found: Option<&Diagnosis>) -> Option<Lead> {
    let is_open = match found.map(|found| found.cause) {
        None | Some(Cause::Unknown | Cause::IpsecOneWay) => true,
        Some(
            Cause::UplinkDown
            | Cause::PathToAws
            | Cause::AwsMaintenance
            | Cause::IkeDown
            | Cause::IkeRejected
            | Cause::BgpDown
            | Cause::VpcUnreachable
            | Cause::Mtu
            | Cause::LossyPath
            | Cause::SlowPath
            | Cause::GatewayConfig
            | Cause::GatewayHost,
        ) => false,
    };
    let path_is_in_doubt = match &seen.outside {
        Sign::Awaited | Sign::Seen(OutsideSign::Silent | OutsideSign::NoRoute | OutsideSign::Blocked) => true,
        Sign::Dark | Sign::Seen(OutsideSign::Answers | OutsideSign::NeverAnswered) => false,
    };
    let alone = match (seen.alone?, seen.inside) {
        (End::Local, Verdict::Down) if !path_is_in_doubt => End::Local,
        (End::Aws, Verdict::Up) => End::Aws,
        (End::Local | End::Aws, Verdict::Up | Verdict::Down | Verdict::Unknown(_)) => return None,
    };
    if !is_open {
        return None;
    }
    let (established, heard_nothing) = match &seen.bgp {
        Sign::Seen(BgpSign::Established | BgpSign::WithoutPolicy | BgpSign::PrefixMissing(_)) => {
            (true, false)
        }
        Sign::Seen(BgpSign::NotEstablished { peer_heard_nothing, .. }) => (false, *peer_heard_nothing),
        Sign::Dark | Sign::Awaited => (false, false),
    };
    let (outbound, inbound) = match &seen.ipsec {
        Sign::Seen(IpsecSign::Standing(flow)) => (flow.outbound, flow.inbound),
        Sign::Seen(
            IpsecSign::DaemonNotRunning
            | IpsecSign::Refused(_)
            | IpsecSign::IkeAbsent
            | IpsecSign::IkeConnecting
            | IpsecSign::IkeUnanswered
            | IpsecSign::ChildAbsent,
        )
        | Sign::Dark
        | Sign::Awaited => (None, None),
    };
    side::lead(Passing {
        alone,
        may_be_bgp: seen.may_be_bgp,
        established: established && (alone == End::Aws || seen.lost_for >= SESSION_OUTLIVES),
        heard_nothing,
        outbound,
        inbound,
        aws: seen.aws_flow,
    })
}

/// The clues of both ends' counts.
fn clues_of_sides(seen: &Symptoms) -> Vec<Clue> {
    let answered = (seen.inside == Verdict::Up).then_some(Clue::ProbesAnswered);
    let either = |known: Option<bool>, yes, no| known.map(|known| if known { yes } else { no });
    let received = either(seen.aws_flow.received, Clue::AwsReceives, Clue::AwsReceivesNothing);
    let sent = either(seen.aws_flow.sent, Clue::AwsSends, Clue::AwsSendsNothing);
    let flows = [received, sent].map(|clue| clue.filter(|_| seen.inside == Verdict::Down));
    answered.into_iter().chain(flows.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests;
