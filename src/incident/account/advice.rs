//! Whether traffic flows, which side is likely at fault, and the first three things to do: one closed table.

use crate::catalogue::cause;
use crate::domain::board::{Incident, IncidentState};
use crate::domain::carrying::{Carrying, NotCarrying};
use crate::domain::cause::{Cause, Confidence, Diagnosis};
use crate::domain::names::{Kind, TunnelId};
use crate::domain::plan::Route;
use crate::domain::side::Lead;
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Fault, Loss, Verdict, Why};

use super::super::settings::VpnSettings;
use super::super::wording::{
    Course, CurrentTunnel, DownAlone, alone, capitalized, concerned, list, lost, when,
};

/// How SAs are made anew.
const RENEW: &str = "renew the SAs (`swanctl --terminate --ike NAME`, then `--initiate --child NAME`)";

/// What the evidence points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pointer {
    /// Every tunnel of several is down at both ends.
    AllTunnels,
    /// The only tunnel that worked is down at both ends.
    LastTunnel,
    /// One tunnel of several is down at both ends.
    OneTunnel,
    /// AWS has no BGP session, and probes pass.
    Bgp,
    /// So it is with one tunnel, and another is down at both ends.
    BgpAndDown,
    /// This gateway has no way to send.
    NoPath,
    /// This gateway's kernel refuses to send.
    Blocked,
    /// Our end alone says down.
    HereAlone,
    /// AWS alone says down.
    AwsAlone,
    /// Each end says down of other tunnels.
    EachAlone,
    /// It is up, but lossy, slow or uneven.
    Degraded,
    /// It was degraded and is not up any more.
    NotMeasured,
    /// This site has not seen it for itself.
    NotSeen,
    /// It is not down any more, and not known to be well.
    Unsure,
    /// It works again.
    Recovering,
}

/// The table's row, filled in.
#[derive(Debug)]
pub(super) struct Advice {
    /// `None` where the named causes say it.
    pub(super) likely: Option<String>,
    pub(super) steps: Vec<String>,
}

impl Advice {
    /// What is over needs none.
    pub(super) fn new(
        incident: &Incident,
        tunnels: &[CurrentTunnel],
        course: Course,
        flow: &Flow,
        vpn: Option<&VpnSettings>,
    ) -> Option<Self> {
        let down = concerned(incident.id.kind, tunnels);
        let pointer = match course {
            Course::Ended => return None,
            _ if incident.found_at.is_some() => Pointer::NotSeen,
            Course::Recovering => Pointer::Recovering,
            Course::Unsure => match incident.id.kind {
                Kind::Outage | Kind::RedundancyLost | Kind::OneSided => Pointer::Unsure,
                Kind::Degraded => Pointer::NotMeasured,
            },
            Course::Lasts => point(incident.id.kind, tunnels, &down),
        };
        let subject = subject(pointer, &down).or(tunnels.first());
        let bgp = down.iter().copied().find(|tunnel| tunnel.is_bgp_down());
        let (names, bgp) = (CommandArguments::of(subject, vpn), CommandArguments::of(bgp, vpn));
        let urgency = urgency(incident.id.kind, flow).filter(|_| pointer != Pointer::Recovering);
        let mut steps: Vec<String> = urgency.into_iter().collect();
        let causes = if course == Course::Lasts { down.as_slice() } else { &[] };
        steps.extend(steps_of_causes(causes, vpn));
        if !are_clear(causes) {
            steps.extend(first_steps(pointer, &names, &bgp, incident.began));
        }
        steps.truncate(3);
        let likely = match likely_side(causes, incident.id.opened) {
            Some(side) => Some(side),
            None => (!are_named(causes)).then(|| likely(pointer).to_owned()),
        };
        Some(Self { likely, steps })
    }
}

/// Whether it is clear what to do about each, so that what else might be wrong only distracts.
fn are_clear(down: &[&CurrentTunnel]) -> bool {
    let is_clear = |tunnel: &&CurrentTunnel| {
        let diagnosis = tunnel.diagnosis.as_ref();
        diagnosis.is_some_and(|it| it.lead.is_some() || it.confidence == Confidence::Certain)
    };
    !down.is_empty() && down.iter().all(is_clear)
}

