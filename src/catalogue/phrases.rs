//! The phrases that records are made of: names of connections and tunnels, times, numbers, and the evidence behind a verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use log::Level;

use crate::domain::board::Withheld;
use crate::domain::names::{End, Kind, Role, TunnelId, VpnId};
use crate::domain::plan::Plan;
use crate::domain::quality::{Bound, Degradation};
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, Loss, Verdict, View, Why};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// `03:12:04Z`, or with its date if that differs from the day of `near`.
pub(super) fn time(stamp: Stamp, near: Stamp) -> String {
    let same_day = stamp.as_millis().div_euclid(DAY_MILLIS) == near.as_millis().div_euclid(DAY_MILLIS);
    match Timestamp::from_millisecond(stamp.as_millis()) {
        Ok(at) if same_day => at.strftime("%H:%M:%SZ").to_string(),
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// A kind of incident, in words.
pub const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Outage => "outage",
        Kind::RedundancyLost => "redundancy lost",
        Kind::OneSided => "one-sided",
        Kind::Degraded => "degraded",
    }
}

/// `850 ms`, `30 s`, `2 min`, `1 h 5 min`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, 0) if duration.as_millis() == 0 => "less than 1 ms".to_owned(),
        (0, 0, 0) => format!("{} ms", duration.as_millis()),
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// What is wrong with a degraded tunnel, against what is usual or accepted.
pub fn degradation(degradation: Degradation) -> String {
    let against = |bound: Bound| match bound {
        Bound::Limit(limit) => format!("accepted: {}", milliseconds(limit)),
        Bound::Usual(usual) => format!("usual: {}", milliseconds(usual)),
    };
    match degradation {
        Degradation::Loss { percent: lost, limit } => {
            format!("loss {} (accepted: {})", percent(lost), percent(limit))
        }
        Degradation::Latency { rtt, bound } => {
            format!("median round trip {} ({})", milliseconds(rtt), against(bound))
        }
        Degradation::Jitter { jitter, bound } => {
            format!("jitter {} ({})", milliseconds(jitter), against(bound))
        }
    }
}

/// `1 tunnel`, `2 tunnels`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `down by our end: no reply from 169.254.10.1 since 03:12:03Z, …`: a verdict, its end, and its evidence.
pub(super) fn view(view: &View, inside_ip: Option<IpAddr>, at: Now) -> String {
    let whose = match &view.evidence {
        Evidence::Local(_) => whose(End::Local),
        Evidence::Aws(_) => whose(End::Aws),
    };
    format!("{} by {whose}: {}", view.verdict.as_str(), view_evidence(view, inside_ip, at.wall))
}

/// `no reply from 169.254.10.1 since 03:12:03Z, …`: the evidence of a verdict; times of another day than `near` have their date.
pub fn view_evidence(view: &View, inside_ip: Option<IpAddr>, near: Stamp) -> String {
    match &view.evidence {
        Evidence::Local(evidence) => local_evidence(view.verdict, evidence, inside_ip, near),
        Evidence::Aws(evidence) => aws_evidence(view.verdict, evidence, near),
    }
}

/// The end, in words.
pub(super) fn whose(end: End) -> &'static str {
    match end {
        End::Local => "our end",
        End::Aws => "AWS",
    }
}

