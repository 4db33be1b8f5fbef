//! Causes in words: for a title, with the evidence, and the first thing to do.

use std::net::IpAddr;

use crate::domain::cause::{Cause, Clue, Confidence, Diagnosis};
use crate::domain::names::TunnelId;
use crate::domain::sensor::{BgpSession, Finding, Ike, Ipsec, Link, Reach, Refusal, Unavailable};
use crate::domain::side::Lead;

/// TCP and IPv4 headers: what the MSS is smaller than the MTU (RFC 9293, section 3.7.1).
const HEADERS: u16 = 40;

/// The cause as a title has it; `None` for an unknown one, which tells a reader nothing.
pub const fn title(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::UplinkDown => "this site's uplink is down",
        Cause::PathToAws => "the path to AWS is broken",
        Cause::AwsMaintenance => "AWS maintenance",
        Cause::IkeDown => "IKE is down",
        Cause::IkeRejected => "IKE is rejected",
        Cause::IpsecOneWay => "IPsec passes one way only",
        Cause::BgpDown => "BGP is down",
        Cause::VpcUnreachable => "the VPC is unreachable",
        Cause::Mtu => "large packets are lost",
        Cause::LossyPath => "packets are lost",
        Cause::SlowPath => "the path is slow",
        Cause::GatewayConfig => "this gateway's configuration",
        Cause::GatewayHost => "this gateway's system",
        Cause::Unknown => return None,
    })
}

/// A diagnosis in one line: the cause, how sure it is, and the evidence.
pub fn sentence(diagnosis: &Diagnosis) -> String {
    let (named, clues) = (named(diagnosis), &diagnosis.clues);
    if clues.is_empty() { named } else { format!("{named}: {}", evidence(clues).join("; ")) }
}

/// The cause, or at least the side, and how sure it is.
pub fn named(diagnosis: &Diagnosis) -> String {
    match (title(diagnosis.cause), diagnosis.lead, diagnosis.confidence) {
        (None, None, _) => "the cause is not known".to_owned(),
        (None, Some(lead), _) => format!("likely {}", side(lead)),
        (Some(title), _, Confidence::Certain) => title.to_owned(),
        (Some(title), _, confidence @ (Confidence::Likely | Confidence::Possible)) => {
            format!("{title} ({})", confidence.as_str())
        }
    }
}

/// Where a lead points to.
pub const fn side(lead: Lead) -> &'static str {
    match lead {
        Lead::OutboundLost => {
            "this gateway's outbound firewall, IPsec policy or route: what it sends does not reach AWS"
        }
        Lead::ReturnLost => "the way back from AWS: the carrier, or this gateway's inbound firewall",
        Lead::EchoesLost => "a filter on this gateway drops only the probes; traffic probably passes",
        Lead::AwsSilent => "AWS's end: it receives our packets and sends nothing back",
        Lead::AwsReport => "AWS's report is late or wrong, and the tunnel works",
    }
}

/// The first thing to do about a lead.
pub fn lead_step(lead: Lead, outside: IpAddr) -> String {
    match lead {
        Lead::OutboundLost => format!(
            "Does ESP or UDP 4500 to {outside} leave this gateway (`tcpdump -ni any host {outside}`)? If not, look at `nft list \
             ruleset`, `ip xfrm policy` and `ip route get {outside}`."
        ),
        Lead::ReturnLost => format!(
            "Does ESP or UDP 4500 from {outside} come in (`tcpdump -ni any host {outside}`)? If it does, this gateway drops it: \
             `nft list ruleset`, `ip -s xfrm state`. If not, call the carrier."
        ),
        Lead::EchoesLost => "Allow ICMP echo between the tunnel's inside addresses, both ways: `nft list ruleset`.".to_owned(),
        Lead::AwsSilent => "Renew the SAs (`swanctl --terminate --ike NAME`, `--initiate --child NAME`). If AWS still sends \
                            nothing, open a case with AWS Support."
            .to_owned(),
        Lead::AwsReport => "AWS: open the connection in the console (Tunnel details). If it still says DOWN while probes are \
                            answered, open a case with AWS Support."
            .to_owned(),
    }
}

/// Each piece of evidence in words.
pub fn evidence(clues: &[Clue]) -> Vec<String> {
    clues.iter().map(clue).collect()
}

