//! What a configuration means and costs, in words and figures: the page that `bothends check` prints.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Warning;
use super::quantity::{ShownDuration, ShownSize};
use super::settings::{
    AwsDefaults, CloudWatchSettings, Config, HttpSettings, Loaded, Mode, PossibleIncident, SinkSettings,
    VpnDetails,
};
use crate::access::{Secret, secret_in};
use crate::domain::names::{Kind, Routing, SourceId, SourceKind, VpnId};
use crate::domain::plan::{IncidentRules, Plan, ProbeRules, QualityRules, TunnelPlan, Vantage, VpnPlan};
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::sensor::SensorKind;
use crate::settings::{BgpSettings, IpsecSettings, ProtectionFiles, StoreSettings, UplinkSettings};

/// The meaning of the configuration: site, connections, rules, pollers, sinks, metrics, listener, store, and what follows from
/// them.
pub fn describe(loaded: &Loaded) -> String {
    let Loaded { config, warnings, files } = loaded;
    Page { config, warnings, files }.to_string()
}

struct Page<'a> {
    config: &'a Config,
    warnings: &'a [Warning],
    files: &'a [PathBuf],
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        for (index, file) in self.files.iter().enumerate() {
            writeln!(f, "{} {}", if index == 0 { "read       " } else { "           " }, file.display())?;
        }
        writeln!(f, "site        {}", config.plan.site)?;
        if let Some(address) = config.plan.votes_if_address {
            writeln!(f, "            probes and votes only while this host holds {address}")?;
        }
        writeln!(f, "mode        {}", mode(config.mode))?;

        let rules: BTreeSet<_> = config.plan.vpns.iter().map(|vpn| rules_text(vpn)).collect();
        let shared = rules.len() == 1;
        for vpn in &config.plan.vpns {
            self.vpn(f, vpn, !shared)?;
        }
        self.parents(f)?;
        if let (true, Some(rules)) = (shared, rules.first()) {
            write!(f, "\n{rules}")?;
        }
        self.aws(f)?;
        self.evidence(f)?;
        self.sinks(f)?;
        self.edges(f)?;
        for warning in self.warnings {
            writeln!(f, "\nwarning     {warning}")?;
        }
        Ok(())
    }
}

/// The page may be copied anywhere, so secrets are not shown.
fn unless_secret(text: &str) -> &str {
    if secret_in(text, &Secret::ALL).is_some() { "(holds a secret, not shown here)" } else { text }
}