fn local_evidence(verdict: Verdict, evidence: &LocalEvidence, inside: Option<IpAddr>, near: Stamp) -> String {
    let inside = evidence.through.or(inside);
    let inside = inside.map_or_else(|| "the inside address".to_owned(), |ip| ip.to_string());
    let mut text = match verdict {
        Verdict::Up => match evidence.median_rtt {
            Some(rtt) => format!("{inside} answers in {}", milliseconds(rtt)),
            None => format!("{inside} answers"),
        },
        Verdict::Down => unanswered(evidence, &inside, near),
        Verdict::Unknown(why) => why_local(why, &inside, evidence.through.is_some()),
    };
    let last_reply = match verdict {
        Verdict::Up => None,
        // A later reply that changed nothing.
        Verdict::Down => evidence.last_reply.filter(|reply| evidence.stopped.is_some_and(|at| at < *reply)),
        Verdict::Unknown(_) => evidence.last_reply,
    };
    if let Some(reply) = last_reply {
        _ = write!(text, ", last reply {}", time(reply.wall, near));
    }
    match (verdict, evidence.loss_percent) {
        (Verdict::Up | Verdict::Unknown(_), Some(loss)) => _ = write!(text, ", loss {}", percent(loss)),
        // That nothing comes through is said.
        (Verdict::Down, _) | (Verdict::Up | Verdict::Unknown(_), None) => {}
    }
    text
}

fn unanswered(evidence: &LocalEvidence, inside: &str, near: Stamp) -> String {
    let mut text = format!("no reply from {inside}");
    if let Some(since) = evidence.stopped.or(evidence.first_loss) {
        _ = write!(text, " since {}", time(since.wall, near));
    }
    match evidence.losses_in_row {
        0 => {}
        1 => text.push_str(", 1 echo lost"),
        losses => _ = write!(text, ", {losses} echoes lost"),
    }
    match evidence.last_loss {
        None | Some(Loss::Timeout) => {}
        Some(Loss::NoPath) => text.push_str(" (the kernel has no path to it)"),
        Some(Loss::Blocked) => text.push_str(" (the kernel refuses to send: an XFRM policy or the firewall)"),
    }
    text
}

fn why_local(why: Why, inside: &str, is_behind: bool) -> String {
    match why {
        Why::NeverAnswered if is_behind => format!(
            "{inside} behind the tunnel has never answered, so our end has no vote; is host right, and may source reach it with ICMP \
             echo?"
        ),
        Why::Shared => {
            format!(
                "{inside} answers, by this tunnel or another one: from behind the gateway that cannot be told"
            )
        }
        Why::NeverAnswered => format!(
            "{inside} has never answered, so our end has no vote; is inside_ip right, and does the gateway let ICMP echo through?"
        ),
        Why::Starting => format!("{inside} has not been probed for long enough"),
        Why::NotHere => "this host does not hold the address of votes_if_address".to_owned(),
        Why::Fault(_)
        | Why::Silent
        | Why::BgpUnknown
        | Why::Unused
        | Why::NotAsked
        | Why::NoData
        | Why::Stale
        | Why::Fraction
        | Why::Future
        | Why::Contradiction
        | Why::Gone
        | Why::Garbage => why.to_string(),
    }
}

fn aws_evidence(verdict: Verdict, evidence: &AwsEvidence, near: Stamp) -> String {
    let mut parts = Vec::new();
    match verdict {
        Verdict::Up | Verdict::Down => {}
        Verdict::Unknown(why) => parts.push(why_aws(why)),
    }
    match (evidence.source, &evidence.words) {
        (Some(source), Some(words)) => parts.push(format!("{}: {words}", source.as_str())),
        (Some(source), None) => parts.push(source.as_str().to_owned()),
        (None, Some(words)) => parts.push(words.to_string()),
        (None, None) => {}
    }
    if let Some(as_of) = evidence.as_of {
        parts.push(format!("as of {}", time(as_of, near)));
    }
    parts.join(", ")
}

fn why_aws(why: Why) -> String {
    match why {
        Why::NoData => "AWS has no data on this tunnel (is outside_ip right?)".to_owned(),
        Why::Stale => "AWS's newest evidence is too old".to_owned(),
        Why::Gone => "AWS is deleting, or does not have, this VPN connection".to_owned(),
        Why::Contradiction => "AWS's sources contradict each other".to_owned(),
        Why::Fraction => "the tunnel changed within AWS's period".to_owned(),
        Why::Starting
        | Why::NeverAnswered
        | Why::Fault(_)
        | Why::Silent
        | Why::BgpUnknown
        | Why::Unused
        | Why::NotHere
        | Why::Shared
        | Why::NotAsked
        | Why::Future
        | Why::Garbage => why.to_string(),
    }
}