fn clue(clue: &Clue) -> String {
    let text = match clue {
        Clue::IkeDaemonNotRunning => "the IKE daemon does not run on this gateway",
        Clue::SendBlocked => "this gateway's kernel refuses to send into the tunnel",
        Clue::NothingCanBeSent => "this gateway has no route, address or interface for the tunnel",
        Clue::HostFault(fault) => return fault.to_string(),
        Clue::PeerRefused(refusal) => match refusal {
            Refusal::Authentication => "AWS answered AUTHENTICATION_FAILED",
            Refusal::Proposal => "AWS answered NO_PROPOSAL_CHOSEN",
            Refusal::TrafficSelectors => "AWS answered TS_UNACCEPTABLE",
            Refusal::Other => "AWS answered with an error",
        },
        Clue::UplinkInterface(link) => match link {
            Link::Up => "the uplink's interface is up",
            Link::Down => "the uplink's interface is down or has no carrier",
            Link::Missing => "the uplink's interface does not exist",
        },
        Clue::NoRouteToOutside => "this gateway has no route to AWS's outside address",
        Clue::OutsideBlocked => "this gateway's firewall refuses to send to AWS's outside address",
        Clue::OutsideAnswers => "AWS's outside address answers over the uplink",
        Clue::OutsideSilent => "AWS's outside address no longer answers over the uplink",
        Clue::ReferencesAnswer => "the uplink's references answer",
        Clue::ReferencesSilent => "no reference on the uplink answers",
        Clue::OtherOutsideAnswers => "the other tunnel's outside address answers",
        Clue::OtherOutsideSilent => "nor does the other tunnel's outside address",
        Clue::PathEndsAt { hop, address } => return format!("the path ends at hop {hop} ({address})"),
        Clue::Hops { now, before } => {
            let before = before.as_deref().map(|before| format!("; when it arrived: {}", hops(before)));
            return format!("hops now: {}{}", hops(now), before.unwrap_or_default());
        }
        Clue::ReplacementUnderWay => "AWS has announced or made a replacement of this endpoint for this time",
        Clue::IkeAbsent => "there is no IKE SA",
        Clue::IkeConnecting => "the IKE SA is being negotiated without an answer",
        Clue::IkeUnanswered => "the IKE peer does not answer dead peer detection",
        Clue::IkeEstablished => "the IKE SA is established",
        Clue::ChildAbsent => "no CHILD_SA is installed",
        Clue::OutboundMoves => "packets leave by IPsec",
        Clue::InboundMoves => "packets come in by IPsec",
        Clue::InboundStopped => "no packet comes in by IPsec",
        Clue::OutboundStopped => "probes do not leave by IPsec",
        Clue::PeerHeardNothing => "AWS's router closed the BGP session: it heard nothing from here in time",
        Clue::BgpEstablished => "the BGP session is established",
        Clue::BgpState(state) => return format!("the BGP session is {state}, not established"),
        Clue::BgpLastError(error) => return format!("the BGP daemon's last error: {error}"),
        Clue::BgpWithoutPolicy => {
            "the BGP session has no import or export policy, so no route passes (RFC 8212)"
        }
        Clue::PrefixMissing(prefix) => return format!("AWS does not announce {prefix}"),
        Clue::AwsSaysBgpDown => "AWS says that IPsec is up and BGP is down",
        Clue::AwsSaysIpsecUp => "AWS says that IPsec is up",
        Clue::AwsSaysIpsecDown => "AWS says that IPsec is down",
        Clue::ProbesAnswered => "our probes are answered",
        Clue::AwsReceives => "AWS receives our packets",
        Clue::AwsReceivesNothing => "AWS receives nothing",
        Clue::AwsSends => "AWS sends",
        Clue::AwsSendsNothing => "AWS sends nothing",
        Clue::HostsAnswer { answering, of } => {
            return format!("of {of} watched hosts behind the tunnel {answering} answer");
        }
        Clue::LargestPacket { now, before } => {
            return format!("packets of more than {now} bytes no longer pass; {before} bytes did");
        }
        Clue::Lost { percent } => return format!("{percent} % of the probes are lost"),
        Clue::Slow { now, usual } => {
            return format!("the round trip takes {now} ms; {usual} ms are usual or allowed");
        }
    };
    text.to_owned()
}

fn hops(hops: &[Option<IpAddr>]) -> String {
    let shown = hops.iter().map(|hop| hop.map_or_else(|| "*".to_owned(), |hop| hop.to_string()));
    shown.collect::<Vec<_>>().join(" ")
}