impl Page<'_> {
    fn vpn(&self, f: &mut fmt::Formatter<'_>, vpn: &VpnPlan, own_rules: bool) -> fmt::Result {
        writeln!(f, "\nconnection  {} ({}){}", vpn.name, vpn.id, routing(vpn.routing))?;
        for tunnel in &vpn.tunnels {
            writeln!(f, "  {}", tunnel_line(tunnel))?;
            for line in through_lines(tunnel) {
                writeln!(f, "  {line}")?;
            }
        }
        if let Some(VpnDetails { runbook_url, notes, labels, region: _, role_arn: _ }) =
            self.config.vpns.get(&vpn.id)
        {
            for (index, (name, value)) in labels.iter().enumerate() {
                let head = if index == 0 { "labels" } else { "" };
                writeln!(f, "  {head:<9} {name} = {:?}", unless_secret(value))?;
            }
            if let Some(url) = runbook_url {
                writeln!(f, "  runbook   {}", unless_secret(url))?;
            }
            for line in notes.iter().flat_map(|notes| notes.lines()) {
                writeln!(f, "  note      {}", unless_secret(line))?;
            }
        }
        if own_rules {
            for line in rules_text(vpn).lines() {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }

    /// What several connections share.
    fn parents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { parents, vpns, .. } = &*self.config.plan;
        for (index, parent) in parents.iter().enumerate() {
            let of = if parent.vpns.len() == vpns.len() {
                "every connection".to_owned()
            } else {
                parent.vpns.iter().map(VpnId::as_str).collect::<Vec<_>>().join(", ")
            };
            let line = format!("{}: {of}", shown(&Scope::Parent(parent.id.clone())));
            writeln!(f, "{}{line}", if index == 0 { "\nparents     " } else { "            " })?;
            if parent.id.kind == ParentKind::Group {
                writeln!(
                    f,
                    "              the outage of one, while another works, is the group's redundancy_lost{}; the outage of all is its outage",
                    self.impacts(&parent.id)
                )?;
            }
        }
        Ok(())
    }

    /// The impacts of a group's lost redundancy at the sinks that take it: ` (impact 3)`.
    fn impacts(&self, group: &ParentId) -> String {
        let (of, kind) = (Scope::Parent(group.clone()), Kind::RedundancyLost);
        let takes = |sink: &&SinkSettings| {
            self.config.taken_by(sink).iter().any(|taken| taken.of == of && taken.kind == kind)
        };
        let impacts: BTreeSet<String> =
            self.config.sinks.iter().filter(takes).map(|sink| sink.impact(kind).to_string()).collect();
        match impacts.into_iter().collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            several => format!(" (impact {})", several.join(" or ")),
        }
    }

    fn aws(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.config.plan;
        let sources: BTreeSet<_> = plan.vpns.iter().flat_map(|vpn| &vpn.aws.sources).collect();
        for (index, source) in sources.iter().enumerate() {
            write!(f, "{}", if index == 0 { "\nAWS       " } else { "          " })?;
            writeln!(f, "  {}: {}", poller(source), vpn_ids(asked_by(plan, source)))?;
            let calls =
                asked_by(plan, source).map(|vpn| calls_a_month(vpn.aws.poll_interval)).max().unwrap_or(0);
            write!(f, "              about {calls} calls a month")?;
            match source.kind {
                SourceKind::CloudWatch => {
                    let tunnels = u64::try_from(tunnels_asked_by(plan, source)).unwrap_or(u64::MAX);
                    writeln!(
                        f,
                        ", {} metrics requested; more while in doubt",
                        calls.saturating_mul(tunnels)
                    )?;
                }
                SourceKind::Ec2 => writeln!(f, "; more while in doubt")?,
            }
        }
        // The rules are the same for every connection, because no table overrides them.
        if let Some(vpn) = plan.vpns.first() {
            writeln!(
                f,
                "            asked every {}, every {} while in doubt; AWS data older than {} is ignored",
                ShownDuration(vpn.aws.poll_interval),
                ShownDuration(vpn.aws.suspect_poll_interval),
                ShownDuration(vpn.aws.stale_after),
            )?;
        }
        Ok(())
    }

    /// What is looked at besides probes and AWS.
    fn evidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        let sensors = &self.config.sensors;
        if let Some(settings) = &sensors.ipsec {
            let own = sensors.subjects.iter().filter_map(|subject| subject.ipsec_socket.as_deref());
            let own: BTreeSet<_> = own.map(|socket| socket.display().to_string()).collect();
            lines.push(
                ["ipsec: ".to_owned() + &ipsec(settings)]
                    .into_iter()
                    .chain(own)
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        if let Some(settings) = &sensors.bgp {
            lines.push(format!("bgp: {}{}", bgp(settings), self.required()));
        }
        let used = || self.config.plan.vpns.iter().flat_map(|vpn| vpn.used_tunnels());
        let with = |kind| used().find(|tunnel| tunnel.sensors.kinds.contains(&kind));
        if with(SensorKind::Path).is_some() {
            let uplinks: BTreeSet<_> = sensors.subjects.iter().map(|subject| &*subject.uplink).collect();
            lines.extend(uplinks.into_iter().map(|uplink| format!("path: {}", path(uplink))));
        }
        if let Some(tunnel) = with(SensorKind::Mtu) {
            let interval = ShownDuration(tunnel.sensors.mtu_interval);
            lines.push(format!("mtu: the largest packet that passes through each tunnel, every {interval}"));
        }
        if lines.is_empty() {
            lines.push("only probes and AWS".to_owned());
        }
        for (index, line) in lines.iter().enumerate() {
            writeln!(f, "{}{line}", if index == 0 { "\nevidence    " } else { "            " })?;
        }
        Ok(())
    }

    /// Which tunnels are Down without a session.
    fn required(&self) -> String {
        let by_bgp =
            |vpn: &&std::sync::Arc<VpnPlan>| vpn.used_tunnels().any(|tunnel| tunnel.sensors.bgp_required);
        let vpns = &self.config.plan.vpns;
        let required: Vec<_> = vpns.iter().filter(by_bgp).collect();
        if required.is_empty() {
            String::new()
        } else if required.len() == vpns.len() {
            "; a tunnel without a session is Down".to_owned()
        } else {
            format!(
                "; a tunnel of {} without a session is Down",
                vpn_ids(required.into_iter().map(AsRef::as_ref))
            )
        }
    }

    fn sinks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sink in &self.config.sinks {
            writeln!(
                f,
                "\nsink        {}{}",
                sink.id,
                place(sink.region.as_deref(), sink.role_arn.as_deref())
            )?;
            for line in self.targets(sink) {
                writeln!(f, "  {line}")?;
            }
        }
        if self.config.sinks.is_empty() {
            writeln!(f, "\nsink        none")?;
        }
        Ok(())
    }

    /// One line per connection or parent and kind that a sink takes.
    fn targets(&self, sink: &SinkSettings) -> Vec<String> {
        let taken = self.config.taken_by(sink);
        let line = |incident: &PossibleIncident| {
            let (target, impact) = (sink.target_of(incident), sink.impact(incident.kind));
            format!("{:<21} {:<15} impact {impact}  {target}", shown(&incident.of), incident.kind.as_str())
        };
        taken.iter().map(line).collect()
    }

    fn edges(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config.cloudwatch {
            Some(settings) => {
                let metrics = custom_metrics(&self.config.plan);
                writeln!(
                    f,
                    "\nmetrics     namespace {}, every {}{}",
                    settings.namespace,
                    ShownDuration(settings.interval),
                    place(settings.region.as_deref(), settings.role_arn.as_deref()),
                )?;
                let puts = puts_a_month(settings, metrics);
                writeln!(
                    f,
                    "            {metrics} custom metrics, about {puts} PutMetricData calls a month"
                )?;
            }
            None => writeln!(f, "\nmetrics     none go to CloudWatch")?,
        }
        let HttpSettings { listen, hosts: _, protection: ProtectionFiles { tls, token } } = &self.config.http;
        let scheme = if tls.is_some() { "https" } else { "http" };
        writeln!(f, "listener    {scheme}://{listen}/ with /metrics, /status, /healthz, /readyz")?;
        if let Some(token) = token {
            writeln!(f, "            asks for the token in {}, except at /healthz", token.display())?;
        }
        let StoreSettings { path, max_size, keep, spool: _ } = &self.config.store;
        writeln!(f, "store       {}", path.display())?;
        writeln!(f, "            at most {}, history of {}", ShownSize(*max_size), ShownDuration(*keep))
    }
}