/// `11.9 ms`.
pub fn milliseconds(duration: Duration) -> String {
    match duration.as_secs_f64() * 1e3 {
        short if short < 0.05 => "less than 0.1 ms".to_owned(),
        long => format!("{long:.1} ms"),
    }
}

/// `0.5 %`.
pub fn percent(percent: f64) -> String {
    if percent.fract() == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// The records that a later one replaced.
#[derive(Debug, Clone, Copy)]
pub struct Suppressed {
    /// Their number.
    pub count: u64,
    /// When the first of them was created.
    pub since: Stamp,
    /// When the record itself was created: it may have been held.
    pub of: Stamp,
    /// The highest level among them, if it is above the record's own.
    pub worst: Option<Level>,
}

/// The message of a record that was held, or that replaced others; written at `now`.
pub fn with_suppressed(message: &str, suppressed: Suppressed, now: Stamp) -> String {
    let Suppressed { count, since, of, worst } = suppressed;
    let (of, since) = (time(of, now), time(since, now));
    let worst = worst.map_or("", |level| match level {
        Level::Error => ", the worst an ERROR",
        Level::Warn => ", the worst a WARNING",
        Level::Info | Level::Debug | Level::Trace => "",
    });
    match count {
        0 => format!("{message} (reported late: this happened at {of})"),
        1 => {
            format!("{message} (1 similar record since {since} suppressed{worst}; this one happened at {of})")
        }
        _ => format!(
            "{message} ({count} similar records since {since} suppressed{worst}; this one happened at {of})"
        ),
    }
}

/// The records on other connections that one stands for.
#[derive(Debug, Clone, Copy)]
pub struct Likewise {
    /// The number of other connections.
    pub connections: usize,
    /// The number of other records.
    pub records: u64,
    /// When the first of them was created.
    pub since: Stamp,
    /// When the record itself was created.
    pub of: Stamp,
}

/// The message of a record that stands for others that say the same of other connections; written at `now`.
pub fn with_likewise(message: &str, likewise: Likewise, now: Stamp) -> String {
    let Likewise { connections, records, since, of } = likewise;
    let (of, since) = (time(of, now), time(since, now));
    let others = match (connections, records) {
        (0, 1) => "1 more record".to_owned(),
        (0, records) => format!("{records} more records"),
        (1, _) => "1 more connection".to_owned(),
        (connections, _) => format!("{connections} more connections"),
    };
    format!(
        "{message} (and {others} likewise since {since}: `bothends status` has each; this one happened at {of})"
    )
}

/// The names in a configuration.
#[derive(Debug, Clone, Default)]
pub struct Names {
    site: Arc<str>,
    vpns: BTreeMap<VpnId, Arc<str>>,
    tunnels: BTreeMap<TunnelId, TunnelNames>,
}

#[derive(Debug, Clone)]
struct TunnelNames {
    name: Arc<str>,
    role: Role,
    inside_ip: IpAddr,
}

impl From<&Plan> for Names {
    fn from(plan: &Plan) -> Self {
        Self {
            site: Arc::clone(&plan.site),
            vpns: plan.vpns.iter().map(|vpn| (vpn.id.clone(), Arc::clone(&vpn.name))).collect(),
            tunnels: plan
                .vpns
                .iter()
                .flat_map(|vpn| &vpn.tunnels)
                .map(|tunnel| {
                    let names = TunnelNames {
                        name: Arc::clone(&tunnel.name),
                        role: tunnel.role,
                        inside_ip: tunnel.route.inside_ip,
                    };
                    (tunnel.id.clone(), names)
                })
                .collect(),
        }
    }
}

/// What a parent is called: `uplink wan1`.
pub fn parent_words(parent: &ParentId) -> String {
    match parent.kind {
        ParentKind::Group | ParentKind::Uplink => format!("{} {}", parent.kind.as_str(), parent.name),
        ParentKind::Site => "the whole site".to_owned(),
    }
}

/// What an incident or a silence is about: a connection by its name.
pub fn scope_words(scope: &str, name: &str) -> String {
    match scope {
        "connection" => name.to_owned(),
        "site" => "the whole site".to_owned(),
        scope => format!("{scope} {name}"),
    }
}

/// Why an incident is not sent: `explained by uplink wan1`, `silence 3`.
pub fn withheld_by(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Explained(parent) => format!("explained by {}", parent_words(parent)),
        Withheld::Silenced(id) => format!("silence {id}"),
    }
}