/// Whether the cause of each is named, so that a guess adds nothing.
fn are_named(down: &[&CurrentTunnel]) -> bool {
    let is_named = |tunnel: &&CurrentTunnel| {
        tunnel.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.cause != Cause::Unknown)
    };
    !down.is_empty() && down.iter().all(is_named)
}

/// The side to which the evidence points, with the evidence where no named cause shows it.
fn likely_side(down: &[&CurrentTunnel], opened: Stamp) -> Option<String> {
    let mut sides: Vec<(Vec<String>, String)> = Vec::new();
    for tunnel in down {
        let Some(diagnosis) = &tunnel.diagnosis else { continue };
        let Some(lead) = diagnosis.lead else { continue };
        let lost = tunnel.evidence.as_ref().and_then(|evidence| lost(evidence, opened));
        let is_shown = diagnosis.cause != Cause::Unknown;
        let clues = if is_shown { Vec::new() } else { cause::evidence(&diagnosis.clues) };
        let shown: Vec<String> = lost.into_iter().chain(clues).collect();
        let side = match shown.is_empty() {
            true => format!("{}.", cause::side(lead)),
            false => format!("{}. {}.", cause::side(lead), capitalized(&shown.join("; "))),
        };
        match sides.iter_mut().find(|(_, known)| *known == side) {
            Some((names, _)) => names.push(tunnel.named()),
            None => sides.push((vec![tunnel.named()], side)),
        }
    }
    match sides.as_slice() {
        [] => None,
        [(names, side)] if names.len() == down.len() => Some(side.clone()),
        several => {
            let each = several.iter().map(|(names, side)| format!("{}: {side}", list(names)));
            Some(each.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The first things to do about each cause or side; those of one tunnel stand for all that have the same.
fn steps_of_causes(down: &[&CurrentTunnel], vpn: Option<&VpnSettings>) -> Vec<String> {
    let mut seen: Vec<&Diagnosis> = Vec::new();
    let mut steps = Vec::new();
    for tunnel in down {
        let Some(diagnosis) = &tunnel.diagnosis else { continue };
        if !seen.iter().any(|known| known.says_the_same(diagnosis)) {
            seen.push(diagnosis);
            steps.extend(steps_of_cause(tunnel, diagnosis, vpn));
        }
    }
    steps
}

/// The first things to do about a tunnel's cause, or about the side to which the evidence points.
fn steps_of_cause(tunnel: &CurrentTunnel, diagnosis: &Diagnosis, vpn: Option<&VpnSettings>) -> Vec<String> {
    let first = cause::first_step(diagnosis, &tunnel.id);
    let CommandArguments { outside, inside, source, .. } = CommandArguments::of(Some(tunnel), vpn);
    let then = match diagnosis.lead {
        None | Some(Lead::AwsReport) => None,
        Some(Lead::EchoesLost) => {
            return vec![
                "Ping a host in the VPC from a host behind this gateway. If it answers, traffic passes, and only the probes are \
                 lost."
                    .to_owned(),
                format!("Allow ICMP echo from {source} to {inside}, and the replies: `nft list ruleset`."),
            ];
        }
        Some(Lead::OutboundLost) => {
            Some(format!("If it leaves, AWS may have lost its SAs: {RENEW}. Still down? Ask the carrier whether it drops ESP to {outside}."))
        }
        Some(Lead::ReturnLost) => Some(format!("If both are in order, {RENEW}. Still down? Open a case with AWS Support.")),
        Some(Lead::AwsSilent) => Some(
            "AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.".to_owned(),
        ),
    };
    first.into_iter().chain(then).collect()
}

fn point(kind: Kind, tunnels: &[CurrentTunnel], down: &[&CurrentTunnel]) -> Pointer {
    if kind == Kind::Degraded {
        return Pointer::Degraded;
    }
    let agreed = || tunnels.iter().filter(|tunnel| tunnel.assessment == Assessment::Down);
    let bgp = agreed().filter(|tunnel| tunnel.is_bgp_down()).count();
    let one_sided = kind == Kind::OneSided && !down.is_empty();
    if bgp > 0 && !one_sided {
        return if bgp < agreed().count() { Pointer::BgpAndDown } else { Pointer::Bgp };
    }
    let lost = |how: Loss| down.iter().any(|tunnel| has_lost(tunnel, how));
    match kind {
        _ if lost(Loss::NoPath) => Pointer::NoPath,
        _ if lost(Loss::Blocked) => Pointer::Blocked,
        Kind::OneSided if !down.is_empty() => match alone(tunnels) {
            DownAlone::Site => Pointer::HereAlone,
            DownAlone::Aws => Pointer::AwsAlone,
            DownAlone::Each { .. } => Pointer::EachAlone,
        },
        Kind::Outage | Kind::RedundancyLost if down.len() < tunnels.len() => Pointer::OneTunnel,
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided
            if tunnels.len() > 1 && tunnels.iter().all(|tunnel| tunnel.local == Verdict::Down) =>
        {
            Pointer::AllTunnels
        }
        Kind::Outage | Kind::RedundancyLost | Kind::OneSided => Pointer::LastTunnel,
        Kind::Degraded => Pointer::Degraded,
    }
}

fn has_lost(tunnel: &CurrentTunnel, how: Loss) -> bool {
    let evidence = tunnel.evidence.as_ref().filter(|_| tunnel.local == Verdict::Down);
    evidence.is_some_and(|evidence| evidence.last_loss == Some(how))
}

/// The tunnel that the steps name: one that shows what they are about, and has worked here.
fn subject<'a>(pointer: Pointer, down: &[&'a CurrentTunnel]) -> Option<&'a CurrentTunnel> {
    let shows = |tunnel: &&&CurrentTunnel| match pointer {
        Pointer::NoPath => has_lost(tunnel, Loss::NoPath),
        Pointer::Blocked => has_lost(tunnel, Loss::Blocked),
        Pointer::Bgp => tunnel.is_bgp_down(),
        Pointer::BgpAndDown => tunnel.assessment == Assessment::Down && !tunnel.is_bgp_down(),
        Pointer::AllTunnels
        | Pointer::LastTunnel
        | Pointer::OneTunnel
        | Pointer::HereAlone
        | Pointer::AwsAlone
        | Pointer::EachAlone
        | Pointer::Degraded
        | Pointer::NotMeasured
        | Pointer::NotSeen
        | Pointer::Unsure
        | Pointer::Recovering => tunnel.assessment == Assessment::Down && tunnel.local == Verdict::Down,
    };
    let here = |tunnel: &&&CurrentTunnel| tunnel.local == Verdict::Down;
    down.iter().find(shows).or_else(|| down.iter().find(here)).or(down.first()).copied()
}

const fn likely(pointer: Pointer) -> &'static str {
    match pointer {
        Pointer::AllTunnels => {
            "this site's uplink, IPsec daemon or firewall, which all tunnels share. AWS replaces one tunnel endpoint at a time."
        }
        Pointer::LastTunnel => {
            "IPsec at either end, or the path between this site and AWS: uplink, provider, firewall."
        }
        Pointer::OneTunnel => {
            "this tunnel's own IPsec, at either end. AWS replaces tunnel endpoints one at a time for maintenance."
        }
        Pointer::Bgp => {
            "BGP. IPsec works, because probes pass, but AWS has no BGP session over the tunnel, so it has no route to this site."
        }
        Pointer::NoPath => {
            "this gateway. It cannot send at all: the tunnel's address, interface or route is gone."
        }
        Pointer::Blocked => {
            "this gateway. Its kernel refuses to send: an IPsec policy without a security association, or a firewall rule."
        }
        Pointer::HereAlone => {
            "this side, or the way back. AWS says the tunnel is up, but no reply reaches this gateway."
        }
        Pointer::AwsAlone => "AWS's side, or BGP. Probes pass through the tunnel, but AWS says it is down.",
        Pointer::EachAlone => {
            "not known. This site and AWS call different tunnels down, and no tunnel is up at both ends."
        }
        Pointer::Degraded => {
            "the path between this site and AWS: a full or faulty uplink where every tunnel shows it, the path to one endpoint where one does."
        }
        Pointer::NotMeasured => {
            "not known at present. A tunnel that was degraded is not up now, so its quality cannot be measured."
        }
        Pointer::BgpAndDown => {
            "two faults, or one that shows in two ways: one tunnel is down at both ends, and over another IPsec works and BGP does not."
        }
        Pointer::Unsure => {
            "recovering, perhaps. The two ends no longer agree that it is down, and do not agree yet that it is up."
        }
        Pointer::Recovering => "recovering. This record is resolved by itself if it stays up.",
        Pointer::NotSeen => {
            "not known. This site found the record open, and has not seen the fault for itself."
        }
    }
}