/// A connection's id, or a parent with the word for what it is.
fn shown(scope: &Scope) -> String {
    match scope {
        Scope::Connection(vpn) => vpn.to_string(),
        Scope::Parent(parent) => format!("{} {}", parent.kind.as_str(), parent.name),
    }
}

/// Where the state of IPsec is read, for display.
fn ipsec(settings: &IpsecSettings) -> String {
    match settings {
        IpsecSettings::Vici { socket } => format!("strongSwan at {}", socket.display()),
        IpsecSettings::Kernel => "the kernel's counters of the tunnels' interfaces".to_owned(),
    }
}

/// Where the state of BGP is read, for display.
fn bgp(settings: &BgpSettings) -> String {
    match settings {
        BgpSettings::Bird { socket } => format!("BIRD at {}", socket.display()),
        BgpSettings::Frr { vtysh } => format!("FRR by {}", vtysh.display()),
    }
}

/// Where echoes outside the tunnels go, for display.
fn path(uplink: &UplinkSettings) -> String {
    let UplinkSettings { name, interface, source, references } = uplink;
    let way: Vec<_> = name
        .iter()
        .map(|name| format!("over {name}"))
        .chain(interface.iter().map(|interface| format!("on {interface}")))
        .chain(source.map(|source| format!("from {source}")))
        .collect();
    let way = if way.is_empty() { String::new() } else { format!(" {}", way.join(" ")) };
    let references = match references.as_slice() {
        [] => "no references: a dead uplink looks like a dead path to AWS".to_owned(),
        [one] => format!("reference {one}"),
        several => {
            format!("references {}", several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    format!("echoes to AWS's outside addresses{way}, and the hops when a tunnel goes down; {references}")
}

const fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::Bgp => ", routed by BGP",
        Routing::Static => ", static routes",
        Routing::Unknown => ", routing not configured",
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Raise => "raise: incidents go to the sinks",
        Mode::Observe => "observe: incidents are detected and recorded, nothing is sent",
    }
}

fn tunnel_line(tunnel: &TunnelPlan) -> String {
    let route = &tunnel.route;
    let interface = route.interface.as_ref().map_or(String::new(), |name| format!(" on {name}"));
    let mark = route.fwmark.map_or(String::new(), |mark| format!(" marked {mark:#x}"));
    let probed = match (tunnel.is_used(), tunnel.through.vantage) {
        (false, _) => "not probed".to_owned(),
        (true, Vantage::Gateway) => {
            format!("echo {} -> {}{interface}{mark}", route.source_ip, route.inside_ip)
        }
        (true, Vantage::Behind { .. }) => format!("seen from behind the gateway{interface}{mark}"),
    };
    format!("{:<9} {} ({}): {probed}", tunnel.role.as_str(), tunnel.name, tunnel.id.outside_ip)
}

/// One line for each group of hosts behind a tunnel.
fn through_lines(tunnel: &TunnelPlan) -> impl Iterator<Item = String> {
    let groups = tunnel.through.groups.iter().filter(|_| tunnel.is_used());
    groups.map(|group| {
        let hosts: Vec<_> = group.routes.iter().map(|route| route.inside_ip.to_string()).collect();
        let source = group.routes.first().map(|route| route.source_ip.to_string()).unwrap_or_default();
        let needed = match group.routes.len() {
            1 => String::new(),
            of => format!(", {} of {of} must answer", group.min),
        };
        let votes = if group.required { "required" } else { "explains only" };
        format!("          through echo {source} -> {}: {votes}{needed}", hosts.join(", "))
    })
}

/// The rules of a connection, and what follows from them.
fn rules_text(vpn: &VpnPlan) -> String {
    let ProbeRules { interval, suspect_interval, timeout, down_after, up_after } = vpn.probe;
    let IncidentRules {
        open_after_outage,
        open_after_redundancy_lost,
        one_sided_after,
        degraded_after,
        resolve_after,
        start_grace,
    } = vpn.incident;
    let QualityRules { max_loss_percent, max_rtt, max_jitter, after } = vpn.quality;
    let most = |limit: Option<Duration>| {
        limit.map_or(String::new(), |most| format!(" or over {}", ShownDuration(most)))
    };
    let down = locally_down_after(&vpn.probe);
    let or_never = |after: Option<Duration>| {
        after.map_or("never".to_owned(), |after| format!("after {}", ShownDuration(after)))
    };
    let (one_sided, degraded) = (or_never(one_sided_after), or_never(degraded_after));
    format!(
        "probing     an echo every {}, every {} under suspicion, answered in time within {}\n            \
         Down after {down_after} overdue echoes in a row, Up after {up_after} replies\n            \
         a dead tunnel is locally Down about {} after the break\n\
         quality     degraded after {} of loss over {max_loss_percent}%, round trips far above the usual{},\n            \
         or jitter far above the usual{}\n\
         incidents   outage opens after {}, redundancy_lost after {}, one_sided {one_sided}, degraded {degraded}\n            \
         resolved once over for {}; nothing opens in the first {} after the start\n            \
         an outage pages no earlier than {} after the break, and not before AWS says Down as well\n",
        ShownDuration(interval),
        ShownDuration(suspect_interval),
        ShownDuration(timeout),
        seconds(down),
        ShownDuration(after),
        most(max_rtt),
        most(max_jitter),
        ShownDuration(open_after_outage),
        ShownDuration(open_after_redundancy_lost),
        ShownDuration(resolve_after),
        ShownDuration(start_grace),
        seconds(down + open_after_outage),
    )
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn poller(source: &SourceId) -> String {
    let what = match source.kind {
        SourceKind::CloudWatch => "CloudWatch TunnelState",
        SourceKind::Ec2 => "EC2 DescribeVpnConnections",
    };
    let region = source.place.region.as_deref().unwrap_or("the Region of the SDK's own chain");
    format!(
        "{what} in {region}{}",
        source.place.role_arn.as_ref().map_or(String::new(), |role| format!(" as {role}"))
    )
}

fn place(region: Option<&str>, role_arn: Option<&str>) -> String {
    let region = region.map_or(String::new(), |region| format!(" in {region}"));
    region + &role_arn.map_or(String::new(), |role| format!(" as {role}"))
}

fn vpn_ids<'p>(vpns: impl Iterator<Item = &'p VpnPlan>) -> String {
    vpns.map(|vpn| vpn.id.as_str()).collect::<Vec<_>>().join(", ")
}

//--- costs and delays

/// AWS bills by the month; this one has 30 days.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// No echo is overdue sooner; on lines of up to 25 ms an echo is overdue after exactly this.
const OVERDUE_MIN: Duration = Duration::from_millis(100);
/// `TunnelUp`, `PacketLoss`, `RoundTripTime`, `BothEndsDown`.
const METRICS_PER_TUNNEL: usize = 4;
/// `Heartbeat`, once by connection and once by connection and site.
const METRICS_PER_VPN: usize = 2;

/// From a break to the local Down, on a line of up to 25 ms: the first echo is lost half an interval after the break and
/// overdue soon after, the others follow under suspicion, and the oldest must be past its timeout.
fn locally_down_after(rules: &ProbeRules) -> Duration {
    let overdue = rules.timeout.min(OVERDUE_MIN);
    let further = rules.down_after.get() - 1;
    let all_overdue = match further.checked_sub(1) {
        None => overdue,
        Some(gaps) => overdue + rules.suspect_interval * gaps + overdue,
    };
    rules.interval / 2 + all_overdue.max(rules.timeout)
}

/// Calls a month, one per interval.
fn calls_a_month(interval: Duration) -> u64 {
    let calls = MONTH.as_millis() / interval.as_millis().max(1);
    u64::try_from(calls).unwrap_or(u64::MAX)
}

/// The connections that a poller asks about.
fn asked_by<'p>(plan: &'p Plan, source: &SourceId) -> impl Iterator<Item = &'p VpnPlan> {
    plan.vpns.iter().map(AsRef::as_ref).filter(|vpn| vpn.aws.sources.contains(source))
}