/// The same for fields and keys: `uplink/milan-1/wan1`, `silence 3`.
pub fn withheld_word(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Explained(parent) => parent.to_string(),
        Withheld::Silenced(id) => format!("silence {id}"),
    }
}

impl Names {
    /// The site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// `milan-1: Milan DC, primary`, or the id if the connection is not in the configuration.
    pub fn of_vpn(&self, vpn: &VpnId) -> String {
        let name = self.vpns.get(vpn).map_or(vpn.as_str(), |name| name);
        format!("{}: {name}", self.site)
    }

    /// The same of a parent: `milan-1: uplink wan1`.
    pub fn of_scope(&self, scope: &Scope) -> String {
        match scope {
            Scope::Connection(vpn) => self.of_vpn(vpn),
            Scope::Parent(parent) => format!("{}: {}", self.site, parent_words(parent)),
        }
    }

    /// `milan-1: Milan DC, primary: tunnel 1 (203.0.113.11)`, with ids for what is not in the configuration.
    pub fn of_tunnel(&self, tunnel: &TunnelId) -> String {
        let vpn = self.of_vpn(&tunnel.vpn);
        match self.tunnels.get(tunnel) {
            Some(names) => format!("{vpn}: {} ({})", names.name, tunnel.outside_ip),
            None => format!("{vpn}: {}", tunnel.outside_ip),
        }
    }

    /// The address that the tunnel's inside check probes.
    pub fn inside_ip(&self, tunnel: &TunnelId) -> Option<IpAddr> {
        self.tunnels.get(tunnel).map(|names| names.inside_ip)
    }

    /// The tunnel's role.
    pub fn role(&self, tunnel: &TunnelId) -> Option<Role> {
        self.tunnels.get(tunnel).map(|names| names.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_time_of_another_day_carries_its_date() {
        let noon = Stamp::from_secs(1_763_812_800);
        assert_eq!(time(noon, noon), "12:00:00Z");
        assert_eq!(time(noon, noon + Duration::from_secs(86_400)), "2025-11-22T12:00:00Z");
    }

    #[test]
    fn a_duration_has_at_most_two_units() {
        let told: Vec<_> = [850, 30_000, 120_000, 125_000, 3_600_000, 3_905_000]
            .into_iter()
            .map(|millis| duration(Duration::from_millis(millis)))
            .collect();
        assert_eq!(told, ["850 ms", "30 s", "2 min", "2 min 5 s", "1 h", "1 h 5 min"]);
    }

    impl Names {
        /// The names of [`crate::fixture`]'s tunnels, of which the first has this role.
        pub(in crate::catalogue) fn sample(role: Role) -> Self {
            let named = |n: u8, role| {
                let inside_ip = IpAddr::from([169, 254, 9 + n, 1]);
                (fixture::tunnel(n), TunnelNames { name: format!("tunnel {n}").into(), role, inside_ip })
            };
            Self {
                site: "milan-1".into(),
                vpns: BTreeMap::from([(fixture::vpn(), "Milan DC, primary".into())]),
                tunnels: BTreeMap::from([named(1, role), named(2, Role::Active)]),
            }
        }
    }
}