/// How urgent it is, where less than everything is down.
fn urgency(kind: Kind, flow: &Flow) -> Option<String> {
    match kind {
        Kind::Outage | Kind::Degraded => None,
        Kind::OneSided if flow.cannot_tell.is_empty() => None,
        Kind::RedundancyLost if !flow.carrying.is_empty() => Some(format!(
            "No rush: traffic flows over {}. Leave that tunnel alone; do not restart all of IPsec.",
            list(&flow.carrying)
        )),
        Kind::RedundancyLost if flow.cannot_tell.is_empty() => {
            Some("Treat it as an outage: no tunnel carries traffic.".to_owned())
        }
        Kind::RedundancyLost | Kind::OneSided => Some(
            "Find out whether traffic flows: ping a host in the VPC from a host behind this gateway. If it does not, treat \
             this as an outage."
                .to_owned(),
        ),
    }
}

/// What commands name: a tunnel that is down.
struct CommandArguments {
    outside: String,
    inside: String,
    source: String,
    interface: String,
}

impl CommandArguments {
    fn of(tunnel: Option<&CurrentTunnel>, vpn: Option<&VpnSettings>) -> Self {
        let route = |id: &TunnelId| vpn.and_then(|vpn| vpn.routes.get(&id.outside_ip));
        let route: Option<&Route> = tunnel.and_then(|tunnel| route(&tunnel.id)).map(|route| &**route);
        let or = |known: Option<String>, else_: &str| known.unwrap_or_else(|| else_.to_owned());
        Self {
            outside: or(tunnel.map(|it| it.id.outside_ip.to_string()), "the tunnel's outside address"),
            inside: or(route.map(|it| it.inside_ip.to_string()), "AWS's inside address"),
            source: or(route.map(|it| it.source_ip.to_string()), "our inside address"),
            interface: or(route.and_then(|it| it.interface.as_ref()).map(|it| format!(" ({it})")), ""),
        }
    }
}