/// The tunnels that a poller asks about.
fn tunnels_asked_by(plan: &Plan, source: &SourceId) -> usize {
    asked_by(plan, source).map(|vpn| vpn.used_tunnels().count()).sum()
}

/// Custom metrics; each name with its dimensions counts as one.
fn custom_metrics(plan: &Plan) -> usize {
    plan.vpns.iter().map(|vpn| METRICS_PER_VPN + METRICS_PER_TUNNEL * vpn.used_tunnels().count()).sum()
}

/// `PutMetricData` calls a month; a call takes 1,000 metrics.
fn puts_a_month(settings: &CloudWatchSettings, metrics: usize) -> u64 {
    calls_a_month(settings.interval) * u64::try_from(metrics.div_ceil(1000)).unwrap_or(u64::MAX)
}

/// Why alarms beside the connection cannot see the daemon's metrics, by the key that causes it: CloudWatch reads those of the
/// alarm's own Region and account (user guide, "Using Amazon CloudWatch alarms"). The SDK's own chain is unknown here, so
/// nothing is reported about it.
pub(super) fn metrics_elsewhere(
    vpn: &VpnDetails,
    aws: &AwsDefaults,
    metrics: &CloudWatchSettings,
) -> Vec<(&'static str, String)> {
    let so = "CloudWatch alarms beside the connection (alarms.yaml) will not see its heartbeat and will fire falsely";
    let mut why = Vec::new();
    let here = vpn.region.as_ref().or(aws.region.as_ref());
    let there = metrics.region.as_ref().or(aws.region.as_ref());
    if let (Some(here), Some(there)) = (here, there)
        && here != there
    {
        why.push(("region", format!("is {here}, and the daemon's metrics go to {there}: {so}")));
    }
    let (here, there) = (account(vpn.role_arn.as_deref()), account(metrics.role_arn.as_deref()));
    if here != there {
        why.push((
            "role_arn",
            format!("AWS is asked about it in {here}, and the daemon's metrics go to {there}: if these are different accounts, {so}"),
        ));
    }
    why
}

/// The account of a role.
fn account(role_arn: Option<&str>) -> String {
    role_arn
        .and_then(|role| role.split(':').nth(4))
        .map_or_else(|| "the daemon's own account".to_owned(), |account| format!("account {account}"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::globals::PROBE_DEFAULT;

    #[test]
    fn with_the_defaults_a_dead_tunnel_is_down_after_two_seconds_and_a_bit() {
        assert_eq!(locally_down_after(&PROBE_DEFAULT), Duration::from_millis(2_300));
    }

    #[test]
    fn one_lost_echo_still_has_its_timeout() {
        let rules = ProbeRules { down_after: NonZeroU32::MIN, ..PROBE_DEFAULT };
        assert_eq!(locally_down_after(&rules), Duration::from_millis(1_500));
        let rules = ProbeRules { timeout: Duration::from_secs(10), ..PROBE_DEFAULT };
        assert_eq!(locally_down_after(&rules), Duration::from_millis(10_500));
    }

    #[test]
    fn a_call_a_minute_is_43_200_a_month() {
        assert_eq!(calls_a_month(Duration::from_secs(60)), 43_200);
    }
}