/// The first thing to do; `None` where the cause is not known.
pub fn first_step(diagnosis: &Diagnosis, tunnel: &TunnelId) -> Option<String> {
    let outside = tunnel.outside_ip;
    if let Some(lead) = diagnosis.lead {
        return Some(lead_step(lead, outside));
    }
    Some(match diagnosis.cause {
        Cause::UplinkDown => {
            "Check this site's uplink: its interface and its modem. Nothing outside answers, AWS or not. If both are in order, call \
             the provider.".to_owned()
        }
        Cause::PathToAws => path_step(diagnosis, outside),
        Cause::AwsMaintenance => format!(
            "Wait some minutes: AWS replaces the endpoint {outside}, and the tunnel comes back by itself. If it does not, initiate \
             it here (`swanctl --initiate --child NAME`)."
        ),
        Cause::IkeDown => format!(
            "Do UDP 500 and 4500 to {outside} pass, here and upstream (`tcpdump -ni any host {outside}`)? If they do, look at the \
             tunnel in the AWS console (Tunnel details), and initiate it here: `swanctl --initiate --child NAME`."
        ),
        Cause::IkeRejected => refused_step(diagnosis),
        Cause::IpsecOneWay => format!(
            "Packets pass in one direction only: check firewall, policy and route for ESP and UDP 4500 to {outside}, then renew \
             the SAs (`swanctl --terminate --ike NAME`, `--initiate --child NAME`). If that does not help, open a case with AWS."
        ),
        Cause::BgpDown => bgp_step(diagnosis),
        Cause::VpcUnreachable => {
            "The tunnel works. Look behind it, in the VPC: route tables and propagation, security groups, network ACLs, and \
             whether the watched hosts run."
                .to_owned()
        }
        Cause::Mtu => mtu_step(diagnosis),
        Cause::LossyPath | Cause::SlowPath => format!(
            "Compare with the uplink itself (`mtr {outside}`): is it full, or does the provider have trouble? The tunnel still \
             carries traffic."
        ),
        Cause::GatewayConfig => config_step(diagnosis, outside),
        Cause::GatewayHost => host_step(diagnosis),
        Cause::Unknown => return None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one clue of many is looked for")]
fn path_step(diagnosis: &Diagnosis, outside: IpAddr) -> String {
    let ends = diagnosis.clues.iter().find_map(|clue| match clue {
        Clue::PathEndsAt { address, .. } => Some(*address),
        _ => None,
    });
    match ends {
        Some(address) => format!(
            "Call the carrier: from this uplink the path to {outside} ends at {address}, while other hosts answer."
        ),
        None => format!(
            "Call the carrier: {outside} cannot be reached from this uplink, while other hosts answer (`mtr {outside}`)."
        ),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one clue of many is looked for")]
fn refused_step(diagnosis: &Diagnosis) -> String {
    let refusal = diagnosis.clues.iter().find_map(|clue| match clue {
        Clue::PeerRefused(refusal) => Some(*refusal),
        _ => None,
    });
    let compare = match refusal {
        Some(Refusal::Authentication) => "the pre-shared key (or certificate) and both identities",
        Some(Refusal::Proposal) => "the IKE version, the proposals and the customer gateway's address",
        Some(Refusal::TrafficSelectors) => "the traffic selectors",
        Some(Refusal::Other) | None => "every IPsec setting",
    };
    format!(
        "Compare {compare} with the tunnel's options at AWS. What was changed last, here or there? The IKE daemon's log names \
         the error: `journalctl -t charon -t charon-systemd -n 50`."
    )
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one clue of many is looked for")]
fn bgp_step(diagnosis: &Diagnosis) -> String {
    for clue in &diagnosis.clues {
        match clue {
            Clue::PrefixMissing(prefix) => {
                return format!(
                    "The session stands, and {prefix} is missing: at AWS, look at route propagation, the transit gateway's route \
                     table and the VPC's CIDRs."
                );
            }
            Clue::BgpWithoutPolicy => {
                return "Give the neighbour an import and an export policy in FRR (`neighbor … route-map … in` and `out`)."
                    .to_owned();
            }
            _ => {}
        }
    }
    "Look at the session and its last error: `birdc show protocols all` or `vtysh -c 'show bgp summary'`. Is TCP 179 open inside \
     the tunnel, and are both AS numbers those at AWS?"
        .to_owned()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one clue of many is looked for")]
fn mtu_step(diagnosis: &Diagnosis) -> String {
    let passes = |clue: &Clue| match clue {
        Clue::LargestPacket { now, .. } => Some(now.saturating_sub(HEADERS)),
        _ => None,
    };
    let mss = diagnosis.clues.iter().find_map(passes);
    let mss =
        mss.map(|mss| format!(" to {mss} (`nft … tcp option maxseg size set {mss}`)")).unwrap_or_default();
    format!(
        "Clamp the MSS of TCP on this gateway{mss}, and look for what shrank the path: a new uplink, PPPoE, another tunnel."
    )
}

fn config_step(diagnosis: &Diagnosis, outside: IpAddr) -> String {
    match diagnosis.clues.first() {
        Some(Clue::NoRouteToOutside) => {
            format!("Restore the route: `ip route get {outside}` finds none on this gateway.")
        }
        Some(Clue::OutsideBlocked) => {
            format!("This gateway's firewall drops what goes to {outside}: `nft list ruleset`.")
        }
        Some(Clue::SendBlocked) => "This gateway's kernel refuses to send into the tunnel: look at `nft list ruleset` and `ip \
                                    xfrm policy`."
            .to_owned(),
        Some(Clue::OutboundStopped) => "Probes do not enter IPsec: compare its policies with the tunnel's addresses (`ip xfrm policy`, \
                                        `swanctl --list-sas`), and look where the route leads."
            .to_owned(),
        Some(Clue::ChildAbsent) => "There is an IKE SA without a CHILD_SA: compare the traffic selectors with those at AWS, \
                                    and initiate it (`swanctl --initiate --child NAME`)."
            .to_owned(),
        Some(_) | None => "Look for what took away the tunnel's address, interface or route: `ip addr`, `ip link`, `ip route`, \
                           `journalctl -b`."
            .to_owned(),
    }
}

fn host_step(diagnosis: &Diagnosis) -> String {
    match diagnosis.clues.first() {
        Some(Clue::IkeDaemonNotRunning) => "Start the IKE daemon (`systemctl start strongswan`), and read why it ended: \
                                            `journalctl -u strongswan -n 50`."
            .to_owned(),
        Some(_) | None => "Look at this gateway itself: `bothends status` and `journalctl -u bothends -n 50` say what it lacks."
            .to_owned(),
    }
}

/// What a sensor found, in a few words, for `/status` and `check`.
pub fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Ipsec(Ok(seen)) => ipsec(seen),
        Finding::Bgp(Ok(session)) => bgp(session),
        Finding::Path(Ok(path)) => {
            let silent = path.references.iter().filter(|(_, reach)| !matches!(reach, Reach::Answers { .. }));
            let references = match (path.references.len(), silent.count()) {
                (0, _) => String::new(),
                (all, 0) => format!(", all {all} references answer"),
                (all, silent) => format!(", {silent} of {all} references do not"),
            };
            format!("the outside address {}{references}", reach(path.outside))
        }
        Finding::Trace(Ok(trace)) => match (trace.reached, trace.last()) {
            (true, last) => format!("arrives after {} hops", last.map_or(0, |(hop, _)| hop)),
            (false, Some((hop, address))) => format!("ends at hop {hop} ({address})"),
            (false, None) => "no hop answers".to_owned(),
        },
        Finding::Mtu(Ok(mtu)) => match mtu.largest {
            Some(largest) => format!("packets of up to {largest} bytes pass"),
            None => "no packet passes".to_owned(),
        },
        Finding::Ipsec(Err(why))
        | Finding::Bgp(Err(why))
        | Finding::Path(Err(why))
        | Finding::Trace(Err(why))
        | Finding::Mtu(Err(why)) => unavailable(*why).to_owned(),
    }
}

/// Why a sensor has no answer.
pub const fn unavailable(why: Unavailable) -> &'static str {
    match why {
        Unavailable::NotThere => "the socket or program does not exist",
        Unavailable::NotRunning => "nobody listens: the daemon does not run",
        Unavailable::Denied => "no permission",
        Unavailable::TimedOut => "no answer in time",
        Unavailable::Closed => "the connection was closed in the middle of the answer",
        Unavailable::Invalid => "the answer could not be understood",
        Unavailable::TooLong => "the answer is too long",
        Unavailable::NotListed => "the answer does not name this tunnel",
        Unavailable::HostError => "this host gave no socket",
        Unavailable::Skipped => "other tunnels came first",
    }
}

fn ipsec(seen: &Ipsec) -> String {
    let ike = match seen.ike {
        Some(Ike::Absent) => "no IKE SA",
        Some(Ike::Connecting) => "the IKE SA is being negotiated",
        Some(Ike::Established { unanswered: false }) => "IKE established",
        Some(Ike::Established { unanswered: true }) => "IKE established, an exchange is not answered yet",
        None => "kernel",
    };
    match seen.child {
        Some(child) => format!("{ike}, {} bytes in, {} bytes out", child.bytes_in, child.bytes_out),
        None => format!("{ike}, no CHILD_SA"),
    }
}

fn bgp(session: &BgpSession) -> String {
    if !session.established {
        return format!("the session is {}", session.state);
    }
    match (session.prefixes, session.missing.as_slice()) {
        (_, [first, ..]) => format!("established, {first} is missing"),
        (Some(prefixes), []) => format!("established, {prefixes} prefixes received"),
        (None, []) => "established".to_owned(),
    }
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Answers { .. } => "answers",
        Reach::Silent => "does not answer",
        Reach::NoRoute => "has no route",
        Reach::Blocked => "is blocked by this host",
        Reach::NotSent => "could not be asked",
    }
}