fn first_steps(
    pointer: Pointer,
    names: &CommandArguments,
    bgp: &CommandArguments,
    began: Stamp,
) -> Vec<String> {
    let CommandArguments { outside, inside, source, interface } = names;
    match pointer {
        Pointer::AllTunnels | Pointer::LastTunnel => vec![
            "Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.".to_owned(),
            format!(
                "IPsec: `swanctl --list-sas`. No IKE SA to {outside}: is the IPsec daemon running (`systemctl status strongswan`), \
                 and what does its log say?"
            ),
            "AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.".to_owned(),
        ],
        Pointer::OneTunnel => vec![
            format!(
                "IPsec: `swanctl --list-sas`. No IKE SA to {outside}: start it (`swanctl --initiate --child NAME`) and read \
                 `journalctl -t charon -t charon-systemd -n 50`."
            ),
            format!("Path: `ip route get {outside}`. Are UDP 500 and 4500 and ESP to it allowed, here and upstream?"),
            "AWS: open the connection in the console (Tunnel details): maintenance, last status change.".to_owned(),
        ],
        Pointer::BgpAndDown => vec![
            format!(
                "IPsec: `swanctl --list-sas`. No IKE SA to {outside}: start it (`swanctl --initiate --child NAME`) and read \
                 `journalctl -t charon -t charon-systemd -n 50`."
            ),
            format!(
                "BGP over the tunnel to {}: `birdc show protocols` or `vtysh -c 'show bgp summary'`. Is the session to {} \
                 established? If not, what is its last error?",
                bgp.outside, bgp.inside
            ),
            "AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.".to_owned(),
        ],
        Pointer::Bgp => vec![
            format!(
                "BGP: `birdc show protocols` or `vtysh -c 'show bgp summary'`. Is the session to {inside} established? If not, \
                 what is its last error?"
            ),
            format!("Is TCP port 179 open between {source} and {inside}, and are both AS numbers those at AWS?"),
            // AWS, "Site-to-Site VPN quotas"; beyond them BGP ends with "Maximum Number of Prefixes Reached" (Aviatrix, "AWS Transit
            // Gateway Route Limit Test Validation").
            "Does this site announce more routes than AWS takes (100 to a virtual private gateway, 1,000 to a transit gateway)? \
             AWS then ends the session."
                .to_owned(),
        ],
        Pointer::NoPath => vec![
            format!("`ip addr`: is {source} there? `ip link`: is the tunnel's interface{interface} up?"),
            format!("`ip route get {inside} from {source}`: what took the address or route away? See `journalctl -b`."),
            format!("IPsec: `swanctl --list-sas`. Is there an SA to {outside}? Its up script may set the address."),
        ],
        Pointer::Blocked => vec![
            format!("IPsec: `swanctl --list-sas` and `ip xfrm policy`. Is there an SA to {outside}?"),
            format!("Firewall: `nft list ruleset`. Does a rule drop what goes from {source} to {inside}?"),
            "What was changed last? `journalctl -b`, and the firewall's own log.".to_owned(),
        ],
        Pointer::HereAlone => vec![
            format!(
                "IPsec: `swanctl --list-sas` twice. If bytes go out to {outside} and none come in, replies are lost on the way \
                 back."
            ),
            format!(
                "Policies, firewall, routes: `ip xfrm policy`, `nft list ruleset`, `ip route get {inside} from {source}`."
            ),
            "AWS: does the connection's page in the console still say UP? The console may lag by minutes.".to_owned(),
        ],
        Pointer::AwsAlone => vec![
            "Does the connection use BGP? `birdc show protocols` or `vtysh -c 'show bgp summary'`: AWS calls a tunnel without a \
             BGP session down."
                .to_owned(),
            "AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.".to_owned(),
            "Ping a host in the VPC from a host behind this gateway. If that fails, open a case with AWS Support.".to_owned(),
        ],
        Pointer::EachAlone => vec![
            "IPsec: `swanctl --list-sas` twice. On which tunnel do bytes go out and come in?".to_owned(),
            "BGP, if the connection uses it: `birdc show protocols` or `vtysh -c 'show bgp summary'`. AWS calls a tunnel \
             without a BGP session down."
                .to_owned(),
            "AWS: does the connection's page in the console still say the same? The console may lag by minutes.".to_owned(),
        ],
        Pointer::Degraded => vec![
            format!(
                "Path: `mtr -n {outside}`, beside the other tunnel's address. Loss from one hop on to the end: call the carrier of \
                 that hop."
            ),
            "Uplink: `ip -s link` and `tc -s qdisc`. Is it full, or does it count errors? Does it only happen under load?"
                .to_owned(),
            "If another tunnel is good, move the traffic there. If this is normal for the line, raise its limit in [quality]."
                .to_owned(),
        ],
        Pointer::Unsure | Pointer::NotMeasured => vec![
            "`bothends status` on this gateway: what do both ends say now?".to_owned(),
            "AWS: open the connection in the console (Tunnel details). The console may lag by minutes.".to_owned(),
            "Change nothing that works. If it goes down again, this record says so.".to_owned(),
        ],
        // Nothing now.
        Pointer::Recovering => vec![
            "Wait, and change nothing while it settles. If it goes down again, this record says so.".to_owned(),
            format!(
                "Find the cause afterwards: `journalctl --since \"{}\"` on this gateway, IPsec's lines first.",
                when(began)
            ),
        ],
        Pointer::NotSeen => vec![
            "`bothends status` on this gateway: what do both ends say now?".to_owned(),
            "Read the earlier entries of the record's timeline: the site that opened it saw more.".to_owned(),
            "AWS: open the connection in the console (Tunnel details).".to_owned(),
        ],
    }
}

/// Whether a connection's traffic flows.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) carrying: Vec<String>,
    /// With the reason.
    pub(super) cannot_tell: Vec<String>,
    here_alone: bool,
}

impl Flow {
    pub(super) fn of(tunnels: &[CurrentTunnel]) -> Self {
        let mut flow = Self { carrying: Vec::new(), cannot_tell: Vec::new(), here_alone: false };
        for tunnel in tunnels {
            match tunnel.carrying {
                Carrying::Carrying => flow.carrying.push(tunnel.named()),
                Carrying::NotCarrying(NotCarrying::LocalDown) => flow.here_alone = true,
                Carrying::NotCarrying(
                    NotCarrying::BothEndsDown | NotCarrying::BgpDown | NotCarrying::AwsDown,
                ) => {}
                Carrying::CannotTell(_) => {
                    flow.cannot_tell.push(format!("{}: {}", tunnel.named(), doubt(tunnel)));
                }
            }
        }
        if tunnels.is_empty() {
            flow.cannot_tell.push("nothing is known of its tunnels".to_owned());
        }
        flow
    }

    /// How it flows, where it does: in an outage it did not.
    pub(super) const fn again(incident: &Incident) -> &'static str {
        match (incident.state, incident.id.kind) {
            (IncidentState::Open, _) if incident.found_at.is_some() => "flows",
            (IncidentState::Resolved { .. }, Kind::Outage | Kind::RedundancyLost | Kind::OneSided)
            | (_, Kind::Outage) => "flows again",
            (
                IncidentState::Open | IncidentState::Resolved { .. } | IncidentState::Unwatched { .. },
                Kind::RedundancyLost | Kind::OneSided | Kind::Degraded,
            ) => "still flows",
        }
    }

    pub(super) fn sentence(&self, incident: &Incident) -> String {
        if !self.carrying.is_empty() {
            let again = Self::again(incident);
            return format!("Traffic {again}, over {}.", list(&self.carrying));
        }
        if !self.cannot_tell.is_empty() {
            return format!("It is not known whether traffic flows. {}.", self.cannot_tell.join("; "));
        }
        if self.here_alone {
            return "No traffic flows, as far as this site can tell: no tunnel of this connection works."
                .to_owned();
        }
        "No traffic flows: no tunnel of this connection works.".to_owned()
    }

    pub(super) fn in_short(&self, incident: &Incident) -> String {
        match (self.carrying.is_empty(), self.cannot_tell.is_empty(), self.here_alone) {
            (false, _, _) => format!("Traffic {}.", Self::again(incident)),
            (true, true, true) => "No traffic flows, as seen from here.".to_owned(),
            (true, true, false) => "No traffic flows.".to_owned(),
            (true, false, _) => "Traffic: not known.".to_owned(),
        }
    }
}

/// Why nobody can tell whether a tunnel carries.
fn doubt(tunnel: &CurrentTunnel) -> String {
    let word = |verdict: Verdict| match verdict {
        Verdict::Up => "says up".to_owned(),
        Verdict::Down => "says down".to_owned(),
        Verdict::Unknown(why) => format!("cannot tell ({})", why_words(why)),
    };
    format!("this site {}, AWS {}", word(tunnel.local), word(tunnel.aws))
}

/// Why an end cannot tell.
pub(super) fn why_words(why: Why) -> String {
    let words = match why {
        Why::Starting => "the daemon has just started",
        Why::NeverAnswered => {
            "the far end has never answered here (are the inside addresses right? try `bothends check`)"
        }
        Why::Fault(Fault::AddressMissing) => "this host does not have the tunnel's own inside address",
        Why::Fault(
            fault @ (Fault::NoPermission
            | Fault::NoMemory
            | Fault::QueueFull
            | Fault::TooManyFiles
            | Fault::HeldUp
            | Fault::Socket(_)),
        ) => return fault.to_string(),
        Why::Silent => "no probe was sent",
        Why::BgpUnknown => "the BGP daemon does not answer",
        Why::Unused => "the tunnel is not used",
        Why::Shared => "the connection works, and from behind the gateway it cannot be told by which tunnel",
        Why::NotHere => "the other gateway of the pair holds the address",
        Why::NotAsked => "AWS has not answered yet",
        Why::NoData => "AWS has no data on this tunnel",
        Why::Stale => "AWS's data is too old",
        Why::Fraction => "it changed within the last minute",
        Why::Future => "AWS's data is dated in the future",
        Why::Contradiction => "AWS's two sources contradict each other",
        Why::Gone => "AWS does not have this connection any more",
        Why::Garbage => "AWS's answer could not be read",
    };
    words.to_owned()
}
